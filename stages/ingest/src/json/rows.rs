//! Records becoming columns while they are read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use polars::chunked_array::builder::{
    BooleanChunkedBuilder, ChunkedBuilder, PrimitiveChunkedBuilder, StringChunkedBuilder,
};
use polars::prelude::{
    Column, DataType, Float64Type, Int32Type, Int64Type, IntoColumn, StringChunked, TimeUnit, TimeZone,
};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::values::{self, Reading, ValueType};

/// The records so far.
pub(super) struct Rows<'p> {
    types: &'p BTreeMap<String, ValueType>,
    personal: &'p [String],
    /// Whether only the columns that are there from the beginning are kept.
    closed: bool,
    columns: Vec<Growing>,
    /// Every key met: where its column is, or none if it is left out.
    places: HashMap<String, Option<usize>>,
    /// The keys in the order they were met, and the last file with each.
    keys: Vec<String>,
    rows: usize,
    files: usize,
    /// What is wrong with a record, for the error that serde carries.
    pub(super) problem: Option<Problem>,
}

/// What is wrong with a record.
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A column that takes values.
struct Growing {
    name: String,
    declared: Option<ValueType>,
    personal: bool,
    cells: Cells,
    len: usize,
    /// How many files were read before the last one that has it.
    last_file: Option<usize>,
}

enum Cells {
    Nulls,
    Bool(BooleanChunkedBuilder),
    Int(PrimitiveChunkedBuilder<Int64Type>),
    Float(PrimitiveChunkedBuilder<Float64Type>),
    Text(StringChunkedBuilder),
    Date(PrimitiveChunkedBuilder<Int32Type>),
    Timestamp(PrimitiveChunkedBuilder<Int64Type>),
}

/// A value of a record.
enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number beyond `Int`.
    Large(u64),
    Float(f64),
    Text(&'a str),
    Date(i32),
    Timestamp(i64),
}

impl<'p> Rows<'p> {
    pub(super) fn new(
        columns: Option<&[String]>,
        types: &'p BTreeMap<String, ValueType>,
        personal: &'p [String],
    ) -> Self {
        let mut rows = Self {
            types,
            personal,
            closed: false,
            columns: Vec::new(),
            places: HashMap::new(),
            keys: Vec::new(),
            rows: 0,
            files: 0,
            problem: None,
        };
        for name in columns.unwrap_or_default() {
            rows.add_column(name);
        }
        rows.closed = columns.is_some();
        rows
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The names of all keys met.
    pub(super) fn names(&self) -> Vec<String> {
        self.keys.clone()
    }

    /// Ends a file; the names of the columns that it has.
    pub(super) fn end_file(&mut self) -> Vec<String> {
        let file = self.files;
        self.files += 1;
        let seen = self.columns.iter().filter(|column| column.last_file == Some(file));
        seen.map(|column| column.name.clone()).collect()
    }

    pub(super) fn into_columns(self) -> Vec<Column> {
        let rows = self.rows;
        self.columns.into_iter().map(|column| column.finish(rows)).collect()
    }

    fn add_column(&mut self, name: &str) -> usize {
        self.columns.push(Growing {
            name: name.to_owned(),
            declared: self.types.get(name).copied(),
            personal: self.personal.iter().any(|personal| personal == name),
            cells: Cells::Nulls,
            len: 0,
            last_file: None,
        });
        self.columns.len() - 1
    }

    /// Where the column of a key is, if it is kept. `guess` is where it probably is.
    fn place(&mut self, key: &str, guess: usize) -> Option<usize> {
        if let Some(column) = self.columns.get(guess)
            && column.name == key
            && column.last_file.is_some()
        {
            return Some(guess);
        }
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = match self.columns.iter().position(|column| column.name == key) {
            None if !self.closed => Some(self.add_column(key)),
            place => place,
        };
        self.keys.push(key.to_owned());
        self.places.insert(key.to_owned(), place);
        place
    }

    fn end_record(&mut self) {
        self.rows += 1;
    }
}

impl Growing {
    /// Adds the value of record `row`; records in between that had none are null.
    fn push(&mut self, row: usize, file: usize, value: Value) -> Result<(), Problem> {
        if self.len > row {
            return Err(Problem::new(format!("field `{}` is there twice", self.name)));
        }
        self.last_file = Some(file);
        self.fill(row);
        let value = match self.declared {
            Some(kind) => self.as_declared(value, kind)?,
            None => value,
        };
        self.len += 1;
        match (&mut self.cells, value) {
            (cells, Value::Null) => cells.append_nulls(1),
            (Cells::Nulls, value) => self.cells = Cells::begin(row, value),
            (Cells::Bool(cells), Value::Bool(value)) => cells.append_value(value),
            (Cells::Int(cells), Value::Int(value)) => cells.append_value(value),
            (Cells::Int(cells), value @ (Value::Float(_) | Value::Large(_))) => {
                let whole = std::mem::replace(cells, PrimitiveChunkedBuilder::new("".into(), 0)).finish();
                let mut floats = PrimitiveChunkedBuilder::new("".into(), whole.len() * 2);
                whole.iter().for_each(|value| floats.append_option(value.map(|value| value as f64)));
                floats.append_option(value.number());
                self.cells = Cells::Float(floats);
            }
            (Cells::Float(cells), value @ (Value::Int(_) | Value::Large(_) | Value::Float(_))) => {
                cells.append_option(value.number());
            }
            (Cells::Text(cells), Value::Text(value)) => cells.append_value(value),
            (Cells::Date(cells), Value::Date(value)) => cells.append_value(value),
            (Cells::Timestamp(cells), Value::Timestamp(value)) => cells.append_value(value),
            (cells, value) => {
                let (before, now) = (cells.kind(), value.kind());
                return Err(Problem::new(format!("field `{}` is {now}, in records before it is {before}", self.name))
                    .with_help(format!("correct the value, or declare `types: {{ {}: string }}`", self.name)));
            }
        }
        Ok(())
    }

