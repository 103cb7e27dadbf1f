//! Feature columns of a table as a [`Matrix`], and what a model keeps about them.
//!
//! Numbers and booleans (false is 0, true is 1) are one column of the matrix each. The categories of a text column are
//! those seen when the model was learned, ascending by their bytes; each is a column of zeros and ones ([`OneHot`]), or
//! the column holds the place of the category among them ([`Ordinal`]): which of the two, the estimator says. A category
//! that was not seen is zero in all columns, or missing. Missing values (null, NaN) are NaN in all columns of their
//! feature.
//!
//! [`OneHot`]: Encoding::OneHot
//! [`Ordinal`]: Encoding::Ordinal

use std::collections::BTreeSet;

use polars::datatypes::{InitHashMaps, PlHashMap};
use polars::prelude::{DataFrame, DataType};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ModelFeature, StageError, Table};
use stagewright_frame::{column, nearest, polars_error};

use crate::matrix::Matrix;

/// More categories than this in one column are more likely identifiers than categories.
const MOST_CATEGORIES: usize = 1000;

/// What an estimator makes of text columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Categories {
    /// A column of zeros and ones for each category.
    OneHot,
    /// The same without the first category, which is the one that the others are compared with: for estimators that
    /// cannot do with columns that add up to 1.
    OneHotWithoutFirst,
    /// One column with the place of the category: for trees.
    Ordinal,
}

/// How a feature becomes columns of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    Number,
    /// False is 0, true is 1.
    Boolean,
    /// A column of zeros and ones for each category.
    OneHot {
        /// Those seen, ascending by their bytes.
        categories: Vec<String>,
        /// Whether the first has no column.
        without_first: bool,
    },
    /// The place of the category, from 0.
    Ordinal {
        /// Those seen, ascending by their bytes.
        categories: Vec<String>,
    },
}

impl Encoding {
    /// How many columns of the matrix it becomes.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Number | Self::Boolean | Self::Ordinal { .. } => 1,
            Self::OneHot { categories, without_first } => categories.len() - usize::from(*without_first),
        }
    }

    /// The names of those columns: `price`, or `department=frozen` for each category.
    pub(crate) fn names(&self, feature: &str) -> Vec<String> {
        match self {
            Self::Number | Self::Boolean | Self::Ordinal { .. } => vec![feature.to_owned()],
            Self::OneHot { categories, without_first } => {
                let first = usize::from(*without_first);
                categories.iter().skip(first).map(|category| format!("{feature}={category}")).collect()
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::OneHot { .. } | Self::Ordinal { .. } => "text",
        }
    }
}

/// A feature that an estimator learns from.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name, its Arrow type and its range.
    pub column: ModelFeature,
    /// How it becomes columns of the matrix.
    pub encoding: Encoding,
}

/// The features, in the order of the matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Features(pub Vec<Feature>);

/// The matrix of a table that a model is applied to, and what is odd about the table.
pub(crate) struct Encoded {
    pub(crate) matrix: Matrix,
    /// What a person should know, such as values that the model has not seen.
    pub(crate) warnings: Vec<String>,
}

