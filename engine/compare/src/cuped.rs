use crate::CompareError;
use crate::error::{check_count, check_pairs};
use crate::sample::{Sample, covariance};

/// Outcomes from which what was known before is taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Cuped {
    /// How much of the covariate is taken out of the outcome: cov(outcome, covariate) / var(covariate).
    pub theta: f64,
    /// The share of the variance of the outcome that is gone: the squared correlation.
    pub variance_reduction: f64,
    /// The adjusted outcomes, arm by arm: what to compare with [`welch_t`](crate::welch_t).
    pub adjusted: Vec<Vec<f64>>,
}

/// Adjusts outcomes by a covariate from before the test (CUPED; Deng, Xu, Kohavi and Walker 2013): the adjusted outcome
/// is y - theta (x - mean(x)), with theta and the mean from the units of all arms together. The difference between arms
/// is estimated without bias as long as the arms were drawn at random and the covariate was known before; its variance
/// falls by the squared correlation. `arms` holds the outcomes and the covariates of each arm, unit by unit. A covariate
/// that does not vary changes nothing.
///
/// # Errors
/// Fewer than two units in all, outcomes and covariates of different lengths, a number that is not finite or too large.
pub fn cuped(arms: &[(&[f64], &[f64])]) -> Result<Cuped, CompareError> {
    for (outcome, covariate) in arms {
        check_pairs(outcome, covariate)?;
    }
    let outcomes: Vec<f64> = arms.iter().flat_map(|arm| arm.0).copied().collect();
    let covariates: Vec<f64> = arms.iter().flat_map(|arm| arm.1).copied().collect();
    check_count(outcomes.len(), 2)?;
    let (y, x) = (Sample::of(&outcomes), Sample::of(&covariates));
    let covariance = covariance(&outcomes, &covariates, y.mean, x.mean);
    let theta = if x.variance == 0.0 { 0.0 } else { covariance / x.variance };
    let explained = if y.variance == 0.0 { 0.0 } else { theta * covariance / y.variance };
    if !theta.is_finite() || !explained.is_finite() {
        return Err(CompareError::TooLarge);
    }
    let adjust =
        |(y, covariate): &(&[f64], &[f64])| y.iter().zip(*covariate).map(|(y, at)| y - theta * (at - x.mean)).collect();
    Ok(Cuped { theta, variance_reduction: explained.clamp(0.0, 1.0), adjusted: arms.iter().map(adjust).collect() })
}
