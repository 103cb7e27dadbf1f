//! From the sides of a comparison to its table and its verdicts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stagewright_compare::{
    Bootstrap, Comparison as Test, Correction, Goal as Aim, Judgement, Rule, adjust, delong, judge, mcnemar,
    over_seeds, paired_bootstrap, paired_t, summaries_over_seeds,
};
use stagewright_contract::{Goal, Metric};
use stagewright_core::CompareSpec;
use stagewright_report::{Cell, Comparison, Row, Verdict};
use stagewright_store::Store;

use super::conclude::conclusions;
use super::sides::{Repeat, Scored, Side};
use super::units::{Units, Values};

/// Up to so many units the bootstrap is used for means; above, the t-test says the same in no time.
const BOOTSTRAP: usize = 5_000;

/// By what the sides are compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) baseline: String,
    pub(crate) metrics: Vec<MetricRule>,
    pub(crate) unit: Option<String>,
    pub(crate) level: f64,
    pub(crate) correction: Correction,
}

/// How one metric is compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MetricRule {
    pub(crate) stage: String,
    pub(crate) metric: String,
    pub(crate) guardrail: bool,
    pub(crate) goal: Option<Goal>,
    pub(crate) minimum_effect: f64,
}

impl From<&CompareSpec> for Rules {
    fn from(spec: &CompareSpec) -> Self {
        Self {
            baseline: spec.baseline.clone(),
            metrics: spec
                .metrics
                .iter()
                .map(|metric| MetricRule {
                    stage: metric.stage.clone(),
                    metric: metric.metric.clone(),
                    guardrail: metric.guardrail,
                    goal: metric.goal,
                    minimum_effect: metric.minimum_effect,
                })
                .collect(),
            unit: spec.unit.clone(),
            level: spec.level,
            correction: match spec.correction {
                stagewright_core::Correction::Holm => Correction::Holm,
                stagewright_core::Correction::BenjaminiHochberg => Correction::BenjaminiHochberg,
                stagewright_core::Correction::None => Correction::None,
            },
        }
    }
}

/// A test of one metric of one side, before the correction for the others.
struct Tested {
    row: usize,
    side: usize,
    test: Test,
    aim: Aim,
}

/// Compares. Where the baseline is not among the sides, the first one is taken for it. `None` where there is nothing to
/// show.
pub(crate) fn comparison(rules: &Rules, sides: &[Side], store: &Store) -> Option<Comparison> {
    let base = sides.iter().position(|side| side.name == rules.baseline).unwrap_or(0);
    let baseline = sides.get(base)?;
    let units = Units::new(store);
    let mut rows = Vec::with_capacity(rules.metrics.len());
    let mut tested: Vec<Tested> = Vec::new();
    for rule in &rules.metrics {
        let goal = rule.goal.or_else(|| sides.iter().find_map(|side| Some(metric(side, rule)?.goal)));
        let aim = match goal.unwrap_or(Goal::Describe) {
            Goal::Maximize => Some(Aim::Maximize),
            Goal::Minimize => Some(Aim::Minimize),
            Goal::Describe => None,
        };
        let mut cells = Vec::with_capacity(sides.len());
        for (at, side) in sides.iter().enumerate() {
            let value = value(side, rule);
            if metric(side, rule).is_none() {
                cells.push(Cell { note: Some("it has no such metric".to_owned()), ..Cell::default() });
                continue;
            }
            if at == base {
                cells.push(Cell { value, ..Cell::default() });
                continue;
            }
            if let Err(reason) = comparable(rule, baseline, side) {
                let verdict = aim.map(|_| Verdict::Invalid);
                cells.push(Cell { value, note: Some(reason), verdict, ..Cell::default() });
                continue;
            }
            let mut cell = Cell { value, ..Cell::default() };
            if let Some((value, base)) = value.zip(self::value(baseline, rule)) {
                cell.difference = Some(value - base);
                cell.relative = (base != 0.0).then(|| (value - base) / base.abs());
                match aim.map(|aim| (aim, test(rules, rule, baseline, side, &units))) {
                    Some((aim, Ok(Some(test)))) => tested.push(Tested { row: rows.len(), side: at, test, aim }),
                    Some((_, Err(reason))) => {
                        cell.note = Some(reason);
                        cell.verdict = Some(Verdict::Invalid);
                        (cell.difference, cell.relative) = (None, None);
                    }
                    Some((_, Ok(None))) | None => {}
                }
            }
            cells.push(cell);
        }
        let goal = match aim {
            Some(Aim::Maximize) => stagewright_report::Goal::Maximize,
            Some(Aim::Minimize) => stagewright_report::Goal::Minimize,
            None => stagewright_report::Goal::Describe,
        };
        let name = format!("{}.{}", rule.stage, rule.metric);
        rows.push(Row { metric: name, goal, guardrail: rule.guardrail, cells });
    }
    let of_units = rules.metrics.iter().find_map(|rule| {
        let metrics = &scored(baseline, rule)?.metrics;
        Some((metrics.unit.clone()?, metrics.units))
    });
    let (unit, count) = of_units.map_or((None, None), |(unit, units)| (Some(unit), units));
    let mut comparison = Comparison {
        title: None,
        baseline: baseline.name.clone(),
        variants: sides.iter().map(|side| side.name.clone()).collect(),
        rows,
        unit,
        units: count,
        ..Comparison::default()
    };
    give_verdicts(rules, &tested, &mut comparison);
    comparison.conclusions = conclusions(&comparison);
    (!comparison.rows.is_empty()).then_some(comparison)
}

