//! Every stage type on its example, and on hostile versions of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{learn_and, shop};
use polars::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stagewright_contract::{Kind, Port, Stage, StageContext, StageError};
use stagewright_frame::testkit::conformance;
use stagewright_model::{
    Calibrate, CrossValidate, DecisionTree, GradientBoosting, Importance, Learn, Linear, Logistic, Predict,
    RandomForest, Svm, Threshold, stage_types,
};

fn columns(names: &[&str]) -> DataFrame {
    shop().head(Some(60)).select(names.iter().copied()).unwrap()
}

#[test]
fn logistic() {
    let shop = columns(&["price", "hour", "department", "member", "bought"]);
    for params in [
        json!({ "features": ["price", "hour", "department", "member"], "target": "bought" }),
        json!({
            "features": ["price", "hour"], "target": "department", "positive": "frozen", "C": 0.1,
            "fit_intercept": false, "class_weight": "balanced"
        }),
        json!({ "features": ["price", "member"], "target": "bought", "penalty": "none" }),
    ] {
        let shop = match params["target"].as_str() {
            Some("department") => {
                let two = shop.column("department").unwrap().str().unwrap().not_equal("dairy");
                shop.filter(&two).unwrap()
            }
            _ => shop.clone(),
        };
        conformance::<Learn<Logistic>>(&params, &[("table", shop)]);
    }
}

#[test]
fn gradient_boosting() {
    let shop = columns(&["price", "hour", "department", "member", "bought"]);
    for params in [
        json!({ "features": ["price", "hour", "department", "member"], "target": "bought", "min_samples_leaf": 3 }),
        json!({
            "features": ["hour", "department"], "target": "price", "loss": "squared_error", "max_iter": 20,
            "max_leaf_nodes": 4, "max_depth": 2, "min_samples_leaf": 1, "l2_regularization": 1.0, "max_bins": 2
        }),
        json!({
            "features": ["price", "hour"], "target": "bought", "early_stopping": true, "validation_fraction": 0.3,
            "n_iter_no_change": 2, "learning_rate": 0.5, "min_samples_leaf": 3
        }),
    ] {
        conformance::<Learn<GradientBoosting>>(&params, &[("table", shop.clone())]);
    }
}

#[test]
fn decision_tree() {
    let shop = columns(&["price", "hour", "department", "member", "bought"]);
    for params in [
        json!({ "features": ["price", "hour", "department", "member"], "target": "bought" }),
        json!({ "features": ["price", "department"], "target": "bought", "criterion": "entropy", "max_depth": 3 }),
        json!({
            "features": ["hour", "department"], "target": "price", "criterion": "squared_error",
            "min_samples_split": 5, "min_samples_leaf": 2, "min_impurity_decrease": 0.01
        }),
    ] {
        conformance::<Learn<DecisionTree>>(&params, &[("table", shop.clone())]);
    }
}

