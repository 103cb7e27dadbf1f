//! Metrics, and metrics at rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use stagewright_contract::{Artifact, Bytes, Digest, ErrorKind, Goal, Kind, Metrics, Sample};

fn encode(metrics: Metrics) -> String {
    let mut bytes = Vec::new();
    Artifact::from(metrics).encode(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn decode(text: &str) -> Metrics {
    match Artifact::decode(Kind::Metrics, Bytes::new(text.as_bytes().to_vec())).unwrap() {
        Artifact::Metrics(metrics) => (*metrics).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bytes_are_json_sorted_by_name() {
    let mut metrics = Metrics::new().over("user", 3, Digest::of(b"x"));
    metrics.insert("ndcg@10", Some(0.25), Goal::Maximize).unwrap();
    metrics.insert("loss", None, Goal::Minimize).unwrap();
    metrics.insert("count", Some(3.0), Goal::Describe).unwrap();
    assert_eq!(
        encode(metrics),
        format!(
            r#"{{"unit":"user","units":3,"units_digest":"{}","values":{{"count":{{"value":3.0,"goal":"describe"}},"loss":{{"value":null,"goal":"minimize"}},"ndcg@10":{{"value":0.25,"goal":"maximize"}}}}}}"#,
            Digest::of(b"x")
        )
    );
}

#[test]
fn a_metric_may_say_how_it_comes_from_single_units() {
    let mut metrics = Metrics::new().with_units_at("per_user", &["user_id".to_owned()]);
    metrics.insert("auc", Some(0.75), Goal::Maximize).unwrap();
    let auc = Sample::Auc { score: "probability".to_owned(), outcome: "outcome".to_owned() };
    metrics.sampled([("auc", auc), ("absent", Sample::Mean("absent".to_owned()))]);
    let text = encode(metrics.clone());
    assert_eq!(
        text,
        r#"{"unit":null,"units":null,"units_digest":null,"units_table":{"port":"per_user","keys":["user_id"]},"values":{"auc":{"value":0.75,"goal":"maximize","sample":{"auc":{"score":"probability","outcome":"outcome"}}}}}"#
    );
    assert_eq!(decode(&text), metrics);
}

#[test]
fn what_is_no_number_is_a_bug_of_the_stage() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut metrics = Metrics::new();
        let error = metrics.insert("m", Some(value), Goal::Maximize).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Bug, "metric `m` is not a finite number"));
        assert!(metrics.values.is_empty());
    }
}

#[test]
fn minus_zero_is_zero() {
    let mut one = Metrics::new();
    one.insert("m", Some(-0.0), Goal::Maximize).unwrap();
    let mut other = Metrics::new();
    other.insert("m", Some(0.0), Goal::Maximize).unwrap();
    assert_eq!(encode(one), encode(other));
}

#[test]
fn what_is_no_metrics_is_refused() {
    for text in ["", "{}", "[]", "{\"values\":3}", "\u{0}"] {
        let error = Artifact::decode(Kind::Metrics, Bytes::new(text.as_bytes().to_vec())).unwrap_err();
        assert!(error.to_string().starts_with("not a metrics artifact: "), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn short_numbers_come_back(values in prop::collection::btree_map(".{0,8}", prop::option::of(-1_000_i32..1_000), 0..8)) {
        let mut metrics = Metrics::new();
        for (name, value) in &values {
            metrics.insert(name.as_str(), value.map(|value| f64::from(value) / 64.0), Goal::Maximize).unwrap();
        }
        let text = encode(metrics.clone());
        let back = decode(&text);
        prop_assert_eq!(&back, &metrics);
        prop_assert_eq!(encode(back), text);
    }

    #[test]
    fn metrics_come_back_bit_by_bit(
        values in prop::collection::btree_map(".{0,8}", prop::option::of(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO), 0..8),
        units in prop::option::of(any::<u64>()),
    ) {
        let mut metrics = Metrics { units, ..Metrics::new() };
        for (name, value) in &values {
            metrics.insert(name.as_str(), *value, Goal::Minimize).unwrap();
        }
        let text = encode(metrics.clone());
        let back = decode(&text);
        prop_assert_eq!(&back, &metrics);
        prop_assert_eq!(encode(back), text);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Artifact::decode(Kind::Metrics, Bytes::new(bytes)));
    }
}
