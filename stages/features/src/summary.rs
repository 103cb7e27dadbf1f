//! What is to be said about a list of numbers, safe for very large and very small ones.

/// The statistics of numbers, as `pandas.Series.describe` defines them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// How many different numbers there are.
    pub(crate) distinct: usize,
    pub(crate) mean: Option<f64>,
    /// The sample standard deviation (divided by n - 1); `None` below two numbers.
    pub(crate) std: Option<f64>,
    pub(crate) min: Option<f64>,
    /// The quartiles, interpolated between the two nearest numbers.
    pub(crate) q25: Option<f64>,
    pub(crate) median: Option<f64>,
    pub(crate) q75: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Summary {
    /// Of numbers that are finite. They are sorted first, so that their order does not matter to the last bit.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let (mean, std) = mean_and_std(&values);
        Self {
            distinct: values.chunk_by(|a, b| a == b).count(),
            mean,
            std,
            min: values.first().copied(),
            q25: quantile(&values, 1, 4),
            median: quantile(&values, 1, 2),
            q75: quantile(&values, 3, 4),
            max: values.last().copied(),
        }
    }
}

/// The `part / whole` quantile of sorted numbers, interpolated linearly between the two nearest, as numpy does.
pub(crate) fn quantile(sorted: &[f64], part: usize, whole: usize) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)?;
    let (below, share) = (sorted.get(place / whole).copied()?, (place % whole) as f64 / whole as f64);
    let Some(above) = sorted.get(place / whole + 1).copied().filter(|above| share > 0.0 && *above > below) else {
        return Some(below);
    };
    let gap = above - below;
    Some(if !gap.is_finite() {
        below * (1.0 - share) + above * share
    } else if share < 0.5 {
        below + gap * share
    } else {
        above - gap * (1.0 - share)
    })
}

/// The mean, and the sample standard deviation where there are two numbers and it is finite.
pub(crate) fn mean_and_std(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let count = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let unit = unit(values);
    let mean = sum(values.iter().map(|value| value / unit)) / count;
    // The deviations from a rounded mean do not quite add up to 0; what is left corrects their squares.
    let left = sum(values.iter().map(|value| value / unit - mean));
    let squares = sum(values.iter().map(|value| (value / unit - mean).powi(2))) - left * left / count;
    let std = (squares.max(0.0) / (count - 1.0)).sqrt() * unit;
    (Some(mean * unit), (values.len() > 1).then_some(std).filter(|std| std.is_finite()))
}

/// The power of two at or below the largest of these numbers. Numbers are divided by it before they are squared, which
/// is exact and keeps squares in range.
pub(crate) fn unit(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // The number without its mantissa.
    f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE)
}

/// Sums in blocks, so that many small values are not lost beside a large sum.
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut block, mut count) = (0.0, 0.0, 0u32);
    for value in values {
        block += value;
        count += 1;
        if count == 1024 {
            total += block;
            (block, count) = (0.0, 0);
        }
    }
    total + block
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_pandas() {
        // pd.Series([3.5, -1, 8, 2, 2, 11, 4.25]).describe()
        let summary = Summary::of(vec![3.5, -1.0, 8.0, 2.0, 2.0, 11.0, 4.25]);
        let expected = Summary {
            distinct: 6,
            mean: Some(4.25),
            std: Some(4.038873605350878),
            min: Some(-1.0),
            q25: Some(2.0),
            median: Some(3.5),
            q75: Some(6.125),
            max: Some(11.0),
        };
        assert_eq!(summary, expected);
    }

    #[test]
    fn few_numbers_have_few_statistics() {
        assert_eq!(Summary::of(Vec::new()), Summary::default());
        let one = Summary::of(vec![2.0]);
        assert_eq!((one.mean, one.std, one.q25, one.max), (Some(2.0), None, Some(2.0), Some(2.0)));
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // np.quantile([0, 1, 4, 9, 16, 25], [0, 0.1, 0.3, 0.5, 0.9, 1])
        let sorted = [0.0, 1.0, 4.0, 9.0, 16.0, 25.0];
        let found = [0, 1, 3, 5, 9, 10].map(|part| quantile(&sorted, part, 10).unwrap());
        assert_eq!(found, [0.0, 0.5, 2.5, 6.5, 20.5, 25.0]);
        assert!((quantile(&[f64::MIN, f64::MAX], 1, 4).unwrap() / (f64::MIN / 2.0) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn large_and_small_numbers_stay_in_range() {
        let (mean, std) = mean_and_std(&[1e300, 3e300]);
        assert!(
            (mean.unwrap() / 2e300 - 1.0).abs() < 1e-15 && (std.unwrap() / 2f64.sqrt() / 1e300 - 1.0).abs() < 1e-15
        );
        assert_eq!(mean_and_std(&[f64::MAX, f64::MIN]), (Some(0.0), None));
        let (mean, std) = mean_and_std(&[5e-324, 5e-324]);
        assert_eq!((mean, std), (Some(5e-324), Some(0.0)));
        // np.std([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16], ddof=1) == sqrt(30)
        let (_, std) = mean_and_std(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert!((std.unwrap() - 30f64.sqrt()).abs() < 1e-12);
    }
}
