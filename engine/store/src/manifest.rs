//! Manifests: which blobs a stage key gave.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use stagewright_contract::{Artifact, ColumnInfo, Digest, Kind};

use crate::blobs::digest_file;
use crate::db::{self, Survives};
use crate::{Blob, Stamp, Store, StoreError};

/// What executing a stage gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The stage key.
    pub key: Digest,
    /// The stage type.
    pub stage_type: String,
    /// The name of the workflow that computed it first.
    pub workflow: String,
    /// The name of the stage there.
    pub stage: String,
    /// How long it took.
    pub seconds: f64,
    /// When it was published, in milliseconds since 1970.
    pub created: i64,
    /// What the stage warned of.
    pub warnings: Vec<String>,
    /// The outputs by port.
    pub outputs: BTreeMap<String, Output>,
}

/// One output of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What it is.
    pub kind: Kind,
    /// The blob that holds it.
    pub digest: Digest,
    /// The size of the blob in bytes.
    pub size: u64,
    /// The number of rows, of a table.
    pub rows: Option<u64>,
    /// The columns, of a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<ColumnInfo>,
}

impl Output {
    /// What there is to say about an artifact of which the canonical bytes have this digest and number.
    pub fn of(artifact: &Artifact, digest: Digest, size: u64) -> Self {
        Self {
            kind: artifact.kind(),
            digest,
            size,
            rows: artifact.rows(),
            schema: match artifact {
                Artifact::Table(table) => table.schema(),
                Artifact::Metrics(_) | Artifact::Model(_) | Artifact::Figure(_) | Artifact::Files(_) => Vec::new(),
            },
        }
    }
}

/// What executing a stage gave, ready to be published.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// What it gave.
    pub manifest: &'a Manifest,
    /// The named fields of its key, for `explain`; none where they are recorded already.
    pub fields: &'a [(String, String)],
    /// The blobs of its outputs.
    pub blobs: &'a [Blob],
}

impl Made<'_> {
    fn write(&self, transaction: &Transaction) -> rusqlite::Result<()> {
        let Self { manifest, fields, blobs } = self;
        let key = manifest.key.as_bytes();
        for Blob { digest, size, stamp, .. } in *blobs {
            transaction.prepare_cached("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?)")?.execute(params![
                digest.as_bytes(),
                size.cast_signed(),
                stamp.mtime,
                stamp.ctime,
                stamp.inode_bits()
            ])?;
        }
        let warnings = match manifest.warnings.as_slice() {
            [] => None,
            warnings => Some(to_json(&warnings)?),
        };
        transaction.prepare_cached("INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(
            params![
                key,
                manifest.stage_type,
                manifest.workflow,
                manifest.stage,
                manifest.seconds.max(0.0),
                manifest.created,
                warnings
            ],
        )?;
        transaction.prepare_cached("DELETE FROM outputs WHERE key = ?")?.execute([key])?;
        for (port, output) in &manifest.outputs {
            let schema = match output.schema.as_slice() {
                [] => None,
                schema => Some(to_json(&schema)?),
            };
            transaction.prepare_cached("INSERT INTO outputs VALUES (?, ?, ?, ?, ?, ?)")?.execute(params![
                key,
                port,
                output.kind.name(),
                output.digest.as_bytes(),
                output.rows.map(u64::cast_signed),
                schema
            ])?;
        }
        if fields.is_empty() { Ok(()) } else { write_fields(transaction, manifest.key, fields) }
    }
}

/// A stage that was executed: what its manifest says without its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// The stage key.
    pub key: Digest,
    /// The name of the stage.
    pub stage: String,
    /// Its type.
    pub stage_type: String,
    /// How long it took.
    pub seconds: f64,
}

/// What the store knows of a stage key.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// The stage was computed, and every blob is there.
    Hit(Manifest),
    /// The stage was not computed.
    Miss,
    /// The stage was computed but a blob is gone or changed. The store has forgotten the manifest: compute it again.
    Damaged {
        /// Which and how, in one sentence.
        what: String,
    },
}

/// A manifest with the stamps of its blobs, in the order of its outputs.
pub(crate) struct Entry {
    pub(crate) manifest: Manifest,
    pub(crate) stamps: Vec<Stamp>,
}

/// Completed by which manifests and in what order.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.key, m.stage_type, m.workflow, m.stage, m.seconds, m.created, m.warnings,
             o.port, o.kind, o.digest, o.rows, o.schema, b.size, b.mtime, b.ctime, b.inode
             FROM manifests m LEFT JOIN outputs o ON o.key = m.key LEFT JOIN blobs b ON b.digest = o.digest ",
            $rest
        )
    };
}

