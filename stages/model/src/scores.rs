//! How good predictions are: figures of merit over pairs (predicted, true), named and defined as in scikit-learn. `None`
//! where one is undefined.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Task};

/// A figure of merit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The area under the ROC curve: the chance that a positive row has a higher probability than a negative one, equal
    /// ones counting half.
    RocAuc,
    /// The precision averaged over the recall gained at each probability, the highest first.
    AveragePrecision,
    /// The mean of `-ln` of the probability given to what is true.
    LogLoss,
    /// The mean squared difference between probability and truth (Brier score).
    Brier,
    /// The share of rows predicted right at the threshold 0.5.
    Accuracy,
    /// The harmonic mean of precision and recall at the threshold 0.5.
    F1,
    /// The root of the mean squared error.
    Rmse,
    /// The mean absolute error.
    Mae,
    /// The share of the variance explained.
    R2,
}

impl Score {
    /// Those of a task, the most telling first.
    pub(crate) fn all(task: Task) -> &'static [Self] {
        match task {
            Task::Classification => {
                &[Self::RocAuc, Self::AveragePrecision, Self::LogLoss, Self::Brier, Self::Accuracy, Self::F1]
            }
            Task::Regression => &[Self::R2, Self::Rmse, Self::Mae],
        }
    }

    /// As parameters and metrics spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RocAuc => "roc_auc",
            Self::AveragePrecision => "average_precision",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
            Self::R2 => "r2",
        }
    }

    /// Which way is better.
    pub(crate) fn goal(self) -> Goal {
        match self {
            Self::LogLoss | Self::Brier | Self::Rmse | Self::Mae => Goal::Minimize,
            Self::RocAuc | Self::AveragePrecision | Self::Accuracy | Self::F1 | Self::R2 => Goal::Maximize,
        }
    }

    /// Over pairs (predicted, true).
    pub(crate) fn of(self, pairs: &[(f64, f64)]) -> Option<f64> {
        match self {
            Self::RocAuc => roc_auc(pairs),
            Self::AveragePrecision => average_precision(pairs),
            Self::LogLoss => log_loss(pairs),
            Self::Brier => mean(pairs, |p, y| (p - y).powi(2)),
            Self::Accuracy => mean(pairs, |p, y| f64::from(u8::from((p >= 0.5) == (y == 1.0)))),
            Self::F1 => f1(pairs),
            Self::Rmse => rmse(pairs),
            Self::Mae => mean(pairs, |p, y| (p - y).abs()).filter(|value| value.is_finite()),
            Self::R2 => r2(pairs),
        }
    }
}

/// The mean of `-ln` of the probability given to what is true, probabilities kept away from 0 and 1 by the smallest
/// step of numbers (2⁻⁵²), as `log_loss`.
pub(crate) fn log_loss(pairs: &[(f64, f64)]) -> Option<f64> {
    let clip = |p: f64| p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    mean(pairs, |p, y| if y == 1.0 { -clip(p).ln() } else { -(1.0 - clip(p)).ln() })
}

/// The root of the mean squared error, as `root_mean_squared_error`.
pub(crate) fn rmse(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs, |p, y| (p - y).powi(2)).map(f64::sqrt).filter(|value| value.is_finite())
}

/// The share of the variance explained, as `r2_score`; undefined where the true values are all equal.
pub(crate) fn r2(pairs: &[(f64, f64)]) -> Option<f64> {
    let center = mean(pairs, |_, y| y)?;
    let total = mean(pairs, |_, y| (y - center).powi(2))?;
    let rest = mean(pairs, |p, y| (p - y).powi(2))?;
    (total > 0.0).then_some(1.0 - rest / total).filter(|value| value.is_finite())
}

