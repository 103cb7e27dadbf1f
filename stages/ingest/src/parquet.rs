//! `ingest.parquet`.

use std::fs::File;

use polars::prelude::{ArrowDataType, Column, DataFrame, DataType, TimeZone};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Kind, ParamError, PersonalColumns, Port, Source, SourceFile, Stage, StageContext, StageError,
};
use stagewright_frame::{polars_error, to_table};

use crate::select;

/// Read a table from Parquet files.
///
/// The types are those of the file, with three exceptions. Decimals become float64, with a warning, since tables hold
/// no decimals. Dictionary-encoded (categorical) text becomes text. Timestamps and durations become microseconds.
/// Nested columns are refused: leave them out with `columns`. Several files must have the same columns with the same
/// types; a column that is all null in one of them (type null) takes its type from the others.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parquet {
    /// The file, or a pattern such as `orders/*.parquet`; files are read in the order of their paths and must have the
    /// same columns, in any order.
    #[schemars(length(min = 1))]
    path: String,
    /// Columns with personal data; errors and warnings never show their values.
    #[serde(default)]
    personal: Vec<String>,
    /// Keep only these columns, in this order; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    columns: Option<Vec<String>>,
}

impl Stage for Parquet {
    const TYPE: &'static str = "ingest.parquet";
    const EXAMPLE: &'static str = "\
with:
  path: data/transactions.parquet
  columns: [household_id, basket_id, product_id, transaction_timestamp]";

    fn ports() -> Vec<Port> {
        vec![Port::output("table", Kind::Table, "The rows of all files, in order.")]
    }

    fn check(&self) -> Result<(), ParamError> {
        select::check(self.columns.as_deref())
    }

    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::from([("table".to_owned(), select::personal(&self.personal, self.columns.as_deref()))])
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new("path", self.path.clone())]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let mut whole: Option<(String, Vec<String>, DataFrame)> = None;
        let mut decimals = Vec::new();
        let sources = context.sources("path");
        for (index, source) in sources.iter().enumerate() {
            context.check_cancelled()?;
            context.progress(index as u64, sources.len() as u64);
            let first = whole.as_ref().map(|(name, names, _)| (name.as_str(), names.as_slice()));
            let (names, frame) = self.read(source, first, &mut decimals)?;
            whole = Some(match whole {
                None => (source.name.clone(), names, frame),
                Some((name, names, above)) => {
                    let frame = append(above, frame, &name, &source.name)?;
                    (name, names, frame)
                }
            });
        }
        let Some((_, _, frame)) = whole else {
            return Err(StageError::data(format!("no file matches `{}`", self.path)));
        };
        for column in decimals {
            context
                .warn(format!("column `{column}` is decimal; it is read as float64, which rounds to about 15 digits"));
        }
        let mut table = to_table(frame)?;
        table.mark_personal(self.personal.iter().map(String::as_str));
        context.put("table", table)
    }
}

impl Parquet {
    /// The names of all columns of a file and the wanted ones as a data frame. `first` is the first file's name and
    /// columns, which this file must have, too; the names of decimal columns are noted.
    fn read(
        &self,
        source: &SourceFile,
        first: Option<(&str, &[String])>,
        decimals: &mut Vec<String>,
    ) -> Result<(Vec<String>, DataFrame), StageError> {
        let file = &source.name;
        let opened = File::open(&source.path)
            .map_err(|error| StageError::environment(format!("`{file}` cannot be read: {error}")))?;
        let mut reader = ParquetReader::new(opened);
        let schema = reader.schema().map_err(|error| polars_error(&format!("reading `{file}` as Parquet"), &error))?;
        let names: Vec<String> = schema.iter_names().map(|name| name.to_string()).collect();
        if let Some(first) = first {
            select::same_columns(first, (file, &names))?;
        }
        let order = first.map_or(names.as_slice(), |(_, names)| names);
        select::positions(order, "personal", &self.personal)?;
        let wanted = self.columns.as_deref().unwrap_or(order);
        for position in select::positions(&names, "columns", wanted)? {
            if let Some((name, field)) = schema.get_at_index(position)
                && let Some(kind) = unreadable(&field.dtype)
            {
                return Err(StageError::data(format!(
                    "column `{name}` of `{file}` is {kind}, which a table cannot hold"
                ))
                .with_help("leave it out: list the other columns in `columns`"));
            }
        }
        // The reader gives the columns in the order of the file.
        let frame = reader
            .with_columns(Some(wanted.to_vec()))
            .finish()
            .and_then(|frame| frame.select(wanted.iter().map(String::as_str)))
            .map_err(|error| polars_error(&format!("reading `{file}` as Parquet"), &error))?;
        let rows = frame.height();
        let columns =
            frame.into_columns().into_iter().map(|column| plain(column, decimals)).collect::<Result<_, _>>()?;
        let frame =
            DataFrame::new(rows, columns).map_err(|error| polars_error(&format!("reading `{file}`"), &error))?;
        Ok((names, frame))
    }
}

