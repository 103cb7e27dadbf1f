//! Plugins through the binary: found, planned, cached, and what a bad one costs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::space::{Output, Summary, TestSpace, signal};

/// Compiles a plugin in C into a library of the folder.
fn compile(space: &TestSpace, source: &str, library: &str, options: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c99", "-O1", "-fPIC", "-shared", "-fvisibility=hidden"])
        .args(options)
        .arg("-I")
        .arg(root.join("engine/contract/include"))
        .arg("-o")
        .arg(space.path(library))
        .arg(root.join(source))
        .args(["-lm", "-lpthread"])
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const KIT: &str = "engine/host/tests/plugins/kit.c";
const UPLIFT: &str = "plugins/uplift/uplift.c";

/// The processes that have a library of the folder open.
fn left(space: &TestSpace) -> Vec<PathBuf> {
    let folder = space.folder().to_string_lossy().into_owned();
    let library = |line: &str| line.contains(&folder) && line.ends_with(".so");
    let uses = |path: &PathBuf| std::fs::read_to_string(path.join("maps")).is_ok_and(|maps| maps.lines().any(library));
    std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(uses).collect()
}

fn assert_nothing_is_left(space: &TestSpace) {
    let patience = Instant::now() + Duration::from_secs(5);
    while !left(space).is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(left(space), Vec::<PathBuf>::new());
}

const BAD: &str = "\
workflow: misbehaving
plugins: [kit.so]
stages:
  make: { uses: kit.make }
  echo: { uses: kit.echo, inputs: { table: make } }
  thread: { uses: kit.bad, with: { how: thread } }
  child: { uses: kit.bad, with: { how: child } }
  noise: { uses: kit.bad, with: { how: noise } }
  segfault: { uses: kit.bad, with: { how: segfault } }
  abort: { uses: kit.bad, with: { how: abort } }
  exit: { uses: kit.bad, with: { how: exit } }
  killed: { uses: kit.bad, with: { how: kill } }
  loop: { uses: kit.bad, with: { how: loop }, timeout: 1s }
  stack: { uses: kit.bad, with: { how: stack } }
  memory: { uses: kit.bad, with: { how: memory }, resources: { memory: 200MiB } }
  divide: { uses: kit.bad, with: { how: divide } }
  nothing: { uses: kit.bad, with: { how: nothing } }
  garbage: { uses: kit.bad, with: { how: longer } }
  not_text: { uses: kit.bad, with: { how: not_text } }
  silent: { uses: kit.bad, with: { how: silent } }
  refuse: { uses: kit.bad, with: { how: refuse } }
  select: { uses: clean.select, inputs: { table: echo }, with: { columns: [id, name] } }
";

/// Thirteen of these stages fail, each alone; three that only make noise or leave something behind do not.
#[test]
fn a_plugin_that_misbehaves_costs_its_own_stages() {
    let space = TestSpace::with(BAD);
    compile(&space, KIT, "kit.so", &[]);
    let output = space.run("run --json");
    assert_eq!(output.code, Some(1), "{output}");
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(Summary::of(&json).executed(), ["child", "echo", "make", "noise", "select", "thread"]);
    let errors: BTreeMap<String, String> = json["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|stage| stage["status"] == "failed")
        .map(|stage| (stage["stage"].as_str().unwrap().to_owned(), stage["error"].as_str().unwrap().to_owned()))
        .collect();
    let text: String = errors.iter().map(|(stage, error)| format!("{stage}: {error}\n")).collect();
    insta::with_settings!({ filters => vec![(r"used \d+ MiB", "used [some] MiB")], omit_expression => true }, {
        insta::assert_snapshot!("plugins_misbehaving", text);
    });
    space.assert_sound();
    assert_nothing_is_left(&space);
}

#[test]
fn a_run_that_is_killed_takes_its_workers_along() {
    let space =
        TestSpace::with("workflow: w\nplugins: [kit.so]\nstages:\n  loop: { uses: kit.bad, with: { how: loop } }\n");
    compile(&space, KIT, "kit.so", &[]);
    let mut child = space.spawn("run");
    let patience = Instant::now() + Duration::from_secs(20);
    while left(&space).is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(left(&space).len(), 1);
    signal("KILL", &child);
    child.wait().unwrap();
    assert_nothing_is_left(&space);
}

const CUSTOMERS: &str = "\
id,country,mailed,spent
1,Belgium,true,10.5
2,Belgium,false,8
3,France,true,12
4,France,true,15.5
5,France,false,7.25
6,France,false,9
7,Germany,true,3
8,Germany,false,1
9,Germany,false,2.5
10,Italy,true,4
11,France,,9
12,,true,100
13,Germany,true,5.75
";

const CAMPAIGN: &str = "\
workflow: campaign
plugins: [uplift.so]
stages:
  customers: { uses: ingest.csv, with: { path: customers.csv } }
  uplift:
    uses: uplift.segments
    inputs: { table: customers }
    with: { segment: country, treated: mailed, outcome: spent }
compare:
  metrics: [uplift.uplift]
";

fn campaign() -> TestSpace {
    let space = TestSpace::with(CAMPAIGN);
    space.write("customers.csv", CUSTOMERS);
    compile(&space, UPLIFT, "uplift.so", &[]);
    space
}

/// The numbers are those of pandas 2: groupby, mean, and sqrt(var(ddof=1) / n) of both sides, added in quadrature.
#[test]
fn the_plugin_in_c() {
    let space = campaign();
    assert_eq!(space.summary("").executed(), ["customers", "uplift"]);
    check!("plugins_uplift", space.run("get uplift.table"));
    let metrics = space.json("get uplift.metrics");
    assert_eq!(metrics["values"]["users"]["value"], 11.0);
    let uplift = metrics["values"]["uplift"]["value"].as_f64().unwrap();
    assert!((uplift - 3.8).abs() < 1e-12, "{uplift}");
    assert_eq!(space.summary("").executed(), Vec::<String>::new());
    space.replace("workflow.yaml", "[uplift.so]", "[{ path: uplift.so, isolation: in-process }]");
    let digests = space.summary("").digests();
    assert_eq!(space.summary("").executed(), Vec::<String>::new());
    // Another build of it is other code, which here comes to the same.
    compile(&space, UPLIFT, "uplift.so", &["-DOTHER", "-O2"]);
    let again = space.summary("");
    assert_eq!(again.executed(), ["uplift"]);
    assert_eq!(again.digests(), digests);
    space.assert_sound();
}

#[test]
fn mistakes_about_plugins_are_mistakes_of_the_workflow() {
    let space = TestSpace::with(
        "\
workflow: w
plugins:
  - { path: kit.so, sha256: 0000000000000000000000000000000000000000000000000000000000000000 }
  - nowhere.so
  - { path: kit.so, isolation: none, pin: x }
  - workflow.yaml
stages:
  make: { uses: clean.select, with: { columns: [a] } }
",
    );
    compile(&space, KIT, "kit.so", &[]);
    let output = space.run("validate");
    // The compiler's output, and so its digest, is the machine's own.
    let found = vec![(r"its SHA-256 is\s+│\s+[0-9a-f]{64}", "its SHA-256 is [sha256]")];
    insta::with_settings!({ filters => found, omit_expression => true }, {
        insta::assert_snapshot!("plugins_mistakes", output.to_string());
    });
}

#[test]
fn parameters_of_a_plugin_are_checked_like_others() {
    let space = TestSpace::with(
        "workflow: w\nplugins: [kit.so]\nstages:\n  make: { uses: kit.make, with: { batches: 7 } }\n  bad: { uses: kit.bda }\n",
    );
    compile(&space, KIT, "kit.so", &[]);
    check!("plugins_parameters", space.run("validate"));
}

#[test]
fn plugins_of_the_environment_are_listed_and_described() {
    let space = TestSpace::new();
    compile(&space, UPLIFT, "uplift.so", &[]);
    let describe = |path: &str| {
        let output = space.command(&["stages", "uplift.segments"]).env("STAGEWRIGHT_PLUGINS", path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().replace(&*space.folder().to_string_lossy(), "[space]")
    };
    let file = space.path("uplift.so");
    assert_eq!(describe(&file.to_string_lossy()), describe(&space.folder().to_string_lossy()));
    check!("plugins_described", describe(&file.to_string_lossy()));
    // The user's own folder.
    space.write(".home/stagewright/plugins/uplift.so", std::fs::read(file).unwrap());
    space.write(".home/stagewright/plugins/broken.so", "no library");
    let output = space.run("stages");
    assert!(output.stdout.contains("uplift.segments"), "{output}");
    assert!(output.stderr.contains("warning: the plugin `[space]/.home/stagewright/plugins/broken.so` is refused"));
}

/// The workflow names no plugin: it comes from the environment, or from the user's own folder.
#[test]
fn plugins_of_the_environment_and_of_the_folder_run() {
    let space = campaign();
    let digests = space.summary("").digests();
    space.replace("workflow.yaml", "plugins: [uplift.so]\n", "");
    assert_eq!(space.run("run").code, Some(2));
    let library = std::fs::read(space.path("uplift.so")).unwrap();
    let run = |plugins: &str| {
        let output = space.command(&["run", "--json"]).env("STAGEWRIGHT_PLUGINS", plugins).output().unwrap();
        Summary::of(&serde_json::from_slice(&output.stdout).unwrap())
    };
    // It is the same library, wherever it was found.
    let found = run(&space.path("uplift.so").to_string_lossy());
    assert_eq!((found.executed(), found.digests()), (Vec::new(), digests.clone()));
    space.write(".home/stagewright/plugins/uplift.so", library);
    let found = space.summary("");
    assert_eq!((found.executed(), found.digests()), (Vec::new(), digests));
    // Found in both places, the one of the environment counts, and the other is only warned of.
    let mut both = space.command(&["run"]);
    let output = Output::of(both.env("STAGEWRIGHT_PLUGINS", space.path("uplift.so")), space.folder());
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("which there is already"), "{output}");
}

/// What `plugin check` says of a plugin. Which limits hold is the kernel's.
fn checks(output: &Output) -> String {
    output.stdout.lines().filter(|line| !line.starts_with("  limit ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_new_plugin_in_c_builds_and_passes() {
    let space = TestSpace::new();
    let wrote = space.run("plugin new counter --lang c");
    assert_eq!(wrote.code, Some(0), "{wrote}");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let built = Command::new(compiler)
        .current_dir(space.path("counter"))
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-fvisibility=hidden", "-shared"])
        .args(["-o", "counter.so", "plugin.c"])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let output = space.run("plugin check counter/counter.so");
    assert_eq!(output.code, Some(0), "{output}");
    insta::assert_snapshot!("plugins_checked", checks(&output));
    let again = space.run("plugin new counter --lang c");
    assert_eq!(again.code, Some(2), "{again}");
}

#[test]
fn a_new_plugin_in_rust_builds_and_passes() {
    let space = TestSpace::new();
    let wrote = space.run("plugin new counter --lang rust");
    assert_eq!(wrote.code, Some(0), "{wrote}");
    let project = space.path("counter");
    // The versions that the workspace has are the ones that are here without a network.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    std::fs::copy(lock, project.join("Cargo.lock")).unwrap();
    // A build folder of its own, which survives between runs.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-rust-plugin");
    let built = Command::new(env!("CARGO"))
        .current_dir(&project)
        .args(["build", "--offline", "--quiet"])
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut check = space.command(&["plugin", "check"]);
    let output = Output::of(check.arg(target.join("debug/libcounter.so")), space.folder());
    assert_eq!(output.code, Some(0), "{output}");
    insta::assert_snapshot!("plugins_checked_rust", checks(&output));
}
