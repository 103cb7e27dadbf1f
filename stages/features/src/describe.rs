use polars::prelude::{Column, DataFrame, DataType, PlHashMap};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, Table,
};
use stagewright_frame::{polars_error, require, to_frame, to_table};

use crate::category::{marked_by_name, no_repeats};
use crate::duplicates::duplicate_rows;
use crate::keys::rows_have;
use crate::summary::Summary;

/// Describe a table: the type, nulls, distinct values and statistics of each column.
///
/// Numbers are described as by `pandas.describe`: mean, sample standard deviation (divided by n - 1), least and
/// greatest value, and the quartiles, interpolated between the two nearest values; all of them in the unit of the
/// column. Of text and booleans, `top` is the most frequent value (of equally frequent ones the least) and `top_count`
/// how often it occurs; of dates and times, `earliest` and `latest` are the first and the last. Null and NaN are
/// counted as nulls and take part in nothing else; infinite numbers are left out of the statistics with a warning. Of a
/// personal column nothing is told but its type and its counts. A duplicate row equals an earlier one in every column.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Describe {
    /// The columns to describe; without it, all of them. Duplicate rows are those of the whole table either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
}

const OUTPUT: [&str; 18] = [
    "column",
    "type",
    "personal",
    "rows",
    "nulls",
    "null_share",
    "distinct",
    "mean",
    "std",
    "min",
    "q25",
    "median",
    "q75",
    "max",
    "earliest",
    "latest",
    "top",
    "top_count",
];

