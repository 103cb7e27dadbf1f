//! The index: a SQLite database.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use stagewright_contract::Digest;

use crate::StoreError;

/// The version of the schema below, kept in `user_version`.
///
/// History: 1 – the first; 2 – the ledger.
const FORMAT: i64 = 2;

/// `sgwr`: tells our databases from anybody else's.
const APPLICATION: i64 = 0x7367_7772;

const SCHEMA: &str = "
-- What executing a stage gave.
CREATE TABLE manifests (
    key BLOB PRIMARY KEY,
    stage_type TEXT NOT NULL,
    workflow TEXT NOT NULL,
    stage TEXT NOT NULL,
    seconds REAL NOT NULL,
    created INTEGER NOT NULL,
    warnings TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE outputs (
    key BLOB NOT NULL,
    port TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest BLOB NOT NULL,
    rows INTEGER,
    schema TEXT,
    PRIMARY KEY (key, port)
) STRICT, WITHOUT ROWID;
CREATE INDEX outputs_by_digest ON outputs (digest);
-- The blobs that manifests name, as their files were when last known to be good.
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL,
    inode INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The named fields of stage keys, of stages that failed too.
CREATE TABLE key_fields (
    key BLOB PRIMARY KEY,
    fields TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Digests of source files, by path.
CREATE TABLE sources (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- How often manifests were forgotten: whoever remembers that some were there can see that none has gone since.
CREATE TABLE forgotten (count INTEGER NOT NULL) STRICT;
INSERT INTO forgotten VALUES (0);
CREATE TRIGGER manifest_forgotten AFTER DELETE ON manifests BEGIN
    UPDATE forgotten SET count = count + 1;
END;
-- The journal.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    workflow_path TEXT NOT NULL,
    args TEXT NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER,
    status TEXT,
    record TEXT,
    -- The earlier run that this one found nothing changed since: its record and its keys are this one's too.
    same_as TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_workflow ON runs (workflow_path, id);
CREATE TABLE run_keys (
    run TEXT NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    variant TEXT NOT NULL,
    key BLOB,
    data TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
";

/// What format 2 adds to format 1.
const LEDGER: &str = "
-- Answers that were paid for, and whom they are about.
CREATE TABLE ledger (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_subjects (
    subject TEXT NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (subject, key)
) STRICT, WITHOUT ROWID;
";

/// What a committed write survives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// The end of this process, however it comes.
    Kill,
    /// The end of power too.
    PowerLoss,
}

/// Two connections: readers of this process do not wait for the disk with its writer. The second is opened when the
/// first is busy for the first time; a run that finds nothing changed does without.
pub(crate) struct Db {
    path: PathBuf,
    reader: Mutex<Option<Connection>>,
    writer: Mutex<Connection>,
}

impl Db {
    /// Opens the database at `path`, and makes it, in the folder `tmp` first, where there is none.
    pub(crate) fn open(path: PathBuf, tmp: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            create(&path, tmp)?;
        }
        let failed = |error| failure(&path, error);
        let mut writer = connect(&path).map_err(failed)?;
        let format = check_format(&writer, &path)?;
        if writer.is_readonly("main").map_err(failed)? {
            return Err(StoreError::ReadOnly { path });
        }
        if format < FORMAT {
            upgrade(&mut writer).map_err(failed)?;
        }
        Ok(Self { reader: Mutex::new(None), writer: Mutex::new(writer), path })
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || match (&mut *reader, self.writer.try_lock()) {
            (Some(reader), _) => work(reader),
            (None, Ok(writer)) => work(&writer),
            (none, Err(_)) => work(none.insert(connect(&self.path)?)),
        };
        run().map_err(|error| failure(&self.path, error))
    }

    /// Writes what the write-ahead log holds into the database, and empties it.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| failure(&self.path, error))
    }

    /// Does all of `work` or, where it fails, nothing.
    pub(crate) fn write<T>(
        &self,
        survives: Survives,
        work: impl FnOnce(&Transaction) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut writer = lock(&self.writer);
        let run = || {
            let level = if survives == Survives::PowerLoss { "FULL" } else { "NORMAL" };
            writer.pragma_update(None, "synchronous", level)?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(|error| failure(&self.path, error))
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic cut short was rolled back when it was dropped.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise SQLite plans a join anew for each value bound to it: that takes longer than the lookup.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Makes a database that is complete, with its journal mode, before anybody can see it: SQLite does not wait its turn
/// while the mode is being changed. Of several that are made at once, one stays.
fn create(path: &Path, tmp: &Path) -> Result<(), StoreError> {
    let file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(tmp)
        .map_err(StoreError::io("create a file in", tmp))?;
    let fill = || {
        let mut connection = connect(file.path())?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(LEDGER)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|error| failure(path, error))?;
    match file.persist_noclobber(path) {
        Err(error) if !path.exists() => Err(StoreError::io("create", path)(error.error)),
        _ => Ok(()),
    }
}

/// Brings a database of an earlier format up to date, unless somebody else has just done so.
fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? < FORMAT {
        transaction.execute_batch(LEDGER)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()
}

/// The format of a database that is ours.
fn check_format(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|error| failure(path, error))
    };
    if pragma("application_id")? != APPLICATION {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            what: "it is the database of another program, or empty".to_owned(),
        });
    }
    let found = pragma("user_version")?;
    if found > FORMAT {
        let path = path.parent().unwrap_or(path).to_owned();
        return Err(StoreError::Newer { path, found, known: FORMAT });
    }
    Ok(found)
}

/// Says of an error of SQLite what a person can do about it.
fn failure(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    let unreadable =
        matches!(error, rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..));
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Corrupt { path, what: "it is not a database".to_owned() },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt { path, what: "it is damaged".to_owned() },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly { path }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
        _ if unreadable => StoreError::Corrupt { path, what: format!("it is damaged: {error}") },
        _ => StoreError::Database { path, source: error },
    }
}

/// A column that holds a number which is never negative.
pub(crate) fn count(row: &rusqlite::Row, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// A digest from a column.
pub(crate) fn digest(row: &rusqlite::Row, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; 32]>(column).map(Digest::from_bytes)
}

/// A column of JSON; `None` where it is null.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &rusqlite::Row, column: usize) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| unreadable(column, error))
}

/// The error of a column that does not hold what we wrote there.
pub(crate) fn unreadable(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}
