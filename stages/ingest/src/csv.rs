//! `ingest.csv`.

mod records;

use std::collections::{BTreeMap, BTreeSet};

use polars::chunked_array::builder::{
    BooleanChunkedBuilder, ChunkedBuilder, PrimitiveChunkedBuilder, StringChunkedBuilder,
};
use polars::prelude::{
    Column, DataFrame, Float64Type, Int32Type, Int64Type, IntoColumn, PolarsDataType, TimeUnit, TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Source, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, to_table};

use self::records::{BadRecord, Problem, Records, first_record, unquoted};
use crate::files::{self, Text, parallel};
use crate::select;
use crate::values::{self, Reading, ValueType};

/// Read a table from CSV files.
///
/// Files may be plain or compressed with gzip or Zstandard (their first bytes tell), in UTF-8 with or without a byte
/// order mark, with lines ended by LF or CRLF. Quoting is that of RFC 4180: a field that begins with `"` ends with the
/// next lone `"` and may hold separators, line breaks and doubled quotes; a quote further on in a field is itself.
/// Spaces belong to the field; empty lines are skipped. A column without a declared type gets the first of bool, int64,
/// float64, date32, timestamp and string that all its values are of, in the whole of every file; a column of nulls is
/// string. Guessing loses nothing: numbers with leading zeros or a plus sign (postal codes, telephone numbers) and
/// whole numbers beyond 64 bits stay text, and `NaN` and `inf` are text unless they are null values. Timestamps are
/// microseconds of UTC, read from `2022-04-19 14:22:33+00:00`, with a fraction of a second, with `T`, with `Z` or `
/// UTC` or another offset, and taken as UTC without one. With `header: false` the columns are `column_1`, `column_2`,
/// …, and so is a column whose name is empty.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Csv {
    /// The file, or a pattern such as `orders/*.csv.gz`; files are read in the order of their paths and must have the
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
    /// The types of columns by name; the others are found from the values. A declared bool also reads `1` and `0`, a
    /// declared timestamp a date alone (its midnight), and a declared number a plus sign and leading zeros.
    #[serde(default)]
    types: BTreeMap<String, ValueType>,
    /// The character between fields, one of ASCII, such as `;` or `"\t"`.
    #[serde(default = "comma")]
    separator: char,
    /// Whether the first record names the columns.
    #[serde(default = "yes")]
    header: bool,
    /// Texts that mean null in every column, quoted or not; matched as they are, upper and lower case apart.
    #[serde(default = "null_values")]
    null_values: Vec<String>,
    /// What to do with records that have a wrong number of fields or broken quotes, are not UTF-8, or hold a value that
    /// is not of its column's declared type.
    #[serde(default)]
    bad_rows: BadRows,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BadRows {
    /// Fail at the first one.
    #[default]
    Error,
    /// Put them out at `rejects` and go on.
    Reject,
}

fn comma() -> char {
    ','
}

fn yes() -> bool {
    true
}

fn null_values() -> Vec<String> {
    vec![String::new(), "null".to_owned()]
}

impl Stage for Csv {
    const TYPE: &'static str = "ingest.csv";
    const EXAMPLE: &'static str = "\
with:
  path: data/users.csv.gz
  types: { postal_code: string, created_at: timestamp }
  personal: [email, first_name, last_name, street_address]
  bad_rows: reject";

    fn ports() -> Vec<Port> {
        vec![
            Port::output("table", Kind::Table, "The records of all files, in order."),
            Port::output(
                "rejects",
                Kind::Table,
                "The bad records: file (string), line (int64, where the record begins), column (string, null when it \
                 is not about one), reason (string), text (string, the record as it is in the file; personal if any \
                 column is).",
            )
            .only_if("bad_rows", "reject"),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !self.separator.is_ascii() || matches!(self.separator, '"' | '\r' | '\n') {
            return Err(ParamError::new(
                "separator",
                format!("`{}` cannot separate fields", self.separator.escape_debug()),
            )
            .with_help("it is one ASCII character other than a quote or a line end"));
        }
        select::check(self.columns.as_deref())
    }

    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        let text = if self.personal.is_empty() { None } else { Some("text".to_owned()) };
        PersonalColumns::from([
            ("table".to_owned(), select::personal(&self.personal, self.columns.as_deref())),
            ("rejects".to_owned(), text.into_iter().collect()),
        ])
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new("path", self.path.clone())]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let sources = context.sources("path");
        let texts = parallel(sources.len(), |index| sources.get(index).map(files::read));
        let texts = texts.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
        context.check_cancelled()?;

