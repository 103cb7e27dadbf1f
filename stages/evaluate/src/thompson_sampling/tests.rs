#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use stagewright_contract::StageError;
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::{frame, table};

use super::ThompsonSampling;

/// So many successes in so many trials of each arm.
fn responses(arms: &[(&str, usize, usize)]) -> DataFrame {
    let rows = arms.iter().flat_map(|(arm, successes, trials)| (0..*trials).map(move |row| (*arm, row < *successes)));
    let (arm, converted): (Vec<&str>, Vec<bool>) = rows.unzip();
    df!["arm" => arm, "converted" => converted].unwrap()
}

fn run(params: Value, responses: DataFrame, previous: Option<DataFrame>) -> Result<Done, StageError> {
    let trial = Trial::new::<ThompsonSampling>(params).input("responses", table(responses));
    match previous {
        Some(previous) => trial.input("previous", table(previous)),
        None => trial,
    }
    .run()
}

fn column(done: &Done, name: &str) -> Vec<f64> {
    stagewright_frame::numbers(&frame(&done.table("table")), name).unwrap().into_iter().flatten().collect()
}

#[track_caller]
fn same(found: &[f64], expected: &[f64]) {
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9);
    assert!(found.len() == expected.len() && near, "{found:?} and not {expected:?}");
}

/// 36 successes of 1,000 and 60 of 1,000: beta(37, 965) and beta(61, 941), by scipy as in `posterior`.
#[test]
fn an_arm_gets_the_share_that_it_is_likely_to_be_the_best() {
    let round = responses(&[("a", 36, 1000), ("b", 60, 1000)]);
    let done = run(json!({ "success": "converted" }), round.clone(), None).unwrap();
    let best = [0.0060622591695532295, 0.9939377408304471];
    same(&column(&done, "probability_best"), &best);
    same(&column(&done, "share"), &best);
    same(&column(&done, "mean"), &[37.0 / 1002.0, 61.0 / 1002.0]);
    let floor = run(json!({ "success": "converted", "floor": 0.1 }), round, None).unwrap();
    same(&column(&floor, "share"), &best.map(|best| 0.1 + 0.8 * best));
}

#[test]
fn rounds_add_up_in_whatever_pieces_they_come() {
    let params = json!({ "success": "converted" });
    let first = run(params.clone(), responses(&[("a", 20, 500), ("b", 25, 500), ("c", 1, 10)]), None).unwrap();
    let second = responses(&[("a", 16, 500), ("b", 35, 500)]);
    let both = run(params.clone(), second, Some(frame(&first.table("table")))).unwrap();
    let at_once = run(params, responses(&[("a", 36, 1000), ("b", 60, 1000), ("c", 1, 10)]), None).unwrap();
    assert_eq!(both.bytes(), at_once.bytes());
    assert_eq!(column(&both, "trials"), [1000.0, 1000.0, 10.0]);
    same(&[column(&both, "share").iter().sum()], &[1.0]);
}

#[test]
fn what_is_wrong_is_said() {
    let fails = |params: Value, previous: Option<DataFrame>| {
        run(params, responses(&[("a", 1, 2), ("b", 1, 2), ("c", 0, 2)]), previous).unwrap_err().message
    };
    let params = json!({ "success": "converted" });
    assert_eq!(fails(json!({ "success": "converted", "floor": 0.4 }), None), "3 arms cannot have 0.4 each");
    let previous = |successes: i64| df!["arm" => ["a"], "successes" => [successes], "trials" => [2_i64]].unwrap();
    assert_eq!(fails(params.clone(), Some(previous(3))), "`previous` has 3 successes in 2 trials of `a`");
    let none = run(params.clone(), responses(&[]), None).unwrap_err();
    assert_eq!(none.message, "there is no arm: neither table has a row");
    let nulls = df!["arm" => [Some("a"), None], "converted" => [Some(true), None]].unwrap();
    assert_eq!(run(params, nulls, None).unwrap_err().message, "a row of `responses` has no `arm`");
    let error = Trial::new::<ThompsonSampling>(json!({ "success": "x", "prior_failures": 0.5 })).check().unwrap_err();
    assert_eq!(error.path, "prior_failures");
}
