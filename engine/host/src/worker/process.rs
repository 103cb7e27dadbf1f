//! A process that was started to serve this program, and the connection to it.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::Launcher;
use super::log::Log;
use super::protocol::{Frames, FromWorker, ToWorker, send};
use crate::failure::Failure;
use crate::sys;

/// How often a process that says nothing is looked after.
const TICK: Duration = Duration::from_millis(20);

/// A worker process.
pub(super) struct Process {
    child: Child,
    socket: UnixStream,
    frames: Frames,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    ended: bool,
}

/// Why there is no answer.
pub(super) enum Death {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was ended, because of this.
    Stopped(Failure),
}

impl Process {
    /// Starts a worker in this folder, with an empty environment.
    ///
    /// # Errors
    /// What cannot be had, and why.
    pub(super) fn start(launcher: &Launcher, folder: &Path) -> Result<Self, String> {
        let failed = |what: &str, error: &io::Error| format!("{what}: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed("a socket", &error))?;
        let (reader, writer) = io::pipe().map_err(|error| failed("a pipe", &error))?;
        let errors = writer.try_clone().map_err(|error| failed("a pipe", &error))?;
        let child = Command::new(&launcher.program)
            .args(&launcher.args)
            .env_clear()
            .env("TMPDIR", folder)
            .current_dir(folder)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(writer)
            .stderr(errors)
            // Ctrl-C in the terminal is the program's to handle; what a plugin starts is ended with it.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&launcher.program.display().to_string(), &error))?;
        let log = Arc::new(Log::default());
        let kept = Arc::clone(&log);
        let process = Self {
            child,
            socket: ours,
            frames: Frames::default(),
            log,
            reader: std::thread::Builder::new().name("plugin log".to_owned()).spawn(move || kept.fill(reader)).ok(),
            ended: false,
        };
        process.socket.set_read_timeout(Some(TICK)).map_err(|error| failed("a socket", &error))?;
        Ok(process)
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

    /// How much memory the process holds of its own, in bytes.
    pub(super) fn memory(&self) -> u64 {
        memory(self.child.id())
    }

    /// How much memory the processes of its group hold, in bytes: the process, and what it started.
    pub(super) fn group_memory(&self) -> u64 {
        let group = self.child.id().to_string();
        // The name of a program stands in parentheses and may hold any: what follows the last is state, parent, group.
        let is_of_group = |id: &u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(2)) == Some(group.as_str())
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(is_of_group).map(memory).sum()
    }

    /// What the plugin printed since this was last asked.
    pub(super) fn take_log(&self) -> String {
        self.log.take()
    }
    /// The last lines that it printed.
    pub(super) fn last_lines(&self, count: usize) -> Vec<String> {
        self.log.last_lines(count)
    }

    /// All that is kept of what it printed.
    pub(super) fn printed(&self) -> String {
        self.log.text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How much memory a process holds of its own, in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
    };
    (kib("RssAnon:") + kib("RssShmem:")) << 10
}
