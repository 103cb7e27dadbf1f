//! Made-up data for tests, the same as this in numpy:
//!
//! ```text
//! def uniform(stream, n):
//!     with numpy.errstate(over="ignore"):
//!         z = numpy.uint64(stream) * numpy.uint64(0xD1B54A32D192ED03) \
//!             + (numpy.arange(n, dtype="u8") + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
//!         z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
//!         z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
//!         z = z ^ (z >> numpy.uint64(31))
//!     return (z >> numpy.uint64(11)) / 2.0**53
//!
//! def data(n):
//!     x = [uniform(c, n) * 4 - 2 for c in range(4)]
//!     x.append(numpy.floor(uniform(4, n) * 10))
//!     x.append(numpy.where(uniform(6, n) < .1, numpy.nan, uniform(5, n) * 3))
//!     z = x[0] * x[1] + numpy.sin(2 * x[2]) + .3 * (x[4] - 4.5) + numpy.where(numpy.isnan(x[5]), 1, -.5 * x[5])
//!     return numpy.array(x).T, (uniform(7, n) < 1 / (1 + numpy.exp(-z))).astype(float), z + uniform(8, n) - .5
//! ```

use crate::matrix::Matrix;

/// Features, a class and a number to predict.
pub(crate) struct Data {
    pub(crate) matrix: Matrix,
    pub(crate) class: Vec<f64>,
    pub(crate) number: Vec<f64>,
}

/// Numbers from 0 to below 1.
pub(crate) fn uniform(stream: u64, rows: usize) -> Vec<f64> {
    (1..=rows as u64)
        .map(|row| {
            let z = stream.wrapping_mul(0xD1B5_4A32_D192_ED03).wrapping_add(row.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / 2f64.powi(53)
        })
        .collect()
}

/// The data described above.
pub(crate) fn data(rows: usize) -> Data {
    let mut columns: Vec<Vec<f64>> =
        (0..4).map(|column| uniform(column, rows).iter().map(|value| value * 4.0 - 2.0).collect()).collect();
    columns.push(uniform(4, rows).iter().map(|value| (value * 10.0).floor()).collect());
    let missing = uniform(6, rows).into_iter().map(|value| value < 0.1);
    columns.push(uniform(5, rows).iter().zip(missing).map(|(x, no)| if no { f64::NAN } else { x * 3.0 }).collect());
    let z: Vec<f64> = (0..rows)
        .map(|row| {
            let x: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            let last = if x[5].is_nan() { 1.0 } else { -0.5 * x[5] };
            x[0] * x[1] + (2.0 * x[2]).sin() + 0.3 * (x[4] - 4.5) + last
        })
        .collect();
    let class = uniform(7, rows).iter().zip(&z).map(|(u, z)| f64::from(*u < 1.0 / (1.0 + (-z).exp()))).collect();
    let number = uniform(8, rows).iter().zip(&z).map(|(u, z)| z + u - 0.5).collect();
    Data { matrix: Matrix::new(columns, rows), class, number }
}

impl Data {
    /// Just these rows.
    pub(crate) fn select(&self, rows: impl Iterator<Item = usize>) -> Self {
        let rows: Vec<usize> = rows.collect();
        let of = |values: &[f64]| rows.iter().map(|row| values[*row]).collect();
        Self { matrix: self.matrix.select(&rows), class: of(&self.class), number: of(&self.number) }
    }

    /// The first rows and the rest.
    pub(crate) fn split(&self, rows: usize) -> (Self, Self) {
        (self.select(0..rows), self.select(rows..self.class.len()))
    }
}

/// The area under the ROC curve of scores without ties.
pub(crate) fn auc(scores: &[f64], class: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let positives = class.iter().sum::<f64>();
    let ranks: f64 = order.iter().zip(1..).map(|(row, rank)| class[*row] * f64::from(rank)).sum();
    (ranks - positives * (positives + 1.0) / 2.0) / (positives * (scores.len() as f64 - positives))
}
