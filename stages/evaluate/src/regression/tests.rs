#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Sample, StageError};
use stagewright_frame::testkit::{frame, table};

use super::Regression;

fn predictions() -> DataFrame {
    let target = |i: i64| (i * 37 % 101) as f64 / 4.0 - 3.0;
    df![
        "id" => (0..300_i64).collect::<Vec<_>>(),
        "target" => (0..300).map(target).collect::<Vec<_>>(),
        "prediction" => (0..300).map(|i| target(i) * 0.8 + (i * 53 % 29) as f64 / 7.0 - 1.5).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn run(frame: DataFrame, mut params: Value) -> Result<Done, StageError> {
    params.as_object_mut().unwrap().insert("target".to_owned(), json!("target"));
    Trial::new::<Regression>(params).input("predictions", table(frame)).run()
}

#[test]
fn metrics_are_those_of_scikit_learn() {
    let done = run(predictions(), json!({})).unwrap();
    let metrics = done.metrics("metrics");
    // sklearn.metrics over the same numbers; the percentage error over the rows whose target is not 0.
    for (name, expected) in [
        ("mae", 1.900523809523809),
        ("rmse", 2.3253954385390516),
        ("r2", 0.8982685299979889),
        ("median_absolute_error", 1.6571428571428566),
        ("explained_variance", 0.9345626608551615),
        ("mape", 0.39930196615253083),
        ("bias", -1.3889523809523805),
        ("baseline_mae", 6.3101777777777786),
        ("baseline_rmse", 7.29069879290654),
        ("baseline_median_absolute_error", 6.276666666666667),
        ("rows", 300.0),
    ] {
        let found = metrics.values[name].value.unwrap();
        assert!((found - expected).abs() < 1e-12, "{name}: {found}, not {expected}");
    }
    assert_eq!(done.warnings, ["3 of 300 targets are 0: they take no part in `mape`"]);
}

#[test]
fn every_row_is_in_a_bin() {
    let done = run(predictions(), json!({ "bins": 7 })).unwrap();
    for port in ["residuals", "predicted_actual"] {
        let bins = frame(&done.table(port));
        let rows: Vec<_> = bins.column("rows").unwrap().i64().unwrap().iter().flatten().collect();
        assert_eq!((rows.len(), rows.iter().sum::<i64>()), (7, 300), "{port}");
    }
    let parts = frame(&done.table("predicted_actual"));
    let rows: Vec<_> = parts.column("rows").unwrap().i64().unwrap().iter().flatten().collect();
    assert!(rows.iter().all(|rows| [42, 43].contains(rows)), "{rows:?}");
    assert_eq!(done.figure("residuals_figure").series[0].points.len(), 7);
    assert_eq!(done.figure("predicted_actual_figure").series[0].points.len(), 7);
}

#[test]
fn the_order_of_rows_does_not_matter_with_keys() {
    let params = json!({ "keys": ["id"] });
    let done = run(predictions(), params.clone()).unwrap();
    assert_eq!(run(predictions().reverse(), params).unwrap().bytes(), done.bytes());
    let digest = |frame: DataFrame| run(frame, json!({})).unwrap().metrics("metrics").units_digest;
    assert_ne!(digest(predictions().reverse()), digest(predictions()));
}

#[test]
fn undefined_measures_are_left_undefined() {
    let constant = df!["target" => [Some(0.0), Some(0.0), None], "prediction" => [1.0, 2.0, 3.0]].unwrap();
    let done = run(constant, json!({})).unwrap();
    let metrics = done.metrics("metrics");
    for name in ["r2", "explained_variance", "mape"] {
        assert_eq!(metrics.values[name].value, None, "{name}");
    }
    assert_eq!((metrics.values["mae"].value, metrics.values["max_error"].value), (Some(1.5), Some(2.0)));
    assert_eq!(
        done.warnings,
        [
            "1 of 3 rows are left out: `target` or `prediction` is missing",
            "2 of 2 targets are 0: they take no part in `mape`",
        ]
    );
    let none = run(predictions().head(Some(0)), json!({})).unwrap();
    assert_eq!(none.metrics("metrics").values["rmse"].value, None);
}

#[test]
fn mistakes_are_named() {
    let large = df!["target" => [1.0, 1e200], "prediction" => [1.0, f64::INFINITY]].unwrap();
    let error = run(large, json!({})).unwrap_err();
    assert_eq!(error.message, "1 of 2 rows have a value beyond 1e100 in column `target`");
    let check = |params: Value| Trial::new::<Regression>(params).check().unwrap_err().to_string();
    assert_eq!(check(json!({ "target": "prediction" })), "prediction: `prediction` is the target, too");
    assert_eq!(check(json!({ "target": "t", "keys": ["a", "b", "a"] })), "keys/2: `a` is named twice");
}

#[test]
fn rows_add_up_to_the_measures() {
    let done = run(predictions(), json!({ "keys": ["id"] })).unwrap();
    let (metrics, rows) = (done.metrics("metrics"), frame(&done.table("per_row")));
    for name in ["mae", "bias", "rmse", "r2"] {
        let mean = rows.column(name).unwrap().f64().unwrap().iter().flatten().sum::<f64>() / 300.0;
        let metric = &metrics.values[name];
        assert!((mean - metric.value.unwrap()).abs() < 1e-12, "{name}: {mean}");
        assert_eq!(metric.sample, Some(Sample::Mean(name.to_owned())));
    }
}