    /// The value in the declared type.
    fn as_declared<'a>(&self, value: Value<'a>, kind: ValueType) -> Result<Value<'a>, Problem> {
        let declared = Reading::Declared;
        let found = match (kind, &value) {
            (_, Value::Null) => return Ok(Value::Null),
            (ValueType::Bool, Value::Bool(_))
            | (ValueType::Int64, Value::Int(_))
            | (ValueType::Float64, Value::Float(_))
            | (ValueType::String, Value::Text(_)) => return Ok(value),
            (ValueType::Bool, Value::Text(text)) => values::boolean(text, declared).map(Value::Bool),
            (ValueType::Int64, Value::Text(text)) => values::int64(text, declared).map(Value::Int),
            // A float64 holds every whole number up to 2^53.
            (ValueType::Int64, Value::Float(float))
                if float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0 =>
            {
                Some(Value::Int(*float as i64))
            }
            (ValueType::Float64, Value::Text(text)) => values::float64(text, declared).map(Value::Float),
            (ValueType::Float64, Value::Int(_) | Value::Large(_)) => value.number().map(Value::Float),
            (ValueType::Date32, Value::Text(text)) => values::date32(text).map(Value::Date),
            (ValueType::Timestamp, Value::Text(text)) => values::timestamp(text, declared).map(Value::Timestamp),
            _ => None,
        };
        found.ok_or_else(|| {
            let shown = match &value {
                _ if self.personal => "the value".to_owned(),
                Value::Text(text) => format!("`{}`", crate::files::shown(text)),
                other => format!("`{}`", other.written()),
            };
            Problem::new(format!("field `{}`: {shown} is not {}", self.name, kind.expected()))
                .with_help("correct the value, or change the type")
        })
    }

    fn fill(&mut self, row: usize) {
        if row > self.len {
            self.cells.append_nulls(row - self.len);
            self.len = row;
        }
    }

    fn finish(mut self, rows: usize) -> Column {
        self.fill(rows);
        let column = match self.cells {
            Cells::Nulls => Column::full_null("".into(), rows, &DataType::String),
            Cells::Bool(cells) => cells.finish().into_column(),
            Cells::Int(cells) => cells.finish().into_column(),
            Cells::Float(cells) => cells.finish().into_column(),
            Cells::Text(cells) if self.declared.is_none() => dates(cells.finish()),
            Cells::Text(cells) => cells.finish().into_column(),
            Cells::Date(cells) => cells.finish().into_date().into_column(),
            Cells::Timestamp(cells) => {
                cells.finish().into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)).into_column()
            }
        };
        let column = match self.declared {
            Some(kind) if column.null_count() == rows => Column::full_null("".into(), rows, &polars_type(kind)),
            _ => column,
        };
        column.with_name(self.name.as_str().into())
    }
}

fn polars_type(kind: ValueType) -> DataType {
    match kind {
        ValueType::Bool => DataType::Boolean,
        ValueType::Int64 => DataType::Int64,
        ValueType::Float64 => DataType::Float64,
        ValueType::String => DataType::String,
        ValueType::Date32 => DataType::Date,
        ValueType::Timestamp => DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)),
    }
}

/// Text as dates or timestamps if that is what all of it is.
fn dates(text: StringChunked) -> Column {
    fn all<T>(text: &StringChunked, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
        text.iter().map(|value| value.map_or(Some(None), |value| parse(value).map(Some))).collect()
    }
    if let Some(days) = all(&text, values::date32) {
        return days.into_iter().collect::<polars::prelude::Int32Chunked>().into_date().into_column();
    }
    if let Some(micros) = all(&text, |value| values::timestamp(value, Reading::Inferred)) {
        let micros = micros.into_iter().collect::<polars::prelude::Int64Chunked>();
        return micros.into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)).into_column();
    }
    text.into_column()
}

