//! Linear least squares, with or without a penalty on the squared coefficients.
//!
//! Columns and target are centred and scaled, so that the normal equations are well conditioned, and the solution is
//! refined by the residuals it leaves.

use rayon::prelude::*;

use crate::cholesky::Cholesky;
use crate::matrix::{CHUNK, Matrix, dot, mean_and_std};

/// A column whose squares, beside the columns before it, have less than this share left is one that they make up.
const LEAST_SHARE: f64 = 1e-10;

/// The coefficients that minimise `Σ (target - prediction)² + alpha × Σ coefficient²`.
pub(crate) struct LeastSquares {
    pub(crate) intercept: f64,
    /// In the columns' units; 0 for those left out.
    pub(crate) coefficients: Vec<f64>,
    /// The columns left out, since those before them make them up (without a penalty).
    pub(crate) left_out: Vec<usize>,
    /// Without a penalty and with more rows than coefficients, the standard errors of the intercept and of each
    /// coefficient; `None` for the columns left out.
    pub(crate) errors: Option<Vec<Option<f64>>>,
    /// Rows minus coefficients (the intercept is one).
    pub(crate) degrees: f64,
    /// The sum of the squared residuals over that of the squared deviations of the target from its mean (from 0 without
    /// an intercept); `None` where the target does not vary.
    pub(crate) unexplained: Option<f64>,
    /// The population standard deviation of each column.
    pub(crate) scales: Vec<f64>,
}

/// A column on its own scale.
#[derive(Clone, Copy)]
struct Scaling {
    center: f64,
    scale: f64,
}

impl Scaling {
    fn of((mean, std): (f64, f64), centred: bool) -> Self {
        let (center, scale) = if centred { (mean, std) } else { (0.0, mean.hypot(std)) };
        Self { center, scale: if scale > 0.0 { scale } else { 1.0 } }
    }

    fn scaled(self, values: &[f64]) -> Vec<f64> {
        values.iter().map(|value| (value - self.center) / self.scale).collect()
    }
}

