//! Checking everything that the store holds.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde::{Deserialize, Serialize};
use stagewright_contract::Digest;

use crate::blobs::digest_file;
use crate::{Stamp, Store, StoreError};

/// What checking the whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Manifests checked.
    pub manifests: u64,
    /// Blobs read and digested.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that no manifest names: harmless, `gc` removes them.
    pub orphans: u64,
    /// Outputs whose blob is not what was stored.
    pub damaged: Vec<Damage>,
    /// What SQLite says is wrong with the index; empty when it is sound.
    pub index: Vec<String>,
    /// Whether what is damaged was forgotten, so that the next run computes it again.
    pub repaired: bool,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.index.is_empty()
    }
}

/// An output whose blob is not what was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The workflow that computed it.
    pub workflow: String,
    /// The stage.
    pub stage: String,
    /// The output.
    pub port: String,
    /// The stage key.
    pub key: Digest,
    /// The blob.
    pub digest: Digest,
    /// What is wrong with it, as the rest of a sentence: `is missing`.
    pub what: String,
}

impl Store {
    /// Reads every blob that a manifest names and checks its digest, and checks the index. With `repair`, what is
    /// damaged is forgotten.
    ///
    /// # Errors
    /// When the index or the folder of blobs cannot be read at all.
    pub fn verify(&self, repair: bool) -> Result<VerifyReport, StoreError> {
        // `gc` must not remove what we are about to look for.
        let _hold = self.hold()?;
        let index: Vec<String> = self.db.read(|connection| {
            connection.prepare("PRAGMA integrity_check")?.query_map([], |row| row.get(0))?.collect()
        })?;
        let entries = self.entries()?;
        let mut expected: BTreeMap<Digest, (u64, Stamp)> = BTreeMap::new();
        for entry in &entries {
            for (output, stamp) in entry.manifest.outputs.values().zip(&entry.stamps) {
                expected.insert(output.digest, (output.size, *stamp));
            }
        }
        let wrong = self.wrong_blobs(&expected);
        let mut report = VerifyReport {
            manifests: entries.len() as u64,
            blobs: expected.len() as u64,
            bytes: expected.values().map(|(size, _)| size).sum(),
            orphans: self.blob_files()?.iter().filter(|(digest, _)| !expected.contains_key(digest)).count() as u64,
            index: index.into_iter().filter(|line| line != "ok").collect(),
            ..VerifyReport::default()
        };
        for manifest in entries.into_iter().map(|entry| entry.manifest) {
            for (port, output) in manifest.outputs {
                if let Some(what) = wrong.get(&output.digest) {
                    report.damaged.push(Damage {
                        workflow: manifest.workflow.clone(),
                        stage: manifest.stage.clone(),
                        port,
                        key: manifest.key,
                        digest: output.digest,
                        what: what.clone(),
                    });
                }
            }
        }
        report
            .damaged
            .sort_by(|a, b| (&a.workflow, &a.stage, &a.port, a.key).cmp(&(&b.workflow, &b.stage, &b.port, b.key)));
        if repair {
            for digest in wrong.keys() {
                if let Some((_, stamp)) = expected.get(digest) {
                    self.forget_blob(*digest, *stamp)?;
                }
            }
            report.repaired = !wrong.is_empty();
        }
        Ok(report)
    }

    /// What is wrong with each blob that is not as expected.
    fn wrong_blobs(&self, expected: &BTreeMap<Digest, (u64, Stamp)>) -> HashMap<Digest, String> {
        let queue = Mutex::new(expected.iter());
        let wrong = Mutex::new(HashMap::new());
        let work = || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((digest, (size, _))) = next else { return };
                if let Some(what) = self.wrong_blob(*digest, *size) {
                    wrong.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest, what);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
                scope.spawn(work);
            }
        });
        wrong.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong_blob(&self, digest: Digest, size: u64) -> Option<String> {
        let path = self.blob_path(digest);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some("is missing".to_owned()),
            Err(error) => return Some(format!("cannot be read: {error}")),
            Ok(metadata) if metadata.len() != size => {
                return Some(format!("has {} bytes instead of {size}", metadata.len()));
            }
            Ok(_) => {}
        }
        match digest_file(&path) {
            Ok(found) if found == digest => None,
            Ok(_) => Some("does not have its digest".to_owned()),
            Err(error) => Some(format!("cannot be read: {error}")),
        }
    }
}
