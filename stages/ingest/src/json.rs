//! `ingest.json`.

mod rows;

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use schemars::JsonSchema;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Source, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, to_table};

use self::rows::{Problem, Record, Rows};
use crate::files::{self, Text};
use crate::select;
use crate::values::ValueType;

/// Read a table from JSON files: an array of objects, or one object per line.
///
/// A file whose first character is `[` is an array; any other is JSON lines, where empty lines are skipped. Files may
/// be plain or compressed with gzip or Zstandard (their first bytes tell), in UTF-8. The columns are the keys, in the
/// order in which they first occur; a key that an object lacks is null there. A column without a declared type is what
/// its values are: bool, int64, float64 (numbers with a fraction or an exponent or beyond 64 bits among them), or text,
/// and text that is a date or a timestamp throughout is date32 or timestamp, as in `ingest.csv`; text that looks like a
/// number stays text. Columns whose values are of several kinds need a declared type; string takes them all. Objects
/// and arrays within a record are refused unless `columns` leaves them out.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Json {
    /// The file, or a pattern such as `events/*.jsonl.gz`; files are read in the order of their paths and must have the
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
    /// The types of columns by name; the others are found from the values.
    #[serde(default)]
    types: BTreeMap<String, ValueType>,
}

impl Stage for Json {
    const TYPE: &'static str = "ingest.json";
    const EXAMPLE: &'static str = "\
with:
  path: data/responses.jsonl.gz
  types: { sent_at: timestamp }
  personal: [email]";

    fn ports() -> Vec<Port> {
        vec![Port::output("table", Kind::Table, "The records of all files, in order.")]
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
        let sources = context.sources("path");
        if sources.is_empty() {
            return Err(StageError::data(format!("no file matches `{}`", self.path)));
        }
        let mut rows = Rows::new(self.columns.as_deref(), &self.types, &self.personal);
        let mut first: Option<(String, Vec<String>)> = None;
        for (index, source) in sources.iter().enumerate() {
            context.check_cancelled()?;
            context.progress(index as u64, sources.len() as u64);
            let text = files::read(source)?;
            let before = rows.len();
            read(&text, &mut rows)?;
            let seen = rows.end_file();
            if rows.len() == before {
                continue; // A file without records says nothing about its columns.
            }
            match &first {
                Some((name, names)) => drop(select::same_columns((name, names), (&text.name, &seen))?),
                None => first = Some((text.name, seen)),
            }
        }
        if first.is_some() {
            let names = rows.names();
            select::positions(&names, "columns", self.columns.iter().flatten())?;
            select::positions(&names, "types", self.types.keys())?;
            select::positions(&names, "personal", &self.personal)?;
        }
        let height = rows.len();
        let frame =
            DataFrame::new(height, rows.into_columns()).map_err(|error| polars_error("reading JSON", &error))?;
        let mut table = to_table(frame)?;
        table.mark_personal(self.personal.iter().map(String::as_str));
        context.put("table", table)
    }
}

/// Adds the records of a file.
fn read(text: &Text, rows: &mut Rows) -> Result<(), StageError> {
    if let Some(at) = text.invalid.first() {
        let before = text.text.get(..*at).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        return Err(StageError::data("the text is not UTF-8")
            .at(format!("{}:{line}:{column}", text.name))
            .with_help("convert the file to UTF-8"));
    }
    if text.text.trim_start().starts_with('[') {
        let mut json = serde_json::Deserializer::from_str(&text.text);
        let done = json.deserialize_seq(Records(rows)).and_then(|()| json.end());
        return done.map_err(|error| located(&text.name, 0, &error, rows.problem.take()));
    }
    for (number, line) in text.text.split('\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let mut json = serde_json::Deserializer::from_str(line);
        let done = Record(rows).deserialize(&mut json).and_then(|()| json.end());
        done.map_err(|error| located(&text.name, number, &error, rows.problem.take()))?;
    }
    Ok(())
}

/// An error with its place. What serde would say about a value of the wrong kind holds the value, which may be
/// personal.
fn located(file: &str, lines_before: usize, error: &serde_json::Error, problem: Option<Problem>) -> StageError {
    let place = format!("{file}:{}:{}", lines_before + error.line(), error.column());
    let problem = problem.unwrap_or_else(|| match error.classify() {
        serde_json::error::Category::Data => {
            Problem::new("a record is not an object").with_help("an array of objects is needed, or one object per line")
        }
        _ => {
            let text = error.to_string();
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            Problem::new(format!("this is not JSON: {what}"))
                .with_help("a file is one array of objects, or has one whole object on each line")
        }
    });
    let error = StageError::data(problem.message).at(place);
    match problem.help {
        Some(help) => error.with_help(help),
        None => error,
    }
}

/// An array of records.
struct Records<'r, 'p>(&'r mut Rows<'p>);

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Record(self.0))?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
