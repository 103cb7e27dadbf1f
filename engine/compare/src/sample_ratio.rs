use serde::{Deserialize, Serialize};

use crate::CompareError;
use crate::distributions::chi_square_above;
use crate::error::{check, check_count};

/// Whether the arms of a test are as large as was planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    /// How many units each arm should have.
    pub expected: Vec<f64>,
    /// Pearson's chi-square.
    pub statistic: f64,
    /// The probability of arms at least so far from the plan by chance.
    pub p_value: f64,
    /// Whether that is below 0.001: something other than chance decided who is in which arm, and no difference between
    /// them can be trusted.
    pub mismatch: bool,
}

/// Below this, a mismatch is no accident. The check is made for every test, so it should seldom be wrong (Fabijan and
/// others 2019).
const THRESHOLD: f64 = 0.001;

/// Checks the sizes of arms against their planned shares by Pearson's chi-square test: of a test whose sample ratio is
/// off, no result is valid. The shares need not add up to 1.
///
/// # Errors
/// Fewer than two arms, not a share for each, a share that is not above 0, nobody in any arm.
pub fn sample_ratio(counts: &[u64], shares: &[f64]) -> Result<SampleRatio, CompareError> {
    if counts.len() != shares.len() {
        return Err(CompareError::Lengths { left: counts.len(), right: shares.len() });
    }
    check("number of arms", counts.len() as f64, counts.len() >= 2, "at least 2")?;
    for share in shares {
        check("share of an arm", *share, *share > 0.0 && share.is_finite(), "above 0")?;
    }
    let all: f64 = counts.iter().map(|count| *count as f64).sum();
    check_count(all as usize, 1)?;
    let whole: f64 = shares.iter().sum();
    let expected: Vec<f64> = shares.iter().map(|share| all * (share / whole)).collect();
    let terms = counts.iter().zip(&expected).map(|(count, expected)| (*count as f64 - expected).powi(2) / expected);
    let statistic: f64 = terms.sum();
    if !statistic.is_finite() {
        return Err(CompareError::TooLarge);
    }
    let p_value = chi_square_above(statistic, (counts.len() - 1) as f64);
    Ok(SampleRatio { expected, statistic, p_value, mismatch: p_value < THRESHOLD })
}