impl Stage for Describe {
    const TYPE: &'static str = "features.describe";
    const EXAMPLE: &'static str = "inputs: { table: purchases }\nwith: {}";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table."),
            Port::output(
                "table",
                Kind::Table,
                "One row per column, in their order: `column`, `type` (string), `personal` (bool), `rows`, `nulls` \
                 (int64), `null_share` (double, 0 to 1), `distinct` (int64), `mean`, `std`, `min`, `q25`, `median`, \
                 `q75`, `max` (double), `earliest`, `latest`, `top` (string), `top_count` (int64).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the whole table `rows`, `duplicate_rows` and `columns`; of the columns described `nulls`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        no_repeats("columns", self.columns.as_deref().unwrap_or_default())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        [("table".to_owned(), marked_by_name(inputs, OUTPUT))].into()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        require(&frame, self.columns.iter().flatten().map(String::as_str))?;
        let described: Vec<(&Column, String)> = match &self.columns {
            None => frame.columns().iter().zip(table.schema()).map(|(column, info)| (column, info.dtype)).collect(),
            Some(names) => names.iter().filter_map(|name| typed(&frame, &table, name)).collect(),
        };
        let sheets = described
            .par_iter()
            .map(|(column, _)| {
                context.check_cancelled()?;
                Sheet::of(column, table.is_personal(column.name()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        for ((column, _), sheet) in described.iter().zip(&sheets).filter(|(_, sheet)| sheet.infinite > 0) {
            context.warn(format!(
                "{} an infinite value in column `{}`: left out of its statistics",
                rows_have(sheet.infinite),
                column.name()
            ));
        }
        context.check_cancelled()?;

        let rows = frame.height();
        // A column whose values all differ makes all rows differ.
        let unique = rows == 0 || sheets.iter().any(|sheet| sheet.nulls == 0 && sheet.distinct == rows);
        let mut metrics = Metrics::new();
        let mut metric = |name: &str, value: usize| metrics.insert(name, Some(value as f64), Goal::Describe);
        metric("rows", rows)?;
        metric("duplicate_rows", if unique { 0 } else { duplicate_rows(&frame)? })?;
        metric("columns", table.columns().len())?;
        metric("nulls", sheets.iter().map(|sheet| sheet.nulls).sum())?;
        context.put("metrics", metrics)?;

        let counts = |of: fn(&Sheet) -> usize| sheets.iter().map(|sheet| of(sheet) as i64).collect::<Vec<_>>();
        let numbers = |of: fn(&Summary) -> Option<f64>| {
            sheets.iter().map(|sheet| sheet.summary.as_ref().and_then(of)).collect::<Vec<_>>()
        };
        let texts = |of: fn(&Sheet) -> Option<&String>| {
            sheets.iter().map(|sheet| of(sheet).map(String::as_str)).collect::<Vec<_>>()
        };
        let names: Vec<&str> = described.iter().map(|(column, _)| column.name().as_str()).collect();
        let shares: Vec<Option<f64>> =
            sheets.iter().map(|sheet| (rows > 0).then(|| sheet.nulls as f64 / rows as f64)).collect();
        let out = vec![
            Column::new("column".into(), &names),
            Column::new("type".into(), described.iter().map(|(_, dtype)| dtype.as_str()).collect::<Vec<_>>()),
            Column::new("personal".into(), names.iter().map(|name| table.is_personal(name)).collect::<Vec<_>>()),
            Column::new("rows".into(), vec![rows as i64; sheets.len()]),
            Column::new("nulls".into(), counts(|sheet| sheet.nulls)),
            Column::new("null_share".into(), shares),
            Column::new("distinct".into(), counts(|sheet| sheet.distinct)),
            Column::new("mean".into(), numbers(|summary| summary.mean)),
            Column::new("std".into(), numbers(|summary| summary.std)),
            Column::new("min".into(), numbers(|summary| summary.min)),
            Column::new("q25".into(), numbers(|summary| summary.q25)),
            Column::new("median".into(), numbers(|summary| summary.median)),
            Column::new("q75".into(), numbers(|summary| summary.q75)),
            Column::new("max".into(), numbers(|summary| summary.max)),
            Column::new("earliest".into(), texts(|sheet| sheet.earliest.as_ref())),
            Column::new("latest".into(), texts(|sheet| sheet.latest.as_ref())),
            Column::new("top".into(), texts(|sheet| sheet.top.as_ref())),
            Column::new("top_count".into(), sheets.iter().map(|sheet| sheet.top_count).collect::<Vec<_>>()),
        ];
        let out = DataFrame::new(sheets.len(), out).map_err(|error| polars_error("describing the table", &error))?;
        context.put("table", to_table(out)?)
    }
}

/// A column by name, with its Arrow type.
fn typed<'a>(frame: &'a DataFrame, table: &Table, name: &str) -> Option<(&'a Column, String)> {
    let dtype = table.schema().into_iter().find(|info| info.name == *name)?.dtype;
    frame.columns().iter().find(|column| column.name() == name).map(|column| (column, dtype))
}

/// What is told about a column.
#[derive(Default)]
struct Sheet {
    nulls: usize,
    infinite: usize,
    distinct: usize,
    summary: Option<Summary>,
    earliest: Option<String>,
    latest: Option<String>,
    top: Option<String>,
    top_count: Option<i64>,
}

impl Sheet {
    fn of(column: &Column, personal: bool) -> Result<Self, StageError> {
        let mut sheet = match column.dtype() {
            dtype if dtype.is_primitive_numeric() => Self::of_numbers(column)?,
            DataType::String | DataType::Boolean => Self::of_text(column)?,
            dtype => Self::of_others(column, dtype.is_temporal())?,
        };
        if personal {
            sheet = Self { nulls: sheet.nulls, distinct: sheet.distinct, ..Self::default() };
        }
        Ok(sheet)
    }

    fn of_numbers(column: &Column) -> Result<Self, StageError> {
        let values = column.cast(&DataType::Float64).map_err(|error| reading(column, &error))?;
        let values = values.f64().map_err(|error| reading(column, &error))?;
        let mut known = Vec::with_capacity(values.len());
        let (mut infinite, mut highest, mut lowest) = (0, false, false);
        for value in values.iter().flatten().filter(|value| !value.is_nan()) {
            if value.is_finite() {
                known.push(value);
            } else {
                infinite += 1;
                (highest, lowest) = (highest || value > 0.0, lowest || value < 0.0);
            }
        }
        let nulls = column.len() - known.len() - infinite;
        let summary = Summary::of(known);
        // Beyond 2^53, different integers may be one double.
        let exact = column.dtype().is_float()
            || [summary.min, summary.max].into_iter().flatten().all(|value| value.abs() < 9_007_199_254_740_992.0);
        let distinct =
            if exact { summary.distinct + usize::from(highest) + usize::from(lowest) } else { distinct(column)? };
        Ok(Self { nulls, infinite, distinct, summary: Some(summary), ..Self::default() })
    }

    fn of_text(column: &Column) -> Result<Self, StageError> {
        let texts = column.cast(&DataType::String).map_err(|error| reading(column, &error))?;
        let texts = texts.str().map_err(|error| reading(column, &error))?;
        let mut counts: PlHashMap<&str, i64> = PlHashMap::default();
        texts.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
        let top = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        Ok(Self {
            nulls: column.null_count(),
            distinct: counts.len(),
            top: top.map(|(text, _)| (*text).to_owned()),
            top_count: top.map(|(_, count)| *count),
            ..Self::default()
        })
    }

    fn of_others(column: &Column, temporal: bool) -> Result<Self, StageError> {
        let mut sheet = Self { nulls: column.null_count(), distinct: distinct(column)?, ..Self::default() };
        if temporal && sheet.nulls < column.len() {
            let extreme = |scalar: Result<polars::prelude::Scalar, _>| {
                scalar.map(|scalar| scalar.value().to_string()).map_err(|error| reading(column, &error))
            };
            sheet.earliest = Some(extreme(column.min_reduce())?);
            sheet.latest = Some(extreme(column.max_reduce())?);
        }
        Ok(sheet)
    }
}

/// How many different values a column has besides null.
fn distinct(column: &Column) -> Result<usize, StageError> {
    let count = column.n_unique().map_err(|error| reading(column, &error))?;
    Ok(count - usize::from(column.null_count() > 0))
}

fn reading(column: &Column, error: &polars::error::PolarsError) -> StageError {
    polars_error(&format!("reading column `{}`", column.name()), error)
}
