//! Small tables and figures, and which of their columns may be personal.

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame};
use stagewright_contract::{PersonalColumns, Point, Series, StageContext, StageError, Table, X};
use stagewright_frame::{polars_error, to_table};

/// A table of these columns.
pub(crate) fn table(columns: Vec<Column>) -> Result<Table, StageError> {
    DataFrame::new_infer_height(columns).map_err(|error| polars_error("collecting a table", &error)).and_then(to_table)
}

/// A column of counts.
pub(crate) fn counts(name: &str, counts: impl IntoIterator<Item = u64>) -> Column {
    let counts: Vec<i64> = counts.into_iter().map(|count| i64::try_from(count).unwrap_or(i64::MAX)).collect();
    Column::new(name.into(), counts)
}

/// Points some of which may be undefined.
pub(crate) fn series<T: Into<X>>(name: &str, points: impl IntoIterator<Item = (T, Option<f64>)>) -> Series {
    let points = points.into_iter().map(|(x, y)| Point { x: x.into(), y }).collect();
    Series { name: name.to_owned(), points }
}

/// The personal columns of tables whose columns are always the same: those that bear the name of a personal input
/// column, as every column of that name is marked, and those that hold the values of one, given as (table, column,
/// input column).
pub(crate) fn personal(
    tables: &[(&str, &[&str])],
    from: &[(&str, &str, &str)],
    inputs: &PersonalColumns,
) -> PersonalColumns {
    let of_inputs: BTreeSet<&str> = inputs.values().flatten().map(String::as_str).collect();
    let of = |port: &str, columns: &[&str]| {
        let named = columns.iter().filter(|column| of_inputs.contains(**column));
        let holding = from.iter().filter(|(table, _, input)| *table == port && of_inputs.contains(input));
        named.copied().chain(holding.map(|(_, column, _)| *column)).map(str::to_owned).collect()
    };
    tables.iter().map(|(port, columns)| ((*port).to_owned(), of(port, columns))).collect()
}

/// Puts a table whose columns may hold the values of personal input columns under other names: `from` is as in
/// [`personal`], `input` the table that they come from.
pub(crate) fn put(
    context: &mut StageContext,
    port: &str,
    columns: Vec<Column>,
    from: &[(&str, &str, &str)],
    input: &Table,
) -> Result<(), StageError> {
    let mut table = table(columns)?;
    let holding = from.iter().filter(|(table, _, column)| *table == port && input.is_personal(column));
    table.mark_personal(holding.map(|(_, column, _)| *column));
    context.put(port, table)
}
