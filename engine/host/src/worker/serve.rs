//! The worker's own side: one library, one stage at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use stagewright_contract::Kind;

use super::command::Command;
use super::lines::{Lines, Requests};
use super::protocol::{FromWorker, RunStage, ToWorker, receive, send};
use super::{limits, transfer};
use crate::call::{Request, Scratch, Watch};
use crate::check::{Checked, Code, Refused, check};
use crate::failure::Failure;
use crate::library::Library;
use crate::manifest::Manifest;
use crate::sys;

/// How often progress is passed on.
const PROGRESS: Duration = Duration::from_millis(100);

/// Serves the program that started this process, over the socket that is its standard input. Returns when there was
/// none, or the library cannot be loaded.
pub fn serve() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stagewright worker: {error}; it is started by `stagewright run` and not by hand");
            ExitCode::from(2)
        }
    }
}

fn start() -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The library finds an empty standard input instead of the socket.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let (checked, access, scratch) = match receive(&socket)? {
        Some((ToWorker::Load { checked, access, scratch }, _)) => (checked, access, scratch),
        Some((ToWorker::Execute(command), _)) => return execute(&command, &socket),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "the first message is another")),
    };
    let limits = limits::apply(&checked, &access, &scratch);
    let talk = Arc::new(Talk {
        socket: socket.try_clone()?,
        cancelled: AtomicU64::new(0),
        progress: Mutex::new(None),
        requests: OnceLock::new(),
    });
    let (sender, messages) = mpsc::channel();
    let listening = Arc::clone(&talk);
    std::thread::Builder::new().name("stagewright".to_owned()).spawn(move || listen(&socket, &listening, &sender))?;
    let mut code = match Loaded::load(&checked, &scratch) {
        Ok(code) => code,
        Err(refused) => return talk.say(&FromWorker::Refused { message: refused.message, help: refused.help }),
    };
    if let Loaded::Executable(lines) = &code {
        let _ = talk.requests.set(lines.requests());
    }
    talk.say(&FromWorker::Loaded { manifest: Box::new(code.manifest().clone()), limits })?;
    for (message, files) in messages {
        match message {
            ToWorker::Plan { stage, params, question } => {
                let watch = RunWatch { talk: &talk, run: 0 };
                let planned = match &mut code {
                    Loaded::Library(library) => library.plan(&stage, &params, &question, &watch),
                    Loaded::Executable(lines) => lines.plan(&stage, &params, &question, &watch),
                };
                talk.say(&FromWorker::Planned(planned))?;
            }
            ToWorker::Run(run) => {
                let ran = match &mut code {
                    Loaded::Library(library) => run_stage(library, &run, files, &talk, &scratch),
                    Loaded::Executable(lines) => {
                        lines.run(&run, files, &RunWatch { talk: &talk, run: run.run }, &scratch)
                    }
                };
                talk.say(&FromWorker::Ran(ran))?;
            }
            ToWorker::Load { .. } | ToWorker::Execute(_) | ToWorker::Cancel { .. } => {}
        }
    }
    Ok(())
}

/// The code of a plugin, at work.
enum Loaded {
    Library(Library),
    Executable(Box<Lines>),
}

impl Loaded {
    fn load(checked: &Checked, scratch: &Path) -> Result<Self, Refused> {
        let executable = match &checked.code {
            Code::Executable(executable) => executable,
            Code::Library => {
                let now = check(&checked.path, None)?;
                if now.digest != checked.digest {
                    return Err(Refused::new(&checked.path, "the file has changed since it was planned with"));
                }
                return Library::load(&now).map(Self::Library);
            }
        };
        Lines::start(executable, &checked.path, scratch).map(|lines| Self::Executable(Box::new(lines)))
    }

    fn manifest(&self) -> &Manifest {
        match self {
            Self::Library(library) => library.manifest(),
            Self::Executable(lines) => lines.manifest(),
        }
    }
}

