//! Every stage type of this crate over hostile inputs, and what each says about itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::json;
use stagewright_evaluate::{
    AbTest, Assign, Campaign, Classification, Clustering, Drift, Ranking, Regression, SimulateResponses,
    ThompsonSampling, stage_types,
};
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
fn ranking_by_group() {
    let users = df![
        "user_id" => (0..7_i64).collect::<Vec<_>>(),
        "gender" => (0..7).map(|i| if i % 3 == 0 { "f" } else { "m" }).collect::<Vec<_>>(),
    ]
    .unwrap();
    let purchases = pairs(|i| i * 3);
    conformance::<Ranking>(
        &json!({ "k": [3], "groups": ["gender"], "min_group_users": 2 }),
        &[
            ("recommendations", recommendations("rank")),
            ("test", pairs(|i| i * 5)),
            ("purchases", purchases.select(["product_id"]).unwrap()),
            ("users", users),
        ],
    );
}

#[test]
fn classification() {
    let predictions = df![
        "id" => (0..40).collect::<Vec<i64>>(),
        "probability" => (0..40).map(|i| f64::from(i * 7 % 40) / 40.0).collect::<Vec<_>>(),
        "target" => (0..40).map(|i| i64::from(i % 3 == 0)).collect::<Vec<_>>(),
        "gender" => (0..40).map(|i| if i % 2 == 0 { "f" } else { "m" }).collect::<Vec<_>>(),
    ]
    .unwrap();
    let with = |target: &str, more: serde_json::Value| {
        let mut params = json!({ "target": target, "keys": ["id"], "groups": ["gender"] });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        conformance::<Classification>(&params, &[("predictions", predictions.clone())]);
    };
    with("target", json!({}));
    with("target", json!({ "calibration_strategy": "quantile", "min_group_rows": 25, "threshold": 0.0 }));
    with("gender", json!({ "positive": "f", "groups": [], "keys": [], "calibration_bins": 1, "sample": 0 }));
}

#[test]
fn ab_test() {
    let assignment = df![
        "user" => (0..90).collect::<Vec<i64>>(),
        "arm" => (0..90).map(|i| ["a", "b", "c"][i % 3]).collect::<Vec<_>>(),
        "before" => (0..90).map(|i| f64::from(i * 7 % 13)).collect::<Vec<_>>(),
        "revenue" => (0..90).map(|i| f64::from(i * 5 % 11)).collect::<Vec<_>>(),
        "orders" => (0..90).map(|i| i64::from(i % 4 == 0)).collect::<Vec<_>>(),
    ]
    .unwrap();
    let params = json!({
        "unit": "user", "control": "a", "covariate": "before", "pairs": "all", "correction": "benjamini_hochberg",
        "metrics": [
            { "column": "revenue" },
            { "column": "orders", "kind": "proportion", "goal": "minimize" },
            { "name": "order_value", "column": "revenue", "kind": "ratio", "denominator": "orders" },
        ],
    });
    conformance::<AbTest>(&params, &[("assignment", assignment.clone())]);
    let outcomes = assignment.select(["user", "revenue", "orders"]).unwrap();
    let assignment = assignment.select(["user", "arm", "before"]).unwrap();
    let mut peeking = params;
    peeking["peeking"] = json!(1000);
    peeking["shares"] = json!({ "a": 1, "b": 1, "c": 1.2 });
    conformance::<AbTest>(&peeking, &[("assignment", assignment), ("outcomes", outcomes)]);
}

#[test]
fn assign_and_thompson_sampling() {
    let users = df!["user_id" => (0..90).collect::<Vec<i64>>(), "age" => (20..110).collect::<Vec<i64>>()].unwrap();
    let shares = df!["arm" => ["a", "b"], "share" => [0.25, 0.75]].unwrap();
    conformance::<Assign>(&json!({ "round": 2 }), &[("table", users.clone()), ("shares", shares)]);
    conformance::<Assign>(&json!({ "shares": { "x": 1, "y": 1 }, "arm": "variant" }), &[("table", users)]);
    let responses = df![
        "arm" => (0..90).map(|i| ["a", "b", "c"][i % 3]).collect::<Vec<_>>(),
        "bought" => (0..90).map(|i| i % 7 == 0).collect::<Vec<_>>(),
    ]
    .unwrap();
    let previous = df!["arm" => ["a", "d"], "successes" => [1_i64, 2], "trials" => [10_i64, 20]].unwrap();
    let params = json!({ "success": "bought", "floor": 0.1 });
    conformance::<ThompsonSampling>(&params, &[("responses", responses), ("previous", previous)]);
}

#[test]
fn campaign() {
    let flag = |every: i64| (0..40).map(|i| i64::from(i % every == 0)).collect::<Vec<_>>();
    let responses = df![
        "arm" => (0..40).map(|i| if i % 2 == 0 { "a" } else { "b" }).collect::<Vec<_>>(),
        "sent" => vec![true; 40],
        "bounced" => flag(9),
        "opens" => flag(2),
        "clicks" => flag(4),
        "left" => flag(20),
        "orders" => flag(8),
        "revenue" => (0..40).map(|i| if i % 8 == 0 { 12.5 } else { 0.0 }).collect::<Vec<_>>(),
        "is_new" => flag(16),
    ]
    .unwrap();
    let params = json!({
        "arm": "arm", "sent": "sent", "bounced": "bounced", "opened": "opens", "clicked": "clicks",
        "unsubscribed": "left", "converted": "orders", "orders": "orders", "revenue": "revenue",
        "new_customer": "is_new", "fixed_cost": 5.0, "cost_per_message": 0.1, "control": "b", "retention": 0.7,
    });
    conformance::<Campaign>(&params, &[("responses", responses)]);

    let words = ["sent", "open", "click", "purchase", "sent", "bounce", "unsubscribe", "?"];
    let events = df![
        "user_id" => (0..40).map(|i| i / 4).collect::<Vec<i64>>(),
        "event" => (0..40).map(|i| words[i % 8]).collect::<Vec<_>>(),
        "variant" => (0..40).map(|i| i / 8 % 2).collect::<Vec<i64>>(),
        "amount" => (0..40).map(f64::from).collect::<Vec<_>>(),
    ]
    .unwrap();
    let params = json!({ "arm": "variant", "revenue": "amount", "cost_per_message": 0.1 });
    conformance::<Campaign>(&params, &[("events", events)]);
}