impl LeastSquares {
    /// Finds them.
    pub(crate) fn fit(matrix: &Matrix, target: &[f64], alpha: f64, fit_intercept: bool) -> Self {
        let rows = target.len();
        let width = matrix.width();
        let moments: Vec<(f64, f64)> = matrix.columns().par_iter().map(|column| mean_and_std(column)).collect();
        let scalings: Vec<Scaling> = moments.iter().map(|moments| Scaling::of(*moments, fit_intercept)).collect();
        let of_target = Scaling::of(mean_and_std(target), fit_intercept);

        // The products of all columns and the target with each other: the lower triangle, the target last.
        let chunks =
            || (0..rows.div_ceil(CHUNK)).into_par_iter().map(|chunk| chunk * CHUNK..rows.min((chunk + 1) * CHUNK));
        let parts: Vec<Vec<f64>> = chunks()
            .map(|range| {
                let mut columns: Vec<Vec<f64>> = matrix
                    .columns()
                    .iter()
                    .zip(&scalings)
                    .map(|(column, scaling)| scaling.scaled(&column[range.clone()]))
                    .collect();
                columns.push(of_target.scaled(&target[range]));
                (0..columns.len())
                    .flat_map(|at| (0..=at).map(|o| dot(&columns[at], &columns[o])).collect::<Vec<_>>())
                    .collect()
            })
            .collect();
        let products = sum(parts, (width + 1) * (width + 2) / 2);
        let place = |row: usize, column: usize| row * (row + 1) / 2 + column;

        // Penalties that would overflow make the coefficient 0 all the same.
        let penalty = |at: usize| (alpha / scalings[at].scale / scalings[at].scale).min(1e200);
        let kept =
            kept(&|row, column| products[place(row, column)] + if row == column { penalty(row) } else { 0.0 }, width);
        let triangle: Vec<f64> = kept
            .iter()
            .enumerate()
            .flat_map(|(at, &row)| kept[..=at].iter().map(move |&column| place(row, column)).collect::<Vec<_>>())
            .map(|place| products[place])
            .collect();
        let penalties: Vec<f64> = kept.iter().map(|&at| penalty(at)).collect();
        let factor = Cholesky::of_nearest(&triangle, &penalties);
        let with_target: Vec<f64> = kept.iter().map(|&at| products[place(width, at)]).collect();
        let mut solution = factor.solve(&with_target);

        // Twice: what the residuals still have of the columns is solved for and added.
        let mut squares = 0.0;
        for refinement in 0..3 {
            let parts: Vec<Vec<f64>> = chunks()
                .map(|range| {
                    let columns: Vec<Vec<f64>> =
                        kept.iter().map(|&at| scalings[at].scaled(&matrix.column(at)[range.clone()])).collect();
                    let mut residuals = of_target.scaled(&target[range]);
                    for (column, value) in columns.iter().zip(&solution) {
                        residuals.iter_mut().zip(column).for_each(|(residual, x)| *residual -= value * x);
                    }
                    columns.iter().map(|column| dot(&residuals, column)).chain([dot(&residuals, &residuals)]).collect()
                })
                .collect();
            let mut left = sum(parts, kept.len() + 1);
            squares = left.pop().unwrap_or(0.0);
            if refinement == 2 {
                break;
            }
            left.iter_mut().zip(&penalties).zip(&solution).for_each(|((left, penalty), x)| *left -= penalty * x);
            solution.iter_mut().zip(factor.solve(&left)).for_each(|(x, step)| *x += step);
        }

        let mut coefficients = vec![0.0; width];
        for (&at, value) in kept.iter().zip(&solution) {
            coefficients[at] = value / scalings[at].scale * of_target.scale;
        }
        let shift: f64 = kept.iter().map(|&at| coefficients[at] * scalings[at].center).sum();
        let degrees = rows as f64 - kept.len() as f64 - f64::from(u8::from(fit_intercept));
        let errors = (alpha == 0.0 && degrees > 0.0).then(|| {
            let variance = squares / degrees;
            let error = |direction: &[f64]| (variance * dot(direction, &factor.solve(direction)).max(0.0)).sqrt();
            let centers: Vec<f64> = kept.iter().map(|&at| scalings[at].center / scalings[at].scale).collect();
            let of_intercept = (variance / rows as f64).sqrt().hypot(error(&centers)) * of_target.scale;
            let mut errors = vec![None; width + 1];
            errors[0] = fit_intercept.then_some(of_intercept);
            for (place, &at) in kept.iter().enumerate() {
                let mut direction = vec![0.0; kept.len()];
                direction[place] = 1.0;
                errors[at + 1] = Some(error(&direction) / scalings[at].scale * of_target.scale);
            }
            errors
        });
        let total = products[place(width, width)];
        Self {
            intercept: if fit_intercept { of_target.center - shift } else { 0.0 },
            coefficients,
            left_out: (0..width).filter(|at| !kept.contains(at)).collect(),
            errors,
            degrees,
            unexplained: (total > 0.0).then(|| squares / total),
            scales: moments.iter().map(|(_, std)| *std).collect(),
        }
    }
}

/// The columns that those before them do not make up: the rows of a Cholesky factor whose pivot is not next to nothing.
fn kept(entry: &dyn Fn(usize, usize) -> f64, width: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    let mut factor: Vec<Vec<f64>> = Vec::new();
    for at in 0..width {
        let mut row: Vec<f64> = Vec::with_capacity(kept.len() + 1);
        for (place, &other) in kept.iter().enumerate() {
            let known = dot(&row, &factor[place][..place]);
            row.push((entry(at, other) - known) / factor[place][place]);
        }
        let left = entry(at, at) - dot(&row, &row);
        if left > LEAST_SHARE * entry(at, at) {
            row.push(left.sqrt());
            kept.push(at);
            factor.push(row);
        }
    }
    kept
}

/// The sums of equal places, in the order of the parts.
fn sum(parts: Vec<Vec<f64>>, width: usize) -> Vec<f64> {
    parts.into_iter().fold(vec![0.0; width], |mut sums, part| {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        sums
    })
}