/// What a column is that cannot be read: polars has no type for it, or a table has none.
fn unreadable(dtype: &ArrowDataType) -> Option<&'static str> {
    use ArrowDataType as A;
    match dtype {
        A::List(_) | A::LargeList(_) | A::FixedSizeList(..) => Some("nested (a list)"),
        A::Struct(_) | A::Union(_) => Some("nested (a struct)"),
        A::Map(..) => Some("nested (a map)"),
        A::Dictionary(_, values, _) => unreadable(values),
        A::Timestamp(_, zone) if TimeZone::opt_try_new(zone.clone()).is_err() => Some("a timestamp in an unknown zone"),
        A::Null | A::Boolean | A::Int8 | A::Int16 | A::Int32 | A::Int64 => None,
        A::UInt8 | A::UInt16 | A::UInt32 | A::UInt64 | A::Float32 | A::Float64 => None,
        A::Date32 | A::Date64 | A::Timestamp(..) | A::Time32(_) | A::Time64(_) | A::Duration(_) => None,
        A::Utf8 | A::LargeUtf8 | A::Utf8View | A::Binary | A::LargeBinary | A::BinaryView => None,
        A::FixedSizeBinary(_) | A::Decimal(..) => None,
        _ => Some("of a rare type"),
    }
}

/// The column in a type that does not depend on the file it is from and that a table can hold.
fn plain(column: Column, decimals: &mut Vec<String>) -> Result<Column, StageError> {
    let target = match column.dtype() {
        DataType::Decimal(..) => {
            let name = column.name().to_string();
            if !decimals.contains(&name) {
                decimals.push(name);
            }
            DataType::Float64
        }
        DataType::Categorical(..) | DataType::Enum(..) => DataType::String,
        _ => return Ok(column),
    };
    column.cast(&target).map_err(|error| polars_error(&format!("reading column `{}`", column.name()), &error))
}

/// Puts the rows of a further file below those of the files before.
fn append(above: DataFrame, below: DataFrame, first: &str, file: &str) -> Result<DataFrame, StageError> {
    let rows = above.height() + below.height();
    let columns = above
        .into_columns()
        .into_iter()
        .zip(below.into_columns())
        .map(|(above, below)| {
            let name = above.name().to_string();
            let failed = |error| polars_error(&format!("reading column `{name}` of `{file}`"), &error);
            let (mut above, below) = match (above.dtype().clone(), below.dtype().clone()) {
                (one, other) if one == other => (above, below),
                (DataType::Null, other) => (above.cast(&other).map_err(failed)?, below),
                (one, DataType::Null) => (above, below.cast(&one).map_err(failed)?),
                (one, other) => {
                    return Err(StageError::data(format!(
                        "column `{name}` is {other} in `{file}` and {one} in `{first}`"
                    ))
                    .with_help("files that are read together must have the same columns with the same types"));
                }
            };
            above.append_owned(below).map_err(failed)?;
            Ok(above)
        })
        .collect::<Result<_, _>>()?;
    DataFrame::new(rows, columns).map_err(|error| polars_error(&format!("reading `{file}`"), &error))
}

#[cfg(test)]
mod tests;
