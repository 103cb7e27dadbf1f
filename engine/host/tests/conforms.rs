//! The conformance kit: a sound plugin passes, and what is wrong is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{compile_file, kit, launcher};
use stagewright_host::{Check, Outcome, check, conformance};

const LIMIT: Duration = Duration::from_secs(4);

fn of<'a>(checks: &'a [Check], stage: &str) -> Vec<&'a Check> {
    checks.iter().filter(|check| check.stage.as_deref() == Some(stage)).collect()
}

#[test]
fn the_example_in_c_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile_file("../../plugins/uplift/uplift.c", folder.path(), "uplift", &[]);
    let checks = conformance(&check(&library, None).unwrap(), &launcher(), LIMIT, &mut |_| {}).unwrap();
    for check in &checks {
        assert_eq!(check.outcome, Outcome::Passed, "{check:?}");
    }
    assert_eq!(of(&checks, "uplift.segments").len(), 10);
}

#[test]
fn what_is_wrong_is_found() {
    let checks = conformance(&check(kit(), None).unwrap(), &launcher(), LIMIT, &mut |_| {}).unwrap();
    let failed: Vec<String> = checks
        .iter()
        .filter_map(|check| match &check.outcome {
            Outcome::Failed(why) => Some(format!("{}: {}: {why}", check.stage.as_deref().unwrap(), check.what)),
            _ => None,
        })
        .collect();
    // It waits until it is cancelled, and nothing else of it can be seen.
    assert_eq!(failed, ["kit.wait: it keeps the rules over a small table: it took longer than 4 s"]);
    let skipped = |check: &&Check| matches!(check.outcome, Outcome::Skipped(_));
    assert_eq!(checks.iter().filter(skipped).count(), 0, "{checks:#?}");
}
