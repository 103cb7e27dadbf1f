use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use rusqlite::Row;

/// What tells, for the price of one `stat`, that a file is still the one that was looked at. Any write changes the time
/// of change, which programs cannot set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Modification time, in nanoseconds since 1970.
    pub mtime: i64,
    /// Time of the last change of the file or of its metadata, in nanoseconds since 1970.
    pub ctime: i64,
    /// The file's number in its file system.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
        Self {
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// The inode as SQLite keeps integers.
    pub(crate) const fn inode_bits(&self) -> i64 {
        self.inode.cast_signed()
    }

    /// Reads the columns `mtime, ctime, inode` from `first` on.
    pub(crate) fn from_row(row: &Row, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            mtime: row.get(first)?,
            ctime: row.get(first + 1)?,
            inode: row.get::<_, i64>(first + 2)?.cast_unsigned(),
        })
    }
}
