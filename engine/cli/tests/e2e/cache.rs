//! What executes again, and what does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::space::{Summary, TestSpace};

const NOTHING: [&str; 0] = [];

/// The small shop after its first run.
fn after_a_run() -> (TestSpace, Summary) {
    let space = TestSpace::shop();
    let first = space.summary("");
    assert_eq!(first.executed().len(), 6);
    (space, first)
}

/// Asserts what executes after a text of the workflow has been replaced by another.
fn check_change(from: &str, to: &str, expected: &[&str]) {
    let (space, _) = after_a_run();
    space.replace("workflow.yaml", from, to);
    assert_eq!(space.summary("").executed(), expected, "{from} → {to}");
    assert_eq!(space.summary("").executed(), NOTHING, "{from} → {to}, again");
}

#[test]
fn the_second_run_executes_nothing() {
    let (space, first) = after_a_run();
    let second = space.summary("");
    assert_eq!(second.executed(), NOTHING);
    assert_eq!(second.with_status("cached").len(), 6);
    assert_eq!(second.with_status("shared"), ["three/adults", "three/people"]);
    assert_eq!(second.digests(), first.digests());
}

#[test]
fn a_parameter_executes_what_depends_on_it() {
    check_change("k: 2", "k: 4", &["clusters", "profile"]);
    check_change("k: 3 }", "k: 4 }", &["three/clusters", "three/profile"]);
    check_change("with: { columns: [age, spent] }", "with: { columns: [spent] }", &["profile", "three/profile"]);
    // Which columns are personal goes with the tables, down to the last.
    let all = ["adults", "clusters", "people", "profile", "three/clusters", "three/profile"];
    check_change("personal: [name]", "personal: [id]", &all);
}

#[test]
fn what_is_the_same_to_a_stage_executes_nothing() {
    // A default said aloud, another way to write a number, what only the scheduler wants to know, what people read.
    check_change("k_max: 1", "k_max: 1, n_init: 10, standardize: true, into: cluster", &[]);
    check_change("k: 2", "k: 0x2", &[]);
    check_change("uses: segment.kmeans", "uses: segment.kmeans\n    resources: { cpus: 2 }\n    retries: 3", &[]);
    check_change(
        "uses: clean.filter",
        "uses: clean.filter\n    timeout: 1h\n    description: Only adults\n    when: true",
        &[],
    );
    check_change("workflow: shop", "workflow: another\ndescription: The same shop", &[]);
    check_change("  three:", "  drei:", &[]);
    check_change("table: people", "table: people.table", &[]);
}

#[test]
fn the_name_of_a_stage_is_not_part_of_its_key() {
    let (space, _) = after_a_run();
    space.write("workflow.yaml", space.read("workflow.yaml").replace("adults", "grown_ups"));
    assert_eq!(space.summary("").executed(), NOTHING);
}

#[test]
fn formatting_executes_nothing() {
    let (space, _) = after_a_run();
    // The same workflow in another order, another style, with comments.
    space.write(
        "workflow.yaml",
        r#"
# A comment.
compare: { metrics: ["clusters.silhouette", 'clusters.wcss'] }
variants:
    three:
        params:
            k: 3
stages:
    profile:
        with: { columns: [age, spent] }   # what to describe
        inputs: { table: clusters.table }
        uses: segment.profile
    clusters: { with: { k_max: 1, k: "${params.k}", columns: [ "age", "spent" ] }, inputs: { table: adults }, uses: segment.kmeans }

    adults:
        with:
            where: >-
                age >= ${params.min_age}
        uses: "clean.filter"
        inputs:
            table: people
    people:
        with:
            personal:
            - name
            path: ${params.data}/people.csv
        uses: ingest.csv
params:
    seed: 7
    k: 2
    min_age: 18
    data: data
workflow: shop
"#,
    );
    assert_eq!(space.summary("").executed(), NOTHING);
}

#[test]
fn early_cutoff_stops_at_the_first_output_that_is_the_same() {
    let (space, first) = after_a_run();
    space.replace("data/people.csv", "7,Gus,12,3", "7,Gus,13,4\n8,Hal,5,0");
    assert_eq!(space.summary("").executed(), ["adults", "people"]);
    space.replace("workflow.yaml", "age >= ${params.min_age}", "age > 17");
    let third = space.summary("");
    assert_eq!(third.executed(), ["adults"]);
    for stage in ["adults.table", "clusters.table", "profile.table"] {
        assert_eq!(third.digests()[&format!("base/{stage}")], first.digests()[&format!("base/{stage}")]);
    }
}

