use std::collections::BTreeMap;

use polars::prelude::{
    AnyValue, Column, DataFrame, DataType, FillNullStrategy, GroupsIndicator, Scalar, SortMultipleOptions,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{column, numbers, polars_error, to_frame};

use crate::constant::Constant;
use crate::statistics::{mean, quantile};
use crate::table::{count, nan_to_null, put_frame, rows, table_ports, type_name};

/// Where the value for a gap comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The mean of the numbers of the column, which becomes float64.
    Mean,
    /// The median of the numbers of the column, which becomes float64.
    Median,
    /// The value that the column holds most often; of several the smallest.
    MostFrequent,
    /// The value in the nearest row above that has one.
    Forward,
    /// The number 0.
    Zero,
}

/// Fill the gaps of columns.
///
/// A gap is a null, or NaN in a float column. `values` fills the gaps of a column with a constant, which must be a
/// value of the column's type (dates and times are text in ISO 8601); `strategy` fills them from the column itself. The
/// statistics are taken over the rows of this table: to keep a test set honest, fill after splitting. Gaps that cannot
/// be filled, because the column holds no value or none above, stay null, with a warning that counts them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// For each column the constant that fills its gaps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Constant>,
    /// For each column where the value that fills its gaps comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub strategy: BTreeMap<String, Strategy>,
}

impl Stage for Fill {
    const TYPE: &'static str = "clean.fill";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { values: { city: unknown, visits: 0 }, strategy: { age: median } }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The same rows with the gaps filled.")
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.values.is_empty() && self.strategy.is_empty() {
            return Err(ParamError::new("", "nothing says which columns to fill")
                .with_help("name columns in `values`, as in `values: { city: unknown }`, or in `strategy`"));
        }
        match self.strategy.keys().find(|name| self.values.contains_key(*name)) {
            Some(name) => {
                Err(ParamError::new(format!("strategy/{name}"), format!("`{name}` is filled by `values` already")))
            }
            None => Ok(()),
        }
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let mut frame = to_frame(&*context.table("table")?)?;
        for (name, constant) in &self.values {
            let filled = with_constant(column(&frame, name)?, constant)?;
            replace(&mut frame, filled)?;
        }
        for (name, strategy) in &self.strategy {
            context.check_cancelled()?;
            let filled = with_strategy(&frame, name, *strategy)?;
            let left = filled.null_count();
            if left > 0 {
                let why = if *strategy == Strategy::Forward { "has no value above them" } else { "holds no value" };
                context.warn(format!("{} in column `{name}` could not be filled: it {why}", count(left, "gap")));
            }
            replace(&mut frame, filled)?;
        }
        put_frame(context, frame, [])
    }
}

fn replace(frame: &mut DataFrame, column: Column) -> Result<(), StageError> {
    let name = column.name().clone();
    frame.with_column(column).map(drop).map_err(|error| polars_error(&format!("filling column `{name}`"), &error))
}

fn with_constant(column: &Column, constant: &Constant) -> Result<Column, StageError> {
    let name = column.name();
    let dtype = match column.dtype() {
        // A column that has only ever been null takes the type of its first value.
        DataType::Null => constant.dtype(),
        dtype => dtype.clone(),
    };
    let value = constant.scalar(&dtype).ok_or_else(|| {
        StageError::data(format!("column `{name}` is {}, which `{constant}` is no value of", type_name(&dtype)))
            .with_help("give a value of that type, or convert the column with `clean.cast` before")
    })?;
    let column = column.cast(&dtype).map_err(|error| polars_error(&format!("filling column `{name}`"), &error))?;
    with_value(&nan_to_null(&column)?, value)
}

fn with_strategy(frame: &DataFrame, name: &str, strategy: Strategy) -> Result<Column, StageError> {
    let failed = |error| polars_error(&format!("filling column `{name}`"), &error);
    let column = nan_to_null(column(frame, name)?)?;
    let numeric = column.dtype().is_primitive_numeric();
    if !numeric && matches!(strategy, Strategy::Mean | Strategy::Median | Strategy::Zero) {
        return Err(StageError::data(format!("column `{name}` is {}, a number is needed", type_name(column.dtype())))
            .with_help("use `most_frequent` or `forward`, or convert the column with `clean.cast` before"));
    }
    match strategy {
        Strategy::Forward => column.fill_null(FillNullStrategy::Forward(None)).map_err(failed),
        Strategy::Zero => with_constant(&column, &Constant::Int(0)),
        Strategy::MostFrequent => match most_frequent(&column)? {
            Some(value) => with_value(&column, value),
            None => Ok(column),
        },
        Strategy::Mean | Strategy::Median => {
            let mut values: Vec<f64> = numbers(frame, name)?.into_iter().flatten().collect();
            let column = column.cast(&DataType::Float64).map_err(failed)?;
            let value = if strategy == Strategy::Mean {
                mean(&values)
            } else {
                values.sort_unstable_by(f64::total_cmp);
                quantile(&values, 0.5)
            };
            match value {
                Some(value) if value.is_finite() => {
                    with_value(&column, Scalar::new(DataType::Float64, AnyValue::Float64(value)))
                }
                Some(_) => {
                    Err(StageError::data(format!("column `{name}` holds infinite numbers, so it has no such average"))
                        .with_help("leave them out with `clean.filter`, or make them null with `clean.outliers`"))
                }
                None => Ok(column),
            }
        }
    }
}

fn with_value(column: &Column, value: Scalar) -> Result<Column, StageError> {
    let values = Column::new_scalar(column.name().clone(), value, column.len());
    column
        .zip_with(&column.is_not_null(), &values)
        .map_err(|error| polars_error(&format!("filling column `{}`", column.name()), &error))
}

/// The value that appears most often, of several the smallest; none where all are null.
fn most_frequent(column: &Column) -> Result<Option<Scalar>, StageError> {
    let failed = |error| polars_error(&format!("counting the values of column `{}`", column.name()), &error);
    let frame = DataFrame::new(column.len(), vec![column.clone()]).map_err(failed)?;
    let present = rows(&frame, &column.is_not_null())?;
    if present.height() == 0 {
        return Ok(None);
    }
    let mut sorted = present.sort([column.name().as_str()], SortMultipleOptions::default()).map_err(failed)?;
    sorted.rechunk_mut();
    let groups = sorted.group_by_stable([column.name().as_str()]).map_err(failed)?;
    let mut most = (0, 0);
    for group in groups.get_groups().iter() {
        let (first, length) = match group {
            GroupsIndicator::Idx((first, rows)) => (first, rows.len()),
            GroupsIndicator::Slice([first, length]) => (first, length as usize),
        };
        if length > most.1 {
            most = (first as usize, length);
        }
    }
    let value = sorted.columns().first().and_then(|column| column.get(most.0).ok());
    Ok(value.map(|value| Scalar::new(column.dtype().clone(), value.into_static())))
}
