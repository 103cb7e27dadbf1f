//! The store: blobs named by their digests, manifests that say which blobs a stage key gave, and the journal of runs.
//!
//! ```text
//! store.db      the index: manifests, digests of sources, the journal, the ledger (SQLite)
//! blobs/ab/…    the bytes of artifacts, each file named by its digest, read-only, only ever replaced by a rename
//! tmp/          blobs being written
//! claims/       locked files: stages being computed and runs alive
//! gc.lock       shared by whoever needs blobs to stay, taken alone by gc
//! ```
//!
//! Blobs are in place before the manifest that names them is committed, so `kill -9` at any instant leaves at worst
//! a blob that nobody names. A lookup trusts a blob whose file has not been touched since its digest was last known to
//! be right; a file that was is digested again. Whoever reads a blob checks its digest. Whatever does not hold is
//! forgotten, to be computed again.
//!
//! Any number of threads and processes may use one store at once. It needs a local Unix file system with locks.

mod blobs;
mod claim;
mod db;
mod erase;
mod error;
mod gc;
mod hold;
mod journal;
mod ledger;
mod manifest;
mod sources;
mod stamp;
mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use stagewright_contract::Digest;

pub use blobs::{Blob, Prepared, Written};
pub use claim::Claim;
pub use erase::{EraseReport, Stored};
pub use error::{ReadError, StoreError};
pub use gc::{GcPolicy, GcReport, TypeUsage, Usage};
pub use journal::{Event, Run, RunEnd, RunInfo, RunStart, RunStatus};
pub use manifest::{Execution, Lookup, Made, Manifest, Output};
pub use sources::SourceDigest;
pub use stamp::Stamp;
pub use verify::{Damage, VerifyReport};

/// A store, in a folder of its own.
pub struct Store {
    root: PathBuf,
    db: db::Db,
    hold: Mutex<Weak<hold::Hold>>,
}

impl Store {
    /// Opens the store in a folder, and makes what is missing.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds an index that is damaged or of a later format.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(StoreError::io("find", root))?;
        for folder in ["", "blobs", "tmp", "claims"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        }
        for (name, text) in [(".gitignore", "*\n"), ("CACHEDIR.TAG", CACHEDIR_TAG)] {
            let path = root.join(name);
            if !path.exists() {
                fs::write(&path, text).map_err(StoreError::io("write", &path))?;
            }
        }
        let db = db::Db::open(root.join("store.db"), &root.join("tmp"))?;
        Ok(Self { root, db, hold: Mutex::new(Weak::new()) })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob with this digest is, or would be.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.blobs_folder();
        path.push(hex.get(..2).unwrap_or_default());
        path.push(hex);
        path
    }

    fn blobs_folder(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn tmp_folder(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn claims_folder(&self) -> PathBuf {
        self.root.join("claims")
    }

    fn claim_path(&self, name: &str) -> PathBuf {
        let mut path = self.claims_folder();
        path.push(name);
        path
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("gc.lock")
    }
}

const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This folder is the store of Stagewright (https://bford.info/cachedir/). Runs make it again; only their journal would
# be lost with it.
";

/// Milliseconds since 1970: the times in manifests and in the journal.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The files in a folder, or in its folders; none where it does not exist.
fn files(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(StoreError::io("list", folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.append(&mut files(&entry.path())?);
        } else {
            found.push(entry);
        }
    }
    Ok(found)
}
