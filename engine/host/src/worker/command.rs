//! Running a command for a stage, so that nothing of it is left when the stage is over, or this program is.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stagewright_contract::{StageContext, StageError};

use super::client::{Launcher, signal_name};
use super::pool::{most_of_the_machine, too_much};
use super::process::{Death, Process};
use super::protocol::{FromWorker, ToWorker};
use crate::failure::Failure;

/// How many of the last lines that a command printed are told.
const LINES: usize = 12;
/// How often its memory is looked at.
const MEMORY: Duration = Duration::from_millis(100);

/// A program, what it is given, and where it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub folder: PathBuf,
}

/// How a command ended that was not stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with an exit code.
    Code(i32),
    /// By a signal, of this number and name.
    Signal(i32, String),
    /// It could not be started; the system's error number and words.
    NotStarted(Option<i32>, String),
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How it ended.
    pub ended: Ended,
    /// The last lines that it printed, to standard output or standard error.
    pub printed: Vec<String>,
}

impl Command {
    /// Runs the command to its end in a process group of its own, with no standard input. The group is ended when the
    /// run is cancelled, when it uses more memory than the stage may, and with this program, however that ends.
    ///
    /// # Errors
    /// Why it was stopped, or why no process could be started for it.
    pub fn execute(&self, launcher: &Launcher, context: &StageContext) -> Result<Execution, StageError> {
        let none = |why: String| StageError::environment(format!("no process can be started: {why}"));
        let mut process = Process::start(launcher, &self.folder).map_err(none)?;
        let limit = context.memory().unwrap_or_else(most_of_the_machine);
        let mut looked = Instant::now();
        let said = process.say(&ToWorker::Execute(Box::new(self.clone())), &[]).map_err(|_| process.end());
        let answer = said.and_then(|()| {
            process.answer(&mut |_| {}, &mut |process| {
                if context.monitor().is_cancelled() {
                    return Some(Failure::from(&StageError::cancelled()));
                }
                if looked.elapsed() < MEMORY {
                    return None;
                }
                looked = Instant::now();
                let used = process.group_memory();
                (used > limit).then(|| too_much("the command", used, limit, context.memory().is_some()))
            })
        });
        let ended = match answer {
            Ok(FromWorker::NotStarted { code, message }) => Ended::NotStarted(code, message),
            Ok(_) => return Err(StageError::bug("the process that runs the command said something else")),
            Err(Death::Ended(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Code(code),
                (None, signal) => {
                    let signal = signal.unwrap_or_default();
                    Ended::Signal(signal, signal_name(signal))
                }
            },
            Err(Death::Stopped(mut failure)) => {
                let lines = process.last_lines(LINES);
                if !lines.is_empty() {
                    let printed = format!("it last printed:\n{}", lines.join("\n"));
                    failure.help = Some(failure.help.map_or(printed.clone(), |help| format!("{help}; {printed}")));
                }
                return Err(failure.into());
            }
        };
        Ok(Execution { ended, printed: process.last_lines(LINES) })
    }
}

/// The program that a word names: a path, or a name that is looked for in the folders of `PATH`.
pub fn find_program(name: &str, base: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    if name.contains('/') {
        let path = base.join(name);
        return path.is_file().then_some(path);
    }
    let executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(executable)
}
