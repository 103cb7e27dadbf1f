#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, DataType};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::frame;

use super::EmailTest;
use crate::csv::Csv;
use crate::trial::run_shared;

fn draw(params: Value) -> Done {
    Trial::new::<EmailTest>(params).run().unwrap()
}

fn numbers(frame: &DataFrame, name: &str) -> Vec<f64> {
    frame.column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().iter().flatten().collect()
}

/// The mean of a column in an arm.
fn mean(frame: &DataFrame, arm: &str, column: &str) -> f64 {
    let arms = frame.column("segment").unwrap().str().unwrap();
    let of_arm: Vec<f64> =
        arms.iter().zip(numbers(frame, column)).filter(|row| row.0 == Some(arm)).map(|row| row.1).collect();
    of_arm.iter().sum::<f64>() / of_arm.len() as f64
}

#[test]
fn the_columns_are_those_of_the_real_table() {
    let made = draw(json!({ "customers": 300 }));
    let Some(read) = run_shared::<Csv>(json!({}), "hillstrom/campaign.csv.gz") else { return };
    let columns = |done: &Done| {
        done.table("table").schema().into_iter().map(|column| (column.name, column.dtype)).collect::<Vec<_>>()
    };
    assert_eq!(columns(&made), columns(&read));
    let values = |done: &Done, column: &str| {
        let frame = frame(&done.table("table"));
        let texts = frame.column(column).unwrap().str().unwrap().clone();
        texts.iter().flatten().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    for column in ["zip_code", "channel", "segment"] {
        assert_eq!(values(&made, column), values(&read, column));
    }
    assert!(values(&made, "history_segment").is_subset(&values(&read, "history_segment")));
}

#[test]
fn the_effects_are_those_that_were_asked_for() {
    let made = frame(&draw(json!({ "customers": 300_000, "mens_lift": 0.5, "womens_lift": 0.0 })).table("table"));
    // With 100,000 customers in an arm a rate of 0.106 scatters by 0.001.
    for (arm, visits) in [("Mens E-Mail", 0.159), ("Womens E-Mail", 0.106), ("No E-Mail", 0.106)] {
        assert!((mean(&made, arm, "visit") - visits).abs() < 0.005, "{arm}");
        assert!((mean(&made, arm, "conversion") - 0.2 * visits).abs() < 0.002, "{arm}");
        assert!((mean(&made, arm, "history") - 242.0).abs() < 3.0, "{arm}");
    }
    let (visit, conversion, spend) = (numbers(&made, "visit"), numbers(&made, "conversion"), numbers(&made, "spend"));
    for ((visit, conversion), spend) in visit.iter().zip(conversion).zip(spend) {
        assert!(conversion <= *visit && (spend > 0.0) == (conversion > 0.0));
    }
}

#[test]
fn small_and_odd_sizes() {
    for customers in [0, 1, 2] {
        assert_eq!(draw(json!({ "customers": customers })).table("table").rows(), customers);
    }
    let none = frame(&draw(json!({ "customers": 3000, "mens_lift": -1 })).table("table"));
    assert_eq!(mean(&none, "Mens E-Mail", "visit"), 0.0);
    let error = Trial::new::<EmailTest>(json!({ "mens_lift": 5 })).check().unwrap_err();
    assert_eq!(error.path, "mens_lift");
}