#[test]
fn drift() {
    let of = |shift: i64| {
        df![
            "age" => (0..40).map(|i| i + shift).collect::<Vec<i64>>(),
            "spend" => (0..40).map(|i| (i * i % 17) as f64).collect::<Vec<_>>(),
            "city" => (0..40).map(|i| if (i + shift) % 3 == 0 { "Leeds" } else { "York" }).collect::<Vec<_>>(),
            "member" => (0..40).map(|i| (i + shift) % 5 == 0).collect::<Vec<_>>(),
        ]
        .unwrap()
    };
    conformance::<Drift>(&json!({}), &[("reference", of(0)), ("current", of(3))]);
    conformance::<Drift>(
        &json!({ "columns": ["spend", "city"], "bins": 3 }),
        &[("reference", of(0)), ("current", of(3))],
    );
}

#[test]
fn regression() {
    let predictions = df![
        "id" => (0..40).collect::<Vec<i64>>(),
        "prediction" => (0..40).map(|i| f64::from(i * 7 % 40)).collect::<Vec<_>>(),
        "target" => (0..40).map(|i| f64::from(i * 11 % 40)).collect::<Vec<_>>(),
    ]
    .unwrap();
    let inputs = [("predictions", predictions)];
    conformance::<Regression>(&json!({ "target": "target", "keys": ["id"] }), &inputs);
    conformance::<Regression>(&json!({ "target": "target", "bins": 1 }), &inputs);
}

#[test]
fn clustering() {
    let table = df![
        "x" => (0..40).map(|i| f64::from(i * 7 % 40)).collect::<Vec<_>>(),
        "y" => (0..40).map(|i| f64::from(i * 11 % 40)).collect::<Vec<_>>(),
        "cluster" => (0..40).map(|i| i % 3).collect::<Vec<i64>>(),
        "city" => (0..40).map(|i| if i % 4 == 0 { "Leeds" } else { "York" }).collect::<Vec<_>>(),
    ]
    .unwrap();
    let params = json!({ "columns": ["x", "y"], "reference": "city" });
    conformance::<Clustering>(&params, &[("table", table.clone())]);
    let params = json!({ "columns": ["x", "y"], "cluster": "city", "standardize": false, "sample_size": 10 });
    conformance::<Clustering>(&params, &[("table", table)]);
}

#[test]
fn descriptors_are_sound() {
    let names: Vec<_> = stage_types().iter().map(|stage_type| stage_type.name().to_owned()).collect();
    let types = [
        "ab_test",
        "assign",
        "campaign",
        "classification",
        "clustering",
        "drift",
        "ranking",
        "regression",
        "simulate_responses",
        "thompson_sampling",
    ];
    assert_eq!(names, types.map(|name| format!("evaluate.{name}")));
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        assert!(descriptor.summary.ends_with('.') && !descriptor.details.is_empty());
        assert!(descriptor.ports.iter().all(|port| port.doc.ends_with('.')));
        assert!(descriptor.example.contains("inputs:") && descriptor.example.contains("with:"));
        let properties = descriptor.params["properties"].as_object().unwrap();
        assert!(properties.values().all(|property| property["description"].is_string()), "{properties:?}");
        assert_eq!(descriptor.params["additionalProperties"], json!(false));
        let required = descriptor.params["required"].as_array().cloned().unwrap_or_default();
        let params = required.iter().map(|name| name.as_str().unwrap().to_owned());
        let value = |name: &str| match &properties[name] {
            property if property["type"] == "object" => json!({}),
            property if property["type"] != "array" => json!("x"),
            property if property["items"]["type"] == "string" => json!(["x"]),
            _ => json!([{ "column": "x" }]),
        };
        let params = params.map(|name| (name.clone(), value(&name)));
        stage_type.configure(&serde_json::Value::Object(params.collect())).unwrap();
    }
    let ranking = stage_types().into_iter().find(|stage_type| stage_type.name() == "evaluate.ranking").unwrap();
    let k = &ranking.descriptor().params["properties"]["k"];
    assert_eq!((&k["items"]["minimum"], &k["minItems"], &k["uniqueItems"]), (&json!(1), &json!(1), &json!(true)));
}

#[test]
fn simulated_responses() {
    let assigned = df![
        "user_id" => (0..40_i64).collect::<Vec<_>>(),
        "arm" => (0..40).map(|i| if i % 3 == 0 { "a" } else { "b" }).collect::<Vec<_>>(),
    ];
    let rates = json!({ "open": 0.5, "click": 0.5, "convert": 0.5 });
    let params = json!({ "round": 3, "rates": { "a": rates.clone(), "b": rates } });
    conformance::<SimulateResponses>(&params, &[("table", assigned.unwrap())]);
}
