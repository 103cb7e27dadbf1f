//! A worker that serves a plugin: started, and asked after when it broke.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::process::{Death, Process};
use super::protocol::{Access, FromWorker, ToWorker};
use crate::check::{Checked, Refused};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::scratch::ScratchFolder;

/// How long loading a plugin may take.
const LOAD: Duration = Duration::from_secs(30);
/// How many lines of what it printed an error shows.
const LINES: usize = 6;

/// How a worker is started: a program that calls [`crate::serve`].
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Launcher {
    /// This program as its own worker, by its subcommand `worker`: the file that runs, even if another was put in its
    /// place meanwhile.
    pub fn this_program() -> Self {
        Self { program: "/proc/self/exe".into(), args: vec!["worker".into()] }
    }
}

/// A worker that has loaded its plugin.
pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) access: Access,
    pub(super) manifest: Manifest,
    pub(super) limits: Vec<String>,
    /// How many stages it has run.
    pub(super) runs: u64,
    /// Removed with it.
    _scratch: ScratchFolder,
}

impl Worker {
    pub(super) fn start(launcher: &Launcher, checked: &Checked, access: &Access) -> Result<Self, Refused> {
        let refused = |why: String| Refused::new(&checked.path, format!("no worker can be started for it: {why}"));
        let scratch = ScratchFolder::new().map_err(|error| refused(format!("its scratch folder: {error}")))?;
        let mut process = Process::start(launcher, scratch.path()).map_err(refused)?;
        let load =
            ToWorker::Load { checked: checked.clone(), access: access.clone(), scratch: scratch.path().to_owned() };
        let began = Instant::now();
        let said = process.say(&load, &[]).map_err(|_| process.end());
        let answer = said.and_then(|()| {
            process.answer(&mut |_| {}, &mut |_| {
                (began.elapsed() > LOAD)
                    .then(|| Failure::bug(format!("loading it took longer than {} s", LOAD.as_secs())))
            })
        });
        let with_help = |refused: Refused, help: Option<String>| match help {
            Some(help) => refused.with_help(help),
            None => refused,
        };
        match answer {
            Ok(FromWorker::Loaded { manifest, limits }) => {
                Ok(Self { process, access: access.clone(), manifest: *manifest, limits, runs: 0, _scratch: scratch })
            }
            Ok(FromWorker::Refused { message, help }) => Err(with_help(Refused::new(&checked.path, message), help)),
            Ok(_) => Err(Refused::new(&checked.path, "its worker answered something else")),
            Err(death) => {
                let failure = explain(&process, death);
                let message = format!("while it was loaded, {}", failure.message);
                Err(with_help(Refused::new(&checked.path, message), failure.help))
            }
        }
    }

    /// What a person should know about the end of this worker.
    pub(super) fn explain(&self, death: Death) -> Failure {
        explain(&self.process, death)
    }
}

/// What a person should know about the end of a worker.
fn explain(process: &Process, death: Death) -> Failure {
    let (mut failure, hint) = match death {
        Death::Stopped(failure) => (failure, None),
        Death::Ended(status) => {
            let (what, hint) = cause(process, status);
            (Failure::bug(what), Some(hint))
        }
    };
    let lines = process.last_lines(LINES);
    let mut help: Vec<String> = failure.help.take().into_iter().chain(hint.map(str::to_owned)).collect();
    if !lines.is_empty() {
        help.push(format!("it last printed:\n{}", lines.join("\n")));
    }
    failure.help = (!help.is_empty()).then(|| help.join("; "));
    failure
}

fn cause(process: &Process, status: ExitStatus) -> (String, &'static str) {
    const ELSE: &str = "this is a bug in the plugin, and costs this stage only";
    if let Some(code) = status.code() {
        return (
            format!("the plugin ended its process with exit code {code} instead of returning"),
            "a plugin must not call `exit`: it returns an error; this costs this stage only",
        );
    }
    let signal = status.signal().unwrap_or_default();
    let printed = process.printed();
    // The C++ library says the one where nobody is there to catch, Rust the other where it would have to.
    let thrown = ["terminate called", "cannot catch foreign exceptions"].iter().any(|end| printed.contains(end));
    match signal {
        _ if printed.contains("has overflowed its stack") => (
            format!("the plugin overflowed its stack ({})", signal_name(signal)),
            "a recursion without end, or very large local variables: a bug in the plugin, which costs this stage only",
        ),
        libc::SIGABRT if thrown => (
            "an exception left the plugin (SIGABRT)".to_owned(),
            "exceptions must be caught before they reach the boundary: a bug in the plugin, which costs this stage only",
        ),
        libc::SIGKILL => (
            "the plugin was killed (SIGKILL)".to_owned(),
            "by the system when memory ran out, or by a person; declare `resources: { memory: … }`",
        ),
        _ => (format!("the plugin crashed ({})", signal_name(signal)), ELSE),
    }
}

pub(super) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV: it used memory that is not its own",
        libc::SIGABRT => "SIGABRT: it gave up",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE: it divided by zero",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGSYS => "SIGSYS: it made a system call that it may not",
        libc::SIGTERM => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
