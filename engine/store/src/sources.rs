//! Digests of the files that workflows read, remembered as long as the files are not touched.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use stagewright_contract::Digest;

use crate::blobs::digest_file;
use crate::db::{self, Survives};
use crate::{Stamp, Store, StoreError};

/// A file changed within this time before it was looked at may change again without another time of change: clocks of
/// file systems tick in steps of up to two seconds.
const SETTLED_MS: i64 = 2_000;

/// What a source file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDigest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

impl Store {
    /// The digest of a source file. A file that has not been touched since it was last digested is not read again.
    ///
    /// # Errors
    /// When the file cannot be read, or changes while it is.
    pub fn source_digest(&self, path: &Path) -> Result<SourceDigest, StoreError> {
        let path = std::path::absolute(path).map_err(StoreError::io("find", path))?;
        let look = || fs::metadata(&path).map_err(StoreError::io("read", &path));
        let mut metadata = look()?;
        if let Some(known) = self.known_source(&path, &metadata)? {
            return Ok(known);
        }
        for _ in 0..3 {
            let digest = digest_file(&path).map_err(StoreError::io("read", &path))?;
            let looked = crate::now();
            let after = look()?;
            if (after.len(), Stamp::of(&after)) == (metadata.len(), Stamp::of(&metadata)) {
                let found = SourceDigest { digest, size: after.len() };
                self.remember_source(&path, found, Stamp::of(&after), looked)?;
                return Ok(found);
            }
            metadata = after;
        }
        Err(StoreError::SourceChanging(path))
    }

    /// Whether a source file still holds what it held, to be asked after a stage that read it. The file is read again
    /// only where its times leave room for doubt.
    ///
    /// # Errors
    /// When the file cannot be read; a file that is gone has changed.
    pub fn verify_source(&self, path: &Path, expected: SourceDigest) -> Result<bool, StoreError> {
        match self.source_digest(path) {
            Ok(found) => Ok(found == expected),
            Err(StoreError::SourceChanging(_)) => Ok(false),
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn known_source(&self, path: &Path, metadata: &Metadata) -> Result<Option<SourceDigest>, StoreError> {
        let stamp = Stamp::of(metadata);
        self.db.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT digest, size FROM sources
                     WHERE path = ? AND size = ? AND mtime = ? AND ctime = ? AND inode = ?",
                )?
                .query_row(
                    params![
                        path.as_os_str().as_bytes(),
                        metadata.len().cast_signed(),
                        stamp.mtime,
                        stamp.ctime,
                        stamp.inode_bits()
                    ],
                    |row| Ok(SourceDigest { digest: db::digest(row, 0)?, size: db::count(row, 1)? }),
                )
                .optional()
        })
    }

    /// Remembers a digest, unless the file was changed so shortly before `looked` that its times cannot be trusted.
    fn remember_source(&self, path: &Path, found: SourceDigest, stamp: Stamp, looked: i64) -> Result<(), StoreError> {
        let changed = stamp.mtime.max(stamp.ctime) / 1_000_000;
        if looked.saturating_sub(changed) <= SETTLED_MS {
            return Ok(());
        }
        self.db.write(Survives::Kill, |transaction| {
            transaction.prepare_cached("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?, ?)")?.execute(params![
                path.as_os_str().as_bytes(),
                found.size.cast_signed(),
                stamp.mtime,
                stamp.ctime,
                stamp.inode_bits(),
                found.digest.as_bytes()
            ])
        })?;
        Ok(())
    }
}
