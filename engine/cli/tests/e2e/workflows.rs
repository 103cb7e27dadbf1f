//! The workflows that come with Stagewright run, run again without executing anything, and say what they promise.

use std::path::Path;

use serde_json::Value;

use crate::space::TestSpace;

fn workflow(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows").join(name).display().to_string()
}

fn count(run: &Value, status: &str) -> usize {
    run["stages"].as_array().unwrap().iter().filter(|stage| stage["status"] == status).count()
}

/// Runs a workflow twice; gives what the second run said.
fn twice(name: &str) -> Value {
    let space = TestSpace::new();
    let store = space.path("store").display().to_string();
    let run = || space.json(&format!("run --json {} --store {store}", workflow(name)));
    let first = run();
    assert_eq!(first["status"], "succeeded", "{name}");
    assert!(count(&first, "executed") > 0, "{name}");
    let second = run();
    assert_eq!(count(&second, "executed"), 0, "{name}");
    assert_eq!(first["metrics"], second["metrics"], "{name}");
    second
}

fn metric(run: &Value, variant: &str, name: &str) -> f64 {
    run["metrics"][variant][name].as_f64().unwrap_or_else(|| panic!("{variant} has no {name}"))
}

#[test]
fn the_honest_reorder_model_beats_the_published_one_and_the_trivial_answers() {
    let run = twice("reorder.yaml");
    let auc = |variant: &str| metric(&run, variant, "scores.auc");
    assert!(auc("honest") > auc("base") + 0.1, "{} {}", auc("honest"), auc("base"));
    assert!(metric(&run, "honest", "scores.accuracy") > metric(&run, "honest", "scores.baseline_accuracy") + 0.05);
    assert!(metric(&run, "honest", "scores.f1") > metric(&run, "honest", "scores.always_positive_f1"));
    // The published features hardly tell more than nothing: its F1 is below that of always saying yes.
    assert!(metric(&run, "as-published", "scores.f1") < metric(&run, "as-published", "scores.always_positive_f1"));
}

#[test]
fn what_a_household_buys_again_is_learned_from_earlier_weeks() {
    let run = twice("next-basket.yaml");
    let ndcg = |variant: &str| metric(&run, variant, "scores.ndcg@10");
    assert!(ndcg("basket") > ndcg("base"), "{} {}", ndcg("basket"), ndcg("base"));
    assert!(ndcg("base") > 2.0 * ndcg("popular"), "{} {}", ndcg("base"), ndcg("popular"));
}

#[test]
fn twenty_four_ways_to_find_segments_differ_in_one_stage() {
    let run = twice("segments.yaml");
    assert_eq!(run["metrics"].as_object().unwrap().len(), 25);
    let silhouette = |variant: &str| metric(&run, variant, "segments.silhouette");
    assert_eq!(silhouette("base"), silhouette("method/segments=kmeans,k=2"));
    assert!(silhouette("base") > silhouette("method/segments=spectral,k=7"));
    // The eight stages before `segments` once; it and its profile for each method and number.
    assert_eq!(count(&run, "cached"), 8 + 2 * 24);
}

#[test]
fn the_emails_with_an_effect_are_better_than_none() {
    let run = twice("ab-test.yaml");
    // Of 4,000 customers in an arm, a lift of 70 % of 10.6 % shows, and so does which of the two e-mails is better.
    let lift = |variant: &str, arm: &str| metric(&run, variant, &format!("test.visit_lift:{arm}"));
    assert!((lift("base", "Mens E-Mail") - 0.7).abs() < 0.2, "{}", lift("base", "Mens E-Mail"));
    assert!((lift("base", "Womens E-Mail") - 0.4).abs() < 0.2, "{}", lift("base", "Womens E-Mail"));
    assert!(metric(&run, "base", "test.visit_p_adjusted:Mens E-Mail") < 1e-6);
    assert!(metric(&run, "base", "test.srm_p_value") > 0.001);
    let error = |variant: &str| metric(&run, variant, "test.spend_standard_error:Mens E-Mail");
    assert!(error("cuped") < error("base"), "{} {}", error("cuped"), error("base"));
}

/// From where the two begin to say the same.
fn body(name: &str, ingest: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(workflow(name)).unwrap();
    let (_, stages) = text.split_once("\nstages:\n").unwrap();
    let (_, body) = stages.split_once("\n  # ").unwrap();
    ingest.iter().fold(body.to_owned(), |body, (from, to)| body.replace(from, to))
}

#[test]
fn a_workflow_on_made_up_data_and_its_twin_on_files_differ_in_where_data_come_from_alone() {
    let shop = ["users", "orders", "order_items", "products"].map(|table| (format!("shop.{table}"), table));
    let shop: Vec<(&str, &str)> = shop.iter().map(|(from, to)| (from.as_str(), *to)).collect();
    assert_eq!(body("campaign.yaml", &shop), body("thelook.yaml", &[]));
    assert_eq!(body("reorder.yaml", &[("orders.orders", "orders")]), body("reorder-table.yaml", &[]));
    assert_eq!(body("ab-test.yaml", &[]), body("hillstrom.yaml", &[]));
    assert_eq!(body("next-basket.yaml", &[("shop.transactions", "transactions")]), body("complete-journey.yaml", &[]));
}
