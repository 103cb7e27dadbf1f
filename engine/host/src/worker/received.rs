//! Tables of another process, read where they lie. Nothing about them is taken on trust: buffers must lie within the
//! bytes and be long enough for their rows, views within their buffers, and texts must be UTF-8.

use std::error::Error;
use std::io::Cursor;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars_arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, NullArray, PrimitiveArray, Utf8Array, View, new_empty_array,
};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, PhysicalType};
use polars_arrow::io::ipc::read::{FileMetadata, read_file_metadata};
use polars_arrow::offset::{Offset, OffsetsBuffer};
use polars_arrow::types::{NativeType, PrimitiveType};
use polars_arrow_format::ipc::planus::ReadAsRoot;
use polars_arrow_format::ipc::{Block, BufferRef, FieldNodeRef, MessageHeaderRef, MessageRef};
use polars_buffer::Buffer;
use stagewright_contract::{Bytes, Table, TableColumn};

use crate::arrow;

/// What an Arrow IPC file begins with.
const MAGIC: &[u8] = b"ARROW1";
/// What stands before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The table of an Arrow IPC file, which shares its bytes where their types and their alignment let it.
///
/// # Errors
/// What of it is no table that can be stored.
pub(super) fn table(bytes: Bytes) -> Result<Table, String> {
    const NO_FILE: &str = "it is no Arrow IPC file";
    if !bytes.as_ref().starts_with(MAGIC) {
        return Err(NO_FILE.to_owned());
    }
    // What reads the schema panics on some files that are none.
    let read = catch_unwind(AssertUnwindSafe(|| columns(bytes).map_err(|error| error.to_string())));
    let (columns, personal) = read.unwrap_or_else(|_| Err(NO_FILE.to_owned()))?;
    arrow::stored(columns, &personal.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The columns of a file, and the names of those that are personal.
fn columns(bytes: Bytes) -> Result<(Vec<TableColumn>, Vec<String>)> {
    let metadata = read_file_metadata(&mut Cursor::new(bytes.as_ref()))?;
    if !metadata.ipc_schema.is_little_endian {
        return Err("its numbers are big-endian, where little-endian ones are expected".into());
    }
    let bytes = Buffer::from_owner(Trimmed(bytes));
    let mut columns = Vec::with_capacity(metadata.schema.len());
    let mut personal = Vec::new();
    for field in metadata.schema.iter_values() {
        if field.metadata.as_ref().is_some_and(|metadata| metadata.contains_key(arrow::PERSONAL)) {
            personal.push(field.name.to_string());
        }
        columns.push(TableColumn { name: field.name.to_string(), dtype: field.dtype.clone(), chunks: Vec::new() });
    }
    for block in &metadata.blocks {
        for (column, array) in columns.iter_mut().zip(batch(&metadata, &bytes, block)?) {
            column.chunks.push(array);
        }
    }
    for column in columns.iter_mut().filter(|column| column.chunks.is_empty()) {
        column.chunks.push(new_empty_array(column.dtype.clone()));
    }
    Ok((columns, personal))
}

/// A file but for its last bytes, which belong to its footer: numbers are read where they lie only if the length of all
/// bytes is a multiple of theirs.
struct Trimmed(Bytes);

impl AsRef<[u8]> for Trimmed {
    fn as_ref(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        &bytes[..bytes.len() - bytes.len() % size_of::<View>()]
    }
}

fn batch(metadata: &FileMetadata, bytes: &Buffer<u8>, block: &Block) -> Result<Vec<ArrayRef>> {
    let start = usize::try_from(block.offset)?;
    let body = start.checked_add(usize::try_from(block.meta_data_length)?).ok_or("a message is too long")?;
    let head = bytes.get(start..body).ok_or("a message is out of bounds")?;
    let head = head.strip_prefix(&CONTINUATION).unwrap_or(head);
    let (length, head) = head.split_first_chunk().ok_or("a message is cut off")?;
    let head = head.get(..usize::try_from(i32::from_le_bytes(*length))?).ok_or("a message is cut off")?;
    let Some(MessageHeaderRef::RecordBatch(batch)) = MessageRef::read_as_root(head)?.header()? else {
        return Err("a message is no record batch".into());
    };
    if batch.compression()?.is_some() {
        return Err("it is compressed: write it without compression".into());
    }
    let rows = usize::try_from(batch.length()?)?;
    let mut nodes = batch.nodes()?.into_iter().flatten();
    let mut parts = Parts {
        body: bytes.clone().sliced(body..),
        buffers: batch.buffers()?.into_iter().flatten(),
        data_buffers: batch.variadic_buffer_counts()?.into_iter().flatten(),
        rows,
    };
    let columns = metadata.schema.iter_values().map(|field| {
        let node = nodes.next().ok_or("it says nothing about its rows")?;
        if usize::try_from(node.length())? != rows {
            return Err(format!("{} rows where the batch has {rows}", node.length()).into());
        }
        parts.column(&field.dtype, node)
    });
    let named = metadata.schema.iter_values().zip(columns);
    named.map(|(field, read)| read.map_err(|error| format!("column `{}`: {error}", field.name).into())).collect()
}

/// What of a record batch was not read yet.
struct Parts<B, D> {
    body: Buffer<u8>,
    buffers: B,
    data_buffers: D,
    rows: usize,
}

impl<'a, B: Iterator<Item = BufferRef<'a>>, D: Iterator<Item = i64>> Parts<B, D> {
    fn column(&mut self, dtype: &ArrowDataType, node: FieldNodeRef<'_>) -> Result<ArrayRef> {
        use PrimitiveType as P;
        let nulls = node.null_count() != 0;
        match dtype.to_physical_type() {
            PhysicalType::Null => Ok(NullArray::try_new(dtype.clone(), self.rows)?.boxed()),
            PhysicalType::Boolean => {
                let validity = self.validity(nulls)?;
                Ok(BooleanArray::try_new(dtype.clone(), self.bits()?, validity)?.boxed())
            }
            PhysicalType::Utf8View => self.texts_in_views(nulls),
            PhysicalType::BinaryView => Ok(self.views(nulls)?.boxed()),
            PhysicalType::Utf8 => self.texts::<i32>(dtype, nulls),
            PhysicalType::LargeUtf8 => self.texts::<i64>(dtype, nulls),
            PhysicalType::Binary => self.byte_strings::<i32>(dtype, nulls),
            PhysicalType::LargeBinary => self.byte_strings::<i64>(dtype, nulls),
            PhysicalType::Primitive(P::Int8) => self.numbers::<i8>(dtype, nulls),
            PhysicalType::Primitive(P::Int16) => self.numbers::<i16>(dtype, nulls),
            PhysicalType::Primitive(P::Int32) => self.numbers::<i32>(dtype, nulls),
            PhysicalType::Primitive(P::Int64) => self.numbers::<i64>(dtype, nulls),
            PhysicalType::Primitive(P::UInt8) => self.numbers::<u8>(dtype, nulls),
            PhysicalType::Primitive(P::UInt16) => self.numbers::<u16>(dtype, nulls),
            PhysicalType::Primitive(P::UInt32) => self.numbers::<u32>(dtype, nulls),
            PhysicalType::Primitive(P::UInt64) => self.numbers::<u64>(dtype, nulls),
            PhysicalType::Primitive(P::Float32) => self.numbers::<f32>(dtype, nulls),
            PhysicalType::Primitive(P::Float64) => self.numbers::<f64>(dtype, nulls),
            _ => Err(arrow::unstorable(dtype).into()),
        }
    }

    fn numbers<T: NativeType>(&mut self, dtype: &ArrowDataType, nulls: bool) -> Result<ArrayRef> {
        let validity = self.validity(nulls)?;
        let values = self.values::<T>(self.rows)?;
        Ok(PrimitiveArray::try_new(dtype.clone(), values, validity)?.boxed())
    }

    fn views(&mut self, nulls: bool) -> Result<BinaryViewArray> {
        let validity = self.validity(nulls)?;
        let views = self.values::<View>(self.rows)?;
        let count = self.data_buffers.next().ok_or("it does not say how many buffers it has")?;
        let data: Vec<Buffer<u8>> = (0..usize::try_from(count)?).map(|_| self.next()).collect::<Result<_>>()?;
        // Looks at every view.
        Ok(BinaryViewArray::try_new(ArrowDataType::BinaryView, views, data.into(), validity)?)
    }

    fn texts_in_views(&mut self, nulls: bool) -> Result<ArrayRef> {
        let bytes = self.views(nulls)?;
        // The bytes of a short text stand in its view, behind its length.
        let short = |view: &View| if view.length <= View::MAX_INLINE_SIZE { view.as_u128() >> 32 } else { 0 };
        let short = bytes.views().iter().fold(0, |bits, view| bits | short(view));
        if short.to_ne_bytes().is_ascii() && bytes.data_buffers().iter().all(|data| data.is_ascii()) {
            // SAFETY: every text is ASCII, which is told much faster than whether it is UTF-8: short ones were looked
            // at, and long ones lie in the buffers, where `views` has checked that they are.
            return Ok(unsafe { bytes.to_utf8view_unchecked() }.boxed());
        }
        Ok(bytes.to_utf8view()?.boxed())
    }

    fn texts<O: Offset>(&mut self, dtype: &ArrowDataType, nulls: bool) -> Result<ArrayRef> {
        let (validity, offsets, data) = self.strings::<O>(nulls)?;
        Ok(Utf8Array::try_new(dtype.clone(), offsets, data, validity)?.boxed())
    }

    fn byte_strings<O: Offset>(&mut self, dtype: &ArrowDataType, nulls: bool) -> Result<ArrayRef> {
        let (validity, offsets, data) = self.strings::<O>(nulls)?;
        Ok(BinaryArray::try_new(dtype.clone(), offsets, data, validity)?.boxed())
    }

    fn strings<O: Offset>(&mut self, nulls: bool) -> Result<(Option<Bitmap>, OffsetsBuffer<O>, Buffer<u8>)> {
        let validity = self.validity(nulls)?;
        let offsets = if self.rows == 0 {
            // Some writers leave the one offset out that no rows have.
            self.next()?;
            OffsetsBuffer::default()
        } else {
            OffsetsBuffer::try_from(self.values::<O>(self.rows.checked_add(1).ok_or("too many rows")?)?)?
        };
        Ok((validity, offsets, self.next()?))
    }

    fn validity(&mut self, nulls: bool) -> Result<Option<Bitmap>> {
        if nulls { self.bits().map(Some) } else { self.next().map(|_| None) }
    }

    fn bits(&mut self) -> Result<Bitmap> {
        let bytes = self.next()?;
        let bytes = bytes.get(..self.rows.div_ceil(8)).ok_or("a buffer of bits is too short")?;
        Ok(Bitmap::try_new(bytes.to_vec(), self.rows)?)
    }

    /// So many numbers of the next buffer.
    fn values<T: NativeType>(&mut self, count: usize) -> Result<Buffer<T>> {
        let bytes = self.next()?;
        let needed = count.checked_mul(size_of::<T>()).filter(|needed| *needed <= bytes.len());
        let bytes = bytes.sliced(..needed.ok_or("a buffer is too short")?);
        // Whoever does not align buffers has them copied. `try_transmute` looks at the alignment of all bytes, not at where
        // these begin among them.
        let shared = if bytes.offset().is_multiple_of(size_of::<T>()) { bytes.try_transmute() } else { Err(bytes) };
        Ok(shared.unwrap_or_else(|bytes| bytemuck::pod_collect_to_vec(&bytes).into()))
    }

    fn next(&mut self) -> Result<Buffer<u8>> {
        let buffer = self.buffers.next().ok_or("a buffer is missing")?;
        let range = range(&buffer).filter(|range| range.end <= self.body.len()).ok_or("a buffer is out of bounds")?;
        Ok(self.body.clone().sliced(range))
    }
}

fn range(buffer: &BufferRef<'_>) -> Option<Range<usize>> {
    let start = usize::try_from(buffer.offset()).ok()?;
    Some(start..start.checked_add(usize::try_from(buffer.length()).ok()?)?)
}
