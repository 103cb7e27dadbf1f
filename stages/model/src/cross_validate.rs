use polars::prelude::{Column, DataFrame, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Digest, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext,
    StageError, Table, Task,
};
use stagewright_frame::{Ids, column, polars_error, to_frame};

use crate::estimator::{AnyEstimator, Fitting};
use crate::features::{Features, floats};
use crate::folds::{Fold, expanding, grouped, shuffled, stratified};
use crate::learn::{Columns, Known};
use crate::predictor::Learned;
use crate::scores::Score;
use crate::tables::{named, of_columns, take, with_columns};
use crate::target::Label;

/// Judge an estimator by cross-validation: learn from a part of the rows, test on the rest, in turn.
///
/// `k_fold` shuffles the rows into `n_splits` folds and tests each by what was learned from the others; `stratified`
/// also spreads the classes evenly; `grouped` keeps the rows of one value of `group` together, so that, say, no customer
/// is in both parts: the largest group first, each to the fold with the fewest rows. `time` never learns from the
/// future: rows in the order of `time` are cut into `n_splits` + 1 blocks of about the same size, rows of one time
/// together, and each block but the first is tested by what was learned from all before it (scikit-learn's
/// `TimeSeriesSplit`). Everything is learned anew in each fold, the categories of text columns too. Scores are
/// scikit-learn's, on the tested rows of each fold, `accuracy` and `f1` at the threshold 0.5; the metrics are their
/// means over the folds, unweighted, and standard deviations (divided by folds - 1). Rows without a target, group or
/// time are left out with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossValidate {
    /// The columns to predict from: numbers, booleans (false is 0, true is 1) or text (up to 1,000 categories).
    #[schemars(length(min = 1))]
    pub features: Vec<String>,
    /// The column to predict: for a classification two values, for a regression numbers.
    pub target: String,
    /// The value of a classification's target whose probability is predicted; without it `true`, the larger number, or
    /// the text that comes later by its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Label>,
    /// What learns: its `type`, the name of a stage type of this crate without `model.`, and the parameters of that
    /// stage type.
    pub estimator: AnyEstimator,
    /// How rows are divided; without it `stratified` for a classification and `k_fold` for a regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FoldMethod>,
    /// The number of folds.
    #[serde(default = "five")]
    #[schemars(range(min = 2, max = 1000))]
    pub n_splits: usize,
    /// With `grouped`, the column (integers or text) whose equal values stay together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// With `time`, the column that says when: a date, a timestamp, or a number such as an order number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// How rows are divided into folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldMethod {
    /// At random.
    KFold,
    /// At random, with the classes spread evenly.
    Stratified,
    /// By groups.
    Grouped,
    /// By time.
    Time,
}

fn five() -> usize {
    5
}

