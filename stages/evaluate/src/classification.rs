mod curves;
mod fairness;
mod figures;
mod ranked;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame};
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Digest, Disclosure, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Sample, Stage, StageContext,
    StageError, Table,
};
use stagewright_frame::{Ids, numbers, to_frame};

use crate::groups::Groups;
use crate::outputs::{counts, personal, put};
use crate::per_row::{self, check_keys};
use crate::units::{Keys, Units};
use fairness::{GroupScores, by_group, group_scores};
pub(crate) use ranked::share;
use ranked::{Confusion, Ranked, surprise};

/// Measure how well probabilities foretell one of two outcomes, beside what is had without a model.
///
/// A row is flagged when its probability is at least `threshold`. Of the flagged rows `precision` is the share that is
/// positive, of the positive ones `recall` is the share that is flagged, `f1` = 2pr / (p + r), `accuracy` the share of
/// all rows that is flagged rightly; precision, recall and F1 are 0 where there is nothing to divide by. Without a
/// threshold: `auc`, the probability that a positive row has a higher probability than a negative one, equal ones
/// counted half (exact); `average_precision`, the sum over the distinct probabilities of the recall gained times the
/// precision there; `log_loss`, the mean of -ln of the probability given to what happened, kept 2.2e-16 away from 0 and
/// 1; `brier`, the mean of (probability - outcome)²; `expected_calibration_error`, the mean distance over the rows of a
/// calibration bin's mean probability from its share of positive rows; `max_f1`, the largest F1 at any threshold, which
/// is chosen on these very rows and so an upper bound. All are those of scikit-learn. They lie from 0 to 1 but the log
/// loss, which is at most 36.1. `auc` needs rows of both outcomes and `average_precision` a positive one; otherwise
/// they are undefined.
///
/// The baselines: `baseline_accuracy` and `baseline_f1` always foretell the more frequent outcome (of equally frequent
/// ones the negative), `always_positive_precision`, `_recall` and `_f1` flag every row, and `baseline_log_loss` and
/// `baseline_brier` give every row the base rate of these rows as its probability. A model is of use where it is better
/// than these.
///
/// With `groups`, the measures are taken in each group, and the largest differences between groups are metrics, by the
/// definitions of fairlearn: `demographic_parity_difference:COLUMN` (share flagged), `demographic_parity_ratio:COLUMN`
/// (smallest share flagged / largest), `equal_opportunity_difference:COLUMN` (recall),
/// `equalized_odds_difference:COLUMN` (the larger of those in recall and in the false positive rate), and
/// `accuracy_difference:COLUMN`. A group without positive rows has no recall and takes no part in that difference.
///
/// Rows without a probability or an outcome are left out, with a warning. Results compare only if they were tested on
/// the same rows with the same outcomes: rows are told apart by `keys`, or, without them, by their order.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// The column of outcomes: booleans or the numbers 0 and 1; any integers or text with `positive`.
    target: String,
    /// The column of probabilities of the positive outcome (0 to 1).
    #[serde(default = "probability")]
    probability: String,
    /// The value of `target`, as text, that is the positive outcome; all others are negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    positive: Option<String>,
    /// The probability from which on a row is flagged (0 to 1).
    #[serde(default = "half")]
    #[schemars(range(min = 0, max = 1))]
    threshold: f64,
    /// The columns that tell rows apart (integers or text); without them, the order of rows does.
    #[serde(default)]
    keys: Vec<String>,
    /// The columns whose groups are measured one by one (integers or text, at most 500 values); a missing value is a
    /// group of its own.
    #[serde(default)]
    groups: Vec<String>,
    /// Groups with fewer rows take no part in the differences between groups; they are in the table.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    min_group_rows: u64,
    /// The number of bins of the calibration curve.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    calibration_bins: usize,
    /// What the bins of the calibration curve have in common: `uniform`, their width, or `quantile`, their number of
    /// rows.
    #[serde(default)]
    calibration_strategy: Strategy,
    /// How many rows to show in `sample`.
    #[serde(default = "ten")]
    #[schemars(range(max = 1000))]
    sample: usize,
}

/// What the bins of the calibration curve have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Their width.
    #[default]
    Uniform,
    /// Their number of rows, as nearly as equal probabilities allow.
    Quantile,
}

