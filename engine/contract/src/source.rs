use std::path::PathBuf;

use crate::Digest;

/// A declaration that a stage reads files from outside the workflow.
///
/// The engine finds the files, digests them before the stage runs (the digests, not the path, are part of the stage
/// key) and again after it: a file that changed meanwhile fails the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The parameter that holds the path.
    pub param: &'static str,
    /// The path or glob pattern as the workflow gives it.
    pub pattern: String,
    /// Whether it is no mistake that there is no such file (yet).
    pub optional: bool,
    /// What to do when there is no such file.
    pub help: Option<&'static str>,
}

impl Source {
    /// Files that must be there.
    pub fn new(param: &'static str, pattern: impl Into<String>) -> Self {
        Self { param, pattern: pattern.into(), optional: false, help: None }
    }

    /// The same source with advice for when there is no such file.
    #[must_use]
    pub fn with_help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }

    /// The same source, but there may be no such file.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// A file found for a [`Source`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its file name, which is part of the stage key (it tells the format and the compression).
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
}
