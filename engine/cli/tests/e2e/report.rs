//! The report of a run, as it comes out of the binary.

use std::fs;
use std::time::{Duration, Instant};

use crate::space::TestSpace;

/// A model that is learned from a personal column among others, and measured.
const LEARN: &str = "\
workflow: spend
stages:
  people:
    uses: ingest.csv
    with: { path: people.csv, personal: [name, age] }
  split:
    uses: features.split
    inputs: { table: people }
    with: { method: random, test_size: 0.25 }
  spend:
    uses: model.linear
    inputs: { table: split.train }
    with: { features: [age, visits], target: spent }
  guess:
    uses: model.predict
    inputs: { model: spend.model, table: split.test }
  scores:
    uses: evaluate.regression
    inputs: { predictions: guess }
    with: { target: spent, prediction: prediction }
";

fn learn() -> TestSpace {
    let space = TestSpace::with(LEARN);
    let row = |at: u32| format!("{at},Name{at},{},{},{}\n", 931 + at * 7 % 41, at % 9, at * 3 % 50);
    space.write("people.csv", format!("id,name,age,visits,spent\n{}", (0..40).map(row).collect::<String>()));
    space
}

/// A section of the page, from its heading to the next.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let from = page.split_once(&format!("<h2 id=\"{id}\"")).unwrap_or_else(|| panic!("{id} is missing")).1;
    from.split_once("<h2").map_or(from, |(section, _)| section)
}

#[test]
fn a_model_has_its_card_and_a_source_its_sheet_without_personal_values() {
    let space = learn();
    let output = space.run("run --report report.html");
    assert_eq!(output.code, Some(0), "{output}");
    let page = space.read("report.html");
    let models = section(&page, "models");
    for fact in ["model.linear", "<code>spent</code>", "<code>split.train</code>", "30 rows", "scores.rmse"] {
        assert!(models.contains(fact), "{fact}: {models}");
    }
    assert!(models.contains(">age</th><td>int64</td><td><span class=\"personal\">hidden (personal)"), "{models}");
    assert!(models.contains(">visits</th><td>int64</td><td>0 to 8"), "{models}");
    let sources = section(&page, "sources");
    for fact in ["people.csv", "40 rows", "5 columns", "2 personal"] {
        assert!(sources.contains(fact), "{fact}: {sources}");
    }
    // Ages are 931 and more, so that nothing else can look like one.
    for personal in ["Name", "931", "938", "945"] {
        assert!(!page.contains(&format!(">{personal}")) && !page.contains(&format!("{personal} to")), "{personal}");
    }
    let stages = section(&page, "stages");
    assert!(stages.contains("The longest chain took") && stages.contains("Processor time"), "{stages}");
    assert!(stages.contains("12 W for a busy core") || stages.contains("RAPL"), "{stages}");
}

#[test]
fn what_variants_share_and_what_the_cache_had_is_work_saved() {
    let space = TestSpace::shop();
    space.run("run --report first.html");
    let first = space.read("first.html");
    let first = section(&first, "stages");
    assert!(first.contains("Saved by sharing between variants") && !first.contains("Saved by the cache"), "{first}");
    space.run("run --report second.html");
    let second = space.read("second.html");
    let second = section(&second, "stages");
    assert!(second.contains("Saved by the cache") && second.contains("Stages of all variants one by one"), "{second}");
}

#[cfg(unix)]
#[test]
fn open_gives_the_page_to_the_browser_also_when_nothing_changed() {
    use std::os::unix::fs::PermissionsExt;

    let space = TestSpace::shop();
    space.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" >> opened.txt\n");
    fs::set_permissions(space.path("bin/xdg-open"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", space.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    for runs in 1..=2 {
        let mut command = space.command(&["run", "--open"]);
        let output = command.env("PATH", &path).env_remove("WSL_DISTRO_NAME").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let opened = || fs::read_to_string(space.path("opened.txt")).unwrap_or_default();
        let began = Instant::now();
        while opened().lines().count() < runs && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(opened().lines().count(), runs);
        let last = opened().lines().last().unwrap_or_default().to_owned();
        assert!(fs::read_to_string(space.folder().join(&last)).unwrap().starts_with("<!DOCTYPE html>"), "{last}");
    }
}
