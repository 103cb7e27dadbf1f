//! How good predictions are: figures of merit over pairs (predicted, true), named as in scikit-learn. `None` where one
//! is undefined.

/// The mean of `-ln` of the probability given to what is true, probabilities kept away from 0 and 1 by the smallest
/// step of numbers (2⁻⁵²), as `log_loss`.
pub(crate) fn log_loss(pairs: &[(f64, f64)]) -> Option<f64> {
    let clip = |p: f64| p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    mean(pairs, |p, y| if y == 1.0 { -clip(p).ln() } else { -(1.0 - clip(p)).ln() })
}

/// The root of the mean squared error, as `root_mean_squared_error`.
pub(crate) fn rmse(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs, |p, y| (p - y).powi(2)).map(f64::sqrt).filter(|value| value.is_finite())
}

/// The share of the variance explained, as `r2_score`; undefined where the true values are all equal.
pub(crate) fn r2(pairs: &[(f64, f64)]) -> Option<f64> {
    let center = mean(pairs, |_, y| y)?;
    let total = mean(pairs, |_, y| (y - center).powi(2))?;
    let rest = mean(pairs, |p, y| (p - y).powi(2))?;
    (total > 0.0).then_some(1.0 - rest / total).filter(|value| value.is_finite())
}

/// The mean over the pairs, summed in blocks so that many small values are not lost beside a large sum.
fn mean(pairs: &[(f64, f64)], of: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let sum: f64 = pairs.chunks(1024).map(|block| block.iter().map(|(p, y)| of(*p, *y)).sum::<f64>()).sum();
    (!pairs.is_empty()).then(|| sum / pairs.len() as f64)
}
