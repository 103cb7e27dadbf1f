//! Mixtures of normal distributions, fitted by expectation and maximisation (Dempster, Laird & Rubin 1977).

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clusters::sizes;
use crate::matrix::{CHUNK, Matrix};

/// Which shapes the components may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Covariance {
    /// Any ellipsoid: a covariance matrix each.
    Full,
    /// An ellipsoid along the axes: a variance per feature each.
    Diag,
}

impl Covariance {
    /// How many numbers a mixture of `k` components over `width` features has to learn.
    pub(crate) fn parameters(self, k: usize, width: usize) -> f64 {
        let shape = match self {
            Self::Full => width * (width + 1) / 2,
            Self::Diag => width,
        };
        (k * (shape + width) + k - 1) as f64
    }
}

/// When to stop, and what to add to variances.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) covariance: Covariance,
    pub(crate) max_iter: usize,
    /// The change of the mean log-likelihood that ends it.
    pub(crate) tol: f64,
    pub(crate) reg_covar: f64,
}

/// A fitted mixture.
pub(crate) struct Mixture {
    /// The share of each component.
    pub(crate) weights: Vec<f64>,
    /// How probable each component is for each row, row by row.
    pub(crate) responsibilities: Matrix,
    /// The natural logarithm of the density of all rows together.
    pub(crate) log_likelihood: f64,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

impl Mixture {
    /// The most probable component of each row, the first of several.
    pub(crate) fn labels(&self) -> Vec<u32> {
        let width = self.responsibilities.width;
        let best = |row: &[f64]| (0..width).fold(0, |best, at| if row[at] > row[best] { at } else { best }) as u32;
        self.responsibilities.values.chunks_exact(width).map(best).collect()
    }
}

/// Why there is no mixture.
pub(crate) enum Failure<E> {
    /// A component has shrunk to a point, a line or a plane.
    Flat,
    /// `check` ended it.
    Stopped(E),
}

/// Starts from a clustering. `check` is called before each iteration and may end it.
pub(crate) fn fit<E>(
    data: &Matrix,
    labels: &[u32],
    rule: Rule,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Mixture, Failure<E>> {
    let k = sizes(labels).len();
    let mut responsibilities = Matrix { values: vec![0.0; labels.len() * k], width: k };
    for (row, label) in labels.iter().enumerate() {
        responsibilities.values[row * k + *label as usize] = 1.0;
    }
    let rows = data.rows() as f64;
    let mut last = f64::NEG_INFINITY;
    let (mut iterations, mut converged) = (0, false);
    let mut components = components(data, &responsibilities, rule).ok_or(Failure::Flat)?;
    while iterations < rule.max_iter && !converged {
        check().map_err(Failure::Stopped)?;
        let mean = expect(data, &components, &mut responsibilities) / rows;
        components = self::components(data, &responsibilities, rule).ok_or(Failure::Flat)?;
        iterations += 1;
        converged = (mean - last).abs() < rule.tol;
        last = mean;
    }
    let log_likelihood = expect(data, &components, &mut responsibilities);
    if !log_likelihood.is_finite() {
        return Err(Failure::Flat);
    }
    let weights = components.into_iter().map(|component| component.weight).collect();
    Ok(Mixture { weights, responsibilities, log_likelihood, iterations, converged })
}

/// A normal distribution.
struct Component {
    weight: f64,
    mean: Vec<f64>,
    /// The inverse of the lower triangular root of the covariance, row by row without the zeros; of a diagonal one the
    /// diagonal alone.
    whitening: Vec<f64>,
    /// The logarithms of the weight and of the density at the mean, together.
    log_peak: f64,
}

/// The components that make the rows most probable, given how probable each is for each row. `None` where a covariance
/// has no root.
fn components(data: &Matrix, responsibilities: &Matrix, rule: Rule) -> Option<Vec<Component>> {
    let (k, width) = (responsibilities.width, data.width);
    let shape = match rule.covariance {
        Covariance::Full => width * (width + 1) / 2,
        Covariance::Diag => width,
    };
    let totals = sums(data, responsibilities, k * (1 + width), |row, responsible, sums| {
        for (responsible, sums) in responsible.iter().zip(sums.chunks_exact_mut(1 + width)) {
            sums[0] += responsible;
            sums[1..].iter_mut().zip(row).for_each(|(sum, value)| *sum += responsible * value);
        }
    });
    // A component without rows must not divide by nothing.
    let weights: Vec<f64> = totals.chunks_exact(1 + width).map(|totals| totals[0] + 10.0 * f64::EPSILON).collect();
    let means: Vec<Vec<f64>> = totals
        .chunks_exact(1 + width)
        .zip(&weights)
        .map(|(totals, weight)| totals[1..].iter().map(|sum| sum / weight).collect())
        .collect();
    let spreads = sums(data, responsibilities, k * shape, |row, responsible, sums| {
        for ((responsible, mean), sums) in responsible.iter().zip(&means).zip(sums.chunks_exact_mut(shape)) {
            let mut sums = sums.iter_mut();
            for (at, (value, center)) in row.iter().zip(mean).enumerate() {
                let away = responsible * (value - center);
                let from = if rule.covariance == Covariance::Full { 0 } else { at };
                for (value, center) in row[from..=at].iter().zip(&mean[from..=at]) {
                    if let Some(sum) = sums.next() {
                        *sum += away * (value - center);
                    }
                }
            }
        }
    });
    let all: f64 = weights.iter().sum();
    let mut out = Vec::with_capacity(k);
    for ((weight, mean), spread) in weights.into_iter().zip(means).zip(spreads.chunks_exact(shape)) {
        let mut covariance: Vec<f64> = spread.iter().map(|sum| sum / weight).collect();
        let (whitening, log_root) = match rule.covariance {
            Covariance::Diag => {
                covariance.iter_mut().for_each(|variance| *variance += rule.reg_covar);
                let is_flat = covariance.iter().any(|variance| !(*variance > 0.0 && variance.is_finite()));
                let roots: Vec<f64> = covariance.iter().map(|variance| variance.sqrt()).collect();
                let log_root = roots.iter().map(|root| root.ln()).sum::<f64>();
                (!is_flat).then(|| (roots.iter().map(|root| 1.0 / root).collect(), log_root))?
            }
            Covariance::Full => {
                (0..width).for_each(|at| covariance[triangle(at) + at] += rule.reg_covar);
                let root = cholesky(covariance, width)?;
                let log_root = (0..width).map(|at| root[triangle(at) + at].ln()).sum::<f64>();
                (inverse(&root, width), log_root)
            }
        };
        let weight = weight / all;
        let log_peak = weight.ln() - log_root - 0.5 * width as f64 * (2.0 * std::f64::consts::PI).ln();
        out.push(Component { weight, mean, whitening, log_peak });
    }
    Some(out)
}

/// Says for each row how probable each component is; gives the log-likelihood.
fn expect(data: &Matrix, components: &[Component], responsibilities: &mut Matrix) -> f64 {
    let (k, width) = (components.len(), data.width);
    let chunks = data.values.par_chunks(CHUNK * width).zip_eq(responsibilities.values.par_chunks_mut(CHUNK * k));
    let sums: Vec<f64> = chunks
        .map(|(values, responsibilities)| {
            let mut away = vec![0.0; width];
            let mut total = 0.0;
            for (row, out) in values.chunks_exact(width).zip(responsibilities.chunks_exact_mut(k)) {
                for (component, out) in components.iter().zip(out.iter_mut()) {
                    for ((away, value), mean) in away.iter_mut().zip(row).zip(&component.mean) {
                        *away = value - mean;
                    }
                    *out = component.log_peak - 0.5 * component.squared(&away);
                }
                let largest = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                out.iter_mut().for_each(|log| *log = (*log - largest).exp());
                let sum: f64 = out.iter().sum();
                out.iter_mut().for_each(|share| *share /= sum);
                total += largest + sum.ln();
            }
            total
        })
        .collect();
    sums.into_iter().sum()
}

impl Component {
    /// The squared distance of a row from the mean, in the component's own widths.
    fn squared(&self, away: &[f64]) -> f64 {
        if self.whitening.len() == away.len() {
            return self.whitening.iter().zip(away).map(|(scale, away)| (scale * away) * (scale * away)).sum();
        }
        let mut rest = self.whitening.as_slice();
        let mut squared = 0.0;
        for at in 1..=away.len() {
            let (row, next) = rest.split_at(at);
            let sum: f64 = row.iter().zip(away).map(|(factor, away)| factor * away).sum();
            squared += sum * sum;
            rest = next;
        }
        squared
    }
}

/// Sums over the rows, over chunks of a fixed size and then in order.
fn sums(
    data: &Matrix,
    responsibilities: &Matrix,
    length: usize,
    add: impl Fn(&[f64], &[f64], &mut [f64]) + Sync,
) -> Vec<f64> {
    let (k, width) = (responsibilities.width, data.width);
    let chunks: Vec<Vec<f64>> = data
        .values
        .par_chunks(CHUNK * width)
        .zip_eq(responsibilities.values.par_chunks(CHUNK * k))
        .map(|(values, responsibilities)| {
            let mut sums = vec![0.0; length];
            for (row, responsible) in values.chunks_exact(width).zip(responsibilities.chunks_exact(k)) {
                add(row, responsible, &mut sums);
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; length];
    for sums in chunks {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// Where a row of a triangular matrix begins.
fn triangle(row: usize) -> usize {
    row * (row + 1) / 2
}

/// The lower triangular root of a symmetric matrix, of which the lower triangle is given.
fn cholesky(mut matrix: Vec<f64>, width: usize) -> Option<Vec<f64>> {
    for row in 0..width {
        for column in 0..=row {
            let (a, b) = (triangle(row), triangle(column));
            let known: f64 = (0..column).map(|at| matrix[a + at] * matrix[b + at]).sum();
            let rest = matrix[a + column] - known;
            matrix[a + column] = if column < row {
                rest / matrix[b + column]
            } else if rest > 0.0 && rest.is_finite() {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    Some(matrix)
}

/// The inverse of a lower triangular matrix.
fn inverse(root: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![0.0; root.len()];
    for column in 0..width {
        for row in column..width {
            let known: f64 = (column..row).map(|at| root[triangle(row) + at] * out[triangle(at) + column]).sum();
            let unit = if row == column { 1.0 } else { 0.0 };
            out[triangle(row) + column] = (unit - known) / root[triangle(row) + row];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{cholesky, inverse};

    #[test]
    fn roots_and_inverses() {
        // [[4, 2, 1], [2, 5, 3], [1, 3, 6]] = L Lᵀ, and L⁻¹ L = 1.
        let root = cholesky(vec![4.0, 2.0, 5.0, 1.0, 3.0, 6.0], 3).unwrap();
        assert_eq!(root[..5], [2.0, 1.0, 2.0, 0.5, 1.25]);
        assert!((root[5] * root[5] - (6.0 - 0.25 - 1.5625)).abs() < 1e-15);
        let inverse = inverse(&root, 3);
        assert_eq!(inverse[..3], [0.5, -0.25, 0.5]);
        assert!((inverse[3] * 2.0 + inverse[4] * 1.0 + inverse[5] * 0.5).abs() < 1e-15);
        assert!(cholesky(vec![1.0, 1.0, 1.0], 2).is_none());
    }
}
