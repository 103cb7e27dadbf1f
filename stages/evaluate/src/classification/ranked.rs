//! Rows in the order of their probabilities, sorted once: all measures and curves are read off from it.

use crate::sums::Sum;

/// The smallest probability whose logarithm is taken: the distance from 1 to the next double, as in scikit-learn.
const EPSILON: f64 = f64::EPSILON;

/// A distinct probability, and how many rows have at least that one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// The probability.
    pub(crate) score: f64,
    /// How many positive rows have it or more.
    pub(crate) positives: u64,
    /// How many negative rows have it or more.
    pub(crate) negatives: u64,
}

/// The rows of a test, by descending probability.
pub(crate) struct Ranked {
    /// Descending; every probability once.
    pub(crate) steps: Vec<Step>,
    /// How many rows are positive.
    pub(crate) positives: u64,
    /// How many rows are not.
    pub(crate) negatives: u64,
}

/// How many rows were flagged rightly, flagged wrongly, passed over wrongly, and passed over rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confusion {
    pub(crate) true_positives: u64,
    pub(crate) false_positives: u64,
    pub(crate) false_negatives: u64,
    pub(crate) true_negatives: u64,
}

impl Ranked {
    /// From the probabilities of the positive and of the negative rows, each from 0 to 1, in any order.
    pub(crate) fn of(positives: &[f64], negatives: &[f64]) -> Self {
        let (positives, negatives) = rayon::join(|| descending(positives), || descending(negatives));
        let mut steps: Vec<Step> = Vec::new();
        let (mut p, mut n) = (0, 0);
        loop {
            let bits = match (positives.get(p), negatives.get(n)) {
                (Some(a), Some(b)) => *a.max(b),
                (Some(a), None) | (None, Some(a)) => *a,
                (None, None) => break,
            };
            let equal =
                |values: &[u64], from: usize| values.iter().skip(from).take_while(|value| **value == bits).count();
            p += equal(&positives, p);
            n += equal(&negatives, n);
            steps.push(Step { score: f64::from_bits(bits), positives: p as u64, negatives: n as u64 });
        }
        Self { steps, positives: positives.len() as u64, negatives: negatives.len() as u64 }
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> u64 {
        self.positives + self.negatives
    }

    /// The share of positive rows.
    pub(crate) fn base_rate(&self) -> Option<f64> {
        share(self.positives, self.rows())
    }

    /// What comes of flagging the rows whose probability is at least `threshold`.
    pub(crate) fn at(&self, threshold: f64) -> Confusion {
        let flagged = self.steps.partition_point(|step| step.score >= threshold);
        let last = flagged.checked_sub(1).and_then(|last| self.steps.get(last));
        self.confusion(last.map_or(0, |step| step.positives), last.map_or(0, |step| step.negatives))
    }

    /// What comes of flagging so many positive and negative rows.
    pub(crate) fn confusion(&self, positives: u64, negatives: u64) -> Confusion {
        Confusion {
            true_positives: positives,
            false_positives: negatives,
            false_negatives: self.positives - positives,
            true_negatives: self.negatives - negatives,
        }
    }

    /// Each distinct probability, descending, with the number of positive and of negative rows that have just it.
    pub(crate) fn tied(&self) -> impl Iterator<Item = (f64, u64, u64)> {
        let before = std::iter::once((0, 0)).chain(self.steps.iter().map(|step| (step.positives, step.negatives)));
        self.steps.iter().zip(before).map(|(step, (p, n))| (step.score, step.positives - p, step.negatives - n))
    }

    /// The area under the ROC curve: the probability that a positive row has a higher probability than a negative one,
    /// equal ones counted half. Counted in integers, so exact. `None` unless there are rows of both.
    pub(crate) fn auc(&self) -> Option<f64> {
        let mut twice = 0_u128;
        for (step, (_, positives, negatives)) in self.steps.iter().zip(self.tied()) {
            twice += u128::from(negatives) * u128::from(2 * step.positives - positives);
        }
        let pairs = u128::from(self.positives) * u128::from(self.negatives);
        (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
    }

    /// The sum over the distinct probabilities of the recall gained times the precision there. `None` without positive
    /// rows.
    pub(crate) fn average_precision(&self) -> Option<f64> {
        let term = |(step, (_, positives, _)): (&Step, (f64, u64, u64))| {
            positives as f64 * (step.positives as f64 / (step.positives + step.negatives) as f64)
        };
        let sum: Sum = self.steps.iter().zip(self.tied()).map(term).collect();
        (self.positives > 0).then(|| sum.value() / self.positives as f64)
    }

    /// The mean of `-ln` of the probability given to what happened, kept [`EPSILON`] away from 0 and 1.
    pub(crate) fn log_loss(&self) -> Option<f64> {
        self.mean(|score| (surprise(score), surprise(1.0 - score)))
    }

    /// The mean of `(probability - outcome)²`.
    pub(crate) fn brier(&self) -> Option<f64> {
        self.mean(|score| ((1.0 - score) * (1.0 - score), score * score))
    }

    /// The mean of a loss that depends on the probability and on the outcome (positive, negative).
    fn mean(&self, loss: impl Fn(f64) -> (f64, f64)) -> Option<f64> {
        let mut sum = Sum::default();
        for (score, positives, negatives) in self.tied() {
            let (if_positive, if_negative) = loss(score);
            // An outcome that did not occur has no part: its loss may be large, and zero times large is a rounding.
            if positives > 0 {
                sum.add(positives as f64 * if_positive);
            }
            if negatives > 0 {
                sum.add(negatives as f64 * if_negative);
            }
        }
        (self.rows() > 0).then(|| sum.value() / self.rows() as f64)
    }

    /// The threshold with the largest F1, of equal ones the highest, and that F1.
    pub(crate) fn best_f1(&self) -> Option<(f64, f64)> {
        let f1 = |step: &Step| (step.score, self.confusion(step.positives, step.negatives).f1());
        self.steps.iter().map(f1).reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// The q-th quantile of the probabilities, linear between neighbours, as in numpy.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.rows().checked_sub(1)?;
        let place = q * last as f64;
        let below = (place.floor() as u64).min(last);
        let weight = place - below as f64;
        let (a, b) = (self.ascending(below)?, self.ascending((below + 1).min(last))?);
        Some(if weight >= 0.5 { b - (b - a) * (1.0 - weight) } else { a + (b - a) * weight })
    }

    /// The probability of the row at a place, counted from 0 in ascending order.
    fn ascending(&self, place: u64) -> Option<f64> {
        let above = self.rows() - 1 - place;
        let at = self.steps.partition_point(|step| step.positives + step.negatives <= above);
        self.steps.get(at).map(|step| step.score)
    }

    /// The row at a place in descending order, those of equal probability with the positive ones first.
    pub(crate) fn row(&self, place: u64) -> Option<(f64, bool)> {
        let at = self.steps.partition_point(|step| step.positives + step.negatives <= place);
        let step = self.steps.get(at)?;
        let before = at.checked_sub(1).and_then(|before| self.steps.get(before));
        let (positives, negatives) = before.map_or((0, 0), |step| (step.positives, step.negatives));
        Some((step.score, place - positives - negatives < step.positives - positives))
    }
}

impl Confusion {
    pub(crate) fn rows(self) -> u64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    pub(crate) fn flagged(self) -> u64 {
        self.true_positives + self.false_positives
    }

    pub(crate) fn accuracy(self) -> f64 {
        ratio(self.true_positives + self.true_negatives, self.rows())
    }

    /// 0 where nothing is flagged.
    pub(crate) fn precision(self) -> f64 {
        ratio(self.true_positives, self.flagged())
    }

    /// 0 where there is nothing to find.
    pub(crate) fn recall(self) -> f64 {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// 0 where nothing is flagged and there is nothing to find.
    pub(crate) fn f1(self) -> f64 {
        ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    /// The share of the positive rows that are flagged; `None` without positive rows.
    pub(crate) fn true_positive_rate(self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The share of the negative rows that are flagged; `None` without negative rows.
    pub(crate) fn false_positive_rate(self) -> Option<f64> {
        share(self.false_positives, self.false_positives + self.true_negatives)
    }

    /// The same from the other side: what is not flagged as the class to find.
    pub(crate) fn reversed(self) -> Self {
        Self {
            true_positives: self.true_negatives,
            false_positives: self.false_negatives,
            false_negatives: self.false_positives,
            true_negatives: self.true_positives,
        }
    }
}

/// A share; `None` of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn ratio(part: u64, whole: u64) -> f64 {
    share(part, whole).unwrap_or(0.0)
}

/// `-ln` of a probability that is kept from [`EPSILON`] to `1 - EPSILON`.
pub(crate) fn surprise(probability: f64) -> f64 {
    -probability.clamp(EPSILON, 1.0 - EPSILON).ln()
}

/// Numbers from 0 to 1 sort as their bits do, and integers sort faster.
fn descending(scores: &[f64]) -> Vec<u64> {
    // Adding zero turns -0 into 0.
    let mut bits: Vec<u64> = scores.iter().map(|score| (score + 0.0).to_bits()).collect();
    bits.sort_unstable_by(|a, b| b.cmp(a));
    bits
}
