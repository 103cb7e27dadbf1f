//! How small an effect a test can show, and how many units it takes to show a given one: two-sided at the level
//! `alpha`, with the probability `power` of a significant result, by the normal approximation.

use crate::CompareError;
use crate::distributions::normal_quantile;
use crate::error::check;

/// How many standard errors a true difference must be for a significant result with the probability `power`.
fn standard_errors(alpha: f64, power: f64) -> Result<f64, CompareError> {
    check("significance level", alpha, alpha > 0.0 && alpha < 1.0, "above 0 and below 1")?;
    check("power", power, (0.5..1.0).contains(&power), "at least 0.5 and below 1")?;
    Ok(normal_quantile(1.0 - 0.5 * alpha) + normal_quantile(power))
}

fn check_difference(difference: f64) -> Result<(), CompareError> {
    check("difference", difference, difference != 0.0 && difference.is_finite(), "a finite number other than 0")
}

fn check_deviation(deviation: f64) -> Result<(), CompareError> {
    check("standard deviation", deviation, deviation >= 0.0 && deviation.is_finite(), "a finite number, at least 0")
}

fn check_units(n: u64) -> Result<(), CompareError> {
    if n == 0 { Err(CompareError::TooFew { needed: 1, given: 0 }) } else { Ok(()) }
}

/// A number of units, which is a whole one.
pub(crate) fn whole(n: f64) -> Result<u64, CompareError> {
    if n < 9e15 { Ok(n.ceil().max(1.0) as u64) } else { Err(CompareError::TooLarge) }
}

/// The units that each arm needs to tell the share `variant` from the share `baseline`:
/// (z + z')² (p q + p' q') / (p' - p)².
///
/// # Errors
/// Shares outside 0 to 1 or equal, `alpha` outside (0, 1), `power` outside [0.5, 1).
pub fn units_for_proportions(baseline: f64, variant: f64, alpha: f64, power: f64) -> Result<u64, CompareError> {
    for share in [baseline, variant] {
        check("share", share, (0.0..=1.0).contains(&share), "between 0 and 1")?;
    }
    check_difference(variant - baseline)?;
    let z = standard_errors(alpha, power)?;
    let variance = baseline * (1.0 - baseline) + variant * (1.0 - variant);
    whole(z * z * variance / (variant - baseline).powi(2))
}

/// The smallest rise over the share `baseline` that `n` units in each arm can show; `None` where not even a share of 1
/// could be told from it.
///
/// # Errors
/// As of [`units_for_proportions`]; no units.
pub fn detectable_proportion(baseline: f64, n: u64, alpha: f64, power: f64) -> Result<Option<f64>, CompareError> {
    check("share", baseline, (0.0..=1.0).contains(&baseline), "between 0 and 1")?;
    check_units(n)?;
    let z = standard_errors(alpha, power)?;
    let shows = |variant: f64| {
        let variance = baseline * (1.0 - baseline) + variant * (1.0 - variant);
        (variant - baseline).powi(2) * n as f64 >= z * z * variance
    };
    if baseline >= 1.0 || !shows(1.0) {
        return Ok(None);
    }
    let (mut low, mut high) = (baseline, 1.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return Ok(Some(high - baseline));
        }
        if shows(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

/// The units that each arm needs to show a difference of means, where a unit's value has this standard deviation in both
/// arms: 2 (z + z')² s² / d².
///
/// # Errors
/// A difference of 0, a negative deviation, `alpha` outside (0, 1), `power` outside [0.5, 1).
pub fn units_for_means(deviation: f64, difference: f64, alpha: f64, power: f64) -> Result<u64, CompareError> {
    check_deviation(deviation)?;
    check_difference(difference)?;
    whole(2.0 * (standard_errors(alpha, power)? * deviation / difference).powi(2))
}

/// The smallest difference of means that `n` units in each arm can show.
///
/// # Errors
/// As of [`units_for_means`]; no units.
pub fn detectable_mean(deviation: f64, n: u64, alpha: f64, power: f64) -> Result<f64, CompareError> {
    check_deviation(deviation)?;
    check_units(n)?;
    Ok(standard_errors(alpha, power)? * deviation * (2.0 / n as f64).sqrt())
}

/// The pairs that it takes to show a mean difference, where the differences have this standard deviation:
/// (z + z')² s² / d².
///
/// # Errors
/// As of [`units_for_means`].
pub fn pairs_for_difference(deviation: f64, difference: f64, alpha: f64, power: f64) -> Result<u64, CompareError> {
    check_deviation(deviation)?;
    check_difference(difference)?;
    whole((standard_errors(alpha, power)? * deviation / difference).powi(2))
}

/// The smallest mean difference that `n` pairs can show.
///
/// # Errors
/// As of [`units_for_means`]; no pairs.
pub fn detectable_difference(deviation: f64, n: u64, alpha: f64, power: f64) -> Result<f64, CompareError> {
    check_deviation(deviation)?;
    check_units(n)?;
    Ok(standard_errors(alpha, power)? * deviation / (n as f64).sqrt())
}
