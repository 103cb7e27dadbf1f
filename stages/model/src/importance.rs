use polars::prelude::Column;
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Goal, Kind, Metrics, Model, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, Table, Task,
};
use stagewright_frame::to_frame;

use crate::features::Features;
use crate::learn::{importance_figure, ranked};
use crate::matrix::{Matrix, mean_and_std};
use crate::predictor::{Learned, Predictor};
use crate::scores::Score;
use crate::tables::{named, of_columns, take};
use crate::target::Target;

/// Tell how much each feature of a model matters.
///
/// `permutation` (Breiman 2001; scikit-learn's `permutation_importance`): how much worse `score` becomes on the table
/// when the values of one feature are shuffled between rows, the mean and population standard deviation over
/// `n_repeats` shuffles. Measured on rows that the model has not learned from, it tells what the model's skill rests on;
/// features that stand in for each other share theirs. Zero or below means that the model does without. `coefficients`,
/// for linear models: the absolute coefficient times the population standard deviation of the column in the table, added
/// up over the categories of a text column; it needs no target. Rows without a target or a prediction are left out, with
/// a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Importance {
    /// How importance is measured.
    #[serde(default)]
    pub method: ImportanceMethod,
    /// The figure of merit that gets worse; without it `roc_auc` for a classification and `r2` for a regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// How often each feature is shuffled.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1000))]
    pub n_repeats: usize,
    /// The largest number of rows to measure on, drawn at random where there are more; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub max_samples: Option<usize>,
}

/// How importance is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceMethod {
    /// By shuffling a feature.
    #[default]
    Permutation,
    /// By the coefficients of a linear model.
    Coefficients,
}

fn five() -> usize {
    5
}

