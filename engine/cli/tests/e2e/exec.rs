//! Commands and scripts as stages, through the binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::space::{Output, Summary, TestSpace, signal};

const PEOPLE: &str = "id,name,age\n1,Ada,36\n2,Ben,21\n3,Cleo,62\n";

/// A space with three people, and a stage `it` over them with these lines under `with:`.
fn space(uses: &str, with: &str) -> TestSpace {
    let space = TestSpace::with(&format!(
        "workflow: exec\nparams: {{ seed: 7, n: 2 }}\nstages:\n  people: {{ uses: ingest.csv, with: {{ path: people.csv, \
         personal: [name] }} }}\n  it:\n    uses: {uses}\n    inputs: {{ people: people }}\n    with:\n{}\n",
        with.lines().map(|line| format!("      {line}\n")).collect::<String>().trim_end()
    ));
    space.write("people.csv", PEOPLE);
    space
}

fn command(with: &str) -> TestSpace {
    space("exec.command", with)
}

const HEAD: &str = "\
command: [sh, head.sh, '{inputs.people}', '{outputs.first}', '${params.n}']
inputs: { people: people.csv }
outputs: { first: first.csv, counts: metrics }
params: { k: 3 }";

const HEAD_SH: &str = "\
head -n \"$3\" \"$1\" > \"$2\"
echo '{ \"rows\": { \"value\": '$3', \"goal\": \"maximize\" }, \"none\": null }' > outputs/counts.json
";

#[test]
fn a_command_reads_and_writes_files() {
    let space = command(&format!("{HEAD}\n"));
    space.write("head.sh", HEAD_SH);
    assert_eq!(space.summary("").executed(), ["it", "people"]);
    check!("exec_first", space.run("get it.first"));
    check!("exec_counts", space.run("get it.counts"));
    check!("exec_explain", space.run("explain it"));
    assert_eq!(space.summary("").executed(), [""; 0]);
    // A script that the command names is part of the key, and so are its words.
    space.write("head.sh", format!("{HEAD_SH}# another\n"));
    assert_eq!(space.summary("").executed(), ["it"]);
    assert_eq!(space.summary("--set params.n=3").executed(), ["it"]);
    // The file of the port is not.
    space.replace("workflow.yaml", "params: { k: 3 }", "params: { k: 4 }");
    assert_eq!(space.summary("").executed(), ["it"]);
    // Personal columns stay so by their names.
    let marked = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(20).any(|bytes| bytes == b"stagewright.personal")
    };
    // The people, and what was made of them with two values of `n`.
    assert_eq!(space.blobs().iter().filter(|path| marked(path)).count(), 3);
    space.assert_sound();
}

