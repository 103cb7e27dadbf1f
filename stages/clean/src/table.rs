//! What the stages of this crate do to tables alike: ports, missing values, repeated rows, names of types.

use std::collections::BTreeSet;

use polars::prelude::{AnyValue, BooleanChunked, Column, DataFrame, DataType, GroupsIndicator, NewChunkedArray};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, StageContext, StageError};
use stagewright_frame::{polars_error, to_table};

use crate::time;

/// One table in, one table out.
pub(crate) fn table_ports(input: &str, output: &str) -> Vec<Port> {
    vec![Port::input("table", Kind::Table, input), Port::output("table", Kind::Table, output)]
}

/// The personal columns of output `table`: those of input `table`, as `change` leaves them.
pub(crate) fn through(inputs: &PersonalColumns, change: impl FnOnce(&mut BTreeSet<String>)) -> PersonalColumns {
    let mut personal = inputs.get("table").cloned().unwrap_or_default();
    change(&mut personal);
    PersonalColumns::from([("table".to_owned(), personal)])
}

/// Sets output `table`; `personal` names the columns whose marks do not follow from their names.
pub(crate) fn put_frame<'a>(
    context: &mut StageContext,
    frame: DataFrame,
    personal: impl IntoIterator<Item = &'a str>,
) -> Result<(), StageError> {
    let mut table = to_table(frame)?;
    table.mark_personal(personal);
    context.put("table", table)
}

/// Refuses a list that names something twice.
pub(crate) fn no_repeats(param: &str, names: &[String]) -> Result<(), ParamError> {
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|before| before == name) {
            return Err(ParamError::new(format!("{param}/{index}"), format!("`{name}` is named twice")));
        }
    }
    Ok(())
}

/// True where a value is null or NaN.
pub(crate) fn missing(column: &Column) -> Result<BooleanChunked, StageError> {
    let nulls = column.is_null();
    if !column.dtype().is_float() {
        return Ok(nulls);
    }
    let nan = column.is_nan().map_err(|error| polars_error(&format!("reading column `{}`", column.name()), &error))?;
    // Where the value is null, so is `nan`; true or null is true.
    Ok(&nulls | &nan)
}

/// The column with null in the place of NaN.
pub(crate) fn nan_to_null(column: &Column) -> Result<Column, StageError> {
    if !column.dtype().is_float() {
        return Ok(column.clone());
    }
    null_where(column, &missing(column)?)
}

/// The column with null wherever `mask` is true.
pub(crate) fn null_where(column: &Column, mask: &BooleanChunked) -> Result<Column, StageError> {
    Column::full_null(column.name().clone(), column.len(), column.dtype())
        .zip_with(mask, column)
        .map_err(|error| polars_error(&format!("clearing values of column `{}`", column.name()), &error))
}

/// True in every row whose values in these columns appear in an earlier row. Nulls equal each other.
pub(crate) fn repeats(frame: &DataFrame, columns: &[String]) -> Result<BooleanChunked, StageError> {
    let mut repeated = vec![true; frame.height()];
    if !repeated.is_empty() {
        let groups = frame
            .group_by_stable(columns)
            .map_err(|error| polars_error(&format!("comparing rows by `{}`", columns.join("`, `")), &error))?;
        for group in groups.get_groups().iter() {
            let first = match group {
                GroupsIndicator::Idx((first, _)) => first,
                GroupsIndicator::Slice([first, _]) => first,
            };
            if let Some(row) = repeated.get_mut(first as usize) {
                *row = false;
            }
        }
    }
    Ok(BooleanChunked::from_slice("repeated".into(), &repeated))
}

/// The rows where `mask` is true.
pub(crate) fn rows(frame: &DataFrame, mask: &BooleanChunked) -> Result<DataFrame, StageError> {
    frame.filter(mask).map_err(|error| polars_error("choosing rows", &error))
}

/// The name of a type as `clean.cast` writes it.
pub(crate) fn type_name(dtype: &DataType) -> String {
    match dtype {
        DataType::Boolean => "bool".to_owned(),
        DataType::Int8 => "int8".to_owned(),
        DataType::Int16 => "int16".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::UInt8 => "uint8".to_owned(),
        DataType::UInt16 => "uint16".to_owned(),
        DataType::UInt32 => "uint32".to_owned(),
        DataType::UInt64 => "uint64".to_owned(),
        DataType::Float32 => "float32".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::String => "string".to_owned(),
        DataType::Date => "date32".to_owned(),
        DataType::Datetime(_, None) => "timestamp".to_owned(),
        DataType::Datetime(_, Some(zone)) => format!("timestamp in {zone}"),
        other => other.to_string(),
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A value for a message: short enough to read.
pub(crate) fn show(value: &AnyValue<'_>) -> String {
    const LONGEST: usize = 40;
    let day = match value {
        AnyValue::Date(day) => i64::from(*day),
        AnyValue::Datetime(moment, ..) | AnyValue::DatetimeOwned(moment, ..) => moment.div_euclid(time::DAY),
        _ => 0,
    };
    let text = match value {
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        // Polars cannot write down dates that are far outside of history.
        _ if !time::DAYS.contains(&day) => format!("day {day}"),
        value => value.to_string(),
    };
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A number as a person writes it: `9`, `0.5`, `1e20`.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e15).contains(&size) { format!("{value:e}") } else { value.to_string() }
}
