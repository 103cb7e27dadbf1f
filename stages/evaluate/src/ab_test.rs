mod arms;
mod decision;
mod outputs;
#[cfg(test)]
mod tests;
mod verdicts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_compare as compare;
use stagewright_contract::{
    Disclosure, Goal, Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError,
};
use stagewright_frame::to_frame;

use crate::outputs::{personal, put};
use crate::shares::{self, Shares};
use arms::Test;
use verdicts::Verdicts;

/// Compare the arms of a live test, whose units were drawn into them at random: lifts, intervals, verdicts, and which arm
/// to take.
///
/// `assignment` says which arm a unit (a user, a household) was drawn into, one row per unit. What the units did comes as
/// `outcomes`, any number of rows per unit, which are added up; or, without that table, in further columns of
/// `assignment`. Every assigned unit counts, whatever became of it: one without outcomes has outcomes of 0 (see
/// `missing`), as to leave it out would compare people who chose to be in. Outcomes of units that were not assigned are
/// left out with a warning. A unit that is assigned twice is an error.
///
/// A metric is the share of units with a value above 0 (`proportion`: two-proportion z-test with pooled standard error,
/// Fisher's exact test where a cell is expected to hold fewer than 5, Newcombe's interval), the mean over units (`mean`:
/// Welch's t-test), or a ratio of sums such as revenue per order (`ratio`: delta method). With a `covariate` that was
/// known before, such as earlier revenue, means are adjusted for it (CUPED; Deng and others 2013), which does not change
/// what is estimated and makes the intervals narrower. Lifts are differences relative to the arm compared with; their
/// intervals are those of the delta method. All p-values of the stage are corrected together.
///
/// The verdict is `better` or `worse` where the corrected p-value is at most 1 - `level`; else `no difference shown`, or
/// `underpowered` where even a lift of `minimum_effect` would have been missed more than one time in five, with the
/// number of units that it takes. All are `invalid` where the arms are not as large as `shares` says (sample-ratio
/// mismatch: a chi-square test with p < 0.001), since then something else than chance put units into arms.
///
/// Who looks at a running test and stops it when something shows should set `peeking` to the number of units that is
/// planned: intervals and p-values are then those of an asymptotic confidence sequence (Waudby-Smith and others 2024),
/// which hold at all looks together; the first look should have some hundred units.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbTest {
    /// The column that tells units apart, in `assignment` and `outcomes` (integers or text). It may be left out where no
    /// `outcomes` are connected; each row of `assignment` is a unit then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// The column of `assignment` with the arm of a unit (integers or text, at most 500 values).
    #[serde(default = "arm")]
    arm: String,
    /// The arm that the others are compared with.
    control: String,
    /// What is measured. The decision is by the first; the others must not be worse.
    #[schemars(length(min = 1))]
    metrics: Vec<TestMetric>,
    /// What is compared.
    #[serde(default)]
    pairs: Pairs,
    /// The column of `assignment` with a number that was known of every unit before the test and that `mean`s are
    /// adjusted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    covariate: Option<String>,
    /// The planned share of each arm by its name, in any proportion (`{ a: 1, b: 2 }`), where no table of shares is
    /// connected; without either, all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shares: Option<Shares>,
    /// What becomes of an assigned unit without an outcome.
    #[serde(default)]
    missing: Missing,
    /// The confidence of intervals and verdicts (0.5 to 0.9999).
    #[serde(default = "level")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    level: f64,
    /// What is done about many tests at once.
    #[serde(default)]
    correction: Correction,
    /// The smallest lift that matters (0.05 is five per cent of the value of the arm compared with).
    #[serde(default = "twentieth")]
    #[schemars(range(min = 0.0001, max = 1000))]
    minimum_effect: f64,
    /// The number of units of all arms at which the test is planned to end, where it may be looked at, and ended,
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    peeking: Option<u64>,
}

