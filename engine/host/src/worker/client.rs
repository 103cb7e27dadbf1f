//! The program's side: starting a worker, waiting for it, and finding out how it ended.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::protocol::{Access, Frames, FromWorker, ToWorker, send};
use crate::check::{Checked, Refused};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::sys;

/// How often a worker that says nothing is looked after.
const TICK: Duration = Duration::from_millis(20);
/// How long loading a library may take.
const LOAD: Duration = Duration::from_secs(30);
/// How much of what a plugin prints is kept: the end of it.
const LOG: usize = 16 << 10;
/// How many lines of it an error shows.
const LINES: usize = 6;

/// How a worker is started: a program that calls [`crate::serve`].
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// A worker that has loaded its library.
pub(super) struct Worker {
    child: Child,
    socket: UnixStream,
    frames: Frames,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    ended: bool,
    pub(super) access: Access,
    pub(super) manifest: Manifest,
    pub(super) limits: Vec<String>,
    /// How many stages it has run.
    pub(super) runs: u64,
    /// Removed with it.
    _scratch: TempDir,
}

/// Why there is no answer.
pub(super) enum Death {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was ended, because of this.
    Stopped(Failure),
}

impl Worker {
    pub(super) fn start(launcher: &Launcher, checked: &Checked, access: &Access) -> Result<Self, Refused> {
        let refused = |what: &str, error: &io::Error| {
            Refused::new(&checked.path, format!("no worker can be started for it: {what}: {error}"))
        };
        let scratch = tempfile::Builder::new()
            .prefix("stagewright-plugin-")
            .tempdir()
            .map_err(|error| refused("its scratch folder", &error))?;
        let (ours, theirs) = UnixStream::pair().map_err(|error| refused("a socket", &error))?;
        let (reader, writer) = io::pipe().map_err(|error| refused("a pipe", &error))?;
        let errors = writer.try_clone().map_err(|error| refused("a pipe", &error))?;
        let child = Command::new(&launcher.program)
            .args(&launcher.args)
            .env_clear()
            .env("TMPDIR", scratch.path())
            .current_dir(scratch.path())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(writer)
            .stderr(errors)
            // Ctrl-C in the terminal is the program's to handle; what a plugin starts is ended with it.
            .process_group(0)
            .spawn()
            .map_err(|error| refused(&launcher.program.display().to_string(), &error))?;
        let log = Arc::new(Log::default());
        let kept = Arc::clone(&log);
        let mut worker = Self {
            child,
            socket: ours,
            frames: Frames::default(),
            log,
            reader: std::thread::Builder::new().name("plugin log".to_owned()).spawn(move || kept.fill(reader)).ok(),
            ended: false,
            access: access.clone(),
            manifest: Manifest { name: String::new(), version: String::new(), stages: Vec::new() },
            limits: Vec::new(),
            runs: 0,
            _scratch: scratch,
        };
        let load = ToWorker::Load {
            path: checked.path.clone(),
            digest: checked.digest,
            access: access.clone(),
            scratch: worker._scratch.path().to_owned(),
        };
        let began = Instant::now();
        let answer = worker.socket.set_read_timeout(Some(TICK)).and_then(|()| worker.say(&load, &[])).ok().map(|()| {
            worker.answer(&mut |_| {}, &mut |_| {
                (began.elapsed() > LOAD)
                    .then(|| Failure::bug(format!("loading it took longer than {} s", LOAD.as_secs())))
            })
        });
        match answer.unwrap_or_else(|| Err(worker.end())) {
            Ok(FromWorker::Loaded { manifest, limits }) => {
                worker.manifest = *manifest;
                worker.limits = limits;
                Ok(worker)
            }
            Ok(FromWorker::Refused { message, help }) => {
                let refused = Refused::new(&checked.path, message);
                Err(match help {
                    Some(help) => refused.with_help(help),
                    None => refused,
                })
            }
            Ok(_) => Err(Refused::new(&checked.path, "its worker answered something else")),
            Err(death) => {
                let failure = worker.explain(death);
                let refused = Refused::new(&checked.path, format!("while it was loaded, {}", failure.message));
                Err(match failure.help {
                    Some(help) => refused.with_help(help),
                    None => refused,
                })
            }
        }
    }

    /// Sends a message.
    pub(super) fn say(&self, message: &ToWorker, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(&self.socket, message, files)
    }

