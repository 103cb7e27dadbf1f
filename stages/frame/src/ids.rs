//! Identifiers (users, products, orders, genders) as dense codes, so that the methods work on small integers and
//! "ascending" means the same everywhere.

use std::borrow::Cow;

use polars::datatypes::{InitHashMaps, PlHashMap, PlHashSet};
use polars::prelude::{Column, DataFrame, DataType, IntoColumn, NamedFrom, Series};
use stagewright_contract::StageError;

use crate::{column, polars_error};

/// The distinct identifiers of a column, ascending: numbers by value, text by its bytes. The code of one is its place.
pub struct Ids {
    name: String,
    dtype: DataType,
    values: Values,
}

enum Values {
    Integers(Vec<i64>),
    Texts(Vec<String>),
}

impl Ids {
    /// Those of the column `name` in any of these tables, which go by the names of their ports.
    ///
    /// # Errors
    /// When a table lacks the column, or it holds neither integers nor text, or not the same in all of them.
    pub fn of(name: &str, tables: &[(&str, &DataFrame)]) -> Result<Self, StageError> {
        let mut seen: Option<(&str, bool, DataType)> = None;
        for (port, frame) in tables {
            let dtype = identifier_type(name, column(frame, name)?.dtype())?;
            let is_text = dtype == DataType::String;
            seen = match seen {
                None => Some((port, is_text, dtype)),
                Some((_, other, first)) if other == is_text && first == dtype => Some((port, is_text, dtype)),
                Some((_, false, _)) if !is_text => Some((port, false, DataType::Int64)),
                Some((first_port, _, first)) => {
                    return Err(StageError::data(format!(
                        "column `{name}` is {first} in `{first_port}` and {dtype} in `{port}`, the same is needed"
                    ))
                    .with_help("cast one of them with `clean.cast`"));
                }
            };
        }
        let (is_text, dtype) = seen.map_or((false, DataType::Int64), |(_, is_text, dtype)| (is_text, dtype));
        let values = if is_text {
            let mut distinct = PlHashSet::new();
            for (_, frame) in tables {
                let texts = column(frame, name)?.str().map_err(|error| reading(name, &error))?;
                distinct.extend(texts.iter().flatten());
            }
            let mut values: Vec<String> = distinct.into_iter().map(str::to_owned).collect();
            values.sort_unstable();
            Values::Texts(values)
        } else {
            let mut distinct = PlHashSet::new();
            for (_, frame) in tables {
                distinct.extend(integers(frame, name)?.into_iter().flatten());
            }
            let mut values: Vec<i64> = distinct.into_iter().collect();
            values.sort_unstable();
            Values::Integers(values)
        };
        Ok(Self { name: name.to_owned(), dtype, values })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Integers(values) => values.len(),
            Values::Texts(values) => values.len(),
        }
    }

    /// The code in each row of one of the tables; `None` where the identifier is null.
    ///
    /// # Errors
    /// When the table is not one of those that the identifiers are of.
    pub fn codes(&self, frame: &DataFrame) -> Result<Vec<Option<u32>>, StageError> {
        Ok(match &self.values {
            Values::Integers(values) => {
                let codes: PlHashMap<i64, u32> = values.iter().copied().zip(0..).collect();
                let rows = integers(frame, &self.name)?;
                rows.into_iter().map(|value| value.and_then(|value| codes.get(&value).copied())).collect()
            }
            Values::Texts(values) => {
                let codes: PlHashMap<&str, u32> = values.iter().map(String::as_str).zip(0..).collect();
                let rows = column(frame, &self.name)?.str().map_err(|error| reading(&self.name, &error))?;
                rows.iter().map(|value| value.and_then(|value| codes.get(value).copied())).collect()
            }
        })
    }

    /// An identifier as text: numbers in decimal digits; nothing for a code that there is not.
    pub fn text(&self, code: u32) -> Cow<'_, str> {
        match &self.values {
            Values::Integers(values) => values.get(code as usize).map(ToString::to_string).unwrap_or_default().into(),
            Values::Texts(values) => values.get(code as usize).map(String::as_str).unwrap_or_default().into(),
        }
    }

    /// The column with these codes, of the type it came with.
    ///
    /// # Errors
    /// When an identifier does not fit the type, which those it came with do.
    pub fn column(&self, codes: &[u32]) -> Result<Column, StageError> {
        let name = self.name.as_str().into();
        let series = match &self.values {
            Values::Integers(values) => {
                let rows: Vec<Option<i64>> = codes.iter().map(|code| values.get(*code as usize).copied()).collect();
                Series::new(name, rows)
            }
            Values::Texts(values) => {
                let rows: Vec<Option<&str>> =
                    codes.iter().map(|code| values.get(*code as usize).map(String::as_str)).collect();
                Series::new(name, rows)
            }
        };
        let column = series.into_column();
        if column.dtype() == &self.dtype {
            return Ok(column);
        }
        column
            .strict_cast(&self.dtype)
            .map_err(|error| polars_error(&format!("writing column `{}`", self.name), &error))
    }
}

fn identifier_type(name: &str, dtype: &DataType) -> Result<DataType, StageError> {
    let fits = matches!(
        dtype,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Boolean
            | DataType::String
    );
    if fits {
        return Ok(dtype.clone());
    }
    Err(StageError::data(format!("column `{name}` is {dtype}, integers or text are needed to tell one from another"))
        .with_help("cast it with `clean.cast`, or name another column"))
}

fn integers(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>, StageError> {
    let column = column(frame, name)?.strict_cast(&DataType::Int64).map_err(|error| reading(name, &error))?;
    let values = column.i64().map_err(|error| reading(name, &error))?;
    Ok(values.iter().collect())
}

fn reading(name: &str, error: &polars::error::PolarsError) -> StageError {
    polars_error(&format!("reading column `{name}`"), error)
}
