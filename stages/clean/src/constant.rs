use std::borrow::Cow;
use std::fmt;

use polars::chunked_array::cast::CastOptions;
use polars::prelude::{AnyValue, DataType, Scalar, TimeUnit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::table::number;
use crate::time;

/// A value in a workflow: true or false, a number, or text. Text also stands for dates and times in ISO 8601.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Constant {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, a date or a time.
    Text(String),
}

impl JsonSchema for Constant {
    fn schema_name() -> Cow<'static, str> {
        "Constant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "number", "string"] })
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => f.write_str(&number(*value)),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl Constant {
    /// The value as one of a column of this type; `None` when that type has no such value.
    pub(crate) fn scalar(&self, dtype: &DataType) -> Option<Scalar> {
        let number = match (self, dtype) {
            (Self::Bool(value), DataType::Boolean) => {
                return Some(Scalar::new(DataType::Boolean, AnyValue::Boolean(*value)));
            }
            (Self::Text(text), DataType::String) => {
                return Some(Scalar::new(DataType::String, AnyValue::StringOwned(text.as_str().into())));
            }
            (Self::Text(text), DataType::Date) => {
                let moment = time::parse(text).filter(|moment| moment % time::DAY == 0)?;
                let day = i32::try_from(moment / time::DAY).ok()?;
                return Some(Scalar::new(DataType::Date, AnyValue::Date(day)));
            }
            (Self::Text(text), DataType::Datetime(TimeUnit::Microseconds, zone)) => {
                let zone = zone.clone().map(std::sync::Arc::new);
                let moment = AnyValue::DatetimeOwned(time::parse(text)?, TimeUnit::Microseconds, zone);
                return Some(Scalar::new(dtype.clone(), moment));
            }
            (Self::Int(value), dtype) if dtype.is_integer() => Scalar::new(DataType::Int64, AnyValue::Int64(*value)),
            (Self::Int(_) | Self::Float(_), dtype) if dtype.is_float() => {
                Scalar::new(DataType::Float64, AnyValue::Float64(self.number()?))
            }
            (Self::Float(value), dtype) if dtype.is_integer() && value.fract() == 0.0 => {
                Scalar::new(DataType::Float64, AnyValue::Float64(*value))
            }
            _ => return None,
        };
        let cast = number.cast_with_options(dtype, CastOptions::Strict).ok()?;
        (!cast.is_null()).then_some(cast)
    }

    /// The value as a float, of a number.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The type of a column that holds such values.
    pub(crate) fn dtype(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Boolean,
            Self::Int(_) => DataType::Int64,
            Self::Float(_) => DataType::Float64,
            Self::Text(_) => DataType::String,
        }
    }
}