/// What is measured.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestMetric {
    /// The column with what a unit did.
    column: String,
    /// What is made of it.
    #[serde(default)]
    kind: MetricKind,
    /// The column that a `ratio` is divided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    denominator: Option<String>,
    /// What the metric is called; the name of the column when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Which way it is better.
    #[serde(default)]
    goal: MetricGoal,
}

/// What is made of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricKind {
    /// The mean over units.
    #[default]
    Mean,
    /// The share of units whose value is true or above 0.
    Proportion,
    /// The sum over the sum of `denominator`.
    Ratio,
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricGoal {
    /// Higher.
    #[default]
    Maximize,
    /// Lower.
    Minimize,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pairs {
    /// Each arm with `control`.
    #[default]
    Control,
    /// Every two arms, which takes more tests, and tells which of two good arms is better.
    All,
}

/// What becomes of an assigned unit without an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Missing {
    /// It did nothing: its outcome is 0.
    #[default]
    Zero,
    /// The stage fails.
    Error,
}

/// What is done about many tests at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Correction {
    /// Nothing: among twenty tests one is significant by chance.
    None,
    /// The probability of any false discovery stays at 1 - `level` (Holm 1979).
    #[default]
    Holm,
    /// The expected share of false ones among the discoveries stays at 1 - `level` (Benjamini and Hochberg 1995).
    BenjaminiHochberg,
}

fn arm() -> String {
    "arm".to_owned()
}

fn level() -> f64 {
    0.95
}

fn twentieth() -> f64 {
    0.05
}

impl TestMetric {
    fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.column)
    }

    fn goal(&self) -> Goal {
        match self.goal {
            MetricGoal::Maximize => Goal::Maximize,
            MetricGoal::Minimize => Goal::Minimize,
        }
    }
}

/// The columns of each output table.
const TABLES: [(&str, &[&str]); 3] = [
    (
        "results",
        &[
            "metric",
            "arm",
            "control",
            "n_arm",
            "n_control",
            "value",
            "control_value",
            "difference",
            "lower",
            "upper",
            "lift",
            "lift_lower",
            "lift_upper",
            "p_value",
            "p_adjusted",
            "verdict",
            "reason",
            "detectable_lift",
            "units_needed",
            "method",
        ],
    ),
    ("arms", &["arm", "units", "share", "expected_share", "srm_p_value"]),
    ("decision", &["arm", "reason"]),
];