impl Store {
    /// Records what stages gave, once their blobs are in place: all of it or nothing. Publishing a key again replaces
    /// what was known.
    ///
    /// # Errors
    /// A bug when an output is not among the blobs; otherwise when the index cannot be written.
    pub fn publish(&self, made: &[Made<'_>]) -> Result<(), StoreError> {
        for Made { manifest, blobs, .. } in made {
            let in_place =
                |output: &Output| blobs.iter().any(|blob| blob.digest == output.digest && blob.size == output.size);
            if let Some((port, _)) = manifest.outputs.iter().find(|(_, output)| !in_place(output)) {
                let stage = &manifest.stage;
                return Err(StoreError::Bug(format!("output `{port}` of `{stage}` is published without its blob")));
            }
        }
        self.db.write(Survives::PowerLoss, |transaction| made.iter().try_for_each(|made| made.write(transaction)))
    }

    /// Looks a stage key up. Every blob of a hit is there and, as far as one `stat` can tell, what was stored.
    ///
    /// # Errors
    /// When the index or a blob's folder cannot be read.
    pub fn lookup(&self, key: Digest) -> Result<Lookup, StoreError> {
        loop {
            let Some(Entry { manifest, stamps }) = self.entry(key)? else { return Ok(Lookup::Miss) };
            let Some((port, output, stamp, what)) = self.first_damaged(&manifest, &stamps)? else {
                return Ok(Lookup::Hit(manifest));
            };
            // Otherwise somebody stored or removed it since we read the manifest: look again.
            if self.forget_blob(output.digest, stamp)? {
                let (stage, blob) = (&manifest.stage, output.digest.short());
                return Ok(Lookup::Damaged { what: format!("output `{port}` of `{stage}`: blob `{blob}` {what}") });
            }
        }
    }

    /// The manifest of a stage key, without a look at its blobs.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn manifest(&self, key: Digest) -> Result<Option<Manifest>, StoreError> {
        Ok(self.entry(key)?.map(|entry| entry.manifest))
    }

