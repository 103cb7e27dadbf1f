use serde_json::{Value, json};

use super::*;
use crate::testing::{mistakes, registry};

/// Whether the schema of a workflow file accepts this one.
fn accepts(workflow: &Value) -> bool {
    jsonschema::validator_for(&workflow_schema(&registry())).unwrap().is_valid(workflow)
}

/// A workflow that uses every construct.
fn valid() -> Value {
    json!({
        "workflow": "w",
        "description": "what it is for",
        "params": { "k": 3, "data": "d" },
        "stages": {
            "users": { "uses": "fake.read", "with": { "path": "${params.data}/x", "columns": ["a"] } },
            "buyers": {
                "uses": "fake.filter", "inputs": { "table": "users.table" }, "with": { "where": "x", "rejects": true },
                "retries": 2, "timeout": "5m", "resources": { "cpus": 2, "memory": "1GiB" }, "when": true,
            },
            "groups": { "uses": "fake.cluster", "inputs": { "table": "buyers.rejects" }, "with": { "k": 3, "start": "random" } },
            "scores": { "uses": "fake.score", "inputs": { "table": "groups" } },
        },
        "variants": {
            "v": { "params": { "k": 4 }, "stages": { "groups": { "with": { "k": 4 } }, "scores": null } },
            "u": null,
            "w": { "extends": "v", "grid": { "params.k": [4, 5], "stages.groups.uses": ["fake.tree"] } },
            "x": { "zip": { "stages.groups.with.k": [4, 5], "stages.groups.with.start": ["spread", "random"] } },
            "y": { "random": { "n": 2, "seed": 7, "draw": {
                "params.k": { "integer": [2, 50] },
                "stages.groups.with.share": { "uniform": [0.1, 0.9] },
                "stages.groups.with.weights.a": { "log_uniform": [0.1, 10] },
                "stages.groups.with.start": { "choice": ["random", "spread"] },
            } } },
        },
        "seeds": 2,
        "compare": { "baseline": "base", "metrics": ["scores.ndcg@10"] },
    })
}

/// The valid workflow with one value replaced or added.
fn changed(path: &str, value: Value) -> Value {
    let mut workflow = valid();
    let (parent, key) = path.rsplit_once('/').unwrap();
    workflow.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    workflow
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&workflow_schema(&registry())));
}

#[test]
fn it_accepts_what_the_engine_accepts() {
    let workflow = valid();
    assert!(accepts(&workflow));
    assert_eq!(mistakes(&serde_json::to_string_pretty(&workflow).unwrap()), Vec::<String>::new());
}

#[test]
fn it_accepts_references_where_numbers_and_choices_stand() {
    for (path, value) in [
        ("/stages/groups/with/k", json!("${params.k}")),
        ("/stages/groups/with/start", json!("${params.start}")),
        ("/stages/groups/with/weights", json!("${params.w}")),
        ("/stages/groups/with/weights", json!({ "a": "${params.w}" })),
        ("/stages/groups/with/limits", json!([{ "name": "a", "at": "${params.at}" }])),
        ("/stages/groups/with/limit", json!("${params.limit}")),
        ("/stages/users/with/columns", json!("${params.columns}")),
        ("/stages/buyers/with/rejects", json!("${params.rejects}")),
        ("/stages/buyers/retries", json!("${params.retries}")),
        ("/stages/buyers/resources/cpus", json!("${params.cpus}")),
        ("/stages/buyers/when", json!("${params.when}")),
        ("/stages/scores/inputs/table", json!("${params.stage}.table")),
        ("/stages/scores/uses", json!("${params.type}")),
    ] {
        assert!(accepts(&changed(path, value)), "{path}");
    }
}

#[test]
fn it_accepts_a_null_that_removes() {
    for path in ["/variants/v/stages/groups/when", "/variants/v/stages/groups/retries", "/variants/v/stages/users"] {
        assert!(accepts(&changed(path, Value::Null)), "{path}");
    }
}

#[test]
fn it_refuses_unknown_keys() {
    for path in [
        "/stage",
        "/stages/users/wth",
        "/stages/users/with/pth",
        "/stages/scores/inputs/tabel",
        "/stages/buyers/resources/cpu",
        "/stages/groups/with/limit",
        "/variants/v/stage",
        "/variants/v/stages/groups/wth",
        "/compare/metric",
    ] {
        assert!(!accepts(&changed(path, json!({ "unknown": 1 }))), "{path}");
    }
}

#[test]
fn it_refuses_wrong_values() {
    for (path, value) in [
        ("/workflow", json!([])),
        ("/stages", json!({})),
        ("/stages/users/uses", json!("fake.rad")),
        ("/stages/users/with", json!({})),
        ("/stages/groups/with/k", json!("many")),
        ("/stages/groups/with/k", json!(1)),
        ("/stages/groups/with/start", json!("randm")),
        ("/stages/buyers/inputs", json!({})),
        ("/stages/buyers/inputs/table", json!("a.b.c")),
        ("/stages/buyers/retries", json!(-1)),
        ("/stages/buyers/resources/cpus", json!(0)),
        ("/compare/metrics", json!(["scores"])),
        ("/seeds", json!(0)),
        ("/variants/w/zip", json!({ "params.k": [1] })),
        ("/variants/w/grid", json!({ "k": [1] })),
        ("/variants/w/grid", json!({ "params.k": 1 })),
        ("/variants/y/random/draw", json!({ "params.k": { "integer": [1] } })),
        ("/variants/y/random/draw", json!({ "params.k": { "between": [1, 2] } })),
    ] {
        assert!(!accepts(&changed(path, value)), "{path}");
    }
}

#[test]
fn it_refuses_a_stage_without_what_its_type_needs() {
    assert!(!accepts(&changed("/stages/x", json!({ "uses": "fake.read" }))));
    assert!(!accepts(&changed("/stages/x", json!({ "uses": "fake.score" }))));
    assert!(!accepts(&changed("/stages/x", json!({}))));
    assert!(accepts(&changed(
        "/stages/x",
        json!({ "uses": "fake.join", "inputs": { "left": "users", "right": "users" } })
    )));
}
