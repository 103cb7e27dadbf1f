//! The table with a row per test case, from which variants are compared row by row.

use polars::prelude::{BooleanChunked, Column, DataFrame, IntoSeries, NewChunkedArray, SortMultipleOptions};
use stagewright_contract::{ParamError, StageError};
use stagewright_frame::{column, polars_error};

/// The columns of `keys`, of the rows that take part.
pub(crate) fn keys(frame: &DataFrame, keys: &[String], taking_part: &[bool]) -> Result<Vec<Column>, StageError> {
    let mask = BooleanChunked::from_slice("".into(), taking_part);
    let all = taking_part.iter().all(|part| *part);
    keys.iter()
        .map(|name| {
            let column = column(frame, name)?;
            if all {
                return Ok(column.clone());
            }
            column.filter(&mask).map_err(|error| polars_error(&format!("keeping rows of column `{name}`"), &error))
        })
        .collect()
}

/// The rows by ascending keys and then by the other columns, so that the order that they came in has no part in the
/// table. Without keys that order is what tells them apart.
pub(crate) fn sorted(columns: Vec<Column>, keys: &[String]) -> Result<Vec<Column>, StageError> {
    if keys.is_empty() {
        return Ok(columns);
    }
    let by: Vec<_> = columns.iter().map(|column| column.name().clone()).collect();
    let sort = || DataFrame::new_infer_height(columns)?.sort(by, SortMultipleOptions::default());
    sort().map(DataFrame::into_columns).map_err(|error| polars_error("sorting the rows", &error))
}

/// A column of numbers.
pub(crate) fn numbers(name: &str, values: Vec<f64>) -> Column {
    Column::new(name.into(), values)
}

/// A column of truths.
pub(crate) fn truths(name: &str, values: &[bool]) -> Column {
    BooleanChunked::from_slice(name.into(), values).into_series().into()
}

/// The linearised values of a ratio of two means, row by row: their mean is the ratio, and their variance is the one
/// that the delta method gives it. Everything is the ratio itself where there is nothing to divide by.
pub(crate) fn ratio(parts: impl Iterator<Item = (f64, f64)> + Clone, rows: usize) -> Vec<f64> {
    let (part, whole) = parts.clone().fold((0.0, 0.0), |(part, whole), (n, d)| (part + n, whole + d));
    let ratio = if whole == 0.0 { 0.0 } else { part / whole };
    let mean = if whole == 0.0 { 1.0 } else { whole / rows as f64 };
    parts.map(|(n, d)| ratio + (n - ratio * d) / mean).collect()
}

/// Refuses keys that bear the name of another column of the table.
pub(crate) fn check_keys(keys: &[String], columns: &[&str]) -> Result<(), ParamError> {
    match keys.iter().position(|key| columns.contains(&key.as_str())) {
        Some(index) => {
            let name = keys.get(index).map_or("", String::as_str);
            Err(ParamError::new(format!("keys/{index}"), format!("`{name}` is a column of the table `per_row`"))
                .with_help("rename the column with `clean.rename`"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::ratio;

    #[test]
    fn linearised_ratios_have_the_ratio_as_their_mean() {
        // numpy: n, d = [1, 0, 1, 2], [2, 1, 1, 2]; r = n.sum() / d.sum(); r + (n - r * d) / d.mean()
        let parts = [(1.0, 2.0), (0.0, 1.0), (1.0, 1.0), (2.0, 2.0)];
        let values = ratio(parts.into_iter(), 4);
        let expected = [0.4444444444444444, 0.2222222222222222, 0.8888888888888888, 1.1111111111111112];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-15, "{values:?}");
        }
        assert!((values.iter().sum::<f64>() / 4.0 - 4.0 / 6.0).abs() < 1e-15);
        assert_eq!(ratio([(0.0, 0.0), (0.0, 0.0)].into_iter(), 2), [0.0, 0.0]);
    }
}
