//! Logistic regression with squares and products of the features, small and deterministic.

use rayon::prelude::*;

/// How many features there are.
pub(crate) const FEATURES: usize = 7;
/// The intercept, the features, their squares and products.
const TERMS: usize = 1 + FEATURES + FEATURES * (FEATURES + 1) / 2;
/// Rows are summed in chunks of this many, and the chunks in their order: the number of threads does not matter.
const CHUNK: usize = 4_096;
/// Beyond this many standard deviations a feature says no more, so that squares do not run away.
const FARTHEST: f64 = 4.0;
const RIDGE: f64 = 1.0;
const MOST_STEPS: usize = 30;

/// The features of a pair of user and product.
pub(crate) type Features = [f64; FEATURES];
type Terms = [f64; TERMS];

/// What was learned: the probability of the positive class given the features.
pub(crate) struct Logistic {
    means: Features,
    deviations: Features,
    weights: Terms,
}

impl Logistic {
    /// Fits by Newton's method with step halving, minimising the sum of the log losses plus half the sum of the
    /// squared weights (but that of the intercept) of the standardised features.
    pub(crate) fn fit(rows: &[(Features, bool)]) -> Self {
        let count = rows.len().max(1) as f64;
        let mut means = [0.0; FEATURES];
        for (features, _) in rows {
            for (mean, value) in means.iter_mut().zip(features) {
                *mean += value / count;
            }
        }
        let mut deviations = [0.0; FEATURES];
        for (features, _) in rows {
            for ((deviation, value), mean) in deviations.iter_mut().zip(features).zip(&means) {
                *deviation += (value - mean) * (value - mean) / count;
            }
        }
        for deviation in &mut deviations {
            let root = f64::sqrt(*deviation);
            *deviation = if root > 1e-9 { root } else { 1.0 };
        }
        let mut model = Self { means, deviations, weights: [0.0; TERMS] };

        let mut at = model.derivatives(rows);
        for _ in 0..MOST_STEPS {
            let Some(step) = solve(&at.curvature, &at.gradient) else { break };
            let start = model.weights;
            let mut length = 1.0;
            let better = loop {
                for ((weight, start), step) in model.weights.iter_mut().zip(&start).zip(&step) {
                    *weight = start - length * step;
                }
                let next = model.derivatives(rows);
                if next.loss <= at.loss {
                    break Some(next);
                }
                length /= 2.0;
                if length < 1e-4 {
                    model.weights = start;
                    break None;
                }
            };
            let Some(next) = better else { break };
            let gain = at.loss - next.loss;
            at = next;
            if gain <= 1e-9 * at.loss.abs() {
                break;
            }
        }
        model
    }

    /// The probability of the positive class.
    pub(crate) fn probability(&self, features: &Features) -> f64 {
        sigmoid(dot(&self.weights, &self.terms(features)))
    }

    fn terms(&self, features: &Features) -> Terms {
        let mut standard = [0.0; FEATURES];
        for (((out, value), mean), deviation) in
            standard.iter_mut().zip(features).zip(&self.means).zip(&self.deviations)
        {
            *out = ((value - mean) / deviation).clamp(-FARTHEST, FARTHEST);
        }
        let mut terms = [1.0; TERMS];
        let products = (0..FEATURES).flat_map(|i| (i..FEATURES).map(move |j| (i, j)));
        let values = standard.iter().copied().chain(products.map(|(i, j)| standard[i] * standard[j]));
        for (term, value) in terms.iter_mut().skip(1).zip(values) {
            *term = value;
        }
        terms
    }

    fn derivatives(&self, rows: &[(Features, bool)]) -> Derivatives {
        let chunks: Vec<Derivatives> = rows.par_chunks(CHUNK).map(|rows| self.of_chunk(rows)).collect();
        let mut sum = Derivatives::default();
        for chunk in &chunks {
            sum.add(chunk);
        }
        for (term, weight) in self.weights.iter().enumerate().skip(1) {
            sum.loss += RIDGE * weight * weight / 2.0;
            sum.gradient[term] += RIDGE * weight;
            sum.curvature[term][term] += RIDGE;
        }
        sum.curvature[0][0] += 1e-9;
        sum
    }

