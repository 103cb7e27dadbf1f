//! Gradient boosting of trees grown over histograms (Friedman 2001; Ke et al. 2017, LightGBM).
//!
//! Gradients are summed as whole numbers, so that a result depends neither on the number of threads nor on the order of
//! rows, and the histogram of a sibling is exactly its parent's less the other's.

mod grow;
mod sums;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bins::Bins;
use crate::linear_predictor::{Link, logistic};
use crate::matrix::Matrix;
use crate::tree::{Tree, Walk};
use grow::{CHUNK, Grower, Grown};
pub(crate) use sums::MAX_ROWS;
use sums::{Scale, Sums};

/// Squares of larger targets, summed over rows, might leave the range of numbers.
pub(crate) const LARGEST: f64 = 1e100;

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
    pub(crate) matrix: &'a Matrix,
    pub(crate) target: &'a [f64],
    /// Learning ends when none of so many trees lowered the loss by more than `tol`.
    pub(crate) n_iter_no_change: usize,
    pub(crate) tol: f64,
}

/// What boosting has learned: a sum over trees and what follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boosting {
    /// What becomes of the sum.
    pub(crate) link: Link,
    /// The sum before any tree.
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

/// Learns from a matrix with at least one row and a finite target, at most [`LARGEST`] in size. `check` is called before each tree with the number
/// of trees so far and may end the fit.
pub(crate) fn fit<E>(
    matrix: &Matrix,
    target: &[f64],
    loss: Loss,
    limits: &Limits,
    validation: Option<&Validation<'_>>,
    check: impl Fn(usize) -> Result<(), E>,
) -> Result<Fit, E> {
    let baseline = loss.baseline(target);
    let mut boosting = Boosting { link: loss.link(), baseline, trees: Vec::new() };
    let mut gains = vec![0.0; matrix.width()];
    let mut watch = validation.map(|validation| Watch::new(validation, loss, baseline));
    check(0)?;
    let bins = Bins::of(matrix, limits.max_bins);
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
    /// A probability or a number for each row.
    pub(crate) fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        let columns = matrix.columns();
        let walks: Vec<Walk> = self.trees.iter().map(Tree::walk).collect();
        let mut scores = vec![self.baseline; matrix.rows()];
        // Tree by tree over a few rows, so that both stay in the cache.
        scores.par_chunks_mut(BLOCK).enumerate().for_each(|(block, scores)| {
            for tree in &walks {
                for (row, score) in (block * BLOCK..).zip(scores.iter_mut()) {
                    *score += tree.predict(|feature| columns[feature][row]);
                }
            }
            if self.link == Link::Logit {
                scores.iter_mut().for_each(|score| *score = logistic(*score));
            }
        });
        scores
    }

    /// Whether it can predict for a matrix of so many columns; see [`Tree::is_sound`].
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

