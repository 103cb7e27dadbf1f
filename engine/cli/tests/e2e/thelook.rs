//! TheLook's real files against figures computed by pandas, scikit-learn and scipy (`../shared/golden`): row counts
//! exactly, k-means no worse, the published recommender within its range. Skipped where the files are not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::space::TestSpace;

/// The folder with the data and the golden figures, if it is there.
fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let there = folder.join("data/thelook").is_dir() && folder.join("golden/campaign_uk.json").is_file();
    if !there {
        println!("skipped: there is no `{}` with data/thelook and golden/campaign_uk.json", folder.display());
    }
    there.then_some(folder)
}

fn distinct(rows: &Value, column: &str) -> usize {
    rows.as_array().unwrap().iter().map(|row| row[column].to_string()).collect::<BTreeSet<_>>().len()
}

#[test]
fn the_united_kingdom_is_as_published() {
    let Some(shared) = shared() else { return };
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(shared.join("golden/campaign_uk.json")).unwrap()).unwrap();
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/thelook.yaml");
    let space = TestSpace::new();
    let tail = format!(
        "{} --set params.data={} --store {}",
        workflow.display(),
        shared.join("data/thelook").display(),
        space.path("store").display(),
    );
    let run = space.json(&format!("run --json {tail}"));
    let rows = |stage: &str| {
        let stages = run["stages"].as_array().unwrap();
        let found = stages.iter().find(|found| found["stage"] == stage && found["variant"] == "base").unwrap();
        found["outputs"]["table"]["rows"].as_u64().unwrap()
    };
    for (stage, name) in [
        ("order_items", "order_items"),
        ("orders", "orders"),
        ("users", "users"),
        ("catalogue", "products"),
        ("buyers", "uk_users"),
        ("joined", "joined"),
        ("features", "joined_users"),
    ] {
        assert_eq!(Value::from(rows(stage)), golden["rows"][name], "rows of `{stage}`");
    }
    let joined = space.json(&format!("get joined --format json {tail}"));
    assert_eq!(Value::from(distinct(&joined, "order_id")), golden["rows"]["joined_orders"]);
    assert_eq!(Value::from(distinct(&joined, "product_id")), golden["rows"]["joined_products"]);

    // The reference used one start, so below it is better; half a per cent above is allowed.
    let elbow = space.json(&format!("get segments.elbow --format json {tail}"));
    let silhouettes = space.json(&format!("get segments.silhouettes --format json {tail}"));
    let mut agrees = BTreeSet::new();
    for (row, reference) in elbow.as_array().unwrap().iter().zip(golden["wcss"].as_array().unwrap()) {
        let (wcss, reference) = (row["wcss"].as_f64().unwrap(), reference.as_f64().unwrap());
        assert!(wcss <= reference * 1.005, "WCSS at k = {}: {wcss} against {reference}", row["k"]);
        if (wcss / reference - 1.0).abs() < 1e-4 {
            agrees.insert(row["k"].as_u64().unwrap());
        }
    }
    assert_eq!(elbow.as_array().unwrap().len(), 10);
    assert!(agrees.contains(&2), "the same two clusters as the reference: {agrees:?}");
    for row in silhouettes.as_array().unwrap() {
        let k = row["k"].as_u64().unwrap();
        let Some(reference) = golden["silhouette"]["kmeans"][k.to_string()].as_f64() else { continue };
        if agrees.contains(&k) {
            let silhouette = row["silhouette"].as_f64().unwrap();
            assert!((silhouette - reference).abs() < 0.005, "silhouette at k = {k}: {silhouette} against {reference}");
        }
    }

    // The linkage is deterministic, so Ward's clusters are the same.
    let ward = space.json(&format!("get ward.silhouettes --format json {tail}"));
    for (k, reference) in golden["silhouette"]["ward"].as_object().unwrap() {
        let row = ward.as_array().unwrap().iter().find(|row| row["k"].as_u64() == k.parse().ok()).unwrap();
        let (silhouette, reference) = (row["silhouette"].as_f64().unwrap(), reference.as_f64().unwrap());
        assert!((silhouette - reference).abs() < 1e-6, "Ward at k = {k}: {silhouette} against {reference}");
    }
    let sizes = |stage: &str| -> BTreeSet<u64> {
        let rows = space.json(&format!("get {stage} --format json {tail}"));
        rows.as_array().unwrap().iter().map(|row| row["size"].as_u64().unwrap()).collect()
    };
    let expected = |name: &str| -> BTreeSet<u64> {
        golden[name].as_object().unwrap().values().map(|size| size.as_u64().unwrap()).collect()
    };
    assert_eq!(sizes("ward_profile"), expected("ward_sizes"));
    let spectral = space.json(&format!("get spectral.silhouettes --format json {tail}"));
    for (k, reference) in golden["silhouette"]["spectral"].as_object().unwrap() {
        let row = spectral.as_array().unwrap().iter().find(|row| row["k"].as_u64() == k.parse().ok()).unwrap();
        let (silhouette, reference) = (row["silhouette"].as_f64().unwrap(), reference.as_f64().unwrap());
        assert!((silhouette - reference).abs() < 0.02, "spectral at k = {k}: {silhouette} against {reference}");
    }

    // What the published system looked at.
    let outside = &run["metrics"]["base"]["mean_price_per_user.outside"];
    assert_eq!(outside.as_f64(), golden["avg_order_value_outside_bins"].as_f64());
    for (stage, name, bin) in [
        ("orders_per_user", "orders_per_user", "bin"),
        ("items_per_order", "items_per_order", "bin"),
        ("age_groups", "age_groups_rows", "bin"),
    ] {
        let rows = space.json(&format!("get {stage}.table --format json {tail}"));
        for row in rows.as_array().unwrap() {
            let bin = row[bin].as_str().map_or_else(|| row[bin].to_string(), str::to_owned);
            assert_eq!(row["count"], golden[name][&bin], "{stage} of {bin}");
        }
        assert_eq!(rows.as_array().unwrap().len(), golden[name].as_object().unwrap().len(), "{stage}");
    }

    // The published evaluation of the published recommender: four hits or so in 1,654 pairs, which is chance.
    let metrics = &run["metrics"]["as-published"];
    for k in [3, 5, 7, 10] {
        let reference = &golden["rec"][k.to_string()];
        for (name, reference) in [("precision", &reference["precision"]), ("recall", &reference["recall"])] {
            let value = metrics[format!("scores.{name}@{k}")].as_f64().unwrap();
            let reference = reference.as_f64().unwrap();
            assert!(value <= reference * 3.0 && value >= 0.0, "{name}@{k}: {value} against {reference}");
        }
    }
    assert_eq!(metrics["scores.users_with_recommendations"].as_f64(), golden["users_with_recs"].as_f64());
}

