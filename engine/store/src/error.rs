use std::io;
use std::path::{Path, PathBuf};

use stagewright_contract::{Digest, ErrorKind};
use thiserror::Error;

/// Why the store could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index is not a database, not ours, or damaged.
    #[error("the index of the store, `{}`, cannot be used: {what}", path.display())]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later version of Stagewright wrote the index.
    #[error("the store `{}` has format {found}, this version of Stagewright knows formats up to {known}", path.display())]
    Newer {
        /// The store's folder.
        path: PathBuf,
        /// The format found.
        found: i64,
        /// The latest format known.
        known: i64,
    },
    /// The index cannot be written.
    #[error("the index of the store, `{}`, cannot be written", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// Another process kept the index locked for longer than we wait.
    #[error("the index of the store, `{}`, is locked by another process", path.display())]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// Any other failure of the index.
    #[error("the index of the store, `{}`, failed: {source}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// An artifact that has no canonical bytes.
    #[error("the artifact cannot be stored: {0}")]
    Unstorable(String),
    /// A source file that does not hold still.
    #[error("`{}` changes while it is being read", .0.display())]
    SourceChanging(PathBuf),
    /// Something holds on to blobs that have no manifest yet, so nothing can be removed.
    #[error("the store is in use{}", named(.runs))]
    InUse {
        /// The runs in progress; none where a stage runs outside a run.
        runs: Vec<String>,
    },
    /// No run has such an id.
    #[error("no run `{0}`")]
    UnknownRun(String),
    /// More than one run has such an id.
    #[error("`{prefix}` could be any of the runs {}", quoted(.candidates))]
    AmbiguousRun {
        /// What was asked for.
        prefix: String,
        /// The latest of the runs that it fits.
        candidates: Vec<String>,
    },
    /// The caller broke a promise.
    #[error("{0}")]
    Bug(String),
}

impl StoreError {
    /// Whose error it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownRun(_) | Self::AmbiguousRun { .. } | Self::Unstorable(_) => ErrorKind::Data,
            Self::Bug(_) => ErrorKind::Bug,
            _ => ErrorKind::Environment,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        use io::ErrorKind as Io;
        Some(match self {
            Self::Io { source, .. } => match source.kind() {
                Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => SPACE.to_owned(),
                Io::PermissionDenied | Io::ReadOnlyFilesystem => WRITABLE.to_owned(),
                _ => return None,
            },
            Self::ReadOnly { .. } => WRITABLE.to_owned(),
            Self::Corrupt { path, .. } => {
                let path = path.display();
                format!(
                    "move `{path}`, `{path}-wal` and `{path}-shm` away: the next run makes a new index and computes every \
                     stage again, only the journal of earlier runs is lost"
                )
            }
            Self::Newer { .. } => "use that version of Stagewright, or another folder for the store".to_owned(),
            Self::Busy { .. } => "wait for the other process or stop it, then run again".to_owned(),
            Self::Database { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                SPACE.to_owned()
            }
            Self::SourceChanging(_) => "wait until the file is complete, then run again".to_owned(),
            Self::InUse { .. } => "try again when that has ended".to_owned(),
            Self::UnknownRun(_) => "`stagewright runs` lists the runs of this store".to_owned(),
            Self::AmbiguousRun { .. } => "give more of the id".to_owned(),
            Self::Database { .. } | Self::Unstorable(_) | Self::Bug(_) => return None,
        })
    }

    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }
}

const SPACE: &str = "free some space: `stagewright gc` removes what no recent run used";
const WRITABLE: &str = "make the folder of the store writable, or choose another folder for it";

fn named(runs: &[String]) -> String {
    if runs.is_empty() { String::new() } else { format!(" by run {}", quoted(runs)) }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Why an artifact could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The blob is gone or is not what was stored: whatever made it must run again.
    #[error("artifact `{}` {what}", digest.short())]
    Damaged {
        /// Which.
        digest: Digest,
        /// What is wrong with it, as the rest of a sentence: `is missing`.
        what: String,
    },
    /// The store itself failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
