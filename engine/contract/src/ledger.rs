use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::{Digest, StageError};

/// Answers that were paid for, row by row, so that a stage that is interrupted, fails or is changed in one row never
/// asks for the same twice. It outlives runs; it is a cache, and what it holds must be a function of the key.
pub trait Ledger: Send + Sync {
    /// The entry with this key.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn get(&self, key: Digest) -> Result<Option<Vec<u8>>, StageError>;

    /// Keeps an entry; it is durable when this returns. An entry that is there already is replaced. `subjects` are
    /// the identifiers of the persons it is about, so that they can be erased.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    fn put(&self, key: Digest, subjects: &[&str], value: &[u8]) -> Result<(), StageError>;
}

/// A ledger in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<BTreeMap<Digest, Vec<u8>>>);

impl MemoryLedger {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Ledger for MemoryLedger {
    fn get(&self, key: Digest) -> Result<Option<Vec<u8>>, StageError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned())
    }

    fn put(&self, key: Digest, _subjects: &[&str], value: &[u8]) -> Result<(), StageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value.to_owned());
        Ok(())
    }
}
