//! Rows by the value of a key column, and the checks that the feature stages share.

use polars::prelude::{Column, DataFrame, GroupsIndicator, IdxCa, IdxSize, PolarsError, SortOptions};
use stagewright_contract::{StageContext, StageError};
use stagewright_frame::{column, numbers, polars_error};

use crate::sum::Sum;

/// Which key each row has.
pub(crate) struct Keys {
    /// The distinct values in ascending order, without null, under the name of the column.
    pub(crate) values: Column,
    /// For each row, the position of its value among `values`; `None` where it is null.
    pub(crate) of_row: Vec<Option<u32>>,
}

impl Keys {
    /// The keys in a column of any type.
    pub(crate) fn of(frame: &DataFrame, name: &str) -> Result<Self, StageError> {
        let key = column(frame, name)?;
        Self::group(frame, key).map_err(|error| polars_error(&format!("grouping by column `{name}`"), &error))
    }

    fn group(frame: &DataFrame, key: &Column) -> Result<Self, PolarsError> {
        let groups = frame.group_by_stable([key.name().as_str()])?.into_groups();
        let first: Vec<IdxSize> = groups.iter().map(|group| group.first()).collect();
        let values = key.take(&IdxCa::from_vec("first".into(), first))?;
        let ascending = values.arg_sort(SortOptions::default().with_nulls_last(true).with_maintain_order(true));
        let known = values.len() - values.null_count();
        let ascending = ascending.slice(0, known);
        let mut of_row = vec![None; frame.height()];
        for (position, group) in (0u32..).zip(ascending.iter().flatten()) {
            match groups.get(group as usize) {
                GroupsIndicator::Idx((_, rows)) => {
                    for &row in rows.iter() {
                        of_row[row as usize] = Some(position);
                    }
                }
                GroupsIndicator::Slice([first, len]) => {
                    of_row[first as usize..(first + len) as usize].fill(Some(position));
                }
            }
        }
        Ok(Self { values: values.take(&ascending)?, of_row })
    }

    /// How many distinct values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The rows that have a key, with its position.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        self.of_row.iter().enumerate().filter_map(|(row, key)| key.map(|key| (row, key as usize)))
    }

    /// Tells how many rows have no key and what becomes of them.
    pub(crate) fn warn_nulls(&self, context: &StageContext, fate: &str) {
        let nulls = self.of_row.iter().filter(|key| key.is_none()).count();
        if nulls > 0 {
            context.warn(format!("{} no `{}`: {fate}", rows_have(nulls), self.values.name()));
        }
    }
}

/// `1 row has`, `2 rows have`.
pub(crate) fn rows_have(rows: usize) -> String {
    if rows == 1 { "1 row has".to_owned() } else { format!("{rows} rows have") }
}

/// The values of a numeric column; `None` where null or NaN.
///
/// # Errors
/// When there is no such column, it does not hold numbers, or one of them is infinite.
pub(crate) fn finite(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, StageError> {
    let values = numbers(frame, name)?;
    let infinite = values.iter().flatten().filter(|value| value.is_infinite()).count();
    if infinite > 0 {
        return Err(StageError::data(format!(
            "{} an infinite value in column `{name}`, finite numbers are needed",
            rows_have(infinite)
        ))
        .with_help("filter those rows out, or set the values to null"));
    }
    Ok(values)
}

/// Sorts and leaves out repetitions.
pub(crate) fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// A mean of what is known.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mean {
    sum: Sum,
    count: u64,
}

impl Mean {
    pub(crate) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum.add(value);
            self.count += 1;
        }
    }

    /// The sum of what is known; 0 where nothing is.
    pub(crate) fn sum(self) -> f64 {
        self.sum.value()
    }

    /// The mean, if anything is known.
    pub(crate) fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value() / self.count as f64)
    }
}