#[test]
fn a_source_is_what_it_holds_not_where_it_lies_or_how_old_it_is() {
    let (space, _) = after_a_run();
    fs::create_dir(space.path("elsewhere")).unwrap();
    fs::rename(space.path("data/people.csv"), space.path("elsewhere/people.csv")).unwrap();
    space.write("elsewhere/people.csv", space.read("elsewhere/people.csv"));
    assert_eq!(space.summary("--set params.data=elsewhere").executed(), NOTHING);
    // The whole folder, store and all.
    let moved = TestSpace::new();
    fs::remove_dir(moved.folder()).unwrap();
    fs::rename(space.folder(), moved.folder()).unwrap();
    assert_eq!(moved.summary("--set params.data=elsewhere").executed(), NOTHING);
}

#[test]
fn types_survive_overrides() {
    let (space, _) = after_a_run();
    // The base with k = 3 is the variant `three`.
    assert_eq!(space.summary("--set params.k=3").executed(), NOTHING);
    assert_eq!(space.summary("--set stages.clusters.with.k=3").executed(), NOTHING);
    space.write("three.yaml", "k: 3\n");
    assert_eq!(space.summary("--params three.yaml").executed(), NOTHING);
    let text = space.run("run --set params.k='3'");
    assert_eq!(text.code, Some(2), "a quoted number is text\n{text}");
}

#[test]
fn the_seed_executes_what_draws_random_numbers() {
    let (space, _) = after_a_run();
    let executed = space.summary("--set params.seed=8").executed();
    assert!(executed.contains(&"clusters".to_owned()), "{executed:?}");
    assert!(!executed.contains(&"adults".to_owned()), "{executed:?}");
}

/// The stages that have an output with this blob: small tables of several stages may be the same.
fn producers(run: &Summary, blob: &Path) -> Vec<String> {
    let name = blob.file_name().unwrap().to_str().unwrap();
    let digests = run.digests();
    let outputs = digests.iter().filter(|(_, digest)| *digest == name).map(|(output, _)| output);
    outputs.map(|output| output.split_once('.').unwrap().0.trim_start_matches("base/").to_owned()).collect()
}

/// Damages a file as a disk would.
fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_byte_in_any_blob_is_found_reported_and_healed() {
    let (space, first) = after_a_run();
    for blob in space.blobs() {
        flip_a_byte(&blob);
        assert_eq!(space.run("store verify").code, Some(3), "{}", blob.display());
        let output = space.run("run --json");
        assert!(output.stderr.contains("  damaged  "), "{}\n{output}", blob.display());
        let summary = Summary::of(&serde_json::from_str(&output.stdout).unwrap());
        assert_eq!(summary.digests(), first.digests(), "{}", blob.display());
        let (executed, producers) = (summary.executed(), producers(&first, &blob));
        assert!(!executed.is_empty() && executed.iter().all(|stage| producers.contains(stage)), "{output}");
        space.assert_sound();
    }
    assert_eq!(space.summary("").executed(), NOTHING);
}

#[test]
fn a_blob_that_is_gone_is_computed_again() {
    let (space, first) = after_a_run();
    for blob in space.blobs() {
        fs::remove_file(&blob).unwrap();
        let summary = space.summary("");
        let (executed, producers) = (summary.executed(), producers(&first, &blob));
        assert!(!executed.is_empty() && executed.iter().all(|stage| producers.contains(stage)), "{executed:?}");
        assert_eq!(summary.digests(), first.digests());
    }
    for blob in space.blobs() {
        fs::remove_file(blob).unwrap();
    }
    let summary = space.summary("");
    assert_eq!(summary.executed().len(), 6);
    assert_eq!(summary.digests(), first.digests());
    space.assert_sound();
}

#[test]
fn verify_names_what_is_damaged_and_repair_forgets_it() {
    let (space, _) = after_a_run();
    let manifests = "SELECT hex(digest) FROM outputs JOIN manifests USING (key) WHERE stage = 'adults'";
    let digest: String = space.index().query_row(manifests, [], |row| row.get(0)).unwrap();
    let digest = digest.to_lowercase();
    let blob = space.path(&format!(".stagewright/blobs/{}/{digest}", &digest[..2]));
    flip_a_byte(&blob);
    check!("verify_damaged", space.run("store verify"));
    check!("verify_repair", space.run("store verify --repair"));
    assert_eq!(space.run("store verify").code, Some(0));
    assert_eq!(space.summary("").executed(), ["adults"]);
    flip_a_byte(&blob);
    check!("plan_damaged", space.run("plan"));
    assert_eq!(space.summary("").executed(), ["adults"]);
    flip_a_byte(&blob);
    check!("get_damaged", space.run("get adults"));
    assert_eq!(space.summary("").executed(), ["adults"]);
    // A blob cut short.
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::OpenOptions::new().write(true).open(&blob).unwrap().set_len(100).unwrap();
    check!("run_truncated", space.run("run --jobs 1 --variant base"));
    space.assert_sound();
}

#[test]
fn an_index_that_is_no_database_is_said_to_be() {
    let (space, _) = after_a_run();
    space.write(".stagewright/store.db", "this is no database, and longer than a header would be: ".repeat(40));
    check!("index_damaged", space.run("run"));
}