#[test]
fn another_country_runs_too_and_shares_what_does_not_depend_on_it() {
    let Some(shared) = shared() else { return };
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/thelook.yaml");
    let space = TestSpace::new();
    let run = |country: &str| {
        let data = format!("params.data={}", shared.join("data/thelook").display());
        let country = format!("params.country={country}");
        let store = space.path("store").display().to_string();
        let workflow = workflow.display().to_string();
        let args =
            ["run", "--json", &workflow, "--set", &data, "--set", &country, "--store", &store, "--variant", "base"];
        let output = space.run_args(&args);
        assert_eq!(output.code, Some(0), "{output}");
        serde_json::from_str::<Value>(&output.stdout).unwrap()
    };
    run("Spain");
    let france = run("France");
    let stage = |name: &str| {
        let stages = france["stages"].as_array().unwrap().clone();
        stages.into_iter().find(|stage| stage["stage"] == name).unwrap()
    };
    for name in ["users", "orders", "order_items", "products", "quality", "lines", "catalogue"] {
        assert_eq!(stage(name)["status"], "cached", "{name}");
    }
    // Counted with pandas: `(users.country == "France").sum()`.
    assert_eq!(stage("buyers")["outputs"]["table"]["rows"], 4661);
    assert_eq!(stage("joined")["status"], "executed");
}
