//! Building the tests' plugin with the C compiler that the program itself needs.

#![allow(dead_code, reason = "each test file uses its own")]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use stagewright_contract::StageType;
use stagewright_host::{Isolation, Launcher, Plugin};

/// Compiles `tests/plugins/kit.c` with these options into a folder.
pub(crate) fn compile(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    compile_file("tests/plugins/kit.c", folder, name, options)
}

/// Compiles a plugin in C, whose path starts from this crate, into a folder.
pub(crate) fn compile_file(source: &str, folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    build(&compiler, &["-std=c99"], source, folder, name, options)
}

/// Compiles a plugin of some dialect, whose path starts from this crate, into a folder.
pub(crate) fn build(
    compiler: &OsStr,
    dialect: &[&str],
    source: &str,
    folder: &Path,
    name: &str,
    options: &[&str],
) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = folder.join(format!("{name}.so"));
    let output = Command::new(compiler)
        .args(dialect)
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-unused-result", "-Wno-infinite-recursion", "-O1", "-g"])
        .args(["-fPIC", "-shared", "-fvisibility=hidden"])
        .args(options)
        .arg("-I")
        .arg(here.join("../contract/include"))
        .arg("-o")
        .arg(&library)
        .arg(here.join(source))
        .args(["-lpthread", "-lm"])
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// The tests' plugin, compiled once.
pub(crate) fn kit() -> &'static Path {
    static KIT: OnceLock<PathBuf> = OnceLock::new();
    KIT.get_or_init(|| compile(Path::new(env!("CARGO_TARGET_TMPDIR")), &format!("kit-{}", std::process::id()), &[]))
}

/// The worker of this crate.
pub(crate) fn launcher() -> Launcher {
    Launcher { program: env!("CARGO_BIN_EXE_stagewright-worker").into(), args: Vec::new() }
}

/// A stage type of the tests' plugin.
pub(crate) fn stage(name: &str, isolation: Isolation) -> StageType {
    let plugin = Plugin::load(kit(), None, isolation, &launcher(), None).unwrap();
    of(&plugin, name)
}

/// A stage type of a plugin.
pub(crate) fn of(plugin: &Plugin, name: &str) -> StageType {
    plugin.stage_types().into_iter().find(|stage_type| stage_type.name() == name).unwrap()
}