fn probability() -> String {
    "probability".to_owned()
}

fn half() -> f64 {
    0.5
}

fn one() -> u64 {
    1
}

fn ten() -> usize {
    10
}

/// The bins of the histogram.
const HISTOGRAM_BINS: usize = 20;

/// The columns of each output table.
const TABLES: [(&str, &[&str]); 9] = [
    ("report", &["class", "precision", "recall", "f1", "support"]),
    ("confusion", &["actual", "predicted", "rows", "share_of_actual"]),
    ("roc", &["threshold", "false_positive_rate", "true_positive_rate"]),
    ("precision_recall", &["threshold", "recall", "precision"]),
    ("calibration", &["lower", "upper", "rows", "mean_probability", "share_positive"]),
    ("thresholds", &["threshold", "precision", "recall", "f1", "accuracy", "share_flagged"]),
    ("histogram", &["lower", "upper", "negatives", "positives"]),
    ("sample", &["probability", "predicted", "actual"]),
    ("by_group", fairness::COLUMNS),
];

/// The columns of `per_row` after the keys.
const PER_ROW: [&str; 8] = ["outcome", "probability", "accuracy", "precision", "recall", "f1", "log_loss", "brier"];

impl Stage for Classification {
    const TYPE: &'static str = "evaluate.classification";
    const EXAMPLE: &'static str = "\
inputs: { predictions: predict.table }
with: { target: reordered, keys: [order_id, product_id], threshold: 0.5 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("predictions", Kind::Table, "One row per test case: the target and probability columns."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "At the threshold `accuracy`, `precision`, `recall`, `f1`, `share_flagged`; `auc`, \
                 `average_precision`, `log_loss`, `brier`, `expected_calibration_error`, `max_f1`, `max_f1_threshold`; \
                 the baselines `baseline_accuracy`, `baseline_f1`, `baseline_log_loss`, `baseline_brier`, \
                 `always_positive_precision`, `always_positive_recall`, `always_positive_f1`; `base_rate`, `rows`, \
                 `positives`; and the differences between groups.",
            ),
            Port::output(
                "report",
                Kind::Table,
                "For each class, and as `macro avg` (the mean of both) and `weighted avg` (by support): `class`, \
                 `precision`, `recall`, `f1`, `support` (rows).",
            ),
            Port::output(
                "confusion",
                Kind::Table,
                "Four rows: `actual` and `predicted` class, `rows`, `share_of_actual` (0 to 1).",
            ),
            Port::output(
                "roc",
                Kind::Table,
                "The ROC curve in at most 200 points, from few flagged rows to all: `threshold` (null at the start), \
                 `false_positive_rate`, `true_positive_rate`.",
            ),
            Port::output(
                "precision_recall",
                Kind::Table,
                "The precision-recall curve in at most 200 points, by ascending recall: `threshold`, `recall`, \
                 `precision`.",
            ),
            Port::output(
                "calibration",
                Kind::Table,
                "For each bin of probabilities: `lower`, `upper`, `rows`, `mean_probability`, `share_positive` (null \
                 where there are no rows); a row on an edge is in the lower bin.",
            ),
            Port::output(
                "thresholds",
                Kind::Table,
                "For the thresholds 0, 0.01, … 1: `threshold`, `precision`, `recall`, `f1`, `accuracy`, \
                 `share_flagged`.",
            ),
            Port::output(
                "histogram",
                Kind::Table,
                "For each of 20 bins of probabilities: `lower`, `upper`, the rows that are `negatives` and `positives`.",
            ),
            Port::output(
                "sample",
                Kind::Table,
                "Some rows drawn at random, by descending probability: `probability`, and whether the positive \
                 outcome was `predicted` and is `actual` (boolean).",
            ),
            Port::output(
                "per_row",
                Kind::Table,
                "One row per test case, for comparisons row by row: the columns of `keys`, the `outcome` (boolean), the \
                 `probability`, and what the row adds to `accuracy` (boolean: rightly told), `precision`, `recall` and \
                 `f1` (linearised), `log_loss` and `brier`.",
            ),
            Port::output(
                "by_group",
                Kind::Table,
                "All rows (`column` and `group` null), then each group: `column`, `group`, `rows`, `positives`, \
                 `base_rate`, `share_flagged`, `accuracy`, `precision`, `recall`, `f1`, `false_positive_rate`, `auc`, \
                 `average_precision`, `log_loss`, `brier`.",
            ),
            Port::output("roc_figure", Kind::Figure, "The ROC curve, and the diagonal that chance gives."),
            Port::output("precision_recall_figure", Kind::Figure, "Precision by recall, and the base rate."),
            Port::output("calibration_figure", Kind::Figure, "What happened by what was foretold."),
            Port::output("thresholds_figure", Kind::Figure, "Precision, recall, F1 and share flagged by threshold."),
            Port::output("histogram_figure", Kind::Figure, "How many rows of each class by probability."),
            Port::output("confusion_figure", Kind::Figure, "The confusion matrix, a row per actual class."),
            Port::output(
                "by_group_figure",
                Kind::Figure,
                "Share flagged, recall and false positive rate of all rows and of each group.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.target == self.probability {
            return Err(ParamError::new("probability", format!("`{}` is the target, too", self.probability))
                .with_help("name the column that holds the probabilities"));
        }
        for (parameter, names) in [("keys", &self.keys), ("groups", &self.groups)] {
            let mut seen = BTreeSet::new();
            if let Some(index) = names.iter().position(|name| !seen.insert(name)) {
                let message = format!("`{}` is named twice", names.get(index).map_or("", String::as_str));
                return Err(ParamError::new(format!("{parameter}/{index}"), message));
            }
        }
        check_keys(&self.keys, &PER_ROW)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let per_row: Vec<&str> = self.keys.iter().map(String::as_str).chain(PER_ROW).collect();
        let tables: Vec<(&str, &[&str])> = TABLES.into_iter().chain([("per_row", per_row.as_slice())]).collect();
        personal(&tables, &self.holding(), inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        if self.groups.is_empty() {
            return Vec::new();
        }
        vec![Disclosure {
            port: "predictions",
            columns: Some(self.groups.clone()),
            to: "a table and a figure of measures by group",
            help: "group by a column that is not personal, such as one made with `clean.bin`".to_owned(),
        }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let input = context.table("predictions")?;
        let frame = to_frame(&input)?;
        let rows = self.read(context, &frame)?;
        let ranked = rows.ranked();
        context.check_cancelled()?;

        let groups = self.groups.iter().map(|name| Groups::read(&frame, "predictions", name));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        let mut by = Vec::new();
        for groups in &groups {
            context.check_cancelled()?;
            by.push(group_scores(&rows, groups, self.threshold));
        }
        let confusion = ranked.at(self.threshold);
        let edges = match self.calibration_strategy {
            Strategy::Uniform => curves::uniform(self.calibration_bins),
            Strategy::Quantile => curves::quantiles(&ranked, self.calibration_bins),
        };
        let calibration = curves::bins(&ranked, &edges);

        let mut metrics = Metrics::new().over("row", ranked.rows(), rows.units).with_units_at("per_row", &self.keys);
        overall(&mut metrics, &ranked, confusion)?;
        let distance = |bin: &curves::Bin| Some((bin.total - bin.positives as f64).abs());
        let distances = calibration.iter().filter_map(distance).sum::<f64>();
        let error = (ranked.rows() > 0).then(|| distances / ranked.rows() as f64);
        metrics.insert("expected_calibration_error", error, Goal::Minimize)?;
        for (groups, scores) in groups.iter().zip(&by) {
            fairness::differences(&mut metrics, &groups.column, scores, self.min_group_rows)?;
        }
        let mean = |name| (name, Sample::Mean(str::to_owned(name)));
        let auc = Sample::Auc { score: "probability".to_owned(), outcome: "outcome".to_owned() };
        metrics.sampled(["precision", "recall", "f1", "log_loss", "brier"].map(mean));
        metrics.sampled([("accuracy", Sample::Share("accuracy".to_owned())), ("auc", auc)]);
        self.warn(context, &ranked, &groups, &by);

        let all = GroupScores::of(&ranked, self.threshold);
        self.tables(context, &input, &ranked, &calibration)?;
        put(context, "per_row", self.per_row(&frame, &rows)?, &self.holding(), &input)?;
        put(context, "by_group", by_group(&all, &groups, &by), &self.holding(), &input)?;
        let [negative, positive] = self.classes();
        context.put("roc_figure", figures::roc(&ranked))?;
        context.put("precision_recall_figure", figures::precision_recall(&ranked))?;
        context.put("calibration_figure", figures::calibration(&calibration))?;
        context.put("thresholds_figure", figures::thresholds(&curves::thresholds(&ranked), ranked.rows()))?;
        context.put("histogram_figure", figures::histogram(&self.histogram(&ranked), &negative, &positive))?;
        context.put("confusion_figure", figures::confusion(confusion, &negative, &positive))?;
        context.put("by_group_figure", figures::by_group(&all, &groups, &by))?;
        context.put("metrics", metrics)
    }
}

/// The test cases that have a probability and an outcome.
struct Rows {
    /// The probability, and whether the outcome is positive; `None` where the row is left out.
    cases: Vec<Option<(f64, bool)>>,
    units: Digest,
}

impl Rows {
    /// The cases, sorted.
    fn ranked(&self) -> Ranked {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for (score, is_positive) in self.cases.iter().flatten() {
            if *is_positive { positives.push(*score) } else { negatives.push(*score) }
        }
        Ranked::of(&positives, &negatives)
    }
}

impl Classification {
    fn read(&self, context: &StageContext, frame: &DataFrame) -> Result<Rows, StageError> {
        let outcomes = self.outcomes(frame)?;
        let scores = numbers(frame, &self.probability)?;
        let outside = scores.iter().flatten().filter(|score| !(0.0..=1.0).contains(*score)).count();
        if outside > 0 {
            return Err(StageError::data(format!(
                "{outside} of {} rows have a value in column `{}` that is not from 0 to 1",
                scores.len(),
                self.probability
            ))
            .with_help("name the column of probabilities in `probability`; scores are ranked by `evaluate.ranking`"));
        }
        let cases: Vec<_> = scores.into_iter().zip(outcomes).map(|(score, outcome)| score.zip(outcome)).collect();
        let left_out = cases.iter().filter(|case| case.is_none()).count();
        if left_out > 0 {
            context.warn(format!(
                "{left_out} of {} rows are left out: `{}` or `{}` is missing",
                cases.len(),
                self.probability,
                self.target
            ));
        }
        let units = self.units(frame, &cases)?;
        Ok(Rows { cases, units })
    }

    /// Whether the outcome of each row is positive; `None` where it is missing.
    fn outcomes(&self, frame: &DataFrame) -> Result<Vec<Option<bool>>, StageError> {
        if let Some(positive) = &self.positive {
            let ids = Ids::of(&self.target, &[("predictions", frame)])?;
            let code = (0..ids.len() as u32).find(|code| ids.text(*code) == positive.as_str());
            if code.is_none() && !ids.is_empty() {
                return Err(StageError::data(format!("no row has `{positive}` in column `{}`", self.target))
                    .with_help("name the value of the positive outcome in `positive`"));
            }
            return Ok(ids.codes(frame)?.into_iter().map(|value| value.map(|value| Some(value) == code)).collect());
        }
        let values =
            numbers(frame, &self.target).map_err(|error| match error.message.contains("a number is needed") {
                true => error.with_help("name the value of the positive outcome in `positive`"),
                false => error,
            })?;
        let other = values.iter().flatten().filter(|value| **value != 0.0 && **value != 1.0).count();
        if other > 0 {
            return Err(StageError::data(format!(
                "{other} of {} rows have a value in column `{}` that is neither 0 nor 1",
                values.len(),
                self.target
            ))
            .with_help("name the value of the positive outcome in `positive`, or name another column"));
        }
        Ok(values.into_iter().map(|value| value.map(|value| value == 1.0)).collect())
    }

    fn units(&self, frame: &DataFrame, cases: &[Option<(f64, bool)>]) -> Result<Digest, StageError> {
        let outcomes = cases.iter().enumerate().filter_map(|(row, case)| Some((row, u8::from(case.as_ref()?.1))));
        if self.keys.is_empty() {
            let mut bytes = b"stagewright classification outcomes 1".to_vec();
            bytes.extend(outcomes.map(|(_, outcome)| outcome));
            return Ok(Digest::of(&bytes));
        }
        let keys = Keys::read(frame, &self.keys)?;
        let mut units = Units::new("classification");
        let mut unit = Vec::new();
        for (row, outcome) in outcomes {
            unit.clear();
            unit.push(outcome);
            keys.write(row, &mut unit);
            units.add(&unit);
        }
        Ok(units.digest())
    }

    fn warn(&self, context: &StageContext, ranked: &Ranked, groups: &[Groups], by: &[Vec<GroupScores>]) {
        if ranked.rows() > 0 && (ranked.positives == 0 || ranked.negatives == 0) {
            context.warn("all outcomes are the same: there is nothing to tell apart");
        }
        for (groups, scores) in groups.iter().zip(by) {
            let small = scores.iter().filter(|scores| scores.rows < self.min_group_rows).count();
            if small > 0 {
                context.warn(format!(
                    "{small} of {} groups of `{}` have fewer than {} rows: they take no part in the differences",
                    scores.len(),
                    groups.column,
                    self.min_group_rows
                ));
            }
        }
    }

    /// What the classes are called: the negative and the positive one.
    fn classes(&self) -> [String; 2] {
        match &self.positive {
            Some(positive) => [format!("not {positive}"), positive.clone()],
            None => ["0".to_owned(), "1".to_owned()],
        }
    }

    fn histogram(&self, ranked: &Ranked) -> Vec<curves::Bin> {
        curves::bins(ranked, &curves::uniform(HISTOGRAM_BINS))
    }

    /// Output columns that hold values of an input column under another name.
    fn holding(&self) -> Vec<(&str, &str, &str)> {
        let scores = [
            ("roc", "threshold"),
            ("precision_recall", "threshold"),
            ("calibration", "lower"),
            ("calibration", "upper"),
            ("sample", "probability"),
            ("sample", "predicted"),
        ];
        let scores = scores.into_iter().map(|(table, column)| (table, column, self.probability.as_str()));
        let groups = self.groups.iter().map(|name| ("by_group", "group", name.as_str()));
        let per_row = PER_ROW.into_iter().flat_map(|column| {
            [("per_row", column, self.probability.as_str()), ("per_row", column, self.target.as_str())]
        });
        let actual = [("sample", "actual", self.target.as_str())];
        scores.chain(actual).chain(groups).chain(per_row).collect()
    }

    /// What each row adds to the measures.
    fn per_row(&self, frame: &DataFrame, rows: &Rows) -> Result<Vec<Column>, StageError> {
        let taking_part: Vec<bool> = rows.cases.iter().map(Option::is_some).collect();
        let cases: Vec<(f64, bool)> = rows.cases.iter().flatten().copied().collect();
        let flagged = |(score, _): &(f64, bool)| *score >= self.threshold;
        let number = f64::from;
        let outcomes: Vec<bool> = cases.iter().map(|case| case.1).collect();
        let right: Vec<bool> = cases.iter().map(|case| flagged(case) == case.1).collect();
        let hit = |case: &(f64, bool)| number(flagged(case) && case.1);
        let precision = cases.iter().map(|case| (hit(case), number(flagged(case))));
        let recall = cases.iter().map(|case| (hit(case), number(case.1)));
        let f1 = cases.iter().map(|case| (2.0 * hit(case), number(flagged(case)) + number(case.1)));
        let mut columns = per_row::keys(frame, &self.keys, &taking_part)?;
        columns.extend([
            per_row::truths("outcome", &outcomes),
            per_row::numbers("probability", cases.iter().map(|case| case.0).collect()),
            per_row::truths("accuracy", &right),
            per_row::numbers("precision", per_row::ratio(precision, cases.len())),
            per_row::numbers("recall", per_row::ratio(recall, cases.len())),
            per_row::numbers("f1", per_row::ratio(f1, cases.len())),
            per_row::numbers(
                "log_loss",
                cases.iter().map(|case| surprise(if case.1 { case.0 } else { 1.0 - case.0 })).collect(),
            ),
            per_row::numbers("brier", cases.iter().map(|case| (case.0 - number(case.1)).powi(2)).collect()),
        ]);
        per_row::sorted(columns, &self.keys)
    }

    fn tables(
        &self,
        context: &mut StageContext,
        input: &Table,
        ranked: &Ranked,
        calibration: &[curves::Bin],
    ) -> Result<(), StageError> {
        let confusion = ranked.at(self.threshold);
        let classes = self.classes();
        let roc = curves::roc(ranked);
        let tables = [
            ("report", report(confusion, &classes)),
            ("confusion", confusion_table(confusion, &classes)),
            (
                "roc",
                vec![
                    numeric("threshold", roc.iter().map(|step| step.map(|step| step.score))),
                    numeric("false_positive_rate", roc.iter().map(|step| figures::rates(ranked, step.as_ref()).0)),
                    numeric("true_positive_rate", roc.iter().map(|step| figures::rates(ranked, step.as_ref()).1)),
                ],
            ),
            ("precision_recall", precision_recall_table(ranked)),
            (
                "calibration",
                vec![
                    numeric("lower", calibration.iter().map(|bin| Some(bin.lower))),
                    numeric("upper", calibration.iter().map(|bin| Some(bin.upper))),
                    counts("rows", calibration.iter().map(curves::Bin::rows)),
                    numeric("mean_probability", calibration.iter().map(curves::Bin::mean_probability)),
                    numeric("share_positive", calibration.iter().map(|bin| share(bin.positives, bin.rows()))),
                ],
            ),
            ("thresholds", thresholds_table(ranked)),
            ("histogram", histogram_table(&self.histogram(ranked))),
            ("sample", self.sampled(context, ranked)),
        ];
        tables.into_iter().try_for_each(|(port, columns)| put(context, port, columns, &self.holding(), input))
    }

    /// Rows drawn from the sorted ones, so that the draw does not depend on the order they came in.
    fn sampled(&self, context: &StageContext, ranked: &Ranked) -> Vec<Column> {
        let rows = usize::try_from(ranked.rows()).unwrap_or(usize::MAX);
        let mut drawn = index::sample(&mut context.rng("sample"), rows, self.sample.min(rows)).into_vec();
        drawn.sort_unstable();
        let rows: Vec<(f64, bool)> = drawn.into_iter().filter_map(|place| ranked.row(place as u64)).collect();
        let predicted: Vec<bool> = rows.iter().map(|(score, _)| *score >= self.threshold).collect();
        vec![
            numeric("probability", rows.iter().map(|(score, _)| Some(*score))),
            Column::new("predicted".into(), predicted),
            Column::new("actual".into(), rows.iter().map(|(_, actual)| *actual).collect::<Vec<_>>()),
        ]
    }
}

/// The measures over all rows, and the baselines.
fn overall(metrics: &mut Metrics, ranked: &Ranked, confusion: Confusion) -> Result<(), StageError> {
    let any = |value: f64| (ranked.rows() > 0).then_some(value);
    let always = ranked.confusion(ranked.positives, ranked.negatives);
    let never = ranked.confusion(0, 0);
    let majority = if ranked.positives > ranked.negatives { always } else { never };
    let base = ranked.base_rate();
    let best = ranked.best_f1();
    // Of the base rate as everybody's probability.
    let base_loss = base.map(|rate| {
        let part = |rate: f64| if rate > 0.0 { rate * surprise(rate) } else { 0.0 };
        part(rate) + part(1.0 - rate)
    });
    for (name, value) in [
        ("accuracy", any(confusion.accuracy())),
        ("precision", any(confusion.precision())),
        ("recall", any(confusion.recall())),
        ("f1", any(confusion.f1())),
        ("auc", ranked.auc()),
        ("average_precision", ranked.average_precision()),
    ] {
        metrics.insert(name, value, Goal::Maximize)?;
    }
    metrics.insert("log_loss", ranked.log_loss(), Goal::Minimize)?;
    metrics.insert("brier", ranked.brier(), Goal::Minimize)?;
    for (name, value) in [
        ("share_flagged", share(confusion.flagged(), confusion.rows())),
        ("max_f1", best.map(|(_, f1)| f1)),
        ("max_f1_threshold", best.map(|(threshold, _)| threshold)),
        ("baseline_accuracy", any(majority.accuracy())),
        ("baseline_f1", any(majority.f1())),
        ("baseline_log_loss", base_loss),
        ("baseline_brier", base.map(|rate| rate * (1.0 - rate))),
        ("always_positive_precision", any(always.precision())),
        ("always_positive_recall", any(always.recall())),
        ("always_positive_f1", any(always.f1())),
        ("base_rate", base),
        ("rows", Some(ranked.rows() as f64)),
        ("positives", Some(ranked.positives as f64)),
    ] {
        metrics.insert(name, value, Goal::Describe)?;
    }
    Ok(())
}

/// As `sklearn.metrics.classification_report`.
fn report(confusion: Confusion, [negative, positive]: &[String; 2]) -> Vec<Column> {
    let sides = [confusion.reversed(), confusion];
    let supports = sides.map(|side| side.true_positives + side.false_negatives);
    let rows = confusion.rows();
    let column = |name: &str, measure: fn(Confusion) -> f64| {
        let [first, second] = sides.map(measure);
        let [of_first, of_second] = supports.map(|support| support as f64);
        let weighted = (first * of_first + second * of_second) / rows as f64;
        let values = [first, second, f64::midpoint(first, second), weighted];
        numeric(name, values.map(|value| (rows > 0).then_some(value)))
    };
    let [of_negative, of_positive] = supports;
    vec![
        Column::new("class".into(), vec![negative.as_str(), positive.as_str(), "macro avg", "weighted avg"]),
        column("precision", Confusion::precision),
        column("recall", Confusion::recall),
        column("f1", Confusion::f1),
        counts("support", [of_negative, of_positive, rows, rows]),
    ]
}

fn confusion_table(confusion: Confusion, [negative, positive]: &[String; 2]) -> Vec<Column> {
    let Confusion { true_positives, false_positives, false_negatives, true_negatives } = confusion;
    let negatives = true_negatives + false_positives;
    let positives = true_positives + false_negatives;
    let cells = [
        (true_negatives, negatives),
        (false_positives, negatives),
        (false_negatives, positives),
        (true_positives, positives),
    ];
    vec![
        Column::new("actual".into(), vec![negative.as_str(), negative, positive, positive]),
        Column::new("predicted".into(), vec![negative.as_str(), positive, negative, positive]),
        counts("rows", cells.map(|(rows, _)| rows)),
        numeric("share_of_actual", cells.map(|(rows, of)| share(rows, of))),
    ]
}

fn precision_recall_table(ranked: &Ranked) -> Vec<Column> {
    let steps = curves::precision_recall(ranked);
    vec![
        numeric("threshold", steps.iter().map(|step| Some(step.score))),
        numeric("recall", steps.iter().map(|step| share(step.positives, ranked.positives))),
        numeric("precision", steps.iter().map(|step| share(step.positives, step.positives + step.negatives))),
    ]
}

fn thresholds_table(ranked: &Ranked) -> Vec<Column> {
    let points = curves::thresholds(ranked);
    let column = |name: &str, measure: fn(Confusion) -> f64| {
        numeric(name, points.iter().map(|(_, confusion)| (ranked.rows() > 0).then(|| measure(*confusion))))
    };
    vec![
        numeric("threshold", points.iter().map(|(threshold, _)| Some(*threshold))),
        column("precision", Confusion::precision),
        column("recall", Confusion::recall),
        column("f1", Confusion::f1),
        column("accuracy", Confusion::accuracy),
        numeric("share_flagged", points.iter().map(|(_, confusion)| share(confusion.flagged(), confusion.rows()))),
    ]
}

fn histogram_table(bins: &[curves::Bin]) -> Vec<Column> {
    vec![
        numeric("lower", bins.iter().map(|bin| Some(bin.lower))),
        numeric("upper", bins.iter().map(|bin| Some(bin.upper))),
        counts("negatives", bins.iter().map(|bin| bin.negatives)),
        counts("positives", bins.iter().map(|bin| bin.positives)),
    ]
}

fn numeric(name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Column {
    Column::new(name.into(), values.into_iter().collect::<Vec<_>>())
}
