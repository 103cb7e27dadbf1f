//! Tables: named, typed columns of equal length in Arrow's memory layout.

mod canonical;
pub(crate) mod ipc;

use std::collections::BTreeSet;
use std::io::{self, Write};

use polars_arrow::array::ArrayRef;
use polars_arrow::datatypes::{ArrowDataType, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::{Bytes, DecodeError, StageError};

/// One column: a name, an Arrow type, and the values in one or more chunks.
#[derive(Clone, Debug)]
pub struct TableColumn {
    /// Its name, unique within the table.
    pub name: String,
    /// Its Arrow type.
    pub dtype: ArrowDataType,
    /// Its values.
    pub chunks: Vec<ArrayRef>,
}

/// A table. Cloning and slicing share the values; stage crates turn it into a polars `DataFrame` and back without
/// copying.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<TableColumn>,
    rows: usize,
    personal: BTreeSet<String>,
}

/// What there is to know about a column besides its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its Arrow type: `int64`, `string`, `timestamp[us, UTC]`, …
    #[serde(rename = "type")]
    pub dtype: String,
    /// Whether it holds personal data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
}

impl Table {
    /// A table of these columns. None of them is personal yet.
    ///
    /// # Errors
    /// A bug when two columns share a name or differ in length.
    pub fn new(columns: Vec<TableColumn>) -> Result<Self, StageError> {
        let len = |column: &TableColumn| column.chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
        let rows = columns.first().map_or(0, len);
        let mut names = BTreeSet::new();
        for column in &columns {
            if len(column) != rows {
                return Err(StageError::bug(format!(
                    "column `{}` has {} rows where the first has {rows}",
                    column.name,
                    len(column)
                )));
            }
            if !names.insert(column.name.as_str()) {
                return Err(StageError::bug(format!("two columns are named `{}`", column.name)));
            }
        }
        Ok(Self { columns, rows, personal: BTreeSet::new() })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The names of the personal columns.
    pub fn personal(&self) -> impl Iterator<Item = &str> {
        self.personal.iter().map(String::as_str)
    }

    /// Whether this column holds personal data.
    pub fn is_personal(&self, column: &str) -> bool {
        self.personal.contains(column)
    }

    /// Marks columns as personal. Names that are not columns of this table are passed over.
    pub fn mark_personal<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if self.columns.iter().any(|column| column.name == name) {
                self.personal.insert(name.to_owned());
            }
        }
    }

    /// The schema, for a person or for JSON.
    pub fn schema(&self) -> Vec<ColumnInfo> {
        self.columns
            .iter()
            .map(|column| ColumnInfo {
                name: column.name.clone(),
                dtype: type_name(&column.dtype),
                personal: self.is_personal(&column.name),
            })
            .collect()
    }

    /// Some consecutive rows, sharing the values; fewer where the table ends before.
    #[must_use]
    pub fn slice(&self, offset: usize, rows: usize) -> Self {
        let offset = offset.min(self.rows);
        let rows = rows.min(self.rows - offset);
        let columns = self
            .columns
            .iter()
            .map(|column| TableColumn {
                name: column.name.clone(),
                dtype: column.dtype.clone(),
                chunks: slice_chunks(&column.chunks, offset, rows),
            })
            .collect();
        Self { columns, rows, personal: self.personal.clone() }
    }

    /// The table in canonical form: one chunk for each column, no offsets, zeros under nulls, validity only where there
    /// are nulls.
    pub(crate) fn canonical(&self) -> io::Result<Self> {
        let columns = self.columns.iter().map(|column| {
            let chunks = vec![canonical::canonical(column)?];
            Ok(TableColumn { name: column.name.clone(), dtype: column.dtype.clone(), chunks })
        });
        Ok(Self { columns: columns.collect::<io::Result<_>>()?, rows: self.rows, personal: self.personal.clone() })
    }

    /// Writes the table in canonical form as an uncompressed Arrow IPC file of one record batch. Personal columns carry
    /// `stagewright.personal` in their field's metadata, so the mark is part of the digest.
    ///
    /// # Errors
    /// Those of the writer, and `InvalidData` for a column type that cannot be stored.
    pub fn encode(&self, writer: &mut impl Write) -> io::Result<()> {
        ipc::write(&self.canonical()?, writer)
    }

    /// Writes the table as [`Table::encode`] does, but columns in one piece as they are: for another process that reads it
    /// once. Equal tables may give other bytes.
    ///
    /// # Errors
    /// As [`Table::encode`].
    pub fn encode_as_it_is(&self, writer: &mut impl Write) -> io::Result<()> {
        let columns = self.columns.iter().map(|column| match column.chunks.as_slice() {
            [only] if canonical::can_be_written(&**only) => Ok(column.clone()),
            _ => Ok(TableColumn { chunks: vec![canonical::canonical(column)?], ..column.clone() }),
        });
        let columns = columns.collect::<io::Result<_>>()?;
        ipc::write(&Self { columns, rows: self.rows, personal: self.personal.clone() }, writer)
    }

    /// Reads a table that [`Table::encode`] wrote, sharing the bytes.
    ///
    /// # Errors
    /// When the bytes are not an Arrow IPC file.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        ipc::decode(bytes)
    }
}

fn slice_chunks(chunks: &[ArrayRef], mut offset: usize, mut rows: usize) -> Vec<ArrayRef> {
    let mut out = Vec::new();
    for chunk in chunks {
        if offset >= chunk.len() {
            offset -= chunk.len();
            continue;
        }
        let take = rows.min(chunk.len() - offset);
        out.push(chunk.sliced(offset, take));
        offset = 0;
        rows -= take;
        if rows == 0 {
            break;
        }
    }
    out
}

/// Arrow's name of a type, as pyarrow prints it.
fn type_name(dtype: &ArrowDataType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match dtype {
        ArrowDataType::Null => "null".to_owned(),
        ArrowDataType::Boolean => "bool".to_owned(),
        ArrowDataType::Float32 => "float".to_owned(),
        ArrowDataType::Float64 => "double".to_owned(),
        ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 | ArrowDataType::Utf8View => "string".to_owned(),
        ArrowDataType::Binary | ArrowDataType::LargeBinary | ArrowDataType::BinaryView => "binary".to_owned(),
        ArrowDataType::Date32 => "date32".to_owned(),
        ArrowDataType::Time64(u) => format!("time64[{}]", unit(u)),
        ArrowDataType::Duration(u) => format!("duration[{}]", unit(u)),
        ArrowDataType::Timestamp(u, None) => format!("timestamp[{}]", unit(u)),
        ArrowDataType::Timestamp(u, Some(zone)) => format!("timestamp[{}, {zone}]", unit(u)),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
