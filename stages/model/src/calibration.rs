//! Maps from the probabilities that a model gives to those that come true.

use serde::{Deserialize, Serialize};

use crate::linear_predictor::logistic;

/// A map from probabilities to probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form")]
pub(crate) enum Calibration {
    /// A rising line through points, level before the first and after the last.
    #[serde(rename = "isotonic/1")]
    Isotonic {
        /// Where, ascending.
        x: Vec<f64>,
        /// How much, not descending.
        y: Vec<f64>,
    },
    /// `1 / (1 + exp(-(slope × ln(p / (1 - p)) + intercept)))`.
    #[serde(rename = "sigmoid/1")]
    Sigmoid {
        /// What the log odds are multiplied with.
        slope: f64,
        /// What is added.
        intercept: f64,
    },
}

impl Calibration {
    /// The probability that belongs to one; NaN for NaN.
    pub(crate) fn apply(&self, p: f64) -> f64 {
        match self {
            _ if p.is_nan() => p,
            Self::Sigmoid { slope, intercept } => logistic(slope * log_odds(p) + intercept),
            Self::Isotonic { x, y } => {
                let above = x.partition_point(|x| *x < p);
                match (above.checked_sub(1), x.get(above)) {
                    (_, Some(at)) if *at == p => y[above],
                    (Some(below), Some(_)) => {
                        let share = (p - x[below]) / (x[above] - x[below]);
                        y[below] + share * (y[above] - y[below])
                    }
                    (None, Some(_)) => y[above],
                    (Some(below), None) => y[below],
                    (None, None) => p,
                }
            }
        }
    }

    /// The least-squares rising line through pairs (probability, truth), by pooling adjacent violators (Ayer et al.
    /// 1955). Rows of equal probability count as their mean.
    pub(crate) fn isotonic(pairs: &[(f64, f64)]) -> Self {
        let mut sorted = pairs.to_vec();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        /// Neighbours that share a level.
        struct Pool {
            first: f64,
            last: f64,
            sum: f64,
            rows: f64,
        }
        let mut pools: Vec<Pool> = Vec::new();
        for rows in sorted.chunk_by(|a, b| a.0 == b.0) {
            let sum = rows.iter().map(|(_, y)| y).sum();
            let mut pool = Pool { first: rows[0].0, last: rows[0].0, sum, rows: rows.len() as f64 };
            // Sums and counts are whole numbers, so the comparison by products is exact.
            while let Some(before) = pools.pop_if(|before| before.sum * pool.rows >= pool.sum * before.rows) {
                pool = Pool {
                    first: before.first,
                    last: pool.last,
                    sum: before.sum + pool.sum,
                    rows: before.rows + pool.rows,
                };
            }
            pools.push(pool);
        }
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for pool in pools {
            let level = pool.sum / pool.rows;
            x.push(pool.first);
            y.push(level);
            if pool.last > pool.first {
                x.push(pool.last);
                y.push(level);
            }
        }
        Self::Isotonic { x, y }
    }

