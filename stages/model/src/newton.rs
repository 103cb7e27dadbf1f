//! Logistic regression by Newton's method (iteratively reweighted least squares).
//!
//! Columns are centred and scaled on the way, so that the equations are well conditioned, and the penalty is scaled
//! back, so that the optimum is that of the columns in their own units.

use rayon::prelude::*;
use stagewright_contract::StageError;

use crate::cholesky::Cholesky;
use crate::matrix::{CHUNK, Matrix, dot, mean_and_std};

/// What to minimise: `Σ weight × loss + penalty / 2 × Σ coefficient²`, over the coefficients in the columns' units.
pub(crate) struct Problem<'a> {
    pub(crate) matrix: &'a Matrix,
    /// 0 or 1.
    pub(crate) target: &'a [f64],
    /// The weights of rows whose target is 0 and 1.
    pub(crate) weights: [f64; 2],
    /// 1/C.
    pub(crate) penalty: f64,
    pub(crate) fit_intercept: bool,
    pub(crate) max_iter: usize,
    /// The fit ends when the next step promises to lower the mean loss by at most this.
    pub(crate) tol: f64,
}

/// Where the minimum is.
pub(crate) struct Solution {
    pub(crate) intercept: f64,
    /// In the columns' units.
    pub(crate) coefficients: Vec<f64>,
    /// The standard error of the intercept and of each coefficient, from the inverse of the information matrix without
    /// the penalty; `None` where the columns are collinear.
    pub(crate) errors: Option<Vec<f64>>,
    /// The population standard deviation of each column.
    pub(crate) scales: Vec<f64>,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
    /// The mean loss before the last step.
    pub(crate) loss: f64,
}

/// Loss, gradient and curvature of the data at one point, in scaled columns; the last place is the intercept's.
#[derive(Clone)]
struct Local {
    loss: f64,
    gradient: Vec<f64>,
    /// The lower triangle, row by row.
    curvature: Vec<f64>,
}

