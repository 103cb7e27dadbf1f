//! Gradient boosting of trees grown over histograms (Friedman 2001; Ke et al. 2017, LightGBM).
//!
//! Gradients are summed as whole numbers, so that a result depends neither on the number of threads nor on the order of
//! rows, and the histogram of a sibling is exactly its parent's less the other's.

mod grow;
mod sums;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bins::Bins;
use crate::tree::Tree;
use grow::{CHUNK, Grower, Grown};
pub(crate) use sums::MAX_ROWS;
use sums::{Scale, Sums};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Log loss of targets 0 and 1; predictions are log odds.
    Log,
    /// Half the squared error.
    Squared,
}

/// How far to go.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_iter: usize,
    pub(crate) learning_rate: f64,
    pub(crate) max_leaf_nodes: usize,
    pub(crate) max_depth: Option<usize>,
    pub(crate) min_samples_leaf: usize,
    pub(crate) l2_regularization: f64,
    pub(crate) max_bins: usize,
}

/// Rows that are not learned from, by whose loss learning ends.
pub(crate) struct Validation<'a> {
    pub(crate) columns: &'a [&'a [f64]],
    pub(crate) target: &'a [f64],
    /// Learning ends when none of so many trees lowered the loss by more than `tol`.
    pub(crate) n_iter_no_change: usize,
    pub(crate) tol: f64,
}

/// What boosting learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Boosting {
    /// The prediction before any tree.
    pub(crate) baseline: f64,
    /// The trees, whose values add up.
    pub(crate) trees: Vec<Tree>,
}

/// What came out of [`fit`].
pub(crate) struct Fit {
    pub(crate) boosting: Boosting,
    /// By how much the splits of each feature lowered the loss in sum.
    pub(crate) gains: Vec<f64>,
    /// The mean loss of the validation rows, before the first tree and after each.
    pub(crate) validation: Vec<f64>,
}

/// Learns from columns in which NaN is missing, and a finite target. `check` is called before each tree with the number
/// of trees so far and may end the fit.
pub(crate) fn fit<E>(
    columns: &[&[f64]],
    target: &[f64],
    loss: Loss,
    limits: &Limits,
    validation: Option<&Validation<'_>>,
    check: impl Fn(usize) -> Result<(), E>,
) -> Result<Fit, E> {
    let baseline = loss.baseline(target);
    let mut boosting = Boosting { baseline, trees: Vec::new() };
    let mut gains = vec![0.0; columns.len()];
    let mut watch = validation.map(|validation| Watch::new(validation, loss, baseline));
    check(0)?;
    let bins = Bins::of(columns, limits.max_bins);
    let grower = Grower { bins: &bins, limits };
    let mut scores = vec![baseline; target.len()];
    let mut row_sums = vec![Sums::default(); target.len()];
    while boosting.trees.len() < limits.max_iter {
        check(boosting.trees.len())?;
        let Some(scale) = loss.derive(&scores, target, &mut row_sums) else { break };
        let grown = grower.grow(&row_sums, scale);
        advance(&mut scores, &grown);
        for (feature, gain) in &grown.gains {
            gains[*feature] += gain;
        }
        let only_a_leaf = grown.gains.is_empty();
        if let Some(watch) = &mut watch {
            watch.add(&grown.tree);
        }
        boosting.trees.push(grown.tree);
        if only_a_leaf || watch.as_ref().is_some_and(Watch::is_over) {
            break;
        }
    }
    Ok(Fit { boosting, gains, validation: watch.map_or_else(Vec::new, |watch| watch.losses) })
}

impl Boosting {
    /// The prediction for each row: log odds or a number.
    pub(crate) fn predict(&self, columns: &[&[f64]]) -> Vec<f64> {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut scores = vec![self.baseline; rows];
        // Tree by tree over a few rows, so that both stay in the cache.
        scores.par_chunks_mut(BLOCK).enumerate().for_each(|(block, scores)| {
            for tree in &self.trees {
                for (row, score) in (block * BLOCK..).zip(scores.iter_mut()) {
                    *score += tree.predict(|feature| columns[feature][row]);
                }
            }
        });
        scores
    }

    /// See [`Tree::is_sound`].
    pub(crate) fn is_sound(&self, features: usize) -> bool {
        self.baseline.is_finite() && self.trees.iter().all(|tree| tree.is_sound(features))
    }
}

