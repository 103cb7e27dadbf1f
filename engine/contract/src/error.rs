use std::fmt;

/// Whose an error is, and so what a person can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The data or the parameters are at fault: running again gives the same error.
    Data,
    /// The machine, a file or a service is at fault: running again may help, so `retries:` applies.
    Environment,
    /// The run was cancelled while the stage was at work.
    Cancelled,
    /// The stage broke a promise of its own: a bug to report.
    Bug,
}

/// Why a stage failed: what happened, where in its data, and what to do about it.
///
/// Messages are one sentence without a full stop, start in lower case unless with a name, and put values and names
/// between backticks: ``column `age` is text, a number is needed``.
#[derive(Clone, Debug)]
pub struct StageError {
    /// Whose error it is.
    pub kind: ErrorKind,
    /// What happened, in one sentence.
    pub message: String,
    /// Where in the data, if one place is to blame: `users.csv:17:4`.
    pub location: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl StageError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), location: None, help: None }
    }

    /// The data or the parameters are at fault.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// The machine, a file or a service is at fault; running again may help.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }

    /// The stage broke a promise of its own.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// The stage noticed that the run was cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the run was cancelled")
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error with a place in the data, such as `users.csv:17:4`.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for StageError {}