/// For each distinct probability, the highest first: it, and how many positive and negative rows have it or more.
pub(crate) fn ladder(pairs: &[(f64, f64)]) -> Vec<(f64, u64, u64)> {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut positives, mut negatives) = (0, 0);
    let step = |rows: &[(f64, f64)]| {
        let positive = rows.iter().filter(|(_, y)| *y == 1.0).count() as u64;
        positives += positive;
        negatives += rows.len() as u64 - positive;
        (rows[0].0, positives, negatives)
    };
    sorted.chunk_by(|a, b| a.0 == b.0).map(step).collect()
}

fn roc_auc(pairs: &[(f64, f64)]) -> Option<f64> {
    let ladder = ladder(pairs);
    let (_, positives, negatives) = *ladder.last()?;
    let (mut below, mut area) = ((0, 0), 0.0);
    for (_, up, right) in ladder {
        area += (right - below.1) as f64 * (up + below.0) as f64 / 2.0;
        below = (up, right);
    }
    (positives > 0 && negatives > 0).then(|| area / positives as f64 / negatives as f64)
}

fn average_precision(pairs: &[(f64, f64)]) -> Option<f64> {
    let ladder = ladder(pairs);
    let positives = ladder.last()?.1;
    let mut before = 0;
    let mut sum = 0.0;
    for (_, up, right) in ladder {
        sum += (up - before) as f64 * (up as f64 / (up + right) as f64);
        before = up;
    }
    (positives > 0).then(|| sum / positives as f64)
}

/// 0 where nothing is predicted or is positive, as `f1_score`.
fn f1(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = |of: &dyn Fn(bool, bool) -> bool| pairs.iter().filter(|(p, y)| of(*p >= 0.5, *y == 1.0)).count() as f64;
    let (hits, wrong) = (count(&|p, y| p && y), count(&|p, y| p != y));
    (!pairs.is_empty()).then(|| if hits == 0.0 { 0.0 } else { 2.0 * hits / (2.0 * hits + wrong) })
}

/// The mean over the pairs, summed in blocks so that many small values are not lost beside a large sum.
fn mean(pairs: &[(f64, f64)], of: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let sum: f64 = pairs.chunks(1024).map(|block| block.iter().map(|(p, y)| of(*p, *y)).sum::<f64>()).sum();
    (!pairs.is_empty()).then(|| sum / pairs.len() as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Score;

    // sklearn.metrics on y = [0, 0, 1, 1, 1, 0], p = [.1, .4, .4, .8, .5, .6]
    #[test]
    fn scores_equal_scikit_learns() {
        let pairs = [(0.1, 0.0), (0.4, 0.0), (0.4, 1.0), (0.8, 1.0), (0.5, 1.0), (0.6, 0.0)];
        for (score, expected) in [
            (Score::RocAuc, 0.722_222_222_222_222_2),
            (Score::AveragePrecision, 0.755_555_555_555_555_5),
            (Score::LogLoss, 0.560_843_055_841_047),
            (Score::Brier, 0.196_666_666_666_666_66),
            (Score::Accuracy, 0.666_666_666_666_666_6),
            (Score::F1, 0.666_666_666_666_666_6),
            (Score::Rmse, 0.443_471_156_521_669_1),
            (Score::Mae, 0.4),
            (Score::R2, 0.213_333_333_333_333_3),
        ] {
            let found = score.of(&pairs).unwrap();
            assert!((found - expected).abs() < 1e-12, "{}: {found} is not {expected}", score.name());
        }
    }

    #[test]
    fn what_cannot_be_told_is_none() {
        assert_eq!(Score::RocAuc.of(&[(0.4, 1.0), (0.6, 1.0)]), None);
        assert_eq!(Score::AveragePrecision.of(&[(0.4, 0.0)]), None);
        assert_eq!(Score::R2.of(&[(0.4, 2.0), (0.4, 2.0)]), None);
        assert_eq!(Score::LogLoss.of(&[]), None);
        // A certain mistake has a finite price.
        assert!((Score::LogLoss.of(&[(0.0, 1.0)]).unwrap() - 36.043_653_389_117_15).abs() < 1e-9);
    }
}
