//! Which arm to take.

use std::cmp::Ordering;

use stagewright_compare::Verdict;

use super::arms::Test;
use super::verdicts::{Outcome, Verdicts};
use super::{AbTest, MetricGoal};

/// The arm to take, if any, and why.
pub(super) struct Decision {
    pub(super) arm: Option<String>,
    pub(super) reason: String,
}

/// Takes, of the arms that are better than the control by the first metric and worse by none, the best by that metric;
/// the control where there is none.
pub(super) fn decide(stage: &AbTest, test: &Test, verdicts: &Verdicts) -> Decision {
    let name = |arm: usize| test.arms.get(arm).map_or("", |arm| arm.name.as_str());
    let metric = |metric: usize| stage.metrics.get(metric).map_or("", |metric| metric.name());
    let control = name(test.control);
    if verdicts.ratio.mismatch {
        let reason = verdicts.results.first().map_or("", |result| result.judgement.reason.as_str());
        return Decision { arm: None, reason: format!("no arm can be chosen: {reason}") };
    }
    let with_control = || verdicts.results.iter().filter(|result| result.control == test.control);
    let first = || with_control().filter(|result| result.metric == 0);
    if first().all(|result| result.comparison.is_none()) {
        let reason = first().next().map_or("", |result| result.judgement.reason.as_str());
        return Decision { arm: None, reason: format!("no arm can be chosen: of `{}`, {reason}", metric(0)) };
    }

    let harm = |arm: usize| {
        let worse = |result: &&Outcome| result.arm == arm && result.judgement.verdict == Verdict::Worse;
        with_control().find(worse).map(|result| result.metric)
    };
    let better: Vec<&Outcome> = first().filter(|result| result.judgement.verdict == Verdict::Better).collect();
    let mut asides: Vec<String> = better
        .iter()
        .filter_map(|result| Some((result.arm, harm(result.arm)?)))
        .map(|(arm, harmed)| format!("`{}` is better by it, but worse by `{}`", name(arm), metric(harmed)))
        .collect();
    let minimize = stage.metrics.first().is_some_and(|metric| metric.goal == MetricGoal::Minimize);
    let value = |result: &Outcome| result.comparison.as_ref().map_or(0.0, |found| found.variant);
    let by_value = |left: &&&Outcome, right: &&&Outcome| -> Ordering {
        let order = value(left).total_cmp(&value(right));
        // Of equal ones the first.
        (if minimize { order.reverse() } else { order }).then(right.arm.cmp(&left.arm))
    };
    let winners: Vec<&Outcome> = better.into_iter().filter(|result| harm(result.arm).is_none()).collect();

    let Some(best) = winners.iter().max_by(by_value) else {
        let needed = first().filter(|result| result.judgement.verdict == Verdict::Underpowered);
        if let Some(needed) = needed.filter_map(|result| result.judgement.needed).max() {
            asides.push(format!(
                "the test is too small to show a lift of {} %: it would take {needed} units of both arms",
                100.0 * stage.minimum_effect
            ));
        }
        let aside = asides.iter().map(|aside| format!("; {aside}")).collect::<String>();
        let reason = format!("stay with `{control}`: no arm is shown to be better by `{}`{aside}", metric(0));
        return Decision { arm: Some(control.to_owned()), reason };
    };

    for rival in winners.iter().filter(|rival| rival.arm != best.arm) {
        let between = verdicts.results.iter().find(|result| {
            let arms = [result.control, result.arm];
            result.metric == 0 && arms.contains(&best.arm) && arms.contains(&rival.arm)
        });
        let shown = between.map(|result| matches!(result.judgement.verdict, Verdict::Better | Verdict::Worse));
        asides.push(match shown {
            Some(true) => format!("it is better than `{}`, too", name(rival.arm)),
            Some(false) => format!("it is not shown to be better than `{}`", name(rival.arm)),
            None => format!("whether it is better than `{}` was not tested (`pairs: all`)", name(rival.arm)),
        });
    }
    let (arm, p) = (name(best.arm), best.p_adjusted.unwrap_or(1.0));
    let found = best.comparison.as_ref();
    let lift = found.and_then(|found| found.relative).map(|relative| format!("{:+.1} %, ", 100.0 * relative.lift));
    let p = if p < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") };
    let aside = asides.iter().map(|aside| format!("; {aside}")).collect::<String>();
    let reason = format!(
        "take `{arm}`: its `{}` is {} against {} of `{control}` ({}{p}), and it is worse by no metric{aside}",
        metric(0),
        digits(found.map_or(0.0, |found| found.variant)),
        digits(found.map_or(0.0, |found| found.baseline)),
        lift.unwrap_or_default(),
    );
    Decision { arm: Some(arm.to_owned()), reason }
}

/// A number with four digits that count.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    format!("{value:.decimals$}")
}
