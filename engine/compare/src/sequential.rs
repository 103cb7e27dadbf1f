use crate::error::check;
use crate::{CompareError, Comparison, Interval, Reference, Relative};

/// Makes of a comparison one that may be looked at after every unit, and acted on at any look: an asymptotic confidence
/// sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory"). Its intervals
/// hold the truth at all looks at once with the confidence of the comparison, where intervals for a fixed number of
/// units, looked at often enough, always leave it out at some look.
///
/// `planned` is the number of units at which it is to be tightest: pairs, or units of both groups together. With n units
/// so far, s² = n times the squared standard error and ρ = √((−2 ln α + ln(−2 ln α + 1)) / planned), the interval
/// reaches s √(2 (nρ² + 1) ln(√(nρ² + 1) / α)) / (nρ) to each side; the p-value is the smallest α whose interval leaves
/// 0 out, ρ staying as it is. The same factor widens the interval of the lift. It is asymptotic: the first looks should
/// have a few hundred units.
///
/// # Errors
/// A comparison without a standard error or with one of 0, nothing planned, a comparison that is already of this kind.
pub fn always_valid(comparison: &Comparison, planned: u64) -> Result<Comparison, CompareError> {
    check("planned number of units", planned as f64, planned >= 1, "at least 1")?;
    let standard_error = comparison.standard_error.filter(|error| *error > 0.0).ok_or(CompareError::NoVariance)?;
    if let Reference::AlwaysValid { n, .. } = comparison.reference {
        return check("number of units", n, false, "of a comparison for a fixed number of units")
            .map(|()| comparison.clone());
    }
    let alpha = 1.0 - comparison.level;
    let n = comparison.n() as f64;
    let twice = -2.0 * alpha.ln();
    let rho = ((twice + (twice + 1.0).ln()) / planned as f64).sqrt();
    let reference = Reference::AlwaysValid { n, rho };
    let critical = reference.critical(alpha);

    let scale = n * rho * rho;
    let z = comparison.difference / standard_error;
    let p_value = ((scale + 1.0).sqrt() * (-0.5 * z * z * scale / (scale + 1.0)).exp()).min(1.0);
    let relative = comparison.relative.map(|relative| Relative {
        interval: relative.interval.map(|_| Interval::about(relative.lift, critical * relative.standard_error)),
        ..relative
    });
    let method = comparison.method.split(',').next().unwrap_or(&comparison.method);
    Comparison {
        method: format!("always-valid confidence sequence ({method})"),
        interval: Interval::about(comparison.difference, critical * standard_error),
        reference,
        p_value,
        relative,
        ..comparison.clone()
    }
    .checked()
}