impl Stage for CrossValidate {
    const TYPE: &'static str = "model.cross_validate";
    const EXAMPLE: &'static str = "\
inputs: { table: history }
with:
  features: [order_number, days_since_prior_order, department_id]
  target: reordered
  estimator: { type: logistic, C: 1 }
  method: grouped
  group: user_id";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "The features, the target and, where needed, the group or the time."),
            Port::output(
                "folds",
                Kind::Table,
                "For each fold: `fold` (int64, from 1), `train_rows`, `test_rows` (int64), and the scores: of a \
                 classification `roc_auc`, `average_precision`, `log_loss`, `brier`, `accuracy`, `f1`, of a regression \
                 `r2`, `rmse`, `mae` (double; null where undefined).",
            ),
            Port::output(
                "table",
                Kind::Table,
                "The tested rows with all columns, in their order: `fold` (int64), `probability` (double; of a \
                 classification) and `prediction` (as the target) of the fold that did not learn from the row.",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "For each score its mean over the folds, under its name, and its standard deviation as `…_std`; \
                 `folds`, `rows` tested.",
            ),
            Port::output("figure", Kind::Figure, "`roc_auc`, or `r2`, of each fold as bars."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.columns().check(self.estimator.task())?;
        self.estimator.check().map_err(|error| ParamError { path: format!("estimator/{}", error.path), ..error })?;
        let needs =
            |param: &str, given: bool, wanted: FoldMethod, name: &str| match (self.method == Some(wanted), given) {
                (true, false) => Err(ParamError::new(param, format!("`method: {name}` needs the column `{param}`"))),
                (false, true) => {
                    Err(ParamError::new(param, format!("`{param}` has a meaning only with `method: {name}`"))
                        .with_help(format!("set `method: {name}`, or leave it out")))
                }
                _ => Ok(()),
            };
        needs("group", self.group.is_some(), FoldMethod::Grouped, "grouped")?;
        needs("time", self.time.is_some(), FoldMethod::Time, "time")?;
        if self.method == Some(FoldMethod::Stratified) && self.estimator.task() == Task::Regression {
            return Err(ParamError::new("method", "a regression has no classes to spread evenly")
                .with_help("use `k_fold`, `grouped` or `time`"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let mut ours = vec!["fold", "train_rows", "test_rows"];
        ours.extend(Score::all(self.estimator.task()).iter().map(|score| score.name()));
        let all = inputs.values().flatten().cloned().collect();
        PersonalColumns::from([("folds".to_owned(), named(inputs, &ours)), ("table".to_owned(), all)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let known = self.columns().read(context, &table, self.estimator.task())?;
        let folds = self.folds(context, &frame, &known)?;
        let mut predicted: Vec<Option<(usize, Option<f64>)>> = vec![None; known.rows.len()];
        let mut scores = Vec::new();
        for (at, fold) in folds.iter().enumerate() {
            context.check_cancelled()?;
            context.progress(at as u64, folds.len() as u64);
            let values = self
                .predict(context, &table, &known, fold, at + 1)
                .map_err(|error| StageError { message: format!("fold {}: {}", at + 1, error.message), ..error })?;
            let truth = fold.test.iter().map(|&row| known.target.values[row]);
            let pairs: Vec<(f64, f64)> =
                values.iter().zip(truth).filter_map(|(value, truth)| value.map(|value| (value, truth))).collect();
            scores.push(Score::all(self.estimator.task()).iter().map(|score| score.of(&pairs)).collect::<Vec<_>>());
            for (&row, value) in fold.test.iter().zip(values) {
                predicted[row] = Some((at + 1, value));
            }
        }
        let without = predicted.iter().filter(|row| matches!(row, Some((_, None)))).count();
        if without > 0 {
            context
                .warn(format!("{without} of {} tested rows have no prediction: a feature is missing", predicted.len()));
        }
        self.put_folds(context, &folds, &scores)?;
        self.put_metrics(context, &known, &predicted, &scores)?;
        self.put_table(context, &frame, &known, &predicted)
    }
}

impl CrossValidate {
    fn columns(&self) -> Columns {
        Columns { features: self.features.clone(), target: self.target.clone(), positive: self.positive.clone() }
    }

    /// The folds, in positions among the known rows.
    fn folds(&self, context: &StageContext, frame: &DataFrame, known: &Known) -> Result<Vec<Fold>, StageError> {
        let rows = known.rows.len();
        let stratify = self.estimator.task() == Task::Classification;
        let method = self.method.unwrap_or(if stratify { FoldMethod::Stratified } else { FoldMethod::KFold });
        let folds = self.n_splits;
        // Rows without a group or a time are in no fold: folds of the others are mapped to positions.
        let among = |kept: Vec<usize>, name: &str, folds: Vec<Fold>| {
            if kept.len() < rows {
                context.warn(format!("{} of {rows} rows have no `{name}`: left out", rows - kept.len()));
            }
            let map = |rows: Vec<usize>| rows.into_iter().map(|at| kept[at]).collect();
            folds.into_iter().map(|fold| Fold { train: map(fold.train), test: map(fold.test) }).collect::<Vec<_>>()
        };
        let (found, what) = match method {
            FoldMethod::KFold => (shuffled(rows, folds, &mut context.rng("folds")), "rows"),
            FoldMethod::Stratified => (stratified(&known.target.values, folds, &mut context.rng("folds")), "rows"),
            FoldMethod::Grouped => {
                let name = self.group.as_deref().unwrap_or_default();
                let codes = Ids::of(name, &[("table", frame)])?.codes(frame)?;
                let kept: Vec<usize> = (0..rows).filter(|&at| codes[known.rows[at]].is_some()).collect();
                let groups: Vec<u32> = kept.iter().filter_map(|&at| codes[known.rows[at]]).collect();
                (among(kept, name, grouped(&groups, folds)), "groups")
            }
            FoldMethod::Time => {
                let name = self.time.as_deref().unwrap_or_default();
                let times = times(frame, name)?;
                let kept: Vec<usize> = (0..rows).filter(|&at| !times[known.rows[at]].is_nan()).collect();
                let of_kept: Vec<f64> = kept.iter().map(|&at| times[known.rows[at]]).collect();
                (among(kept, name, expanding(&of_kept, folds)), "different times")
            }
        };
        if found.iter().any(|fold| fold.test.is_empty() || fold.train.is_empty()) {
            return Err(StageError::data(format!("there are too few {what} for {folds} folds"))
                .with_help("lower `n_splits`, or look at the stage that the table comes from"));
        }
        Ok(found)
    }

    /// What is predicted for the tested rows of a fold.
    fn predict(
        &self,
        context: &StageContext,
        table: &Table,
        known: &Known,
        fold: &Fold,
        number: usize,
    ) -> Result<Vec<Option<f64>>, StageError> {
        let target: Vec<f64> = fold.train.iter().map(|&row| known.target.values[row]).collect();
        if known.target.classes.is_some() && target.iter().all(|value| *value == target[0]) {
            return Err(StageError::data(format!("all rows to learn from have the same `{}`", self.target))
                .with_help("use fewer folds, or `method: stratified`"));
        }
        let train = take(&known.features, &fold.train)?;
        let (features, matrix) = Features::learn(table, &train, &self.features, self.estimator.categories())?;
        if !self.estimator.takes_missing() {
            features.refuse_missing_values(&matrix)?;
        }
        let names = features.matrix_names();
        let purpose = format!("fold {number}");
        let fitting = Fitting { context, matrix: &matrix, names: &names, target: &target, purpose: &purpose };
        let fit = self.estimator.fit(&fitting)?;
        for warning in fit.warnings {
            context.warn(format!("fold {number}: {warning}"));
        }
        // Values outside the range of the training rows are what a test is for: no warning.
        let tested = features.encode(&take(&known.features, &fold.test)?)?;
        Ok(Learned::new(fit.predictor).predict_matrix(&tested.matrix))
    }

    fn put_folds(
        &self,
        context: &mut StageContext,
        folds: &[Fold],
        scores: &[Vec<Option<f64>>],
    ) -> Result<(), StageError> {
        let int = |name: &str, of: &dyn Fn(usize) -> usize| {
            Column::new(name.into(), (0..folds.len()).map(|at| of(at) as i64).collect::<Vec<_>>())
        };
        let mut columns = vec![
            int("fold", &|at| at + 1),
            int("train_rows", &|at| folds[at].train.len()),
            int("test_rows", &|at| folds[at].test.len()),
        ];
        for (at, score) in Score::all(self.estimator.task()).iter().enumerate() {
            let values: Vec<Option<f64>> = scores.iter().map(|scores| scores[at]).collect();
            columns.push(Column::new(score.name().into(), values));
        }
        context.put("folds", of_columns(columns)?)?;
        let first = Score::all(self.estimator.task())[0].name();
        let bars = scores.iter().enumerate();
        let bars = bars.filter_map(|(at, scores)| scores[0].map(|value| ((at + 1).to_string(), value)));
        let title = format!("Cross-validation of {}", self.target);
        context.put("figure", Figure::new(FigureKind::Bar, title, "fold", first).with(Series::new(first, bars)))
    }

    fn put_metrics(
        &self,
        context: &mut StageContext,
        known: &Known,
        predicted: &[Option<(usize, Option<f64>)>],
        scores: &[Vec<Option<f64>>],
    ) -> Result<(), StageError> {
        // Two results are comparable when the same rows were tested in the same folds.
        let mut units = Vec::new();
        for (row, fold) in predicted.iter().enumerate() {
            let Some((fold, _)) = fold else { continue };
            units.extend((known.rows[row] as u64).to_le_bytes());
            units.extend((*fold as u64).to_le_bytes());
            units.extend(known.target.values[row].to_le_bytes());
        }
        let tested = predicted.iter().flatten().count();
        let mut metrics = Metrics::new().over("row", tested as u64, Digest::of(&units));
        for (at, score) in Score::all(self.estimator.task()).iter().enumerate() {
            let values: Vec<f64> = scores.iter().filter_map(|scores| scores[at]).collect();
            let count = values.len() as f64;
            let mean = (count > 0.0).then(|| values.iter().sum::<f64>() / count).filter(|mean| mean.is_finite());
            let std = mean
                .filter(|_| count > 1.0)
                .map(|mean| (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt());
            metrics.insert(score.name(), mean, score.goal())?;
            metrics.insert(format!("{}_std", score.name()), std.filter(|std| std.is_finite()), Goal::Describe)?;
        }
        metrics.insert("folds", Some(scores.len() as f64), Goal::Describe)?;
        metrics.insert("rows", Some(tested as f64), Goal::Describe)?;
        context.put("metrics", metrics)
    }

    fn put_table(
        &self,
        context: &mut StageContext,
        frame: &DataFrame,
        known: &Known,
        predicted: &[Option<(usize, Option<f64>)>],
    ) -> Result<(), StageError> {
        let rows: Vec<usize> = (0..predicted.len()).filter(|&row| predicted[row].is_some()).collect();
        let tested: Vec<(usize, Option<f64>)> = predicted.iter().flatten().copied().collect();
        let folds: Vec<i64> = tested.iter().map(|(fold, _)| *fold as i64).collect();
        let values: Vec<Option<f64>> = tested.iter().map(|(_, value)| *value).collect();
        let mut columns = vec![Column::new("fold".into(), folds)];
        match &known.target.classes {
            Some(classes) => {
                let positive: Vec<Option<bool>> = values.iter().map(|value| value.map(|value| value >= 0.5)).collect();
                columns.push(Column::new("probability".into(), values));
                columns.push(classes.column("prediction", &positive));
            }
            None => columns.push(Column::new("prediction".into(), values)),
        }
        let rows: Vec<usize> = rows.into_iter().map(|row| known.rows[row]).collect();
        let frame = take(frame, &rows)?;
        context.put("table", with_columns(&frame, &columns, "the input, with `clean.rename`")?)
    }
}

/// A time column as numbers; NaN where there is none.
fn times(frame: &DataFrame, name: &str) -> Result<Vec<f64>, StageError> {
    let column = column(frame, name)?;
    if !matches!(column.dtype(), DataType::Date | DataType::Datetime(..)) {
        return floats(frame, name);
    }
    let failed = |error| polars_error(&format!("reading column `{name}`"), &error);
    let physical = column.cast(&DataType::Int64).map_err(failed)?;
    floats(&DataFrame::new_infer_height(vec![physical]).map_err(failed)?, name)
}