impl Stage for AbTest {
    const TYPE: &'static str = "evaluate.ab_test";
    const EXAMPLE: &'static str = "\
inputs: { assignment: assigned, outcomes: orders }
with: { unit: user_id, control: nobody, covariate: earlier_revenue, metrics: [
          { column: revenue }, { column: orders, kind: proportion, name: conversion } ] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "assignment",
                Kind::Table,
                "One row per unit: `arm`, `unit` and `covariate` if they are named, and the outcomes if `outcomes` is \
                 not connected.",
            ),
            Port::input(
                "outcomes",
                Kind::Table,
                "Any number of rows per unit, which are added up: `unit` and the columns of the metrics (numbers, or \
                 true and false).",
            )
            .optional(),
            Port::input(
                "shares",
                Kind::Table,
                "The planned share of each arm: `arm`, `share`, as `evaluate.thompson_sampling` puts them out.",
            )
            .optional(),
            Port::output(
                "results",
                Kind::Table,
                "For each metric and comparison: `metric`, `arm`, `control` (what it is compared with), `n_arm`, \
                 `n_control` (units), `value`, `control_value` (adjusted if there is a covariate), `difference` with \
                 `lower` and `upper`, `lift` (0.1 is 10 % more) with `lift_lower` and `lift_upper`, `p_value`, \
                 `p_adjusted`, `verdict`, `reason`, `detectable_lift` (the least that would have been seen with a power \
                 of 80 %), `units_needed` (of both arms, to see `minimum_effect`), `method`.",
            ),
            Port::output(
                "arms",
                Kind::Table,
                "For each arm: `arm`, `units`, `share`, `expected_share`, and `srm_p_value` of all arms together.",
            ),
            Port::output(
                "decision",
                Kind::Table,
                "One row: the `arm` to take (the control if none is better, null if nothing follows), and the `reason` \
                 in a sentence.",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`METRIC:ARM` as measured; for each arm compared with the control `METRIC_lift:ARM`, \
                 `METRIC_standard_error:ARM` and `METRIC_p_adjusted:ARM`; `srm_p_value`; with a covariate \
                 `METRIC_variance_reduction`, the share of the variance that it explains.",
            ),
            Port::output(
                "lifts_figure",
                Kind::Figure,
                "The lift of each metric and arm over the control, and the ends of its interval.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.metrics.is_empty() {
            return Err(ParamError::new("metrics", "there is nothing to measure")
                .with_help("name a column, as in `metrics: [{ column: revenue }]`"));
        }
        for (index, metric) in self.metrics.iter().enumerate() {
            let at = |field: &str| format!("metrics/{index}/{field}");
            match (metric.kind, &metric.denominator) {
                (MetricKind::Ratio, None) => {
                    return Err(ParamError::new(at("kind"), "a ratio is divided by something")
                        .with_help("name the column in `denominator`"));
                }
                (MetricKind::Mean | MetricKind::Proportion, Some(_)) => {
                    return Err(ParamError::new(at("denominator"), "only a ratio is divided by a column")
                        .with_help("say `kind: ratio`, or leave `denominator` out"));
                }
                _ => {}
            }
            if self.metrics.iter().take(index).any(|other| other.name() == metric.name()) {
                let field = if metric.name.is_some() { "name" } else { "column" };
                return Err(ParamError::new(at(field), format!("there are two metrics `{}`", metric.name()))
                    .with_help("give one of them another `name`"));
            }
        }
        self.shares.as_ref().map_or(Ok(()), shares::check)?;
        if self.covariate.is_some() && self.metrics.iter().all(|metric| metric.kind != MetricKind::Mean) {
            return Err(ParamError::new("covariate", "only metrics of kind `mean` are adjusted, and there is none")
                .with_help("say `kind: mean`, which of a column of 0 and 1 is the share, or leave `covariate` out"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(&TABLES, &self.holding(), inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        vec![Disclosure {
            port: "assignment",
            columns: Some(vec![self.arm.clone()]),
            to: "tables and a figure of results by arm",
            help: "name a column of arms that is not personal".to_owned(),
        }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("assignment")?;
        let assignment = to_frame(&table)?;
        let outcomes = if context.has_input("outcomes") { Some(to_frame(&*context.table("outcomes")?)?) } else { None };
        let test = Test::read(self, context, &assignment, outcomes.as_ref())?;
        context.check_cancelled()?;
        let verdicts = Verdicts::of(self, &test)?;
        let decision = decision::decide(self, &test, &verdicts);
        put(context, "results", outputs::results(self, &test, &verdicts), &self.holding(), &table)?;
        put(context, "arms", outputs::arms(&test, &verdicts), &self.holding(), &table)?;
        put(context, "decision", outputs::decision(decision), &self.holding(), &table)?;
        context.put("lifts_figure", outputs::figure(self, &test, &verdicts))?;
        context.put("metrics", outputs::metrics(self, &test, &verdicts)?)
    }
}

impl AbTest {
    /// Output columns that hold values of an input column under another name.
    fn holding(&self) -> Vec<(&str, &str, &str)> {
        let arm = self.arm.as_str();
        [("results", "arm"), ("results", "control"), ("arms", "arm"), ("decision", "arm"), ("decision", "reason")]
            .map(|(table, column)| (table, column, arm))
            .into()
    }

    fn correction(&self) -> compare::Correction {
        match self.correction {
            Correction::None => compare::Correction::None,
            Correction::Holm => compare::Correction::Holm,
            Correction::BenjaminiHochberg => compare::Correction::BenjaminiHochberg,
        }
    }
}
