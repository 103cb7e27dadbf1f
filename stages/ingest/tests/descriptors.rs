//! What the stage types say about themselves holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use stagewright_contract::Direction;

#[test]
fn every_descriptor_is_sound() {
    let types = stagewright_ingest::stage_types();
    let names: Vec<_> = types.iter().map(|stage_type| stage_type.name()).collect();
    assert_eq!(names, ["ingest.csv", "ingest.parquet", "ingest.json", "ingest.synthetic"]);
    for stage_type in &types {
        let descriptor = stage_type.descriptor();
        let name = &descriptor.name;
        assert!(!descriptor.summary.is_empty() && descriptor.details.len() > 100, "{name}");
        assert!(descriptor.example.starts_with("with:"), "{name}");
        assert!(
            descriptor.ports.iter().all(|port| port.direction == Direction::Output && port.doc.ends_with('.')),
            "{name}"
        );
        let ports: BTreeSet<_> = descriptor.ports.iter().map(|port| &port.name).collect();
        assert_eq!(ports.len(), descriptor.ports.len(), "{name}");
        let schema = descriptor.params.as_object().unwrap();
        assert_eq!(schema["type"], "object", "{name}");
        assert_eq!(schema["additionalProperties"], false, "{name}");
        for (param, schema) in schema["properties"].as_object().unwrap() {
            assert!(schema["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {param}");
        }
        assert_eq!(descriptor.seeded, name == "ingest.synthetic");
    }
}

#[test]
fn the_defaults_are_written_down() {
    let types = stagewright_ingest::stage_types();
    let params = |index: usize, params| types[index].configure(&params).unwrap().params().clone();
    assert_eq!(
        params(0, serde_json::json!({ "path": "x" })),
        serde_json::json!({
            "path": "x", "personal": [], "types": {}, "separator": ",", "header": true, "null_values": ["", "null"],
            "bad_rows": "error"
        })
    );
    assert_eq!(
        params(3, serde_json::json!({})),
        serde_json::json!({ "users": 2000, "products": 500, "orders_per_user": 5.0, "end": "2024-01-01", "days": 730 })
    );
    // `rejects` is there only when asked for.
    let outputs = |bad_rows: &str| {
        let params = serde_json::json!({ "bad_rows": bad_rows });
        types[0].descriptor().outputs(&params).map(|port| port.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(outputs("error"), ["table"]);
    assert_eq!(outputs("reject"), ["table", "rejects"]);
}
