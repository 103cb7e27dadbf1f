//! Every stage type on its example, and on hostile versions of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::purchases;
use polars::prelude::*;
use serde_json::json;
use stagewright_features::{
    Clv, Correlation, Crosstab, Describe, Histogram, History, Product, Rfm, Scale, Select, Split, Top, User,
    stage_types,
};
use stagewright_frame::testkit::conformance;

#[test]
fn user() {
    conformance::<User>(&json!({}), &[("table", purchases())]);
    conformance::<User>(&json!({ "carry": ["gender", "age", "created_at"] }), &[("table", purchases())]);
}

#[test]
fn rfm() {
    conformance::<Rfm>(&json!({}), &[("table", purchases())]);
    conformance::<Rfm>(&json!({ "now": "2024-01-08T12:00:00", "bins": 3 }), &[("table", purchases())]);
}

#[test]
fn product() {
    conformance::<Product>(&json!({ "time": "created_at" }), &[("table", purchases())]);
    conformance::<Product>(&json!({ "product": "gender" }), &[("table", purchases())]);
}

#[test]
fn scale() {
    conformance::<Scale>(&json!({ "columns": ["sale_price", "age"] }), &[("table", purchases())]);
    conformance::<Scale>(&json!({ "columns": ["sale_price"], "suffix": "_z" }), &[("table", purchases())]);
}

#[test]
fn split() {
    let with_number = purchases().hstack(&[Column::new("number".into(), (0..24i64).collect::<Vec<_>>())]).unwrap();
    for params in [
        json!({}),
        json!({ "method": "last_order" }),
        json!({ "method": "last_order", "user": "gender", "time": "number" }),
        json!({ "method": "user" }),
        json!({ "method": "time", "cutoff": "2024-01-12" }),
        json!({ "method": "time", "test_size": 0.2 }),
        json!({ "method": "time", "time": "sale_price", "cutoff": 10 }),
    ] {
        conformance::<Split>(&params, &[("table", with_number.clone())]);
    }
}

#[test]
fn clv() {
    conformance::<Clv>(&json!({}), &[("table", purchases())]);
    conformance::<Clv>(&json!({ "now": "2024-02-01", "horizon": 3650 }), &[("table", purchases())]);
}

#[test]
fn history() {
    let reordered = Column::new("reordered".into(), (0..24i64).map(|row| row % 3 / 2).collect::<Vec<_>>());
    let purchases = purchases().hstack(&[reordered]).unwrap();
    let params = json!({
        "number": "order_id", "department": "gender", "time": "created_at",
        "features": ["user", "user_department", "user_product", "product", "department"],
    });
    conformance::<History>(&params, &[("table", purchases.clone())]);
    let params = json!({ "number": "created_at", "department": "gender", "carry": ["user_id", "reordered"] });
    conformance::<History>(&params, &[("table", purchases.clone()), ("reference", purchases)]);
}

#[test]
fn describe() {
    conformance::<Describe>(&json!({}), &[("table", purchases())]);
    conformance::<Describe>(&json!({ "columns": ["gender", "sale_price"] }), &[("table", purchases())]);
}

#[test]
fn correlation() {
    let columns = json!(["sale_price", "age", "num_of_item"]);
    conformance::<Correlation>(&json!({ "columns": columns }), &[("table", purchases())]);
    conformance::<Correlation>(&json!({ "method": "spearman" }), &[("table", purchases())]);
}

#[test]
fn histogram() {
    for params in [
        json!({ "column": "sale_price" }),
        json!({ "column": "age", "bins": [0, 19, 30, 60] }),
        json!({ "column": "sale_price", "per": "gender", "agg": "mean", "bins": 3 }),
        json!({ "column": "sale_price", "per": "user_id", "agg": "sum", "bins": "values" }),
        json!({ "column": "order_id", "per": "user_id", "agg": "n_unique", "bins": "values" }),
        json!({ "column": "sale_price", "per": "created_at", "agg": "count", "bins": 2 }),
    ] {
        conformance::<Histogram>(&params, &[("table", purchases())]);
    }
}

#[test]
fn top() {
    for column in ["gender", "product_id", "created_at"] {
        conformance::<Top>(&json!({ "column": column, "n": 3 }), &[("table", purchases())]);
    }
}

#[test]
fn crosstab() {
    for params in [
        json!({ "rows": "gender", "columns": "product_id" }),
        json!({ "rows": "user_id", "columns": "gender", "max_rows": 7, "show": "row_share" }),
        json!({ "rows": "product_id", "columns": "created_at", "max_columns": 3 }),
    ] {
        conformance::<Crosstab>(&params, &[("table", purchases())]);
    }
}

#[test]
fn select() {
    for params in [
        json!({ "target": "gender" }),
        json!({ "target": "sale_price", "carry": ["user_id"], "keep": ["age"], "max_correlation": 0.5, "k": 2 }),
        json!({ "target": "product_id", "categorical": ["num_of_item"], "drop": ["order_id"], "bins": 3 }),
    ] {
        conformance::<Select>(&params, &[("table", purchases())]);
    }
}

#[test]
fn descriptors_are_sound() {
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        let name = &descriptor.name;
        assert!(name.starts_with("features."), "{name}");
        assert!(descriptor.summary.ends_with('.') && !descriptor.details.is_empty(), "{name}");
        assert!(descriptor.ports.iter().all(|port| port.doc.ends_with('.')), "{name}");
        assert!(descriptor.example.contains("inputs:") && descriptor.example.contains("with:"), "{name}");
        assert_eq!(descriptor.params["type"], "object", "{name}");
        assert_eq!(descriptor.params["additionalProperties"], false, "{name}");
        for (param, schema) in descriptor.params["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}: `{param}` has no description");
        }
    }
}
