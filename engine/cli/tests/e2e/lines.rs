//! The line protocol through the binary: what a program that speaks it can do wrong, and what that costs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::space::{Output, Summary, TestSpace, signal};

/// A plugin in a shell: one stage type for each way to answer, which all put out one metric.
const PLUGIN: &str = r#"#!/bin/sh
good() {
    file=$(printf '%s' "$line" | sed -n 's/.*"path":"\([^"]*\)".*/\1/p')
    printf '{"unit":null,"units":null,"units_digest":null,"values":{"one":{"value":1.0,"goal":"describe"}}}' > "$file"
    echo '{"type":"done"}'
}
stage() {
    printf '{"name":"lines.%s","summary":"S.","ports":[{"name":"metrics","direction":"output","kind":"metrics"}]' "$1"
    printf ',"params":{"type":"object","properties":{"token":{},"file":{}}},%s},' "$2"
}
param() { printf '%s' "$line" | sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'; }
while read -r line; do
    case "$line" in
    *'"type":"hello"'*)
        stages=$(for name in good dies closes garbage unknown wrong noise nothing error spy; do stage "$name" '"example":""'; done
            for name in secret tells; do stage "$name" '"secrets":[{"param":"token","in_key":true}]'; done)
        printf '{"type":"hello","version":VERSION,"manifest":{"name":"lines","version":"1.0.0","stages":[%s]}}\n' "${stages%,}"
        ;;
    *lines.good*) good ;;
    *lines.dies*) echo 'about to die'; exit 3 ;;
    *lines.closes*) exec >&-; sleep 60 ;;
    *lines.garbage*) echo '{"type":"done"' ;;
    *lines.unknown*) echo '{"type":"finished"}' ;;
    *lines.wrong*) echo '{"type":"planned","answer":null}' ;;
    *lines.noise*) printf 'a line\n\n\377\376 is no text\n[1, 2]\n'; good ;;
    *lines.nothing*) echo '{"type":"done"}' ;;
    *lines.error*) echo '{"type":"error","kind":"data","message":"two rows are alike","location":"row 7","help":"drop one"}' ;;
    *lines.spy*) cat "$(param file)" >&2 || exit 9; good ;;
    *lines.secret*) [ "$(param TOKEN)" = hunter2 ] && good ;;
    *lines.tells*)
        token=$(param TOKEN)
        echo "printed $token"
        echo "{\"type\":\"log\",\"level\":\"warning\",\"message\":\"warned of $token\"}"
        echo "{\"type\":\"log\",\"level\":\"debug\",\"message\":\"debugged $token\"}"
        echo "{\"type\":\"error\",\"kind\":\"environment\",\"message\":\"$token is refused\",\"location\":\"at $token\",\"help\":\"not $token\"}"
        ;;
    esac
done
"#;

/// A space with the plugin, and these stages.
fn space(stages: &str) -> TestSpace {
    use std::os::unix::fs::PermissionsExt;

    let space = TestSpace::with(&format!("workflow: lines\nplugins: [plugin.sh]\nstages:\n{stages}"));
    space.write("plugin.sh", PLUGIN.replace("VERSION", "1"));
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(space.path("plugin.sh"), executable).unwrap();
    std::fs::create_dir(space.path("tmp")).unwrap();
    space
}

/// The binary, with a folder of its own for what is temporary.
fn command(space: &TestSpace, args: &str) -> Command {
    let mut command = space.command(&args.split_whitespace().collect::<Vec<_>>());
    command.env("TMPDIR", space.path("tmp"));
    command
}

fn run(space: &TestSpace, args: &str) -> Output {
    Output::of(&mut command(space, args), space.folder())
}

