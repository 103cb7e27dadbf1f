//! Holding on to the store: while anybody does, `gc` removes nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::{Store, StoreError};

/// A shared lock on the store, for as long as blobs may exist that no manifest names yet, or a run counts on what it
/// looked up.
#[derive(Debug)]
pub(crate) struct Hold {
    _file: File,
}

/// The store for oneself alone.
pub(crate) struct Alone {
    _file: File,
}

impl Store {
    /// Joins those who hold on to the store; waits while `gc` is at work.
    pub(crate) fn hold(&self) -> Result<Arc<Hold>, StoreError> {
        let mut current = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hold) = current.upgrade() {
            return Ok(hold);
        }
        let path = self.lock_path();
        let file = open(&path)?;
        while let Err(error) = file.lock_shared() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(StoreError::io("lock", &path)(error));
            }
        }
        let hold = Arc::new(Hold { _file: file });
        *current = Arc::downgrade(&hold);
        Ok(hold)
    }

    /// Waits a moment for others to let go of the store: `None` when they do not.
    pub(crate) fn alone(&self) -> Result<Option<Alone>, StoreError> {
        let path = self.lock_path();
        let file = open(&path)?;
        for _ in 0..50 {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Alone { _file: file })),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
            }
        }
        Ok(None)
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    file.map_err(StoreError::io("create", path))
}