#[test]
fn ports_of_a_stage_are_ports_like_any_other() {
    let with = "\
workflow: ports
stages:
  people: { uses: ingest.csv, with: { path: people.csv } }
  it:
    uses: exec.command
    inputs: { people: people }
    with: { command: 'cp {inputs.people} {outputs.copy}', outputs: { copy: table, counts: metrics } }
  next: { uses: clean.select, inputs: { table: it.cpy }, with: { columns: [id] } }
  kind: { uses: clean.select, inputs: { table: it.counts }, with: { columns: [id] } }
  which: { uses: clean.select, inputs: { table: it }, with: { columns: [id] } }
  none: { uses: exec.command, inputs: { a: people }, with: { command: 'cp {inputs.b} {outputs.out}', outputs: { copy: table } } }
  input: { uses: exec.command, inputs: { people: people }, with: { command: 'cp {inputs.poeple} x', outputs: { copy: table } } }
  file: { uses: exec.command, inputs: { people: people }, with: { command: 'cp a b', inputs: { poeple: p.csv }, outputs: { copy: tabel } } }
  format: { uses: exec.command, inputs: { people: people }, with: { command: 'cp a b', outputs: { copy: { kind: metrics, file: m.csv } } } }
  away: { uses: exec.command, with: { command: 'cp a b', outputs: { copy: ../copy.csv } } }
  shared: { uses: exec.command, inputs: { a: people }, with: { command: 'cp a b', inputs: { a: x.csv }, outputs: { copy: x.csv } } }
  quote: { uses: exec.command, with: { command: \"cp 'a b\", outputs: { copy: x.csv } } }
  seedless: { uses: exec.command, with: { command: 'draw {seed}', outputs: { copy: x.csv } } }
  variable: { uses: exec.command, with: { command: 'draw', environment: { 1X: a }, outputs: { copy: x.csv } } }
  nothing: { uses: exec.command, with: { command: 'draw', outputs: {} } }
";
    let space = TestSpace::with(with);
    space.write("people.csv", PEOPLE);
    check!("exec_mistakes", space.run("validate"));
}

#[test]
fn variants_change_ports_and_words() {
    let space = TestSpace::with(
        "\
workflow: variants
params: { n: 2 }
stages:
  people: { uses: ingest.csv, with: { path: people.csv } }
  it:
    uses: exec.command
    inputs: { people: people }
    with:
      command: [head, -n, '${params.n}', '{inputs.people}']
      inputs: { people: people.csv }
      outputs: { counts: metrics, copy: { kind: table, file: out.csv } }
  select: { uses: clean.select, inputs: { table: it.copy }, with: { columns: [id] } }
variants:
  sweep: { grid: { params.n: [2, 3] } }
  arrow: { stages: { it: { with: { command: [cp, '{inputs.people}', '{outputs.copy}'], outputs: { copy: { file: null } }, inputs: null } } } }
",
    );
    space.write("people.csv", PEOPLE);
    check_table!("exec_variants", space.run("plan"));
}

/// Every way in which a command can go wrong, each with what to do about it.
#[test]
fn a_command_that_fails_says_why() {
    let space = TestSpace::with(
        "\
workflow: failures
stages:
  people: { uses: ingest.csv, with: { path: people.csv, personal: [name] } }
  code: { uses: exec.command, with: { command: [sh, -c, 'echo one; echo two >&2; exit 3'], outputs: { t: table } } }
  signal: { uses: exec.command, with: { command: [sh, -c, 'echo one; kill -SEGV $$'], outputs: { t: table } } }
  killed: { uses: exec.command, with: { command: [sh, -c, 'kill -KILL $$'], outputs: { t: table } } }
  program: { uses: exec.command, with: { command: haed -n 3, outputs: { t: table } } }
  path: { uses: exec.command, with: { command: ./nothing.sh, outputs: { t: table } } }
  mode: { uses: exec.command, with: { command: ./people.csv, outputs: { t: table } } }
  output: { uses: exec.command, with: { command: 'true', outputs: { t: table } } }
  near: { uses: exec.command, with: { command: [sh, -c, 'echo a > outputs/scors.csv'], outputs: { t: outputs/scores.csv } } }
  arrow: { uses: exec.command, with: { command: [sh, -c, 'echo a > outputs/t.arrow'], outputs: { t: table } } }
  parquet: { uses: exec.command, with: { command: [sh, -c, 'echo a > t.parquet'], outputs: { t: t.parquet } } }
  csv: { uses: exec.command, with: { command: [sh, -c, 'printf \"a,b\\n1,2\\n3\\n\" > t.csv'], outputs: { t: t.csv } } }
  utf8: { uses: exec.command, with: { command: [sh, -c, 'printf \"a,b\\n1,\\377\\n\" > t.csv'], outputs: { t: t.csv } } }
  json: { uses: exec.command, with: { command: [sh, -c, 'echo \"[{\" > t.json'], outputs: { t: t.json } } }
  metrics: { uses: exec.command, with: { command: [sh, -c, 'echo \"{\\\"auc\\\": NaN}\" > outputs/t.json'], outputs: { t: metrics } } }
  model: { uses: exec.command, with: { command: [sh, -c, 'echo \"{}\" > outputs/t.json'], outputs: { t: model } } }
  column: { uses: exec.command, with: { command: [sh, -c, 'echo usr_id > t.csv'], outputs: { t: { file: t.csv, columns: [user_id] } } } }
  other: { uses: exec.command, with: { command: [sh, -c, 'echo a,b > t.csv'], outputs: { t: { file: t.csv, columns: [a] } } } }
  type: { uses: exec.command, with: { command: [sh, -c, 'printf \"a\\nx\\n\" > t.csv'], outputs: { t: { file: t.csv, types: { a: int64 } } } } }
  link: { uses: exec.command, with: { command: [ln, -s, /etc/hostname, outputs/t.json], outputs: { t: metrics } } }
  time: { uses: exec.command, timeout: 300ms, with: { command: [sh, -c, 'echo began; sleep 60'], outputs: { t: table } } }
  memory:
    uses: exec.command
    resources: { memory: 64MiB }
    with: { command: [sh, -c, 'x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done'], outputs: { t: table } }
",
    );
    space.write("people.csv", PEOPLE);
    let output = space.run("run --jobs 1");
    insta::with_settings!({ filters => [
        crate::space::filters(),
        vec![(r"used \d+ MiB", "used [n] MiB")],
    ].concat(), omit_expression => true }, {
        insta::assert_snapshot!("exec_failures", output.to_string());
    });
    space.assert_sound();
    assert_nothing_is_left(&space);
}

#[test]
fn the_environment_is_what_the_stage_declares() {
    let space = command(
        "\
command: [sh, -c, 'env | sort | sed -e s/stagewright-scratch-.*/SCRATCH/ -e s/^TOKEN=.......$/TOKEN=its-value/ > env.csv']
outputs: { out: { file: env.csv } }
environment: { GIVEN: 3, PASSED: ~, TOKEN: '${secret:TOKEN}' }
seed: ${params.seed}",
    );
    let run = |args: &[&str]| {
        let mut command = space.command(args);
        command.env("PASSED", "on").env("OTHER", "no").env("TOKEN", "hunter2").env("PATH", "/usr/bin:/bin");
        Output::of(&mut command, space.folder())
    };
    let output = run(&["run"]);
    assert_eq!(output.code, Some(0), "{output}");
    let got = run(&["get", "it.out"]);
    check!("exec_environment", got);
    let journal = std::fs::read(space.path(".stagewright/store.db")).unwrap();
    assert!(!journal.windows(7).any(|bytes| bytes == b"hunter2"));
}

/// The processes of commands that run in folders of ours.
fn left(space: &TestSpace) -> Vec<String> {
    let marker = format!("MARK={}", space.folder().display());
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes()))
        })
        .map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
        .collect()
}

