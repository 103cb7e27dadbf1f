use polars::prelude::{AnyValue, Column, DataType, Scalar, TimeUnit, df};
use serde_json::json;
use stagewright_clean::{Cast, Derive, Rename, Select};

use super::*;

fn users() -> DataFrame {
    df!("id" => [1i64, 2, 3], "email" => ["a@x", "b@x", "c@x"], "total" => [10.0, 0.0, 9.0], "orders" => [2i64, 0, 4])
        .unwrap()
}

#[test]
fn select_keeps_or_drops() {
    let done = run::<Select>(json!({ "columns": ["email", "id"] }), marked(users(), &["email"]));
    assert_eq!(names(&done), ["email", "id"]);
    assert_eq!(personal(&done), ["email"]);
    let done = run::<Select>(json!({ "drop": ["email"] }), marked(users(), &["email"]));
    assert_eq!(names(&done), ["id", "total", "orders"]);
    assert_eq!(personal(&done), Vec::<String>::new());
}

#[test]
fn select_refuses() {
    assert_eq!(refused::<Select>(json!({})), ": either `columns` or `drop` is needed");
    assert_eq!(
        refused::<Select>(json!({ "columns": ["a"], "drop": ["b"] })),
        "drop: `columns` and `drop` exclude each other"
    );
    assert_eq!(refused::<Select>(json!({ "columns": ["a", "b", "a"] })), "columns/2: `a` is named twice");
    let error = fails::<Select>(json!({ "columns": ["emial"] }), users());
    assert_eq!(error, ("there is no column `emial`".to_owned(), "did you mean `email`?".to_owned()));
    let error = fails::<Select>(json!({ "drop": ["id", "email", "total", "orders"] }), users());
    assert_eq!(error.0, "`drop` names every column, so that none is left");
}

#[test]
fn derive_computes() {
    let params = json!({ "columns": {
        "zone": "SUBSTR(email, 1, 1)", "range": "total / orders", "id": "id * 10", "share": "total / SUM(total)",
        "kind": "CASE WHEN total > 5 THEN 'big' ELSE 'small' END",
    } });
    let done = run::<Derive>(params, marked(users(), &["email"]));
    // An existing column keeps its place, new ones follow by name.
    assert_eq!(names(&done), ["id", "email", "total", "orders", "kind", "range", "share", "zone"]);
    assert_eq!(values(&done, "id"), "10 20 30");
    // 0.0 / 0 is undefined.
    assert_eq!(values(&done, "range"), "5.0 null 2.25");
    assert_eq!(values(&done, "kind"), "big small big");
    assert_eq!(values(&done, "zone"), "a b c");
    assert_eq!(personal(&done), ["email", "zone"]);
    assert_eq!(done.warnings, ["`range` is undefined or infinite in 1 row, and null there"]);
}

#[test]
fn derive_marks_whatever_personal_data_reaches() {
    let params = json!({ "columns": {
        "direct": "email", "nested": "CASE WHEN orders > 1 THEN LENGTH(COALESCE(email, '')) ELSE 0 END",
        "counted": "COUNT(email)", "grouped": "COUNT(orders) OVER (PARTITION BY email)", "other": "orders + 1",
        "quoted": "\"email\" || 'x'",
    } });
    let done = run::<Derive>(params, marked(users(), &["email"]));
    assert_eq!(personal(&done), ["counted", "direct", "email", "grouped", "nested", "quoted"]);
}

#[test]
fn derive_gives_the_same_sum_whatever_the_chunks() {
    let data: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.1 + 1e10 / f64::from(i + 1)).collect();
    let whole = df!("x" => &data).unwrap();
    let mut parts = whole.slice(0, 333);
    parts.vstack_mut(&whole.slice(333, 600)).unwrap();
    parts.vstack_mut(&whole.slice(933, 67)).unwrap();
    let params = json!({ "columns": { "s": "x / SUM(x)", "sd": "STDDEV(x)" } });
    assert_eq!(run::<Derive>(params.clone(), whole).bytes(), run::<Derive>(params, parts).bytes());
}

#[test]
fn derive_refuses() {
    let refuse = |text: &str| refused::<Derive>(json!({ "columns": { "new": text } }));
    assert!(refuse("total /").starts_with("columns/new: the expression cannot be read: "));
    assert_eq!(refuse(" "), "columns/new: the expression cannot be read: the expression is empty");
    assert!(refuse("id IN (SELECT a FROM read_csv('/etc/passwd'))").ends_with("an expression cannot hold a subquery"));
    assert!(refuse("COLUMNS('em.*')").starts_with("columns/new: "));
    let error = fails::<Derive>(json!({ "columns": { "new": "totl + 1" } }), users());
    assert_eq!(error, ("there is no column `totl`".to_owned(), "did you mean `total`?".to_owned()));
    let params = json!({ "columns": { "new": "POW(i, 99)" } });
    if let Err(error) = Trial::new::<Derive>(params).input("table", table(df!("i" => [i64::MAX]).unwrap())).run() {
        assert_eq!(error.to_string(), "`POW(i, 99)` cannot be computed");
    }
    // Polars quotes the values that do not convert; personal ones must not show.
    let params = json!({ "columns": { "new": "CAST(email AS BIGINT)" } });
    assert!(fails::<Derive>(params.clone(), users()).0.contains("a@x"));
    let error = fails::<Derive>(params, marked(users(), &["email"]));
    assert_eq!(error.0, "`CAST(email AS BIGINT)` cannot be computed");
    assert!(!error.1.contains("a@x") && error.1.contains("`email` is personal"));
}