/// Corrects the tests of what decides for each other, and judges all. Guardrails are not corrected: missing harm is
/// what they are there to prevent.
fn give_verdicts(rules: &Rules, tested: &[Tested], comparison: &mut Comparison) {
    let decides = |tested: &&Tested| !rules.metrics[tested.row].guardrail;
    let p_values: Vec<f64> = tested.iter().filter(decides).map(|tested| tested.test.p_value).collect();
    let count = p_values.len() as u64;
    let mut adjusted = adjust(&p_values, rules.correction).unwrap_or(p_values).into_iter();
    for tested in tested {
        let rule = &rules.metrics[tested.row];
        let test = &tested.test;
        let (p_adjusted, tests) = match rule.guardrail {
            true => (test.p_value, 1),
            false => (adjusted.next().unwrap_or(1.0), if rules.correction == Correction::None { 1 } else { count }),
        };
        let by = Rule { level: rules.level, minimum_effect: rule.minimum_effect, power: 0.8, tests };
        let judgement =
            judge(test, p_adjusted, tested.aim, by).unwrap_or_else(|error| Judgement::invalid(error.to_string()));
        let cell = &mut comparison.rows[tested.row].cells[tested.side];
        cell.interval = Some([test.interval.lower, test.interval.upper]);
        cell.relative_interval =
            test.relative.and_then(|relative| relative.interval).map(|interval| [interval.lower, interval.upper]);
        cell.p_value = Some(test.p_value);
        cell.p_adjusted = Some(p_adjusted);
        cell.method = Some(test.method.clone());
        cell.verdict = Some(match judgement.verdict {
            stagewright_compare::Verdict::Better => Verdict::Better,
            stagewright_compare::Verdict::Worse => Verdict::Worse,
            stagewright_compare::Verdict::NoDifference => Verdict::NoDifferenceShown,
            stagewright_compare::Verdict::Underpowered => Verdict::Underpowered,
            stagewright_compare::Verdict::Invalid => Verdict::Invalid,
        });
        cell.detectable = judgement.detectable_relative;
        cell.needed = judgement.needed;
    }
    if !tested.is_empty() {
        comparison.level = Some(rules.level);
    }
    if count > 1 {
        let name = match rules.correction {
            Correction::Holm => Some("Holm"),
            Correction::BenjaminiHochberg => Some("Benjamini-Hochberg"),
            Correction::None => None,
        };
        comparison.correction = name.map(|name| format!("{name} over {count} tests"));
    }
}