fn assert_nothing_is_left(space: &TestSpace) {
    let patience = Instant::now() + Duration::from_secs(5);
    while !left(space).is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(left(space), Vec::<String>::new());
}

/// A command that starts others, and takes long.
fn family() -> TestSpace {
    let space = TestSpace::new();
    let workflow = format!(
        "workflow: family\nstages:\n  it:\n    uses: exec.command\n    with:\n      command: [sh, -c, 'sleep 300 & sh -c \
         \"sleep 300\" & touch {}; wait']\n      environment: {{ MARK: '{}' }}\n      outputs: {{ t: table }}\n",
        space.path("began").display(),
        space.folder().display()
    );
    space.write("workflow.yaml", workflow);
    space
}

fn began(space: &TestSpace) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !space.path("began").exists() {
        assert!(Instant::now() < patience, "the command did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(left(space).len() >= 2, "{:?}", left(space));
}

#[test]
fn nothing_of_a_command_is_left_when_the_run_ends() {
    for how in ["INT", "KILL"] {
        let space = family();
        let child = space.spawn("run");
        began(&space);
        signal(how, &child);
        let output = Output::wait(child, space.folder());
        assert_eq!(output.code, (how == "INT").then_some(130), "{output}");
        assert_nothing_is_left(&space);
    }
}

#[test]
fn nothing_of_a_command_is_left_when_its_time_is_up() {
    let space = family();
    space.replace("workflow.yaml", "    uses:", "    timeout: 1s\n    uses:");
    let output = space.run("run");
    assert_eq!(output.code, Some(1), "{output}");
    assert_nothing_is_left(&space);
}

/// The virtual environment of the Python that the variable names, or nothing, with the reason printed.
pub(crate) fn venv(package: &str) -> Option<PathBuf> {
    let Some(python) = std::env::var_os("STAGEWRIGHT_TEST_PYTHON").map(PathBuf::from) else {
        eprintln!("skipped: STAGEWRIGHT_TEST_PYTHON names no Python of a virtual environment with {package}");
        return None;
    };
    let has = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: `{}` has no {package}", python.display());
        return None;
    }
    python.parent().and_then(Path::parent).map(Path::to_owned)
}

