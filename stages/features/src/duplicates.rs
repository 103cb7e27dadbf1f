//! How many rows of a table equal an earlier one.

use polars::prelude::{BooleanChunked, Column, DataFrame, DataType, NewChunkedArray, UniqueKeepStrategy};
use stagewright_contract::StageError;
use stagewright_frame::polars_error;

/// How many rows equal an earlier one in every column.
///
/// Equal rows have equal fingerprints, so that only rows whose fingerprint occurs more than once are compared.
pub(crate) fn duplicate_rows(frame: &DataFrame) -> Result<usize, StageError> {
    let failed = |error| polars_error("comparing rows", &error);
    let prints = fingerprints(frame)?;
    let mut sorted = prints.clone();
    sorted.sort_unstable();
    let repeated: Vec<u64> = sorted.chunk_by(|a, b| a == b).filter(|same| same.len() > 1).map(|same| same[0]).collect();
    if repeated.is_empty() {
        return Ok(0);
    }
    let suspects = prints.iter().map(|print| repeated.binary_search(print).is_ok());
    let suspects = BooleanChunked::from_iter_values("suspect".into(), suspects);
    let suspects = frame.filter(&suspects).map_err(failed)?;
    let unique = suspects.unique_stable(None, UniqueKeepStrategy::Any, None).map_err(failed)?;
    Ok(suspects.height() - unique.height())
}

/// A number for each row, made of its numbers: equal for equal rows, and seldom for others.
fn fingerprints(frame: &DataFrame) -> Result<Vec<u64>, StageError> {
    let mut prints = vec![0u64; frame.height()];
    for column in frame.columns().iter().filter(|column| is_number(column)) {
        let reading = |error| polars_error(&format!("reading column `{}`", column.name()), &error);
        // Different large integers may become one double: then their rows are compared.
        let numbers = column.cast(&DataType::Float64).map_err(reading)?;
        for (print, number) in prints.iter_mut().zip(numbers.f64().map_err(reading)?.iter()) {
            let bits = match number {
                None => 1,
                Some(number) if number.is_nan() => 2,
                // Minus zero equals zero.
                Some(number) => (number + 0.0).to_bits(),
            };
            let mixed = (*print ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *print = mixed ^ (mixed >> 29);
        }
    }
    Ok(prints)
}

fn is_number(column: &Column) -> bool {
    column.dtype().is_primitive_numeric() || column.dtype() == &DataType::Boolean || column.dtype().is_temporal()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use polars::prelude::df;

    use super::*;

    #[test]
    fn rows_are_equal_in_every_column() {
        let frame = df!(
            "x" => [Some(1.0), Some(1.0), None, None, Some(f64::NAN), Some(f64::NAN), Some(0.0), Some(-0.0), Some(1.0)],
            "name" => ["a", "b", "a", "a", "a", "a", "a", "a", "a"],
        );
        // The rows of null, of NaN, of zero, and the last one.
        assert_eq!(duplicate_rows(&frame.unwrap()).unwrap(), 4);
    }

    #[test]
    fn integers_beyond_a_double_differ() {
        let frame = df!("x" => [i64::MAX, i64::MAX - 1, i64::MAX]).unwrap();
        assert_eq!(duplicate_rows(&frame).unwrap(), 1);
        assert_eq!(duplicate_rows(&frame.head(Some(0))).unwrap(), 0);
        assert_eq!(duplicate_rows(&df!("name" => ["a", "b", "a"]).unwrap()).unwrap(), 1);
    }
}