impl Cells {
    /// The cells of a column with this many nulls and then its first value.
    fn begin(nulls: usize, value: Value) -> Self {
        let capacity = nulls + 1024;
        let mut cells = match value {
            Value::Null => Self::Nulls,
            Value::Bool(_) => Self::Bool(BooleanChunkedBuilder::new("".into(), capacity)),
            Value::Int(_) => Self::Int(PrimitiveChunkedBuilder::new("".into(), capacity)),
            Value::Large(_) | Value::Float(_) => Self::Float(PrimitiveChunkedBuilder::new("".into(), capacity)),
            Value::Text(_) => Self::Text(StringChunkedBuilder::new("".into(), capacity)),
            Value::Date(_) => Self::Date(PrimitiveChunkedBuilder::new("".into(), capacity)),
            Value::Timestamp(_) => Self::Timestamp(PrimitiveChunkedBuilder::new("".into(), capacity)),
        };
        cells.append_nulls(nulls);
        match (&mut cells, value) {
            (Self::Bool(cells), Value::Bool(value)) => cells.append_value(value),
            (Self::Int(cells), Value::Int(value)) => cells.append_value(value),
            (Self::Float(cells), value) => cells.append_option(value.number()),
            (Self::Text(cells), Value::Text(value)) => cells.append_value(value),
            (Self::Date(cells), Value::Date(value)) => cells.append_value(value),
            (Self::Timestamp(cells), Value::Timestamp(value)) => cells.append_value(value),
            _ => {}
        }
        cells
    }

    fn append_nulls(&mut self, count: usize) {
        for _ in 0..count {
            match self {
                Self::Nulls => return,
                Self::Bool(cells) => cells.append_null(),
                Self::Int(cells) | Self::Timestamp(cells) => cells.append_null(),
                Self::Float(cells) => cells.append_null(),
                Self::Text(cells) => cells.append_null(),
                Self::Date(cells) => cells.append_null(),
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Nulls => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) | Self::Date(_) | Self::Timestamp(_) => "text",
        }
    }
}

impl Value<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Large(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Large(_) | Self::Float(_) => "a number",
            Self::Text(_) | Self::Date(_) | Self::Timestamp(_) => "text",
        }
    }

    /// A number or a truth value as JSON writes it.
    fn written(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Large(value) => value.to_string(),
            Self::Float(value) => {
                serde_json::Number::from_f64(*value).map_or_else(String::new, |value| value.to_string())
            }
            _ => String::new(),
        }
    }
}

/// Reads one record into the rows.
pub(super) struct Record<'r, 'p>(pub(super) &'r mut Rows<'p>);

impl<'de> DeserializeSeed<'de> for Record<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Record<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let rows = self.0;
        let mut guess = 0;
        while let Some(place) = map.next_key_seed(Key { rows, guess })? {
            match place {
                Some(place) => {
                    guess = place + 1;
                    map.next_value_seed(Cell { rows, place })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        rows.end_record();
        Ok(())
    }
}

/// Finds the column of a key.
struct Key<'r, 'p> {
    rows: &'r mut Rows<'p>,
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.rows.place(key, self.guess))
    }
}

/// Reads one value into its column.
struct Cell<'r, 'p> {
    rows: &'r mut Rows<'p>,
    place: usize,
}

impl Cell<'_, '_> {
    fn take<E: Error>(self, value: Value) -> Result<(), E> {
        let (row, file) = (self.rows.rows, self.rows.files);
        let Some(column) = self.rows.columns.get_mut(self.place) else { return Ok(()) };
        let text;
        let value = match (column.declared, value) {
            (Some(ValueType::String), value @ (Value::Bool(_) | Value::Int(_) | Value::Large(_) | Value::Float(_))) => {
                text = value.written();
                Value::Text(&text)
            }
            (_, value) => value,
        };
        column.push(row, file, value).or_else(|problem| self.fail(problem))
    }

    fn nested<E: Error>(self, what: &str) -> Result<(), E> {
        let name = self.rows.columns.get(self.place).map_or("", |column| column.name.as_str());
        let problem = Problem::new(format!("field `{name}` is {what}, a text, number or truth value is needed"))
            .with_help("leave it out: list the other columns in `columns`");
        self.fail(problem)
    }

    fn fail<E: Error>(self, problem: Problem) -> Result<(), E> {
        self.rows.problem = Some(problem);
        Err(E::custom("see the problem"))
    }
}

impl<'de> DeserializeSeed<'de> for Cell<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.take(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.take(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.take(i64::try_from(value).map_or(Value::Large(value), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.take(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.take(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.nested("an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.nested("an object")
    }
}
