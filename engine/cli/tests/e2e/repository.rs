//! What the repository says about itself is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;

use crate::space::TestSpace;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_readme_names_the_commands_that_are_run() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    let tests = "cargo test --workspace --locked";
    assert!(readme.contains(&format!("```sh\n{tests}\n```")), "the README's test command");
    assert!(ci.contains(&format!("step \"tests\" {tests}\n")), "CI begins with the README's test command");
    assert!(readme.contains("```sh\ncargo run -- run workflows/campaign.yaml\n```"), "the README's first command");
}

#[test]
fn cargo_run_has_one_program_to_run() {
    let workspace = MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec().unwrap();
    let targets = workspace.workspace_default_packages().into_iter().flat_map(|package| &package.targets);
    let programs: Vec<&str> = targets.filter(|target| target.is_bin()).map(|target| target.name.as_str()).collect();
    assert_eq!(programs, ["stagewright"]);
}

#[test]
fn the_schema_beside_the_workflows_is_the_current_one() {
    let written = fs::read_to_string(root().join("workflows/workflow.schema.json")).unwrap();
    let current = TestSpace::new().run("schema");
    assert!(
        written == current.stdout,
        "workflows/workflow.schema.json is out of date: `stagewright schema > workflows/workflow.schema.json`"
    );
}

#[test]
fn every_workflow_names_the_schema() {
    for entry in fs::read_dir(root().join("workflows")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let first = text.lines().next().unwrap();
            assert_eq!(first, "# yaml-language-server: $schema=workflow.schema.json", "{}", path.display());
        }
    }
}

#[test]
fn the_campaign_runs_twice_and_executes_once() {
    let space = TestSpace::new();
    let workflow = root().join("workflows/campaign.yaml").display().to_string();
    let store = space.path("store").display().to_string();
    let run = || space.json(&format!("run --json {workflow} --store {store}"));
    let count = |run: &serde_json::Value, status: &str| {
        run["stages"].as_array().unwrap().iter().filter(|stage| stage["status"] == status).count()
    };
    let first = run();
    let second = run();
    assert_eq!(first["status"], "succeeded");
    let executed = count(&first, "executed");
    // Of four variants' stages, most are the same.
    assert!(executed > 40 && count(&first, "shared") > 2 * executed, "{executed} {}", count(&first, "shared"));
    assert_eq!((count(&second, "executed"), count(&second, "cached")), (0, executed));
    // Customers of the synthetic shop buy again, so what they bought before says most.
    let ndcg = |variant: &str| second["metrics"][variant]["scores.ndcg@10"].as_f64().unwrap();
    assert!(ndcg("frequency") > 2.0 * ndcg("popular"), "{} {}", ndcg("frequency"), ndcg("popular"));
    assert!(ndcg("popular") > 2.0 * ndcg("base"), "{} {}", ndcg("popular"), ndcg("base"));
    assert_eq!(first["metrics"], second["metrics"]);
}

#[test]
fn what_init_writes_runs() {
    let space = TestSpace::new();
    assert_eq!(space.run("init").code, Some(0));
    let first = space.run("run");
    assert_eq!(first.code, Some(0), "{first}");
}

/// Licences that ask for no more than to be named. One that a crate offers is enough.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    // Data: the root certificates of Mozilla.
    "CDLA-Permissive-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "0BSD",
    "CC0-1.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn dependencies_have_licences_that_allow_us() {
    // Of this platform alone: what others need is not there where nothing but this was built.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--offline".to_owned(), "--filter-platform".to_owned(), platform];
    let metadata = MetadataCommand::new().other_options(options).exec().unwrap();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let licence = package.license.clone().unwrap_or_default().replace(['(', ')'], "").replace(" / ", " OR ");
        let licence = licence.replace('/', " OR ");
        let allowed =
            licence.split(" AND ").all(|part| part.split(" OR ").any(|choice| LICENCES.contains(&choice.trim())));
        assert!(allowed, "{} {}: {licence}", package.name, package.version);
    }
}

/// Crates that must not come in, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls'"),
    ("native-tls", "TLS is rustls'"),
    ("polars-stream", "it brings an HTTP and TLS stack along: take formats from polars-io"),
    ("object_store", "it brings an HTTP and TLS stack along: take formats from polars-io"),
    ("serde_yml", "unsound"),
    ("abi_stable", "unmaintained"),
];

#[test]
fn dependencies_come_from_the_registry_and_none_is_banned() {
    // `cargo tree` and not `cargo metadata`, which lists what no build of ours switches on.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--prefix", "none", "--edges", "normal,build", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let used: BTreeSet<String> =
        String::from_utf8(tree.stdout).unwrap().lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect();
    assert!(used.len() > 100, "{used:?}");
    let ours = format!("({}", root().canonicalize().unwrap().display());
    for package in used.iter().filter(|package| !package.is_empty()) {
        // A crate of another registry or of a repository has its address behind its version.
        let from_elsewhere = package.contains('(') && !package.contains(&ours) && !package.contains("(proc-macro)");
        assert!(!from_elsewhere, "{package}");
        let name = package.split(' ').next().unwrap();
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            panic!("{package} is banned: {why}");
        }
    }
}
