//! What is refused, and that no code of it has run by then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{compile, kit, launcher};
use sha2::{Digest, Sha256};
use stagewright_host::{Isolation, Plugin};

fn refused(path: &Path, pin: Option<&str>) -> String {
    let in_worker = Plugin::load(path, pin, Isolation::Process, &launcher(), None).err().unwrap();
    let here = Plugin::load(path, pin, Isolation::InProcess, &launcher(), None).err().unwrap();
    assert_eq!(in_worker.message, here.message);
    here.to_string().replace(&*path.to_string_lossy(), "[path]")
}

/// A library whose constructor leaves a file behind.
fn traced(folder: &Path, options: &[&str]) -> (std::path::PathBuf, std::path::PathBuf) {
    let trace = folder.join("trace");
    let define = format!("-DCONSTRUCTOR=\"{}\"", trace.display());
    (compile(folder, "traced", &[&[define.as_str()], options].concat()), trace)
}

#[test]
fn the_trace_is_left_by_a_plugin_that_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (library, trace) = traced(folder.path(), &[]);
    Plugin::load(&library, None, Isolation::InProcess, &launcher(), None).unwrap();
    assert!(trace.exists());
}

#[test]
fn a_wrong_pin_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (library, trace) = traced(folder.path(), &[]);
    let found: String = Sha256::digest(fs::read(&library).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    let pin = "0".repeat(64);
    assert_eq!(
        refused(&library, Some(&pin)),
        format!("the plugin `[path]` is refused: its SHA-256 is {found}, and {pin} is pinned")
    );
    assert!(!trace.exists());
    Plugin::load(&library, Some(&found), Isolation::InProcess, &launcher(), None).unwrap();
}

#[test]
fn another_major_version_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (library, trace) = traced(folder.path(), &["-DENTRY=stagewright_plugin_v2"]);
    assert_eq!(
        refused(&library, None),
        "the plugin `[path]` is refused: it offers version 2 of the binary interface, and this program wants 1"
    );
    assert!(!trace.exists());
}

#[test]
fn no_plugin_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (library, trace) = traced(folder.path(), &["-DENTRY=other"]);
    assert_eq!(
        refused(&library, None),
        "the plugin `[path]` is refused: it exports no `stagewright_plugin_v1`: it is not a plugin"
    );
    assert!(!trace.exists());
}

#[test]
fn another_machine_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (library, trace) = traced(folder.path(), &[]);
    let mut bytes = fs::read(&library).unwrap();
    // The machine stands at byte 18 of an ELF header: 183 is aarch64, 62 is x86_64.
    let other: u16 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    bytes[18..20].copy_from_slice(&other.to_le_bytes());
    fs::write(&library, bytes).unwrap();
    let message = refused(&library, None);
    let (found, wanted) = if other == 183 { ("aarch64", "x86_64") } else { ("x86_64", "aarch64") };
    assert_eq!(
        message,
        format!("the plugin `[path]` is refused: it is for {found} (64 bits), and this program for {wanted} (64 bits)")
    );
    assert!(!trace.exists());
}

#[test]
fn what_is_no_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.so");
    assert!(refused(&path, None).contains("it cannot be read"));
    fs::write(&path, "no library").unwrap();
    assert!(refused(&path, None).contains("it is no ELF file"));
    let bytes = fs::read(kit()).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(&path, None);
    assert!(refused(Path::new(env!("CARGO_BIN_EXE_stagewright-worker")), None).contains("it exports no"));
}

#[test]
fn a_plugin_that_needs_a_newer_host_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path(), "newer", &["-DNEEDS=7"]);
    assert!(
        refused(&library, None).ends_with("it needs version 1.7 of the binary interface, and this program has 1.0")
    );
}

#[test]
fn a_plugin_that_crashes_while_it_is_loaded_costs_nothing_but_itself() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path(), "late", &["-DLATE_CRASH"]);
    let refused = Plugin::load(&library, None, Isolation::Process, &launcher(), None).err().unwrap();
    assert_eq!(
        refused.message,
        "while it was loaded, the plugin crashed (SIGSEGV: it used memory that is not its own)"
    );
}
