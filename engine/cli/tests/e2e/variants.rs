//! Variants, sweeps and repeats through the binary, and the work that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::space::TestSpace;

fn shop(variants: &str) -> TestSpace {
    let space = TestSpace::shop();
    space.replace("workflow.yaml", "  three: { params: { k: 3 } }\n", variants);
    space
}

#[test]
fn a_sweep_is_planned_run_and_compared() {
    let space = shop("  many: { grid: { params.k: [2, 3], stages.clusters.with.n_init: [1, 10] } }\n");
    check!("sweep_plan", space.run("plan"));
    check!("sweep_run", space.run("run --jobs 1"));
    // The base is a member by its values: k = 2 and 10 starts.
    let some = space.summary("--variant many/k=3*");
    assert_eq!(some.with_status("shared").len(), 2);
    check!("sweep_plan_after_a_change", space.run("plan --set params.k=4 --variant base --variant many"));
    check!("sweep_unknown_member", space.run("run --variant many/k=5"));
    check!("sweep_member_get", space.run("get clusters.metrics --variant many/k=3,n_init=1"));
}

#[test]
fn repeats_share_what_no_seed_concerns() {
    let space = shop("  three: { params: { k: 3 } }\nseeds: 2\n");
    check!("repeats_run", space.run("run --jobs 1"));
    check!("repeats_validate", space.run("validate"));
    check!("repeats_plan_json", space.run("plan --json --variant three"));
    let of_first = space.run("get profile --variant three").stdout;
    assert_eq!(of_first, space.run("get profile --variant three#7").stdout);
}

#[test]
fn a_mistake_in_a_sweep_is_shown_in_its_path() {
    let space =
        shop("  many: { grid: { stages.clusters.with.kk: [2, 3], params.agee: [1] } }\n  more: { extends: man }\n");
    check!("mistake_sweep", space.run("validate"));
}

/// What the journal says about a run: seconds of every execution by key, and which keys the variants' stages have.
fn journal(space: &TestSpace, run: &str, args: &str) -> (BTreeMap<String, f64>, Vec<String>) {
    let shown = space.json(&format!("runs show {run} --json {args}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let executed = shown["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "executed")
        .map(|event| (text(&event["key"]), event["data"]["seconds"].as_f64().unwrap()))
        .collect();
    (executed, shown["record"]["stages"].as_array().unwrap().iter().map(|stage| text(&stage["key"])).collect())
}

#[test]
fn the_work_saved_is_what_the_journal_says() {
    let space = shop("  many: { grid: { params.k: [2, 3], stages.clusters.with.n_init: [1, 10] } }\n");
    let first = space.json("run --json");
    let (executed, stages) = journal(&space, first["run"].as_str().unwrap(), "");
    // Every stage of five variants, and of those each different one once: four of `clusters`, which put out two
    // different tables.
    assert_eq!((executed.len(), stages.len()), (1 + 1 + 4 + 2, 4 * 5));
    assert!(executed.keys().eq(&BTreeSet::from_iter(stages.clone())));
    let spent: f64 = executed.values().sum();
    let alone: f64 = stages.iter().map(|key| executed[key]).sum();
    let near = |value: &Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() <= 1e-9 * expected.max(1.0), "{value} {expected}");
    };
    near(&first["alone_seconds"], alone);
    near(&first["saved_seconds"], alone - spent);
    // With everything in the store, all of it is saved; be it looked up, or seen to be unchanged.
    for args in ["run --json --jobs 1", "run --json", "run --json --report report.html"] {
        let again = space.json(args);
        near(&again["alone_seconds"], alone);
        near(&again["saved_seconds"], alone);
    }
    assert!(space.executions().values().all(|count| *count == 1));
}

#[test]
fn twenty_four_segmentations_of_the_campaign_execute_two_stages_each() {
    let campaign = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/campaign.yaml");
    let text = std::fs::read_to_string(campaign).unwrap();
    let stages = text.split_once("\nvariants:\n").unwrap().0;
    let space = TestSpace::with(&format!(
        "{stages}
variants:
  segmentation:
    grid:
      stages.segments.with.k: [2, 3, 4, 5, 6, 7]
      stages.segments.with.standardize: [true, false]
      stages.segments.with.n_init: [1, 10]
compare: {{ metrics: [segments.silhouette] }}
"
    ));
    let run = space.json("run --json");
    let (executed, stages) = journal(&space, run["run"].as_str().unwrap(), "");
    let base = stages.len() / 25;
    let spent: f64 = executed.values().sum();
    // The base is one of the 24: there are as many of `segments`, and of `profile` as they put out different tables.
    assert!(executed.keys().eq(&BTreeSet::from_iter(stages.clone())));
    assert!((base + 23..=base + 23 * 2).contains(&executed.len()), "{}", executed.len());
    let status =
        |status: &str| run["stages"].as_array().unwrap().iter().filter(|stage| stage["status"] == status).count();
    assert_eq!((status("executed"), status("cached")), (executed.len(), 0));
    let alone: f64 = stages.iter().map(|key| executed[key]).sum();
    let saved = run["saved_seconds"].as_f64().unwrap();
    assert!((saved - (alone - spent)).abs() < 1e-6, "{saved} {alone} {spent}");
}
