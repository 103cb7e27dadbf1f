use std::collections::BTreeMap;

use polars::prelude::{
    BooleanChunked, Column, DataType, Float64Chunked, Int64Chunked, IntoColumn, NewChunkedArray, TimeUnit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Port, Stage, StageContext, StageError};
use stagewright_frame::{column, polars_error, to_frame};

use crate::table::{count, nan_to_null, put_frame, show, table_ports, type_name};
use crate::time;

/// A type that a column can be converted to, by Arrow's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int64,
    /// A floating-point number of 64 bits.
    Float64,
    /// Text.
    String,
    /// A date without a time.
    Date32,
    /// A date and time in UTC, in microseconds.
    Timestamp,
}

/// Convert columns to other types.
///
/// Values convert without loss or not at all: text to a number when it writes one (`12`, `-0.5`; spaces around it do
/// not matter), a number to `int64` when it is whole, a number to `bool` when it is 0 or 1, text to `bool` when it is
/// `true`, `false`, `1` or `0`, text to `date32` or `timestamp` when it is ISO 8601 (`2024-01-31`, `2024-01-31
/// 09:30:00`, `2024-01-31T09:30:00+02:00`; without an offset it is UTC). A `timestamp` becomes the `date32` of its day
/// in UTC. Numbers stand for days (`date32`) or microseconds (`timestamp`) since 1970-01-01, both ways; dates lie in
/// the years 1 to 9999. Nulls stay null, and NaN becomes null. For another form of text, use `STRPTIME` in
/// `clean.derive`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// For each column to convert its new type.
    #[schemars(extend("minProperties" = 1))]
    pub columns: BTreeMap<String, Type>,
    /// Whether a value that does not convert is an error; otherwise it becomes null, with a warning that counts them.
    #[serde(default = "yes")]
    pub strict: bool,
}

fn yes() -> bool {
    true
}

impl Stage for Cast {
    const TYPE: &'static str = "clean.cast";
    const EXAMPLE: &'static str =
        "inputs: { table: orders }\nwith: { columns: { order_id: int64, created_at: timestamp }, strict: false }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The same rows with the columns converted.")
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let mut frame = to_frame(&table)?;
        let mut failures = Vec::new();
        for (name, to) in &self.columns {
            context.check_cancelled()?;
            let from = nan_to_null(column(&frame, name)?)?;
            let converted = convert(&from, *to)?;
            let failed = &from.is_not_null() & &converted.is_null();
            let number = failed.sum().unwrap_or(0) as usize;
            if let Some(first) = failed.iter().position(|failed| failed == Some(true)) {
                let value = match from.get(first) {
                    Ok(value) if !table.is_personal(name) => format!(": `{}`", show(&value)),
                    _ => String::new(),
                };
                failures.push(format!(
                    "column `{name}` has {} of {} that {} not convert from {} to {}, the first in row {}{value}",
                    count(number, "value"),
                    frame.height(),
                    if number == 1 { "does" } else { "do" },
                    type_name(from.dtype()),
                    type_name(&to.dtype()),
                    first + 1,
                ));
            }
            frame
                .with_column(converted)
                .map_err(|error| polars_error(&format!("converting column `{name}`"), &error))?;
        }
        if self.strict && !failures.is_empty() {
            return Err(StageError::data(failures.join("; "))
                .with_help("mend the values before, or say `strict: false` to make them null"));
        }
        for failure in failures {
            context.warn(format!("{failure}; made null"));
        }
        put_frame(context, frame, [])
    }
}

impl Type {
    fn dtype(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::String => DataType::String,
            Self::Date32 => DataType::Date,
            Self::Timestamp => DataType::Datetime(TimeUnit::Microseconds, None),
        }
    }
}

