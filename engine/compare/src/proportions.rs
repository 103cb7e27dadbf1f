use serde::{Deserialize, Serialize};

use crate::distributions::normal_two_sided;
use crate::error::check_level;
use crate::fisher::fisher_exact;
use crate::{CompareError, Comparison, Interval, Reference, Relative};

/// So many of so many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proportion {
    /// The units that did it.
    pub successes: u64,
    /// All units.
    pub n: u64,
}

impl Proportion {
    /// The share.
    fn share(self) -> f64 {
        self.successes as f64 / self.n as f64
    }

    /// The variance of the share.
    fn variance(self) -> f64 {
        let share = self.share();
        share * (1.0 - share) / self.n as f64
    }

    fn check(self) -> Result<(), CompareError> {
        if self.n == 0 {
            return Err(CompareError::TooFew { needed: 1, given: 0 });
        }
        if self.successes > self.n {
            return Err(CompareError::Successes { successes: self.successes, n: self.n });
        }
        Ok(())
    }
}

/// A cell of the table of successes and failures that is expected to hold fewer than this calls for Fisher's test.
const SMALL: f64 = 5.0;

/// Compares the shares of two independent groups. The test is the z-test with the standard error of the shares pooled,
/// or Fisher's exact one where a cell of the table is expected to hold fewer than five units. The interval is Newcombe's
/// (1998, method 10), squared and added from the intervals of Wilson, which covers where shares are near 0 or 1, too.
/// The standard error is the unpooled one, the lift by the delta method.
///
/// # Errors
/// A group of nobody, more successes than units, a level outside (0, 1).
pub fn two_proportions(baseline: Proportion, variant: Proportion, level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    baseline.check()?;
    variant.check()?;
    let (left, right) = (baseline.share(), variant.share());
    let difference = right - left;
    let (n_left, n_right) = (baseline.n as f64, variant.n as f64);
    let pooled = (baseline.successes as f64 + variant.successes as f64) / (n_left + n_right);
    let smallest = pooled.min(1.0 - pooled) * n_left.min(n_right);
    let exact = smallest < SMALL;
    let p_value = if exact {
        fisher_exact(baseline, variant)
    } else {
        normal_two_sided(difference / (pooled * (1.0 - pooled) * (1.0 / n_left + 1.0 / n_right)).sqrt())
    };

    let reference = Reference::Normal;
    let critical = reference.critical(1.0 - level);
    let (of_left, of_right) = (wilson_at(baseline, critical), wilson_at(variant, critical));
    let interval = Interval {
        lower: difference - (left - of_left.upper).hypot(right - of_right.lower),
        upper: difference + (left - of_left.lower).hypot(right - of_right.upper),
    };
    Comparison {
        method: if exact {
            "Fisher's exact test, Newcombe's interval"
        } else {
            "two-proportion z-test, Newcombe's interval"
        }
        .to_owned(),
        baseline: left,
        variant: right,
        difference,
        interval,
        level,
        standard_error: Some((baseline.variance() + variant.variance()).sqrt()),
        reference,
        p_value,
        relative: Relative::delta((left, baseline.variance()), (right, variant.variance()), 0.0, critical),
        paired: false,
        n_baseline: baseline.n,
        n_variant: variant.n,
    }
    .checked()
}

/// The interval of a share by Wilson (1927).
///
/// # Errors
/// A group of nobody, more successes than units, a level outside (0, 1).
pub fn wilson(proportion: Proportion, level: f64) -> Result<Interval, CompareError> {
    check_level(level)?;
    proportion.check()?;
    Ok(wilson_at(proportion, Reference::Normal.critical(1.0 - level)))
}

fn wilson_at(proportion: Proportion, z: f64) -> Interval {
    let (share, n) = (proportion.share(), proportion.n as f64);
    let scale = 1.0 + z * z / n;
    let center = (share + z * z / (2.0 * n)) / scale;
    let half = z / scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    // None or all touches the end exactly, whatever the rounding.
    Interval {
        lower: if proportion.successes == 0 { 0.0 } else { (center - half).max(0.0) },
        upper: if proportion.successes == proportion.n { 1.0 } else { (center + half).min(1.0) },
    }
}
