//! Columns as categories, names for people, and what the exploring stage types share.

use std::collections::BTreeSet;

use polars::prelude::{AnyValue, Column, DataFrame, DataType};
use stagewright_contract::{Disclosure, ParamError, PersonalColumns, StageError};
use stagewright_frame::{column, numbers, polars_error};

use crate::keys::Keys;

/// The categories of a column, ascending: numbers by value, text by its bytes. Null is no category.
///
/// # Errors
/// When there is no such column or it holds fractions, which are seldom equal.
pub(crate) fn categories(frame: &DataFrame, name: &str) -> Result<Keys, StageError> {
    let dtype = column(frame, name)?.dtype();
    if dtype.is_float() {
        return Err(StageError::data(format!("column `{name}` is {dtype}, categories are needed"))
            .with_help("put its numbers into bins with `clean.bin`, or cast it with `clean.cast`"));
    }
    Keys::of(frame, name)
}

/// The distinct values of a column of any type; NaN counts as null.
pub(crate) fn distinct_values(frame: &DataFrame, name: &str) -> Result<Keys, StageError> {
    if !column(frame, name)?.dtype().is_float() {
        return Keys::of(frame, name);
    }
    let values = Column::new(name.into(), numbers(frame, name)?);
    let frame = DataFrame::new(values.len(), vec![values])
        .map_err(|error| polars_error(&format!("reading column `{name}`"), &error))?;
    Keys::of(&frame, name)
}

/// The values of a column as a person reads them on an axis.
pub(crate) fn names(values: &Column) -> Vec<String> {
    (0..values.len()).map(|row| values.get(row).map(|value| text(&value)).unwrap_or_default()).collect()
}

fn text(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::String(text) => cut(text),
        AnyValue::StringOwned(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

/// Text beyond this many characters does not fit an axis.
const LONGEST: usize = 80;

/// Text short enough for an axis.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A number as a person writes it: `9`, `0.5`, `1e20`.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e15).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

/// Refuses a list that names something twice.
pub(crate) fn no_repeats(param: &str, names: &[String]) -> Result<(), ParamError> {
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(ParamError::new(format!("{param}/{index}"), format!("`{name}` is named twice")));
        }
    }
    Ok(())
}

/// Whether a column holds numbers.
pub(crate) fn is_numeric(dtype: &DataType) -> bool {
    dtype.is_primitive_numeric()
}

/// Those of an output's columns that bear the name of a personal input column: the context marks them.
pub(crate) fn marked_by_name<'a>(
    inputs: &PersonalColumns,
    columns: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let personal = |name: &&str| inputs.values().any(|names| names.contains(*name));
    columns.into_iter().filter(personal).map(str::to_owned).collect()
}

/// That these columns of the input `table` are counted value by value and shown.
pub(crate) fn shown_to_readers(columns: Vec<String>) -> Disclosure {
    Disclosure {
        port: "table",
        columns: Some(columns),
        to: "the report",
        help: "name a column that is not personal; `features.describe` counts a personal one without showing it"
            .to_owned(),
    }
}
