//! The columns of a table of units, for comparisons.

use stagewright_contract::{StageError, Table};

use crate::{Ids, numbers, to_frame};

/// The values of a numeric or boolean column (true is 1).
///
/// # Errors
/// When there is no such column, it does not hold numbers, or one of them is null or NaN.
pub fn values(table: &Table, name: &str) -> Result<Vec<f64>, StageError> {
    let values: Option<Vec<f64>> = numbers(&to_frame(table)?, name)?.into_iter().collect();
    values.ok_or_else(|| StageError::data(format!("column `{name}` has missing values")))
}

/// Which rows belong together: for each row the number of its value in a column of integers or text, counted from 0.
/// Rows without a value belong together, too.
///
/// # Errors
/// When there is no such column, or it holds something else.
pub fn clusters(table: &Table, name: &str) -> Result<Vec<usize>, StageError> {
    let frame = to_frame(table)?;
    let ids = Ids::of(name, &[("the table of units", &frame)])?;
    let unknown = ids.len();
    Ok(ids.codes(&frame)?.into_iter().map(|code| code.map_or(unknown, |code| code as usize)).collect())
}
