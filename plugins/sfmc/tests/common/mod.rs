//! Small tables, and a bundle of some of them.

#![allow(dead_code, reason = "each test file uses its own")]

use serde_json::{Value, json};
use stagewright_plugin::polars_arrow::array::{BooleanArray, Int64Array, Utf8ViewArray};
use stagewright_plugin::polars_arrow::datatypes::ArrowDataType;
use stagewright_plugin::testkit::{Done, Trial};
use stagewright_plugin::{StageError, Table, TableColumn};
use stagewright_sfmc::Bundle;

/// A column of texts; `-` stands for null.
pub(crate) fn text(name: &str, values: &[&str]) -> TableColumn {
    let array =
        Utf8ViewArray::from_slice(values.iter().map(|text| (*text != "-").then_some(*text)).collect::<Vec<_>>());
    TableColumn { name: name.to_owned(), dtype: ArrowDataType::Utf8View, chunks: vec![array.boxed()] }
}

pub(crate) fn integers(name: &str, values: impl IntoIterator<Item = i64>) -> TableColumn {
    let array = Int64Array::from_vec(values.into_iter().collect());
    TableColumn { name: name.to_owned(), dtype: ArrowDataType::Int64, chunks: vec![array.boxed()] }
}

pub(crate) fn flags(name: &str, values: &[Option<bool>]) -> TableColumn {
    let array = values.iter().copied().collect::<BooleanArray>();
    TableColumn { name: name.to_owned(), dtype: ArrowDataType::Boolean, chunks: vec![array.boxed()] }
}

pub(crate) fn table(columns: Vec<TableColumn>) -> Table {
    Table::new(columns).unwrap()
}

/// The texts of a column of an output; `-` stands for null.
pub(crate) fn texts(done: &Done, port: &str, column: &str) -> Vec<String> {
    let table = done.table(port);
    let column = table.columns().iter().find(|found| found.name == column).unwrap();
    column
        .chunks
        .iter()
        .flat_map(|chunk| {
            let chunk = chunk.as_any().downcast_ref::<Utf8ViewArray>().unwrap();
            chunk.iter().map(|text| text.unwrap_or("-").to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

pub(crate) fn metric(done: &Done, name: &str) -> f64 {
    done.metrics("metrics").values[name].value.unwrap()
}

/// Messages to these people.
pub(crate) fn messages(people: &[&str]) -> Table {
    let subjects: Vec<String> = people.iter().map(|person| format!("For {person}")).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    table(vec![text("user_id", people), text("subject", &subjects)])
}

/// A bundle of messages with their subjects.
pub(crate) fn params() -> Value {
    json!({
        "data_extension": { "key": "spring" },
        "fields": [{ "name": "Subject", "from": "messages.subject", "length": 20 }],
    })
}

/// What becomes of messages to people, given what is known of them.
pub(crate) fn bundle(people: &[&str], contacts: Table, suppression: Option<Table>) -> Result<Done, StageError> {
    let trial = Trial::new::<Bundle>(params()).input("messages", messages(people)).input("contacts", contacts);
    match suppression {
        Some(table) => trial.input("suppression", table).run(),
        None => trial.run(),
    }
}

/// A file of the bundle, as text.
pub(crate) fn file(done: &Done, name: &str) -> String {
    String::from_utf8(done.files("bundle").get(name).unwrap().to_vec()).unwrap()
}