        let parts = parallel(texts.len(), |index| texts.get(index).map(|text| self.part(text)));
        let mut parts = parts.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
        let Some(first) = parts.first() else {
            return Err(StageError::data(format!("no file matches `{}`", self.path)));
        };
        let names = first.names.clone();
        let first_name = first.text.name.clone();
        for part in &mut parts {
            part.order = select::same_columns((&first_name, &names), (&part.text.name, &part.names))?;
        }
        let kept = match &self.columns {
            Some(columns) => select::positions(&names, "columns", columns)?,
            None => (0..names.len()).collect(),
        };
        select::positions(&names, "personal", &self.personal)?;
        select::positions(&names, "types", self.types.keys())?;
        context.check_cancelled()?;

        let mut rejects = Vec::new();
        for (index, part) in parts.iter_mut().enumerate() {
            for bad in std::mem::take(&mut part.bad) {
                let found = self.malformed(index, part, &bad);
                if self.bad_rows == BadRows::Error {
                    return Err(found.error(part));
                }
                rejects.push(found);
            }
        }

        // Declared columns first: the records they reject do not take part in finding the types of the others.
        let field = |index: usize| names.get(index).map(String::as_str).unwrap_or_default();
        let (declared, inferred): (Vec<usize>, Vec<usize>) =
            kept.iter().partition(|index| self.types.contains_key(field(**index)));
        let read = |parts: &[Part], which: &[usize]| {
            let read = |at: usize| {
                let index = which.get(at).copied().unwrap_or_default();
                self.column(parts, index, field(index))
            };
            which.iter().copied().zip(parallel(which.len(), read)).collect::<BTreeMap<_, _>>()
        };
        let mut columns = read(&parts, &declared);
        let misfits = self.misfits(&parts, &columns, &names);
        if let Some(first) = misfits.first() {
            if self.bad_rows == BadRows::Error {
                return Err(parts
                    .get(first.1.file)
                    .map_or_else(|| StageError::bug("no such file"), |p| first.1.error(p)));
            }
            for (index, part) in parts.iter_mut().enumerate() {
                let gone: Vec<usize> =
                    misfits.iter().filter(|(_, found)| found.file == index).map(|(record, _)| *record).collect();
                part.records.remove(&gone);
            }
            rejects.extend(misfits.into_iter().map(|(_, found)| found));
            columns = read(&parts, &declared);
        }
        context.check_cancelled()?;
        columns.extend(read(&parts, &inferred));

        let rows = parts.iter().map(|part| part.records.len()).sum();
        let columns = kept.iter().filter_map(|index| columns.remove(index)).map(|read| read.column).collect();
        let frame = DataFrame::new(rows, columns).map_err(|error| polars_error("reading CSV", &error))?;
        let mut table = to_table(frame)?;
        table.mark_personal(self.personal.iter().map(String::as_str));
        context.put("table", table)?;

        if self.bad_rows == BadRows::Reject {
            rejects.sort_by_key(|found| (found.file, found.start));
            if !rejects.is_empty() {
                context.warn(format!("{} of {} records were rejected", rejects.len(), rows + rejects.len()));
            }
            let mut table = to_table(reject_frame(&parts, &rejects)?)?;
            if !self.personal.is_empty() {
                table.mark_personal(["text"]);
            }
            context.put("rejects", table)?;
        }
        Ok(())
    }
}

/// One file: its text and where everything is in it.
struct Part<'a> {
    text: &'a Text,
    /// The names of its columns, in its own order.
    names: Vec<String>,
    records: Records,
    bad: Vec<BadRecord>,
    /// For each column of the first file, which one it is here.
    order: Vec<usize>,
}

/// A bad record, wherever it was found.
struct Found {
    file: usize,
    start: usize,
    end: usize,
    /// Where in the text the problem is.
    at: usize,
    column: Option<String>,
    reason: String,
    help: Option<String>,
}

impl Found {
    fn error(&self, part: &Part) -> StageError {
        let text = &part.text.text;
        let line = 1 + newlines(text, 0, self.start);
        let column = 1 + text.get(self.start..self.at).map_or(0, |before| before.chars().count());
        let error = StageError::data(&self.reason).at(format!("{}:{line}:{column}", part.text.name));
        error.with_help(match &self.help {
            Some(help) => format!("{help}, or set `bad_rows: reject` to set such records aside"),
            None => "correct the file, or set `bad_rows: reject` to set such records aside".to_owned(),
        })
    }
}

/// A column, and the records (file, record) whose value is not of its declared type.
struct Read {
    column: Column,
    misfits: Vec<(usize, usize)>,
}