/// Runs a command to its end, and ends as it ended. When the other side is gone before, everything ends.
fn execute(command: &Command, socket: &UnixStream) -> io::Result<()> {
    sys::no_core_dumps();
    let listening = socket.try_clone()?;
    std::thread::Builder::new().name("stagewright".to_owned()).spawn(move || {
        while let Ok(Some(_)) = receive::<ToWorker>(&listening) {}
        sys::kill_own_group()
    })?;
    let spawned = std::process::Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .envs(&command.environment)
        .current_dir(&command.folder)
        .spawn();
    match spawned {
        Ok(mut child) => sys::end_as(child.wait()?),
        Err(error) => {
            send(socket, &FromWorker::NotStarted { code: error.raw_os_error(), message: error.to_string() }, &[])
        }
    }
}

/// Takes messages while a stage runs. When the other side is gone nobody waits for what the stage computes.
fn listen(socket: &UnixStream, talk: &Talk, messages: &mpsc::Sender<(ToWorker, Vec<OwnedFd>)>) {
    while let Ok(Some((message, files))) = receive(socket) {
        if let ToWorker::Cancel { run } = message {
            talk.cancelled.store(run, Ordering::Relaxed);
            if let Some(requests) = talk.requests.get() {
                requests.cancel(run);
            }
        } else if messages.send((message, files)).is_err() {
            break;
        }
    }
    sys::kill_own_group()
}

fn run_stage(
    library: &Library,
    run: &RunStage,
    files: Vec<OwnedFd>,
    talk: &Talk,
    scratch: &Path,
) -> Result<(), Failure> {
    if files.len() != run.inputs.len() + run.outputs.len() {
        return Err(Failure::bug(format!("the worker was given {} files", files.len())));
    }
    let mut files = files.into_iter();
    let mut inputs = BTreeMap::new();
    for ((port, kind), file) in run.inputs.iter().zip(files.by_ref()) {
        let artifact =
            transfer::mapped(*kind, file).map_err(|error| Failure::environment(format!("input `{port}`: {error}")))?;
        inputs.insert(port.clone(), artifact);
    }
    let scratch = Scratch::within(scratch);
    let outputs: BTreeMap<String, Kind> = run.outputs.iter().cloned().collect();
    let request = Request {
        stage: &run.stage,
        params: &run.params,
        seed: run.seed,
        inputs: &inputs,
        outputs: &outputs,
        sources: &run.sources,
        secrets: &run.secrets,
        scratch: &scratch,
        string_views: run.string_views,
    };
    let artifacts = library.run(&request, &RunWatch { talk, run: run.run })?;
    for ((port, _), file) in run.outputs.iter().zip(files) {
        let Some(artifact) = artifacts.get(port) else { continue };
        let written = transfer::pass_on(artifact, &mut File::from(file));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Failure::bug(format!("output `{port}`: {error}")),
            _ => Failure::environment(format!("output `{port}` cannot be passed on: {error}")),
        })?;
    }
    Ok(())
}

/// The socket, and what the other side has asked for.
struct Talk {
    socket: UnixStream,
    /// The run that is to end.
    cancelled: AtomicU64,
    progress: Mutex<Option<Instant>>,
    /// How to ask an executable for something.
    requests: OnceLock<Requests>,
}

impl Talk {
    fn say(&self, message: &FromWorker) -> io::Result<()> {
        // One frame after the other, whichever thread logs.
        let _turn = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        send(&self.socket, message, &[])
    }
}

struct RunWatch<'a> {
    talk: &'a Talk,
    run: u64,
}

impl Watch for RunWatch<'_> {
    fn log(&self, level: i32, message: &str) {
        // When nobody listens any more this process is about to end.
        let _ = self.talk.say(&FromWorker::Log { level, message: message.to_owned() });
    }

    fn progress(&self, done: u64, total: u64) {
        {
            let mut last = self.talk.progress.lock().unwrap_or_else(PoisonError::into_inner);
            if done != total && last.is_some_and(|last| last.elapsed() < PROGRESS) {
                return;
            }
            *last = Some(Instant::now());
        }
        let _ = self.talk.say(&FromWorker::Progress { done, total });
    }

    fn cancelled(&self) -> bool {
        self.run != 0 && self.talk.cancelled.load(Ordering::Relaxed) == self.run
    }
}
