use serde::{Deserialize, Serialize};

use crate::CompareError;
use crate::distributions::{normal_quantile, student_critical};

/// An interval of confidence; its ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// An interval to both sides of a value.
    pub(crate) fn about(center: f64, half: f64) -> Self {
        Self { lower: center - half, upper: center + half }
    }
}

/// What a comparison of a variant with its baseline comes to. All numbers are finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The test and the interval in words for the reader, such as `paired t-test`.
    pub method: String,
    /// The baseline's value: a mean, a share, a ratio, an area.
    pub baseline: f64,
    /// The variant's value.
    pub variant: f64,
    /// `variant - baseline`.
    pub difference: f64,
    /// Where the true difference lies, with the confidence `level`.
    pub interval: Interval,
    /// The confidence of all intervals here, such as 0.95.
    pub level: f64,
    /// The standard error of the difference; `None` where the values are too few or too equal to tell.
    pub standard_error: Option<f64>,
    /// What the difference divided by its standard error is measured against.
    pub reference: Reference,
    /// The two-sided p-value of the hypothesis that there is no difference.
    pub p_value: f64,
    /// The difference relative to the baseline; `None` where the baseline is 0.
    pub relative: Option<Relative>,
    /// Whether both sides are of the same units.
    pub paired: bool,
    /// The baseline's units.
    pub n_baseline: u64,
    /// The variant's units.
    pub n_variant: u64,
}

/// A difference relative to its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relative {
    /// The difference divided by the absolute value of the baseline: 0.1 is ten per cent more.
    pub lift: f64,
    /// Its standard error by the delta method; 0 where nothing varies.
    pub standard_error: f64,
    /// Where the true lift lies. `None` where the baseline may as well be 0 (its own interval reaches 0): a ratio has
    /// no bounded interval then (Fieller 1954).
    pub interval: Option<Interval>,
}

/// The distribution that a difference divided by its standard error is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The normal distribution.
    Normal,
    /// Student's distribution with so many degrees of freedom.
    Student(f64),
    /// A bound that holds at every look at once, tightest where it was planned to be (see `always_valid`).
    AlwaysValid {
        /// The units seen so far, of both sides.
        n: f64,
        /// The parameter of the mixture: larger is tighter early and wider late.
        rho: f64,
    },
}

impl Reference {
    /// How many standard errors from 0 a difference must be to be significant at the level `alpha`, above 0 and below
    /// 1.
    pub fn critical(self, alpha: f64) -> f64 {
        match self {
            Self::Normal => normal_quantile(1.0 - 0.5 * alpha),
            Self::Student(freedom) => student_critical(alpha, freedom),
            Self::AlwaysValid { n, rho } => {
                let scale = n * rho * rho;
                (2.0 * (scale + 1.0) / scale * ((scale + 1.0).sqrt() / alpha).ln()).sqrt()
            }
        }
    }
}

impl Comparison {
    /// The units that were compared: pairs, or those of both groups together.
    pub fn n(&self) -> u64 {
        if self.paired { self.n_baseline } else { self.n_baseline.saturating_add(self.n_variant) }
    }

    /// The same, when all its numbers are finite.
    pub(crate) fn checked(mut self) -> Result<Self, CompareError> {
        let numbers = [self.baseline, self.variant, self.difference, self.interval.lower, self.interval.upper];
        let relative = self.relative.iter().flat_map(|relative| {
            let Interval { lower, upper } = relative.interval.unwrap_or(Interval::about(0.0, 0.0));
            [relative.lift, relative.standard_error, lower, upper]
        });
        let more = [self.p_value, self.standard_error.unwrap_or(0.0)];
        if !numbers.into_iter().chain(more).chain(relative).all(f64::is_finite) {
            return Err(CompareError::TooLarge);
        }
        self.p_value = self.p_value.clamp(0.0, 1.0);
        Ok(self)
    }
}

impl Relative {
    /// The lift of `variant` over `baseline`, with the variances and the covariance of these two estimates, by the delta
    /// method: of the ratio R = variant / baseline the variance is (var(variant) - 2 R cov + R² var(baseline)) /
    /// baseline². `critical` is how many standard errors the interval reaches to each side.
    pub(crate) fn delta(
        (baseline, baseline_variance): (f64, f64),
        (variant, variant_variance): (f64, f64),
        covariance: f64,
        critical: f64,
    ) -> Option<Self> {
        if baseline == 0.0 {
            return None;
        }
        let ratio = variant / baseline;
        let variance = variant_variance - 2.0 * ratio * covariance + ratio * ratio * baseline_variance;
        let standard_error = variance.max(0.0).sqrt() / baseline.abs();
        let lift = (variant - baseline) / baseline.abs();
        let apart = critical * baseline_variance.max(0.0).sqrt() < baseline.abs();
        Some(Self { lift, standard_error, interval: apart.then(|| Interval::about(lift, critical * standard_error)) })
    }
}
