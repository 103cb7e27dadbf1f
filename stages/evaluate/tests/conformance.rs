//! Every stage type of this crate over hostile inputs, and what each says about itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::json;
use stagewright_evaluate::{Ranking, stage_types};
use stagewright_frame::testkit::conformance;

fn pairs(of: impl Fn(i64) -> i64) -> DataFrame {
    df![
        "user_id" => (0..30).map(|i| i % 7).collect::<Vec<i64>>(),
        "product_id" => (0..30).map(|i| format!("p{}", of(i) % 11)).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn recommendations(order: &str) -> DataFrame {
    let mut frame = pairs(|i| i * i + 3);
    let order = match order {
        "rank" => df!["rank" => (0..30).map(|i| i / 7 + 1).collect::<Vec<i64>>()],
        _ => df!["score" => (0..30).map(|i| 1.0 / f64::from(i + 1)).collect::<Vec<_>>()],
    };
    frame.hstack_mut(order.unwrap().columns()).unwrap();
    frame
}

#[test]
fn ranking() {
    let test = pairs(|i| i * 5);
    let catalog = df!["product_id" => (0..25).map(|i| format!("p{i}")).collect::<Vec<_>>()].unwrap();
    for order in ["rank", "score"] {
        for users in ["with_test", "recommended"] {
            let params = json!({ "k": [3, 1, 1000], "users": users });
            let inputs = [("recommendations", recommendations(order)), ("test", test.clone())];
            conformance::<Ranking>(&params, &inputs);
            let [recommendations, test] = inputs;
            conformance::<Ranking>(&params, &[recommendations, test, ("catalog", catalog.clone())]);
        }
    }
}

#[test]
fn descriptors_are_sound() {
    let names: Vec<_> = stage_types().iter().map(|stage_type| stage_type.name().to_owned()).collect();
    assert_eq!(names, ["evaluate.ranking"]);
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        assert!(descriptor.summary.ends_with('.') && !descriptor.details.is_empty());
        assert!(descriptor.ports.iter().all(|port| port.doc.ends_with('.')));
        assert!(descriptor.example.contains("inputs:") && descriptor.example.contains("with:"));
        let properties = descriptor.params["properties"].as_object().unwrap();
        assert!(properties.values().all(|property| property["description"].is_string()), "{properties:?}");
        assert_eq!(properties["k"]["items"]["minimum"], json!(1));
        assert_eq!((&properties["k"]["minItems"], &properties["k"]["uniqueItems"]), (&json!(1), &json!(true)));
        assert_eq!(descriptor.params["additionalProperties"], json!(false));
        stage_type.configure(&json!({})).unwrap();
    }
}
