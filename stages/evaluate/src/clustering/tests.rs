#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Metrics, StageError};
use stagewright_frame::testkit::{frame, table};

use super::Clustering;

fn rows() -> DataFrame {
    let rows = || 0..90_i64;
    df![
        "x" => rows().map(|j| (j * 17 % 23) as f64 + (j % 3) as f64 * 15.0).collect::<Vec<_>>(),
        "y" => rows().map(|j| (j * 31 % 19) as f64 / 2.0 + if j % 3 == 1 { 20.0 } else { 0.0 }).collect::<Vec<_>>(),
        "cluster" => rows().map(|j| j % 3).collect::<Vec<_>>(),
        "alone" => rows().map(|j| if j == 0 { 7 } else { j % 3 }).collect::<Vec<_>>(),
        "moved" => rows().map(|j| if j % 5 == 0 { (j % 3 + 1) % 3 } else { j % 3 }).collect::<Vec<_>>(),
        "noise" => rows().map(|j| if j % 10 == 0 { 4 } else { j % 3 }).collect::<Vec<_>>(),
        "other" => rows().map(|j| format!("group {}", j * 7 % 11 % 4)).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn run(frame: DataFrame, mut params: Value) -> Result<Done, StageError> {
    params.as_object_mut().unwrap().entry("columns").or_insert(json!(["x", "y"]));
    Trial::new::<Clustering>(params).input("table", table(frame)).run()
}

#[track_caller]
fn metric(metrics: &Metrics, name: &str, expected: f64) {
    let found = metrics.values[name].value.unwrap();
    assert!((found - expected).abs() < 1e-11, "{name}: {found}, not {expected}");
}

#[test]
fn indices_are_those_of_scikit_learn() {
    // sklearn.metrics.silhouette_score, davies_bouldin_score and calinski_harabasz_score; then over StandardScaler().
    let raw = run(rows(), json!({ "standardize": false })).unwrap().metrics("metrics");
    metric(&raw, "silhouette", 0.6244343341149534);
    metric(&raw, "davies_bouldin", 0.5223153077052026);
    metric(&raw, "calinski_harabasz", 208.50104709899304);
    let standardized = run(rows(), json!({})).unwrap().metrics("metrics");
    metric(&standardized, "silhouette", 0.6619198367456091);
    metric(&standardized, "davies_bouldin", 0.45498319946991367);
    metric(&standardized, "calinski_harabasz", 251.06358881006045);
    let alone = run(rows(), json!({ "standardize": false, "cluster": "alone" })).unwrap().metrics("metrics");
    metric(&alone, "silhouette", 0.46728398402861443);
}

#[test]
fn agreement_is_that_of_scikit_learn() {
    // adjusted_rand_score and normalized_mutual_info_score.
    for (cluster, reference, rand, information) in [
        ("other", "noise", -0.030716509357545364, 0.017387449734928607),
        ("cluster", "moved", 0.5089655172413793, 0.5445140849964045),
        ("cluster", "cluster", 1.0, 1.0),
    ] {
        let done = run(rows(), json!({ "cluster": cluster, "reference": reference })).unwrap();
        metric(&done.metrics("metrics"), "adjusted_rand_index", rand);
        metric(&done.metrics("metrics"), "normalized_mutual_information", information);
    }
    assert!(!run(rows(), json!({})).unwrap().metrics("metrics").values.contains_key("adjusted_rand_index"));
}

#[test]
fn blocks_and_tasks_do_not_matter() {
    // 3,000 rows are several blocks and many tasks; the reference is the definition.
    let rows: Vec<(f64, f64, i64)> =
        (0..3000_i64).map(|i| ((i * 7919 % 3001) as f64, (i * 104_729 % 2003) as f64, i64::from(i % 7 < 3))).collect();
    let data = df![
        "x" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "y" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "cluster" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
    ]
    .unwrap();
    let mut total = 0.0;
    for row in &rows {
        let mut sums = [(0.0, 0.0); 2];
        for other in &rows {
            let (sum, count) = &mut sums[other.2 as usize];
            *sum += (row.0 - other.0).hypot(row.1 - other.1);
            *count += 1.0;
        }
        let own = sums[row.2 as usize].0 / (sums[row.2 as usize].1 - 1.0);
        let other = sums[1 - row.2 as usize].0 / sums[1 - row.2 as usize].1;
        total += (other - own) / own.max(other);
    }
    let done = run(data.clone(), json!({ "standardize": false })).unwrap();
    metric(&done.metrics("metrics"), "silhouette", total / 3000.0);
    let sampled = run(data, json!({ "standardize": false, "sample_size": 1500 })).unwrap().metrics("metrics");
    let difference = (sampled.values["silhouette"].value.unwrap() - total / 3000.0).abs();
    assert!(difference > 0.0 && difference < 0.02, "{difference}");
}

#[test]
fn each_cluster_has_a_row() {
    let done = run(rows(), json!({ "cluster": "alone" })).unwrap();
    let table = frame(&done.table("table"));
    let names: Vec<_> = table.column("cluster").unwrap().str().unwrap().iter().flatten().collect();
    assert_eq!(names, ["0", "1", "2", "7"]);
    let sizes: Vec<_> = table.column("size").unwrap().i64().unwrap().iter().flatten().collect();
    assert_eq!(sizes, [29, 30, 30, 1]);
    let of = |column: &str| table.column(column).unwrap().f64().unwrap().get(3);
    assert_eq!((of("silhouette"), of("spread"), of("share")), (Some(0.0), Some(0.0), Some(1.0 / 90.0)));
    assert_eq!(done.figure("size_figure").series[0].points.len(), 4);
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let params = json!({ "sample_size": 40, "reference": "moved" });
    assert_eq!(run(rows().reverse(), params.clone()).unwrap().bytes(), run(rows(), params).unwrap().bytes());
}

#[test]
fn undefined_indices_are_left_undefined() {
    let one = df!["x" => [1.0, 2.0], "y" => [1.0, 2.0], "cluster" => ["a", "a"]].unwrap();
    let each = df!["x" => [1.0, 2.0], "y" => [1.0, 2.0], "cluster" => ["a", "b"]].unwrap();
    let same = df!["x" => [1.0; 4], "y" => [1.0; 4], "cluster" => ["a", "b", "a", "b"]].unwrap();
    for (frame, silhouette) in [(one, None), (each, None), (same, Some(0.0))] {
        let metrics = run(frame, json!({})).unwrap().metrics("metrics");
        assert_eq!(metrics.values["silhouette"].value, silhouette);
        assert_eq!((metrics.values["davies_bouldin"].value, metrics.values["calinski_harabasz"].value), (None, None));
    }
}

#[test]
fn mistakes_are_named() {
    let gap = df!["x" => [Some(1.0), None, Some(1e200)], "y" => [1.0; 3], "cluster" => [Some(1), Some(2), Some(2)]];
    let error = run(gap.unwrap(), json!({})).unwrap_err();
    assert_eq!(error.message, "2 of 3 rows have no number between -1e100 and 1e100 in column `x`");
    let gap = df!["x" => [Some(1.0), None, Some(2.0), Some(3.0)], "y" => [1.0; 4], "cluster" => [Some(1), None, Some(2), Some(2)]];
    assert_eq!(run(gap.unwrap(), json!({})).unwrap().warnings, ["1 of 4 rows have no `cluster`: left out"]);
    let check = |params: Value| Trial::new::<Clustering>(params).check().unwrap_err().to_string();
    assert_eq!(check(json!({ "columns": ["x", "x"] })), "columns/1: `x` is named twice");
    assert_eq!(check(json!({ "columns": ["cluster"] })), "columns/0: `cluster` is the cluster column");
}