fn script(venv: &Path, text: &str) -> TestSpace {
    let space = space(
        "python.script",
        &format!(
            "script: py/score.py\nvenv: {}\noutputs: {{ scores: table, quality: metrics }}\nparams: {{ k: 3 }}\nseed: \
             ${{params.seed}}",
            venv.display()
        ),
    );
    space.write("py/score.py", text);
    space
}

const SCORE: &str = "\
import random
from helper import double
def run(inputs, params, context):
    table = inputs['people']
    print('seen', len(table))
    context.log('two of them', 'warning')
    context.progress(1, 2)
    random.seed(context.seed)
    scores = [random.random() * double(params['k']) for _ in range(len(table))]
    quality = {'auc': {'value': 0.5, 'goal': 'maximize'}, 'rows': len(table), 'none': None}
    return {'scores': table.append_column('score', [scores]), 'quality': quality}
";

#[test]
fn a_script_gets_tables_and_returns_them() {
    let Some(venv) = venv("pyarrow") else { return };
    let space = script(&venv, SCORE);
    space.write("py/helper.py", "def double(x): return 2 * x\n");
    let first = space.json("run --json");
    assert_eq!(Summary::of(&first).executed(), ["it", "people"]);
    assert_eq!(space.run("run").code, Some(0));
    check!("script_scores", space.run("get it.scores"));
    check!("script_quality", space.run("get it.quality"));
    assert_eq!(space.summary("").executed(), [""; 0]);
    // A module beside the script, and the seed, are part of the key.
    space.write("py/helper.py", "def double(x): return x + x\n");
    let again = space.json("run --json");
    assert_eq!(Summary::of(&again).executed(), ["it"]);
    assert_eq!(Summary::of(&again).digests(), Summary::of(&first).digests());
    assert_eq!(space.summary("--set params.seed=8").executed(), ["it"]);
    // Nothing was written beside the script.
    assert!(!space.path("py/__pycache__").exists());
    assert_eq!(space.run("run --check-determinism --set params.seed=9").code, Some(0));
    space.assert_sound();
}

