use serde::{Deserialize, Serialize};

use crate::distributions::{normal_quantile, normal_two_sided};
use crate::error::{check_finite, check_level};
use crate::sample::{Sample, differences, mean};
use crate::{CompareError, Comparison, Interval, Reference, Relative};

/// An area under the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auc {
    /// The probability that a positive unit has a higher score than a negative one, equal scores counting half.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Where the true area lies.
    pub interval: Interval,
}

/// The area under the ROC curve of one score, with the variance of DeLong, DeLong and Clarke-Pearson (1988). The
/// interval is symmetric about the logit of the area, so it stays within 0 and 1; where nothing varies (all pairs are in
/// order, or none) it is the value alone.
///
/// # Errors
/// Sides of different lengths, a score that is not finite, fewer than two units of a class, a level outside (0, 1).
pub fn auc(labels: &[bool], scores: &[f64], level: f64) -> Result<Auc, CompareError> {
    check_level(level)?;
    let placements = Placements::of(labels, scores)?;
    let value = placements.area();
    let standard_error = placements.variance().sqrt();
    let interval = if value <= 0.0 || value >= 1.0 || standard_error == 0.0 {
        Interval { lower: value, upper: value }
    } else {
        let z = normal_quantile(f64::midpoint(1.0, level));
        let logit = (value / (1.0 - value)).ln();
        let half = z * standard_error / (value * (1.0 - value));
        let area = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        Interval { lower: area(logit - half), upper: area(logit + half) }
    };
    Ok(Auc { value, standard_error, interval })
}

/// Compares the areas under the ROC curves of two scores of the same units by the paired test of DeLong, DeLong and
/// Clarke-Pearson (1988), from midranks as Sun and Xu (2014) found, which takes n log n steps. The interval is normal.
/// Scores that order all units alike have a difference of 0 with a p-value of 1.
///
/// # Errors
/// As of [`auc`]; areas that differ though neither varies.
pub fn delong(labels: &[bool], baseline: &[f64], variant: &[f64], level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    let (left, right) = (Placements::of(labels, baseline)?, Placements::of(labels, variant)?);
    let both = Placements {
        positive: differences(&left.positive, &right.positive),
        negative: differences(&left.negative, &right.negative),
    };
    let difference = both.area();
    let variance = both.variance();
    if variance == 0.0 && difference != 0.0 {
        return Err(CompareError::NoVariance);
    }
    let standard_error = variance.sqrt();
    let reference = Reference::Normal;
    let critical = reference.critical(1.0 - level);
    // The variance of a difference holds the covariance.
    let (left_variance, right_variance) = (left.variance(), right.variance());
    let covariance = 0.5 * (left_variance + right_variance - variance);
    Comparison {
        method: "DeLong's test of paired areas under the ROC curve".to_owned(),
        baseline: left.area(),
        variant: right.area(),
        difference,
        interval: Interval::about(difference, critical * standard_error),
        level,
        standard_error: Some(standard_error),
        reference,
        p_value: if variance == 0.0 { 1.0 } else { normal_two_sided(difference / standard_error) },
        relative: Relative::delta((left.area(), left_variance), (right.area(), right_variance), covariance, critical),
        paired: true,
        n_baseline: labels.len() as u64,
        n_variant: labels.len() as u64,
    }
    .checked()
}

/// The linearised values of the area under the ROC curve, unit by unit: their mean is the area, and their variance is
/// that of DeLong, DeLong and Clarke-Pearson (1988). Added up by customer, say, they compare areas where the units of
/// one customer are not independent (Obuchowski 1997).
///
/// # Errors
/// As of [`auc`].
pub fn auc_values(labels: &[bool], scores: &[f64]) -> Result<Vec<f64>, CompareError> {
    let placements = Placements::of(labels, scores)?;
    let area = placements.area();
    let units = labels.len() as f64;
    let scale = |of_class: &[f64]| units / of_class.len() as f64;
    let scales = [scale(&placements.negative), scale(&placements.positive)];
    let (mut negative, mut positive) = (placements.negative.iter(), placements.positive.iter());
    Ok(labels
        .iter()
        .map(|label| {
            let placement = if *label { positive.next() } else { negative.next() };
            area + (placement.copied().unwrap_or(area) - area) * scales[usize::from(*label)]
        })
        .collect())
}

/// For each unit of a class, the share of the other class that it is on the right side of.
struct Placements {
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl Placements {
    fn of(labels: &[bool], scores: &[f64]) -> Result<Self, CompareError> {
        if labels.len() != scores.len() {
            return Err(CompareError::Lengths { left: labels.len(), right: scores.len() });
        }
        check_finite(scores)?;
        let of_class = |class: bool| -> Vec<f64> {
            labels.iter().zip(scores).filter(|(label, _)| **label == class).map(|(_, score)| *score).collect()
        };
        let (positive, negative) = (of_class(true), of_class(false));
        if positive.len() < 2 || negative.len() < 2 {
            let (positive, negative) = (positive.len() as u64, negative.len() as u64);
            return Err(CompareError::OneClass { positive, negative });
        }
        // A rank among all less the rank among one's own class counts those of the other class below.
        let all: Vec<f64> = positive.iter().chain(&negative).copied().collect();
        let among_all = midranks(&all);
        let (positive_ranks, negative_ranks) = among_all.split_at(positive.len());
        let share = |among_all: &[f64], among_own: &[f64], others: usize| -> Vec<f64> {
            among_all.iter().zip(among_own).map(|(all, own)| (all - own) / others as f64).collect()
        };
        let above = share(positive_ranks, &midranks(&positive), negative.len());
        let below = share(negative_ranks, &midranks(&negative), positive.len());
        Ok(Self { positive: above, negative: below.into_iter().map(|share| 1.0 - share).collect() })
    }

    fn area(&self) -> f64 {
        mean(&self.positive)
    }

    fn variance(&self) -> f64 {
        Sample::of(&self.positive).of_mean() + Sample::of(&self.negative).of_mean()
    }
}

/// Ranks from 1 on; equal values share the mean of theirs.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    // `==` and not the total order: 0 and -0 are equal scores.
    for tied in order.chunk_by(|left, right| left.0 == right.0) {
        let rank = before as f64 + f64::midpoint(1.0, tied.len() as f64);
        for (_, index) in tied {
            if let Some(place) = ranks.get_mut(*index) {
                *place = rank;
            }
        }
        before += tied.len();
    }
    ranks
}
