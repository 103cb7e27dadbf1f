//! Finding plugins: those that a workflow names, those of `STAGEWRIGHT_PLUGINS`, and those of the user's folder.

use std::path::{Path, PathBuf};

use stagewright_core::{Diagnostic, Diagnostics, PluginSpec, Registry, Sources};
use stagewright_host::{Checked, Isolation, Launcher, Plugin, Refused, check_command};
use stagewright_runtime::find_files;

use crate::failure::Failure;
use crate::registry::registry;

/// Files and folders of plugins, separated by colons as in `PATH`.
const VARIABLE: &str = "STAGEWRIGHT_PLUGINS";

/// The stage types of this program and of plugins, and the plugins.
pub(crate) struct Types {
    pub(crate) registry: Registry,
    pub(crate) plugins: Vec<Plugin>,
}

impl Types {
    /// Those that every workflow may use.
    pub(crate) fn everywhere() -> Result<Self, Failure> {
        let mut types = Self { registry: registry(), plugins: Vec::new() };
        for found in found() {
            let loaded = load(&found.path, None, Isolation::Process);
            let added = loaded
                .map_err(|refused| (refused.to_string(), refused.help))
                .and_then(|plugin| types.add(plugin).map_err(|message| (message, None)));
            match added {
                Ok(()) => {}
                // What somebody put into the folder must not keep all workflows from running.
                Err((message, _)) if !found.asked_for => eprintln!("warning: {message}"),
                Err((message, help)) => {
                    let failure = Failure::usage(message);
                    return Err(match help {
                        Some(help) => failure.with_help(help),
                        None => failure,
                    });
                }
            }
        }
        Ok(types)
    }

    /// Adds those that a workflow names.
    ///
    /// # Errors
    /// Each plugin that is refused, at the place where the workflow names it.
    pub(crate) fn add_named(&mut self, named: &[PluginSpec], sources: &Sources) -> Result<(), Diagnostics> {
        let mut mistakes = Diagnostics::default();
        for spec in named {
            let base = sources.get(spec.span.source).map(|source| source.base.clone()).unwrap_or_default();
            let isolation = if spec.in_process { Isolation::InProcess } else { Isolation::Process };
            let loaded = if spec.command.is_empty() {
                let path = base.join(&spec.path);
                if self.plugins.iter().any(|known| known.path() == path) {
                    continue;
                }
                load(&path, spec.sha256.as_deref(), isolation)
            } else {
                let mut code = Vec::new();
                for pattern in &spec.code {
                    match find_files(&base, pattern) {
                        Ok(files) => code.extend(files),
                        Err(error) => mistakes.push(Diagnostic::new(spec.span, error.message, "`code` of this plugin")),
                    }
                }
                check_command(&spec.command, &base, &code).and_then(|checked| start(checked, isolation))
            };
            match loaded {
                Ok(plugin) => {
                    if let Err(message) = self.add(plugin) {
                        mistakes.push(Diagnostic::new(spec.span, message, "expected another name in its manifest"));
                    }
                }
                Err(refused) => {
                    let message = format!("the plugin is refused: {}", refused.message);
                    let mistake = Diagnostic::new(spec.span, message, "this plugin");
                    mistakes.push(match refused.help {
                        Some(help) => mistake.with_help(help),
                        None => mistake,
                    });
                }
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// The plugin that a stage type comes from.
    pub(crate) fn plugin_of(&self, stage_type: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|plugin| plugin.manifest().stages.iter().any(|stage| stage.name == stage_type))
    }

    fn add(&mut self, plugin: Plugin) -> Result<(), String> {
        self.registry.add(plugin.stage_types()).map_err(|name| {
            format!("the plugin `{}` has a stage type `{name}`, which there is already", plugin.path().display())
        })?;
        self.plugins.push(plugin);
        Ok(())
    }
}

struct Found {
    path: PathBuf,
    asked_for: bool,
}

/// The plugins outside the workflow, in the order in which they are looked for.
fn found() -> Vec<Found> {
    let mut found = Vec::new();
    for path in std::env::var_os(VARIABLE).iter().flat_map(std::env::split_paths) {
        if path.is_dir() {
            found.extend(libraries(&path).into_iter().map(|path| Found { path, asked_for: true }));
        } else if !path.as_os_str().is_empty() {
            found.push(Found { path, asked_for: true });
        }
    }
    if let Some(folder) = user_folder("XDG_DATA_HOME", ".local/share") {
        found.extend(libraries(&folder).into_iter().map(|path| Found { path, asked_for: false }));
    }
    found
}

/// The paths of the plugins outside the workflow.
pub(crate) fn paths() -> Vec<PathBuf> {
    found().into_iter().map(|found| found.path).collect()
}

/// Loads a plugin as this program does it.
pub(crate) fn load(path: &Path, pin: Option<&str>, isolation: Isolation) -> Result<Plugin, Refused> {
    let cache = user_folder("XDG_CACHE_HOME", ".cache");
    Plugin::load(path, pin, isolation, &launcher(), cache.as_deref())
}

/// Takes a plugin that was checked into use as this program does it.
pub(crate) fn start(checked: Checked, isolation: Isolation) -> Result<Plugin, Refused> {
    let cache = user_folder("XDG_CACHE_HOME", ".cache");
    Plugin::start(checked, isolation, &launcher(), cache.as_deref())
}

/// This program as its own worker.
pub(crate) fn launcher() -> Launcher {
    Launcher::this_program()
}

/// The plugins folder among the user's own folders of some kind.
fn user_folder(variable: &str, default: &str) -> Option<PathBuf> {
    let base = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(default));
    Some(base.or_else(home)?.join("stagewright/plugins"))
}

fn libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "so")).collect();
    found.sort();
    found
}
