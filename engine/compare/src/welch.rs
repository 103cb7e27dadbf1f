use crate::distributions::student_two_sided;
use crate::error::{check_count, check_finite, check_level};
use crate::sample::Sample;
use crate::{CompareError, Comparison, Interval, Reference, Relative};

/// Compares the means of two independent groups by Welch's t-test, whose variances may differ (degrees of freedom by
/// Satterthwaite), a value per unit. The lift is by the delta method. Groups that do not vary and have the same mean
/// have a difference of 0 with a p-value of 1.
///
/// # Errors
/// Fewer than two units in a group, a number that is not finite, means that differ though neither group varies, a level
/// outside (0, 1).
pub fn welch_t(baseline: &[f64], variant: &[f64], level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    for values in [baseline, variant] {
        check_finite(values)?;
        check_count(values.len(), 2)?;
    }
    let (left, right) = (Sample::of(baseline), Sample::of(variant));
    let difference = right.mean - left.mean;
    let variance = left.of_mean() + right.of_mean();
    if variance == 0.0 && difference != 0.0 {
        return Err(CompareError::NoVariance);
    }
    let freedom = if variance == 0.0 {
        left.n + right.n - 2.0
    } else {
        // By shares of the variance, so that no square is out of range.
        let term = |sample: &Sample| (sample.of_mean() / variance).powi(2) / (sample.n - 1.0);
        1.0 / (term(&left) + term(&right))
    };
    let reference = Reference::Student(freedom);
    let critical = reference.critical(1.0 - level);
    let standard_error = variance.sqrt();
    Comparison {
        method: "Welch's t-test".to_owned(),
        baseline: left.mean,
        variant: right.mean,
        difference,
        interval: Interval::about(difference, critical * standard_error),
        level,
        standard_error: Some(standard_error),
        reference,
        p_value: if variance == 0.0 { 1.0 } else { student_two_sided(difference / standard_error, freedom) },
        relative: Relative::delta((left.mean, left.of_mean()), (right.mean, right.of_mean()), 0.0, critical),
        paired: false,
        n_baseline: baseline.len() as u64,
        n_variant: variant.len() as u64,
    }
    .checked()
}