#[test]
fn rename_moves_marks() {
    let done = run::<Rename>(
        json!({ "columns": { "email": "contact", "id": "total", "total": "id" } }),
        marked(users(), &["email"]),
    );
    assert_eq!(names(&done), ["total", "contact", "id", "orders"]);
    assert_eq!(values(&done, "total"), "1 2 3");
    assert_eq!(personal(&done), ["contact"]);
}

#[test]
fn rename_refuses() {
    assert_eq!(
        refused::<Rename>(json!({ "columns": { "a": "x", "b": "x" } })),
        "columns/b: `a` and `b` would both be named `x`"
    );
    assert_eq!(refused::<Rename>(json!({ "columns": { "a": "" } })), "columns/a: a column needs a name");
    let error = fails::<Rename>(json!({ "columns": { "id": "total" } }), users());
    assert_eq!(error.0, "there would be two columns named `total`");
    let error = fails::<Rename>(json!({ "columns": { "ids": "x" } }), users());
    assert_eq!(error.1, "did you mean `id`?");
}

fn cast(values: impl Into<TableOf>, to: &str) -> (String, Vec<String>) {
    let done = run::<Cast>(json!({ "columns": { "x": to }, "strict": false }), values);
    (super::values(&done, "x"), done.warnings)
}

fn text(values: &[&str]) -> DataFrame {
    df!("x" => values).unwrap()
}

#[test]
fn casts_text() {
    assert_eq!(cast(text(&["12", " -3 ", "3.0", "", "1e3"]), "int64").0, "12 -3 null null null");
    assert_eq!(
        cast(text(&["12", "-0.5", "1e3", "nan", "inf", "1e400"]), "float64").0,
        "12.0 -0.5 1000.0 null null null"
    );
    assert_eq!(cast(text(&["true", "FALSE", "1", "0", "yes"]), "bool").0, "true false true false null");
    assert_eq!(
        cast(text(&["2024-02-29", "2023-02-29", "2024-01-31T23:30:00-01:00"]), "date32").0,
        "2024-02-29 null 2024-02-01"
    );
    let (values, warnings) = cast(text(&["2024-01-31 09:30:00 UTC", "31/01/2024"]), "timestamp");
    assert_eq!(values, "2024-01-31 09:30:00 null");
    assert_eq!(
        warnings,
        ["column `x` has 1 value of 2 that does not convert from string to timestamp, the first in row 2: \
          `31/01/2024`; made null"]
    );
}

#[test]
fn casts_numbers() {
    let floats = df!("x" => [Some(2.0), Some(2.5), Some(f64::NAN), Some(1e19), Some(1.0), None]).unwrap();
    let (values, warnings) = cast(floats.clone(), "int64");
    assert_eq!(values, "2 null null null 1 null");
    // NaN is missing, not wrong.
    assert!(
        warnings[0].starts_with("column `x` has 2 values of 6 that do not convert from float64 to"),
        "{warnings:?}"
    );
    assert_eq!(cast(floats.clone(), "bool").0, "null null null null true null");
    assert_eq!(cast(floats.clone(), "string").0, "2.0 2.5 null 1e+19 1.0 null");
    assert_eq!(cast(floats, "date32").0, "1970-01-03 null null null 1970-01-02 null");
    let whole = df!("x" => [0i64, 1, 86_400_000_001, i64::MAX]).unwrap();
    assert_eq!(cast(whole.clone(), "bool").0, "false true null null");
    assert_eq!(cast(whole.clone(), "date32").0, "1970-01-01 1970-01-02 null null");
    assert_eq!(
        cast(whole, "timestamp").0,
        "1970-01-01 00:00:00 1970-01-01 00:00:00.000001 1970-01-02 00:00:00.000001 null"
    );
    assert_eq!(cast(df!("x" => [true, false]).unwrap(), "int64").0, "1 0");
}

#[test]
fn casts_dates() {
    let dates = df!("x" => [19_753i32, -1, i32::MAX]).unwrap();
    let mut dates = dates;
    let column = dates.column("x").unwrap().cast(&DataType::Date).unwrap();
    dates.with_column(column).unwrap();
    assert_eq!(cast(dates.clone(), "int64").0, "19753 -1 2147483647");
    assert_eq!(cast(dates.clone(), "string").0, "2024-01-31 1969-12-31 null");
    assert_eq!(cast(dates, "timestamp").0, "2024-01-31 00:00:00 1969-12-31 00:00:00 null");
    let zone = DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
    let moments = Scalar::new(DataType::Int64, AnyValue::Int64(-1));
    let moments = Column::new_scalar("x".into(), moments, 1).cast(&zone).unwrap();
    let moments = DataFrame::new(1, vec![moments]).unwrap();
    assert_eq!(cast(moments.clone(), "date32").0, "1969-12-31");
    assert_eq!(cast(moments.clone(), "int64").0, "-1");
    assert_eq!(types(&run::<Cast>(json!({ "columns": { "x": "timestamp" } }), moments)), ["timestamp[us]"]);
}

#[test]
fn strict_casts_list_every_column() {
    let data = df!("age" => ["12", "x", "y"], "zip" => ["a", "1", "2"]).unwrap();
    let params = json!({ "columns": { "zip": "int64", "age": "int64" } });
    let error = fails::<Cast>(params.clone(), marked(data, &["zip"]));
    assert_eq!(
        error.0,
        "column `age` has 2 values of 3 that do not convert from string to int64, the first in row 2: `x`; \
         column `zip` has 1 value of 3 that does not convert from string to int64, the first in row 1"
    );
    let error = fails::<Cast>(json!({ "columns": { "x": "date32" } }), df!("x" => [true]).unwrap());
    assert_eq!(error.0, "column `x` is bool, which does not convert to date32");
}
