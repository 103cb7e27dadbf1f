//! Features as small whole numbers: how trees that look for splits in histograms see a table.

use rayon::prelude::*;

/// The bin of a missing value. Every other bin is less.
pub(crate) const MISSING: u8 = u8::MAX;

/// The most bins that a feature can have beside that of missing values.
pub(crate) const MAX_BINS: usize = MISSING as usize;

/// The bins of a table's features.
pub(crate) struct Bins {
    pub(crate) features: Vec<Feature>,
    pub(crate) rows: usize,
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
    /// Bins of columns in which NaN stands for what is missing. A feature with at most `max_bins` distinct values gets a
    /// bin for each; others are cut at quantiles, so that bins hold about equally many rows. Quantiles are exact, over
    /// all rows. Infinities count as the largest numbers there are.
    pub(crate) fn of(columns: &[&[f64]], max_bins: usize) -> Self {
        let rows = columns.first().map_or(0, |column| column.len());
        Self { features: columns.par_iter().map(|column| Feature::of(column, max_bins)).collect(), rows }
    }
}

impl Feature {
    fn of(column: &[f64], max_bins: usize) -> Self {
        let mut sorted: Vec<f64> = column.iter().filter(|value| !value.is_nan()).map(|value| bounded(*value)).collect();
        let missing = sorted.len() < column.len();
        sorted.sort_unstable_by(f64::total_cmp);
        let thresholds = thresholds(&sorted, max_bins.clamp(2, MAX_BINS));
        let bin = |value: &f64| match value.is_nan() {
            true => MISSING,
            false => thresholds.partition_point(|threshold| *threshold < bounded(*value)) as u8,
        };
        Self { bins: column.iter().map(bin).collect(), thresholds, missing }
    }
}

fn bounded(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
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
    use super::*;

    fn feature(column: &[f64], max_bins: usize) -> Feature {
        Bins::of(&[column], max_bins).features.remove(0)
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
        let feature = feature(&[f64::INFINITY, f64::MAX, f64::NEG_INFINITY, -0.0, 0.0], 255);
        assert_eq!(feature.bins, [2, 2, 0, 1, 1]);
        assert!(feature.thresholds.iter().all(|threshold| threshold.is_finite()));
        assert!(super::Bins::of(&[], 255).features.is_empty());
        assert!(super::Bins::of(&[&[f64::NAN, f64::NAN]], 255).features[0].thresholds.is_empty());
    }
}
