#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Digest, Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Sample, Series,
    Stage, StageContext, StageError,
};
use stagewright_frame::{numbers, to_frame};

use crate::outputs::{counts, personal, put, series};
use crate::per_row::{self, check_keys};
use crate::sums::Sum;
use crate::units::{Keys, Units};

/// Measure how near predicted numbers are to what they were to be, beside always predicting the mean.
///
/// With the error of a row = prediction - target: `mae` is the mean of |error|, `rmse` the root of the mean of error²,
/// `median_absolute_error` the median of |error|, `max_error` the largest |error|, and `bias` the mean error, all in the
/// unit of the target. `mape` is the mean of |error / target|, over the rows whose target is not 0; how many are 0 is
/// warned about. `r2` = 1 - sum of error² / sum of (target - mean target)², and `explained_variance` the same with the
/// errors less their mean; both are 1 for perfect predictions and 0 for the mean as everybody's, without a lower bound,
/// and undefined where all targets are equal. All are those of scikit-learn but for these exceptions. `baseline_mae`,
/// `baseline_rmse` and `baseline_median_absolute_error` are those of predicting the mean target of these very rows. Rows
/// without a target or a prediction are left out, with a warning; values beyond 1e100 are an error. Results compare only
/// if they were tested on the same rows with the same targets: rows are told apart by `keys`, or, without them, by their
/// order.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// The column of what was to be predicted (numbers).
    target: String,
    /// The column of predictions (numbers).
    #[serde(default = "prediction")]
    prediction: String,
    /// The columns that tell rows apart (integers or text); without them, the order of rows does.
    #[serde(default)]
    keys: Vec<String>,
    /// The number of bins of both tables.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 100))]
    bins: usize,
}

fn prediction() -> String {
    "prediction".to_owned()
}

fn twenty() -> usize {
    20
}

/// Squares of larger values, summed, might leave the range of numbers.
const LARGEST: f64 = 1e100;

/// The columns of each output table.
const TABLES: [(&str, &[&str]); 2] = [
    ("residuals", &["lower", "upper", "rows"]),
    ("predicted_actual", &["rows", "mean_prediction", "mean_target", "mean_error", "mean_absolute_error"]),
];

/// The columns of `per_row` after the keys.
const PER_ROW: [&str; 4] = ["mae", "bias", "rmse", "r2"];

