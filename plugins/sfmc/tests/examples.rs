//! The examples in the documentation of the stage types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use stagewright_plugin::{Direction, Stage, StageType};
use stagewright_sfmc::{Bundle, Tracking, Upload};

#[derive(serde::Deserialize)]
struct Example {
    inputs: BTreeMap<String, String>,
    with: serde_json::Value,
}

fn holds<S: Stage>() {
    let stage_type = StageType::of::<S>("");
    let example: Example = serde_yaml::from_str(S::EXAMPLE).unwrap();
    stage_type.configure(&example.with).unwrap_or_else(|error| panic!("{}: {error}", S::TYPE));
    let inputs = || stage_type.descriptor().ports.iter().filter(|port| port.direction == Direction::Input);
    assert!(example.inputs.keys().all(|input| inputs().any(|port| port.name == *input)), "{}", S::TYPE);
    assert!(inputs().all(|port| port.optional || example.inputs.contains_key(&port.name)), "{}", S::TYPE);
}

#[test]
fn examples_hold() {
    holds::<Bundle>();
    holds::<Upload>();
    holds::<Tracking>();
}
