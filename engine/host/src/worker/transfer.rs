//! Artifacts between the processes: files that are mapped on the way in, and read and checked on the way out.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use polars_arrow::array::new_empty_array;
use polars_arrow::datatypes::ArrowSchema;
use polars_arrow::io::ipc::read::{FileReader, read_file_metadata};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatch;
use rustix::fs::MemfdFlags;
use stagewright_contract::{Artifact, Bytes, Kind, Table, TableColumn};

use crate::arrow;

/// A file in memory that has no name.
pub(super) fn memory_file(name: &str) -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?))
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
/// file is taken on trust: it is copied and checked, not mapped.
pub(super) fn read(kind: Kind, file: &mut File) -> Result<Artifact, String> {
    file.rewind().map_err(|error| error.to_string())?;
    if kind != Kind::Table {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        return Artifact::decode(kind, Bytes::new(bytes)).map_err(|error| error.to_string());
    }
    read_table(file).map(Artifact::from)
}

/// Reads a table from an Arrow IPC file that somebody else wrote, and takes nothing about it on trust.
///
/// # Errors
/// What of it is no table that can be stored.
pub fn read_table(file: &mut File) -> Result<Table, String> {
    let mut magic = [0; 6];
    let is_arrow = file.rewind().and_then(|()| file.read_exact(&mut magic)).is_ok() && &magic == b"ARROW1";
    if !is_arrow {
        return Err("it is no Arrow IPC file".to_owned());
    }
    // The reader panics on some files that are no tables.
    catch_unwind(AssertUnwindSafe(|| table(file))).unwrap_or_else(|_| Err("it is no Arrow IPC file".to_owned()))
}

fn table(file: &mut File) -> Result<Table, String> {
    let metadata = read_file_metadata(file).map_err(|error| error.to_string())?;
    let schema = metadata.schema.clone();
    let mut columns: Vec<TableColumn> = schema
        .iter_values()
        .map(|field| TableColumn { name: field.name.to_string(), dtype: field.dtype.clone(), chunks: Vec::new() })
        .collect();
    for batch in FileReader::new(file, metadata, None, None) {
        let batch = batch.map_err(|error| error.to_string())?;
        for (column, array) in columns.iter_mut().zip(batch.into_arrays()) {
            column.chunks.push(array);
        }
    }
    let personal: Vec<&str> = schema
        .iter_values()
        .filter(|field| field.metadata.as_ref().is_some_and(|metadata| metadata.contains_key(arrow::PERSONAL)))
        .map(|field| field.name.as_str())
        .collect();
    for column in columns.iter_mut().filter(|column| column.chunks.is_empty()) {
        column.chunks.push(new_empty_array(column.dtype.clone()));
    }
    arrow::stored(columns, &personal)
}