impl Stage for Regression {
    const TYPE: &'static str = "evaluate.regression";
    const EXAMPLE: &'static str = "\
inputs: { predictions: predict.table }
with: { target: spend, keys: [user_id] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("predictions", Kind::Table, "One row per test case: the target and prediction columns."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`mae`, `rmse`, `median_absolute_error`, `max_error`, `bias`, `mape`, `r2`, `explained_variance`; the \
                 baselines `baseline_mae`, `baseline_rmse`, `baseline_median_absolute_error`; `rows`.",
            ),
            Port::output(
                "residuals",
                Kind::Table,
                "A histogram of the errors in bins of equal width: `lower`, `upper`, `rows`; a row on an edge is in the \
                 lower bin.",
            ),
            Port::output(
                "predicted_actual",
                Kind::Table,
                "The rows by ascending prediction, in bins of as many rows each as can be: `rows`, `mean_prediction`, \
                 `mean_target`, `mean_error`, `mean_absolute_error`.",
            ),
            Port::output(
                "per_row",
                Kind::Table,
                "One row per test case, for comparisons row by row: the columns of `keys`, and what the row adds to \
                 `mae`, `bias`, and to `rmse` and `r2` (linearised).",
            ),
            Port::output("residuals_figure", Kind::Figure, "The histogram of the errors."),
            Port::output(
                "predicted_actual_figure",
                Kind::Figure,
                "The mean target by the mean prediction of each bin.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.target == self.prediction {
            return Err(ParamError::new("prediction", format!("`{}` is the target, too", self.prediction))
                .with_help("name the column that holds the predictions"));
        }
        let mut seen = BTreeSet::new();
        match self.keys.iter().enumerate().find(|(_, name)| !seen.insert(*name)) {
            Some((index, name)) => Err(ParamError::new(format!("keys/{index}"), format!("`{name}` is named twice"))),
            None => check_keys(&self.keys, &PER_ROW),
        }
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let per_row: Vec<&str> = self.keys.iter().map(String::as_str).chain(PER_ROW).collect();
        let tables: Vec<(&str, &[&str])> = TABLES.into_iter().chain([("per_row", per_row.as_slice())]).collect();
        personal(&tables, &self.holding(), inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        vec![Disclosure {
            port: "predictions",
            columns: Some(vec![self.target.clone(), self.prediction.clone()]),
            to: "a figure of predictions and errors",
            help: "predict a column that is not personal".to_owned(),
        }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let input = context.table("predictions")?;
        let frame = to_frame(&input)?;
        let (mut cases, taking_part, units) = self.read(context, &frame)?;
        let mut per_row = per_row::keys(&frame, &self.keys, &taking_part)?;
        let in_order = cases.clone();
        // Sorted, so that the order of rows has no part in the last digit of a sum.
        cases
            .sort_unstable_by(|a, b| a.prediction.total_cmp(&b.prediction).then_with(|| a.target.total_cmp(&b.target)));
        per_row.extend(losses(&in_order, &cases));
        let per_row = per_row::sorted(per_row, &self.keys)?;
        context.check_cancelled()?;

        let mut metrics = Metrics::new().over("row", cases.len() as u64, units).with_units_at("per_row", &self.keys);
        measure(&mut metrics, &cases)?;
        metrics.sampled(PER_ROW.map(|name| (name, Sample::Mean(name.to_owned()))));
        let zeros = cases.iter().filter(|case| case.target == 0.0).count();
        if zeros > 0 {
            context.warn(format!("{zeros} of {} targets are 0: they take no part in `mape`", cases.len()));
        }
        let residuals = residuals(&cases, self.bins);
        let parts = parts(&cases, self.bins);
        put(context, "residuals", residuals_table(&residuals), &self.holding(), &input)?;
        put(context, "per_row", per_row, &self.holding(), &input)?;
        put(context, "predicted_actual", parts_table(&parts), &self.holding(), &input)?;
        context.put("residuals_figure", residuals_figure(&residuals))?;
        context.put("predicted_actual_figure", parts_figure(&parts))?;
        context.put("metrics", metrics)
    }
}

/// A row with both its numbers.
#[derive(Clone, Copy, Debug)]
struct Case {
    target: f64,
    prediction: f64,
}

impl Case {
    fn error(self) -> f64 {
        self.prediction - self.target
    }
}

impl Regression {
    fn read(&self, context: &StageContext, frame: &DataFrame) -> Result<(Vec<Case>, Vec<bool>, Digest), StageError> {
        let read = |name: &String| {
            let values = numbers(frame, name)?;
            let beyond = values.iter().flatten().filter(|value| value.abs() > LARGEST).count();
            if beyond > 0 {
                return Err(StageError::data(format!(
                    "{beyond} of {} rows have a value beyond 1e100 in column `{name}`",
                    values.len()
                ))
                .with_help("look at where they come from, or filter those rows out"));
            }
            Ok(values)
        };
        let (targets, predictions) = (read(&self.target)?, read(&self.prediction)?);
        let keys = Keys::read(frame, &self.keys)?;
        let mut units = Units::new("regression");
        let mut unit = Vec::new();
        let mut in_order = b"stagewright regression targets 1".to_vec();
        let mut cases = Vec::with_capacity(targets.len());
        let mut taking_part = Vec::with_capacity(targets.len());
        for (row, (target, prediction)) in targets.iter().zip(&predictions).enumerate() {
            taking_part.push(target.is_some() && prediction.is_some());
            if let (Some(target), Some(prediction)) = (*target, *prediction) {
                // Adding zero turns -0 into 0, which has other bits.
                let (target, prediction) = (target + 0.0, prediction + 0.0);
                cases.push(Case { target, prediction });
                if self.keys.is_empty() {
                    in_order.extend_from_slice(&target.to_le_bytes());
                } else {
                    unit.clear();
                    unit.extend_from_slice(&target.to_le_bytes());
                    keys.write(row, &mut unit);
                    units.add(&unit);
                }
            }
        }
        if cases.len() < targets.len() {
            context.warn(format!(
                "{} of {} rows are left out: `{}` or `{}` is missing",
                targets.len() - cases.len(),
                targets.len(),
                self.target,
                self.prediction
            ));
        }
        let digest = if self.keys.is_empty() { Digest::of(&in_order) } else { units.digest() };
        Ok((cases, taking_part, digest))
    }

    /// Output columns that hold values of an input column under another name.
    fn holding(&self) -> Vec<(&str, &str, &str)> {
        let of = |(table, columns): &(&'static str, &'static [&'static str])| {
            let table = *table;
            let valued = columns.iter().filter(|column| **column != "rows");
            valued
                .flat_map(move |column| [(table, *column, &self.target), (table, *column, &self.prediction)])
                .collect::<Vec<_>>()
        };
        let per_row: (&'static str, &'static [&'static str]) = ("per_row", &PER_ROW);
        TABLES
            .iter()
            .chain([&per_row])
            .flat_map(of)
            .map(|(table, column, input)| (table, column, input.as_str()))
            .collect()
    }
}

fn mean(count: usize, terms: impl Iterator<Item = f64>) -> Option<f64> {
    (count > 0).then(|| terms.collect::<Sum>().value() / count as f64)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    match values.len().is_multiple_of(2) {
        true => values.get(values.len() / 2 - 1).map(|lower| f64::midpoint(*lower, upper)),
        false => Some(upper),
    }
}

fn measure(metrics: &mut Metrics, cases: &[Case]) -> Result<(), StageError> {
    let count = cases.len();
    let over = |term: fn(Case) -> f64| mean(count, cases.iter().map(|case| term(*case)));
    let (bias, mean_target) = (over(Case::error), over(|case| case.target));
    let squares = over(|case| case.error() * case.error());
    let about = |middle: Option<f64>, value: fn(Case) -> f64| {
        middle
            .and_then(|middle| mean(count, cases.iter().map(|case| (value(*case) - middle) * (value(*case) - middle))))
    };
    let variance = about(mean_target, |case| case.target);
    let scatter = about(bias, Case::error);
    let explained = |left: Option<f64>| {
        let (left, all) = (left?, variance.filter(|variance| *variance > 0.0)?);
        Some(1.0 - left / all).filter(|value| value.is_finite())
    };
    let absolute = |of: &dyn Fn(Case) -> f64| cases.iter().map(|case| of(*case).abs()).collect::<Vec<_>>();
    let relative: Vec<f64> =
        cases.iter().filter(|case| case.target != 0.0).map(|case| (case.error() / case.target).abs()).collect();
    let from_mean = |case: Case| case.target - mean_target.unwrap_or(0.0);
    for (name, value, goal) in [
        ("mae", over(|case| case.error().abs()), Goal::Minimize),
        ("rmse", squares.map(f64::sqrt), Goal::Minimize),
        ("median_absolute_error", median(absolute(&Case::error)), Goal::Minimize),
        ("max_error", absolute(&Case::error).into_iter().reduce(f64::max), Goal::Minimize),
        ("bias", bias, Goal::Describe),
        ("mape", mean(relative.len(), relative.iter().copied()).filter(|value| value.is_finite()), Goal::Minimize),
        ("r2", explained(squares), Goal::Maximize),
        ("explained_variance", explained(scatter), Goal::Maximize),
        ("baseline_mae", mean(count, absolute(&from_mean).into_iter()), Goal::Describe),
        ("baseline_rmse", variance.map(f64::sqrt), Goal::Describe),
        ("baseline_median_absolute_error", median(absolute(&from_mean)), Goal::Describe),
        ("rows", Some(count as f64), Goal::Describe),
    ] {
        metrics.insert(name, value, goal)?;
    }
    Ok(())
}

/// What each row adds to the measures: those that are no means are linearised. `sorted` holds the same cases.
fn losses(cases: &[Case], sorted: &[Case]) -> [Column; 4] {
    let of = |term: &dyn Fn(Case) -> f64| cases.iter().map(|case| term(*case)).collect::<Vec<f64>>();
    let mean = |term: &dyn Fn(Case) -> f64| mean(sorted.len(), sorted.iter().map(|case| term(*case))).unwrap_or(0.0);
    let square = |case: Case| case.error() * case.error();
    let mean_target = mean(&|case| case.target);
    let spread = |case: Case| (case.target - mean_target) * (case.target - mean_target);
    let (squares, variance) = (mean(&square), mean(&spread));
    let (root, r2) = (squares.sqrt(), 1.0 - squares / variance);
    let rmse = |case: Case| if root > 0.0 { root + (square(case) - squares) / (2.0 * root) } else { 0.0 };
    let share = |case: Case| {
        let value =
            r2 - (square(case) - squares) / variance + squares / variance * (spread(case) - variance) / variance;
        // As `r2` itself is undefined then.
        if value.is_finite() { value } else { 0.0 }
    };
    [
        per_row::numbers("mae", of(&|case| case.error().abs())),
        per_row::numbers("bias", of(&Case::error)),
        per_row::numbers("rmse", of(&rmse)),
        per_row::numbers("r2", of(&share)),
    ]
}

/// The errors from one number to another, and how many.
type ErrorBin = (f64, f64, u64);

/// Bins of equal width from the least error to the largest.
fn residuals(cases: &[Case], bins: usize) -> Vec<ErrorBin> {
    let errors = || cases.iter().map(|case| case.error());
    let Some((low, high)) = errors().reduce(f64::min).zip(errors().reduce(f64::max)) else { return Vec::new() };
    let bins = if high > low { bins } else { 1 };
    let edge = |index: usize| if index == bins { high } else { low + (high - low) * (index as f64 / bins as f64) };
    let mut out: Vec<ErrorBin> = (0..bins).map(|bin| (edge(bin), edge(bin + 1), 0)).collect();
    for error in errors() {
        let at = out.partition_point(|(_, upper, _)| *upper < error);
        if let Some((_, _, rows)) = out.get_mut(at) {
            *rows += 1;
        }
    }
    out
}

fn residuals_table(bins: &[ErrorBin]) -> Vec<Column> {
    vec![
        Column::new("lower".into(), bins.iter().map(|(lower, ..)| *lower).collect::<Vec<_>>()),
        Column::new("upper".into(), bins.iter().map(|(_, upper, _)| *upper).collect::<Vec<_>>()),
        counts("rows", bins.iter().map(|(.., rows)| *rows)),
    ]
}

fn residuals_figure(bins: &[ErrorBin]) -> Figure {
    let points = bins.iter().map(|(lower, upper, rows)| (f64::midpoint(*lower, *upper), Some(*rows as f64)));
    Figure::new(FigureKind::Line, "Errors", "prediction - target", "rows").with(series("rows", points))
}

/// Some rows with neighbouring predictions, on average.
struct Part {
    rows: usize,
    prediction: f64,
    target: f64,
    error: f64,
    absolute_error: f64,
}

/// The sorted cases in runs whose lengths differ by at most one.
fn parts(cases: &[Case], bins: usize) -> Vec<Part> {
    let bins = bins.min(cases.len());
    let of_bin = |bin: usize| {
        let cases = cases.get(bin * cases.len() / bins..(bin + 1) * cases.len() / bins)?;
        let over = |term: fn(Case) -> f64| mean(cases.len(), cases.iter().map(|case| term(*case)));
        Some(Part {
            rows: cases.len(),
            prediction: over(|case| case.prediction)?,
            target: over(|case| case.target)?,
            error: over(Case::error)?,
            absolute_error: over(|case| case.error().abs())?,
        })
    };
    (0..bins).filter_map(of_bin).collect()
}

fn parts_table(parts: &[Part]) -> Vec<Column> {
    let values =
        |name: &str, value: fn(&Part) -> f64| Column::new(name.into(), parts.iter().map(value).collect::<Vec<_>>());
    vec![
        counts("rows", parts.iter().map(|part| part.rows as u64)),
        values("mean_prediction", |part| part.prediction),
        values("mean_target", |part| part.target),
        values("mean_error", |part| part.error),
        values("mean_absolute_error", |part| part.absolute_error),
    ]
}

fn parts_figure(parts: &[Part]) -> Figure {
    let perfect = parts.first().into_iter().chain(parts.last()).map(|part| (part.prediction, part.prediction));
    Figure::new(FigureKind::Line, "What came of predictions", "mean prediction", "mean target")
        .with(series("model", parts.iter().map(|part| (part.prediction, Some(part.target)))))
        .with(Series::new("perfect", perfect))
}
