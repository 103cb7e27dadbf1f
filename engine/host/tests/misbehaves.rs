//! Plugins that misbehave: each costs its own stage, with a message that says what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{compile, launcher, of, stage};
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_contract::{ErrorKind, Monitor, StageContext, StageError};
use stagewright_host::{Isolation, Plugin};

fn how(how: &str, isolation: Isolation) -> StageError {
    Trial::of(&stage("kit.bad", isolation), json!({ "how": how })).run().unwrap_err()
}

fn told(error: &StageError) -> String {
    let mut text = format!("{:?}: {error}", error.kind);
    if let Some(help) = &error.help {
        write!(text, "\n  help: {help}").unwrap();
    }
    text
}

#[test]
fn ends_of_the_process() {
    for (way, kind, message) in [
        ("segfault", ErrorKind::Bug, "the plugin crashed (SIGSEGV: it used memory that is not its own)"),
        ("abort", ErrorKind::Bug, "the plugin crashed (SIGABRT: it gave up)"),
        ("divide", ErrorKind::Bug, "the plugin crashed (SIGFPE: it divided by zero)"),
        ("exit", ErrorKind::Bug, "the plugin ended its process with exit code 3 instead of returning"),
        ("stack", ErrorKind::Bug, "the plugin overflowed its stack (SIGABRT: it gave up)"),
        ("kill", ErrorKind::Bug, "the plugin was killed (SIGKILL)"),
    ] {
        let error = how(way, Isolation::Process);
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{way}: {}", told(&error));
        assert!(error.help.is_some(), "{way}");
    }
    // Its worker cannot even say why it ends.
    assert_eq!(how("closes", Isolation::Process).kind, ErrorKind::Bug);
    let error = how("segfault", Isolation::Process);
    assert_eq!(
        error.help.as_deref(),
        Some(
            "this is a bug in the plugin, and costs this stage only; it last printed:\nabout to write where nothing is"
        )
    );
}

