//! The curves of a classifier, thinned out for the eye: at most 200 points, with the area they had.

use super::ranked::{Confusion, Ranked, Step, share};

/// How many points a curve keeps.
const POINTS: usize = 200;

/// The steps of the ROC curve at which it turns, `None` being its start at (0, 0). Beyond 200 they are thinned out at
/// equal distances along the curve, so that both its steep and its flat part keep their shape.
pub(crate) fn roc(ranked: &Ranked) -> Vec<Option<Step>> {
    let mut turns: Vec<Option<Step>> = vec![None];
    for (at, step) in ranked.steps.iter().enumerate() {
        let next = ranked.steps.get(at + 1);
        let before = turns.last().copied().flatten().map_or((0, 0), |step| (step.positives, step.negatives));
        let straight = next.is_some_and(|next| {
            let rise = |from: u64, to: u64| u128::from(to - from);
            rise(before.0, step.positives) * rise(step.negatives, next.negatives)
                == rise(before.1, step.negatives) * rise(step.positives, next.positives)
        });
        if !straight {
            turns.push(Some(*step));
        }
    }
    let length = |step: &Option<Step>| {
        step.map_or(0.0, |step| {
            let along = |part: u64, whole: u64| share(part, whole).unwrap_or(0.0);
            along(step.positives, ranked.positives) + along(step.negatives, ranked.negatives)
        })
    };
    thin(turns, length)
}

/// The steps of the precision-recall curve at which recall grows, from high probabilities to low ones. Beyond 200 they
/// are thinned out at equal distances of recall.
pub(crate) fn precision_recall(ranked: &Ranked) -> Vec<Step> {
    let mut found = 0;
    let mut grown = Vec::new();
    for step in &ranked.steps {
        if step.positives > found {
            found = step.positives;
            grown.push(*step);
        }
    }
    thin(grown, |step| step.positives as f64)
}

/// At most [`POINTS`] of the points, evenly along `place`, which ascends; the first and the last stay.
fn thin<T>(points: Vec<T>, place: impl Fn(&T) -> f64) -> Vec<T> {
    let Some((first, last)) = points.first().map(&place).zip(points.last().map(&place)) else { return points };
    if points.len() <= POINTS {
        return points;
    }
    let count = points.len();
    let stride = (last - first) / (POINTS - 1) as f64;
    let mut kept: Vec<T> = Vec::with_capacity(POINTS);
    for (at, point) in points.into_iter().enumerate() {
        // The last slot is for the last point.
        let due = kept.len() < POINTS - 1 && place(&point) >= first + stride * kept.len() as f64;
        if due || at + 1 == count {
            kept.push(point);
        }
    }
    kept
}

/// What comes of flagging at the thresholds 0, 0.01, … 1.
pub(crate) fn thresholds(ranked: &Ranked) -> Vec<(f64, Confusion)> {
    (0..=100).map(|percent| f64::from(percent) / 100.0).map(|threshold| (threshold, ranked.at(threshold))).collect()
}

/// The rows whose probability lies between two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bin {
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) positives: u64,
    pub(crate) negatives: u64,
    /// The sum of their probabilities.
    pub(crate) total: f64,
}

impl Bin {
    pub(crate) fn rows(&self) -> u64 {
        self.positives + self.negatives
    }

    pub(crate) fn mean_probability(&self) -> Option<f64> {
        (self.rows() > 0).then(|| self.total / self.rows() as f64)
    }
}

/// The rows by bins with these edges, which ascend. As in scikit-learn's `calibration_curve`, a row on an edge within
/// is in the bin below it.
pub(crate) fn bins(ranked: &Ranked, edges: &[f64]) -> Vec<Bin> {
    let mut bins: Vec<Bin> = edges
        .windows(2)
        .filter_map(|pair| pair.first().zip(pair.last()))
        .map(|(lower, upper)| Bin { lower: *lower, upper: *upper, positives: 0, negatives: 0, total: 0.0 })
        .collect();
    let within = edges.get(1..edges.len().saturating_sub(1)).unwrap_or(&[]);
    for (score, positives, negatives) in ranked.tied() {
        if let Some(bin) = bins.get_mut(within.partition_point(|edge| *edge < score)) {
            bin.positives += positives;
            bin.negatives += negatives;
            bin.total += score * (positives + negatives) as f64;
        }
    }
    bins
}

/// The edges of bins of equal width from 0 to 1.
pub(crate) fn uniform(bins: usize) -> Vec<f64> {
    let width = 1.0 / bins as f64;
    (0..=bins).map(|edge| if edge == bins { 1.0 } else { edge as f64 * width }).collect()
}

/// The edges of bins with about equally many rows.
pub(crate) fn quantiles(ranked: &Ranked, bins: usize) -> Vec<f64> {
    // By way of percent, as numpy does, for the same last digit.
    uniform(bins).into_iter().filter_map(|edge| ranked.quantile(edge * 100.0 / 100.0)).collect()
}
