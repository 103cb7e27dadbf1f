//! Plugins: stage types in dynamic libraries, loaded into a worker process or into this one.
//!
//! `engine/contract/include/stagewright.h` is the boundary; this crate is both sides of it. The unsafe code of the
//! program is here: what reads a plugin's structures ([`abi`], `arrow`, `call`, `library`), and the system calls that
//! have no safe wrapper (`sys`). Each block says why it is sound.

pub mod abi;
mod arrow;
mod failure;
pub mod guest;
mod manifest;

#[cfg(feature = "host")]
mod call;
#[cfg(feature = "host")]
mod check;
#[cfg(feature = "host")]
mod conformance;
#[cfg(feature = "host")]
mod executable;
#[cfg(feature = "host")]
mod library;
#[cfg(feature = "host")]
mod plugin;
#[cfg(feature = "host")]
mod scratch;
#[cfg(feature = "host")]
mod sys;
#[cfg(feature = "host")]
mod worker;

pub use manifest::{Answer, Manifest, PortManifest, Question, StageManifest};

#[cfg(feature = "host")]
pub use check::{Checked, Code, Refused, check};
#[cfg(feature = "host")]
pub use conformance::{Check, Outcome, conformance};
#[cfg(feature = "host")]
pub use executable::{Executable, check_command};
#[cfg(feature = "host")]
pub use plugin::{Isolation, Plugin, run_executable};
#[cfg(feature = "host")]
pub use scratch::ScratchFolder;
#[cfg(feature = "host")]
pub use sys::end_by_sigpipe;

/// The module with which a program in Python speaks the line protocol.
#[cfg(feature = "host")]
pub const PYTHON_MODULE: &str = include_str!("python/stagewright.py");

#[cfg(feature = "host")]
pub use worker::{Command, Ended, Execution, Launcher, find_program, read_table, serve};