#[test]
fn a_script_that_fails_says_where() {
    let Some(venv) = venv("pyarrow") else { return };
    let cases = [
        ("key", "def run(inputs, params, context):\n    return inputs['poeple']\n"),
        ("deep", "import helper\ndef run(inputs, params, context):\n    return helper.fail(3)\n"),
        ("syntax", "def run(inputs:\n"),
        ("import", "import no_such_package\n"),
        ("no_run", "def rn(inputs, params, context): pass\n"),
        ("list", "def run(inputs, params, context): return [1]\n"),
        ("missing", "def run(inputs, params, context): return {'scores': inputs['people']}\n"),
        ("other", "def run(inputs, params, context): return {'scores': inputs['people'], 'quality': {}, 'x': 1}\n"),
        ("kind", "def run(inputs, params, context): return {'scores': {'a': [1]}, 'quality': {}}\n"),
        (
            "nan",
            "def run(inputs, params, context): return {'scores': inputs['people'], 'quality': {'auc': float('nan')}}\n",
        ),
        (
            "table_nan",
            "import pyarrow as pa\ndef run(inputs, params, context): return {'scores': pa.table({'x': [1.0, \
             float('nan')]}), 'quality': {}}\n",
        ),
        (
            "nested",
            "import pyarrow as pa\ndef run(inputs, params, context): return {'scores': pa.table({'x': [[1]]}), \
             'quality': {}}\n",
        ),
        ("exit", "import sys\nprint('bye')\nsys.exit(4)\n"),
        ("crash", "import os\nprint('bye')\ndef run(inputs, params, context): os.kill(os.getpid(), 11)\n"),
    ];
    for (name, text) in cases {
        let space = script(&venv, text);
        space.write("py/helper.py", "def fail(n):\n    return fail(n - 1) if n else 1 / 0\n");
        let output = space.run("run");
        let error: String = output
            .to_string()
            .lines()
            .skip_while(|line| !line.contains("error  "))
            .take_while(|line| !line.starts_with("failed in"))
            .map(|line| format!("{line}\n"))
            .collect();
        check!(format!("script_{name}"), error);
    }
}

#[test]
fn what_a_script_needs_is_asked_for() {
    let space = script(Path::new("venv"), "");
    check!("script_no_venv", space.run("validate"));
    space.write("venv/pyvenv.cfg", "version = 3.11.7\n");
    let output = space.run("run");
    assert!(output.to_string().contains("the virtual environment `venv` has no `bin/python`"), "{output}");
    space.replace("workflow.yaml", "quality: metrics", "quality: metrix");
    check!("script_no_kind", space.run("validate"));
}

/// A virtual environment of the system's own Python, without packages.
#[test]
fn a_virtual_environment_without_pyarrow_is_told_from_a_script_that_fails() {
    let space = script(Path::new("venv"), "def run(inputs, params, context): return {}\n");
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(space.path("venv")).output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no `python3` that makes virtual environments");
        return;
    }
    let output = space.run("run").to_string();
    assert!(output.contains("has no pyarrow"), "{output}");
    assert!(output.contains("[space]/venv/bin/python -m pip install pyarrow"), "{output}");
}

/// The project that `plugin new` writes keeps the rules, and its stage types are planned and cached like any other.
#[test]
fn a_plugin_in_python_is_one_like_any_other() {
    let Some(venv) = venv("pyarrow") else { return };
    let space = TestSpace::new();
    let python = venv.join("bin/python").display().to_string();
    assert_eq!(space.run("plugin new mine --lang python").code, Some(0));
    let checked = space.run_args(&["plugin", "check", &python, "mine/plugin.py"]);
    assert!(checked.code == Some(0) && checked.stdout.contains("0 failed"), "{checked}");
    space.write("people.csv", PEOPLE);
    let workflow = format!(
        "workflow: plugin\nplugins: [{{ command: [{python}, mine/plugin.py] }}]\nstages:\n  people: {{ uses: ingest.csv, \
         with: {{ path: people.csv }} }}\n  a: {{ uses: mine.count, inputs: {{ table: people }} }}\n"
    );
    space.write("workflow.yaml", &workflow);
    assert_eq!(space.summary("").executed(), ["a", "people"]);
    assert!(space.run("get a.metrics").stdout.contains("\"value\": 3.0"));
    assert_eq!(space.summary("").executed(), [""; 0]);
    // Its code is part of the key.
    space.replace("mine/plugin.py", "len(inputs[\"table\"])", "1 + len(inputs[\"table\"])");
    assert_eq!(space.summary("").executed(), ["a"]);
}
