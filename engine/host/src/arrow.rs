//! Tables across the boundary, by the Arrow C stream interface. Values are shared, not copied; only text columns are
//! turned from views into 64-bit offsets and back where the other side does not know views.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars_arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, MutableBinaryViewArray, StructArray, Utf8Array, Utf8ViewArray,
};
use polars_arrow::bitmap::utils::count_zeros;
use polars_arrow::datatypes::{ArrowDataType, Field, Metadata};
use polars_arrow::ffi;
use polars_arrow::types::Offset;
use stagewright_contract::{Table, TableColumn};

use crate::abi::{ArrowArray, ArrowArrayStream, ArrowSchema};

/// The key of a personal column's mark in its field's metadata.
pub(crate) const PERSONAL: &str = "stagewright.personal";
/// More columns than any table has.
const MAX_COLUMNS: i64 = 1 << 20;

/// A table as a stream of record batches. Text is given as views, or else with 64-bit offsets.
pub(crate) fn export(table: &Table, string_views: bool) -> ArrowArrayStream {
    let fields = if string_views { fields(table) } else { fields_with_offsets(table) };
    let dtype = ArrowDataType::Struct(fields);
    let item = dtype.clone();
    let batches = batches(table).into_iter().map(move |(rows, arrays)| {
        let arrays = if string_views { arrays } else { arrays.into_iter().map(with_offsets).collect() };
        StructArray::try_new(item.clone(), rows, arrays, None).map(|array| array.boxed())
    });
    let stream = ffi::export_iterator(Box::new(batches), Field::new("".into(), dtype, false));
    // SAFETY: both types are `struct ArrowArrayStream` of the C stream interface. The original is forgotten by the
    // transmutation, so the stream is released once, by whoever owns the result.
    unsafe { std::mem::transmute::<ffi::ArrowArrayStream, ArrowArrayStream>(stream) }
}

/// The columns of a table, text and bytes with 64-bit offsets.
pub(crate) fn fields_with_offsets(table: &Table) -> Vec<Field> {
    let mut fields = fields(table);
    for field in &mut fields {
        match field.dtype {
            ArrowDataType::Utf8View => field.dtype = ArrowDataType::LargeUtf8,
            ArrowDataType::BinaryView => field.dtype = ArrowDataType::LargeBinary,
            _ => {}
        }
    }
    fields
}

/// The columns of a table, those that are personal marked.
pub(crate) fn fields(table: &Table) -> Vec<Field> {
    let field = |column: &TableColumn| {
        let field = Field::new(column.name.as_str().into(), column.dtype.clone(), true);
        if table.is_personal(&column.name) {
            field.with_metadata(Metadata::from([(PERSONAL.into(), "true".into())]))
        } else {
            field
        }
    };
    table.columns().iter().map(field).collect()
}

/// The rows of a table cut where a chunk of any column ends, so that each piece is one array for every column.
pub(crate) fn batches(table: &Table) -> Vec<(usize, Vec<ArrayRef>)> {
    let mut ends: Vec<usize> = Vec::new();
    for column in table.columns() {
        let mut end = 0;
        ends.extend(column.chunks.iter().map(|chunk| {
            end += chunk.len();
            end
        }));
    }
    ends.sort_unstable();
    ends.dedup();
    let mut start = 0;
    let mut out = Vec::with_capacity(ends.len());
    for end in ends.into_iter().filter(|end| *end > 0) {
        let piece = table.slice(start, end - start);
        let arrays = piece.columns().iter().filter_map(|column| column.chunks.first().cloned()).collect();
        out.push((end - start, arrays));
        start = end;
    }
    out
}

/// The same values, text and bytes with 64-bit offsets.
pub(crate) fn with_offsets(array: ArrayRef) -> ArrayRef {
    if let Some(text) = array.as_any().downcast_ref::<Utf8ViewArray>() {
        text.iter().collect::<Utf8Array<i64>>().boxed()
    } else if let Some(bytes) = array.as_any().downcast_ref::<BinaryViewArray>() {
        bytes.iter().collect::<BinaryArray<i64>>().boxed()
    } else {
        array
    }
}

