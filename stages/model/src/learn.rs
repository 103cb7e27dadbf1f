//! The stage type that an estimator makes.

use polars::prelude::{Column, DataFrame};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use stagewright_contract::{
    Direction, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext,
    StageError, Table, Task,
};
use stagewright_frame::{column, polars_error, to_frame, to_table};

use crate::estimator::{Estimator, Fitting};
use crate::features::Features;
use crate::predictor::Learned;
use crate::scores::{log_loss, r2, rmse};
use crate::tables::{named, of_columns, take};
use crate::target::{Label, Target};

/// What to learn from and what to predict.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The columns to predict from: numbers, booleans (false is 0, true is 1) or text (up to 1,000 categories).
    #[schemars(length(min = 1))]
    pub features: Vec<String>,
    /// The column to predict: for a classification two values (booleans, numbers or text), for a regression numbers.
    pub target: String,
    /// The value of a classification's target whose probability is predicted; without it `true`, the larger number, or
    /// the text that comes later by its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Label>,
}

impl Columns {
    /// Checks that the names fit together.
    pub(crate) fn check(&self, task: Task) -> Result<(), ParamError> {
        if self.features.is_empty() {
            return Err(ParamError::new("features", "no column to learn from is named"));
        }
        for (index, name) in self.features.iter().enumerate() {
            let path = format!("features/{index}");
            if self.features[..index].contains(name) {
                return Err(ParamError::new(path, format!("`{name}` is named twice")));
            }
            if *name == self.target {
                return Err(ParamError::new(path, format!("`{name}` is the column to predict"))
                    .with_help("take it out of `features`, or name another `target`"));
            }
        }
        if self.positive.is_some() && task == Task::Regression {
            return Err(ParamError::new("positive", "a regression has no positive class").with_help("leave it out"));
        }
        Ok(())
    }

    /// The rows of a table whose target is known, as a frame of the features, and their targets.
    pub(crate) fn read(&self, context: &StageContext, table: &Table, task: Task) -> Result<Known, StageError> {
        let frame = to_frame(table)?;
        let names = self.features.iter().map(String::as_str);
        let columns = names.map(|name| column(&frame, name).cloned()).collect::<Result<Vec<_>, _>>()?;
        let target = Target::read(&frame, &self.target, task, self.positive.as_ref())?;
        if table.is_personal(&self.target)
            && matches!(&target.classes, Some(classes) if matches!(classes.positive, Label::Text(_)))
        {
            return Err(StageError::data(format!(
                "column `{}` is personal text, and the model would keep its values",
                self.target
            ))
            .with_help("make booleans of it with `clean.derive`"));
        }
        let failed = |error| polars_error("selecting the features", &error);
        let features = DataFrame::new(frame.height(), columns).map_err(failed)?;
        let rows = frame.height();
        let Some(known) = target.known() else {
            refuse_no_rows(rows)?;
            return Ok(Known { features, target, rows: (0..rows).collect() });
        };
        refuse_no_rows(known.len())?;
        context.warn(format!("{} of {rows} rows have no `{}`: left out", rows - known.len(), self.target));
        Ok(Known { features: take(&features, &known)?, target: target.select(&known), rows: known })
    }
}

/// Rows to learn from.
pub(crate) struct Known {
    /// Their features.
    pub(crate) features: DataFrame,
    /// Their targets; none is missing.
    pub(crate) target: Target,
    /// Where they are in the table.
    pub(crate) rows: Vec<usize>,
}

fn refuse_no_rows(rows: usize) -> Result<(), StageError> {
    if rows > 0 {
        return Ok(());
    }
    Err(StageError::data("there are no rows to learn from").with_help("look at the stage that the table comes from"))
}

/// Learn with the estimator `E`: the stage type whose parameters are those of [`Columns`] and of the estimator.
#[derive(Clone, Serialize)]
pub struct Learn<E> {
    /// What to learn from and what to predict.
    #[serde(flatten)]
    pub columns: Columns,
    /// How to learn.
    #[serde(flatten)]
    pub estimator: E,
}

