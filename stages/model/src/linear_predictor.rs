//! A weighted sum of columns.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::matrix::{CHUNK, Matrix};

/// A weighted sum of the columns and what follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearPredictor {
    /// What is predicted where all columns are 0 (before the link).
    pub intercept: f64,
    /// The weight of each column, in the column's own unit.
    pub coefficients: Vec<f64>,
    /// What becomes of the sum.
    pub link: Link,
}

/// What becomes of a weighted sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It is the value itself.
    Identity,
    /// It is the logarithm of the odds: the probability is `1 / (1 + exp(-sum))`.
    Logit,
}

impl LinearPredictor {
    /// A value or a probability for each row.
    pub(crate) fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        let mut sums = vec![self.intercept; matrix.rows()];
        sums.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, sums)| {
            let first = chunk * CHUNK;
            for (coefficient, column) in self.coefficients.iter().zip(matrix.columns()) {
                for (sum, value) in sums.iter_mut().zip(&column[first..]) {
                    *sum += coefficient * value;
                }
            }
            if self.link == Link::Logit {
                sums.iter_mut().for_each(|sum| *sum = logistic(*sum));
            }
        });
        sums
    }
}

/// `1 / (1 + exp(-x))`, without overflow.
pub(crate) fn logistic(x: f64) -> f64 {
    let odds = (-x.abs()).exp();
    if x < 0.0 { odds / (1.0 + odds) } else { 1.0 / (1.0 + odds) }
}
