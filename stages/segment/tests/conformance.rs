//! Every stage type on its example, and on hostile versions of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::heaps;
use polars::prelude::*;
use serde_json::json;
use stagewright_frame::testkit::conformance;
use stagewright_segment::{Kmeans, Profile, stage_types};

#[test]
fn kmeans() {
    let heaps = heaps().head(Some(60));
    for params in [
        json!({ "columns": ["a", "b", "c"], "k": 3, "k_max": 4, "n_init": 2 }),
        json!({ "columns": ["a", "b"], "k_max": 4, "n_init": 2, "sample_size": 30 }),
        json!({ "columns": ["a"], "k": 5, "k_max": 1, "n_init": 2, "standardize": false }),
    ] {
        conformance::<Kmeans>(&params, &[("table", heaps.clone())]);
    }
}

#[test]
fn profile() {
    let clusters = Column::new("cluster".into(), (0..300i64).map(|row| row * 7 % 10 % 4).collect::<Vec<_>>());
    let heaps = heaps().hstack(&[clusters]).unwrap();
    conformance::<Profile>(&json!({}), &[("table", heaps.clone())]);
    conformance::<Profile>(&json!({ "cluster": "name", "columns": ["a", "c"] }), &[("table", heaps)]);
}

#[test]
fn descriptors_are_sound() {
    for stage_type in stage_types() {
        let descriptor = stage_type.descriptor();
        let name = &descriptor.name;
        assert!(name.starts_with("segment."), "{name}");
        assert!(descriptor.summary.ends_with('.') && !descriptor.details.is_empty(), "{name}");
        assert!(descriptor.ports.iter().all(|port| port.doc.ends_with('.')), "{name}");
        assert!(descriptor.example.contains("inputs:") && descriptor.example.contains("with:"), "{name}");
        assert_eq!(descriptor.params["type"], "object", "{name}");
        assert_eq!(descriptor.params["additionalProperties"], false, "{name}");
        for (param, schema) in descriptor.params["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}: `{param}` has no description");
        }
    }
}