// Written by hand, because serde cannot refuse unknown fields of a flattened struct.
impl<'de, E: Estimator> Deserialize<'de> for Learn<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = Map::deserialize(deserializer)?;
        let mut columns = Map::new();
        for name in ["features", "target", "positive"] {
            columns.extend(rest.remove_entry(name));
        }
        let columns = serde_json::from_value(Value::Object(columns)).map_err(D::Error::custom)?;
        let estimator = serde_json::from_value(Value::Object(rest)).map_err(D::Error::custom)?;
        Ok(Self { columns, estimator })
    }
}

impl<E: Estimator> JsonSchema for Learn<E> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Learn{}", E::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The documentation is the estimator's; the columns come first.
        let mut schema = E::json_schema(generator);
        let columns = Columns::json_schema(generator);
        for key in ["properties", "required"] {
            let (Some(first), second) = (columns.get(key), schema.get(key)) else { continue };
            let merged = match (first, second) {
                (Value::Object(first), Some(Value::Object(second))) => {
                    Value::Object(first.clone().into_iter().chain(second.clone()).collect())
                }
                (Value::Array(first), Some(Value::Array(second))) => {
                    Value::Array(first.iter().chain(second).cloned().collect())
                }
                (first, _) => first.clone(),
            };
            schema.insert(key.to_owned(), merged);
        }
        schema
    }
}

impl<E: Estimator> Stage for Learn<E> {
    const TYPE: &'static str = E::TYPE;
    const EXAMPLE: &'static str = E::EXAMPLE;
    const SEEDED: bool = E::SEEDED;

    fn ports() -> Vec<Port> {
        let missing = if E::TAKES_MISSING { "; features may be missing" } else { ", none of them missing" };
        let table = format!("The rows to learn from: the columns `features`{missing}, and `target`.");
        let mut ports = vec![
            Port::input("table", Kind::Table, &table),
            Port::output("model", Kind::Model, "What was learned, for `model.predict`."),
            Port::output(
                "importance",
                Kind::Table,
                "For each feature, the most important first, ties by name: `feature`, `importance` (double, at least \
                 0; null where the estimator cannot say).",
            ),
            Port::output("figure", Kind::Figure, "The importances of up to 30 features as bars."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "About the rows learned from, which flatter the model: of a classification `train_log_loss` and \
                 `train_base_rate` (the share of the positive class), of a regression `train_rmse` and `train_r2`; \
                 `rows`; and what the estimator tells about its fitting.",
            ),
        ];
        ports.extend(E::ports());
        ports
    }

