//! What the stage types say about themselves holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use stagewright_contract::Direction;

#[test]
fn every_descriptor_is_sound() {
    let types = stagewright_ingest::stage_types();
    let names: Vec<_> = types.iter().map(|stage_type| stage_type.name()).collect();
    assert_eq!(
        names,
        [
            "ingest.csv",
            "ingest.parquet",
            "ingest.json",
            "ingest.synthetic",
            "ingest.synthetic_email_test",
            "ingest.synthetic_grocery",
            "ingest.model"
        ]
    );
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
        assert_eq!(descriptor.seeded, name.starts_with("ingest.synthetic"));
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

#[test]
fn personal_columns_are_known_before_anything_is_read() {
    let types = stagewright_ingest::stage_types();
    let personal = |name: &str, params: serde_json::Value| {
        let stage_type = types.iter().find(|stage_type| stage_type.name() == name).unwrap();
        let found = stage_type.configure(&params).unwrap().personal(&Default::default());
        found
            .into_iter()
            .filter(|(_, columns)| !columns.is_empty())
            .map(|(port, columns)| (port, columns.into_iter().collect::<Vec<_>>().join(" ")))
            .collect::<Vec<_>>()
    };
    let of = |port: &str, columns: &str| (port.to_owned(), columns.to_owned());
    for name in ["ingest.csv", "ingest.parquet", "ingest.json"] {
        assert_eq!(personal(name, serde_json::json!({ "path": "x" })), []);
        let params = serde_json::json!({ "path": "x", "personal": ["name", "email"], "columns": ["id", "email"] });
        assert!(personal(name, params).contains(&of("table", "email")), "{name}");
    }
    let params = serde_json::json!({ "path": "x", "personal": ["name"], "bad_rows": "reject" });
    assert_eq!(personal("ingest.csv", params), [of("rejects", "text"), of("table", "name")]);
    assert_eq!(
        personal("ingest.synthetic", serde_json::json!({})),
        [of("users", "email first_name last_name latitude longitude postal_code street_address")]
    );
    assert_eq!(personal("ingest.synthetic_email_test", serde_json::json!({})), []);
    assert_eq!(personal("ingest.synthetic_grocery", serde_json::json!({})), []);
    assert_eq!(personal("ingest.model", serde_json::json!({ "path": "x" })), []);
}
