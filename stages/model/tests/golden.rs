//! The published reorder model on its table, whole: against scikit-learn's optimum.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::path::PathBuf;

use common::{assert_close, floats};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::table;
use stagewright_model::{Learn, Logistic};

const FEATURES: [&str; 6] =
    ["user_id", "order_number", "order_dow", "order_hour_of_day", "days_since_prior_order", "department_id"];

// LogisticRegression(solver="newton-cholesky", tol=1e-12).fit(df[FEATURES], df.reordered) after
// df.dropna(subset=["days_since_prior_order"]): intercept, coefficients, and log_loss on the same rows
#[test]
fn the_published_model_converges_on_unscaled_columns() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/complete_journey/ecommerce_behavior.parquet");
    let Ok(file) = File::open(&path) else {
        println!("skipped: there is no {}", path.display());
        return;
    };
    let names = FEATURES.iter().chain([&"reordered"]).map(|name| (*name).to_owned()).collect();
    let behavior = ParquetReader::new(file).with_columns(Some(names)).finish().unwrap();
    let known = behavior.column("days_since_prior_order").unwrap().is_not_null();
    let behavior = behavior.filter(&known).unwrap();
    assert_eq!(behavior.height(), 1_438_087);

    let params = json!({ "features": FEATURES, "target": "reordered" });
    let done = Trial::new::<Learn<Logistic>>(params).input("table", table(behavior)).run().unwrap();
    let expected = [
        -1.2901000564812153,
        -3.6205597151817337e-05,
        0.005909514493567733,
        -0.01412261241379608,
        0.004872120809786811,
        -0.011633528034994447,
        0.04443178201999607,
    ];
    let coefficients = floats(&done.table("coefficients"), "coefficient");
    assert_close("coefficients", &coefficients, &expected, 1e-7);
    assert!((coefficients[1].unwrap() / expected[1] - 1.0).abs() < 1e-7);
    let metrics = done.metrics("metrics");
    assert!((metrics.values["train_log_loss"].value.unwrap() - 0.6550807089821724).abs() < 1e-12);
    assert_eq!(metrics.values["converged"].value, Some(1.0));
}
