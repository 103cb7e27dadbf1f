//! Erasing a person: every artifact and every ledger entry that holds them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stagewright_contract::{Digest, Kind};

use crate::db::{self, Survives};
use crate::{Store, StoreError};

/// A stored artifact, and the stages that put it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// What it is.
    pub kind: Kind,
    /// The blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// `workflow/stage.port` of every execution that put it out, sorted.
    pub outputs: BTreeSet<String>,
}

/// What was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseReport {
    /// Stage executions forgotten.
    pub executions: u64,
    /// Artifacts removed.
    pub artifacts: u64,
    /// Ledger entries removed.
    pub ledger_entries: u64,
    /// The runs that used what was erased, whose reports may show it.
    pub runs: Vec<String>,
}

impl Store {
    /// Every artifact that may hold persons, by digest: tables and files.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn about_persons(&self) -> Result<Vec<Stored>, StoreError> {
        let mut found: BTreeMap<(Digest, &'static str), Stored> = BTreeMap::new();
        let about = |kind: Kind| matches!(kind, Kind::Table | Kind::Files);
        for manifest in self.entries()?.into_iter().map(|entry| entry.manifest) {
            for (port, output) in manifest.outputs.iter().filter(|(_, output)| about(output.kind)) {
                let stored = found.entry((output.digest, output.kind.name())).or_insert_with(|| Stored {
                    kind: output.kind,
                    digest: output.digest,
                    bytes: output.size,
                    outputs: BTreeSet::new(),
                });
                stored.outputs.insert(format!("{}/{}.{port}", manifest.workflow, manifest.stage));
            }
        }
        Ok(found.into_values().collect())
    }

    /// How many ledger entries are about a person.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn ledger_entries_about(&self, subject: &str) -> Result<u64, StoreError> {
        self.db.read(|connection| {
            connection
                .query_row("SELECT count(*) FROM ledger_subjects WHERE subject = ?", [subject], |row| db::count(row, 0))
        })
    }

    /// Removes these artifacts, everything else that the executions which put them out gave, and the ledger entries
    /// about a person. What is needed is computed again by the next run. Deleted rows are overwritten in the index.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while a run is in progress; otherwise when something cannot be removed.
    pub fn erase(&self, digests: &[Digest], subject: &str) -> Result<EraseReport, StoreError> {
        let Some(_alone) = self.alone()? else { return Err(StoreError::InUse { runs: self.live_runs()? }) };
        let (mut report, named) = self.db.write(Survives::PowerLoss, |transaction| {
            transaction.pragma_update(None, "secure_delete", "ON")?;
            let mut report = EraseReport::default();
            let mut runs = BTreeSet::new();
            for digest in digests {
                let mut statement = transaction.prepare_cached(
                    "SELECT DISTINCT r.id FROM run_keys k JOIN runs r ON coalesce(r.same_as, r.id) = k.run
                     WHERE k.key IN (SELECT key FROM outputs WHERE digest = ?)",
                )?;
                let found = statement.query_map([digest.as_bytes()], |row| row.get::<_, String>(0))?;
                for run in found {
                    runs.insert(run?);
                }
            }
            for digest in digests {
                // Manifests first: `outputs` says which.
                let named = "(SELECT key FROM outputs WHERE digest = ?)";
                report.executions += transaction
                    .execute(&format!("DELETE FROM manifests WHERE key IN {named}"), [digest.as_bytes()])?
                    as u64;
                transaction.execute(&format!("DELETE FROM outputs WHERE key IN {named}"), [digest.as_bytes()])?;
            }
            transaction.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM outputs)", [])?;
            report.ledger_entries = transaction.execute(
                "DELETE FROM ledger WHERE key IN (SELECT key FROM ledger_subjects WHERE subject = ?)",
                [subject],
            )? as u64;
            // An entry may be about several persons: nobody's is left pointing to nothing.
            transaction.execute("DELETE FROM ledger_subjects WHERE key NOT IN (SELECT key FROM ledger)", [])?;
            report.runs = runs.into_iter().collect();
            let named: BTreeSet<Digest> = transaction
                .prepare("SELECT digest FROM outputs")?
                .query_map([], |row| db::digest(row, 0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((report, named))
        })?;
        for (digest, file) in self.blob_files()? {
            if !named.contains(&digest) {
                report.artifacts += 1;
                std::fs::remove_file(file.path()).map_err(StoreError::io("remove", &file.path()))?;
            }
        }
        // Blobs half written, and what the write-ahead log still holds of deleted rows.
        for file in crate::files(&self.tmp_folder())? {
            std::fs::remove_file(file.path()).map_err(StoreError::io("remove", &file.path()))?;
        }
        self.db.checkpoint()?;
        Ok(report)
    }
}