/// Takes a stream over and reads it to its end as a table.
///
/// # Errors
/// What of it is not as the interfaces or the contract say, as far as that can be seen.
///
/// # Safety
/// The pointer is null, or to a structure that can be read and written, and whose members are valid as the C stream
/// interface says. Lengths, counts and missing pointers are checked; that buffers are as long as they say cannot be.
pub(crate) unsafe fn import(stream: *mut ArrowArrayStream) -> Result<Table, String> {
    // SAFETY: the caller says that it can be read; the original is marked as released below.
    let Some(original) = (unsafe { stream.as_mut() }) else { return Err("the stream is a null pointer".to_owned()) };
    // Moved out as the interface says: whoever made the stream must not release it any more.
    let mut stream = ArrowArrayStream { ..*original };
    original.release = None;
    let Some(release) = stream.release else { return Err("the stream was released before".to_owned()) };
    // Text that is not UTF-8 makes the importer panic.
    let read = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise.
        unsafe { read(&mut stream) }
    }));
    // SAFETY: it was not released before, and is not used after.
    unsafe { release(&mut stream) };
    read.unwrap_or_else(|_| Err("the stream holds a name or a message that is not UTF-8".to_owned()))
}

unsafe fn read(stream: &mut ArrowArrayStream) -> Result<Table, String> {
    let (Some(get_schema), Some(get_next), Some(get_last_error)) =
        (stream.get_schema, stream.get_next, stream.get_last_error)
    else {
        return Err("the stream lacks one of its functions".to_owned());
    };
    let why = |stream: &mut ArrowArrayStream| {
        // SAFETY: the stream gave an error, so that it may be asked for its text, which lives until its next call.
        let message = unsafe { get_last_error(stream) };
        if message.is_null() {
            "the stream failed without saying why".to_owned()
        } else {
            // SAFETY: not null, so a text that ends with a zero byte.
            format!("the stream failed: {}", unsafe { CStr::from_ptr(message) }.to_string_lossy())
        }
    };
    let mut schema = ArrowSchema::empty();
    // SAFETY: `schema` is there to be written to.
    if unsafe { get_schema(stream, &mut schema) } != 0 {
        return Err(why(stream));
    }
    // SAFETY: the stream gave the schema, so it is as the interface says.
    let fields = unsafe { schema.fields() }?;
    let dtype = ArrowDataType::Struct(fields.clone());
    let mut chunks: Vec<Vec<ArrayRef>> = vec![Vec::new(); fields.len()];
    loop {
        let mut array = ArrowArray::empty();
        // SAFETY: `array` is there to be written to.
        if unsafe { get_next(stream, &mut array) } != 0 {
            return Err(why(stream));
        }
        if array.release.is_none() {
            break; // The end.
        }
        // SAFETY: the stream gave the array, so it is as the interface says.
        unsafe { array.check(&fields) }?;
        // SAFETY: both types are `struct ArrowArray`; `array` is moved, so that it is released once.
        let array = unsafe { std::mem::transmute::<ArrowArray, ffi::ArrowArray>(array) };
        // SAFETY: lengths and pointers were checked; the rest is the caller's promise.
        let array =
            unsafe { ffi::import_array_from_c(array, dtype.clone()) }.map_err(|error| format!("a batch: {error}"))?;
        let Some(batch) = array.as_any().downcast_ref::<StructArray>() else {
            return Err("a batch is not a struct array".to_owned());
        };
        for (chunks, values) in chunks.iter_mut().zip(batch.values()) {
            chunks.push(values.clone());
        }
    }
    let personal: Vec<&str> = fields
        .iter()
        .filter(|field| field.metadata.as_ref().is_some_and(|metadata| metadata.contains_key(PERSONAL)))
        .map(|field| field.name.as_str())
        .collect();
    let columns = fields
        .iter()
        .zip(chunks)
        .map(|(field, chunks)| TableColumn {
            name: field.name.to_string(),
            dtype: field.dtype.clone(),
            chunks: if chunks.is_empty() {
                vec![polars_arrow::array::new_empty_array(field.dtype.clone())]
            } else {
                chunks
            },
        })
        .collect();
    stored(columns, &personal)
}

/// A table of columns that came from another side, of types that can be stored. That views lie within their buffers and
/// their texts are UTF-8 is taken on trust: looking at every one would make handing a table over as slow as reading it,
/// and whoever is in this process could write over its memory as well. What leaves a worker is checked by the reader of
/// its file.
pub(crate) fn stored(columns: Vec<TableColumn>, personal: &[&str]) -> Result<Table, String> {
    let mut out = Vec::with_capacity(columns.len());
    for TableColumn { name, dtype, chunks } in columns {
        let at = |error: String| format!("column `{name}`: {error}");
        let dtype = match dtype {
            ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 => ArrowDataType::Utf8View,
            ArrowDataType::Binary | ArrowDataType::LargeBinary => ArrowDataType::BinaryView,
            other if storable(&other) => other,
            other => return Err(at(unstorable(&other))),
        };
        let chunks = chunks.iter().map(|chunk| storage(chunk.as_ref())).collect::<Result<_, _>>().map_err(at)?;
        out.push(TableColumn { name, dtype, chunks });
    }
    let mut table = Table::new(out).map_err(|error| error.message)?;
    table.mark_personal(personal.iter().copied());
    Ok(table)
}