fn scored<'a>(side: &'a Side, rule: &MetricRule) -> Option<&'a Scored> {
    side.repeats.first()?.stages.get(&rule.stage)
}

fn metric<'a>(side: &'a Side, rule: &MetricRule) -> Option<&'a Metric> {
    scored(side, rule)?.metrics.values.get(&rule.metric)
}

/// The values of all repeats, if each has one.
fn per_repeat(side: &Side, rule: &MetricRule) -> Option<Vec<f64>> {
    let value = |scored: &Scored| scored.metrics.values.get(&rule.metric)?.value;
    side.repeats.iter().map(|repeat| value(repeat.stages.get(&rule.stage)?)).collect()
}

/// The metric: its mean over the repeats.
fn value(side: &Side, rule: &MetricRule) -> Option<f64> {
    let values = per_repeat(side, rule)?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// Why two sides cannot be compared.
fn comparable(rule: &MetricRule, baseline: &Side, side: &Side) -> Result<(), String> {
    let seeds = |side: &Side| side.repeats.iter().map(|repeat| repeat.seed).collect::<Vec<_>>();
    if seeds(baseline) != seeds(side) {
        return Err(format!("not comparable: repeated with other seeds than `{}`", baseline.name));
    }
    for (left, right) in baseline.repeats.iter().zip(&side.repeats) {
        let (Some(left), Some(right)) = (left.stages.get(&rule.stage), right.stages.get(&rule.stage)) else {
            return Err(format!("not comparable: a repeat has no metrics of `{}`", rule.stage));
        };
        if left.metrics.units_digest != right.metrics.units_digest {
            let unit = right.metrics.unit.as_deref().unwrap_or("unit");
            return Err(format!("not comparable: tested on other {unit}s or other outcomes than `{}`", baseline.name));
        }
        // Without test units a stage speaks of its own result, and its parameters are what is compared.
        if left.metrics.unit.is_some()
            && let Some(how) = other_definition(left, right)
        {
            return Err(format!("not comparable: computed in another way than in `{}`: {how}", baseline.name));
        }
        for (scored, name) in [(left, &baseline.name), (right, &side.name)] {
            if let Some(seen) = &scored.seen {
                return Err(format!("not comparable: in `{name}`, {seen}"));
            }
        }
    }
    Ok(())
}

/// How the stages that computed two metrics differ.
fn other_definition(left: &Scored, right: &Scored) -> Option<String> {
    if left.uses != right.uses {
        return Some(format!("by `{}` and not by `{}`", right.uses, left.uses));
    }
    let names = |scored: &Scored| scored.params.as_object().map(|params| params.keys().cloned().collect());
    let all: BTreeSet<String> =
        [names(left), names(right)].into_iter().flatten().flat_map(|n: Vec<String>| n).collect();
    let differs = all.into_iter().find(|name| left.params.get(name) != right.params.get(name))?;
    let shown = |scored: &Scored| scored.params.get(&differs).map_or("nothing".to_owned(), ToString::to_string);
    Some(format!("`{differs}` is {}, not {}", shown(right), shown(left)))
}

/// The test of one metric; `None` where there is nothing to test it by.
fn test(rules: &Rules, rule: &MetricRule, left: &Side, right: &Side, units: &Units) -> Result<Option<Test>, String> {
    let level = rules.level;
    let said = |error: stagewright_compare::CompareError| format!("not tested: {error}");
    let (Some(first), Some(sample)) =
        (scored(left, rule), metric(left, rule).and_then(|metric| metric.sample.as_ref()))
    else {
        return between_seeds(rule, left, right, level);
    };
    if metric(right, rule).and_then(|metric| metric.sample.as_ref()) != Some(sample) {
        return between_seeds(rule, left, right, level);
    }
    let keys = first.metrics.units_table.as_ref().map(|table| table.keys.as_slice()).unwrap_or_default();
    let cluster = match (rules.unit.as_deref(), first.metrics.unit.as_deref()) {
        (None, _) => None,
        (Some(asked), Some(unit)) if asked == unit => None,
        (Some(asked), _) if keys.iter().any(|key| key == asked) => Some(asked),
        (Some(asked), unit) => {
            let is = unit.map_or("it has no unit".to_owned(), |unit| format!("its unit is `{unit}`"));
            return Err(format!(
                "not comparable: {is}, and `{asked}` is none of the `keys` of `{}` by which its rows could be paired",
                rule.stage
            ));
        }
    };
    let tested_on = |repeat: &Repeat| repeat.stages.get(&rule.stage).map(|scored| scored.metrics.units_digest);
    if left.repeats.iter().map(tested_on).collect::<BTreeSet<_>>().len() > 1 {
        // Every seed has its own test units: what differs from seed to seed holds the chance of the draw, too.
        return between_seeds(rule, left, right, level);
    }
    let mut pairs = Vec::with_capacity(left.repeats.len());
    for (left, right) in left.repeats.iter().zip(&right.repeats) {
        let of = |repeat: &Repeat| {
            let digest = repeat.stages.get(&rule.stage).and_then(|scored| scored.units);
            digest.ok_or("its units are missing: run again".to_owned()).and_then(|at| units.values(at, sample, cluster))
        };
        pairs.push((of(left)?, of(right)?));
    }
    if pairs.len() > 1 {
        return over_repeats(&pairs, level).map(Some).map_err(said);
    }
    let Some(pair) = pairs.first() else { return Ok(None) };
    let test = match pair {
        (Values::Truths(left), Values::Truths(right)) => mcnemar(left, right, level),
        (Values::Scores(labels, left), Values::Scores(_, right)) => delong(labels, left, right, level),
        (Values::Numbers(left), Values::Numbers(right)) if left.len() <= BOOTSTRAP => {
            paired_bootstrap(left, right, level, Bootstrap::default())
        }
        (Values::Numbers(left), Values::Numbers(right)) => paired_t(left, right, level),
        _ => return Ok(None),
    };
    test.map(Some).map_err(said)
}

fn over_repeats(pairs: &[(Values, Values)], level: f64) -> Result<Test, stagewright_compare::CompareError> {
    let numbers = |values: &Values| match values {
        Values::Numbers(numbers) => numbers.clone(),
        Values::Truths(truths) => truths.iter().map(|truth| f64::from(u8::from(*truth))).collect(),
        Values::Scores(..) => Vec::new(),
    };
    if pairs.iter().all(|(left, _)| matches!(left, Values::Scores(..))) {
        let mut tests = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if let (Values::Scores(labels, left), Values::Scores(_, right)) = pair {
                tests.push(delong(labels, left, right, level)?);
            }
        }
        return summaries_over_seeds(&tests, level);
    }
    let (left, right): (Vec<Vec<f64>>, Vec<Vec<f64>>) =
        pairs.iter().map(|(left, right)| (numbers(left), numbers(right))).unzip();
    over_seeds(&slices(&left), &slices(&right), level)
}

fn slices(side: &[Vec<f64>]) -> Vec<&[f64]> {
    side.iter().map(Vec::as_slice).collect()
}

/// The test of a metric that cannot be taken apart into units: seeds are the units then.
fn between_seeds(rule: &MetricRule, left: &Side, right: &Side, level: f64) -> Result<Option<Test>, String> {
    let (Some(left), Some(right)) = (per_repeat(left, rule), per_repeat(right, rule)) else { return Ok(None) };
    if left.len() < 2 {
        return Ok(None);
    }
    let seeds = left.len();
    paired_t(&left, &right, level)
        .map(|test| Some(Test { method: format!("paired t-test over {seeds} seeds"), ..test }))
        .map_err(|error| format!("not tested: {error}"))
}
