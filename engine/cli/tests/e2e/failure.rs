//! What happens to the rest of a run when something goes wrong.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::ExitStatus;
use std::time::Duration;

use crate::space::{Output, PEOPLE, Summary, TestSpace, signal};

/// `strict` fails, for there is a child; `report` needs it; `names` and `count` do not.
const FAILING: &str = "\
workflow: failing
stages:
  people: { uses: ingest.csv, with: { path: people.csv } }
  strict:
    uses: clean.expect
    inputs: { table: people }
    with: { checks: [{ check: between, column: age, min: 18, max: 120 }] }
  report: { uses: clean.select, inputs: { table: strict.table }, with: { columns: [id] } }
  again: { uses: clean.select, inputs: { table: report }, with: { columns: [id] } }
  names: { uses: clean.select, inputs: { table: people }, with: { columns: [name] } }
";

fn failing() -> TestSpace {
    let space = TestSpace::with(FAILING);
    space.write("people.csv", PEOPLE);
    space
}

#[test]
fn a_failing_stage_fails_its_descendants_only() {
    let space = failing();
    check!("failure_first", space.run("run --jobs 1"));
    let id = space.json("runs --json")[0]["id"].as_str().unwrap().to_owned();
    // So wide that no line is broken, however wide the column of times is.
    let mut wide = space.command(&["runs", "show", &id]);
    check_table!("failure_shown", Output::of(wide.env("COLUMNS", "200"), space.folder()));
    // What succeeded is cached, what failed is not.
    check!("failure_again", space.run("run --jobs 1"));
    check!("failure_plan", space.run("plan"));
    // The data is put right.
    space.replace("people.csv", "7,Gus,12,3\n", "");
    assert_eq!(space.summary("").executed(), ["again", "names", "people", "report", "strict"]);
    space.assert_sound();
}

#[test]
fn fail_fast_starts_nothing_new() {
    check!("failure_fail_fast", failing().run("run --jobs 1 --fail-fast"));
}

#[test]
fn a_bad_row_is_named() {
    let space = failing();
    space.replace("people.csv", "3,Cleo,62,80", "3,Cleo,62");
    check!("failure_bad_row", space.run("run"));
}

#[test]
fn when_false_skips_a_stage_and_what_needs_it() {
    let space = failing();
    space.replace(
        "workflow.yaml",
        "    uses: clean.expect\n",
        "    uses: clean.expect\n    when: ${params.strictly}\n",
    );
    space.replace("workflow.yaml", "stages:", "params: { strictly: false }\nstages:");
    check!("when_false", space.run("run --jobs 1"));
    check!("when_false_plan", space.run("plan"));
    assert_eq!(space.run("run --set params.strictly=true").code, Some(1));
}

/// A stage that takes minutes: very many random starts of a clustering.
fn slow(options: &str) -> TestSpace {
    let space = TestSpace::with(&format!(
        "\
workflow: slow
stages:
  people: {{ uses: ingest.csv, with: {{ path: people.csv }} }}
  clusters:
    uses: segment.kmeans
    inputs: {{ table: people }}
    with: {{ columns: [age, spent], k: 3, k_max: 1, n_init: 200000 }}
{options}  profile: {{ uses: segment.profile, inputs: {{ table: clusters.table }}, with: {{ columns: [age] }} }}
"
    ));
    // Many, so that a start takes a while and the stage looks up in between.
    let people: String = (0..2_000).map(|id| format!("{id},{},{}\n", id * 7919 % 83, id * 104_729 % 977)).collect();
    space.write("people.csv", format!("id,age,spent\n{people}"));
    space
}

#[test]
fn a_stage_that_takes_too_long_is_given_up() {
    let space = slow("    timeout: 50ms\n");
    check!("timeout", space.run("run --jobs 1"));
    space.assert_sound();
}

#[test]
fn a_stage_that_takes_too_long_is_tried_again() {
    let space = slow("    timeout: 50ms\n    retries: 1\n");
    check!("timeout_retried", space.run("run --jobs 1"));
}

