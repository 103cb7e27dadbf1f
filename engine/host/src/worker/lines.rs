//! In the worker: a plugin that is an executable, and the line protocol that it speaks.
//!
//! One JSON object a line, requests to its standard input and answers from its standard output; docs/executables.md says
//! which. Inputs and outputs are files in the scratch folder: an interpreter that was started before cannot be given an
//! open file, and a path in the store would be no use where files are limited.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use stagewright_contract::Kind;

use super::protocol::RunStage;
use super::transfer;
use crate::abi::{error_kind, log_level};
use crate::call::Watch;
use crate::check::Refused;
use crate::executable::Executable;
use crate::failure::Failure;
use crate::manifest::{Answer, Manifest, Question};
use crate::sys;

/// The version of the line protocol.
const VERSION: u32 = 1;
/// The longest line.
const MAX_LINE: u64 = 64 << 20;
/// How long a program may go on without its standard output.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a program says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Hello { version: u32, manifest: Value },
    Planned { answer: Option<Answer> },
    Done {},
    Error(Error),
    Log { level: Level, message: String },
    Progress { done: u64, total: u64 },
}

#[derive(Deserialize)]
struct Error {
    kind: Kindness,
    message: String,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    help: Option<String>,
}

/// Whose an error is.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kindness {
    Data,
    Environment,
    Cancelled,
    Bug,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Debug,
    Info,
    Warning,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            Kindness::Data => error_kind::DATA,
            Kindness::Environment => error_kind::ENVIRONMENT,
            Kindness::Cancelled => error_kind::CANCELLED,
            Kindness::Bug => error_kind::BUG,
        };
        Self { kind, message: error.message, location: error.location, help: error.help }
    }
}

/// The way to ask a program something, also while it is at work.
#[derive(Clone)]
pub(super) struct Requests(Arc<Mutex<ChildStdin>>);

impl Requests {
    fn ask(&self, request: &Value) {
        let mut line = request.to_string();
        line.push('\n');
        let mut input = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A program that is gone closes its output too, which is noticed there.
        let _ = input.write_all(line.as_bytes()).and_then(|()| input.flush());
    }

    /// Asks for the end of a run.
    pub(super) fn cancel(&self, run: u64) {
        self.ask(&json!({ "type": "cancel", "run": run }));
    }
}

/// A program that is running.
pub(super) struct Lines {
    child: Child,
    requests: Requests,
    answers: BufReader<ChildStdout>,
    manifest: Manifest,
}