impl Csv {
    /// Finds the columns and the records of a file.
    fn part<'a>(&self, text: &'a Text) -> Result<Part<'a>, StageError> {
        let separator = self.separator as u8;
        let (fields, after, bad) = first_record(&text.text, separator, &text.invalid);
        if fields.is_empty() {
            return Err(StageError::data(format!("`{}` is empty", text.name)).with_help(if self.header {
                "a line with the names of the columns is needed"
            } else {
                "at least one record is needed"
            }));
        }
        let mut names: Vec<String> = (1..=fields.len()).map(|number| format!("column_{number}")).collect();
        if self.header {
            if let Some(bad) = bad {
                let names = Vec::new(); // The fields have no names yet: their numbers are shown.
                let part = Part { text, names, records: Records::default(), bad: Vec::new(), order: Vec::new() };
                let found = self.malformed(0, &part, &bad);
                return Err(StageError { help: None, ..found.error(&part) });
            }
            for (name, field) in names.iter_mut().zip(fields) {
                if !field.is_empty() {
                    *name = field;
                }
            }
            let mut seen = BTreeSet::new();
            if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
                return Err(StageError::data(format!("two columns are named `{twice}`")).at(format!(
                    "{}:{}:1",
                    text.name,
                    1 + newlines(&text.text, 0, after.saturating_sub(1))
                )));
            }
        }
        let from = if self.header { after } else { 0 };
        let first_only = self.bad_rows == BadRows::Error;
        let (records, bad) = Records::find(&text.text, from, separator, names.len(), &text.invalid, first_only);
        Ok(Part { text, names, records, bad, order: Vec::new() })
    }

    /// What is wrong with a record that is not well formed.
    fn malformed(&self, file: usize, part: &Part, bad: &BadRecord) -> Found {
        let name = |field: usize| part.names.get(field).cloned();
        let named =
            |field: usize| name(field).map_or_else(|| format!("field {}", field + 1), |name| format!("field `{name}`"));
        let (column, reason, help) = match bad.problem {
            Problem::FieldCount(count) => {
                let s = if count == 1 { "" } else { "s" };
                let reason = format!("the record has {count} field{s}, {} are needed", part.names.len());
                (None, reason, Some("put quotes around a field that holds a separator or a line break"))
            }
            Problem::UnclosedQuote(field) => {
                (name(field), format!("the quote that opens {} is never closed", named(field)), None)
            }
            Problem::AfterQuote(field) => (
                name(field),
                format!("there is text after the quote that closes {}", named(field)),
                Some("double each quote inside a quoted field"),
            ),
            Problem::Encoding(field) => {
                (name(field), format!("{} is not UTF-8", named(field)), Some("convert the file to UTF-8"))
            }
            Problem::TooLong => {
                (None, "the record is longer than 4 GiB".to_owned(), Some("look for a quote that is not closed"))
            }
        };
        Found { file, start: bad.start, end: bad.end, at: bad.at, column, reason, help: help.map(str::to_owned) }
    }

    /// The records that a declared type rejects, in order, each for the first such column.
    fn misfits(&self, parts: &[Part], columns: &BTreeMap<usize, Read>, names: &[String]) -> Vec<(usize, Found)> {
        let mut first = BTreeMap::new();
        for (column, read) in columns {
            for place in &read.misfits {
                first.entry(*place).or_insert(*column);
            }
        }
        first
            .into_iter()
            .filter_map(|((file, record), column)| {
                let (part, name) = (parts.get(file)?, names.get(column)?);
                let kind = self.types.get(name)?;
                let (start, end) = part.records.span(record);
                let (from, to) = part.records.field(record, *part.order.get(column)?);
                let value = match self.personal.contains(name) {
                    true => "the value".to_owned(),
                    false => format!("`{}`", files::shown(&unquoted(part.text.text.get(from..to)?))),
                };
                let found = Found {
                    file,
                    start,
                    end,
                    at: from,
                    column: Some(name.clone()),
                    reason: format!("column `{name}`: {value} is not {}", kind.expected()),
                    help: Some("correct the value, add it to `null_values`, change the type".to_owned()),
                };
                Some((record, found))
            })
            .collect()
    }

    /// Reads a column of all files.
    fn column(&self, parts: &[Part], index: usize, name: &str) -> Read {
        let cells = Cells {
            parts,
            index,
            null_values: &self.null_values,
            rows: parts.iter().map(|part| part.records.len()).sum(),
        };
        match self.types.get(name) {
            Some(kind) => {
                let mut misfits = Vec::new();
                let all = self.bad_rows == BadRows::Reject;
                let column = cells.read(name, *kind, Reading::Declared, &mut |place| {
                    misfits.push(place);
                    all
                });
                Read { column, misfits }
            }
            None => Read { column: cells.infer(name), misfits: Vec::new() },
        }
    }
}

/// The fields of one column.
struct Cells<'a> {
    parts: &'a [Part<'a>],
    index: usize,
    null_values: &'a [String],
    rows: usize,
}

/// Told where a value is that does not fit, says whether to go on, with null in its place.
type Misfit<'a> = dyn FnMut((usize, usize)) -> bool + 'a;

