//! Every stage type of this crate over hostile inputs, and what each says about itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::json;
use stagewright_frame::testkit::conformance;
use stagewright_recommend::{
    Als, Basket, Cosine, Diversify, Ease, Filter, Frequency, Hybrid, ItemKnn, Popular, stage_types,
};

fn purchases() -> DataFrame {
    let rows = 0..30_i64;
    let column = |f: fn(i64) -> i64| rows.clone().map(f).collect::<Vec<_>>();
    df![
        "user_id" => column(|i| i % 7),
        "product_id" => rows.clone().map(|i| format!("p{}", i * i % 11)).collect::<Vec<_>>(),
        "order_id" => column(|i| i % 7 * 10 + i / 14),
        "created_at" => column(|i| 1_700_000_000 + i / 14 * 86_400),
        "sale_price" => rows.clone().map(|i| (i * 37 % 101) as f64 / 4.0).collect::<Vec<_>>(),
        "gender" => rows.clone().map(|i| if i % 7 < 3 { "F" } else { "M" }).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn users() -> DataFrame {
    df!["user_id" => (3..30_i64).collect::<Vec<_>>()].unwrap()
}

fn products() -> DataFrame {
    let names: Vec<_> = (0..11_i64).map(|i| format!("p{i}")).collect();
    df!["product_id" => names.clone(), "name" => names.clone(), "category" => (0..11_i64).map(|i| i % 3).collect::<Vec<_>>()]
        .unwrap()
}

fn segments() -> DataFrame {
    df!["user_id" => (0..9_i64).collect::<Vec<_>>(), "cluster" => (0..9_i64).map(|i| i % 2).collect::<Vec<_>>()]
        .unwrap()
}

#[test]
fn cosine() {
    conformance::<Cosine>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    conformance::<Cosine>(&json!({ "n": 4 }), &[("purchases", purchases()), ("users", users())]);
}

#[test]
fn popular() {
    conformance::<Popular>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "by": "purchases", "exclude_purchased": true });
    conformance::<Popular>(&params, &[("purchases", purchases()), ("users", users()), ("segments", segments())]);
}

#[test]
fn basket() {
    conformance::<Basket>(&json!({ "n": 4, "horizon": 40_000 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "windows": 0, "fill": "none" });
    conformance::<Basket>(&params, &[("purchases", purchases()), ("users", users())]);
}

#[test]
fn item_knn() {
    conformance::<ItemKnn>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "k": 2, "similarity": "jaccard", "exclude_purchased": true });
    conformance::<ItemKnn>(&params, &[("purchases", purchases()), ("users", users()), ("products", products())]);
}

#[test]
fn frequency() {
    conformance::<Frequency>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "decay": 0.5, "fill": "none" });
    conformance::<Frequency>(&params, &[("purchases", purchases()), ("users", users())]);
}

#[test]
fn als() {
    conformance::<Als>(&json!({ "n": 4, "factors": 3 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "factors": 3, "exclude_purchased": true });
    conformance::<Als>(&params, &[("purchases", purchases()), ("users", users()), ("products", products())]);
}

#[test]
fn ease() {
    conformance::<Ease>(&json!({ "n": 4, "regularization": 2.0 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "products": 5, "exclude_purchased": true });
    conformance::<Ease>(&params, &[("purchases", purchases()), ("users", users()), ("products", products())]);
}

fn ranked() -> DataFrame {
    let rows = 0..20_i64;
    df![
        "user_id" => rows.clone().map(|i| i / 4).collect::<Vec<_>>(),
        "product_id" => rows.clone().map(|i| format!("p{}", i * 3 % 11)).collect::<Vec<_>>(),
        "rank" => rows.clone().map(|i| i % 4 + 1).collect::<Vec<_>>(),
        "score" => rows.clone().map(|i| 1.0 / (i % 4 + 1) as f64).collect::<Vec<_>>(),
        "reason" => rows.map(|i| format!("because {i}")).collect::<Vec<_>>(),
    ]
    .unwrap()
}

#[test]
fn hybrid() {
    conformance::<Hybrid>(&json!({ "n": 4 }), &[("list_a", ranked()), ("list_b", ranked())]);
    let by_score = ranked().drop("rank").unwrap();
    conformance::<Hybrid>(
        &json!({ "n": 4, "weights": [1, 2, 0] }),
        &[("list_a", ranked()), ("list_b", by_score), ("list_c", ranked())],
    );
}

#[test]
fn filter() {
    conformance::<Filter>(&json!({}), &[("lists", ranked())]);
    let inputs = [("lists", ranked()), ("purchases", purchases()), ("products", products()), ("users", users())];
    conformance::<Filter>(&json!({ "n": 2 }), &inputs);
}

#[test]
fn diversify() {
    conformance::<Diversify>(&json!({ "n": 3 }), &[("lists", ranked()), ("products", products())]);
    conformance::<Diversify>(
        &json!({ "columns": ["category", "name"], "lambda": 0.2 }),
        &[("lists", ranked()), ("products", products())],
    );
}

#[test]
fn descriptors_are_sound() {
    let names: Vec<_> = stage_types().iter().map(|stage_type| stage_type.name().to_owned()).collect();
    assert_eq!(
        names,
        [
            "recommend.cosine",
            "recommend.popular",
            "recommend.frequency",
            "recommend.basket",
            "recommend.item_knn",
            "recommend.als",
            "recommend.ease",
            "recommend.hybrid",
            "recommend.filter",
            "recommend.diversify",
        ]
    );
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        assert!(descriptor.summary.ends_with('.') && !descriptor.details.is_empty());
        assert!(descriptor.ports.iter().all(|port| port.doc.ends_with('.')));
        assert!(descriptor.example.contains("inputs:") && descriptor.example.contains("with:"));
        let properties = descriptor.params["properties"].as_object().unwrap();
        assert!(properties.values().all(|property| property["description"].is_string()), "{properties:?}");
        assert_eq!(descriptor.params["additionalProperties"], json!(false));
        stage_type.configure(&json!({})).unwrap();
    }
}
