//! Claims: who is computing what, and which runs are alive. A claim is a locked file; the system frees the lock when
//! its process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use stagewright_contract::Digest;

use crate::{Store, StoreError};

/// The right to compute something, until dropped.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    _file: File,
}

impl Claim {
    /// Claims `path`, unless somebody else has.
    pub(crate) fn take(path: PathBuf) -> Result<Option<Self>, StoreError> {
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(StoreError::io("create", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
            }
            // The one who had the lock may have removed the file between our opening and locking it.
            if same_file(&file, &path) {
                // Only messages need the number, so a full disk is no reason to stop here.
                let holder = format!("{}\n", std::process::id());
                let _ = file.write_all_at(holder.as_bytes(), 0).and_then(|()| file.set_len(holder.len() as u64));
                return Ok(Some(Self { path, _file: file }));
            }
        }
    }

    /// Whether somebody holds the claim on `path`.
    pub(crate) fn is_held(path: &Path) -> bool {
        // A shared lock, so that two who ask at once do not take each other for the holder.
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While still locked: whoever locks the file next sees that it is no longer the one at the path.
        let _ = fs::remove_file(&self.path);
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.ino() == theirs.ino() && ours.dev() == theirs.dev(),
        _ => false,
    }
}

impl Store {
    /// Claims the right to compute a stage key: `None` while another process, or another thread of this one, has it.
    /// After a `None` wait a little, look the key up, and try again.
    ///
    /// # Errors
    /// When the claim's file cannot be created or locked.
    pub fn claim(&self, key: Digest) -> Result<Option<Claim>, StoreError> {
        Claim::take(self.claim_path(&key.hex()))
    }

    /// The process that has the claim on a stage key, for a message.
    pub fn claim_holder(&self, key: Digest) -> Option<u32> {
        fs::read_to_string(self.claim_path(&key.hex())).ok()?.trim().parse().ok()
    }
}
