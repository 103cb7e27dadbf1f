//! Kernels, and what a support vector machine has learned.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::linear_predictor::logistic;
use crate::matrix::{Matrix, dot, mean_and_std};

/// How alike two rows are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kernel {
    /// `x·y`.
    Linear,
    /// `exp(-gamma |x - y|²)`.
    Rbf {
        /// Above 0.
        gamma: f64,
    },
    /// `(gamma x·y + coef0)^degree`.
    Poly {
        /// Above 0.
        gamma: f64,
        /// At least 1.
        degree: i32,
        /// Added before the power is taken.
        coef0: f64,
    },
}

impl Kernel {
    /// The kernel of two rows.
    pub(crate) fn of(&self, x: &[f64], y: &[f64]) -> f64 {
        match *self {
            Self::Linear => dot(x, y),
            Self::Rbf { gamma } => {
                let squared: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                (-gamma * squared).exp()
            }
            Self::Poly { gamma, degree, coef0 } => (gamma * dot(x, y) + coef0).powi(degree),
        }
    }
}

/// The columns' means and one over their standard deviations (0 for a constant column).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    pub(crate) center: Vec<f64>,
    pub(crate) factor: Vec<f64>,
}

impl Scaling {
    pub(crate) fn of(matrix: &Matrix) -> Self {
        let moments = matrix.columns().iter().map(|column| mean_and_std(column));
        let (center, factor) = moments
            .map(|(mean, std)| (mean, if std > 0.0 && (1.0 / std).is_finite() { 1.0 / std } else { 0.0 }))
            .unzip();
        Self { center, factor }
    }

    /// A scaled row.
    pub(crate) fn row(&self, matrix: &Matrix, row: usize) -> Vec<f64> {
        let scaled = |(column, (center, factor)): (&Vec<f64>, (&f64, &f64))| (column[row] - center) * factor;
        matrix.columns().iter().zip(self.center.iter().zip(&self.factor)).map(scaled).collect()
    }
}

/// A weighted sum of how alike a row is to rows learned from, and the probability that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportVectors {
    pub(crate) kernel: Kernel,
    pub(crate) scaling: Scaling,
    /// The scaled rows.
    pub(crate) vectors: Vec<Vec<f64>>,
    /// The weight of each.
    pub(crate) weights: Vec<f64>,
    /// What is added to the sum.
    pub(crate) intercept: f64,
    /// The log odds are the sum times the first, plus the second.
    pub(crate) sigmoid: [f64; 2],
}

impl SupportVectors {
    /// The weighted sum for a scaled row: above 0 on the side of the positive class.
    pub(crate) fn decide(&self, row: &[f64]) -> f64 {
        let alike = self.vectors.iter().zip(&self.weights).map(|(vector, weight)| weight * self.kernel.of(vector, row));
        alike.sum::<f64>() + self.intercept
    }

    /// The weighted sum for each row.
    pub(crate) fn decisions(&self, matrix: &Matrix) -> Vec<f64> {
        (0..matrix.rows())
            .into_par_iter()
            .with_min_len(64)
            .map(|row| self.decide(&self.scaling.row(matrix, row)))
            .collect()
    }

    /// A probability for each row.
    pub(crate) fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        let [slope, offset] = self.sigmoid;
        self.decisions(matrix).into_iter().map(|decision| logistic(slope * decision + offset)).collect()
    }

    /// Whether it can predict for a matrix of so many columns.
    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        self.scaling.center.len() == columns
            && self.scaling.factor.len() == columns
            && self.vectors.len() == self.weights.len()
            && self.vectors.iter().all(|vector| vector.len() == columns)
    }
}
