use polars::prelude::{Column, CompatLevel, DataFrame, DataType, Series, TimeUnit};
use polars_arrow::array::new_empty_array;
use polars_arrow::datatypes::Field;
use stagewright_contract::{StageError, Table, TableColumn};

use crate::polars_error;

/// The table as a data frame, sharing the values.
///
/// # Errors
/// When polars does not take a column's type.
pub fn to_frame(table: &Table) -> Result<DataFrame, StageError> {
    let columns = table
        .columns()
        .iter()
        .map(|column| {
            let field = Field::new(column.name.as_str().into(), column.dtype.clone(), true);
            let chunks = if column.chunks.is_empty() {
                vec![new_empty_array(column.dtype.clone())]
            } else {
                column.chunks.clone()
            };
            Series::try_from((&field, chunks))
                .map(Column::from)
                .map_err(|error| polars_error(&format!("reading column `{}`", column.name), &error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    DataFrame::new(table.rows(), columns).map_err(|error| polars_error("reading the table", &error))
}

/// The data frame as a table, sharing the values. No column is personal yet: the context marks those that bear the
/// name of a personal input column.
///
/// Categorical columns become text, since their codes depend on the process that made them; times of day and durations
/// are kept in microseconds.
///
/// # Errors
/// For a nested, decimal or 128-bit column, which tables do not hold.
pub fn to_table(frame: DataFrame) -> Result<Table, StageError> {
    let columns = frame.into_columns().into_iter().map(to_column).collect::<Result<Vec<_>, _>>()?;
    Table::new(columns)
}

fn to_column(column: Column) -> Result<TableColumn, StageError> {
    let name = column.name().to_string();
    let target = match column.dtype() {
        DataType::Categorical(..) | DataType::Enum(..) => Some(DataType::String),
        DataType::Datetime(unit, zone) if *unit != TimeUnit::Microseconds => {
            Some(DataType::Datetime(TimeUnit::Microseconds, zone.clone()))
        }
        DataType::Duration(unit) if *unit != TimeUnit::Microseconds => Some(DataType::Duration(TimeUnit::Microseconds)),
        DataType::List(_) | DataType::Struct(_) | DataType::Decimal(..) | DataType::Int128 | DataType::Unknown(_) => {
            return Err(StageError::data(format!(
                "column `{name}` has type {}, which a table cannot hold",
                column.dtype()
            ))
            .with_help("cast it to a number or to text, or leave it out"));
        }
        _ => None,
    };
    let column = match target {
        Some(dtype) => {
            column.cast(&dtype).map_err(|error| polars_error(&format!("storing column `{name}`"), &error))?
        }
        None => column,
    };
    let series = column.take_materialized_series();
    let level = CompatLevel::newest();
    let dtype = series.dtype().to_arrow(level);
    let chunks = (0..series.chunks().len()).map(|chunk| series.to_arrow(chunk, level)).collect();
    Ok(TableColumn { name, dtype, chunks })
}
