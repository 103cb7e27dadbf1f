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
mod library;
#[cfg(feature = "host")]
mod plugin;
#[cfg(feature = "host")]
mod sys;
#[cfg(feature = "host")]
mod worker;

pub use manifest::{Answer, Manifest, PortManifest, Question, StageManifest};

#[cfg(feature = "host")]
pub use check::{Checked, Refused, check};
#[cfg(feature = "host")]
pub use conformance::{Check, Outcome, conformance};
#[cfg(feature = "host")]
pub use plugin::{Isolation, Plugin};
#[cfg(feature = "host")]
pub use worker::{Command, Ended, Execution, Launcher, find_program, read_table, serve};
