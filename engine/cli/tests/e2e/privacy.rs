//! Personal data from ingest to wherever they would leave, secrets, and being forgotten.

use crate::space::{Output, TestSpace};

/// The shop with something more.
fn with(stages: &str) -> TestSpace {
    let space = TestSpace::shop();
    space.replace("workflow.yaml", "variants:\n", &format!("{stages}variants:\n"));
    space
}

#[test]
fn a_figure_of_a_personal_column_is_refused_before_anything_runs() {
    let space = with("  names:\n    uses: features.top\n    inputs: { table: adults }\n    with: { column: name }\n");
    check!("privacy_figure", space.run("run"));
    assert!(!space.path(".stagewright/blobs").join("..").join("reports").exists());
    // Ages are nobody's name.
    let space = with("  ages:\n    uses: features.top\n    inputs: { table: adults }\n    with: { column: age }\n");
    assert_eq!(space.run("run").code, Some(0));
}

/// The shop with pseudonyms for names, and a figure of them.
fn pseudonyms() -> TestSpace {
    with(
        "  hidden:\n    uses: clean.pseudonymise\n    inputs: { table: adults }\n    \
         with: { columns: [name], key: '${secret:SHOP_KEY}' }\n  names:\n    uses: features.top\n    \
         inputs: { table: hidden }\n    with: { column: name }\n",
    )
}

fn run_with(space: &TestSpace, key: Option<&str>, args: &[&str]) -> Output {
    let mut command = space.command(args);
    command.env_remove("SHOP_KEY");
    if let Some(key) = key {
        command.env("SHOP_KEY", key);
    }
    Output::of(&mut command, space.folder())
}

#[test]
fn a_secret_decides_over_pseudonyms_and_rests_nowhere() {
    let space = pseudonyms();
    let key = "correct horse battery staple";
    let first = run_with(&space, Some(key), &["run"]);
    assert_eq!(first.code, Some(0), "{first}");
    let again = run_with(&space, Some(key), &["run", "--json"]);
    let again: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert!(again["stages"].as_array().unwrap().iter().all(|stage| stage["status"] != "executed"), "{again}");
    let other = run_with(&space, Some("another key that is as long"), &["plan"]);
    assert!(other.stdout.contains("secret.SHOP_KEY") || other.stdout.contains("SHOP_KEY"), "{other}");
    assert!(other.stdout.contains("miss"), "{other}");

    let holds = |text: &str| {
        let mut folders = vec![space.folder().to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(path);
                }
            }
        }
        found
    };
    assert_eq!(holds(key), Vec::<std::path::PathBuf>::new(), "no file holds the secret");
    assert!(!holds("SHOP_KEY").is_empty(), "its name is no secret");
}

#[test]
fn a_secret_that_is_not_set_is_named() {
    check!("secret_not_set", run_with(&pseudonyms(), None, &["run", "-j", "1"]));
    check!("secret_too_short", run_with(&pseudonyms(), Some("short"), &["run", "-j", "1"]));
}

#[test]
fn a_person_is_erased() {
    let space = TestSpace::shop();
    space.run("run");
    let blobs = || space.run("store usage").stdout;
    let before = blobs();
    check!("erase_nobody_to_ask", space.run("store erase --subject Ada"));
    check!("erase_dry_run", space.run("store erase --subject Ada --dry-run"));
    assert_eq!(blobs(), before);
    check!("erase", space.run("store erase --subject Ada --yes"));
    check!("erase_again", space.run("store erase --subject Ada --yes"));
    assert_eq!(space.run("store verify").code, Some(0));
    // The file still names her, as the command says; what does not is computed from what is left.
    let people = space.read("data/people.csv").replace("1,Ada,36,120.5\n", "");
    space.write("data/people.csv", people);
    assert_eq!(space.run("run").code, Some(0));
    check!("erase_for_good", space.run("store erase --subject Ada --column name --dry-run"));
}
