//! Every stage type on its example, and on hostile versions of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::heaps;
use polars::prelude::*;
use serde_json::json;
use stagewright_frame::testkit::conformance;
use stagewright_segment::{
    Compare, Dbscan, Distribution, GaussianMixture, Hierarchical, Kmeans, MinibatchKmeans, Profile, Spectral,
    stage_types,
};

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
fn hierarchical() {
    let heaps = heaps().head(Some(60));
    conformance::<Hierarchical>(&json!({ "columns": ["a", "b", "c"], "k_max": 4 }), &[("table", heaps.clone())]);
    let params = json!({ "columns": ["a", "b"], "linkage": "average", "k": 7, "k_max": 1, "standardize": false });
    conformance::<Hierarchical>(&params, &[("table", heaps)]);
}

#[test]
fn spectral() {
    let heaps = heaps().head(Some(60));
    conformance::<Spectral>(&json!({ "columns": ["a", "b", "c"], "k_max": 4 }), &[("table", heaps.clone())]);
    let params = json!({ "columns": ["a"], "k": 5, "k_max": 1, "n_neighbors": 2, "standardize": false });
    conformance::<Spectral>(&params, &[("table", heaps)]);
}

#[test]
fn dbscan() {
    let heaps = heaps().head(Some(60));
    conformance::<Dbscan>(&json!({ "columns": ["a", "b", "c"], "eps": 0.8 }), &[("table", heaps.clone())]);
    let params = json!({ "columns": ["a"], "min_samples": 1, "standardize": false, "sample_size": 20 });
    conformance::<Dbscan>(&params, &[("table", heaps)]);
}

#[test]
fn gaussian_mixture() {
    let heaps = heaps().head(Some(60));
    conformance::<GaussianMixture>(&json!({ "columns": ["a", "b", "c"], "k_max": 4 }), &[("table", heaps.clone())]);
    let params = json!({
        "columns": ["a", "b"], "k": 3, "covariance_type": "diag", "standardize": false, "reg_covar": 0.0, "n_init": 2
    });
    conformance::<GaussianMixture>(&params, &[("table", heaps)]);
}

#[test]
fn minibatch_kmeans() {
    let heaps = heaps().head(Some(60));
    let params = json!({ "columns": ["a", "b", "c"], "k": 3, "batch_size": 20 });
    conformance::<MinibatchKmeans>(&params, &[("table", heaps.clone())]);
    conformance::<MinibatchKmeans>(&json!({ "columns": ["a"], "k": 7, "standardize": false }), &[("table", heaps)]);
}

#[test]
fn compare() {
    let heaps = heaps().head(Some(60));
    let params = json!({ "columns": ["a", "b", "c"], "k_max": 3, "n_init": 2 });
    conformance::<Compare>(&params, &[("table", heaps.clone())]);
    let params = json!({
        "columns": ["a", "b"], "methods": ["gaussian_mixture", "average", "complete", "single"], "k_max": 3,
        "metric": "davies_bouldin"
    });
    conformance::<Compare>(&params, &[("table", heaps)]);
}

#[test]
fn distribution() {
    let clusters = Column::new("cluster".into(), (0..300i64).map(|row| row * 7 % 10 % 4).collect::<Vec<_>>());
    let brands = Column::new("brand".into(), (0..300).map(|row| format!("brand {}", row % 23)).collect::<Vec<_>>());
    let bought = DataFrame::new_infer_height(vec![clusters, brands]).unwrap();
    conformance::<Distribution>(&json!({ "column": "brand", "top": 10 }), &[("table", bought.clone())]);
    conformance::<Distribution>(&json!({ "column": "cluster", "cluster": "brand" }), &[("table", bought)]);
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
