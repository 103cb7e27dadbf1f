use polars::prelude::df;
use serde_json::json;
use stagewright_clean::{DropDuplicates, DropNulls, Filter};

use super::*;

fn users() -> DataFrame {
    df!(
        "id" => [1i64, 2, 3, 4, 5],
        "age" => [Some(17i64), Some(18), None, Some(40), Some(17)],
        "score" => [Some(1.0), Some(f64::NAN), Some(2.0), None, Some(1.0)],
        "country" => ["UK", "FR", "UK", "UK", "UK"]
    )
    .unwrap()
}

#[test]
fn filter_keeps_what_holds() {
    let keep = |condition: &str| values(&run::<Filter>(json!({ "where": condition }), users()), "id");
    assert_eq!(keep("country = 'UK'"), "1 3 4 5");
    // Null is not below 18, nor not below 18.
    assert_eq!(keep("age < 18"), "1 5");
    assert_eq!(keep("NOT (age < 18)"), "2 4");
    assert_eq!(keep("age IS NULL OR age BETWEEN 18 AND 39"), "2 3");
    assert_eq!(keep("id > AVG(id)"), "4 5");
    assert_eq!(keep("TRUE"), "1 2 3 4 5");
    assert_eq!(keep("1 = 2"), "");
    assert_eq!(keep("id IN (1, 4) AND country IN ('UK')"), "1 4");
}

#[test]
fn filter_refuses() {
    assert!(refused::<Filter>(json!({ "where": "age >" })).starts_with("where: the condition cannot be read: "));
    assert_eq!(
        refused::<Filter>(json!({ "where": "" })),
        "where: the condition cannot be read: the expression is empty"
    );
    assert_eq!(
        refused::<Filter>(json!({ "where": "id IN (SELECT x FROM y)" })),
        "where: the condition cannot be read: an expression cannot hold a subquery"
    );
    let error = fails::<Filter>(json!({ "where": "contry = 'UK'" }), users());
    assert_eq!(error, ("there is no column `contry`".to_owned(), "did you mean `country`?".to_owned()));
    let error = fails::<Filter>(json!({ "where": "age + 1" }), users());
    assert_eq!(error.0, "`age + 1` is int64, a condition that is true or false is needed");
    let error = fails::<Filter>(json!({ "where": "country > 3" }), users());
    assert!(error.0.starts_with("computing `country > 3`: "), "{error:?}");
    let error = fails::<Filter>(json!({ "where": "CAST(country AS BIGINT) > 3" }), marked(users(), &["country"]));
    assert!(!format!("{error:?}").contains("UK"), "{error:?}");
}

#[test]
fn drop_nulls_looks_at_nan_too() {
    assert_eq!(values(&run::<DropNulls>(json!({}), users()), "id"), "1 5");
    assert_eq!(values(&run::<DropNulls>(json!({ "columns": ["age"] }), users()), "id"), "1 2 4 5");
    assert_eq!(values(&run::<DropNulls>(json!({ "columns": ["id"] }), users()), "id"), "1 2 3 4 5");
    assert_eq!(fails::<DropNulls>(json!({ "columns": ["agee"] }), users()).1, "did you mean `age`?");
}

#[test]
fn drop_duplicates_keeps_first_or_last_in_order() {
    let data =
        df!("k" => [Some("b"), Some("a"), Some("b"), None, Some("a"), None], "v" => [1i64, 2, 3, 4, 5, 6]).unwrap();
    let keep =
        |keep: &str| values(&run::<DropDuplicates>(json!({ "columns": ["k"], "keep": keep }), data.clone()), "v");
    // pandas: drop_duplicates("k", keep=…)
    assert_eq!(keep("first"), "1 2 4");
    assert_eq!(keep("last"), "3 5 6");
    assert_eq!(values(&run::<DropDuplicates>(json!({}), data.clone()), "v"), "1 2 3 4 5 6");
    assert_eq!(values(&run::<DropDuplicates>(json!({}), data.vstack(&data).unwrap()), "v"), "1 2 3 4 5 6");
    let nothing = df!("x" => Vec::<i64>::new()).unwrap();
    assert_eq!(run::<DropDuplicates>(json!({}), nothing).table("table").rows(), 0);
}

#[test]
fn rows_keep_marks() {
    let done = run::<Filter>(json!({ "where": "id > 1" }), marked(users(), &["age"]));
    assert_eq!(personal(&done), ["age"]);
    let done = run::<DropNulls>(json!({}), marked(users(), &["age"]));
    assert_eq!(personal(&done), ["age"]);
    let done = run::<DropDuplicates>(json!({ "columns": ["age"] }), marked(users(), &["age"]));
    assert_eq!(personal(&done), ["age"]);
}
