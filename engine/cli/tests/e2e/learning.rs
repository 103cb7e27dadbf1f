//! The loop that closes: what people did in one round decides about the next.

use std::path::Path;

use serde_json::Value;
use stagewright_sfmc_stand_in::{Options, StandIn};

use crate::sfmc::plugin;
use crate::space::{Output, TestSpace};

/// Runs a command on the loop in a store of its own; gives what it printed as JSON.
fn command(space: &TestSpace, words: &[&str]) -> Output {
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/loop.yaml").display().to_string();
    let store = space.path("store").display().to_string();
    let mut args: Vec<&str> = words.to_vec();
    args.extend([workflow.as_str(), "--set", "params.users=1500", "--store", store.as_str()]);
    let mut command = space.command(&args);
    command.env("STAGEWRIGHT_PLUGINS", plugin()).env("SFMC_CLIENT_ID", "client").env("SFMC_CLIENT_SECRET", "secret");
    let output = Output::of(&mut command, space.folder());
    assert_eq!(output.code, Some(0), "{output}");
    output
}

fn run(space: &TestSpace, settings: &[&str]) -> Value {
    let mut args = vec!["run", "--json"];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    serde_json::from_str(&command(space, &args).stdout).unwrap()
}

fn metric(run: &Value, name: &str) -> f64 {
    run["metrics"]["base"][name].as_f64().unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn the_better_arm_gets_more_of_each_round_and_most_of_the_last() {
    let space = TestSpace::new();
    for seed in ["params.seed=1", "params.seed=2", "params.seed=3"] {
        let found = run(&space, &[seed]);
        assert!(metric(&found, "next_4.probability_best:frequency") > 0.95, "{seed}");
        assert!(metric(&found, "next_4.share:frequency") > 0.9, "{seed}");
    }
    // It follows the responses, not the name.
    let found = run(&space, &["params.popular=0.25", "params.frequency=0.15"]);
    assert!(metric(&found, "next_4.share:frequency") < 0.1);
    // With nothing to find, neither is taken for proven.
    let found = run(&space, &["params.frequency=0.15"]);
    assert!((0.01..0.99).contains(&metric(&found, "next_4.probability_best:frequency")));
}

#[test]
fn rounds_are_delivered_to_whom_they_are_for() {
    let space = TestSpace::new();
    let service = StandIn::start(Options::default()).unwrap();
    run(&space, &[]);
    for round in 1..=4 {
        let folder = format!("round_{round}");
        command(&space, &["get", &format!("deliver_{round}.bundle"), "--output", &folder]);
        service.define(&serde_json::from_str(&space.read(&format!("{folder}/data_extension.json"))).unwrap()).unwrap();
    }
    run(&space, &["params.upload=true", &format!("params.url={}", service.url())]);
    let mut people = Vec::new();
    for round in 1..=4 {
        let rows = service.rows(&format!("loop_round_{round}"));
        let keys: Vec<u64> = rows.iter().map(|row| row["SubscriberKey"].as_str().unwrap().parse().unwrap()).collect();
        assert!(keys.iter().all(|key| key % 50 != 7), "somebody said no");
        people.push(keys.len());
    }
    // Whoever was won is not written to again.
    assert!(people.windows(2).all(|rounds| rounds[0] > rounds[1]) && people[3] > 100, "{people:?}");
}