/// How many rows are predicted at a time.
const BLOCK: usize = 256;

/// Adds each leaf's value to the scores of its rows.
fn advance(scores: &mut [f64], grown: &Grown) {
    scores.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, scores)| {
        let start = (chunk * CHUNK) as u32;
        let end = start + scores.len() as u32;
        for (range, value) in &grown.leaves {
            let rows = &grown.rows[range.clone()];
            let from = rows.partition_point(|row| *row < start);
            for row in rows[from..].iter().take_while(|row| **row < end) {
                scores[(row - start) as usize] += value;
            }
        }
    });
}

/// The probability of log odds.
pub(crate) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

impl Loss {
    /// The one prediction that is best for all rows.
    fn baseline(self, target: &[f64]) -> f64 {
        match self {
            Self::Log => {
                let positive = target.iter().filter(|target| **target > 0.5).count() as f64;
                (positive / (target.len() as f64 - positive)).ln()
            }
            Self::Squared => exact_mean(target),
        }
    }

    /// The loss of one row.
    fn of(self, score: f64, target: f64) -> f64 {
        match self {
            Self::Log => {
                let against = if target > 0.5 { -score } else { score };
                against.max(0.0) + (-against.abs()).exp().ln_1p()
            }
            Self::Squared => (score - target) * (score - target) / 2.0,
        }
    }

    /// First and second derivatives of the loss at the scores; `None` when there is nothing to gain any more.
    fn derive(self, scores: &[f64], target: &[f64], row_sums: &mut [Sums]) -> Option<Scale> {
        let rows = row_sums.par_iter_mut().with_min_len(CHUNK).zip(scores.par_iter().zip(target));
        match self {
            Self::Log => {
                let scale = Scale::new(scores.len(), 1.0, 0.25);
                rows.for_each(|(sums, (score, target))| {
                    let probability = probability(*score);
                    *sums = scale.row(probability - target, probability * (1.0 - probability));
                });
                Some(scale)
            }
            Self::Squared => {
                let largest = scores
                    .par_iter()
                    .zip(target)
                    .with_min_len(CHUNK)
                    .map(|(score, target)| (score - target).abs())
                    .reduce(|| 0.0, f64::max);
                if largest < f64::MIN_POSITIVE * 1e20 {
                    return None;
                }
                let scale = Scale::new(scores.len(), largest, 1.0);
                rows.for_each(|(sums, (score, target))| *sums = scale.row(score - target, 1.0));
                Some(scale)
            }
        }
    }
}

/// The mean, whatever the order of the values.
fn exact_mean(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 || values.is_empty() {
        return 0.0;
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let unit = 2f64.powi(62);
    let sum: i128 = values.iter().map(|value| ((value / largest - low / largest) * unit) as i128).sum();
    low + (sum as f64 / unit) / values.len() as f64 * largest
}

/// Follows the loss of validation rows.
struct Watch<'a> {
    validation: &'a Validation<'a>,
    loss: Loss,
    scores: Vec<f64>,
    losses: Vec<f64>,
}

impl<'a> Watch<'a> {
    fn new(validation: &'a Validation<'a>, loss: Loss, baseline: f64) -> Self {
        let mut watch = Self { validation, loss, scores: vec![baseline; validation.target.len()], losses: Vec::new() };
        watch.losses.push(watch.mean_loss());
        watch
    }

    fn add(&mut self, tree: &Tree) {
        let columns = self.validation.columns;
        self.scores
            .par_iter_mut()
            .with_min_len(1024)
            .enumerate()
            .for_each(|(row, score)| *score += tree.predict(|feature| columns[feature][row]));
        self.losses.push(self.mean_loss());
    }

    fn mean_loss(&self) -> f64 {
        let losses = self.scores.iter().zip(self.validation.target).map(|(score, target)| self.loss.of(*score, *target));
        losses.sum::<f64>() / self.scores.len() as f64
    }

    /// Whether none of the last trees was worth it.
    fn is_over(&self) -> bool {
        let patience = self.validation.n_iter_no_change;
        let Some(reference) = self.losses.len().checked_sub(patience + 1) else { return false };
        self.losses[reference + 1..].iter().all(|loss| *loss >= self.losses[reference] - self.validation.tol)
    }
}