/// What a plugin in C++ throws costs its own stage, and is an error like any other where it is caught.
#[test]
fn exceptions_do_not_cross() {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "g++".into());
    if let Err(error) = std::process::Command::new(&compiler).arg("--version").output() {
        println!("skipped: there is no C++ compiler `{}` ({error})", compiler.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = common::build(&compiler, &["-std=c++11"], "tests/plugins/throws.cpp", folder.path(), "throws", &[]);
    let plugin = Plugin::load(&library, None, Isolation::Process, &launcher(), None).unwrap();
    let run = |caught: bool| Trial::of(&of(&plugin, "throws.stage"), json!({ "caught": caught })).run().unwrap_err();
    assert_eq!(told(&run(true)), "Data: the row is from the future\n  help: look at where it comes from");
    let thrown = run(false);
    assert_eq!((thrown.kind, thrown.message.as_str()), (ErrorKind::Bug, "an exception left the plugin (SIGABRT)"));
    let help = thrown.help.unwrap();
    assert!(help.starts_with("exceptions must be caught before they reach the boundary"), "{help}");
    // The next stage has a worker again.
    assert_eq!(run(true).kind, ErrorKind::Data);
}

/// What can be seen without a worker: the same message in both places.
#[test]
fn outputs_that_cannot_be_used() {
    let table = "output `table` is not a table that can be used: ";
    for (way, message) in [
        ("nothing", "the plugin said that it succeeded, without its table output `table`".to_owned()),
        ("silent", "the plugin's `run` gave 7 without saying why".to_owned()),
        ("twice", "output `table` was put twice".to_owned()),
        ("unknown_port", "the plugin put an output `tabel`, which it does not declare".to_owned()),
        ("null_port", "the plugin gave a null pointer for a name".to_owned()),
        ("as_json", "output `table` is of kind table, and the plugin put another".to_owned()),
        ("negative", format!("{table}the length of a batch is -4")),
        ("longer", format!("{table}column `id` has 3 rows where the batch has 1000")),
        ("not_text", format!("{table}column `name`: a text is not UTF-8")),
        ("no_values", format!("{table}column `id` has no values")),
        ("same_name", format!("{table}two columns are named `id`")),
        ("no_name", format!("{table}column 1 has no name in UTF-8")),
        ("buffers", format!("{table}column `id` has 7 buffers")),
        ("stream", format!("{table}the stream failed: the stream of the test failed")),
        ("released", format!("{table}the stream was released before")),
        ("no_get_next", format!("{table}the stream lacks one of its functions")),
    ] {
        for isolation in [Isolation::InProcess, Isolation::Process] {
            let error = how(way, isolation);
            assert_eq!((error.kind, &error.message), (ErrorKind::Bug, &message), "{way} {isolation:?}");
        }
    }
    for way in ["list", "format"] {
        assert!(how(way, Isolation::InProcess).message.starts_with(table), "{way}");
    }
}

#[test]
fn an_error_of_the_plugin_is_the_stages_error() {
    let error = how("refuse", Isolation::Process);
    assert_eq!(told(&error), "Data: how: `how` is not a way to go\n  help: choose another");
}

fn run(way: &str, memory: Option<u64>, stop: impl FnOnce(&Monitor)) -> (StageError, Duration) {
    let configured = stage("kit.bad", Isolation::Process).configure(&json!({ "how": way })).unwrap();
    let monitor = Arc::new(Monitor::default());
    let mut context = StageContext::new(BTreeMap::new(), BTreeMap::new(), 42, Arc::clone(&monitor)).with_memory(memory);
    let thread = std::thread::spawn(move || configured.run(&mut context).unwrap_err());
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    stop(&monitor);
    (thread.join().unwrap(), began.elapsed())
}

#[test]
fn an_endless_loop_is_ended_when_its_time_is_up() {
    let (error, took) = run("loop", None, Monitor::abandon);
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let (error, took) = run("loop", None, Monitor::cancel);
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn memory_is_limited_to_what_is_declared() {
    let (error, _) = run("memory", Some(200 << 20), |_| {});
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.message.ends_with("and may use 200 MiB"), "{error}");
}

#[test]
fn noise_does_not_break_the_protocol() {
    let done = Trial::of(&stage("kit.bad", Isolation::Process), json!({ "how": "noise" })).run().unwrap();
    assert_eq!(done.table("table").rows(), 3);
}

#[test]
fn a_thread_left_behind_costs_no_other_stage() {
    let plugin = Plugin::load(common::kit(), None, Isolation::Process, &launcher(), None).unwrap();
    Trial::of(&of(&plugin, "kit.bad"), json!({ "how": "thread" })).run().unwrap();
    // The worker breaks while it waits or while it runs one of these.
    for _ in 0..40 {
        Trial::of(&of(&plugin, "kit.make"), json!({})).run().unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_a_plugin_starts_ends_with_its_worker() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path(), "own", &[]);
    let plugin = Plugin::load(&library, None, Isolation::Process, &launcher(), None).unwrap();
    Trial::of(&of(&plugin, "kit.bad"), json!({ "how": "child" })).run().unwrap();
    let left = || {
        let uses = |entry: &std::fs::DirEntry| {
            let maps = std::fs::read_to_string(entry.path().join("maps")).unwrap_or_default();
            maps.contains(&*library.to_string_lossy())
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter(uses).count()
    };
    assert_eq!(left(), 2);
    // It holds the worker's connection, which therefore does not close when the worker ends.
    let error = Trial::of(&of(&plugin, "kit.bad"), json!({ "how": "kill" })).run().unwrap_err();
    assert_eq!(error.message, "the plugin was killed (SIGKILL)");
    drop(plugin);
    // The child is nobody's to wait for: the system takes it away a moment after it was ended.
    let patience = Instant::now() + Duration::from_secs(5);
    while left() > 0 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(left(), 0);
}
