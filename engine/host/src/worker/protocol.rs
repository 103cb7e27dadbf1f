//! What the two processes say to each other: frames of a length (4 bytes, little-endian) and JSON, on a socket.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagewright_contract::Kind;

use super::command::Command;
use crate::check::Checked;
use crate::failure::Failure;
use crate::manifest::{Answer, Manifest, Question};
use crate::sys;

/// The longest frame.
const MAX_FRAME: usize = 256 << 20;

/// From the program to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// The first frame: which library, and what it may do.
    Load { checked: Checked, access: Access, scratch: PathBuf },
    /// The first frame instead: run a command, and end as it ends.
    Execute(Box<Command>),
    /// Make a stage and ask it about itself.
    Plan { stage: String, params: Value, question: Question },
    /// Run a stage. The files of the inputs and outputs come with the frame, in this order.
    Run(Box<RunStage>),
    /// Ask the stage of this run to end.
    Cancel { run: u64 },
}

/// What a worker may use besides what every worker may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// Whether it may open network connections.
    pub(crate) network: bool,
    /// Files that it may read.
    pub(crate) read: Vec<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunStage {
    pub(super) run: u64,
    pub(super) stage: String,
    pub(super) params: Value,
    pub(super) seed: u64,
    pub(super) string_views: bool,
    pub(super) inputs: Vec<(String, Kind)>,
    pub(super) outputs: Vec<(String, Kind)>,
    pub(super) sources: BTreeMap<String, Vec<PathBuf>>,
    pub(super) secrets: BTreeMap<String, String>,
}

/// From the worker to the program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    /// The library is loaded; which limits hold.
    Loaded {
        manifest: Box<Manifest>,
        limits: Vec<String>,
    },
    /// The library cannot be loaded.
    Refused {
        message: String,
        help: Option<String>,
    },
    /// The command cannot be started; the system's error number and words.
    NotStarted {
        code: Option<i32>,
        message: String,
    },
    /// What a stage said about itself.
    Planned(Result<Option<Answer>, Failure>),
    /// The stage ran; its outputs are in their files.
    Ran(Result<(), Failure>),
    Log {
        level: i32,
        message: String,
    },
    Progress {
        done: u64,
        total: u64,
    },
}

/// Sends a frame, and files with it.
pub(super) fn send(socket: &UnixStream, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let len = u32::try_from(frame.len() - 4).map_err(|_| too_long(frame.len()))?;
    frame[..4].copy_from_slice(&len.to_le_bytes());
    let mut sent = sys::send(socket, &frame, files)?;
    while sent < frame.len() {
        sent += sys::send(socket, &frame[sent..], &[])?;
    }
    Ok(())
}

/// Receives a frame and the files that came with it; nothing when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut files = Vec::new();
    let mut head = [0; 4];
    if !fill(socket, &mut head, &mut files)? {
        return Ok(None);
    }
    let len = u32::from_le_bytes(head) as usize;
    if len > MAX_FRAME {
        return Err(too_long(len));
    }
    let mut body = vec![0; len];
    if !fill(socket, &mut body, &mut files)? {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&body)?, files)))
}

fn fill(socket: &UnixStream, mut bytes: &mut [u8], files: &mut Vec<OwnedFd>) -> io::Result<bool> {
    while !bytes.is_empty() {
        let received = sys::receive(socket, bytes, files)?;
        if received == 0 {
            return Ok(false);
        }
        bytes = &mut bytes[received..];
    }
    Ok(true)
}

/// Frames out of bytes that arrive piece by piece.
#[derive(Default)]
pub(super) struct Frames(Vec<u8>);

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next frame, once it is complete.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((head, rest)) = self.0.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*head) as usize;
        if len > MAX_FRAME {
            return Err(too_long(len));
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let message = serde_json::from_slice(body)?;
        self.0.drain(..4 + len);
        Ok(Some(message))
    }
}

fn too_long(len: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message of {len} bytes is too long"))
}