#[test]
fn a_source_that_cannot_be_read_is_tried_again() {
    let space = TestSpace::with(
        "workflow: retry\nstages: { people: { uses: ingest.csv, with: { path: people.csv }, retries: 100 } }\n",
    );
    // Reading the memory of a process from its start is an input/output error.
    symlink("/proc/self/mem", space.path("people.csv")).unwrap();
    let mut child = space.spawn("run --json");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("retrying  people: "), "{line}");
    space.write("good.csv", PEOPLE);
    fs::rename(space.path("good.csv"), space.path("people.csv")).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{rest:?}");
    assert_eq!(Summary::of(&serde_json::from_slice(&output.stdout).unwrap()).executed(), ["people"]);
}

#[test]
fn a_source_that_cannot_be_read_fails_its_stage() {
    let space = failing();
    fs::remove_file(space.path("people.csv")).unwrap();
    symlink("/proc/self/mem", space.path("people.csv")).unwrap();
    check!("failure_unreadable", space.run("run"));
}

/// Starts a run, sends it signals once `line` has been printed and stands in the journal (a stage's outputs are stored
/// while the next one works), and says how it ended and what it printed.
fn interrupted(space: &TestSpace, line: &str, signals: &[&str]) -> (ExitStatus, String) {
    let mut child = space.spawn("run --jobs 1");
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains(line) {
        assert!(stderr.read_line(&mut seen).unwrap() > 0, "it ended without `{line}`:\n{seen}");
    }
    let id = space.json("runs --json")[0]["id"].as_str().unwrap().to_owned();
    for _ in 0..100 {
        if space.run(&format!("runs show {id}")).stdout.contains(line) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for name in signals {
        signal(name, &child);
    }
    stderr.read_to_string(&mut seen).unwrap();
    (child.wait().unwrap(), seen)
}

#[test]
fn ctrl_c_keeps_what_is_done() {
    let space = slow("");
    let (status, seen) = interrupted(&space, "executed  people", &["INT"]);
    assert_eq!(status.code(), Some(130), "{seen}");
    assert!(seen.contains("interrupted"), "{seen}");
    assert_eq!(space.json("runs --json")[0]["status"], "interrupted");
    space.assert_sound();
    assert_eq!(fs::read_dir(space.path(".stagewright/claims")).unwrap().count(), 0, "the stage ended in time");
    // What was done is done; what was not is computed now.
    space.replace("workflow.yaml", "n_init: 200000", "n_init: 2");
    assert_eq!(space.summary("").executed(), ["clusters", "profile"]);
}

#[test]
fn a_terminated_run_is_listed_as_killed() {
    let space = slow("");
    let (status, seen) = interrupted(&space, "executed  people", &["KILL"]);
    assert_eq!(status.code(), None, "{seen}");
    assert_eq!(space.json("runs --json")[0]["status"], "killed");
    let id = space.json("runs --json")[0]["id"].as_str().unwrap().to_owned();
    check_table!("killed_shown", space.run(&format!("runs show {id}")));
    space.assert_sound();
}

#[test]
fn every_way_to_fail_is_free_of_panics() {
    // Right by the schema and wrong by the data.
    for (uses, inputs, with) in [
        ("clean.filter", "table: people", "where: 'nothing > 1'"),
        ("clean.cast", "table: people", "columns: { name: int64 }"),
        ("clean.join", "left: people, right: people", "on: [missing]"),
        ("features.scale", "table: people", "columns: [name]"),
        ("features.user", "table: people", "carry: [nothing]"),
        ("segment.kmeans", "table: people", "columns: [name], k: 2"),
        ("segment.profile", "table: people", "columns: [age]"),
        ("recommend.popular", "purchases: people", "n: 3"),
        ("evaluate.ranking", "recommendations: people, test: people", "k: [5]"),
    ] {
        let space = TestSpace::with(&format!(
            "workflow: wrong\nstages:\n  people: {{ uses: ingest.csv, with: {{ path: people.csv }} }}\n  \
             wrong: {{ uses: {uses}, inputs: {{ {inputs} }}, with: {{ {with} }} }}\n"
        ));
        space.write("people.csv", PEOPLE);
        let output = space.run("run");
        assert_eq!(output.code, Some(1), "{uses}: {output}");
        assert!(output.stderr.contains("    error  wrong: "), "{uses}: {output}");
        assert!(!output.stderr.contains("panicked"), "{uses}: {output}");
    }
}
