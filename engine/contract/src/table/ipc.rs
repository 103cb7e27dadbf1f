//! Tables at rest: uncompressed Arrow IPC files, which are read back by mapping them.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Write};
use std::sync::Arc;

use polars_arrow::array::{Array, BinaryViewArrayGeneric, BooleanArray, PrimitiveArray, View, ViewType};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowSchema, Field, Metadata, PhysicalType};
use polars_arrow::io::ipc::read::{Dictionaries, read_file_metadata};
use polars_arrow::io::ipc::write::common_sync::{push_footer, push_magic, push_message};
use polars_arrow::io::ipc::write::{EncodedDataBytes, default_ipc_fields, schema_to_bytes};
use polars_arrow::mmap::mmap_unchecked;
use polars_arrow::types::{NativeType, PrimitiveType};
use polars_arrow_format::ipc;

use super::canonical::with_number;
use super::{Table, TableColumn};
use crate::{Bytes, DecodeError};

/// Buffers begin at multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// The key of a personal column's mark in its field's metadata.
const PERSONAL: &str = "stagewright.personal";

/// What stands before and after the values of a canonical table. (polars' `FileWriter` gives the same bytes, but copies
/// all values into one buffer first.)
pub(crate) fn frame(table: &Table) -> (Vec<u8>, Vec<u8>) {
    let schema = ArrowSchema::from_iter(table.columns.iter().map(|column| {
        let field = Field::new(column.name.as_str().into(), column.dtype.clone(), true);
        if table.is_personal(&column.name) {
            field.with_metadata(Metadata::from([(PERSONAL.into(), "true".into())]))
        } else {
            field
        }
    }));
    let fields = default_ipc_fields(schema.iter_values());
    let message = |bytes: Vec<u8>| EncodedDataBytes { ipc_message: bytes.into(), ..EncodedDataBytes::default() };

    let mut head = Vec::new();
    let mut offset = push_magic(&mut head, true);
    offset += push_message(&mut head, message(schema_to_bytes(&schema, &fields, None))).0;
    let (batch, body) = record_batch(table);
    let meta = push_message(&mut head, message(batch)).0;
    let block = ipc::Block { offset: offset as i64, meta_data_length: meta as i32, body_length: body as i64 };
    let mut tail = Vec::new();
    push_footer(&mut tail, &schema, &fields, Vec::new(), vec![block], None, None);
    push_magic(&mut tail, false);
    (head.concat(), tail.concat())
}

/// Writes a canonical table once.
pub(super) fn write(table: &Table, writer: &mut impl Write) -> io::Result<()> {
    let (head, tail) = frame(table);
    writer.write_all(&head)?;
    write_values(table, writer)?;
    writer.write_all(&tail)
}

/// Writes the values of a canonical table, each buffer from where it is.
pub(crate) fn write_values(table: &Table, writer: &mut impl Write) -> io::Result<()> {
    arrays(table).try_for_each(|array| {
        each_buffer(array, &mut |bytes| {
            writer.write_all(bytes)?;
            writer.write_all(&[0; ALIGNMENT][..bytes.len().next_multiple_of(ALIGNMENT) - bytes.len()])
        })
    })
}

fn arrays(table: &Table) -> impl Iterator<Item = &dyn Array> {
    table.columns.iter().flat_map(|column| &column.chunks).map(|array| &**array)
}

/// The message that says where the buffers of each column are in the body that follows, and the length of that body.
fn record_batch(table: &Table) -> (Vec<u8>, usize) {
    let mut nodes = Vec::with_capacity(table.columns.len());
    let mut buffers = Vec::new();
    let mut data_buffers = Vec::new();
    let mut body = 0;
    for array in arrays(table) {
        nodes.push(ipc::FieldNode { length: array.len() as i64, null_count: array.null_count() as i64 });
        let before = buffers.len();
        let done = each_buffer(array, &mut |bytes| {
            buffers.push(ipc::Buffer { offset: body as i64, length: bytes.len() as i64 });
            body += bytes.len().next_multiple_of(ALIGNMENT);
            Ok(())
        });
        debug_assert!(done.is_ok(), "nothing is written");
        if matches!(array.dtype().to_physical_type(), PhysicalType::Utf8View | PhysicalType::BinaryView) {
            // All but the validity and the views.
            data_buffers.push((buffers.len() - before - 2) as i64);
        }
    }
    let message = ipc::Message {
        version: ipc::MetadataVersion::V5,
        header: Some(ipc::MessageHeader::RecordBatch(Box::new(ipc::RecordBatch {
            length: table.rows as i64,
            nodes: Some(nodes),
            buffers: Some(buffers),
            compression: None,
            variadic_buffer_counts: Some(data_buffers).filter(|counts| !counts.is_empty()),
        }))),
        body_length: body as i64,
        custom_metadata: None,
    };
    (ipc::planus::Builder::new().finish(&message, None).to_vec(), body)
}

/// Shows the buffers of a canonical array in the order of the format.
fn each_buffer(array: &dyn Array, show: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    match array.dtype().to_physical_type() {
        PhysicalType::Boolean => {
            let Some(array) = array.as_any().downcast_ref::<BooleanArray>() else { return Ok(()) };
            bits(array.validity(), show)?;
            bits(Some(array.values()), show)
        }
        PhysicalType::Primitive(primitive) => {
            with_number!(primitive, |T| numbers::<T>(array, show), else Ok(()))
        }
        PhysicalType::Utf8View => views::<str>(array, show),
        PhysicalType::BinaryView => views::<[u8]>(array, show),
        // Nulls have no buffers; other types have no canonical form.
        _ => Ok(()),
    }
}

fn numbers<T: NativeType>(array: &dyn Array, show: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let Some(array) = array.as_any().downcast_ref::<PrimitiveArray<T>>() else { return Ok(()) };
    bits(array.validity(), show)?;
    show(bytemuck::cast_slice(array.values()))
}

fn views<T: ViewType + ?Sized>(array: &dyn Array, show: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let Some(array) = array.as_any().downcast_ref::<BinaryViewArrayGeneric<T>>() else { return Ok(()) };
    bits(array.validity(), show)?;
    show(bytemuck::cast_slice::<View, u8>(array.views()))?;
    array.data_buffers().iter().try_for_each(|buffer| show(buffer))
}

/// Bits from the first of a byte on, as those of a canonical array are; a missing validity is an empty buffer.
fn bits(bits: Option<&Bitmap>, show: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    show(bits.map_or(&[], |bits| bits.as_slice().0))
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