/// The column in another type, null where a value does not convert.
fn convert(from: &Column, to: Type) -> Result<Column, StageError> {
    let target = to.dtype();
    if from.dtype() == &target {
        return Ok(from.clone());
    }
    let cast = |column: &Column, dtype: &DataType| {
        column.cast(dtype).map_err(|error| polars_error(&format!("converting column `{}`", from.name()), &error))
    };
    match (from.dtype(), to) {
        (DataType::Null, _) => Ok(Column::full_null(from.name().clone(), from.len(), &target)),
        (DataType::String, to) => parse(from, to),
        (DataType::Boolean, Type::Int64 | Type::Float64 | Type::String) => cast(from, &target),
        (dtype, Type::Bool) if dtype.is_primitive_numeric() => {
            let values = cast(from, &DataType::Float64)?;
            let values = floats(&values)?.iter().map(|value| match value {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                _ => None,
            });
            Ok(BooleanChunked::from_iter_options(from.name().clone(), values).into_column())
        }
        (dtype, Type::Int64) if dtype.is_float() => {
            // 2⁶³ is a float, the largest 64-bit integer is not.
            const END: f64 = 9_223_372_036_854_775_808.0;
            let whole = |value: &f64| value.fract() == 0.0 && (-END..END).contains(value);
            let values = cast(from, &DataType::Float64)?;
            let values = floats(&values)?.iter().map(|value| value.filter(whole).map(|value| value as i64));
            Ok(Int64Chunked::from_iter_options(from.name().clone(), values).into_column())
        }
        (dtype, Type::Date32 | Type::Timestamp) if dtype.is_float() => convert(&convert(from, Type::Int64)?, to),
        (dtype, Type::Int64 | Type::Float64 | Type::String) if dtype.is_primitive_numeric() => cast(from, &target),
        (dtype, Type::Date32) if dtype.is_integer() => {
            let days = cast(from, &DataType::Int64)?;
            temporal(from, integers(&days)?.iter().map(|day| day.and_then(|day| day.checked_mul(time::DAY))), to)
        }
        (dtype, Type::Timestamp) if dtype.is_integer() => {
            let moments = cast(from, &DataType::Int64)?;
            temporal(from, integers(&moments)?.iter(), to)
        }
        (DataType::Date, Type::Int64 | Type::Float64 | Type::String | Type::Timestamp) => {
            let days = cast(from, &DataType::Int64)?;
            if matches!(to, Type::Int64 | Type::Float64) {
                return cast(&days, &target);
            }
            let moments = integers(&days)?.iter().map(|day| day.and_then(|day| day.checked_mul(time::DAY)));
            let within = temporal(from, moments, if to == Type::String { Type::Date32 } else { to })?;
            cast(&within, &target)
        }
        (DataType::Datetime(..), Type::Int64 | Type::Float64 | Type::String | Type::Date32 | Type::Timestamp) => {
            let moments = cast(&cast(from, &Type::Timestamp.dtype())?, &DataType::Int64)?;
            if matches!(to, Type::Int64 | Type::Float64) {
                return cast(&moments, &target);
            }
            let within =
                temporal(from, integers(&moments)?.iter(), if to == Type::String { Type::Timestamp } else { to })?;
            cast(&within, &target)
        }
        (DataType::Duration(_) | DataType::Time, Type::Int64) | (DataType::Binary, Type::String) => cast(from, &target),
        (dtype, _) => Err(StageError::data(format!(
            "column `{}` is {}, which does not convert to {}",
            from.name(),
            type_name(dtype),
            type_name(&target)
        ))
        .with_help("convert it to `int64` or `string` first, or compute the column with `clean.derive`")),
    }
}

/// What the texts of a column say.
fn parse(from: &Column, to: Type) -> Result<Column, StageError> {
    let texts = from.str().map_err(|error| polars_error("reading text", &error))?;
    let texts = texts.iter().map(|text| text.map(str::trim));
    let name = from.name().clone();
    Ok(match to {
        Type::Bool => {
            let read = |text: &str| match text {
                "1" => Some(true),
                "0" => Some(false),
                text if text.eq_ignore_ascii_case("true") => Some(true),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            };
            BooleanChunked::from_iter_options(name, texts.map(|text| text.and_then(read))).into_column()
        }
        Type::Int64 => Int64Chunked::from_iter_options(name, texts.map(|text| text.and_then(|text| text.parse().ok())))
            .into_column(),
        Type::Float64 => {
            let read = |text: &str| text.parse().ok().filter(|value: &f64| value.is_finite());
            Float64Chunked::from_iter_options(name, texts.map(|text| text.and_then(read))).into_column()
        }
        Type::Date32 | Type::Timestamp => return temporal(from, texts.map(|text| text.and_then(time::parse)), to),
        Type::String => from.clone(),
    })
}

/// Moments in microseconds since 1970-01-01 as a column of dates or of timestamps.
fn temporal(from: &Column, moments: impl Iterator<Item = Option<i64>>, to: Type) -> Result<Column, StageError> {
    let moments = moments.map(|moment| moment.filter(|moment| time::DAYS.contains(&moment.div_euclid(time::DAY))));
    let name = from.name().clone();
    let column = if to == Type::Date32 {
        let days = moments.map(|moment| moment.map(|moment| moment.div_euclid(time::DAY)));
        let days = Int64Chunked::from_iter_options(name, days).into_column();
        days.cast(&DataType::Int32).and_then(|days| days.cast(&DataType::Date))
    } else {
        Int64Chunked::from_iter_options(name, moments).into_column().cast(&to.dtype())
    };
    column.map_err(|error| polars_error(&format!("converting column `{}`", from.name()), &error))
}

fn floats(column: &Column) -> Result<&Float64Chunked, StageError> {
    column.f64().map_err(|error| polars_error("reading numbers", &error))
}

fn integers(column: &Column) -> Result<&Int64Chunked, StageError> {
    column.i64().map_err(|error| polars_error("reading numbers", &error))
}
