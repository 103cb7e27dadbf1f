use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use stagewright_host::{Outcome, PYTHON_MODULE, Plugin, check_command, conformance};
use stagewright_runtime::find_files;

use crate::args::{PluginArgs, PluginCommand, PluginLanguage};
use crate::failure::{Failure, STAGE_FAILED};
use crate::plugins::launcher;

/// How long a call of `plugin check` may take.
const LIMIT: Duration = Duration::from_secs(30);
const HEADER: &str = include_str!("../../../contract/include/stagewright.h");
const C_SOURCE: &str = include_str!("plugin/plugin.c");
const C_MAKEFILE: &str = include_str!("plugin/Makefile");
const PYTHON_SOURCE: &str = include_str!("plugin/plugin.py");
const RUST_SOURCE: &str = include_str!("plugin/lib.rs.txt");
const RUST_MANIFEST: &str = include_str!("plugin/Cargo.toml.txt");
/// What the templates say where the name of the plugin stands.
const NAME: &str = "PLUGIN_NAME";
/// Where the templates say where the SDK is.
const SDK: &str = "SDK_PATH";

pub(crate) fn run(args: &PluginArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        PluginCommand::Check { code, path, args } => check(code, path, args),
        PluginCommand::New { name, lang } => new(name, *lang),
    }
}

fn check(code: &[String], path: &Path, args: &[String]) -> Result<ExitCode, Failure> {
    let refused = |refused: stagewright_host::Refused| {
        let failure = Failure::usage(refused.to_string());
        match refused.help {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    };
    let checked = if args.is_empty() && code.is_empty() {
        stagewright_host::check(path, None)
    } else {
        let words: Vec<String> =
            std::iter::once(path.to_string_lossy().into_owned()).chain(args.iter().cloned()).collect();
        // Absolute, for the plugin starts in a folder of its own.
        let here = std::env::current_dir()
            .map_err(|error| Failure::environment(format!("the current folder cannot be used: {error}")))?;
        let mut files = Vec::new();
        for pattern in code {
            files.extend(find_files(&here, pattern).map_err(|error| {
                let failure = Failure::usage(format!("--code: {}", error.message));
                match error.help {
                    Some(help) => failure.with_help(help),
                    None => failure,
                }
            })?);
        }
        check_command(&words, &here, &files)
    }
    .map_err(refused)?;
    let plugin =
        Plugin::start(checked.clone(), stagewright_host::Isolation::Process, &launcher(), None).map_err(refused)?;
    println!("{} {}", plugin.manifest().name, plugin.manifest().version);
    for limit in plugin.limits().map_err(refused)? {
        println!("  limit    {limit}");
    }
    drop(plugin);
    let mut stage = None;
    let checks = conformance(&checked, &launcher(), LIMIT, &mut |check| {
        if check.stage != stage {
            stage.clone_from(&check.stage);
            println!("{}", stage.as_deref().unwrap_or_default());
        }
        let (word, why) = match &check.outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Failed(why) => ("FAILED", why.as_str()),
            Outcome::Skipped(why) => ("skipped", why.as_str()),
        };
        println!("  {word:<8} {}", check.what);
        if !why.is_empty() {
            println!("           {}", why.replace('\n', "\n           "));
        }
    })
    .map_err(refused)?;
    let count = |wanted: fn(&Outcome) -> bool| checks.iter().filter(|check| wanted(&check.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("{} passed, {failed} failed, {skipped} skipped", checks.len() - failed - skipped);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(STAGE_FAILED) })
}

fn new(name: &str, language: PluginLanguage) -> Result<ExitCode, Failure> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !good {
        return Err(Failure::usage(format!("`{name}` is no name of a plugin"))
            .with_help("lower-case letters, digits and `_`, beginning with a letter"));
    }
    let folder = Path::new(name);
    if folder.exists() {
        return Err(Failure::usage(format!("`{name}` is there already")).with_help("choose another name"));
    }
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk");
    let files: &[(&str, &str)] = match language {
        PluginLanguage::C => &[("stagewright.h", HEADER), ("plugin.c", C_SOURCE), ("Makefile", C_MAKEFILE)],
        PluginLanguage::Python => &[("plugin.py", PYTHON_SOURCE), ("stagewright.py", PYTHON_MODULE)],
        PluginLanguage::Rust => &[("Cargo.toml", RUST_MANIFEST), ("src/lib.rs", RUST_SOURCE)],
    };
    for (file, text) in files {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text.replace(NAME, name).replace(SDK, sdk)))
            .map_err(|error| Failure::environment(format!("cannot write `{}`: {error}", path.display())))?;
    }
    let (build, library) = match language {
        PluginLanguage::C => ("make", format!("{name}.so")),
        PluginLanguage::Python => {
            ("python3 -m venv venv && venv/bin/pip install pyarrow", "venv/bin/python plugin.py".to_owned())
        }
        PluginLanguage::Rust => ("cargo build --release", format!("target/release/lib{name}.so")),
    };
    println!("wrote `{name}`; in it, `{build}`, and then `stagewright plugin check {library}`");
    Ok(ExitCode::SUCCESS)
}