impl Loss {
    fn link(self) -> Link {
        match self {
            Self::Log => Link::Logit,
            Self::Squared => Link::Identity,
        }
    }

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
                    let probability = logistic(*score);
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
        let columns = self.validation.matrix.columns();
        self.scores
            .par_iter_mut()
            .with_min_len(1024)
            .enumerate()
            .for_each(|(row, score)| *score += tree.predict(|feature| columns[feature][row]));
        self.losses.push(self.mean_loss());
    }

    fn mean_loss(&self) -> f64 {
        let losses =
            self.scores.iter().zip(self.validation.target).map(|(score, target)| self.loss.of(*score, *target));
        losses.sum::<f64>() / self.scores.len() as f64
    }

    /// Whether none of the last trees was worth it.
    fn is_over(&self) -> bool {
        let patience = self.validation.n_iter_no_change;
        let Some(reference) = self.losses.len().checked_sub(patience + 1) else { return false };
        self.losses[reference + 1..].iter().all(|loss| *loss >= self.losses[reference] - self.validation.tol)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::scores::{log_loss, rmse};
    use crate::testing::{Data, auc, data};

    const LIMITS: Limits = Limits {
        max_iter: 100,
        learning_rate: 0.1,
        max_leaf_nodes: 31,
        max_depth: None,
        min_samples_leaf: 20,
        l2_regularization: 0.0,
        max_bins: 255,
    };

    fn learn(data: &Data, loss: Loss, limits: &Limits) -> Fit {
        let target = if loss == Loss::Log { &data.class } else { &data.number };
        fit(&data.matrix, target, loss, limits, None, |_| Ok::<(), ()>(())).unwrap()
    }

    fn judge(predicted: &[f64], class: &[f64]) -> (f64, f64) {
        let pairs: Vec<(f64, f64)> = predicted.iter().copied().zip(class.iter().copied()).collect();
        (auc(predicted, class), log_loss(&pairs).unwrap())
    }

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    // The reference numbers are of scikit-learn 1.6.0 with early_stopping=False, on `testing::data(20000)`, of which the
    // first 15,000 rows are learned from.

    #[test]
    fn it_is_as_good_as_scikit_learns_classifier() {
        let (train, test) = data(20_000).split(15_000);
        let (auc, loss) = judge(&learn(&train, Loss::Log, &LIMITS).boosting.predict(&test.matrix), &test.class);
        near(auc, 0.8413124, 0.001);
        near(loss, 0.4847974, 0.001);
        // max_iter=30, learning_rate=.3, max_leaf_nodes=8, max_depth=4, l2_regularization=5, max_bins=32,
        // min_samples_leaf=50
        let limits = Limits {
            max_iter: 30,
            learning_rate: 0.3,
            max_leaf_nodes: 8,
            max_depth: Some(4),
            min_samples_leaf: 50,
            l2_regularization: 5.0,
            max_bins: 32,
        };
        let fit = learn(&train, Loss::Log, &limits);
        assert!(fit.boosting.trees.iter().all(|tree| tree.leaves() <= 8));
        let (auc, loss) = judge(&fit.boosting.predict(&test.matrix), &test.class);
        near(auc, 0.8374359, 0.001);
        near(loss, 0.4971909, 0.001);
    }

    #[test]
    fn it_is_as_good_as_scikit_learns_regressor() {
        let (train, test) = data(20_000).split(15_000);
        let predicted = learn(&train, Loss::Squared, &LIMITS).boosting.predict(&test.matrix);
        let pairs: Vec<(f64, f64)> = predicted.into_iter().zip(test.number).collect();
        near(rmse(&pairs).unwrap(), 0.4343397, 0.001);
    }

    #[test]
    fn the_order_of_rows_and_the_number_of_threads_do_not_matter() {
        let data = data(3000);
        let limits = Limits { max_iter: 10, ..LIMITS };
        let fits = |loss| {
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let three = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let shuffled = data.select((0..3000).map(|row| row * 1009 % 3000));
            [
                one.install(|| learn(&data, loss, &limits).boosting),
                three.install(|| learn(&data, loss, &limits).boosting),
                three.install(|| learn(&shuffled, loss, &limits).boosting),
            ]
        };
        for loss in [Loss::Log, Loss::Squared] {
            let [one, three, shuffled] = fits(loss);
            assert_eq!(one, three);
            assert_eq!(one, shuffled);
        }
    }

    #[test]
    fn early_stopping_ends_when_nothing_is_learned_any_more() {
        let (train, test) = data(4000).split(3000);
        let validation = Validation { matrix: &test.matrix, target: &test.class, n_iter_no_change: 5, tol: 1e-7 };
        let limits = Limits { max_iter: 1000, learning_rate: 0.3, ..LIMITS };
        let fit =
            fit(&train.matrix, &train.class, Loss::Log, &limits, Some(&validation), |_| Ok::<(), ()>(())).unwrap();
        let losses = fit.validation;
        assert_eq!(losses.len(), fit.boosting.trees.len() + 1);
        let (last, before) = (&losses[losses.len() - 5..], losses[losses.len() - 6]);
        assert!(losses.len() < 100 && last.iter().all(|loss| *loss >= before - 1e-7), "{losses:?}");
        let (_, loss) = judge(&fit.boosting.predict(&test.matrix), &test.class);
        near(loss, *losses.last().unwrap(), 1e-12);
    }

    #[test]
    fn a_missing_value_goes_where_it_fits() {
        // Missing and large are alike; -1 is not.
        let column: Vec<f64> = (0..200).map(|row| [f64::NAN, -1.0, 1.0, -1.0][row % 4]).collect();
        let class: Vec<f64> = column.iter().map(|value| f64::from(value.is_nan() || *value > 0.0)).collect();
        let matrix = Matrix::new(vec![column], 200);
        let fit = fit(&matrix, &class, Loss::Log, &LIMITS, None, |_| Ok::<(), ()>(())).unwrap();
        assert!(fit.boosting.trees[0].cut(0).is_some_and(|cut| !cut.missing_left && cut.threshold == 0.0));
        let known = Matrix::new(vec![vec![f64::NAN, -5.0, 5.0]], 3);
        let predicted = fit.boosting.predict(&known);
        assert!(predicted[0] > 0.99 && predicted[1] < 0.01 && predicted[0] == predicted[2], "{predicted:?}");
    }

    #[test]
    fn where_there_is_nothing_to_learn_the_average_is_predicted() {
        let constant = Matrix::new(vec![vec![1.0; 100], vec![f64::NAN; 100]], 100);
        let target: Vec<f64> = (0..100).map(|row| f64::from(row % 4 == 0)).collect();
        for (loss, expected) in [(Loss::Log, 0.25), (Loss::Squared, 0.25)] {
            let fit = fit(&constant, &target, loss, &LIMITS, None, |_| Ok::<(), ()>(())).unwrap();
            assert_eq!(fit.gains, [0.0, 0.0]);
            fit.boosting.predict(&constant).into_iter().for_each(|value| near(value, expected, 1e-12));
        }
        let huge = [LARGEST, -LARGEST, LARGEST / 2.0, 0.0].repeat(25);
        let column = (0..100).map(|row| f64::from(row % 4)).collect();
        let matrix = Matrix::new(vec![column], 100);
        let fit = fit(&matrix, &huge, Loss::Squared, &LIMITS, None, |_| Ok::<(), ()>(())).unwrap();
        near(fit.boosting.predict(&matrix)[0] / LARGEST, 1.0, 1e-4);
        assert!(fit.gains[0].is_finite() && fit.boosting.is_sound(1));
    }
}
