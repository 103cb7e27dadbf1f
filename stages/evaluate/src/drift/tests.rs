#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{Column, DataFrame, DataType, df};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{StageError, StageType};
use stagewright_frame::testkit::{frame, table};

use super::Drift;

fn reference() -> DataFrame {
    df![
        "age" => (0..100_i64).map(|i| 20 + i % 50).collect::<Vec<_>>(),
        "spend" => (0..100).map(|i| (i % 10 != 0).then_some(f64::from(i))).collect::<Vec<_>>(),
        "city" => (0..100).map(|i| if i % 4 == 0 { "Leeds" } else { "York" }).collect::<Vec<_>>(),
        "member" => (0..100).map(|i| i % 2 == 0).collect::<Vec<_>>(),
    ]
    .unwrap()
}

/// Older people of another city, half of whose spending is not known.
fn current() -> DataFrame {
    df![
        "age" => (0..80_i64).map(|i| 50 + i % 40).collect::<Vec<_>>(),
        "spend" => (0..80).map(|i| (i % 2 == 0).then_some(f64::from(i) * 1.25)).collect::<Vec<_>>(),
        "city" => (0..80).map(|i| if i % 4 == 0 { "Bath" } else { "York" }).collect::<Vec<_>>(),
        "member" => (0..80).map(|i| i % 2 == 0).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn run(reference: DataFrame, current: DataFrame, params: Value) -> Result<Done, StageError> {
    Trial::new::<Drift>(params).input("reference", table(reference)).input("current", table(current)).run()
}

fn texts(done: &Done, port: &str, column: &str) -> Vec<Option<String>> {
    let frame = frame(&done.table(port));
    frame.column(column).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn columns_are_sorted_by_what_changed() {
    let done = run(reference(), current(), json!({})).unwrap();
    let names: Vec<_> = texts(&done, "table", "column").into_iter().flatten().collect();
    assert_eq!(names, ["age", "city", "spend", "member"]);
    let metrics = done.metrics("metrics");
    assert_eq!((metrics.values["columns"].value, metrics.values["columns_drifted"].value), (Some(4.0), Some(3.0)));
    assert_eq!(metrics.values["max_psi"].value, metrics.values["psi:age"].value);
    assert_eq!(metrics.values["psi:member"].value, Some(0.0));
    let summary = frame(&done.table("table"));
    let value = |column: &str, row: usize| summary.column(column).unwrap().f64().unwrap().get(row);
    assert_eq!((value("new_share", 1), value("new_share", 0)), (Some(0.25), None));
    // Spending is as it was; that it is missing more often is what drifted.
    assert!((value("null_share_change", 2).unwrap() - 0.4).abs() < 1e-15);
    assert!(value("psi", 2).unwrap() < 0.2);
    let drifted: Vec<_> = summary.column("drifted").unwrap().bool().unwrap().iter().flatten().collect();
    assert_eq!(drifted, [true, true, true, false]);
    assert_eq!(done.figure("figure").series[0].points.len(), 4);
}

#[test]
fn the_order_of_rows_does_not_matter_and_a_table_has_not_drifted_from_itself() {
    let done = run(reference(), current(), json!({})).unwrap();
    assert_eq!(run(reference().reverse(), current().reverse(), json!({})).unwrap().bytes(), done.bytes());
    let same = run(reference(), reference().reverse(), json!({})).unwrap().metrics("metrics");
    assert_eq!((same.values["max_psi"].value, same.values["columns_drifted"].value), (Some(0.0), Some(0.0)));
}

#[test]
fn values_of_personal_columns_are_not_put_out() {
    let mut personal = table(reference());
    personal.mark_personal(["city", "age"]);
    let done = Trial::new::<Drift>(json!({})).input("reference", personal).input("current", table(current())).run();
    let done = done.unwrap();
    let (columns, labels) = (texts(&done, "bins", "column"), texts(&done, "bins", "label"));
    for (column, label) in columns.iter().flatten().zip(labels) {
        assert_eq!(label.is_none(), column == "city" || column == "age", "{column}");
    }
    assert!(!String::from_utf8_lossy(&done.bytes()).contains("Leeds"));
    let stage = StageType::of::<Drift>("test").configure(&json!({})).unwrap();
    let columns = ["city", "kind"].map(str::to_owned).into();
    let outputs = stage.personal(&[("reference".to_owned(), columns)].into());
    assert_eq!(outputs["table"].iter().collect::<Vec<_>>(), ["kind"]);
    assert!(outputs["bins"].is_empty());
}

#[test]
fn what_cannot_be_compared_is_left_out_or_refused() {
    let mut other = current();
    other.with_column(Column::new("age".into(), vec!["old"; 80])).unwrap();
    let date = Column::new("day".into(), vec![1_i32; 80]).cast(&DataType::Date).unwrap();
    other.with_column(date).unwrap();
    let done = run(reference(), other.clone(), json!({})).unwrap();
    assert_eq!(done.warnings, ["left out, as they are not numbers, text or booleans in both tables: age, day"]);
    let error = |column: &str| run(reference(), other.clone(), json!({ "columns": [column] })).unwrap_err().message;
    assert_eq!(error("age"), "column `age` is i64 in `reference` and str in `current`, the same is needed");
    assert_eq!(error("day"), "there is no column `day`");
    let error = run(other.clone(), other, json!({ "columns": ["day"] })).unwrap_err();
    assert_eq!(error.message, "column `day` is date, numbers, text or booleans can be compared");
    let error = Trial::new::<Drift>(json!({ "columns": ["a", "a"] })).check().unwrap_err();
    assert_eq!(error.to_string(), "columns/1: `a` is named twice");
}

#[test]
fn without_rows_nothing_is_known() {
    let done = run(reference(), current().head(Some(0)), json!({})).unwrap();
    let metrics = done.metrics("metrics");
    assert_eq!((metrics.values["max_psi"].value, metrics.values["columns_drifted"].value), (None, Some(0.0)));
}
