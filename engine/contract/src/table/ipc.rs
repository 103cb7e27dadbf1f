//! Tables at rest: uncompressed Arrow IPC files, which are read back by mapping them.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Write};
use std::sync::Arc;

use polars_arrow::datatypes::{ArrowSchema, Field, Metadata};
use polars_arrow::io::ipc::read::{Dictionaries, read_file_metadata};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::mmap::mmap_unchecked;
use polars_arrow::record_batch::RecordBatch;

use super::canonical::canonical;
use super::{Table, TableColumn};
use crate::{Bytes, DecodeError};

/// The key of a personal column's mark in its field's metadata.
const PERSONAL: &str = "stagewright.personal";

pub(super) fn encode(table: &Table, writer: &mut impl Write) -> io::Result<()> {
    let mut arrays = Vec::with_capacity(table.columns.len());
    let mut fields = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        arrays.push(canonical(column)?);
        let field = Field::new(column.name.as_str().into(), column.dtype.clone(), true);
        fields.push(if table.is_personal(&column.name) {
            field.with_metadata(Metadata::from([(PERSONAL.into(), "true".into())]))
        } else {
            field
        });
    }
    let schema = Arc::new(ArrowSchema::from_iter(fields));
    let batch = RecordBatch::try_new(table.rows, Arc::clone(&schema), arrays).map_err(invalid)?;
    let mut file = FileWriter::try_new(writer, schema, None, WriteOptions { compression: None }).map_err(invalid)?;
    file.write(&batch, None).map_err(invalid)?;
    file.finish().map_err(invalid)
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

pub(super) fn decode(bytes: Bytes) -> Result<Table, DecodeError> {
    let bad = |what: &dyn std::fmt::Display| DecodeError(format!("not a table artifact: {what}"));
    let metadata = read_file_metadata(&mut Cursor::new(bytes.as_ref())).map_err(|error| bad(&error))?;
    let [_] = metadata.blocks.as_slice() else {
        return Err(bad(&format!("{} record batches instead of one", metadata.blocks.len())));
    };
    // SAFETY: mapping does not check that offsets are in bounds and text is UTF-8. The bytes were written by `encode`
    // from valid arrays and are immutable: the store verifies their digest before it hands them out and keeps blobs
    // read-only.
    #[allow(unsafe_code)]
    let batch = unsafe { mmap_unchecked(&metadata, &Dictionaries::default(), Arc::new(bytes), 0) }
        .map_err(|error| bad(&error))?;
    let rows = batch.len();
    let mut personal = BTreeSet::new();
    let mut columns = Vec::with_capacity(metadata.schema.len());
    for (field, array) in metadata.schema.iter_values().zip(batch.into_arrays()) {
        if field.metadata.as_ref().is_some_and(|metadata| metadata.contains_key(PERSONAL)) {
            personal.insert(field.name.to_string());
        }
        columns.push(TableColumn { name: field.name.to_string(), dtype: field.dtype.clone(), chunks: vec![array] });
    }
    Ok(Table { columns, rows, personal })
}