#[test]
fn linear() {
    let shop = columns(&["price", "hour", "department", "member", "spend"]);
    for more in [json!({}), json!({ "alpha": 2.0 }), json!({ "fit_intercept": false })] {
        let mut params = json!({ "features": ["price", "hour", "department", "member"], "target": "spend" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        conformance::<Learn<Linear>>(&params, &[("table", shop.clone())]);
    }
}

#[test]
fn random_forest() {
    let shop = columns(&["price", "hour", "department", "member", "bought"]);
    for params in [
        json!({ "features": ["price", "hour", "department", "member"], "target": "bought", "n_estimators": 20 }),
        json!({
            "features": ["hour", "department"], "target": "price", "criterion": "squared_error", "n_estimators": 3,
            "max_features": 0.5, "max_depth": 3, "min_samples_split": 4, "min_samples_leaf": 2, "max_samples": 0.5
        }),
        json!({ "features": ["price"], "target": "bought", "criterion": "entropy", "n_estimators": 2, "bootstrap": false }),
    ] {
        conformance::<Learn<RandomForest>>(&params, &[("table", shop.clone())]);
    }
}

#[test]
fn svm() {
    let shop = columns(&["price", "hour", "department", "member", "bought"]);
    for more in [
        json!({}),
        json!({ "kernel": "linear", "C": 0.5, "class_weight": "balanced" }),
        json!({ "kernel": "poly", "degree": 2, "coef0": 1.0, "gamma": 0.5, "folds": 2, "max_iter": 50 }),
    ] {
        let mut params = json!({ "features": ["price", "hour", "department", "member"], "target": "bought" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        conformance::<Learn<Svm>>(&params, &[("table", shop.clone())]);
    }
}

/// Learns from one table and predicts another.
#[derive(Serialize, Deserialize, JsonSchema)]
struct LearnAndPredict {}

impl Stage for LearnAndPredict {
    const TYPE: &'static str = "model.predict";
    const EXAMPLE: &'static str = "";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("train", Kind::Table, "."),
            Port::input("table", Kind::Table, "."),
            Port::output("table", Kind::Table, "."),
        ]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let learn = json!({ "features": ["price", "hour", "department", "member"], "target": "bought" });
        learn_and::<Learn<Logistic>, Predict>(context, learn, json!({}), &["table"])
    }
}

#[test]
fn predict() {
    let train = columns(&["price", "hour", "department", "member", "bought"]);
    let table = columns(&["row", "price", "hour", "department", "member"]);
    conformance::<LearnAndPredict>(&json!({}), &[("train", train), ("table", table)]);
}

/// Learns from one table and measures importances on another.
#[derive(Serialize, Deserialize, JsonSchema)]
struct LearnAndExplain {
    with: serde_json::Value,
}

impl Stage for LearnAndExplain {
    const TYPE: &'static str = "model.importance";
    const EXAMPLE: &'static str = "";

    fn ports() -> Vec<Port> {
        LearnAndPredict::ports()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let learn = json!({ "features": ["price", "hour", "department", "member"], "target": "bought" });
        learn_and::<Learn<Logistic>, Importance>(context, learn, self.with.clone(), &["table", "metrics", "figure"])
    }
}

#[test]
fn importance() {
    let train = columns(&["price", "hour", "department", "member", "bought"]);
    for with in [
        json!({ "n_repeats": 2 }),
        json!({ "n_repeats": 1, "score": "log_loss", "max_samples": 20 }),
        json!({ "method": "coefficients" }),
    ] {
        let inputs = [("train", train.clone()), ("table", train.clone())];
        conformance::<LearnAndExplain>(&json!({ "with": with }), &inputs);
    }
}

#[test]
fn cross_validate() {
    let shop = columns(&["row", "price", "hour", "department", "member", "bought"]);
    for more in [
        json!({ "n_splits": 2 }),
        json!({ "method": "grouped", "group": "hour", "n_splits": 3 }),
        json!({ "method": "time", "time": "row", "n_splits": 2 }),
        json!({ "method": "k_fold", "n_splits": 2 }),
    ] {
        let mut params = json!({
            "features": ["price", "hour", "department"], "target": "bought", "estimator": { "type": "logistic" }
        });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        conformance::<CrossValidate>(&params, &[("table", shop.clone())]);
    }
    let params = json!({ "features": ["price"], "target": "hour", "estimator": { "type": "linear" }, "n_splits": 3 });
    conformance::<CrossValidate>(&params, &[("table", shop)]);
}

/// Rows with a probability.
fn judged() -> DataFrame {
    let probability =
        Column::new("probability".into(), (0..60).map(|row| f64::from(row * 7 % 60) / 59.0).collect::<Vec<_>>());
    columns(&["row", "department", "bought"]).hstack(&[probability]).unwrap()
}

#[test]
fn calibrate() {
    conformance::<Calibrate>(&json!({ "target": "bought", "n_bins": 4 }), &[("table", judged())]);
    conformance::<Calibrate>(&json!({ "target": "bought", "method": "isotonic" }), &[("table", judged())]);
}

#[test]
fn threshold() {
    for choose in [
        json!({ "by": "cost", "false_positive": 1.0, "false_negative": 2.5 }),
        json!({ "by": "f1" }),
        json!({ "by": "precision", "min_recall": 0.5 }),
    ] {
        conformance::<Threshold>(&json!({ "target": "bought", "choose": choose }), &[("table", judged())]);
    }
}

#[test]
fn descriptors_are_sound() {
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        let name = &descriptor.name;
        assert!(name.starts_with("model."), "{name}");
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