impl Lines {
    /// Starts a program and asks for its manifest.
    pub(super) fn start(executable: &Executable, path: &Path, scratch: &Path) -> Result<Self, Refused> {
        let refused = |message: String| Refused::new(path, message);
        let mut child = Command::new(&executable.program)
            .args(&executable.args)
            .env_clear()
            .env("HOME", scratch)
            .env("TMPDIR", scratch)
            .envs(&executable.environment)
            .current_dir(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                refused(format!("`{}` cannot be started: {error}", executable.program.display())).with_help(
                    "it must be executable, and a script begin with the program that runs it, such as `#!/bin/sh`",
                )
            })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(refused("it was started without pipes".to_owned()));
        };
        let requests = Requests(Arc::new(Mutex::new(input)));
        let answers = BufReader::new(output);
        let manifest = Manifest { name: String::new(), version: String::new(), stages: Vec::new() };
        let mut lines = Self { child, requests, answers, manifest };
        lines.requests.ask(&json!({ "type": "hello", "versions": [VERSION] }));
        match lines.answer(&Unheard) {
            Ok(Said::Hello { version: VERSION, manifest }) => {
                lines.manifest = Manifest::parse(&manifest.to_string()).map_err(refused)?;
                Ok(lines)
            }
            Ok(Said::Hello { version, .. }) => Err(refused(format!(
                "it speaks version {version} of the line protocol, and this program speaks version {VERSION}"
            ))),
            Ok(_) => Err(refused("it answers `hello` with something else".to_owned())),
            Err(failure) => {
                let refused = refused(failure.message);
                Err(match failure.help {
                    Some(help) => refused.with_help(help),
                    None => refused,
                })
            }
        }
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Asks a stage about itself.
    pub(super) fn plan(
        &mut self,
        stage: &str,
        params: &Value,
        question: &Question,
        watch: &dyn Watch,
    ) -> Result<Option<Answer>, Failure> {
        self.requests.ask(&json!({ "type": "plan", "stage": stage, "params": params, "question": question }));
        match self.answer(watch)? {
            Said::Planned { answer } => Ok(answer),
            _ => Err(Failure::bug("the plugin answers `plan` with something else")),
        }
    }

    /// Runs a stage. The files of inputs and outputs are in the order of the request.
    pub(super) fn run(
        &mut self,
        run: &RunStage,
        files: Vec<OwnedFd>,
        watch: &dyn Watch,
        scratch: &Path,
    ) -> Result<(), Failure> {
        let folder = scratch.join(format!("run-{}", run.run));
        let done = self.run_in(&folder, run, files, watch);
        // Whatever stays is removed with the worker.
        let _ = fs::remove_dir_all(&folder);
        done
    }

    fn run_in(&mut self, folder: &Path, run: &RunStage, files: Vec<OwnedFd>, watch: &dyn Watch) -> Result<(), Failure> {
        let (inputs, outputs, own) = (folder.join("inputs"), folder.join("outputs"), folder.join("scratch"));
        for part in [&inputs, &outputs, &own] {
            fs::create_dir_all(part)
                .map_err(|error| Failure::environment(format!("no scratch folder can be made: {error}")))?;
        }
        let mut files = files.into_iter().map(File::from);
        let mut given = BTreeMap::new();
        for ((port, kind), file) in run.inputs.iter().zip(files.by_ref()) {
            let path = place(&inputs, port, *kind);
            transfer::lay_down(*kind, file, &path, run.string_views).map_err(|error| {
                Failure::environment(format!("input `{port}` cannot be passed to the plugin: {error}"))
            })?;
            given.insert(port, json!({ "kind": kind, "path": path }));
        }
        let wanted: BTreeMap<&String, Value> = run
            .outputs
            .iter()
            .map(|(port, kind)| (port, json!({ "kind": kind, "path": place(&outputs, port, *kind) })))
            .collect();
        self.requests.ask(&json!({
            "type": "run", "run": run.run, "stage": run.stage, "params": run.params, "seed": run.seed,
            "inputs": given, "outputs": wanted, "sources": run.sources, "secrets": run.secrets, "scratch": own,
        }));
        match self.answer(watch)? {
            Said::Done {} => {}
            _ => return Err(Failure::bug("the plugin answers `run` with something else")),
        }
        for ((port, kind), mut file) in run.outputs.iter().zip(files) {
            let path = place(&outputs, port, *kind);
            // A link would name a file that is none of the plugin's.
            if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
                return Err(Failure::bug(format!(
                    "the plugin said that it succeeded, without its {kind} output `{port}`"
                ))
                .with_help("it must write the file of every output before it answers `done`"));
            }
            let copied = File::open(&path).and_then(|mut from| {
                file.rewind()?;
                io::copy(&mut from, &mut file)
            });
            copied.map_err(|error| Failure::environment(format!("output `{port}` cannot be passed on: {error}")))?;
        }
        Ok(())
    }

    /// The answer to what was asked last; logs and progress on the way to it go to `watch`. When the program ends
    /// instead, so does this process, in the same way: the other side then knows what happened.
    fn answer(&mut self, watch: &dyn Watch) -> Result<Said, Failure> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.answers.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).unwrap_or_default();
            if read == 0 {
                self.end();
            }
            if read as u64 == MAX_LINE {
                return Err(Failure::bug(format!("the plugin wrote a line of more than {} MiB", MAX_LINE >> 20)));
            }
            let said = match line.first() {
                Some(b'{') => serde_json::from_slice::<Said>(&line)
                    .map_err(|error| Failure::bug(format!("the plugin wrote a line that is no answer: {error}")))?,
                _ => {
                    // Something that was printed.
                    let _ = io::stderr().write_all(&line);
                    continue;
                }
            };
            match said {
                Said::Log { level, message } => {
                    let level = match level {
                        Level::Debug => log_level::DEBUG,
                        Level::Info => log_level::INFO,
                        Level::Warning => log_level::WARNING,
                    };
                    watch.log(level, &message);
                }
                Said::Progress { done, total } => watch.progress(done, total),
                Said::Error(error) => return Err(error.into()),
                other => return Ok(other),
            }
        }
    }

    /// The program has closed its output.
    fn end(&mut self) -> ! {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                sys::end_as(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        eprintln!("it closed its standard output and did not end");
        std::process::exit(1)
    }
}

fn place(folder: &Path, port: &str, kind: Kind) -> PathBuf {
    folder.join(format!("{port}.{}", if kind == Kind::Table { "arrow" } else { "json" }))
}

/// Nobody hears what is logged.
struct Unheard;

impl Watch for Unheard {
    fn log(&self, _level: i32, message: &str) {
        eprintln!("{message}");
    }

    fn progress(&self, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}