fn temporary(space: &TestSpace) -> Vec<PathBuf> {
    std::fs::read_dir(space.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Each costs itself alone, though all share the processes of one plugin.
#[test]
fn a_program_that_answers_wrongly_costs_its_own_stage() {
    let space = space(
        "  dies: { uses: lines.dies }
  garbage: { uses: lines.garbage }
  unknown: { uses: lines.unknown }
  wrong: { uses: lines.wrong }
  noise: { uses: lines.noise }
  nothing: { uses: lines.nothing }
  error: { uses: lines.error }
  closes: { uses: lines.closes }
  good: { uses: lines.good }
",
    );
    let output = run(&space, "run --json --jobs 1");
    assert_eq!(output.code, Some(1), "{output}");
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(Summary::of(&json).executed(), ["good", "noise"]);
    let stages = json["stages"].as_array().unwrap().iter().filter(|stage| stage["status"] == "failed");
    let text: String = stages
        .map(|stage| format!("{}: {}\n", stage["stage"].as_str().unwrap(), stage["error"].as_str().unwrap()))
        .collect();
    check!("lines_misbehaving", text);
    assert_eq!(temporary(&space), Vec::<PathBuf>::new());
    space.assert_sound();
}

#[test]
fn a_program_of_another_version_is_refused() {
    let space = space("  good: { uses: lines.good }\n");
    space.write("plugin.sh", PLUGIN.replace("VERSION", "2"));
    let output = run(&space, "run");
    check!("lines_version", output);
    assert_eq!(temporary(&space), Vec::<PathBuf>::new());
}

#[test]
fn a_program_reads_nothing_but_what_is_its_own() {
    let space = space("  spy: { uses: lines.spy, with: { file: PATH } }\n");
    let spy = |path: &Path| {
        let text = space.read("workflow.yaml");
        space.write("workflow.yaml", text.replace("PATH", &path.display().to_string()));
        let output = run(&space, "run");
        space.write("workflow.yaml", text);
        output
    };
    // Beside its script it may, which shows that what follows fails for want of the right and not otherwise.
    space.write("beside.txt", "what is beside");
    let output = spy(&space.path("beside.txt"));
    assert_eq!(output.code, Some(0), "{output}");
    let other = TestSpace::new();
    other.write("private.txt", "what is private");
    let limits = run(&space, "plugin check plugin.sh").stdout;
    if limits.contains("not limited") {
        eprintln!("skipped: this kernel does not limit which files a process reads: {limits}");
        return;
    }
    let output = spy(&other.path("private.txt"));
    assert_eq!(output.code, Some(1), "{output}");
    let text = output.to_string();
    assert!(text.contains("Permission denied") && !text.contains("what is private"), "{output}");
    // Nor what another process has in its environment, such as the secrets of the program that started it.
    let mut owner = Command::new("sleep").arg("60").env("TOKEN", "hunter2").spawn().unwrap();
    let output = spy(Path::new(&format!("/proc/{}/environ", owner.id())));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let text = output.to_string();
    assert!(text.contains("Permission denied") && !text.contains("hunter2"), "{output}");
}

/// All files of the store and what was said, in bytes.
fn everything(space: &TestSpace, output: &Output) -> Vec<u8> {
    let mut all = output.to_string().into_bytes();
    let mut folders = vec![space.path(".stagewright"), space.path("tmp")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.extend(std::fs::read(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn a_secret_reaches_the_program_and_nothing_else() {
    for (stage, code) in [("secret", 0), ("tells", 1)] {
        let space = space(&format!("  it: {{ uses: lines.{stage}, with: {{ token: '${{secret:TOKEN}}' }} }}\n"));
        let mut command = command(&space, "-vv run --report report.html");
        let output = Output::of(command.env("TOKEN", "hunter2"), space.folder());
        assert_eq!(output.code, Some(code), "{output}");
        let mut all = everything(&space, &output);
        all.extend(std::fs::read(space.path("report.html")).unwrap_or_default());
        let run = space.json("runs --json")[0]["id"].as_str().unwrap().to_owned();
        for asked in ["explain it", &format!("runs show {run}"), "-vv plan"] {
            let mut command = space.command(&asked.split_whitespace().collect::<Vec<_>>());
            let output = Output::of(command.env("TOKEN", "hunter2"), space.folder());
            assert!(output.stdout.contains("it"), "{output}");
            all.extend(output.to_string().into_bytes());
        }
        let place = all.windows(7).position(|bytes| bytes == b"hunter2");
        let around =
            place.map(|place| String::from_utf8_lossy(&all[place.saturating_sub(200)..place + 50]).into_owned());
        assert_eq!(around, None);
        // What was told is there, without it.
        assert!(code == 0 || output.stderr.contains(" is refused"), "{output}");
    }
}

/// A command that waits in a folder of its own.
fn waiting(space: &TestSpace) -> std::process::Child {
    space.write(
        "wait.yaml",
        format!(
            "workflow: wait\nstages:\n  it:\n    uses: exec.command\n    with:\n      command: [sh, -c, 'touch {}; sleep \
             300']\n      outputs: {{ t: table }}\n",
            space.path("began").display()
        ),
    );
    let child = command(space, "run wait.yaml --store waits").spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while !space.path("began").exists() {
        assert!(Instant::now() < patience, "the command did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// Whoever makes a scratch folder removes those whose processes are gone, and those alone.
#[test]
fn what_a_killed_run_leaves_is_removed_by_the_next() {
    let space = space("  good: { uses: lines.good }\n");
    let mut killed = waiting(&space);
    signal("KILL", &killed);
    killed.wait().unwrap();
    let left = temporary(&space);
    assert_eq!(left.len(), 1, "{left:?}");
    // What is not ours stays, whatever its name.
    space.write("tmp/stagewright-notes/a.txt", "a");
    space.write("tmp/stagewright-scratch-file", "a");
    std::fs::remove_file(space.path("began")).unwrap();
    let mut alive = waiting(&space);
    let folders: Vec<PathBuf> = temporary(&space).into_iter().filter(|path| !left.contains(path)).collect();
    assert!(!left[0].exists() && folders.len() == 3, "{left:?} {folders:?}");
    let output = run(&space, "run");
    assert_eq!(output.code, Some(0), "{output}");
    assert!(folders.iter().all(|folder| folder.exists()), "{folders:?}");
    signal("INT", &alive);
    alive.wait().unwrap();
    let mut names: Vec<_> = temporary(&space).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["stagewright-notes", "stagewright-scratch-file"]);
}
