use polars::prelude::{Column, DataFrame, DataType};
use stagewright_contract::StageError;

use crate::polars_error;

/// The name among `names` that a person most likely meant by `wanted`, if one is close.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A column by name.
///
/// # Errors
/// When the table has no such column: names the nearest one, or all of them.
pub fn column<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column, StageError> {
    let names = || frame.columns().iter().map(|column| column.name().as_str());
    names().position(|candidate| candidate == name).map(|index| &frame.columns()[index]).ok_or_else(|| {
        let error = StageError::data(format!("there is no column `{name}`"));
        match nearest(name, names()) {
            Some(near) => error.with_help(format!("did you mean `{near}`?")),
            None => error.with_help(format!("the columns are: {}", names().collect::<Vec<_>>().join(", "))),
        }
    })
}

/// Checks that all these columns are there.
///
/// # Errors
/// As [`column()`], for the first that is not.
pub fn require<'a>(frame: &DataFrame, names: impl IntoIterator<Item = &'a str>) -> Result<(), StageError> {
    names.into_iter().try_for_each(|name| column(frame, name).map(drop))
}

/// The values of a numeric (or boolean) column as 64-bit floats; `None` where null. NaN counts as null.
///
/// # Errors
/// When there is no such column or it does not hold numbers.
pub fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, StageError> {
    let column = column(frame, name)?;
    if !column.dtype().is_primitive_numeric()
        && column.dtype() != &DataType::Boolean
        && column.dtype() != &DataType::Null
    {
        return Err(StageError::data(format!("column `{name}` is {}, a number is needed", column.dtype()))
            .with_help("cast it with `clean.cast`, or name another column"));
    }
    let column = column
        .cast(&DataType::Float64)
        .map_err(|error| polars_error(&format!("reading column `{name}` as numbers"), &error))?;
    let values = column.f64().map_err(|error| polars_error(&format!("reading column `{name}` as numbers"), &error))?;
    Ok(values.iter().map(|value| value.filter(|value| !value.is_nan())).collect())
}
