//! The canonical form of a column: a function of its values alone, not of how they came to be (chunks, offsets, shared
//! string buffers, leftovers under nulls). Digests rest on it.

use std::io;

use polars_arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, MutableBinaryViewArray, NullArray, PrimitiveArray, Utf8ViewArray,
};
use polars_arrow::bitmap::{Bitmap, BitmapBuilder};
use polars_arrow::datatypes::{ArrowDataType, PhysicalType};
use polars_arrow::types::{NativeType, PrimitiveType};

use super::TableColumn;

/// Does something with the type of the numbers that a column holds. 128-bit and half-precision numbers are left out:
/// their alignment rules out mapping.
macro_rules! with_number {
    ($primitive:expr, |$T:ident| $some:expr, else $none:expr) => {{
        macro_rules! with {
            ($type:ty) => {{
                type $T = $type;
                $some
            }};
        }
        match $primitive {
            PrimitiveType::Int8 => with!(i8),
            PrimitiveType::Int16 => with!(i16),
            PrimitiveType::Int32 => with!(i32),
            PrimitiveType::Int64 => with!(i64),
            PrimitiveType::UInt8 => with!(u8),
            PrimitiveType::UInt16 => with!(u16),
            PrimitiveType::UInt32 => with!(u32),
            PrimitiveType::UInt64 => with!(u64),
            PrimitiveType::Float32 => with!(f32),
            PrimitiveType::Float64 => with!(f64),
            _ => $none,
        }
    }};
}
pub(super) use with_number;

/// The column as one array in canonical form.
pub(super) fn canonical(column: &TableColumn) -> io::Result<ArrayRef> {
    let mismatch = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("column `{}` says it is {:?} but its values are not", column.name, column.dtype),
        )
    };
    let dtype = &column.dtype;
    Ok(match dtype.to_physical_type() {
        PhysicalType::Null => NullArray::new(dtype.clone(), rows(&column.chunks)).boxed(),
        PhysicalType::Boolean => boolean(&downcast::<BooleanArray>(&column.chunks).ok_or_else(mismatch)?).boxed(),
        PhysicalType::Primitive(primitive) if !matches!(dtype, ArrowDataType::Interval(_)) => {
            let chunks = &column.chunks;
            with_number!(primitive, |T| numbers::<T>(dtype, chunks), else return Err(unstorable(column)))
                .ok_or_else(mismatch)?
        }
        PhysicalType::Utf8View => {
            let chunks = downcast::<Utf8ViewArray>(&column.chunks).ok_or_else(mismatch)?;
            let mut out = MutableBinaryViewArray::<str>::with_capacity(rows(&column.chunks));
            for chunk in chunks {
                out.extend(chunk.iter());
            }
            let out: Utf8ViewArray = out.freeze();
            let validity = out.validity().filter(|validity| validity.unset_bits() > 0).cloned();
            out.with_validity(validity).boxed()
        }
        PhysicalType::BinaryView => {
            let chunks = downcast::<BinaryViewArray>(&column.chunks).ok_or_else(mismatch)?;
            let mut out = MutableBinaryViewArray::<[u8]>::with_capacity(rows(&column.chunks));
            for chunk in chunks {
                out.extend(chunk.iter());
            }
            let out: BinaryViewArray = out.freeze();
            let validity = out.validity().filter(|validity| validity.unset_bits() > 0).cloned();
            out.with_validity(validity).boxed()
        }
        _ => return Err(unstorable(column)),
    })
}

/// Whether the buffers of an array can be written as they are: numbers or views, and bits from the first of a byte on.
pub(super) fn can_be_written(array: &dyn Array) -> bool {
    let aligned = array.validity().is_none_or(|bits| bits.as_slice().1 == 0);
    let known = match array.dtype().to_physical_type() {
        PhysicalType::Primitive(primitive) => with_number!(primitive, |T| size_of::<T>() > 0, else false),
        PhysicalType::Utf8View | PhysicalType::BinaryView => true,
        _ => false,
    };
    aligned && known
}

fn unstorable(column: &TableColumn) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("column `{}` has type {:?}, which cannot be stored", column.name, column.dtype),
    )
}

fn rows(chunks: &[ArrayRef]) -> usize {
    chunks.iter().map(|chunk| chunk.len()).sum()
}

fn downcast<A: Array>(chunks: &[ArrayRef]) -> Option<Vec<&A>> {
    chunks.iter().map(|chunk| chunk.as_any().downcast_ref()).collect()
}

/// The concatenated validity, or none where nothing is null.
fn validity<A: Array>(chunks: &[&A]) -> Option<Bitmap> {
    if chunks.iter().all(|chunk| chunk.null_count() == 0) {
        return None;
    }
    let mut out = BitmapBuilder::with_capacity(chunks.iter().map(|chunk| chunk.len()).sum());
    for chunk in chunks {
        match chunk.validity() {
            Some(bits) => out.extend_from_bitmap(bits),
            None => out.extend_constant(chunk.len(), true),
        }
    }
    Some(out.freeze())
}

fn boolean(chunks: &[&BooleanArray]) -> BooleanArray {
    let mut out = BitmapBuilder::with_capacity(chunks.iter().map(|chunk| chunk.len()).sum());
    for chunk in chunks {
        for value in chunk.iter() {
            out.push(value == Some(true));
        }
    }
    BooleanArray::new(ArrowDataType::Boolean, out.freeze(), validity(chunks))
}

fn numbers<T: NativeType>(dtype: &ArrowDataType, chunks: &[ArrayRef]) -> Option<ArrayRef> {
    let chunks = downcast::<PrimitiveArray<T>>(chunks)?;
    if let [only] = chunks.as_slice()
        && only.null_count() == 0
    {
        // The common case shares the values; slices are written without what surrounds them.
        return Some(PrimitiveArray::new(dtype.clone(), only.values().clone(), None).boxed());
    }
    let mut values: Vec<T> = Vec::with_capacity(chunks.iter().map(|chunk| chunk.len()).sum());
    for chunk in &chunks {
        if chunk.null_count() == 0 {
            values.extend_from_slice(chunk.values());
        } else {
            values.extend(chunk.iter().map(|value| value.copied().unwrap_or_default()));
        }
    }
    Some(PrimitiveArray::new(dtype.clone(), values.into(), validity(&chunks)).boxed())
}
