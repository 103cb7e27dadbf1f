//! Dependencies point one way: the arrows of ARCHITECTURE.md, checked against what Cargo says.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Every crate of the workspace, and which others of it the crate may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("stagewright-contract", &[]),
    ("stagewright-code-digest", &[]),
    ("stagewright-unify", &[]),
    ("stagewright-compare", &[]),
    ("stagewright-report", &["stagewright-contract"]),
    ("stagewright-core", &["stagewright-contract"]),
    ("stagewright-host", &["stagewright-contract", "stagewright-unify"]),
    ("stagewright-plugin", &["stagewright-contract", "stagewright-host"]),
    ("stagewright-sfmc", &["stagewright-plugin"]),
    ("stagewright-sfmc-stand-in", &[]),
    ("stagewright-store", &["stagewright-contract"]),
    ("stagewright-runtime", &["stagewright-contract", "stagewright-core", "stagewright-store"]),
    ("stagewright-frame", &["stagewright-contract", "stagewright-unify"]),
    ("stagewright-ingest", STAGE),
    ("stagewright-clean", STAGE),
    ("stagewright-features", STAGE),
    ("stagewright-segment", STAGE),
    ("stagewright-model", STAGE),
    ("stagewright-recommend", STAGE),
    ("stagewright-generate", STAGE),
    ("stagewright-evaluate", STAGE),
    ("stagewright-exec", EXEC),
    (
        "stagewright",
        &[
            "stagewright-contract",
            "stagewright-compare",
            "stagewright-core",
            "stagewright-store",
            "stagewright-runtime",
            "stagewright-report",
            "stagewright-host",
            "stagewright-frame",
            "stagewright-code-digest",
            "stagewright-ingest",
            "stagewright-clean",
            "stagewright-features",
            "stagewright-segment",
            "stagewright-model",
            "stagewright-recommend",
            "stagewright-generate",
            "stagewright-evaluate",
            "stagewright-exec",
        ],
    ),
];

/// What a crate of stage types may use: neither the engine nor another crate of stage types. The statistics of a
/// comparison are no engine: the command `compare` and the stages that compare should say the same of the same numbers.
const STAGE: &[&str] = &[
    "stagewright-contract",
    "stagewright-compare",
    "stagewright-frame",
    "stagewright-unify",
    "stagewright-code-digest",
];

/// Starting processes, and having them end with the program, is the host's: it takes system calls without a safe wrapper.
/// What a command writes is read as files from outside are.
const EXEC: &[&str] = &[
    "stagewright-contract",
    "stagewright-frame",
    "stagewright-host",
    "stagewright-ingest",
    "stagewright-unify",
    "stagewright-code-digest",
];

fn packages() -> Vec<Package> {
    MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec().unwrap().packages
}

/// What a crate uses when it is built; what only its tests use does not count.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let packages = packages();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    for package in &packages {
        let name = package.name.as_str();
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("{name} is new: say in ARROWS what it may use"));
        for used in dependencies(package).intersection(&names) {
            assert!(allowed.contains(used), "{name} must not depend on {used}");
        }
    }
    for name in arrows.keys() {
        assert!(names.contains(name), "{name} stands in ARROWS and is no crate of the workspace");
    }
}

#[test]
fn only_stages_know_polars() {
    for package in packages() {
        let in_stages = package.manifest_path.components().any(|part| part.as_str() == "stages");
        for used in dependencies(&package) {
            // The contract's tables are Arrow arrays, which the host hands to plugins and the contract writes: these
            // crates are polars' own, without its engine.
            let arrays =
                ["stagewright-contract", "stagewright-host", "stagewright-plugin"].contains(&package.name.as_str());
            let allowed = in_stages || (arrays && (used.starts_with("polars-arrow") || used == "polars-buffer"));
            assert!(!used.starts_with("polars") || allowed, "{} must not depend on {used}", package.name);
        }
    }
}

#[test]
fn only_build_scripts_digest_code() {
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|used| used.name == "stagewright-code-digest") {
            assert_eq!(dependency.kind, DependencyKind::Build, "{}", package.name);
        }
    }
}
