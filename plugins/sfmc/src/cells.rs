//! The values of a table's columns, one by one.

use stagewright_plugin::polars_arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray, Utf8Array, Utf8ViewArray,
};
use stagewright_plugin::polars_arrow::datatypes::{ArrowDataType, TimeUnit};
use stagewright_plugin::polars_arrow::types::NativeType;
use stagewright_plugin::{StageError, Table, TableColumn};

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Integer(i128),
    Float(f64),
    Flag(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01; `zoned` where they are those of UTC, and not of a clock on some wall.
    Time {
        micros: i64,
        zoned: bool,
    },
}

/// A table at an input, for messages about it.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) port: &'static str,
    pub(crate) table: &'a Table,
}

impl<'a> Input<'a> {
    /// The column of this name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<&'a TableColumn> {
        self.table.columns().iter().find(|column| column.name == name)
    }

    /// The values of a column.
    ///
    /// # Errors
    /// When there is no such column, or its type is not one that a delivery knows.
    pub(crate) fn cells(&self, name: &str) -> Result<Vec<Cell<'a>>, StageError> {
        let Some(column) = self.find(name) else {
            return Err(StageError::data(format!("input `{}` has no column `{name}`", self.port))
                .with_help(nearest(name, self.table.names())));
        };
        cells(column).ok_or_else(|| {
            StageError::data(format!("column `{name}` of input `{}` is of a type that cannot be delivered", self.port))
                .with_help("text, numbers, booleans, dates and timestamps can: cast it with `clean.cast`")
        })
    }

    /// Whether a column holds dates or timestamps.
    pub(crate) fn is_temporal(&self, name: &str) -> bool {
        let temporal = |dtype: &ArrowDataType| matches!(dtype, ArrowDataType::Date32 | ArrowDataType::Timestamp(..));
        self.find(name).is_some_and(|column| temporal(&column.dtype))
    }

    /// Where a value is, for messages.
    pub(crate) fn at(&self, row: usize) -> String {
        format!("{} row {}", self.port, row + 1)
    }
}

/// A column of texts.
pub(crate) fn text_column(name: &str, values: Vec<Option<String>>) -> TableColumn {
    column(name, Utf8ViewArray::from_slice(values).boxed())
}

/// A column of whole numbers.
pub(crate) fn integer_column(name: &str, values: Vec<i64>) -> TableColumn {
    column(name, Int64Array::from_vec(values).boxed())
}

/// A column of numbers; nothing where a value is not defined.
pub(crate) fn float_column(name: &str, values: Vec<Option<f64>>) -> TableColumn {
    column(name, PrimitiveArray::<f64>::from(values).boxed())
}

/// A column of booleans.
pub(crate) fn flag_column(name: &str, values: Vec<bool>) -> TableColumn {
    column(name, BooleanArray::from_slice(values).boxed())
}

/// A column of instants, in microseconds since 1970-01-01.
pub(crate) fn time_column(name: &str, values: Vec<Option<i64>>) -> TableColumn {
    let dtype = ArrowDataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    column(name, Int64Array::from(values).to(dtype).boxed())
}

fn column(name: &str, array: ArrayRef) -> TableColumn {
    TableColumn { name: name.to_owned(), dtype: array.dtype().clone(), chunks: vec![array] }
}

/// Which name was meant, or which there are.
pub(crate) fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let like = |name: &str| strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase());
    match names.iter().max_by(|a, b| like(a).total_cmp(&like(b))).filter(|name| like(name) > 0.75) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.join(", ")),
    }
}

/// A value that names a person, as text without spaces around it. Whole numbers are written without a point.
pub(crate) fn identity(cell: Cell<'_>) -> Option<String> {
    let text = match cell {
        Cell::Text(text) => text.trim().to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{number:.0}"),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// What identities are compared by: Marketing Cloud does not tell upper from lower case in its keys.
pub(crate) fn folded(identity: &str) -> String {
    identity.trim().to_lowercase()
}

fn cells(column: &TableColumn) -> Option<Vec<Cell<'_>>> {
    let mut cells = Vec::with_capacity(column.chunks.iter().map(|chunk| chunk.len()).sum());
    for chunk in &column.chunks {
        let any = chunk.as_any();
        let zoned = matches!(&column.dtype, ArrowDataType::Timestamp(_, Some(_)));
        match &column.dtype {
            ArrowDataType::Null => cells.extend((0..chunk.len()).map(|_| Cell::Null)),
            ArrowDataType::Utf8View => each(&mut cells, any.downcast_ref::<Utf8ViewArray>()?.iter(), Cell::Text),
            ArrowDataType::LargeUtf8 => each(&mut cells, any.downcast_ref::<Utf8Array<i64>>()?.iter(), Cell::Text),
            ArrowDataType::Boolean => each(&mut cells, any.downcast_ref::<BooleanArray>()?.iter(), Cell::Flag),
            ArrowDataType::Int8 => numbers::<i8>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::Int16 => numbers::<i16>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::Int32 => numbers::<i32>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::Int64 => numbers::<i64>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::UInt8 => numbers::<u8>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::UInt16 => numbers::<u16>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::UInt32 => numbers::<u32>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::UInt64 => numbers::<u64>(&mut cells, &**chunk, |n| Cell::Integer(n.into()))?,
            ArrowDataType::Float32 => numbers::<f32>(&mut cells, &**chunk, |n| Cell::Float(n.into()))?,
            ArrowDataType::Float64 => numbers::<f64>(&mut cells, &**chunk, Cell::Float)?,
            ArrowDataType::Date32 => numbers::<i32>(&mut cells, &**chunk, Cell::Date)?,
            ArrowDataType::Timestamp(unit, _) => {
                let micros = |n: i64| match unit {
                    TimeUnit::Second => n.saturating_mul(1_000_000),
                    TimeUnit::Millisecond => n.saturating_mul(1_000),
                    TimeUnit::Microsecond => n,
                    TimeUnit::Nanosecond => n.div_euclid(1_000),
                };
                numbers::<i64>(&mut cells, &**chunk, |n| Cell::Time { micros: micros(n), zoned })?;
            }
            _ => return None,
        }
    }
    Some(cells)
}

fn each<'a, T>(cells: &mut Vec<Cell<'a>>, values: impl Iterator<Item = Option<T>>, cell: impl Fn(T) -> Cell<'a>) {
    cells.extend(values.map(|value| value.map_or(Cell::Null, &cell)));
}

fn numbers<'a, T: NativeType>(
    cells: &mut Vec<Cell<'a>>,
    chunk: &'a dyn Array,
    cell: impl Fn(T) -> Cell<'a>,
) -> Option<()> {
    let array = chunk.as_any().downcast_ref::<PrimitiveArray<T>>()?;
    each(cells, array.iter().map(|value| value.copied()), cell);
    Some(())
}
