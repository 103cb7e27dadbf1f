//! Every stage type against hostile inputs, and every descriptor against what a reader needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{Column, DataFrame, df};
use serde_json::json;
use stagewright_clean::{
    Bin, Cast, Consent, Derive, DropDuplicates, DropNulls, Expect, Fill, Filter, Join, Outliers, Pseudonymise, Rename,
    Select, stage_types,
};
use stagewright_frame::testkit::conformance;

fn users() -> DataFrame {
    let ids: Vec<i64> = (0..24).collect();
    let ages: Vec<Option<i64>> = (0..24).map(|i| (i % 5 != 3).then_some(15 + i * 7 % 60)).collect();
    let spent: Vec<Option<f64>> = (0..24).map(|i| (i % 6 != 2).then_some(f64::from(i * i % 37) * 1.5)).collect();
    let cities: Vec<Option<&str>> = (0..24).map(|i| [Some("Paris"), Some("Lyon"), None, Some("Nice")][i % 4]).collect();
    df!("id" => ids, "age" => ages, "spent" => spent, "city" => cities).unwrap()
}

fn orders() -> DataFrame {
    let ids: Vec<i64> = (100..130).collect();
    let users: Vec<i64> = (0..30).map(|i| i * 7 % 24).collect();
    let prices: Vec<f64> = (0..30).map(|i| f64::from(i) * 2.5).collect();
    let days: Vec<String> = (0..30).map(|i| format!("2024-01-{:02}", i % 28 + 1)).collect();
    df!("order_id" => ids, "user_id" => users, "price" => prices, "day" => days).unwrap()
}

#[test]
fn columns() {
    conformance::<Select>(&json!({ "columns": ["city", "id"] }), &[("table", users())]);
    conformance::<Select>(&json!({ "drop": ["city", "id"] }), &[("table", users())]);
    conformance::<Rename>(&json!({ "columns": { "id": "user_id", "city": "id" } }), &[("table", users())]);
    let derive = json!({ "columns": {
        "rate": "spent / age", "share": "spent / SUM(spent) OVER (PARTITION BY city)", "shout": "UPPER(city)",
        "total": "SUM(spent)", "one": "1",
    } });
    conformance::<Derive>(&derive, &[("table", users())]);
}

#[test]
fn casts() {
    for strict in [true, false] {
        for types in [
            json!({ "id": "string", "age": "float64", "spent": "string" }),
            json!({ "id": "date32", "age": "timestamp", "spent": "float64" }),
        ] {
            conformance::<Cast>(&json!({ "columns": types, "strict": strict }), &[("table", users())]);
        }
        conformance::<Cast>(&json!({ "columns": { "day": "date32" }, "strict": strict }), &[("table", orders())]);
        conformance::<Cast>(&json!({ "columns": { "day": "timestamp" }, "strict": strict }), &[("table", orders())]);
    }
    let lossy =
        json!({ "columns": { "id": "bool", "spent": "int64", "city": "float64", "age": "bool" }, "strict": false });
    conformance::<Cast>(&lossy, &[("table", users())]);
    let lossy = json!({ "columns": { "spent": "timestamp", "city": "bool", "age": "date32" }, "strict": false });
    conformance::<Cast>(&lossy, &[("table", users())]);
}

#[test]
fn row_choices() {
    conformance::<Filter>(&json!({ "where": "age BETWEEN 18 AND 60 AND city <> 'Nice'" }), &[("table", users())]);
    conformance::<DropNulls>(&json!({}), &[("table", users())]);
    conformance::<DropNulls>(&json!({ "columns": ["age", "city"] }), &[("table", users())]);
    for keep in ["first", "last"] {
        conformance::<DropDuplicates>(&json!({ "keep": keep }), &[("table", users())]);
        let params = json!({ "columns": ["city", "spent"], "keep": keep });
        conformance::<DropDuplicates>(&params, &[("table", users())]);
    }
}

#[test]
fn joins() {
    for how in ["inner", "left", "full", "semi", "anti"] {
        for validate in [json!("many_to_one"), json!(null)] {
            let mut params = json!({ "left_on": ["user_id"], "right_on": ["id"], "how": how });
            if !validate.is_null() {
                params["validate"] = validate;
            }
            conformance::<Join>(&params, &[("left", orders()), ("right", users())]);
        }
        let params = json!({ "on": ["city", "spent"], "how": how });
        conformance::<Join>(&params, &[("left", users()), ("right", users())]);
    }
}

#[test]
fn values() {
    conformance::<Bin>(&json!({ "column": "spent", "edges": [0, 9, 20, 50] }), &[("table", users())]);
    let params = json!({ "column": "age", "edges": [0, 30, 99], "labels": ["young", "old"], "right": false });
    conformance::<Bin>(&params, &[("table", users())]);
    let params = json!({ "values": { "city": "unknown", "spent": 0 }, "strategy": { "age": "mean" } });
    conformance::<Fill>(&params, &[("table", users())]);
    for strategy in ["mean", "median", "most_frequent", "forward", "zero"] {
        let params = json!({ "strategy": { "age": strategy, "spent": strategy } });
        conformance::<Fill>(&params, &[("table", users())]);
    }
    for strategy in ["most_frequent", "forward"] {
        conformance::<Fill>(&json!({ "strategy": { "city": strategy } }), &[("table", users())]);
    }
    for method in ["iqr", "zscore"] {
        for action in ["drop", "clip", "mark", "set_null"] {
            let params = json!({ "columns": ["age", "spent"], "method": method, "action": action, "k": 0.5 });
            conformance::<Outliers>(&params, &[("table", users())]);
        }
    }
}