    fn of_chunk(&self, rows: &[(Features, bool)]) -> Derivatives {
        let mut sum = Derivatives::default();
        for (features, positive) in rows {
            let terms = self.terms(features);
            let logit = dot(&self.weights, &terms);
            let probability = sigmoid(logit);
            let target = f64::from(u8::from(*positive));
            // ln(1 + exp(logit)) - target × logit, without overflow.
            sum.loss += logit.max(0.0) + (-logit.abs()).exp().ln_1p() - target * logit;
            let error = probability - target;
            let weight = probability * (1.0 - probability);
            for ((gradient, curvature), (index, term)) in
                sum.gradient.iter_mut().zip(sum.curvature.iter_mut()).zip(terms.iter().enumerate())
            {
                *gradient += error * term;
                let scaled = weight * term;
                for (sum, other) in curvature.iter_mut().zip(&terms).take(index + 1) {
                    *sum += scaled * other;
                }
            }
        }
        sum
    }
}

/// The loss at some weights, its gradient, and the lower triangle of its second derivatives.
struct Derivatives {
    loss: f64,
    gradient: Terms,
    curvature: Box<[Terms; TERMS]>,
}

impl Default for Derivatives {
    fn default() -> Self {
        Self { loss: 0.0, gradient: [0.0; TERMS], curvature: Box::new([[0.0; TERMS]; TERMS]) }
    }
}

impl Derivatives {
    fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        for (sum, value) in self.gradient.iter_mut().zip(&other.gradient) {
            *sum += value;
        }
        for (sum, value) in self.curvature.iter_mut().flatten().zip(other.curvature.iter().flatten()) {
            *sum += value;
        }
    }
}

fn dot(a: &Terms, b: &Terms) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// Solves a symmetric positive definite system, given its lower triangle, by Cholesky's factorisation; `None` where it
/// is not positive definite.
fn solve(matrix: &[Terms; TERMS], right: &Terms) -> Option<Terms> {
    let mut lower = *matrix;
    for i in 0..TERMS {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = lower[i][j] - sum;
            lower[i][j] = if i == j {
                if rest > 0.0 && rest.is_finite() {
                    rest.sqrt()
                } else {
                    return None;
                }
            } else {
                rest / lower[j][j]
            };
        }
    }
    let mut out = *right;
    for i in 0..TERMS {
        let sum: f64 = (0..i).map(|k| lower[i][k] * out[k]).sum();
        out[i] = (out[i] - sum) / lower[i][i];
    }
    for i in (0..TERMS).rev() {
        let sum: f64 = (i + 1..TERMS).map(|k| lower[k][i] * out[k]).sum();
        out[i] = (out[i] - sum) / lower[i][i];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{FEATURES, Features, Logistic, TERMS, solve};

    /// With numpy: fifty rows of the generator below, standardised, the terms 1, z, zᵢzⱼ (i ≤ j), and
    /// scipy.optimize.minimize (BFGS) of the same loss, with three more Newton steps.
    #[test]
    fn it_minimises_the_penalised_log_loss() {
        let rows: Vec<(Features, bool)> = (0..50_u32)
            .map(|row| {
                let mut features = [0.0; FEATURES];
                for (feature, index) in features.iter_mut().zip(1..) {
                    *feature = f64::from(row * row * index % (11 + index)) / 4.0;
                }
                (features, row * row * row % 7 < 3)
            })
            .collect();
        let model = Logistic::fit(&rows);
        let found: Vec<f64> = rows.iter().take(5).map(|(features, _)| model.probability(features)).collect();
        for (found, expected) in found.iter().zip(EXPECTED) {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
    }

    const EXPECTED: [f64; 5] =
        [0.9997738261469847, 0.85509583424412, 0.8752504572590111, 0.009399096649104743, 0.7873300186969053];

    #[test]
    fn one_class_or_no_rows_is_no_trouble() {
        assert_eq!(Logistic::fit(&[]).probability(&[1.0; FEATURES]), 0.5);
        let probability = Logistic::fit(&[([1.0; FEATURES], true); 9]).probability(&[1.0; FEATURES]);
        assert!(probability > 0.9 && probability <= 1.0, "{probability}");
    }

    #[test]
    fn systems_are_solved() {
        let mut matrix = [[0.0; TERMS]; TERMS];
        for (index, row) in matrix.iter_mut().enumerate() {
            row[index] = 4.0;
        }
        matrix[1][0] = 2.0;
        // 4a + 2b = 2, 2a + 4b = 4: a = 0, b = 1.
        let mut right = [4.0; TERMS];
        right[0] = 2.0;
        let solution = solve(&matrix, &right).unwrap();
        assert!(solution[0].abs() < 1e-15 && solution[1..].iter().all(|value| (value - 1.0).abs() < 1e-15));
        matrix[3][3] = -1.0;
        assert!(solve(&matrix, &right).is_none());
    }
}