    /// The stages of a workflow that were executed and whose outputs the store has, latest first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn executions(&self, workflow: &str, limit: usize) -> Result<Vec<Execution>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT key, stage, stage_type, seconds FROM manifests WHERE workflow = ?
                     ORDER BY created DESC, key LIMIT ?",
                )?
                .query_map(params![workflow, limit], |row| {
                    Ok(Execution {
                        key: db::digest(row, 0)?,
                        stage: row.get(1)?,
                        stage_type: row.get(2)?,
                        seconds: row.get(3)?,
                    })
                })?
                .collect()
        })
    }

    /// How often the store has forgotten manifests: while the number stays, every manifest that was there still is.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn forgotten(&self) -> Result<u64, StoreError> {
        self.db.read(|connection| connection.query_row("SELECT count FROM forgotten", [], |row| db::count(row, 0)))
    }

    /// The size of a blob and its file's stamp when its bytes were last known to be right; `None` for an unknown one.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn blob_stamp(&self, digest: Digest) -> Result<Option<(u64, Stamp)>, StoreError> {
        self.db.read(|connection| {
            connection
                .prepare_cached("SELECT size, mtime, ctime, inode FROM blobs WHERE digest = ?")?
                .query_row([digest.as_bytes()], |row| Ok((db::count(row, 0)?, Stamp::from_row(row, 1)?)))
                .optional()
        })
    }

    /// Records the named fields of the key of a stage that failed, so that it can be explained.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn record_fields(&self, key: Digest, fields: &[(String, String)]) -> Result<(), StoreError> {
        self.db.write(Survives::Kill, |transaction| write_fields(transaction, key, fields))
    }

    /// The named fields of a stage key, in the order they were recorded.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn key_fields(&self, key: Digest) -> Result<Option<Vec<(String, String)>>, StoreError> {
        let fields = self.db.read(|connection| {
            connection
                .prepare_cached("SELECT fields FROM key_fields WHERE key = ?")?
                .query_row([key.as_bytes()], |row| db::json(row, 0))
                .optional()
        })?;
        Ok(fields.flatten())
    }

    fn entry(&self, key: Digest) -> Result<Option<Entry>, StoreError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(select!("WHERE m.key = ? ORDER BY o.port"))?;
            let mut rows = statement.query([key.as_bytes()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let mut entry = first(row)?;
            add_output(&mut entry, row)?;
            while let Some(row) = rows.next()? {
                add_output(&mut entry, row)?;
            }
            Ok(Some(entry))
        })
    }

    /// Every manifest.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare(select!("ORDER BY m.key, o.port"))?;
            let mut rows = statement.query([])?;
            let mut entries: Vec<Entry> = Vec::new();
            while let Some(row) = rows.next()? {
                let key = db::digest(row, 0)?;
                match entries.last_mut() {
                    Some(entry) if entry.manifest.key == key => add_output(entry, row)?,
                    _ => {
                        let mut entry = first(row)?;
                        add_output(&mut entry, row)?;
                        entries.push(entry);
                    }
                }
            }
            Ok(entries)
        })
    }

    /// The first output whose blob is not as it was when its stamp was taken, and what is wrong with it.
    fn first_damaged<'a>(
        &self,
        manifest: &'a Manifest,
        stamps: &[Stamp],
    ) -> Result<Option<(&'a str, &'a Output, Stamp, String)>, StoreError> {
        for ((port, output), stamp) in manifest.outputs.iter().zip(stamps) {
            if let Err(what) = self.check(output, *stamp)? {
                return Ok(Some((port, output, *stamp, what)));
            }
        }
        Ok(None)
    }

    /// Whether an output's blob is as it was when its stamp was taken; what is wrong otherwise.
    fn check(&self, output: &Output, stamp: Stamp) -> Result<Result<(), String>, StoreError> {
        let path = self.blob_path(output.digest);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err("is missing".to_owned())),
            Err(error) => return Err(StoreError::io("look at", &path)(error)),
        };
        if metadata.len() != output.size {
            return Ok(Err(format!("has {} bytes instead of {}", metadata.len(), output.size)));
        }
        let found = Stamp::of(&metadata);
        if found == stamp {
            return Ok(Ok(()));
        }
        // Touched, copied or changed: its bytes tell. A change after the stamp was taken gives it another stamp again.
        match digest_file(&path) {
            Ok(digest) if digest == output.digest => {}
            Ok(_) => return Ok(Err("does not have its digest".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(StoreError::io("read", &path)(error));
            }
            Err(error) => return Ok(Err(format!("cannot be read: {error}"))),
        }
        self.db.write(Survives::Kill, |transaction| {
            transaction.execute(
                "UPDATE blobs SET mtime = ?, ctime = ?, inode = ? WHERE digest = ?",
                params![found.mtime, found.ctime, found.inode_bits(), output.digest.as_bytes()],
            )
        })?;
        Ok(Ok(()))
    }

    /// Forgets a damaged blob and the manifests that name it, unless it was stored anew since its stamp was taken; says
    /// whether it did. The file stays until it is replaced or `gc` finds it: somebody may be storing it anew right now.
    pub(crate) fn forget_blob(&self, digest: Digest, stamp: Stamp) -> Result<bool, StoreError> {
        self.db.write(Survives::Kill, |transaction| {
            let forgotten = transaction.execute(
                "DELETE FROM blobs WHERE digest = ? AND mtime = ? AND ctime = ? AND inode = ?",
                params![digest.as_bytes(), stamp.mtime, stamp.ctime, stamp.inode_bits()],
            )?;
            if forgotten > 0 {
                // Manifests first: `outputs` says which.
                for table in ["manifests", "outputs"] {
                    let named = "(SELECT key FROM outputs WHERE digest = ?)";
                    transaction.execute(&format!("DELETE FROM {table} WHERE key IN {named}"), [digest.as_bytes()])?;
                }
            }
            Ok(forgotten > 0)
        })
    }
}

fn first(row: &Row) -> rusqlite::Result<Entry> {
    let manifest = Manifest {
        key: db::digest(row, 0)?,
        stage_type: row.get(1)?,
        workflow: row.get(2)?,
        stage: row.get(3)?,
        seconds: row.get(4)?,
        created: row.get(5)?,
        warnings: db::json(row, 6)?.unwrap_or_default(),
        outputs: BTreeMap::new(),
    };
    Ok(Entry { manifest, stamps: Vec::new() })
}

/// Adds the output of a row, if the stage has any.
fn add_output(entry: &mut Entry, row: &Row) -> rusqlite::Result<()> {
    let Some(port) = row.get::<_, Option<String>>(7)? else { return Ok(()) };
    let kind = match row.get_ref(8)?.as_str()? {
        "table" => Kind::Table,
        "metrics" => Kind::Metrics,
        "model" => Kind::Model,
        "figure" => Kind::Figure,
        "files" => Kind::Files,
        other => return Err(db::unreadable(8, format!("unknown kind of artifact `{other}`"))),
    };
    let output = Output {
        kind,
        digest: db::digest(row, 9)?,
        size: db::count(row, 12)?,
        rows: row.get::<_, Option<i64>>(10)?.map(i64::cast_unsigned),
        schema: db::json(row, 11)?.unwrap_or_default(),
    };
    entry.manifest.outputs.insert(port, output);
    entry.stamps.push(Stamp::from_row(row, 13)?);
    Ok(())
}

fn write_fields(transaction: &Transaction, key: Digest, fields: &[(String, String)]) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO key_fields VALUES (?, ?)")?
        .execute(params![key.as_bytes(), to_json(&fields)?])?;
    Ok(())
}

pub(crate) fn to_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
