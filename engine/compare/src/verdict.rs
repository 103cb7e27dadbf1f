use std::fmt;

use serde::{Deserialize, Serialize};

use crate::distributions::normal_quantile;
use crate::error::{check, check_level};
use crate::power::whole;
use crate::{CompareError, Comparison};

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Higher is better.
    #[default]
    Maximize,
    /// Lower is better.
    Minimize,
}

/// What follows from a comparison, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The variant is better than the baseline.
    Better,
    /// The variant is worse than the baseline.
    Worse,
    /// No difference was shown, though one that matters would most likely have been.
    NoDifference,
    /// No difference was shown, and one that matters might well not have been.
    Underpowered,
    /// Nothing follows, for the reason that is given.
    Invalid,
}

impl Verdict {
    /// For the reader.
    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference shown",
            Self::Underpowered => "underpowered",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.words())
    }
}

/// By what a verdict is given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The confidence, such as 0.95: an adjusted p-value of at most 1 - level is significant.
    pub level: f64,
    /// The smallest difference that matters, relative to the baseline: 0.05 is five per cent.
    pub minimum_effect: f64,
    /// The probability with which a difference that matters should have been shown.
    pub power: f64,
    /// How many tests share the level: what can be detected is what can be at 1 - level divided by it, as the first step
    /// of Holm demands. 1 without a correction.
    pub tests: u64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { level: 0.95, minimum_effect: 0.05, power: 0.8, tests: 1 }
    }
}

/// A verdict, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a clause for the reader.
    pub reason: String,
    /// The smallest true difference that would have been significant with the rule's power; `None` where the comparison
    /// has no standard error.
    pub detectable: Option<f64>,
    /// The same relative to the baseline; `None` where that is 0, too.
    pub detectable_relative: Option<f64>,
    /// How many units (pairs, or of both groups in the same shares) it would take to detect the smallest difference that
    /// matters.
    pub needed: Option<u64>,
}

impl Judgement {
    /// That nothing follows, and why.
    pub fn invalid(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { verdict: Verdict::Invalid, reason, detectable: None, detectable_relative: None, needed: None }
    }
}

/// Judges a comparison by its p-value as [`adjust`](crate::adjust) gave it back. Where that is at most 1 - level the
/// variant is better or worse, and in no other case; the verdict never contradicts it. Otherwise no difference was
/// shown: *underpowered* where even a difference as large as the smallest that matters would have been missed more often
/// than the rule allows (or nothing tells), *no difference shown* where not. With a baseline of 0 there is no relative
/// difference, and nothing is underpowered.
///
/// What is detectable follows from the standard error: that many of them which make a difference significant, and those
/// that its own scatter takes at the rule's power. It shrinks with the root of the number of units, which gives the
/// number needed.
///
/// # Errors
/// A p-value outside 0 to 1; a rule with a level or power outside (0, 1), a minimum effect that is not above 0, or no
/// tests.
pub fn judge(comparison: &Comparison, p_adjusted: f64, goal: Goal, rule: Rule) -> Result<Judgement, CompareError> {
    check_level(rule.level)?;
    check("p-value", p_adjusted, (0.0..=1.0).contains(&p_adjusted), "between 0 and 1")?;
    check("power", rule.power, (0.5..1.0).contains(&rule.power), "at least 0.5 and below 1")?;
    let effect = rule.minimum_effect;
    check("minimum effect", effect, effect > 0.0 && effect.is_finite(), "above 0")?;
    check("number of tests", rule.tests as f64, rule.tests >= 1, "at least 1")?;

    let alpha = 1.0 - rule.level;
    let critical = comparison.reference.critical(alpha / rule.tests as f64);
    let detectable = comparison.standard_error.map(|error| (critical + normal_quantile(rule.power)) * error);
    let base = comparison.baseline.abs();
    let detectable_relative = detectable.filter(|_| base > 0.0).map(|detectable| detectable / base);
    // Rounding has no part in a difference's being exactly as large as matters.
    let times = detectable_relative.map(|detectable| (detectable / effect).powi(2));
    let needed = times.and_then(|times| whole(comparison.n() as f64 * times).ok());

    let better = (comparison.difference > 0.0) == (goal == Goal::Maximize);
    let (verdict, reason) = if p_adjusted <= alpha && comparison.difference != 0.0 {
        let verdict = if better { Verdict::Better } else { Verdict::Worse };
        (verdict, format!("p = {} is significant at {}", short(p_adjusted), short(alpha)))
    } else {
        match detectable_relative {
            Some(detectable) if detectable > effect => (
                Verdict::Underpowered,
                format!(
                    "only a difference of {} % would be seen, {} % matters",
                    short(detectable * 100.0),
                    short(effect * 100.0)
                ),
            ),
            None if comparison.standard_error.is_none() => {
                (Verdict::Underpowered, "nothing tells how much the difference varies".to_owned())
            }
            _ => (Verdict::NoDifference, format!("p = {} is not significant at {}", short(p_adjusted), short(alpha))),
        }
    };
    Ok(Judgement { verdict, reason, detectable, detectable_relative, needed })
}

/// A number with three digits that count.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value < 0.0001 {
        return format!("{value:.1e}");
    }
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
