//! Artifacts between the processes: files that are mapped on the way in, and sealed, mapped and checked on the way out.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use polars_arrow::datatypes::ArrowSchema;
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatch;
use rustix::fs::{MemfdFlags, SealFlags};
use stagewright_contract::{Artifact, Bytes, Kind, Table};

use super::received;
use crate::arrow;

/// A file in memory that has no name.
pub(super) fn memory_file(name: &str) -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?))
}

/// An input in a file of its own, for a worker to map.
pub(super) fn written(port: &str, artifact: &Artifact) -> io::Result<File> {
    let mut file = memory_file(port)?;
    write(artifact, &mut file)?;
    Ok(file)
}

/// Writes an artifact as it lies at rest.
pub(super) fn write(artifact: &Artifact, file: &mut File) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    artifact.encode(&mut writer)?;
    writer.flush()
}

/// In the worker: writes an output for [`read`]. A table in chunks goes as it is: the canonical form is made of it once,
/// when it gets into the store. One in single pieces is written from where it lies.
pub(super) fn pass_on(artifact: &Artifact, file: &mut File) -> io::Result<()> {
    match artifact {
        Artifact::Table(table) if table.columns().iter().any(|column| column.chunks.len() > 1) => {
            write_table(table, file, true)
        }
        Artifact::Table(table) => {
            let mut writer = BufWriter::with_capacity(1 << 18, file);
            table.encode_as_it_is(&mut writer)?;
            writer.flush()
        }
        _ => write(artifact, file),
    }
}

/// Writes a table as an Arrow IPC file; text as views, or else with 64-bit offsets.
fn write_table(table: &Table, file: &mut File, string_views: bool) -> io::Result<()> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let fields = if string_views { arrow::fields(table) } else { arrow::fields_with_offsets(table) };
    let schema = Arc::new(ArrowSchema::from_iter(fields));
    let options = WriteOptions { compression: None };
    let mut writer = FileWriter::try_new(&mut *file, Arc::clone(&schema), None, options).map_err(invalid)?;
    for (rows, arrays) in arrow::batches(table) {
        let arrays = if string_views { arrays } else { arrays.into_iter().map(arrow::with_offsets).collect() };
        let batch = RecordBatch::try_new(rows, Arc::clone(&schema), arrays).map_err(invalid)?;
        writer.write(&batch, None).map_err(invalid)?;
    }
    writer.finish().map_err(invalid)
}

/// In the worker: an input as a file of this path, for a program. Only a table with text that is to have offsets is
/// written anew.
pub(super) fn lay_down(kind: Kind, mut file: File, path: &Path, string_views: bool) -> io::Result<()> {
    let mut target = File::create_new(path)?;
    if kind == Kind::Table && !string_views {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let artifact = mapped(kind, file.try_clone()?.into()).map_err(invalid)?;
        if let Artifact::Table(table) = &artifact
            && arrow::fields(table) != arrow::fields_with_offsets(table)
        {
            return write_table(table, &mut target, false);
        }
    }
    // Both sides of the connection share a position in a file.
    file.rewind()?;
    io::copy(&mut file, &mut target).map(drop)
}

/// In the worker: an input, mapped.
pub(super) fn mapped(kind: Kind, file: OwnedFd) -> Result<Artifact, String> {
    let file = File::from(file);
    // SAFETY: the file is a blob of the store, which nobody changes, or one in memory that the program wrote to the end
    // before it gave it away.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| error.to_string())?;
    Artifact::decode(kind, Bytes::new(map)).map_err(|error| error.to_string())
}

/// In the program: an output that a worker wrote. The worker's memory belonged to a plugin, so that nothing about the
/// file is taken on trust.
pub(super) fn read(kind: Kind, file: &mut File) -> Result<Artifact, String> {
    if kind == Kind::Table {
        return table_of(file).map(Artifact::from);
    }
    file.rewind().map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Artifact::decode(kind, Bytes::new(bytes)).map_err(|error| error.to_string())
}

/// The table that a worker wrote, where it lies if nobody can write there any more.
fn table_of(file: &mut File) -> Result<Table, String> {
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    // Fails while anybody has the file mapped to write to it.
    if rustix::fs::fcntl_add_seals(&*file, seals).is_err() {
        return read_table(file);
    }
    // SAFETY: the seals that the file has now keep everybody from changing its bytes and its length, for ever.
    let map = unsafe { Mmap::map(&*file) }.map_err(|error| error.to_string())?;
    received::table(Bytes::new(map))
}

/// Reads a table from an Arrow IPC file that somebody else wrote, and takes nothing about it on trust: it is copied, so
/// that nobody changes it, and checked.
///
/// # Errors
/// What of it is no table that can be stored.
pub fn read_table(file: &mut File) -> Result<Table, String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    received::table(Bytes::new(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
