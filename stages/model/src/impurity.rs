//! How mixed the targets of a node are, and sums of targets that come out the same in any order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::Task;

/// What a split of a tree is to lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The Gini impurity: how often two rows drawn from a node (with replacement) differ in class.
    #[default]
    Gini,
    /// The entropy of the classes in bits.
    Entropy,
    /// The variance of the target: a regression.
    SquaredError,
}

impl Criterion {
    /// What a tree that lowers it predicts.
    pub(crate) fn task(self) -> Task {
        match self {
            Self::Gini | Self::Entropy => Task::Classification,
            Self::SquaredError => Task::Regression,
        }
    }
}

/// Targets as whole numbers, which sum up to the same in any order: 0 and 1 of a classification; of a regression the
/// distance from the middle of the range, in units that let the sum over all rows fit.
pub(crate) struct Targets {
    pub(crate) criterion: Criterion,
    values: Vec<i64>,
    squares: Vec<i64>,
    middle: f64,
    unit: f64,
    square_unit: f64,
}

/// Sums over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) rows: u64,
    /// In units of [`Targets`].
    sum: i64,
    /// Of the squares; of a classification not kept.
    squares: i64,
}

impl std::ops::AddAssign for Sums {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

impl std::ops::Sub for Sums {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self { rows: self.rows - other.rows, sum: self.sum - other.sum, squares: self.squares - other.squares }
    }
}

impl Targets {
    /// Finite targets; of a classification 0 and 1. At most 2^32 rows.
    pub(crate) fn new(target: &[f64], criterion: Criterion) -> Self {
        if criterion != Criterion::SquaredError {
            let values = target.iter().map(|value| i64::from(*value > 0.5)).collect();
            return Self { criterion, values, squares: Vec::new(), middle: 0.0, unit: 1.0, square_unit: 0.0 };
        }
        let (low, high) = target
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
        let middle = if target.is_empty() { 0.0 } else { low / 2.0 + high / 2.0 };
        let half = (high - middle).max(middle - low).max(0.0);
        let bits = 62 - (usize::BITS - target.len().leading_zeros());
        let power = (1u64 << bits.min(52)) as f64;
        let share = |value: f64| if half > 0.0 { (value - middle) / half } else { 0.0 };
        Self {
            criterion,
            values: target.iter().map(|value| (share(*value) * power) as i64).collect(),
            squares: target.iter().map(|value| (share(*value) * share(*value) * power) as i64).collect(),
            middle,
            unit: half / power,
            square_unit: half * half / power,
        }
    }

    /// The sums of one row.
    #[inline]
    pub(crate) fn row(&self, row: u32) -> Sums {
        let row = row as usize;
        Sums { rows: 1, sum: self.values[row], squares: self.squares.get(row).copied().unwrap_or(0) }
    }

    /// The sums of some rows.
    pub(crate) fn sum(&self, rows: &[u32]) -> Sums {
        let mut sums = Sums::default();
        rows.iter().for_each(|row| sums += self.row(*row));
        sums
    }

    /// The mean of the target: of a classification the share of the positive class.
    pub(crate) fn mean(&self, sums: Sums) -> f64 {
        self.middle + sums.sum as f64 * self.unit / sums.rows.max(1) as f64
    }

    /// How mixed the rows are, at least 0.
    pub(crate) fn impurity(&self, sums: Sums) -> f64 {
        let rows = sums.rows.max(1) as f64;
        let share = sums.sum as f64 / rows;
        match self.criterion {
            Criterion::Gini => 2.0 * share * (1.0 - share),
            Criterion::Entropy => bits(share) + bits(1.0 - share),
            Criterion::SquaredError => {
                let mean = share * self.unit;
                (sums.squares as f64 * self.square_unit / rows - mean * mean).max(0.0)
            }
        }
    }

    /// Whether all rows have the same target, as far as numbers can tell.
    pub(crate) fn is_pure(&self, sums: Sums) -> bool {
        match self.criterion {
            Criterion::Gini | Criterion::Entropy => sums.sum == 0 || sums.sum as u64 == sums.rows,
            // What cutting off digits may leave of a variance of nothing.
            Criterion::SquaredError => self.impurity(sums) <= 8.0 * self.square_unit,
        }
    }

    /// How good it is to divide a node in these two: the larger, the less impurity is left. It differs from the decrease
    /// by what is the same for all splits of the node.
    #[inline]
    pub(crate) fn merit(&self, left: Sums, right: Sums) -> f64 {
        match self.criterion {
            // Of 0 and 1 the Gini impurity is twice the variance.
            Criterion::Gini | Criterion::SquaredError => {
                let part = |sums: Sums| sums.sum as f64 * (sums.sum as f64 / sums.rows as f64);
                part(left) + part(right)
            }
            Criterion::Entropy => -(left.rows as f64 * self.impurity(left) + right.rows as f64 * self.impurity(right)),
        }
    }
}

fn bits(share: f64) -> f64 {
    if share > 0.0 { -share * share.log2() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(targets: &Targets, rows: std::ops::Range<u32>) -> Sums {
        targets.sum(&rows.collect::<Vec<_>>())
    }

    #[test]
    fn impurities_are_those_of_their_definitions() {
        let target = [1.0, 0.0, 0.0, 0.0];
        let gini = Targets::new(&target, Criterion::Gini);
        assert_eq!(gini.impurity(sums(&gini, 0..4)), 0.375);
        assert_eq!(gini.mean(sums(&gini, 0..4)), 0.25);
        assert!(gini.is_pure(sums(&gini, 1..4)) && gini.is_pure(sums(&gini, 0..1)) && !gini.is_pure(sums(&gini, 0..2)));
        let entropy = Targets::new(&target, Criterion::Entropy);
        assert!((entropy.impurity(sums(&entropy, 0..4)) - 0.811_278_124_459_132_8).abs() < 1e-15);
        let squared = Targets::new(&[10.0, 12.0, 17.0, 17.0], Criterion::SquaredError);
        assert!((squared.mean(sums(&squared, 0..4)) - 14.0).abs() < 1e-12);
        assert!((squared.impurity(sums(&squared, 0..4)) - 9.5).abs() < 1e-12);
        assert!(squared.is_pure(sums(&squared, 2..4)) && !squared.is_pure(sums(&squared, 0..2)));
    }

    #[test]
    fn extreme_targets_do_no_harm() {
        let constant = Targets::new(&[7.5; 3], Criterion::SquaredError);
        assert_eq!((constant.mean(sums(&constant, 0..3)), constant.is_pure(sums(&constant, 0..3))), (7.5, true));
        let empty = Targets::new(&[], Criterion::SquaredError);
        assert_eq!(empty.mean(Sums::default()), 0.0);
    }
}
