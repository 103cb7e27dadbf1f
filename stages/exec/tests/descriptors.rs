//! What the stage types say about themselves, and their ports by the parameters of a stage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use stagewright_contract::{Kind, StageType};
use stagewright_exec::stage_types;

fn stage_type(name: &str) -> StageType {
    stage_types().into_iter().find(|stage_type| stage_type.name() == name).unwrap()
}

#[test]
fn descriptors_are_sound() {
    let names: Vec<_> = stage_types().iter().map(|stage_type| stage_type.name().to_owned()).collect();
    assert_eq!(names, ["exec.command", "python.script"]);
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        assert!(descriptor.summary.ends_with('.') && !descriptor.details.is_empty());
        assert!(descriptor.ports.is_empty());
        assert_eq!(descriptor.open.as_deref(), Some("outputs"));
        let properties = descriptor.params["properties"].as_object().unwrap();
        assert!(properties.values().all(|property| property["description"].is_string()), "{properties:?}");
        assert_eq!(descriptor.params["additionalProperties"], json!(false));
        assert!(properties.contains_key("outputs"));
        assert!(descriptor.example.contains("inputs:") && descriptor.example.contains("with:"));
    }
}

#[test]
fn outputs_are_what_the_parameter_declares() {
    let stage_type = stage_type("exec.command");
    let params = json!({
        "command": "true",
        "outputs": {
            "a": "table", "b": "metrics", "c": "c.parquet", "d": { "kind": "model" }, "e": { "file": "e.csv" },
            "f": { "kind": "figure", "file": "f.json" },
        },
    });
    stage_type.configure(&params).unwrap();
    let outputs: BTreeMap<String, Kind> =
        stage_type.descriptor().outputs(&params).map(|port| (port.name.clone(), port.kind)).collect();
    let expected = [
        ("a", Kind::Table),
        ("b", Kind::Metrics),
        ("c", Kind::Table),
        ("d", Kind::Model),
        ("e", Kind::Table),
        ("f", Kind::Figure),
    ];
    assert_eq!(outputs, expected.map(|(port, kind)| (port.to_owned(), kind)).into());
}

#[test]
fn writing_a_default_out_changes_no_key() {
    for name in ["exec.command", "python.script"] {
        let stage_type = stage_type(name);
        let mut short = json!({ "command": "true", "script": "a.py", "venv": "v", "outputs": { "a": "table" } });
        let unknown = if name == "exec.command" { ["script", "venv"].as_slice() } else { &["command"] };
        unknown.iter().for_each(|param| drop(short.as_object_mut().unwrap().remove(*param)));
        let mut long = short.clone();
        long["outputs"] = json!({ "a": { "kind": "table", "personal": [], "types": {}, "columns": null } });
        long["params"] = json!({});
        long["environment"] = json!({});
        let params = |params| stage_type.configure(params).unwrap().params().clone();
        assert_eq!(params(&short), params(&long));
    }
}

#[test]
fn personal_columns_go_wherever_they_may() {
    let stage_type = stage_type("python.script");
    let params = json!({
        "script": "a.py", "venv": "v",
        "outputs": { "scores": { "personal": ["contact"] }, "others": "table", "quality": "metrics" },
    });
    let configured = stage_type.configure(&params).unwrap();
    let inputs = BTreeMap::from([("people".to_owned(), BTreeSet::from(["email".to_owned()]))]);
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let expected = BTreeMap::from([
        ("scores".to_owned(), columns(&["email", "contact"])),
        ("others".to_owned(), columns(&["email"])),
    ]);
    assert_eq!(configured.personal(&inputs), expected);
}

#[test]
fn secrets_are_named_in_the_environment() {
    let params = json!({
        "command": "true", "outputs": { "a": "table" },
        "environment": { "TOKEN": "${secret:SERVICE_TOKEN}", "LEVEL": 3, "HOME": null },
    });
    let configured = stage_type("exec.command").configure(&params).unwrap();
    let secrets: Vec<String> = configured.secrets().into_iter().map(|secret| secret.name).collect();
    assert_eq!(secrets, ["SERVICE_TOKEN"]);
}