pub(crate) fn unstorable(dtype: &ArrowDataType) -> String {
    format!("type {dtype:?} cannot be stored: give numbers, booleans, text, bytes, dates, times or timestamps")
}

fn storable(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    matches!(
        dtype,
        T::Null
            | T::Boolean
            | T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::UInt8
            | T::UInt16
            | T::UInt32
            | T::UInt64
            | T::Float32
            | T::Float64
            | T::Date32
            | T::Time64(_)
            | T::Duration(_)
            | T::Timestamp(..)
            | T::Utf8View
            | T::BinaryView
    )
}

/// The chunk as tables hold it.
fn storage(array: &dyn Array) -> Result<ArrayRef, String> {
    let any = array.as_any();
    Ok(match array.dtype() {
        ArrowDataType::Utf8 => views_of::<i32>(any.downcast_ref())?,
        ArrowDataType::LargeUtf8 => views_of::<i64>(any.downcast_ref())?,
        ArrowDataType::Binary => byte_views::<i32>(any.downcast_ref()),
        ArrowDataType::LargeBinary => byte_views::<i64>(any.downcast_ref()),
        _ => array.to_boxed(),
    })
}

fn mismatch() -> String {
    "its values are not of the type that its schema says".to_owned()
}

fn views_of<O: Offset>(array: Option<&Utf8Array<O>>) -> Result<ArrayRef, String> {
    let Some(array) = array else { return Err(mismatch()) };
    let mut out = MutableBinaryViewArray::<str>::with_capacity(array.len());
    let bytes = array.values().as_slice();
    let is_valid = |row: usize| array.validity().is_none_or(|validity| validity.get_bit(row));
    for (row, bounds) in array.offsets().as_slice().windows(2).enumerate() {
        if !is_valid(row) {
            out.push_null();
            continue;
        }
        let text = bytes.get(bounds[0].to_usize()..bounds[1].to_usize()).ok_or("an offset is out of bounds")?;
        out.push_value(std::str::from_utf8(text).map_err(|_| "a text is not UTF-8")?);
    }
    Ok(out.freeze().boxed())
}

fn byte_views<O: Offset>(array: Option<&BinaryArray<O>>) -> ArrayRef {
    let mut out = MutableBinaryViewArray::<[u8]>::new();
    if let Some(array) = array {
        out.extend(array.iter());
    }
    out.freeze().boxed()
}

impl ArrowArrayStream {
    /// A stream that is none, to be written over.
    pub fn empty() -> Self {
        Self {
            get_schema: None,
            get_next: None,
            get_last_error: None,
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }
}

impl ArrowSchema {
    fn empty() -> Self {
        Self {
            format: std::ptr::null(),
            name: std::ptr::null(),
            metadata: std::ptr::null(),
            flags: 0,
            n_children: 0,
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }

    /// The columns of the schema of a table.
    ///
    /// # Safety
    /// Pointers that are not null are to what the interface says.
    unsafe fn fields(&self) -> Result<Vec<Field>, String> {
        if self.release.is_none() {
            return Err("the schema was released before".to_owned());
        }
        // SAFETY: a text, or null.
        let format = unsafe { text(self.format) };
        if format != Some("+s") {
            return Err(format!(
                "the stream is of format `{}` where a table is `+s`: record batches as struct arrays",
                format.unwrap_or("?")
            ));
        }
        if !(0..=MAX_COLUMNS).contains(&self.n_children) || (self.n_children > 0 && self.children.is_null()) {
            return Err(format!("the schema says that it has {} columns", self.n_children));
        }
        let mut fields = Vec::new();
        for index in 0..self.n_children.unsigned_abs() as usize {
            // SAFETY: `children` has `n_children` pointers.
            let child = unsafe { *self.children.add(index) };
            // SAFETY: as the interface says, each points to a schema.
            let Some(child) = (unsafe { child.as_ref() }) else { return Err(format!("column {index} has no schema")) };
            // SAFETY: a text, or null.
            let Some(name) = (unsafe { text(child.name) }) else {
                return Err(format!("column {index} has no name in UTF-8"));
            };
            // SAFETY: a text, or null.
            let Some(format) = (unsafe { text(child.format) }) else {
                return Err(format!("column `{name}` has no format"));
            };
            if child.n_children != 0 || !child.dictionary.is_null() {
                return Err(format!(
                    "column `{name}` is nested or dictionary-encoded (format `{format}`), which cannot be stored"
                ));
            }
            // SAFETY: both types are `struct ArrowSchema`; it is read only.
            let child = unsafe { &*std::ptr::from_ref(child).cast::<ffi::ArrowSchema>() };
            // SAFETY: format and name are texts; the metadata is as the interface says.
            let field = unsafe { ffi::import_field_from_c(child) }
                .map_err(|error| format!("column `{name}` has format `{format}`: {error}"))?;
            fields.push(field);
        }
        Ok(fields)
    }
}

impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it was not released before, and is not used after.
            unsafe { release(self) };
        }
    }
}

