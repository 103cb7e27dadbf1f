//! What every command prints.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::space::TestSpace;

#[test]
fn init_writes_a_workflow_that_runs() {
    let space = TestSpace::new();
    check!("init", space.run("init"));
    check!("init_again", space.run("init"));
    check!("init_validate", space.run("validate"));
    check!("init_run", space.run("run --jobs 1"));
}

#[test]
fn run_says_what_became_of_each_stage() {
    let space = TestSpace::shop();
    check!("run_first", space.run("run --jobs 1"));
    check!("run_second", space.run("run --jobs 1"));
    check!("run_variant", space.run("run --jobs 1 --variant three"));
    check!("run_json", space.run("run --jobs 1 --json"));
}

#[test]
fn the_stages_are_deterministic() {
    let summary = TestSpace::shop().summary("--check-determinism");
    assert_eq!(summary.executed().len(), 6);
}

#[test]
fn plan_and_explain_say_what_changed() {
    let space = TestSpace::shop();
    check!("plan_before_the_first_run", space.run("plan"));
    check!("explain_before_the_first_run", space.run("explain clusters"));
    space.run("run");
    check!("plan_nothing_to_do", space.run("plan"));
    space.replace("workflow.yaml", "k: 2", "k: 4");
    check!("plan_after_a_change", space.run("plan"));
    check!("plan_json", space.run("plan --json"));
    check!("explain_a_miss", space.run("explain clusters"));
    check!("explain_what_depends_on_a_miss", space.run("explain profile"));
    check!("explain_json", space.run("explain clusters --json"));
    space.run("run");
    check!("explain_a_hit", space.run("explain clusters"));
    space.replace("data/people.csv", "Ada,36", "Ada,37");
    check!("explain_a_source", space.run("explain people"));
}

#[test]
fn get_prints_and_exports() {
    let space = TestSpace::shop();
    check!("get_before_the_first_run", space.run("get adults"));
    space.run("run");
    check!("get_csv", space.run("get adults"));
    check!("get_json", space.run("get adults --format json"));
    check!("get_metrics", space.run("get clusters.metrics --variant three"));
    check!("get_unclear_port", space.run("get clusters"));
    check!("get_unknown_port", space.run("get clusters.metric"));
    check!("get_unknown_stage", space.run("get adult"));
    check!("get_unknown_variant", space.run("get adults --variant tree"));
    check!("get_to_a_folder_that_is_not_there", space.run("get adults --output nowhere/adults.csv"));

    check!("get_into_a_file", space.run("get adults --output adults.csv"));
    assert_eq!(space.read("adults.csv"), space.run("get adults").stdout);
    space.run("get adults --output adults.json");
    assert_eq!(space.read("adults.json"), space.run("get adults --format json").stdout);
    space.run("get adults --output adults.parquet");
    assert!(std::fs::read(space.path("adults.parquet")).unwrap().starts_with(b"PAR1"));
}

#[test]
fn what_was_exported_can_be_read_again() {
    let space = TestSpace::shop();
    space.run("run");
    let first = space.summary("");
    for format in ["csv", "json", "parquet"] {
        space.run(&format!("get adults --output adults.{format}"));
        let again = TestSpace::with(&format!(
            "workflow: again\nstages: {{ adults: {{ uses: ingest.{format}, with: {{ path: adults.{format}, personal: [name] }} }} }}\n"
        ));
        std::fs::copy(space.path(&format!("adults.{format}")), again.path(&format!("adults.{format}"))).unwrap();
        assert_eq!(again.summary("").digests()["base/adults.table"], first.digests()["base/adults.table"], "{format}");
    }
}

#[test]
fn graph_draws_the_stages() {
    let space = TestSpace::shop();
    check!("graph_mermaid", space.run("graph"));
    check!("graph_dot", space.run("graph --format dot"));
    let svg = space.run("graph --format svg");
    assert!(svg.stdout.starts_with("<svg"), "{svg}");
    for name in ["people", "adults", "clusters", "profile", "three"] {
        assert!(svg.stdout.contains(&format!(">{name}<")), "{name} is missing in {svg}");
    }
}

