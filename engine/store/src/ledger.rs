//! The ledger: answers that were paid for, kept row by row as they arrive.

use rusqlite::{OptionalExtension, params};
use stagewright_contract::{Digest, Ledger, StageError};

use crate::db::Survives;
use crate::{Store, StoreError, now};

impl Ledger for Store {
    fn get(&self, key: Digest) -> Result<Option<Vec<u8>>, StageError> {
        let found = self.db.read(|connection| {
            connection
                .prepare_cached("SELECT value FROM ledger WHERE key = ?")?
                .query_row([key.as_bytes()], |row| row.get(0))
                .optional()
        });
        found.map_err(|error| failed(&error))
    }

    fn put(&self, key: Digest, subjects: &[&str], value: &[u8]) -> Result<(), StageError> {
        let written = self.db.write(Survives::PowerLoss, |transaction| {
            transaction.prepare_cached("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?)")?.execute(params![
                key.as_bytes(),
                value,
                now()
            ])?;
            for subject in subjects {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO ledger_subjects VALUES (?, ?)")?
                    .execute(params![subject, key.as_bytes()])?;
            }
            Ok(())
        });
        written.map_err(|error| failed(&error))
    }
}

fn failed(error: &StoreError) -> StageError {
    let stage = StageError::environment(error.to_string());
    match error.help() {
        Some(help) => stage.with_help(help),
        None => stage,
    }
}
