//! Intervals of confidence.

use stagewright_contract::StageError;
use statrs::distribution::{ContinuousCDF, Normal};

/// The quantile of the standard normal distribution that leaves `(1 - confidence) / 2` beyond it.
///
/// # Errors
/// A bug: the standard normal distribution exists.
pub(crate) fn two_sided(confidence: f64) -> Result<f64, StageError> {
    let normal = Normal::new(0.0, 1.0).map_err(|error| StageError::bug(error.to_string()))?;
    Ok(normal.inverse_cdf(f64::midpoint(1.0, confidence)))
}

/// The interval of a share that Wilson (1927) gives, for the normal quantile `z`; `None` of nothing or of more than
/// everything.
pub(crate) fn wilson(part: u64, whole: u64, z: f64) -> Option<(f64, f64)> {
    if whole == 0 || part > whole {
        return None;
    }
    let n = whole as f64;
    let share = part as f64 / n;
    let scale = 1.0 + z * z / n;
    let center = (share + z * z / (2.0 * n)) / scale;
    let half = z / scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    // All or nothing touches the end exactly, whatever the rounding.
    let lower = if part == 0 { 0.0 } else { (center - half).max(0.0) };
    let upper = if part == whole { 1.0 } else { (center + half).min(1.0) };
    Some((lower, upper))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{two_sided, wilson};

    #[test]
    fn wilson_is_that_of_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(k, n, alpha, method="wilson").
        for (part, whole, confidence, lower, upper) in [
            (0, 10, 0.95, 0.0, 0.27753279986288926),
            (3, 10, 0.95, 0.10779126740630104, 0.6032218525388546),
            (10, 10, 0.99, 0.6011459066950917, 1.0),
            (123, 4567, 0.9, 0.02326342837294318, 0.03116142265719711),
            (1, 1, 0.95, 0.2065493143772374, 1.0),
        ] {
            let (low, high) = wilson(part, whole, two_sided(confidence).unwrap()).unwrap();
            assert!((low - lower).abs() < 1e-10 && (high - upper).abs() < 1e-10, "{part}/{whole}: {low} {high}");
        }
        assert_eq!((wilson(1, 0, 1.96), wilson(3, 2, 1.96)), (None, None));
    }
}