impl ArrowArray {
    fn empty() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: std::ptr::null_mut(),
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }

    /// Whether a record batch has what its schema says: as many columns, as many rows, all buffers. Counts the nulls of
    /// every column, which the importer takes on trust.
    ///
    /// # Safety
    /// Pointers that are not null are to what the interface says.
    unsafe fn check(&mut self, fields: &[Field]) -> Result<(), String> {
        let count = |what: &str, value: i64| -> Result<usize, String> {
            usize::try_from(value).ok().filter(|value| *value <= 1 << 40).ok_or_else(|| format!("{what} is {value}"))
        };
        let length = count("the length of a batch", self.length)?;
        let offset = count("the offset of a batch", self.offset)?;
        if self.n_children != fields.len() as i64 || (self.children.is_null() && !fields.is_empty()) {
            return Err(format!("a batch has {} columns where the schema has {}", self.n_children, fields.len()));
        }
        if self.n_buffers != 1 || self.buffers.is_null() {
            return Err(format!("a batch has {} buffers where a struct array has 1", self.n_buffers));
        }
        // SAFETY: it has one buffer; if there is one, it has a bit for every row.
        if unsafe { nulls(self, length, offset) } > 0 {
            return Err("a batch has rows that are null as a whole".to_owned());
        }
        self.null_count = 0;
        for (index, field) in fields.iter().enumerate() {
            let name = &field.name;
            // SAFETY: `children` has `n_children` pointers.
            let child = unsafe { *self.children.add(index) };
            // SAFETY: as the interface says, each points to an array, which this side owns.
            let Some(child) = (unsafe { child.as_mut() }) else { return Err(format!("column `{name}` has no array")) };
            let rows = count(&format!("the length of column `{name}`"), child.length)?;
            let skip = count(&format!("the offset of column `{name}`"), child.offset)?;
            if rows < length + offset {
                return Err(format!("column `{name}` has {rows} rows where the batch has {}", length + offset));
            }
            let buffers = match &field.dtype {
                ArrowDataType::Null => 0..=0,
                ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 | ArrowDataType::Binary | ArrowDataType::LargeBinary => {
                    3..=3
                }
                ArrowDataType::Utf8View | ArrowDataType::BinaryView => 3..=MAX_COLUMNS,
                _ => 2..=2,
            };
            if !buffers.contains(&child.n_buffers) || (child.n_buffers > 0 && child.buffers.is_null()) {
                return Err(format!("column `{name}` has {} buffers", child.n_buffers));
            }
            if child.n_buffers > 0 {
                // SAFETY: it has two buffers at least.
                if rows + skip > 0 && unsafe { *child.buffers.add(1) }.is_null() {
                    return Err(format!("column `{name}` has no values"));
                }
                // SAFETY: the first buffer, if there is one, has a bit for every row.
                child.null_count = unsafe { nulls(child, rows, skip) } as i64;
            }
        }
        Ok(())
    }
}

/// How many of some rows are null.
///
/// # Safety
/// The array has a first buffer; it is null, or has a bit for each of the rows.
unsafe fn nulls(array: &ArrowArray, rows: usize, offset: usize) -> usize {
    // SAFETY: the caller says that there is a first buffer.
    let bits = unsafe { *array.buffers }.cast::<u8>();
    if bits.is_null() || rows == 0 || array.null_count == 0 {
        return 0;
    }
    // SAFETY: the caller says that it has so many bits.
    let bits = unsafe { std::slice::from_raw_parts(bits, (offset + rows).div_ceil(8)) };
    count_zeros(bits, offset, rows)
}

impl Drop for ArrowArray {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it was not released before, and is not used after.
            unsafe { release(self) };
        }
    }
}

/// A text of C, if there is one and it is UTF-8.
///
/// # Safety
/// The pointer is null, or to a text that ends with a zero byte and outlives `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}
