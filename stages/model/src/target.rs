//! The column to predict: two classes as 0 and 1, or numbers.

use polars::prelude::{Column, DataFrame, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{StageError, Task};
use stagewright_frame::{column, polars_error};

use crate::features::floats;

/// The value that a class has in the target column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Label {
    /// `true` or `false`.
    Boolean(bool),
    /// An integer, such as 1.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Text, such as `yes`.
    Text(String),
}

impl Label {
    /// Whether both are the same value, of whichever numeric type.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(integer), Self::Number(number)) | (Self::Number(number), Self::Integer(integer)) => {
                *integer as f64 == *number
            }
            _ => self == other,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// The two classes of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// The class that 0 stands for.
    pub negative: Label,
    /// The class that 1 stands for, whose probability is predicted.
    pub positive: Label,
}

impl Classes {
    /// False and true.
    pub(crate) fn boolean() -> Self {
        Self { negative: Label::Boolean(false), positive: Label::Boolean(true) }
    }

    /// A column of classes, of the type that the target has: true for the positive one.
    pub(crate) fn column(&self, name: &str, positive: &[Option<bool>]) -> Column {
        let name = name.into();
        match (&self.negative, &self.positive) {
            (Label::Boolean(no), Label::Boolean(yes)) => pick(name, positive, *no, *yes),
            (Label::Integer(no), Label::Integer(yes)) => pick(name, positive, *no, *yes),
            (Label::Text(no), Label::Text(yes)) => pick(name, positive, no.as_str(), yes.as_str()),
            (no, yes) => pick(name, positive, no.number(), yes.number()),
        }
    }
}

impl Label {
    fn number(&self) -> f64 {
        match self {
            Self::Boolean(value) => f64::from(u8::from(*value)),
            Self::Integer(value) => *value as f64,
            Self::Number(value) => *value,
            Self::Text(_) => 0.0,
        }
    }
}

fn pick<T: Copy>(name: polars::prelude::PlSmallStr, positive: &[Option<bool>], no: T, yes: T) -> Column
where
    polars::prelude::Series: polars::prelude::NamedFrom<Vec<Option<T>>, [Option<T>]>,
{
    use polars::prelude::{NamedFrom, Series};
    let values: Vec<Option<T>> = positive.iter().map(|value| value.map(|value| if value { yes } else { no })).collect();
    Series::new(name, values).into()
}

/// The target of each row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// 0 or 1, or a number; NaN where it is missing.
    pub(crate) values: Vec<f64>,
    /// What 0 and 1 stand for, of a classification.
    pub(crate) classes: Option<Classes>,
}

impl Target {
    /// Reads the target. Two classes are booleans, two numbers or two texts; the positive one is `positive`, or else
    /// `true`, the larger number, or the text that comes later by its bytes.
    ///
    /// # Errors
    /// When there is no such column, it does not hold what the task needs, or `positive` is not among its values.
    pub(crate) fn read(
        frame: &DataFrame,
        name: &str,
        task: Task,
        positive: Option<&Label>,
    ) -> Result<Self, StageError> {
        match task {
            Task::Regression => Self::numbers(frame, name),
            Task::Classification => Self::classes(frame, name, positive),
        }
    }

