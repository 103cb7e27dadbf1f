use crate::distributions::normal_two_sided;
use crate::error::{check_count, check_level, check_pairs};
use crate::sample::{Sample, covariance};
use crate::{CompareError, Comparison, Interval, Reference, Relative};

/// A ratio of sums over units, such as revenue per order where the unit is a customer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio<'a> {
    /// What is divided, of each unit.
    pub numerator: &'a [f64],
    /// What it is divided by, of the same units.
    pub denominator: &'a [f64],
}

impl Ratio<'_> {
    /// The ratio, and its variance by the delta method: (var(m) - 2 R cov(m, d) + R² var(d)) / (n mean(d)²).
    fn estimate(self) -> Result<(f64, f64), CompareError> {
        check_pairs(self.numerator, self.denominator)?;
        check_count(self.numerator.len(), 2)?;
        let (above, below) = (Sample::of(self.numerator), Sample::of(self.denominator));
        if below.mean == 0.0 {
            return Err(CompareError::ZeroDenominator);
        }
        let ratio = above.mean / below.mean;
        let covariance = covariance(self.numerator, self.denominator, above.mean, below.mean);
        let spread = above.variance - 2.0 * ratio * covariance + ratio * ratio * below.variance;
        Ok((ratio, spread.max(0.0) / (above.n * below.mean * below.mean)))
    }
}

/// Compares ratios of sums of two independent groups. Units are independent, what they divide by is not fixed (customers
/// order more than once), so the variance is that of the delta method (Deng, Knoblich and Lu 2018); test and interval
/// are normal. Groups of equal ratios without variance have a p-value of 1.
///
/// # Errors
/// Fewer than two units in a group, numerators and denominators of different lengths, denominators that add up to 0, a
/// number that is not finite, ratios that differ though neither varies, a level outside (0, 1).
pub fn ratio_of_sums(baseline: Ratio, variant: Ratio, level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    let (left, right) = (baseline.estimate()?, variant.estimate()?);
    let difference = right.0 - left.0;
    let variance = left.1 + right.1;
    if variance == 0.0 && difference != 0.0 {
        return Err(CompareError::NoVariance);
    }
    let standard_error = variance.sqrt();
    let reference = Reference::Normal;
    let critical = reference.critical(1.0 - level);
    Comparison {
        method: "ratio of sums, delta method".to_owned(),
        baseline: left.0,
        variant: right.0,
        difference,
        interval: Interval::about(difference, critical * standard_error),
        level,
        standard_error: Some(standard_error),
        reference,
        p_value: if variance == 0.0 { 1.0 } else { normal_two_sided(difference / standard_error) },
        relative: Relative::delta(left, right, 0.0, critical),
        paired: false,
        n_baseline: baseline.numerator.len() as u64,
        n_variant: variant.numerator.len() as u64,
    }
    .checked()
}
