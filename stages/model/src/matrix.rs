//! Rows of features as numbers, column by column: what every estimator learns from and predicts for.

use rayon::prelude::*;

/// How many rows are worked on at a time. It is fixed, so that sums do not depend on the number of threads: compute a
/// part for each chunk, in parallel if you like, and add the parts up in their order.
pub(crate) const CHUNK: usize = 4096;

/// Numbers in columns of equal length. NaN stands for a missing value; there are no infinities.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    columns: Vec<Vec<f64>>,
    rows: usize,
}

impl Matrix {
    /// From columns, each `rows` long.
    pub(crate) fn new(columns: Vec<Vec<f64>>, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|column| column.len() == rows));
        Self { columns, rows }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// A column.
    pub fn column(&self, index: usize) -> &[f64] {
        &self.columns[index]
    }

    /// All columns.
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Whether a value of this row is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        self.columns.iter().any(|column| column[row].is_nan())
    }

    /// Just these rows, in this order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let columns = self.columns.par_iter().map(|column| rows.iter().map(|&row| column[row]).collect()).collect();
        Self { columns, rows: rows.len() }
    }

    /// Exchanges some columns, from `first` on.
    pub(crate) fn swap(&mut self, first: usize, columns: &mut [Vec<f64>]) {
        for (ours, theirs) in self.columns[first..].iter_mut().zip(columns) {
            debug_assert_eq!(theirs.len(), self.rows);
            std::mem::swap(ours, theirs);
        }
    }
}

/// Mean and population standard deviation of a column without missing values; the deviation is exactly 0 where all
/// values are equal. Over no rows both are 0.
pub(crate) fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least >= largest || values.is_empty() {
        return (values.first().copied().unwrap_or(0.0), 0.0);
    }
    // Measured in the power of two below the largest magnitude, which is exact, squares stay in the range of numbers.
    let magnitude = least.abs().max(largest.abs());
    let unit = f64::from_bits(magnitude.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
    let count = values.len() as f64;
    let sum = |part: &(dyn Fn(&[f64]) -> f64 + Sync)| -> f64 {
        values.par_chunks(CHUNK).map(part).collect::<Vec<_>>().iter().sum()
    };
    let mean = sum(&|chunk| chunk.iter().map(|value| value / unit).sum()) / count;
    let variance = sum(&|chunk| chunk.iter().map(|value| (value / unit - mean).powi(2)).sum()) / count;
    (mean * unit, variance.sqrt() * unit)
}

/// The sum of the products of two columns, in a fixed order that lets the processor work on eight at a time.
pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..8 {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::{dot, mean_and_std};

    #[test]
    fn huge_and_constant_columns_have_finite_moments() {
        assert_eq!(mean_and_std(&[1e300, -1e300]), (0.0, 1e300));
        assert_eq!(mean_and_std(&[0.1; 3]), (0.1, 0.0));
        assert_eq!(mean_and_std(&[1.0, 2.0, 3.0, 4.0]), (2.5, 1.25f64.sqrt()));
        assert_eq!(mean_and_std(&[]), (0.0, 0.0));
    }

    #[test]
    fn dot_is_the_sum_of_products() {
        let left: Vec<f64> = (0..21).map(f64::from).collect();
        assert_eq!(dot(&left, &left), 2870.0);
    }
}
