use crate::distributions::student_two_sided;
use crate::error::{check_count, check_level, check_pairs};
use crate::sample::{Sample, covariance, differences};
use crate::{CompareError, Comparison, Interval, Reference, Relative};

/// Compares the means of two values per unit (user, order, row) by Student's paired t-test: `baseline[i]` and
/// `variant[i]` belong to the same unit. The interval is that of the mean difference, the lift that of the ratio of the
/// means by the delta method.
///
/// Where most units do not differ at all, the few that do tell less than the test assumes: k differences have the same sign
/// by chance with the probability 2^(1 - k). Where some differences are 0, the p-value is not below that, and an interval
/// whose p-value then is not significant reaches to 0.
///
/// Where all differences are equal, one unit included, nothing estimates their variance. Differences of 0 then give a
/// p-value of 1 and an interval of 0 alone. Others are judged by flipping signs: so many equal differences come by
/// chance with the probability 2^(1 - n), which is the p-value; the interval is the difference alone where that is
/// significant, and reaches to 0 (and as far to the other side) where it is not.
///
/// # Errors
/// No units, sides of different lengths, a number that is not finite, a level outside (0, 1).
pub fn paired_t(baseline: &[f64], variant: &[f64], level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    check_pairs(baseline, variant)?;
    check_count(baseline.len(), 1)?;
    let differences = differences(baseline, variant);
    let sample = Sample::of(&differences);
    if sample.variance == 0.0 {
        return all_equal(baseline, variant, sample.mean, level);
    }
    let freedom = sample.n - 1.0;
    let reference = Reference::Student(freedom);
    let critical = reference.critical(1.0 - level);
    let standard_error = sample.of_mean().sqrt();
    let (baseline, variant, relative) = sides(baseline, variant, critical);
    let p_value = student_two_sided(sample.mean / standard_error, freedom);
    let mut interval = Interval::about(sample.mean, critical * standard_error);
    let few = differing(&differences);
    let by_signs = if few < differences.len() { 2.0_f64.powf(1.0 - few as f64) } else { 0.0 };
    if by_signs > p_value && by_signs > 1.0 - level {
        interval = Interval { lower: interval.lower.min(0.0), upper: interval.upper.max(0.0) };
    }
    Comparison {
        method: "paired t-test".to_owned(),
        baseline,
        variant,
        difference: sample.mean,
        interval,
        level,
        standard_error: Some(standard_error),
        reference,
        p_value: p_value.max(by_signs),
        relative,
        paired: true,
        n_baseline: differences.len() as u64,
        n_variant: differences.len() as u64,
    }
    .checked()
}

/// How many units differ.
pub(crate) fn differing(differences: &[f64]) -> usize {
    differences.iter().filter(|difference| **difference != 0.0).count()
}

/// Both means, and the lift of one over the other.
pub(crate) fn sides(baseline: &[f64], variant: &[f64], critical: f64) -> (f64, f64, Option<Relative>) {
    let (left, right) = (Sample::of(baseline), Sample::of(variant));
    let covariance = covariance(baseline, variant, left.mean, right.mean) / left.n;
    let relative = Relative::delta((left.mean, left.of_mean()), (right.mean, right.of_mean()), covariance, critical);
    (left.mean, right.mean, relative)
}

/// The comparison of units that all differ by the same.
pub(crate) fn all_equal(
    baseline: &[f64],
    variant: &[f64],
    difference: f64,
    level: f64,
) -> Result<Comparison, CompareError> {
    let n = baseline.len();
    let none = difference == 0.0;
    let p_value = if none { 1.0 } else { 2.0_f64.powf(1.0 - n as f64) };
    let half = if none || p_value <= 1.0 - level { 0.0 } else { difference.abs() };
    let reference = Reference::Normal;
    let (baseline, variant, relative) = sides(baseline, variant, reference.critical(1.0 - level));
    let relative = relative.map(|relative| Relative { interval: None, ..relative });
    Comparison {
        method: "sign flips, as every unit differs by the same".to_owned(),
        baseline,
        variant,
        difference,
        interval: Interval::about(difference, half),
        level,
        standard_error: none.then_some(0.0),
        reference,
        p_value,
        relative,
        paired: true,
        n_baseline: n as u64,
        n_variant: n as u64,
    }
    .checked()
}
