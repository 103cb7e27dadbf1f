//! Numbers of units that are added up.

use polars::prelude::DataFrame;
use stagewright_contract::StageError;
use stagewright_frame::numbers;

/// The finite amount of each row, between -1e100 and 1e100 so that sums of squares are finite, too; `None` where it is
/// missing.
///
/// # Errors
/// When there is no such column, it does not hold numbers, or one is beyond.
pub(crate) fn amounts(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, StageError> {
    let values = numbers(frame, name)?;
    if values.iter().flatten().any(|value| value.abs() > 1e100) {
        return Err(StageError::data(format!("column `{name}` has an amount beyond 1e100"))
            .with_help("look at where it comes from, or filter those rows out"));
    }
    Ok(values)
}