impl Stage for Importance {
    const TYPE: &'static str = "model.importance";
    const EXAMPLE: &'static str = "\
inputs: { model: learn.model, table: split.test }
with: { method: permutation, score: roc_auc, n_repeats: 10 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("model", Kind::Model, "A model of any learning stage of this crate."),
            Port::input("table", Kind::Table, "The model's features and, for `permutation`, its target."),
            Port::output(
                "table",
                Kind::Table,
                "For each feature, the most important first, ties by name: `feature`, `importance`, `std` (double; \
                 null for `coefficients`).",
            ),
            Port::output("figure", Kind::Figure, "The importances of up to 30 features as bars."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`rows` measured on and, for `permutation`, the score itself without shuffling.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.method == ImportanceMethod::Coefficients && self.score.is_some() {
            return Err(ParamError::new("score", "`method: coefficients` has no score").with_help("leave it out"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::from([("table".to_owned(), named(inputs, &["feature", "importance", "std"]))])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let model = context.model("model")?;
        let table = context.table("table")?;
        let (features, learned) = Learned::of(&model)?;
        let mut metrics = Metrics::new();
        let (measured, label) = match self.method {
            ImportanceMethod::Coefficients => {
                let measured = coefficients(&features, &learned, &table, &mut metrics)?;
                (measured, "|coefficient| × standard deviation".to_owned())
            }
            ImportanceMethod::Permutation => {
                let score = self.score(&model)?;
                let measured = self.permutation(context, score, &model, &features, &learned, &table, &mut metrics)?;
                let label = match score.goal() {
                    Goal::Minimize => format!("increase of {}", score.name()),
                    _ => format!("decrease of {}", score.name()),
                };
                (measured, label)
            }
        };
        let ranked: Vec<(String, Option<f64>)> =
            measured.iter().map(|(name, value, _)| (name.clone(), *value)).collect();
        context.put("figure", importance_figure("Feature importance", &label, &ranked))?;
        let names: Vec<&str> = measured.iter().map(|(name, ..)| name.as_str()).collect();
        context.put(
            "table",
            of_columns(vec![
                Column::new("feature".into(), names),
                Column::new("importance".into(), measured.iter().map(|(_, value, _)| *value).collect::<Vec<_>>()),
                Column::new("std".into(), measured.iter().map(|(.., std)| *std).collect::<Vec<_>>()),
            ])?,
        )?;
        context.put("metrics", metrics)
    }
}

/// A feature, its importance, and the standard deviation of that.
type Measured = (String, Option<f64>, Option<f64>);

impl Importance {
    fn score(&self, model: &Model) -> Result<Score, StageError> {
        let fitting = Score::all(model.task);
        match self.score {
            None => Ok(fitting[0]),
            Some(score) if fitting.contains(&score) => Ok(score),
            Some(score) => {
                let task = if model.task == Task::Regression { "regression" } else { "classification" };
                let names: Vec<&str> = fitting.iter().map(|score| score.name()).collect();
                Err(StageError::data(format!("`{}` is no score of a {task}", score.name()))
                    .with_help(format!("use one of: {}", names.join(", "))))
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what the stage has at hand")]
    fn permutation(
        &self,
        context: &StageContext,
        score: Score,
        model: &Model,
        features: &Features,
        learned: &Learned,
        table: &Table,
        metrics: &mut Metrics,
    ) -> Result<Vec<Measured>, StageError> {
        let frame = to_frame(table)?;
        let target = Target::read_as(&frame, &model.target, learned.classes.as_ref())?;
        let mut rows: Vec<usize> = (0..frame.height()).filter(|row| !target.values[*row].is_nan()).collect();
        if rows.len() < frame.height() {
            context.warn(format!(
                "{} of {} rows have no `{}`: left out",
                frame.height() - rows.len(),
                frame.height(),
                model.target
            ));
        }
        if let Some(most) = self.max_samples.filter(|most| *most < rows.len()) {
            let mut drawn = rand::seq::index::sample(&mut context.rng("sample"), rows.len(), most).into_vec();
            drawn.sort_unstable();
            rows = drawn.into_iter().map(|at| rows[at]).collect();
        }
        let encoded = features.encode(&take(&frame, &rows)?)?;
        encoded.warnings.into_iter().for_each(|warning| context.warn(warning));
        let mut matrix = encoded.matrix;
        let target: Vec<f64> = rows.iter().map(|&row| target.values[row]).collect();

        let (base, without) = measure(score, learned, &matrix, &target);
        if without > 0 {
            context.warn(format!("{without} of {} rows have no prediction: left out", rows.len()));
        }
        let base = base.ok_or_else(|| {
            StageError::data(format!("`{}` is not defined on the {} rows of the table", score.name(), rows.len()))
                .with_help("measure on more rows: both classes, or different values of the target, must occur")
        })?;
        metrics.insert(score.name(), Some(base), score.goal())?;
        metrics.insert("rows", Some((rows.len() - without) as f64), Goal::Describe)?;

        let sign = if score.goal() == Goal::Minimize { 1.0 } else { -1.0 };
        let total = (features.0.len() * self.n_repeats) as u64;
        let mut measured = Vec::new();
        for (feature, (first, width)) in features.0.iter().zip(features.places()) {
            let name = &feature.column.name;
            let mut losses = Vec::new();
            for repeat in 0..self.n_repeats {
                context.check_cancelled()?;
                context.progress((measured.len() * self.n_repeats + repeat) as u64, total);
                let mut order: Vec<usize> = (0..rows.len()).collect();
                order.shuffle(&mut context.rng(&format!("shuffle {name} {repeat}")));
                let mut shuffled: Vec<Vec<f64>> = (first..first + width)
                    .map(|column| order.iter().map(|&row| matrix.column(column)[row]).collect())
                    .collect();
                matrix.swap(first, &mut shuffled);
                losses.extend(measure(score, learned, &matrix, &target).0.map(|value| sign * (value - base)));
                matrix.swap(first, &mut shuffled);
            }
            let (mean, std) = mean_and_std(&losses);
            let known = !losses.is_empty();
            measured.push((name.clone(), known.then_some(mean), known.then_some(std)));
        }
        let value = |importance: Option<f64>| importance.unwrap_or(f64::NEG_INFINITY);
        measured.sort_by(|a, b| value(b.1).total_cmp(&value(a.1)).then_with(|| a.0.cmp(&b.0)));
        Ok(measured)
    }
}

/// The score, and over how many rows it is not because they have no prediction.
fn measure(score: Score, learned: &Learned, matrix: &Matrix, target: &[f64]) -> (Option<f64>, usize) {
    let predicted = learned.predict_matrix(matrix);
    let pairs: Vec<(f64, f64)> =
        predicted.iter().zip(target).filter_map(|(value, target)| value.map(|value| (value, *target))).collect();
    (score.of(&pairs), target.len() - pairs.len())
}

fn coefficients(
    features: &Features,
    learned: &Learned,
    table: &Table,
    metrics: &mut Metrics,
) -> Result<Vec<Measured>, StageError> {
    let Predictor::Linear(linear) = &learned.predictor else {
        return Err(
            StageError::data("the model is not linear, it has no coefficients").with_help("use `method: permutation`")
        );
    };
    let matrix = features.encode(&to_frame(table)?)?.matrix;
    metrics.insert("rows", Some(matrix.rows() as f64), Goal::Describe)?;
    let importance: Vec<f64> = linear
        .coefficients
        .iter()
        .zip(matrix.columns())
        .map(|(coefficient, column)| {
            let known: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
            (coefficient * mean_and_std(&known).1).abs()
        })
        .collect();
    Ok(ranked(features, &importance).into_iter().map(|(name, value)| (name, value, None)).collect())
}
