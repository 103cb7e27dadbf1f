//! Every stage type of this crate over hostile inputs, and what each says about itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::json;
use stagewright_frame::testkit::conformance;
use stagewright_recommend::{Cosine, Frequency, Popular, stage_types};

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

#[test]
fn cosine() {
    conformance::<Cosine>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    conformance::<Cosine>(&json!({ "n": 4 }), &[("purchases", purchases()), ("users", users())]);
}

#[test]
fn popular() {
    conformance::<Popular>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "by": "purchases", "exclude_purchased": true });
    conformance::<Popular>(&params, &[("purchases", purchases()), ("users", users())]);
}

#[test]
fn frequency() {
    conformance::<Frequency>(&json!({ "n": 4 }), &[("purchases", purchases())]);
    let params = json!({ "n": 4, "decay": 0.5, "fill": "none" });
    conformance::<Frequency>(&params, &[("purchases", purchases()), ("users", users())]);
}

#[test]
fn descriptors_are_sound() {
    let names: Vec<_> = stage_types().iter().map(|stage_type| stage_type.name().to_owned()).collect();
    assert_eq!(names, ["recommend.cosine", "recommend.popular", "recommend.frequency"]);
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
