//! Standard output and standard error that somebody else has closed, or that are full.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};

use crate::space::TestSpace;

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run(space: &TestSpace, args: &str, stdout: Stdio, stderr: Stdio) -> Output {
    let args: Vec<&str> = args.split_whitespace().collect();
    space.command(&args).stdout(stdout).stderr(stderr).spawn().unwrap().wait_with_output().unwrap()
}

const COMMANDS: &[&str] = &[
    "run",
    "run --json",
    "schema",
    "stages",
    "stages clean.filter",
    "stages --json",
    "plan",
    "plan --json",
    "graph",
    "validate",
    "explain clusters",
    "get people",
    "get clusters.metrics",
    "runs",
    "runs --json",
    "compare",
    "store usage",
    "store verify",
    "store gc",
    "completions bash",
];

/// As `cat` and `head` do: by SIGPIPE, and without a word.
#[test]
fn a_command_whose_output_nobody_reads_ends_quietly() {
    const SIGPIPE: i32 = 13;
    let space = TestSpace::shop();
    assert_eq!(space.run("run").code, Some(0));
    for command in COMMANDS {
        let output = run(&space, command, closed(), Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGPIPE), "{command}: {} {said}", output.status);
        assert!(!said.contains("panicked") && !said.contains("error"), "{command}: {said}");
    }
    // The run had done its work before it printed.
    assert_eq!(space.summary("").executed(), [""; 0]);
    space.assert_sound();
}

/// What is said about the work is no part of it.
#[test]
fn a_command_whose_errors_nobody_reads_ends_as_it_would() {
    let space = TestSpace::shop();
    assert_eq!(run(&space, "-vv run", Stdio::piped(), closed()).status.code(), Some(0));
    assert_eq!(run(&space, "run --variant nothing", Stdio::piped(), closed()).status.code(), Some(2));
    space.replace("workflow.yaml", "uses: clean.filter", "uses: clean.fliter");
    assert_eq!(run(&space, "validate", Stdio::piped(), closed()).status.code(), Some(2));
}

#[test]
fn a_full_disk_is_an_error_of_the_machine() {
    let space = TestSpace::shop();
    for command in ["schema", "completions bash", "stages"] {
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
            eprintln!("skipped: there is no /dev/full");
            return;
        };
        let output = run(&space, command, full.into(), Stdio::piped());
        assert_eq!(output.status.code(), Some(3), "{command}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("error: standard output cannot be written: No space left on device"), "{said}");
    }
}
