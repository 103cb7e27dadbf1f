//! Tables for the world outside: files in common formats, and cells as text.

use std::io::Write;

use polars::prelude::{AnyValue, DataFrame};
use polars_io::SerWriter;
use polars_io::csv::write::CsvWriter;
use polars_io::json::{JsonFormat, JsonWriter};
use polars_io::parquet::write::{ParquetCompression, ParquetWriter};
use stagewright_contract::{StageError, Table};

use crate::{polars_error, to_frame};

/// A file format that tables are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header (RFC 4180), UTF-8; null is nothing.
    Csv,
    /// Apache Parquet, compressed with zstd.
    Parquet,
    /// A JSON array of objects.
    Json,
}

/// Writes a table.
///
/// # Errors
/// Those of the writer, as errors of the environment.
pub fn write(table: &Table, format: Format, writer: &mut impl Write) -> Result<(), StageError> {
    let mut frame = to_frame(table)?;
    let written = match format {
        Format::Csv => CsvWriter::new(writer).include_header(true).finish(&mut frame),
        Format::Json => JsonWriter::new(writer).with_json_format(JsonFormat::Json).finish(&mut frame),
        Format::Parquet => {
            ParquetWriter::new(writer).with_compression(ParquetCompression::Zstd(None)).finish(&mut frame).map(drop)
        }
    };
    written.map_err(|error| polars_error("writing the table", &error))
}

/// The first rows as text, `None` where null.
///
/// # Errors
/// When polars does not take a column.
pub fn head(table: &Table, rows: usize) -> Result<Vec<Vec<Option<String>>>, StageError> {
    let frame: DataFrame = to_frame(&table.slice(0, rows))?;
    Ok((0..frame.height())
        .map(|row| frame.columns().iter().map(|column| column.get(row).ok().and_then(|value| cell(&value))).collect())
        .collect())
}

pub(crate) fn cell(value: &AnyValue<'_>) -> Option<String> {
    match value {
        AnyValue::Null => None,
        AnyValue::String(text) => Some((*text).to_owned()),
        AnyValue::StringOwned(text) => Some(text.to_string()),
        AnyValue::Float64(number) => Some(float(*number)),
        AnyValue::Float32(number) => Some(float(f64::from(*number))),
        other => Some(other.to_string()),
    }
}

/// Six significant digits: enough to read, short enough for a column.
fn float(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let magnitude = number.abs().log10().floor();
    if !(-5.0..15.0).contains(&magnitude) {
        return format!("{number:.5e}");
    }
    let decimals = (5.0 - magnitude).max(0.0) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