impl Problem<'_> {
    /// Finds the minimum.
    ///
    /// # Errors
    /// When `check` fails: the run was cancelled.
    pub(crate) fn solve(&self, check: &dyn Fn() -> Result<(), StageError>) -> Result<Solution, StageError> {
        let width = self.matrix.width();
        let size = width + usize::from(self.fit_intercept);
        let moments: Vec<(f64, f64)> = self.matrix.columns().par_iter().map(|column| mean_and_std(column)).collect();
        let scaling: Vec<(f64, f64)> = moments
            .iter()
            .map(|&(mean, std)| match (self.fit_intercept, std > 0.0) {
                // A constant column tells nothing that the intercept does not: centred, it is zero.
                (true, true) => (mean, std),
                (true, false) => (mean, 1.0),
                (false, _) => (0.0, std.max(mean.abs()).max(f64::MIN_POSITIVE)),
            })
            .collect();
        // The penalty of a coefficient of a scaled column. Where it would overflow, the coefficient is 0 all the same.
        let penalties: Vec<f64> = scaling
            .iter()
            .map(|(_, scale)| (self.penalty / scale / scale).min(1e200))
            .chain(self.fit_intercept.then_some(0.0))
            .collect();
        let weight: f64 = self.target.iter().map(|target| self.weights[usize::from(*target == 1.0)]).sum();

        let mut point = vec![0.0; size];
        if self.fit_intercept {
            let positive = self.target.iter().filter(|target| **target == 1.0).count() as f64 * self.weights[1];
            point[width] = (positive / (weight - positive)).ln();
        }
        let objective = |local: &Local, point: &[f64]| {
            let penalty: f64 = penalties.iter().zip(point).map(|(penalty, value)| penalty * value * value).sum();
            local.loss + penalty / 2.0
        };
        let mut here = self.local(&point, &scaling);
        let (mut iterations, mut converged) = (0, false);
        while iterations < self.max_iter && !converged {
            check()?;
            iterations += 1;
            let gradient: Vec<f64> = (0..size).map(|at| here.gradient[at] + penalties[at] * point[at]).collect();
            let step = Cholesky::of_nearest(&here.curvature, &penalties).solve(&gradient);
            let promise = dot(&gradient, &step) / 2.0;
            converged = promise <= self.tol * weight;
            if converged {
                // The step is taken without another look: near the minimum it is right to the square of its length.
                point.iter_mut().zip(&step).for_each(|(value, step)| *value -= step);
                break;
            }
            let before = objective(&here, &point);
            let mut length = 1.0;
            loop {
                let next: Vec<f64> = point.iter().zip(&step).map(|(value, step)| value - length * step).collect();
                let there = self.local(&next, &scaling);
                if objective(&there, &next) <= before {
                    (point, here) = (next, there);
                    break;
                }
                length /= 2.0;
                if length < 1e-10 {
                    // Rounding errors are larger than what is left to gain.
                    converged = promise <= 1e-6 * weight;
                    let loss = here.loss / weight;
                    return Ok(self.solution(&point, &scaling, &moments, &here, iterations, converged, loss));
                }
            }
        }
        let loss = here.loss / weight;
        Ok(self.solution(&point, &scaling, &moments, &here, iterations, converged, loss))
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one result, used in one place")]
    fn solution(
        &self,
        point: &[f64],
        scaling: &[(f64, f64)],
        moments: &[(f64, f64)],
        local: &Local,
        iterations: usize,
        converged: bool,
        loss: f64,
    ) -> Solution {
        let width = scaling.len();
        let coefficients: Vec<f64> = point.iter().zip(scaling).map(|(value, (_, scale))| value / scale).collect();
        let shift: f64 = point.iter().zip(scaling).map(|(value, (mean, scale))| value * (mean / scale)).sum();
        let intercept = if self.fit_intercept { point[width] - shift } else { 0.0 };
        let errors = Cholesky::of(&local.curvature, point.len()).map(|factor| {
            let mut direction = vec![0.0; point.len()];
            let mut error = |at: &[(usize, f64)]| {
                direction.fill(0.0);
                at.iter().for_each(|&(at, value)| direction[at] = value);
                dot(&direction, &factor.solve(&direction)).max(0.0).sqrt()
            };
            let of_intercept = if self.fit_intercept {
                let shifts = scaling.iter().enumerate().map(|(at, (mean, scale))| (at, -mean / scale));
                error(&shifts.chain([(width, 1.0)]).collect::<Vec<_>>())
            } else {
                0.0
            };
            let of_columns = scaling.iter().enumerate().map(|(at, (_, scale))| error(&[(at, 1.0)]) / scale);
            std::iter::once(of_intercept).chain(of_columns.collect::<Vec<_>>()).collect()
        });
        let scales = moments.iter().map(|(_, std)| *std).collect();
        Solution { intercept, coefficients, errors, scales, iterations, converged, loss }
    }

    fn local(&self, point: &[f64], scaling: &[(f64, f64)]) -> Local {
        let parts: Vec<Local> = (0..self.matrix.rows().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| self.local_of_chunk(chunk * CHUNK, point, scaling))
            .collect();
        let mut parts = parts.into_iter();
        let size = point.len();
        let nothing = || Local { loss: 0.0, gradient: vec![0.0; size], curvature: vec![0.0; size * (size + 1) / 2] };
        let mut sum = parts.next().unwrap_or_else(nothing);
        for part in parts {
            sum.loss += part.loss;
            sum.gradient.iter_mut().zip(part.gradient).for_each(|(sum, part)| *sum += part);
            sum.curvature.iter_mut().zip(part.curvature).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    fn local_of_chunk(&self, first: usize, point: &[f64], scaling: &[(f64, f64)]) -> Local {
        let target = &self.target[first..self.target.len().min(first + CHUNK)];
        let rows = target.len();
        let size = point.len();
        // The scaled columns, then ones for the intercept.
        let mut columns = Vec::with_capacity(size * rows);
        for (column, (mean, scale)) in self.matrix.columns().iter().zip(scaling) {
            let inverse = scale.recip();
            if inverse.is_finite() {
                columns.extend(column[first..first + rows].iter().map(|value| (value - mean) * inverse));
            } else {
                columns.extend(column[first..first + rows].iter().map(|value| (value - mean) / scale));
            }
        }
        columns.resize(size * rows, 1.0);
        let column = |at: usize| &columns[at * rows..][..rows];

        let mut sums = vec![0.0; rows];
        for (at, value) in point.iter().enumerate() {
            sums.iter_mut().zip(column(at)).for_each(|(sum, column)| *sum += value * column);
        }
        let mut residuals = vec![0.0; rows];
        let mut weights = vec![0.0; rows];
        let mut loss = 0.0;
        // `ln(1 + odds)` over several rows is the logarithm of a product, which stays below 2³² here: one logarithm
        // for 32 rows. Rows of the two classes weigh differently, so each has its own product.
        for start in (0..rows).step_by(32) {
            let mut products = [1.0; 2];
            for row in start..rows.min(start + 32) {
                let (sum, class) = (sums[row], usize::from(target[row] == 1.0));
                let odds = (-sum.abs()).exp();
                let inverse = 1.0 / (1.0 + odds);
                let probability = if sum < 0.0 { odds * inverse } else { inverse };
                products[class] *= 1.0 + odds;
                loss += self.weights[class] * (sum.max(0.0) - target[row] * sum);
                residuals[row] = self.weights[class] * (probability - target[row]);
                weights[row] = self.weights[class] * odds * inverse * inverse;
            }
            loss += self.weights[0] * products[0].ln() + self.weights[1] * products[1].ln();
        }
        let gradient = (0..size).map(|at| dot(&residuals, column(at))).collect();
        let mut curvature = Vec::with_capacity(size * (size + 1) / 2);
        let mut weighted = vec![0.0; rows];
        for at in 0..size {
            weighted.iter_mut().zip(&weights).zip(column(at)).for_each(|((out, w), value)| *out = w * value);
            curvature.extend((0..=at).map(|other| dot(&weighted, column(other))));
        }
        Local { loss, gradient, curvature }
    }
}