    fn check(&self) -> Result<(), ParamError> {
        self.columns.check(self.estimator.task())?;
        self.estimator.check()
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        // Nothing but names and aggregates; a column of ours that happens to bear the name of a personal one is marked
        // when it is put out.
        let named = named(inputs, &[&["feature", "importance"], E::TABLE_COLUMNS].concat());
        Self::ports()
            .into_iter()
            .filter(|port| port.direction == Direction::Output && port.kind == Kind::Table)
            .map(|port| (port.name, named.clone()))
            .collect()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let task = self.estimator.task();
        let known = self.columns.read(context, &table, task)?;
        if E::KEEPS_ROWS {
            refuse_personal(&table, &self.columns.features)?;
        }
        let (features, matrix) =
            Features::learn(&table, &known.features, &self.columns.features, self.estimator.categories())?;
        if !E::TAKES_MISSING {
            features.refuse_missing_values(&matrix)?;
        }
        context.check_cancelled()?;
        let names = features.matrix_names();
        let target = &known.target.values;
        let fit = self.estimator.fit(&Fitting { context, matrix: &matrix, names: &names, target, purpose: "fit" })?;
        for warning in fit.warnings {
            context.warn(warning);
        }

        let importance = ranked(&features, &fit.importance);
        context.put("figure", importance_figure("Feature importance", "importance", &importance))?;
        context.put("importance", importance_table(&importance)?)?;
        for (port, frame) in fit.tables {
            context.put(port, to_table(frame)?)?;
        }
        let learned = Learned {
            encodings: features.0.iter().map(|feature| feature.encoding.clone()).collect(),
            classes: known.target.classes.clone(),
            ..Learned::new(fit.predictor)
        };
        let predicted = learned.predict_matrix(&matrix);
        let pairs: Vec<(f64, f64)> =
            predicted.iter().zip(target).filter_map(|(value, target)| value.map(|value| (value, *target))).collect();
        let rows = target.len();
        if pairs.len() < rows {
            return Err(StageError::data("the values are too large: predictions overflow")
                .with_help("scale the features and the target"));
        }
        let mut metrics = Metrics::new();
        match task {
            Task::Classification => {
                metrics.insert("train_log_loss", log_loss(&pairs), Goal::Minimize)?;
                let positives = target.iter().sum::<f64>();
                metrics.insert("train_base_rate", Some(positives / rows as f64), Goal::Describe)?;
            }
            Task::Regression => {
                metrics.insert("train_rmse", rmse(&pairs), Goal::Minimize)?;
                metrics.insert("train_r2", r2(&pairs), Goal::Maximize)?;
            }
        }
        metrics.insert("rows", Some(rows as f64), Goal::Describe)?;
        for (name, value, goal) in fit.metrics {
            metrics.insert(name, value, goal)?;
        }
        context.put("metrics", metrics)?;
        context.put("model", learned.into_model(E::TYPE, task, &features, &self.columns.target, rows)?)
    }
}

fn refuse_personal(table: &Table, features: &[String]) -> Result<(), StageError> {
    match features.iter().find(|name| table.is_personal(name)) {
        None => Ok(()),
        Some(name) => {
            Err(StageError::data(format!("column `{name}` is personal, and the model would keep rows of the table"))
                .with_help("leave it out, or use another estimator"))
        }
    }
}

/// The features and their importances, the most important first, ties by name.
pub(crate) fn ranked(features: &Features, importance: &[f64]) -> Vec<(String, Option<f64>)> {
    let mut ranked: Vec<(String, Option<f64>)> = features
        .0
        .iter()
        .zip(features.places())
        .map(|(feature, (first, width))| {
            let sum = importance.get(first..first + width).map(|parts| parts.iter().sum::<f64>());
            (feature.column.name.clone(), sum.filter(|sum| sum.is_finite()))
        })
        .collect();
    sort_by_importance(&mut ranked);
    ranked
}

/// Sorts the most important first, ties by name, those without one last.
pub(crate) fn sort_by_importance(ranked: &mut [(String, Option<f64>)]) {
    let value = |importance: Option<f64>| importance.unwrap_or(f64::NEG_INFINITY);
    ranked.sort_by(|a, b| value(b.1).total_cmp(&value(a.1)).then_with(|| a.0.cmp(&b.0)));
}

fn importance_table(ranked: &[(String, Option<f64>)]) -> Result<Table, StageError> {
    let (names, values): (Vec<&str>, Vec<Option<f64>>) =
        ranked.iter().map(|(name, value)| (name.as_str(), *value)).unzip();
    of_columns(vec![Column::new("feature".into(), names), Column::new("importance".into(), values)])
}

/// Importances as bars, up to 30 of them.
pub(crate) fn importance_figure(title: &str, label: &str, ranked: &[(String, Option<f64>)]) -> Figure {
    let bars = ranked.iter().take(30).filter_map(|(name, value)| value.map(|value| (name.as_str(), value)));
    Figure::new(FigureKind::Bar, title, "feature", label).with(Series::new(label, bars))
}