#[test]
fn expectations() {
    let checks = json!([
        { "check": "row_count", "min": 1, "max": 1000 },
        { "check": "not_null", "columns": ["order_id", "price"] },
        { "check": "unique", "column": "order_id" },
        { "check": "unique", "columns": ["day", "user_id"], "severity": "warn" },
        { "check": "between", "column": "price", "min": 0, "max": 10, "severity": "warn" },
        { "check": "between", "column": "order_id", "min": 100.5, "severity": "warn" },
        { "check": "in_set", "column": "day", "values": ["2024-01-01"], "severity": "warn" },
        { "check": "in_set", "column": "user_id", "values": [1, 2], "severity": "warn" },
        { "check": "foreign_key", "column": "user_id", "references": "id" },
    ]);
    conformance::<Expect>(&json!({ "checks": checks }), &[("table", orders()), ("parent", users())]);
}

#[test]
fn descriptors() {
    let types = stage_types();
    assert_eq!(types.len(), 14);
    for stage_type in types {
        let descriptor = stage_type.descriptor();
        let name = &descriptor.name;
        assert!(name.starts_with("clean."), "{name}");
        assert!(descriptor.summary.ends_with('.') && descriptor.summary.len() < 120, "{name}: {}", descriptor.summary);
        assert!(!descriptor.details.is_empty(), "{name}");
        assert!(descriptor.example.starts_with("inputs: ") && descriptor.example.contains("\nwith:"), "{name}");
        assert!(descriptor.inputs().count() > 0, "{name}");
        assert!(descriptor.ports.iter().all(|port| port.doc.ends_with('.')), "{name}");
        assert_eq!(descriptor.params["type"], "object", "{name}");
        assert_eq!(descriptor.params["additionalProperties"], false, "{name}");
        for (param, schema) in descriptor.params["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}: `{param}` has no documentation");
        }
    }
}

/// The examples as JSON: what they say must configure the stage.
#[test]
fn examples() {
    let examples = [
        ("clean.select", json!({ "columns": ["order_id", "user_id", "sale_price"] })),
        ("clean.derive", json!({ "columns": { "price_range": "total / orders", "adult": "age >= 18" } })),
        ("clean.rename", json!({ "columns": { "id": "product_id", "name": "product_name" } })),
        ("clean.cast", json!({ "columns": { "order_id": "int64", "created_at": "timestamp" }, "strict": false })),
        ("clean.filter", json!({ "where": "country = 'United Kingdom'" })),
        ("clean.drop_nulls", json!({ "columns": ["brand", "name"] })),
        ("clean.drop_duplicates", json!({ "columns": ["order_id"], "keep": "last" })),
        (
            "clean.join",
            json!({ "left_on": ["product_id"], "right_on": ["id"], "how": "left", "validate": "many_to_one" }),
        ),
        ("clean.bin", json!({ "column": "age", "edges": [0, 19, 30, 40, 50, 60, 200], "into": "age_group" })),
        ("clean.fill", json!({ "values": { "city": "unknown", "visits": 0 }, "strategy": { "age": "median" } })),
        ("clean.outliers", json!({ "columns": ["sale_price"], "method": "iqr", "k": 3.0, "action": "drop" })),
        (
            "clean.expect",
            json!({ "checks": [
            { "check": "row_count", "min": 1 },
            { "check": "not_null", "columns": ["order_id", "user_id"] },
            { "check": "unique", "column": "order_id" },
            { "check": "between", "column": "sale_price", "min": 0, "max": 1000, "severity": "warn" },
            { "check": "in_set", "column": "status", "values": ["Complete", "Shipped", "Processing"] },
            { "check": "foreign_key", "column": "user_id", "references": "id" },
        ] }),
        ),
    ];
    for (stage_type, (name, params)) in stage_types().iter().zip(examples) {
        assert_eq!(stage_type.name(), name);
        stage_type.configure(&params).map(drop).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn consent() {
    let decisions = decided();
    conformance::<Consent>(
        &json!({ "user": "id", "granted": "granted" }),
        &[("table", users()), ("consent", decisions)],
    );
    let masked =
        json!({ "user": "id", "granted": "granted", "action": "mask", "mask": ["city", "age"], "time": "age" });
    conformance::<Consent>(&masked, &[("table", decided())]);
}

/// The users with a column that says whether they consented.
fn decided() -> DataFrame {
    let granted: Vec<Option<bool>> = (0..24).map(|i| [Some(true), Some(false), None][i % 3]).collect();
    let mut users = users();
    users.with_column(Column::new("granted".into(), granted)).unwrap();
    users
}

#[test]
fn pseudonyms() {
    let params = json!({ "columns": ["id", "city"], "key": "${secret:KEY}" });
    conformance::<Pseudonymise>(&params, &[("table", users())]);
}