    /// Waits for the answer to what was sent last. Whatever else the worker says goes to `hear`. `look` is asked now
    /// and then whether to go on, or why not.
    pub(super) fn answer(
        &mut self,
        hear: &mut dyn FnMut(FromWorker),
        look: &mut dyn FnMut(&Self) -> Option<Failure>,
    ) -> Result<FromWorker, Death> {
        let mut bytes = [0; 8192];
        let mut looked = Instant::now();
        loop {
            match self.frames.next::<FromWorker>() {
                Ok(Some(message @ (FromWorker::Log { .. } | FromWorker::Progress { .. }))) => hear(message),
                Ok(Some(message)) => return Ok(message),
                Ok(None) => match self.socket.read(&mut bytes) {
                    Ok(0) => return Err(self.end()),
                    Ok(read) => self.frames.push(&bytes[..read]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        // A process that the plugin started holds the connection open beyond the worker's end.
                        if let Ok(Some(status)) = self.child.try_wait() {
                            self.kill();
                            return Err(Death::Ended(status));
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return Err(self.end()),
                },
                Err(error) => {
                    self.kill();
                    return Err(Death::Stopped(Failure::bug(format!(
                        "the plugin's worker said what cannot be understood: {error}"
                    ))));
                }
            }
            // Also while it floods us with messages.
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                if let Some(failure) = look(self) {
                    self.kill();
                    return Err(Death::Stopped(failure));
                }
            }
        }
    }

    /// The connection is closed: how the process ended. One that goes on without its connection is ended.
    pub(super) fn end(&mut self) -> Death {
        let patience = Instant::now() + Duration::from_millis(500);
        while Instant::now() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.kill();
                return Death::Ended(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
        Death::Stopped(Failure::bug("the plugin closed the connection of its worker"))
    }

    fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        sys::kill_group(self.child.id());
        // It was killed, or has ended before: this does not wait for long.
        let _ = self.child.wait();
        // The reader ends when the last process that holds the pipe is gone. One that left the group may hold it still.
        if let Some(reader) = self.reader.take() {
            let patience = Instant::now() + Duration::from_millis(200);
            while !reader.is_finished() && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// What a person should know about the end of a worker.
    pub(super) fn explain(&self, death: Death) -> Failure {
        let (mut failure, hint) = match death {
            Death::Stopped(failure) => (failure, None),
            Death::Ended(status) => {
                let (what, hint) = self.cause(status);
                (Failure::bug(what), Some(hint))
            }
        };
        let lines = self.log.last_lines(LINES);
        let mut help: Vec<String> = failure.help.take().into_iter().chain(hint.map(str::to_owned)).collect();
        if !lines.is_empty() {
            help.push(format!("it last printed:\n{}", lines.join("\n")));
        }
        failure.help = (!help.is_empty()).then(|| help.join("; "));
        failure
    }

    fn cause(&self, status: ExitStatus) -> (String, &'static str) {
        const ELSE: &str = "this is a bug in the plugin, and costs this stage only";
        if let Some(code) = status.code() {
            return (
                format!("the plugin ended its process with exit code {code} instead of returning"),
                "a plugin must not call `exit`: it returns an error; this costs this stage only",
            );
        }
        let signal = status.signal().unwrap_or_default();
        let printed = self.log.text();
        match signal {
            _ if printed.contains("has overflowed its stack") => (
                format!("the plugin overflowed its stack ({})", signal_name(signal)),
                "a recursion without end, or very large local variables: a bug in the plugin, which costs this stage only",
            ),
            libc::SIGABRT if printed.contains("terminate called") => (
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

    /// How much memory the process holds of its own, in bytes.
    pub(super) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
        };
        (kib("RssAnon:") + kib("RssShmem:")) << 10
    }

    /// What the plugin printed since this was last asked.
    pub(super) fn take_log(&self) -> String {
        self.log.take()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal_name(signal: i32) -> String {
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

/// The end of what a process printed.
#[derive(Default)]
struct Log(Mutex<VecDeque<u8>>);

impl Log {
    fn fill(&self, mut reader: PipeReader) {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut bytes) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&bytes[..read]);
            let over = kept.len().saturating_sub(LOG);
            kept.drain(..over);
        }
    }

    fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    fn take(&self) -> String {
        let kept = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&Vec::from(kept)).into_owned()
    }

    fn last_lines(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let clean = |line: &str| -> String {
            let printable = line.chars().map(|c| if c.is_control() { ' ' } else { c });
            printable.take(200).collect::<String>().trim_end().to_owned()
        };
        let lines: Vec<String> = text.lines().map(clean).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].to_vec()
    }
}
