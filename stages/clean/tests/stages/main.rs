//! What each stage type gives for small tables, what it says when it cannot, and which columns it marks as personal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod columns;
mod expect;
mod join;
mod privacy;
mod rows;
mod values;

use polars::prelude::{AnyValue, DataFrame};
use serde_json::Value;
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{ErrorKind, Stage, Table};
use stagewright_frame::testkit::{frame, table};

/// The table of a data frame with personal columns.
fn marked(data: DataFrame, personal: &[&str]) -> Table {
    let mut table = table(data);
    table.mark_personal(personal.iter().copied());
    table
}

fn run<S: Stage>(params: Value, data: impl Into<TableOf>) -> Done {
    Trial::new::<S>(params).input("table", data.into().0).run().unwrap_or_else(|error| panic!("{error}"))
}

/// Message and help of the error.
fn fails<S: Stage>(params: Value, data: impl Into<TableOf>) -> (String, String) {
    failure(Trial::new::<S>(params).input("table", data.into().0))
}

fn failure(trial: Trial) -> (String, String) {
    let error = trial.run().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data, "{error}");
    (error.to_string(), error.help.unwrap_or_default())
}

/// The error of the parameters, as `path: message`.
fn refused<S: Stage>(params: Value) -> String {
    Trial::new::<S>(params).check().unwrap_err().to_string()
}

struct TableOf(Table);

impl From<Table> for TableOf {
    fn from(table: Table) -> Self {
        Self(table)
    }
}

impl From<DataFrame> for TableOf {
    fn from(data: DataFrame) -> Self {
        Self(table(data))
    }
}

/// A column of output `table` in JSON-like text: `1 2 null`.
fn values(done: &Done, column: &str) -> String {
    texts(&frame(&done.table("table")), column)
}

fn texts(data: &DataFrame, column: &str) -> String {
    let column = data.column(column).unwrap_or_else(|error| panic!("{error}"));
    let text = |value: AnyValue<'_>| match value {
        AnyValue::String(text) => text.to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        other => other.to_string(),
    };
    (0..column.len()).map(|row| text(column.get(row).unwrap())).collect::<Vec<_>>().join(" ")
}

fn names(done: &Done) -> Vec<String> {
    done.table("table").names().map(str::to_owned).collect()
}

fn personal(done: &Done) -> Vec<String> {
    done.table("table").personal().map(str::to_owned).collect()
}

fn types(done: &Done) -> Vec<String> {
    done.table("table").schema().into_iter().map(|column| column.dtype).collect()
}
