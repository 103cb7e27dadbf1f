//! Rows of features as one block of numbers.

use crate::simd::wide;

/// How many rows are worked on at a time. It is fixed, so that sums do not depend on the number of threads.
pub(crate) const CHUNK: usize = 4096;

/// Numbers row by row.
pub(crate) struct Matrix {
    pub(crate) values: Vec<f64>,
    pub(crate) width: usize,
}

impl Matrix {
    /// From columns of equal length.
    pub(crate) fn of_columns(columns: &[Vec<f64>]) -> Self {
        let rows = columns.first().map_or(0, Vec::len);
        let mut values = Vec::with_capacity(rows * columns.len());
        for row in 0..rows {
            values.extend(columns.iter().map(|column| column[row]));
        }
        Self { values, width: columns.len() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..][..self.width]
    }

    /// Just these rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self { values: rows.iter().flat_map(|&row| self.row(row)).copied().collect(), width: self.width }
    }

    /// The mean over the features of their population variance.
    pub(crate) fn mean_variance(&self) -> f64 {
        let variance = |feature: usize| {
            let column = || self.values.iter().skip(feature).step_by(self.width).copied();
            let mean = mean_of(self.rows(), column());
            mean_of(self.rows(), column().map(|value| (value - mean).powi(2)))
        };
        mean_of(self.width, (0..self.width).map(variance))
    }
}

/// `(x - mean) / std` with the population standard deviation; zeros where all values are equal.
///
/// Bit by bit what scikit-learn's `StandardScaler` makes of a column, where no number overflows or vanishes: where many
/// distances are equal but for rounding, hierarchical clusterings differ with the last bit.
pub(crate) fn standardize(values: &[f64]) -> Vec<f64> {
    if values.iter().all(|value| *value == values[0]) {
        return vec![0.0; values.len()];
    }
    let unit = unit(values);
    let count = values.len() as f64;
    let mut values: Vec<f64> = values.iter().map(|value| value / unit).collect();
    let mean = pairwise_sum(&values) / count;
    values.iter_mut().for_each(|value| *value -= mean);
    // What rounding left in the mean.
    let correction = pairwise_sum(&values);
    let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
    let std = ((pairwise_sum(&squares) - correction * correction / count) / count).sqrt();
    values.iter_mut().for_each(|value| *value /= std);
    values
}

/// In the order of numpy: halves down to 128 values, and in these eight interleaved sums.
fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() > 128 {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let Some((first, eights)) = eights.split_first() else { return rest.iter().sum() };
    let mut s = *first;
    for eight in eights {
        s.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value);
    }
    let sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    rest.iter().fold(sum, |sum, value| sum + value)
}

/// The power of two below the largest magnitude. Measured in it, which is exact, squares and sums of very large and
/// very small values stay in range.
pub(crate) fn unit<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    let largest = values.into_iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // The number without its mantissa.
    f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE)
}

fn mean_of(count: usize, values: impl Iterator<Item = f64>) -> f64 {
    // In blocks, so that many small values are not lost beside a large sum.
    let (mut total, mut block) = (0.0, 0.0);
    for (index, value) in values.enumerate() {
        if index.is_multiple_of(1024) {
            total += block;
            block = 0.0;
        }
        block += value;
    }
    (total + block) / count as f64
}

/// The distances of one row to those from `start` on, given feature by feature.
pub(crate) fn distances(columns: &[Vec<f64>], row: usize, start: usize, out: &mut [f64]) {
    wide!({
        out.fill(0.0);
        for column in columns {
            let own = column[row];
            for (squared, other) in out.iter_mut().zip(&column[start..]) {
                *squared += (own - other) * (own - other);
            }
        }
        out.iter_mut().for_each(|squared| *squared = squared.sqrt());
    });
}

#[inline(always)]
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
