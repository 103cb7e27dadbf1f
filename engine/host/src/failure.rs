//! Why a call to a plugin failed, in a form that crosses to and from the worker.

use serde::{Deserialize, Serialize};
use stagewright_contract::{ErrorKind, ParamError, StageError};

use crate::abi::error_kind;

/// An error of a plugin, or about one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// One of [`error_kind`].
    pub(crate) kind: i32,
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) help: Option<String>,
}

impl Failure {
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self { kind: error_kind::BUG, message: message.into(), location: None, help: None }
    }

    #[cfg(feature = "host")]
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self { kind: error_kind::ENVIRONMENT, ..Self::bug(message) }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Failure> for StageError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            error_kind::DATA => ErrorKind::Data,
            error_kind::ENVIRONMENT => ErrorKind::Environment,
            error_kind::CANCELLED => ErrorKind::Cancelled,
            _ => ErrorKind::Bug,
        };
        Self { kind, message: failure.message, location: failure.location, help: failure.help }
    }
}

impl From<&StageError> for Failure {
    fn from(error: &StageError) -> Self {
        let kind = match error.kind {
            ErrorKind::Data => error_kind::DATA,
            ErrorKind::Environment => error_kind::ENVIRONMENT,
            ErrorKind::Cancelled => error_kind::CANCELLED,
            ErrorKind::Bug => error_kind::BUG,
        };
        Self { kind, message: error.message.clone(), location: error.location.clone(), help: error.help.clone() }
    }
}

impl From<Failure> for ParamError {
    fn from(failure: Failure) -> Self {
        Self { path: failure.location.unwrap_or_default(), message: failure.message, help: failure.help }
    }
}