    /// Reads the target of a model: numbers, or these two classes, of which one may not occur.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub(crate) fn read_as(frame: &DataFrame, name: &str, classes: Option<&Classes>) -> Result<Self, StageError> {
        let Some(classes) = classes else { return Self::numbers(frame, name) };
        let column = column(frame, name)?;
        let is_text = *column.dtype() == DataType::String;
        if is_text != matches!(classes.positive, Label::Text(_)) && *column.dtype() != DataType::Null {
            return Err(StageError::data(format!(
                "column `{name}` is {}, the model has learned the classes `{}` and `{}`",
                column.dtype(),
                classes.negative,
                classes.positive
            ))
            .with_help("cast it with `clean.cast`"));
        }
        let mut other = 0;
        let mut place = |known: bool, negative: bool, positive: bool| match (known, negative, positive) {
            (false, ..) => f64::NAN,
            (_, true, _) => 0.0,
            (_, _, true) => 1.0,
            _ => {
                other += 1;
                f64::NAN
            }
        };
        let values: Vec<f64> = if is_text {
            let texts = column.str().map_err(|error| polars_error(&format!("reading column `{name}`"), &error))?;
            let (negative, positive) = (classes.negative.to_string(), classes.positive.to_string());
            let of = |text: Option<&str>| {
                let is = |class: &str| text == Some(class);
                place(text.is_some(), is(&negative), is(&positive))
            };
            texts.iter().map(of).collect()
        } else {
            let (negative, positive) = (classes.negative.number(), classes.positive.number());
            let of = |value: f64| place(!value.is_nan(), value == negative, value == positive);
            floats(frame, name)?.into_iter().map(of).collect()
        };
        if other > 0 {
            return Err(StageError::data(format!(
                "{other} of {} rows have another value in column `{name}` than the classes `{}` and `{}`",
                values.len(),
                classes.negative,
                classes.positive
            ))
            .with_help("name the column that the model predicts, or filter those rows out"));
        }
        Ok(Self { values, classes: Some(classes.clone()) })
    }

    /// The rows whose target is known; `None` when it is known in all of them.
    pub(crate) fn known(&self) -> Option<Vec<usize>> {
        let known: Vec<usize> = (0..self.values.len()).filter(|row| !self.values[*row].is_nan()).collect();
        (known.len() < self.values.len()).then_some(known)
    }

    /// Just these rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self { values: rows.iter().map(|&row| self.values[row]).collect(), classes: self.classes.clone() }
    }

    fn numbers(frame: &DataFrame, name: &str) -> Result<Self, StageError> {
        let values = floats(frame, name)?;
        let infinite = values.iter().filter(|value| value.is_infinite()).count();
        if infinite > 0 {
            return Err(StageError::data(format!(
                "{infinite} of {} rows have an infinite value in column `{name}`, finite numbers are needed",
                values.len()
            ))
            .with_help("filter those rows out, or set the values to null"));
        }
        Ok(Self { values, classes: None })
    }

    fn classes(frame: &DataFrame, name: &str, positive: Option<&Label>) -> Result<Self, StageError> {
        let column = column(frame, name)?;
        let dtype = column.dtype().clone();
        let (found, values) = if dtype == DataType::String {
            let texts = column.str().map_err(|error| polars_error(&format!("reading column `{name}`"), &error))?;
            let mut seen: Vec<&str> = Vec::new();
            for text in texts.iter().flatten() {
                if !seen.contains(&text) && seen.len() < 3 {
                    seen.push(text);
                }
            }
            seen.sort_unstable();
            let place = |text| seen.iter().position(|seen| *seen == text).map_or(f64::NAN, |place| place as f64);
            let values: Vec<f64> = texts.iter().map(|text| text.map_or(f64::NAN, place)).collect();
            (seen.into_iter().map(|text| Label::Text(text.to_owned())).collect::<Vec<_>>(), values)
        } else {
            let mut values = floats(frame, name)?;
            let mut seen: Vec<f64> = Vec::new();
            for value in values.iter().filter(|value| !value.is_nan()) {
                if !seen.contains(value) && seen.len() < 3 {
                    seen.push(*value);
                }
            }
            seen.sort_unstable_by(f64::total_cmp);
            if seen != [0.0, 1.0] {
                let place = |value| seen.iter().position(|seen| *seen == value);
                values.iter_mut().for_each(|value| *value = place(*value).map_or(f64::NAN, |place| place as f64));
            }
            let label = |value: f64| match &dtype {
                DataType::Boolean => Label::Boolean(value == 1.0),
                dtype if dtype.is_integer() => Label::Integer(value as i64),
                _ => Label::Number(value),
            };
            (seen.into_iter().map(label).collect(), values)
        };
        let [negative, larger] = <[Label; 2]>::try_from(found).map_err(|found| {
            let message = match found.as_slice() {
                [] => format!("column `{name}` has no values, two classes are needed"),
                [_] => format!("column `{name}` has the same value in all rows, two classes are needed"),
                _ => format!("column `{name}` has more than two values, two classes are needed"),
            };
            StageError::data(message).with_help("look at the stage that the table comes from, or name another `target`")
        })?;
        let swap = match positive {
            None => false,
            Some(wanted) if wanted.is(&larger) => false,
            Some(wanted) if wanted.is(&negative) => true,
            Some(wanted) => {
                return Err(StageError::data(format!("no row has the value `{wanted}` in column `{name}`"))
                    .with_help("set `positive` to one of the two values that there are, or leave it out"));
            }
        };
        Ok(if swap {
            let values = values.iter().map(|value| 1.0 - value).collect();
            Self { values, classes: Some(Classes { negative: larger, positive: negative }) }
        } else {
            Self { values, classes: Some(Classes { negative, positive: larger }) }
        })
    }
}
