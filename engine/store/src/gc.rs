//! What takes how much space, and removing what is no longer needed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::Path;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use stagewright_contract::Digest;

use crate::db::{self, Survives};
use crate::{Store, StoreError};

/// What takes how much space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Blobs on the disk, those that no manifest names included.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes of the index.
    pub index_bytes: u64,
    /// Stage executions whose outputs are kept.
    pub manifests: u64,
    /// Runs in the journal.
    pub runs: u64,
    /// The same by stage type. A blob that two stage types gave counts for both.
    pub stage_types: BTreeMap<String, TypeUsage>,
}

/// What one stage type takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeUsage {
    /// Executions whose outputs are kept.
    pub manifests: u64,
    /// Blobs they gave.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcPolicy {
    /// Keep what the last so many runs of each workflow used.
    pub keep_runs: usize,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcReport {
    /// Manifests removed.
    pub manifests: u64,
    /// Manifests kept.
    pub kept_manifests: u64,
    /// Blobs removed.
    pub blobs: u64,
    /// Blobs kept.
    pub kept_blobs: u64,
    /// Bytes freed, those of temporary files included.
    pub bytes: u64,
    /// Temporary files removed, of processes that were killed.
    pub temporary: u64,
}

/// The keys that the last ?1 runs of each workflow used.
const USED: &str = "SELECT key FROM run_keys WHERE run IN (
    SELECT coalesce(same_as, id) FROM (
        SELECT id, same_as, row_number() OVER (PARTITION BY workflow_path ORDER BY id DESC) AS age FROM runs
    ) WHERE age <= ?1
)";

impl Store {
    /// What takes how much space.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let mut usage = self.db.read(|connection| {
            let count =
                |table| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| db::count(row, 0));
            let mut stage_types: BTreeMap<String, TypeUsage> = BTreeMap::new();
            let mut statement = connection.prepare("SELECT stage_type, count(*) FROM manifests GROUP BY stage_type")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                stage_types.entry(row.get(0)?).or_default().manifests = db::count(row, 1)?;
            }
            let mut statement = connection.prepare(
                "SELECT stage_type, count(*), sum(size) FROM (
                     SELECT DISTINCT m.stage_type, b.digest, b.size
                     FROM manifests m JOIN outputs o ON o.key = m.key JOIN blobs b ON b.digest = o.digest
                 ) GROUP BY stage_type",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let entry = stage_types.entry(row.get(0)?).or_default();
                (entry.blobs, entry.bytes) = (db::count(row, 1)?, db::count(row, 2)?);
            }
            Ok(Usage { manifests: count("manifests")?, runs: count("runs")?, stage_types, ..Usage::default() })
        })?;
        for (_, file) in self.blob_files()? {
            usage.blobs += 1;
            usage.bytes += size(&file);
        }
        for name in ["store.db", "store.db-wal"] {
            usage.index_bytes += fs::metadata(self.root.join(name)).map_or(0, |metadata| metadata.len());
        }
        Ok(usage)
    }

    /// Removes manifests that no recent run used, the recorded key fields that went with them, blobs that no manifest
    /// names, and what killed processes left behind. The journal stays.
    ///
    /// It takes the store for itself: runs that begin meanwhile wait.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while a run is in progress; otherwise when something cannot be removed. What is left is
    /// a correct store in any case.
    pub fn gc(&self, policy: GcPolicy) -> Result<GcReport, StoreError> {
        let _alone = if policy.dry_run {
            None
        } else {
            match self.alone()? {
                None => return Err(StoreError::InUse { runs: self.live_runs()? }),
                alone => alone,
            }
        };
        let (mut report, named) = if policy.dry_run {
            self.db.read(|connection| survey(connection, policy.keep_runs))?
        } else {
            // From here on nothing names the blobs that the files below are removed of.
            self.db.write(Survives::PowerLoss, |transaction| {
                let surveyed = survey(transaction, policy.keep_runs)?;
                let keep = i64::try_from(policy.keep_runs).unwrap_or(i64::MAX);
                for table in ["manifests", "outputs", "key_fields"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE key NOT IN ({USED})"), params![keep])?;
                }
                transaction.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM outputs)", [])?;
                Ok(surveyed)
            })?
        };
        for (digest, file) in self.blob_files()? {
            if named.contains(&digest) {
                report.kept_blobs += 1;
            } else {
                report.blobs += 1;
                report.bytes += size(&file);
                remove(&file.path(), policy.dry_run)?;
            }
        }
        // Nobody holds on to the store, so nobody is writing these.
        for file in crate::files(&self.tmp_folder())? {
            report.temporary += 1;
            report.bytes += size(&file);
            remove(&file.path(), policy.dry_run)?;
        }
        if !policy.dry_run {
            for file in crate::files(&self.claims_folder())? {
                remove_if_free(&file.path())?;
            }
        }
        Ok(report)
    }

    /// The files of blobs, with the digests that their names are. Other files are not ours and are passed over.
    pub(crate) fn blob_files(&self) -> Result<Vec<(Digest, DirEntry)>, StoreError> {
        let named = |file: DirEntry| Some((file.file_name().to_str()?.parse().ok()?, file));
        Ok(crate::files(&self.blobs_folder())?.into_iter().filter_map(named).collect())
    }
}

/// How many manifests go and stay, and the blobs that those which stay name.
fn survey(connection: &Connection, keep_runs: usize) -> rusqlite::Result<(GcReport, HashSet<Digest>)> {
    let keep = i64::try_from(keep_runs).unwrap_or(i64::MAX);
    let count = |condition: &str| {
        let sql = format!("SELECT count(*) FROM manifests WHERE key {condition} ({USED})");
        connection.query_row(&sql, params![keep], |row| db::count(row, 0))
    };
    let report = GcReport { manifests: count("NOT IN")?, kept_manifests: count("IN")?, ..GcReport::default() };
    let named = connection
        .prepare(&format!("SELECT DISTINCT digest FROM outputs WHERE key IN ({USED})"))?
        .query_map(params![keep], |row| db::digest(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok((report, named))
}

fn size(file: &DirEntry) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

fn remove(path: &Path, dry_run: bool) -> Result<(), StoreError> {
    if dry_run {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes the file of a claim that a killed process left behind.
fn remove_if_free(path: &Path) -> Result<(), StoreError> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    match file.try_lock() {
        // Locked by us while it goes, as when a claim is dropped.
        Ok(()) => remove(path, false),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Ok(()),
    }
}