#[test]
fn validate_says_yes() {
    let space = TestSpace::shop();
    check!("validate", space.run("validate"));
    check!("validate_json", space.run("validate --json"));
    check!("validate_no_file", TestSpace::new().run("validate"));
    check!("validate_near_file", space.run("validate workflows.yaml"));
}

#[test]
fn schema_is_a_json_schema_that_names_every_stage_type() {
    let space = TestSpace::new();
    let schema = space.json("schema");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let types = &schema["$defs"]["stage"]["properties"]["uses"]["anyOf"][0]["oneOf"];
    let named: Vec<&str> = types.as_array().unwrap().iter().map(|each| each["const"].as_str().unwrap()).collect();
    let all = space.json("stages --json");
    let all: Vec<&str> = all.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(named, all);
    let text = schema.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(schema.pointer(reference).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn stages_lists_and_describes() {
    let space = TestSpace::new();
    check!("stages", space.run("stages"));
    check!("stages_one", space.run("stages clean.join"));
    check!("stages_unknown", space.run("stages kmeans"));
}

#[test]
fn runs_are_listed_and_shown() {
    let space = TestSpace::shop();
    check!("runs_without_a_store", space.run("runs"));
    space.run("run --jobs 1");
    check_table!("runs_list", space.run("runs list"));
    let id = space.json("runs --json")[0]["id"].as_str().unwrap().to_owned();
    check_table!("runs_show", space.run(&format!("runs show {id}")));
    let last_four = &id[id.len() - 4..];
    assert_eq!(space.run(&format!("runs show {last_four}")).stdout, space.run(&format!("runs show {id}")).stdout);
    check!("runs_show_unknown", space.run("runs show zzzz"));
}

#[test]
fn runs_of_one_second_are_listed_in_their_order() {
    let space = TestSpace::shop();
    for _ in 0..8 {
        space.run("run");
    }
    let runs = space.json("runs --json");
    let started: Vec<i64> = runs.as_array().unwrap().iter().map(|run| run["started"].as_i64().unwrap()).collect();
    assert!(started.is_sorted_by(|later, earlier| later >= earlier), "{started:?}");
}

#[test]
fn the_store_is_looked_after() {
    let space = TestSpace::shop();
    space.run("run --jobs 1");
    check_table!("store_usage", space.run("store usage"));
    check!("store_verify", space.run("store verify"));
    space.run("run --set params.k=4 --jobs 1");
    check!("store_gc_dry_run", space.run("store gc --keep-runs 1 --dry-run"));
    check!("store_gc", space.run("store gc --keep-runs 1"));
    check!("store_gc_again", space.run("store gc --keep-runs 1"));
    assert_eq!(space.summary("--set params.k=4").executed(), [""; 0]);
    space.assert_sound();
}

#[test]
fn the_store_can_be_elsewhere() {
    let space = TestSpace::shop();
    space.run("run --store elsewhere");
    assert!(!space.path(".stagewright").exists());
    assert_eq!(space.json("store usage --store elsewhere --json")["runs"], 1);
    let mut command = space.command(&["run", "--json"]);
    let output = command.env("STAGEWRIGHT_STORE", space.path("elsewhere")).output().unwrap();
    let summary = crate::space::Summary::of(&serde_json::from_slice(&output.stdout).unwrap());
    assert_eq!(summary.executed(), [""; 0]);
}

#[test]
fn completions_are_a_script_of_the_shell() {
    let script = TestSpace::new().run("completions bash");
    assert!(script.stdout.contains("_stagewright()"), "{script}");
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.stdout.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn a_command_line_that_makes_no_sense_is_explained() {
    let space = TestSpace::shop();
    check!("usage_unknown_command", space.run("rum"));
    check!("usage_no_cores", space.run("run --jobs 0"));
    check!("usage_stage_is_a_file", space.run("explain workflow.yaml"));
    check!("usage_unknown_variant", space.run("run --variant tree"));
}

#[test]
fn a_store_that_cannot_be_written_is_the_environments_fault() {
    let space = TestSpace::shop();
    space.write("occupied", "a file");
    check!("store_is_a_file", space.run("run --store occupied"));
}