    /// Platt's sigmoid (1999) of the log odds, fitted by Newton's method to targets drawn in from 0 and 1:
    /// `(positives + 1) / (positives + 2)` and `1 / (negatives + 2)`. With the map, whether it has converged.
    pub(crate) fn sigmoid(pairs: &[(f64, f64)]) -> (Self, bool) {
        let positives = pairs.iter().filter(|(_, y)| *y == 1.0).count() as f64;
        let negatives = pairs.len() as f64 - positives;
        let drawn_in = [1.0 / (negatives + 2.0), (positives + 1.0) / (positives + 2.0)];
        let rows: Vec<(f64, f64)> =
            pairs.iter().map(|(p, y)| (log_odds(*p), drawn_in[usize::from(*y == 1.0)])).collect();
        let loss = |slope: f64, intercept: f64| -> f64 {
            let of = |(odds, target): &(f64, f64)| {
                let sum = slope * odds + intercept;
                sum.max(0.0) - target * sum + (-sum.abs()).exp().ln_1p()
            };
            rows.chunks(1024).map(|block| block.iter().map(of).sum::<f64>()).sum()
        };
        let (mut slope, mut intercept) = (0.0, ((positives + 1.0) / (negatives + 1.0)).ln());
        let mut here = loss(slope, intercept);
        for _ in 0..100 {
            let mut sums = [0.0; 5];
            for block in rows.chunks(1024) {
                let mut part = [0.0; 5];
                for (odds, target) in block {
                    let p = logistic(slope * odds + intercept);
                    let (residual, weight) = (p - target, p * (1.0 - p));
                    let terms = [residual * odds, residual, weight * odds * odds, weight * odds, weight];
                    part.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                }
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            let [down, across, curve, mixed, flat] = sums;
            // Where all rows have the same probability, the slope is not determined: it stays what it is.
            let determinant = curve * flat - mixed * mixed;
            let steps = if determinant > 1e-12 * curve * flat {
                [(flat * down - mixed * across) / determinant, (curve * across - mixed * down) / determinant]
            } else {
                [0.0, across / flat.max(f64::MIN_POSITIVE)]
            };
            let promise = (steps[0] * down + steps[1] * across) / 2.0;
            if promise <= 1e-13 * pairs.len() as f64 {
                return (Self::Sigmoid { slope: slope - steps[0], intercept: intercept - steps[1] }, true);
            }
            let mut length = 1.0;
            loop {
                let next = (slope - length * steps[0], intercept - length * steps[1]);
                let there = loss(next.0, next.1);
                if there <= here {
                    ((slope, intercept), here) = (next, there);
                    break;
                }
                length /= 2.0;
                if length < 1e-10 {
                    return (Self::Sigmoid { slope, intercept }, true);
                }
            }
        }
        (Self::Sigmoid { slope, intercept }, false)
    }
}

/// `ln(p / (1 - p))`, with probabilities kept away from 0 and 1 by 2⁻⁵².
fn log_odds(p: f64) -> f64 {
    let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    fn pairs() -> Vec<(f64, f64)> {
        let p = [0.1, 0.2, 0.2, 0.35, 0.4, 0.5, 0.55, 0.7, 0.8, 0.9];
        let y = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0];
        p.into_iter().zip(y).collect()
    }

    // IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y).predict([0, .15, .2, .3, .45, .6, .95])
    #[test]
    fn isotonic_equals_scikit_learn() {
        let map = Calibration::isotonic(&pairs());
        let found = [0.0, 0.15, 0.2, 0.3, 0.45, 0.6, 0.95].map(|p| map.apply(p));
        let expected = [0.0, 1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0, 7.0 / 9.0, 1.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    // sklearn.calibration._SigmoidCalibration().fit(scipy.special.logit(p), y): a_ and b_, of the other sign
    #[test]
    fn sigmoid_equals_scikit_learn() {
        let (Calibration::Sigmoid { slope, intercept }, true) = Calibration::sigmoid(&pairs()) else {
            unreachable!("a sigmoid that converges")
        };
        // Its stopping rule leaves the last digits open.
        assert!((slope - 0.708_240_12).abs() < 1e-6, "{slope}");
        assert!((intercept - 0.547_306_78).abs() < 1e-6, "{intercept}");
    }

    #[test]
    fn equal_probabilities_have_an_intercept_and_no_slope() {
        let (map, converged) = Calibration::sigmoid(&[(0.3, 1.0), (0.3, 0.0), (0.3, 0.0)]);
        // Targets 2/3, 1/4, 1/4 have the mean 7/18.
        assert!(converged && (map.apply(0.3) - 7.0 / 18.0).abs() < 1e-9, "{map:?}");
        assert_eq!(Calibration::isotonic(&[(0.3, 1.0), (0.3, 0.0)]).apply(0.9), 0.5);
    }
}
