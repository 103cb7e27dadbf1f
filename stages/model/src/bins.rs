//! Features as small whole numbers: how trees that look for splits in histograms see a table.

use rayon::prelude::*;

use crate::matrix::Matrix;

/// The bin of a missing value. Every other bin is less.
pub(crate) const MISSING: u8 = u8::MAX;

/// The most bins that a feature can have beside that of missing values.
pub(crate) const MAX_BINS: usize = MISSING as usize;

/// The bins of a table's features.
pub(crate) struct Bins {
    pub(crate) features: Vec<Feature>,
}

/// One feature, binned.
pub(crate) struct Feature {
    /// For each row its bin: how many thresholds are less than its value, or [`MISSING`].
    pub(crate) bins: Vec<u8>,
    /// What separates bins, ascending: bin `b` holds the values up to and including `thresholds[b]`.
    pub(crate) thresholds: Vec<f64>,
    /// Whether a value is missing.
    pub(crate) missing: bool,
}

impl Bins {
    /// The bins of a matrix. A column with at most `max_bins` distinct values gets a bin for each; others are cut at
    /// quantiles, exact over all rows, so that bins hold about equally many rows.
    pub(crate) fn of(matrix: &Matrix, max_bins: usize) -> Self {
        let features = matrix.columns().par_iter().map(|column| Feature::of(column, max_bins)).collect();
        Self { features }
    }
}

impl Feature {
    fn of(column: &[f64], max_bins: usize) -> Self {
        let mut sorted: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
        let missing = sorted.len() < column.len();
        sorted.sort_unstable_by(f64::total_cmp);
        let thresholds = thresholds(&sorted, max_bins.clamp(2, MAX_BINS));
        let bin = |value: &f64| match value.is_nan() {
            true => MISSING,
            false => thresholds.partition_point(|threshold| threshold < value) as u8,
        };
        Self { bins: column.iter().map(bin).collect(), thresholds, missing }
    }
}

/// Between distinct values where they are few, else at the quantiles `1/max_bins`, `2/max_bins`, …, halfway between the
/// two rows that a quantile falls between.
fn thresholds(sorted: &[f64], max_bins: usize) -> Vec<f64> {
    let mut distinct = Vec::with_capacity(max_bins + 1);
    for &value in sorted {
        if distinct.last().is_none_or(|last| *last < value) {
            distinct.push(value);
            if distinct.len() > max_bins {
                break;
            }
        }
    }
    if distinct.len() <= max_bins {
        return distinct.windows(2).map(|pair| halfway(pair[0], pair[1])).collect();
    }
    let last = sorted.len() - 1;
    let mut thresholds: Vec<f64> = (1..max_bins)
        .map(|quantile| {
            let (below, rest) = (last * quantile / max_bins, last * quantile % max_bins);
            if rest == 0 { sorted[below] } else { halfway(sorted[below], sorted[below + 1]) }
        })
        .collect();
    thresholds.dedup();
    // Above the largest value nothing is left to separate.
    thresholds.retain(|threshold| *threshold < sorted[last]);
    thresholds
}

/// A number from `low` to below `high` that separates the two; `low` where they are the same or neighbours.
pub(crate) fn halfway(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    if middle >= high { low } else { middle.max(low) }
}

#[cfg(test)]
mod tests {
    use super::{Bins, Feature, MISSING};
    use crate::matrix::Matrix;

    fn feature(column: &[f64], max_bins: usize) -> Feature {
        Bins::of(&Matrix::new(vec![column.to_vec()], column.len()), max_bins).features.remove(0)
    }

    #[test]
    fn few_distinct_values_get_a_bin_each() {
        let feature = feature(&[3.0, 1.0, f64::NAN, 1.0, 2.0, 10.0], 255);
        assert_eq!(feature.thresholds, [1.5, 2.5, 6.5]);
        assert_eq!(feature.bins, [2, 0, MISSING, 0, 1, 3]);
        assert!(feature.missing);
    }

    #[test]
    fn many_are_cut_at_quantiles() {
        // numpy.percentile(range(101), [25, 50, 75], method="midpoint") is 25, 50, 75.
        let column: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let feature = feature(&column, 4);
        assert_eq!(feature.thresholds, [25.0, 50.0, 75.0]);
        let sizes = (0..4).map(|bin| feature.bins.iter().filter(|b| **b == bin).count()).collect::<Vec<_>>();
        assert_eq!(sizes, [26, 25, 25, 25]);
    }

    #[test]
    fn one_value_may_fill_several_quantiles() {
        let mut column = vec![7.0; 900];
        column.extend((0..100).map(f64::from));
        let feature = feature(&column, 10);
        assert!(feature.thresholds.is_sorted() && feature.thresholds.len() < 10, "{:?}", feature.thresholds);
        assert!(feature.bins.iter().all(|bin| usize::from(*bin) <= feature.thresholds.len()));
    }

    #[test]
    fn extremes_do_no_harm() {
        let next = f64::from_bits(1.0f64.to_bits() + 1);
        assert_eq!(feature(&[1.0, next], 255).bins, [0, 1]);
        let feature = feature(&[f64::MAX, f64::MIN, -0.0, 0.0], 255);
        assert_eq!(feature.bins, [2, 0, 1, 1]);
        assert!(feature.thresholds.iter().all(|threshold| threshold.is_finite()));
    }

    #[test]
    fn a_feature_may_be_missing_altogether() {
        let feature = feature(&[f64::NAN, f64::NAN], 255);
        assert_eq!((feature.bins, feature.thresholds.len()), (vec![MISSING; 2], 0));
    }
}
