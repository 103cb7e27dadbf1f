//! The tables, metrics and the figure.

use polars::prelude::Column;
use stagewright_compare::{Comparison, Relative};
use stagewright_contract::{Figure, FigureKind, Goal, Metrics, StageError};

use super::AbTest;
use super::arms::Test;
use super::decision::Decision;
use super::verdicts::{Outcome, Verdicts};
use crate::outputs::{counts, series};

/// The row of every comparison.
pub(super) fn results(stage: &AbTest, test: &Test, verdicts: &Verdicts) -> Vec<Column> {
    let rows = || verdicts.results.iter();
    let text = |name: &str, of: &dyn Fn(&Outcome) -> Option<String>| {
        Column::new(name.into(), rows().map(of).collect::<Vec<Option<String>>>())
    };
    let number = |name: &str, of: &dyn Fn(&Comparison) -> Option<f64>| {
        let numbers = rows().map(|result| result.comparison.as_ref().and_then(of));
        Column::new(name.into(), numbers.collect::<Vec<Option<f64>>>())
    };
    let arm = |place: usize| test.arms.get(place);
    let units = |place: usize| arm(place).map_or(0, super::arms::Arm::len);
    let lift = |found: &Comparison| found.relative.and_then(|relative| relative.interval);
    let needed = |result: &Outcome| result.judgement.needed.map(|units| i64::try_from(units).unwrap_or(i64::MAX));
    vec![
        text("metric", &|result| stage.metrics.get(result.metric).map(|metric| metric.name().to_owned())),
        text("arm", &|result| arm(result.arm).map(|arm| arm.name.clone())),
        text("control", &|result| arm(result.control).map(|arm| arm.name.clone())),
        counts("n_arm", rows().map(|result| units(result.arm))),
        counts("n_control", rows().map(|result| units(result.control))),
        number("value", &|found| Some(found.variant)),
        number("control_value", &|found| Some(found.baseline)),
        number("difference", &|found| Some(found.difference)),
        number("lower", &|found| Some(found.interval.lower)),
        number("upper", &|found| Some(found.interval.upper)),
        number("lift", &|found| found.relative.map(|relative| relative.lift)),
        number("lift_lower", &|found| lift(found).map(|interval| interval.lower)),
        number("lift_upper", &|found| lift(found).map(|interval| interval.upper)),
        number("p_value", &|found| Some(found.p_value)),
        Column::new("p_adjusted".into(), rows().map(|result| result.p_adjusted).collect::<Vec<_>>()),
        text("verdict", &|result| Some(result.judgement.verdict.words().to_owned())),
        text("reason", &|result| Some(result.judgement.reason.clone())),
        Column::new(
            "detectable_lift".into(),
            rows().map(|result| result.judgement.detectable_relative).collect::<Vec<_>>(),
        ),
        Column::new("units_needed".into(), rows().map(needed).collect::<Vec<_>>()),
        text("method", &|result| result.comparison.as_ref().map(|found| found.method.clone())),
    ]
}

/// The row of every arm.
pub(super) fn arms(test: &Test, verdicts: &Verdicts) -> Vec<Column> {
    let share = |units: u64| units as f64 / test.units.max(1) as f64;
    vec![
        Column::new("arm".into(), test.arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>()),
        counts("units", test.arms.iter().map(super::arms::Arm::len)),
        Column::new("share".into(), test.arms.iter().map(|arm| share(arm.len())).collect::<Vec<_>>()),
        Column::new("expected_share".into(), test.shares.clone()),
        Column::new("srm_p_value".into(), vec![verdicts.ratio.p_value; test.arms.len()]),
    ]
}

/// The one row of what to do.
pub(super) fn decision(decision: Decision) -> Vec<Column> {
    vec![Column::new("arm".into(), [decision.arm]), Column::new("reason".into(), [decision.reason])]
}

/// The numbers by name.
pub(super) fn metrics(stage: &AbTest, test: &Test, verdicts: &Verdicts) -> Result<Metrics, StageError> {
    let mut metrics = Metrics::new().over("unit", test.units, test.digest);
    metrics.insert("srm_p_value", Some(verdicts.ratio.p_value), Goal::Describe)?;
    for ((metric, values), reduction) in stage.metrics.iter().zip(&verdicts.values).zip(&verdicts.variance_reduction) {
        for (arm, value) in test.arms.iter().zip(values) {
            metrics.insert(format!("{}:{}", metric.name(), arm.name), *value, metric.goal())?;
        }
        if let Some(reduction) = reduction {
            metrics.insert(format!("{}_variance_reduction", metric.name()), Some(*reduction), Goal::Describe)?;
        }
    }
    for result in verdicts.results.iter().filter(|result| result.control == test.control) {
        let (Some(metric), Some(arm)) = (stage.metrics.get(result.metric), test.arms.get(result.arm)) else { continue };
        let found = result.comparison.as_ref();
        let lift = found.and_then(|found| found.relative).map(|relative| relative.lift);
        let error = found.and_then(|found| found.standard_error);
        let named = |what: &str| format!("{}_{what}:{}", metric.name(), arm.name);
        metrics.insert(named("lift"), lift, metric.goal())?;
        metrics.insert(named("standard_error"), error, Goal::Minimize)?;
        metrics.insert(named("p_adjusted"), result.p_adjusted, Goal::Describe)?;
    }
    Ok(metrics)
}

/// The lifts over the control and the ends of their intervals.
pub(super) fn figure(stage: &AbTest, test: &Test, verdicts: &Verdicts) -> Figure {
    let control = test.arms.get(test.control).map_or("", |arm| arm.name.as_str());
    let title = format!("Lift over {control}, {} % intervals", 100.0 * stage.level);
    let shown: Vec<(String, Option<Relative>)> = verdicts
        .results
        .iter()
        .filter(|result| result.control == test.control)
        .filter_map(|result| {
            let (metric, arm) = (stage.metrics.get(result.metric)?, test.arms.get(result.arm)?);
            let relative = result.comparison.as_ref().and_then(|found| found.relative);
            Some((format!("{}: {}", metric.name(), arm.name), relative))
        })
        .collect();
    let points = |of: fn(Relative) -> Option<f64>| {
        shown.iter().map(move |(name, relative)| (name.clone(), relative.and_then(of)))
    };
    Figure::new(FigureKind::Scatter, title, "metric and arm", "lift (0.1 is 10 % more)")
        .with(series("upper end", points(|relative| Some(relative.interval?.upper))))
        .with(series("lift", points(|relative| Some(relative.lift))))
        .with(series("lower end", points(|relative| Some(relative.interval?.lower))))
}