impl Cells<'_> {
    /// The column in the first type that fits all its values.
    fn infer(&self, name: &str) -> Column {
        let order = [ValueType::Bool, ValueType::Int64, ValueType::Float64, ValueType::Date32, ValueType::Timestamp];
        for kind in order {
            let mut fits = true;
            let column = self.read(name, kind, Reading::Inferred, &mut |_| {
                fits = false;
                false
            });
            if !fits {
                continue;
            }
            if column.null_count() == column.len() {
                break;
            }
            return column;
        }
        self.read(name, ValueType::String, Reading::Inferred, &mut |_| true)
    }

    fn read(&self, name: &str, kind: ValueType, reading: Reading, misfit: &mut Misfit) -> Column {
        let (label, rows) = (name.into(), self.rows);
        match kind {
            ValueType::Bool => {
                let builder = BooleanChunkedBuilder::new(label, rows);
                self.fill(builder, misfit, |text| values::boolean(text, reading)).into_column()
            }
            ValueType::Int64 => {
                let builder = PrimitiveChunkedBuilder::<Int64Type>::new(label, rows);
                self.fill(builder, misfit, |text| values::int64(text, reading)).into_column()
            }
            ValueType::Float64 => {
                let builder = PrimitiveChunkedBuilder::<Float64Type>::new(label, rows);
                self.fill(builder, misfit, |text| values::float64(text, reading)).into_column()
            }
            ValueType::Date32 => {
                let builder = PrimitiveChunkedBuilder::<Int32Type>::new(label, rows);
                self.fill(builder, misfit, values::date32).into_date().into_column()
            }
            ValueType::Timestamp => {
                let builder = PrimitiveChunkedBuilder::<Int64Type>::new(label, rows);
                self.fill(builder, misfit, |text| values::timestamp(text, reading))
                    .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
                    .into_column()
            }
            ValueType::String => {
                let mut builder = StringChunkedBuilder::new(label, rows);
                self.each(|_, text| {
                    builder.append_option(text);
                    true
                });
                builder.finish().into_column()
            }
        }
    }

    fn fill<N, T: PolarsDataType, B: ChunkedBuilder<N, T>>(
        &self,
        mut builder: B,
        misfit: &mut Misfit,
        parse: impl Fn(&str) -> Option<N>,
    ) -> polars::prelude::ChunkedArray<T> {
        self.each(|place, text| match text.map(&parse) {
            Some(Some(value)) => {
                builder.append_value(value);
                true
            }
            Some(None) => {
                builder.append_null();
                misfit(place)
            }
            None => {
                builder.append_null();
                true
            }
        });
        builder.finish()
    }

    /// Visits the values, null ones as none, until told to stop.
    fn each(&self, mut visit: impl FnMut((usize, usize), Option<&str>) -> bool) {
        for (file, part) in self.parts.iter().enumerate() {
            let Some(field) = part.order.get(self.index) else { return };
            for record in 0..part.records.len() {
                let (from, to) = part.records.field(record, *field);
                let value = unquoted(part.text.text.get(from..to).unwrap_or_default());
                let value = Some(&*value).filter(|value| !self.null_values.iter().any(|null| null == value));
                if !visit((file, record), value) {
                    return;
                }
            }
        }
    }
}

/// The table of bad records.
fn reject_frame(parts: &[Part], rejects: &[Found]) -> Result<DataFrame, StageError> {
    let mut lines = Vec::with_capacity(rejects.len());
    let (mut file, mut line, mut counted) = (0, 1, 0);
    for found in rejects {
        if found.file != file {
            (file, line, counted) = (found.file, 1, 0);
        }
        let text = parts.get(file).map_or("", |part| part.text.text.as_str());
        line += newlines(text, counted, found.start);
        counted = found.start;
        lines.push(i64::try_from(line).unwrap_or(i64::MAX));
    }
    let part = |found: &Found| parts.get(found.file);
    let name = |found| part(found).map_or("", |part| part.text.name.as_str());
    let text =
        |found: &Found| part(found).and_then(|part| part.text.text.get(found.start..found.end)).unwrap_or_default();
    let columns = vec![
        Column::new("file".into(), rejects.iter().map(name).collect::<Vec<_>>()),
        Column::new("line".into(), lines),
        Column::new("column".into(), rejects.iter().map(|found| found.column.as_deref()).collect::<Vec<_>>()),
        Column::new("reason".into(), rejects.iter().map(|found| found.reason.as_str()).collect::<Vec<_>>()),
        Column::new("text".into(), rejects.iter().map(text).collect::<Vec<_>>()),
    ];
    DataFrame::new(rejects.len(), columns).map_err(|error| polars_error("listing the rejected records", &error))
}

fn newlines(text: &str, from: usize, to: usize) -> usize {
    text.as_bytes().get(from..to).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