impl Features {
    /// Learns the types, ranges and categories of these columns of a frame, which has the rows (or some of them) of
    /// `table`, and gives its matrix. Of a personal column no range is kept, for it is made of two persons' values.
    ///
    /// # Errors
    /// When a column is not there, is neither number, boolean nor text, holds an infinite value, or is personal text:
    /// the model would keep its values.
    pub(crate) fn learn(
        table: &Table,
        frame: &DataFrame,
        names: &[String],
        categories: Categories,
    ) -> Result<(Self, Matrix), StageError> {
        let schema = table.schema();
        let learned = names
            .par_iter()
            .map(|name| {
                let raw = Raw::read(frame, name)?;
                let personal = table.is_personal(name);
                let encoding = raw.encoding(name, categories)?;
                if personal && encoding.kind() == "text" {
                    return Err(StageError::data(format!(
                        "column `{name}` is personal text, and the model would keep its values"
                    ))
                    .with_help("leave it out, pseudonymise it, or make a number of it with `clean.derive`"));
                }
                let range = if personal { None } else { raw.range() };
                let dtype = schema.iter().find(|info| info.name == *name).map_or("null", |info| info.dtype.as_str());
                let (columns, _) = raw.into_columns(&encoding);
                let column = ModelFeature { name: name.clone(), dtype: dtype.to_owned(), range };
                Ok((Feature { column, encoding }, columns))
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let (features, columns): (Vec<_>, Vec<_>) = learned.into_iter().unzip();
        Ok((Self(features), Matrix::new(columns.into_iter().flatten().collect(), frame.height())))
    }

    /// The names of the columns of the matrix.
    pub fn matrix_names(&self) -> Vec<String> {
        self.0.iter().flat_map(|feature| feature.encoding.names(&feature.column.name)).collect()
    }

    /// For each feature, its first column of the matrix and how many it has.
    pub(crate) fn places(&self) -> Vec<(usize, usize)> {
        let mut first = 0;
        self.0
            .iter()
            .map(|feature| {
                let width = feature.encoding.width();
                first += width;
                (first - width, width)
            })
            .collect()
    }

    /// The matrix of a table that a model is applied to.
    ///
    /// # Errors
    /// When columns are missing (names all of them, and the nearest that there are), or are of another kind than the
    /// model has learned.
    pub(crate) fn encode(&self, frame: &DataFrame) -> Result<Encoded, StageError> {
        self.refuse_missing_columns(frame)?;
        let rows = frame.height();
        let encoded = self
            .0
            .par_iter()
            .map(|feature| {
                let ModelFeature { name, dtype, range } = &feature.column;
                let raw = Raw::read(frame, name)?;
                if !raw.fits(&feature.encoding) {
                    return Err(StageError::data(format!(
                        "column `{name}` is {}, the model has learned from {} ({dtype})",
                        column(frame, name)?.dtype(),
                        feature.encoding.kind()
                    ))
                    .with_help("cast it with `clean.cast`, or learn the model from a table like this one"));
                }
                let mut warnings = Vec::new();
                if let (Some((least, largest)), Raw::Numbers(values)) = (range, &raw) {
                    let outside = values.iter().filter(|value| **value < *least || **value > *largest).count();
                    if outside > 0 {
                        warnings.push(format!(
                            "{outside} of {rows} rows have a value in column `{name}` outside the range from {least} \
                             to {largest} that the model has learned from"
                        ));
                    }
                }
                let (columns, unseen) = raw.into_columns(&feature.encoding);
                if unseen > 0 {
                    let fate = match &feature.encoding {
                        Encoding::OneHot { categories, without_first: true } => {
                            format!("it counts as `{}`", categories.first().map_or("", String::as_str))
                        }
                        Encoding::Ordinal { .. } => "it counts as missing".to_owned(),
                        _ => "it counts as none of those seen".to_owned(),
                    };
                    warnings.push(format!(
                        "{unseen} of {rows} rows have a category in column `{name}` that the model has not seen: {fate}"
                    ));
                }
                Ok((columns, warnings))
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let (columns, warnings): (Vec<_>, Vec<_>) = encoded.into_iter().unzip();
        let matrix = Matrix::new(columns.into_iter().flatten().collect(), rows);
        Ok(Encoded { matrix, warnings: warnings.into_iter().flatten().collect() })
    }

    fn refuse_missing_columns(&self, frame: &DataFrame) -> Result<(), StageError> {
        let there: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
        let missing: Vec<&str> =
            self.0.iter().map(|feature| feature.column.name.as_str()).filter(|name| !there.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let read: BTreeSet<&str> = self.0.iter().map(|feature| feature.column.name.as_str()).collect();
        let spare = || there.iter().copied().filter(|name| !read.contains(name));
        let near: Vec<String> = missing
            .iter()
            .filter_map(|name| nearest(name, spare()).map(|near| format!("`{near}` to `{name}`")))
            .collect();
        let listed = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let what = if missing.len() == 1 { "a column" } else { "columns" };
        let error = StageError::data(format!("the model reads {what} that the table does not have: {listed}"));
        Err(if near.is_empty() {
            error.with_help(format!("the columns are: {}", there.join(", ")))
        } else {
            error.with_help(format!("rename {} with `clean.rename` if they are the same", near.join(", ")))
        })
    }

    /// Refuses a matrix with missing values, for an estimator that cannot do with them.
    ///
    /// # Errors
    /// Names the first column that has some, and how many.
    pub(crate) fn refuse_missing_values(&self, matrix: &Matrix) -> Result<(), StageError> {
        for (feature, (first, width)) in self.0.iter().zip(self.places()) {
            if width == 0 {
                continue;
            }
            let missing = matrix.column(first).iter().filter(|value| value.is_nan()).count();
            if missing > 0 {
                return Err(StageError::data(format!(
                    "{missing} of {} rows have no value in column `{}`, every row needs one",
                    matrix.rows(),
                    feature.column.name
                ))
                .with_help(
                    "fill them with `clean.fill`, leave those rows out with `clean.drop_nulls`, or use an estimator \
                     that takes missing values, such as `model.gradient_boosting`",
                ));
            }
        }
        Ok(())
    }
}

/// A feature column as read.
enum Raw<'a> {
    Numbers(Vec<f64>),
    Booleans(Vec<f64>),
    Texts(Vec<Option<&'a str>>),
    /// A column without a type: all null.
    Nulls(usize),
}

impl<'a> Raw<'a> {
    fn read(frame: &'a DataFrame, name: &str) -> Result<Self, StageError> {
        let column = column(frame, name)?;
        let failed = |error| polars_error(&format!("reading column `{name}`"), &error);
        match column.dtype() {
            DataType::Null => Ok(Self::Nulls(column.len())),
            DataType::String => Ok(Self::Texts(column.str().map_err(failed)?.iter().collect())),
            dtype if dtype.is_primitive_numeric() || *dtype == DataType::Boolean => {
                let values = floats(frame, name)?;
                let infinite = values.iter().filter(|value| value.is_infinite()).count();
                if infinite > 0 {
                    return Err(StageError::data(format!(
                        "{infinite} of {} rows have an infinite value in column `{name}`, finite numbers are needed",
                        values.len()
                    ))
                    .with_help("filter those rows out, or set the values to null"));
                }
                Ok(if *dtype == DataType::Boolean { Self::Booleans(values) } else { Self::Numbers(values) })
            }
            dtype => Err(StageError::data(format!("column `{name}` is {dtype}, a number, boolean or text is needed"))
                .with_help("make a number of it with `clean.derive` or `clean.cast`, or leave it out")),
        }
    }

    /// What the model is to make of it. A column that is all null is a number.
    fn encoding(&self, name: &str, wanted: Categories) -> Result<Encoding, StageError> {
        let texts = match self {
            Self::Numbers(_) | Self::Nulls(_) => return Ok(Encoding::Number),
            Self::Booleans(_) => return Ok(Encoding::Boolean),
            Self::Texts(texts) => texts,
        };
        let mut seen = PlHashMap::new();
        for text in texts.iter().flatten() {
            seen.entry(*text).or_insert(());
        }
        if seen.len() > MOST_CATEGORIES {
            return Err(StageError::data(format!(
                "column `{name}` has {} categories, at most {MOST_CATEGORIES} are taken",
                seen.len()
            ))
            .with_help("leave it out, group rare categories, or make a number of it"));
        }
        let mut categories: Vec<String> = seen.into_keys().map(str::to_owned).collect();
        categories.sort_unstable();
        Ok(match wanted {
            Categories::Ordinal => Encoding::Ordinal { categories },
            Categories::OneHot => Encoding::OneHot { categories, without_first: false },
            Categories::OneHotWithoutFirst => {
                let without_first = !categories.is_empty();
                Encoding::OneHot { categories, without_first }
            }
        })
    }

    fn fits(&self, encoding: &Encoding) -> bool {
        match self {
            Self::Numbers(_) => *encoding == Encoding::Number,
            Self::Booleans(_) => *encoding == Encoding::Boolean,
            Self::Texts(_) => encoding.kind() == "text",
            Self::Nulls(_) => true,
        }
    }

    fn range(&self) -> Option<(f64, f64)> {
        let (Self::Numbers(values) | Self::Booleans(values)) = self else { return None };
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (least <= largest).then_some((least, largest))
    }

    /// Its columns of the matrix, and how many rows have a category that is not one of the encoding.
    fn into_columns(self, encoding: &Encoding) -> (Vec<Vec<f64>>, usize) {
        let texts = match self {
            Self::Numbers(values) | Self::Booleans(values) => return (vec![values], 0),
            Self::Nulls(rows) => return (vec![vec![f64::NAN; rows]; encoding.width()], 0),
            Self::Texts(texts) => texts,
        };
        let (Encoding::OneHot { categories, .. } | Encoding::Ordinal { categories }) = encoding else {
            return (vec![vec![f64::NAN; texts.len()]; encoding.width()], 0);
        };
        let places: PlHashMap<&str, usize> = categories.iter().map(String::as_str).zip(0..).collect();
        let place = |text: &str| places.get(text).copied();
        let unseen = texts.iter().flatten().filter(|text| place(text).is_none()).count();
        let columns = match encoding {
            Encoding::OneHot { without_first, .. } => {
                let first = usize::from(*without_first);
                let mut columns = vec![vec![0.0; texts.len()]; categories.len() - first];
                for (row, text) in texts.iter().enumerate() {
                    match text {
                        None => columns.iter_mut().for_each(|column| column[row] = f64::NAN),
                        Some(text) => {
                            let column = place(text).and_then(|place| place.checked_sub(first));
                            if let Some(column) = column.and_then(|column| columns.get_mut(column)) {
                                column[row] = 1.0;
                            }
                        }
                    }
                }
                columns
            }
            _ => {
                let code = |text: &Option<&str>| text.and_then(place).map_or(f64::NAN, |place| place as f64);
                vec![texts.iter().map(code).collect()]
            }
        };
        (columns, unseen)
    }
}

/// The values of a numeric or boolean column, NaN where null.
///
/// # Errors
/// When there is no such column, or it holds something else.
pub(crate) fn floats(frame: &DataFrame, name: &str) -> Result<Vec<f64>, StageError> {
    let column = column(frame, name)?;
    let failed = |error| polars_error(&format!("reading column `{name}` as numbers"), &error);
    if !column.dtype().is_primitive_numeric() && !matches!(column.dtype(), DataType::Boolean | DataType::Null) {
        return Err(StageError::data(format!("column `{name}` is {}, a number is needed", column.dtype()))
            .with_help("cast it with `clean.cast`, or name another column"));
    }
    let column = column.cast(&DataType::Float64).map_err(failed)?;
    let values = column.f64().map_err(failed)?;
    let mut out = Vec::with_capacity(values.len());
    for chunk in values.downcast_iter() {
        if chunk.validity().is_none() {
            out.extend_from_slice(chunk.values());
        } else {
            out.extend(chunk.iter().map(|value| value.copied().unwrap_or(f64::NAN)));
        }
    }
    Ok(out)
}
