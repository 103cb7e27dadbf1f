//! Every stage type of this crate over hostile inputs, and what each says about itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{catalogue, recommendations, users};
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::{conformance, frame, table};
use stagewright_generate::{Messages, Review, stage_types};

#[test]
fn messages() {
    // Five users are enough to see everything.
    let recommendations = recommendations().head(Some(15));
    conformance::<Messages>(&json!({}), &[("recommendations", recommendations.clone())]);
    let params = json!({
        "columns": { "products_key": "id", "price": "price" },
        "template": { "tone": "formal", "currency": "£" },
        "merge_fields": ["first_name"],
    });
    let inputs = [("recommendations", recommendations), ("products", catalogue()), ("users", users())];
    conformance::<Messages>(&params, &inputs);
}

#[test]
fn review() {
    let written = Trial::new::<Messages>(json!({}))
        .input("recommendations", table(recommendations().head(Some(15))))
        .run()
        .unwrap();
    conformance::<Review>(&json!({}), &[("messages", frame(&written.table("table")))]);
}

#[test]
fn descriptors_are_sound() {
    let names: Vec<_> = stage_types().iter().map(|stage_type| stage_type.name().to_owned()).collect();
    assert_eq!(names, ["generate.messages", "generate.review"]);
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
