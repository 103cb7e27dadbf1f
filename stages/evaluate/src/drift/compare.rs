//! How far the values of one column are from what they were.

use polars::datatypes::{InitHashMaps, PlHashMap};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::kolmogorov;
use crate::sums::Sum;

/// What changed in a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// The population stability index; `None` unless there are values in both tables.
    pub(super) psi: Option<f64>,
    /// The statistic of the test: the largest distance of shares of numbers, chi-square of categories.
    pub(super) statistic: Option<f64>,
    pub(super) p_value: Option<f64>,
    /// The share of the current values that the reference did not have; of categories only.
    pub(super) new_share: Option<f64>,
    /// Where the values lie in both tables.
    pub(super) bins: Vec<Bin>,
}

/// A range of numbers, or a category.
#[derive(Clone, Debug)]
pub(super) struct Bin {
    pub(super) label: String,
    pub(super) reference: u64,
    pub(super) current: u64,
}

/// Of numbers, which are finite: bins between quantiles of the reference, and the test of Kolmogorov and Smirnov.
pub(super) fn numbers(mut reference: Vec<f64>, mut current: Vec<f64>, bins: usize, smoothing: f64) -> Change {
    rayon::join(|| reference.sort_unstable_by(f64::total_cmp), || current.sort_unstable_by(f64::total_cmp));
    let edges = edges(&reference, bins);
    let counts = |sorted: &[f64]| -> Vec<u64> {
        let mut before = 0;
        let mut counts = Vec::with_capacity(edges.len() + 1);
        for edge in &edges {
            let at_most = sorted.partition_point(|value| value <= edge);
            counts.push((at_most - before) as u64);
            before = at_most;
        }
        counts.push((sorted.len() - before) as u64);
        counts
    };
    let label = |bin: usize| match (bin.checked_sub(1).and_then(|below| edges.get(below)), edges.get(bin)) {
        (None, None) => "all".to_owned(),
        (None, Some(upper)) => format!("≤ {upper}"),
        (Some(lower), None) => format!("> {lower}"),
        (Some(lower), Some(upper)) => format!("> {lower}, ≤ {upper}"),
    };
    let both = counts(&reference).into_iter().zip(counts(&current)).enumerate();
    let bins: Vec<Bin> =
        both.map(|(bin, (reference, current))| Bin { label: label(bin), reference, current }).collect();
    let statistic = kolmogorov::statistic(&reference, &current);
    Change {
        psi: psi(&bins, smoothing),
        statistic,
        p_value: statistic.map(|statistic| kolmogorov::p_value(statistic, (reference.len(), current.len()))),
        new_share: None,
        bins,
    }
}

/// The distinct quantiles within sorted values, linear between neighbours, that part them into so many bins.
fn edges(sorted: &[f64], bins: usize) -> Vec<f64> {
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let quantile = |part: usize| {
        let place = part as f64 / bins as f64 * last as f64;
        let below = (place.floor() as usize).min(last);
        let weight = place - below as f64;
        let (a, b) = (sorted.get(below)?, sorted.get((below + 1).min(last))?);
        // So that neighbours at both ends of the numbers do not overflow.
        Some(if a == b { *a } else { a * (1.0 - weight) + b * weight })
    };
    let mut edges: Vec<f64> = (1..bins).filter_map(quantile).map(|edge| edge + 0.0).collect();
    edges.dedup();
    // Nothing lies beyond the largest value of the reference but what is new.
    edges
}

/// Of categories: a bin for each of the most frequent ones of the reference, one for all others, and chi-square.
pub(super) fn categories<'a>(
    reference: impl Iterator<Item = &'a str>,
    current: impl Iterator<Item = &'a str>,
    most: usize,
    smoothing: f64,
) -> Change {
    let mut counts: PlHashMap<&str, [u64; 2]> = PlHashMap::new();
    for value in reference {
        counts.entry(value).or_default()[0] += 1;
    }
    for value in current {
        counts.entry(value).or_default()[1] += 1;
    }
    let mut sorted: Vec<(&str, [u64; 2])> = counts.into_iter().collect();
    sorted.sort_unstable_by(|a, b| b.1[0].cmp(&a.1[0]).then(b.1[1].cmp(&a.1[1])).then(a.0.cmp(b.0)));
    let total: u64 = sorted.iter().map(|(_, [_, current])| current).sum();
    let new: u64 = sorted.iter().filter(|(_, [reference, _])| *reference == 0).map(|(_, [_, current])| current).sum();
    let own = if sorted.len() > most { most.saturating_sub(1) } else { sorted.len() };
    let (own, rest) = sorted.split_at(own);
    let mut bins: Vec<Bin> = own
        .iter()
        .map(|(value, [reference, current])| Bin {
            label: (*value).to_owned(),
            reference: *reference,
            current: *current,
        })
        .collect();
    if !rest.is_empty() {
        let sum = |table: usize| rest.iter().map(|(_, counts)| counts[table]).sum();
        bins.push(Bin { label: format!("({} others)", rest.len()), reference: sum(0), current: sum(1) });
    }
    let (statistic, p_value) = chi_square(&bins).unzip();
    Change {
        psi: psi(&bins, smoothing),
        statistic,
        p_value: p_value.flatten(),
        new_share: crate::classification::share(new, total),
        bins,
    }
}

/// The sum over the bins of (current share - reference share) × ln(current share / reference share), where `smoothing`
/// is added to every count first. `None` unless there are values in both tables.
fn psi(bins: &[Bin], smoothing: f64) -> Option<f64> {
    let total = |count: fn(&Bin) -> u64| bins.iter().map(count).sum::<u64>();
    let (reference, current) = (total(|bin| bin.reference), total(|bin| bin.current));
    let share = |count: u64, total: u64| (count as f64 + smoothing) / (total as f64 + smoothing * bins.len() as f64);
    let term = |bin: &Bin| {
        let (before, after) = (share(bin.reference, reference), share(bin.current, current));
        (after - before) * (after / before).ln()
    };
    (reference > 0 && current > 0).then(|| bins.iter().map(term).collect::<Sum>().value())
}

/// The statistic of a test that both tables are of one distribution, without Yates' correction, and its probability by
/// chance, which a single category has none of.
fn chi_square(bins: &[Bin]) -> Option<(f64, Option<f64>)> {
    let total = |count: fn(&Bin) -> u64| bins.iter().map(count).sum::<u64>() as f64;
    let totals = [total(|bin| bin.reference), total(|bin| bin.current)];
    let all: f64 = totals.iter().sum();
    if totals.contains(&0.0) {
        return None;
    }
    let term = |bin: &Bin| {
        let of_bin = (bin.reference + bin.current) as f64;
        let off = |count: u64, total: f64| {
            let expected = of_bin * total / all;
            (count as f64 - expected) * (count as f64 - expected) / expected
        };
        off(bin.reference, totals[0]) + off(bin.current, totals[1])
    };
    let statistic = bins.iter().map(term).collect::<Sum>().value();
    let freedom = bins.len().saturating_sub(1) as f64;
    let p_value = ChiSquared::new(freedom).ok().map(|distribution| distribution.sf(statistic));
    Some((statistic, p_value.filter(|p| p.is_finite())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{categories, numbers};

    /// Values with ties, and the same numbers in numpy.
    fn samples() -> (Vec<f64>, Vec<f64>) {
        let reference: Vec<f64> = (0..400_u32).map(|i| f64::from(i * 7919 % 1000) / 10.0).collect();
        let mut current: Vec<f64> = (0..250_u32).map(|i| f64::from(i * 104_729 % 900) / 9.0 + 5.0).collect();
        (0..25).for_each(|i| current[i * 10] = reference[i]);
        (reference, current)
    }

    #[test]
    fn numbers_are_compared_as_in_scipy() {
        let (reference, current) = samples();
        let change = numbers(reference, current, 10, 0.5);
        // ks_2samp(reference, current, method="asymp"); numpy.percentile and the definition of the index.
        assert!((change.statistic.unwrap() - 0.047).abs() < 1e-15);
        assert!((change.p_value.unwrap() - 0.8695317757287729).abs() < 1e-9);
        assert!((change.psi.unwrap() - 0.02943803546191502).abs() < 1e-12, "{:?}", change.psi);
        let counts: Vec<_> = change.bins.iter().map(|bin| (bin.reference, bin.current)).collect();
        let current = [16, 25, 25, 25, 26, 24, 25, 26, 23, 35];
        assert_eq!(counts, current.map(|current| (40, current)));
    }

    #[test]
    fn bins_are_labelled_by_their_edges() {
        let change = numbers(vec![1.0, 2.0, 3.0], vec![0.0, 9.0], 2, 0.5);
        assert_eq!(change.bins.iter().map(|bin| bin.label.as_str()).collect::<Vec<_>>(), ["≤ 2", "> 2"]);
        let constant = numbers(vec![4.0; 5], vec![4.0, 5.0], 10, 0.5);
        assert_eq!(constant.bins.iter().map(|bin| (bin.reference, bin.current)).collect::<Vec<_>>(), [(5, 1), (0, 1)]);
        let extreme = numbers(vec![-1.7e308, 1.7e308], vec![0.0], 4, 0.5);
        assert_eq!(extreme.bins.len(), 4);
    }

    #[test]
    fn categories_are_compared_as_in_scipy() {
        let letter = |letters: &'static [&'static str], i: u32| letters[i as usize];
        let reference: Vec<&str> = (0..400).map(|i| letter(&["x", "y", "z"], i * 31 % 7 % 3)).collect();
        let current: Vec<&str> = (0..250).map(|i| letter(&["x", "y", "w"], i * 17 % 5 % 3)).collect();
        let change = categories(reference.iter().copied(), current.iter().copied(), 50, 0.5);
        // chi2_contingency(table, correction=False).
        assert!((change.statistic.unwrap() - 157.76078889499723).abs() < 1e-10);
        assert!((change.p_value.unwrap() / 5.576307517792737e-34 - 1.0).abs() < 1e-9, "{:?}", change.p_value);
        assert!((change.psi.unwrap() - 2.457499820801403).abs() < 1e-12);
        assert_eq!(change.new_share, Some(0.2));

        let few = categories(reference.into_iter(), current.into_iter(), 2, 0.5);
        let bins: Vec<_> = few.bins.iter().map(|bin| (bin.label.as_str(), bin.reference, bin.current)).collect();
        assert_eq!(bins, [("x", 172, 100), ("(3 others)", 228, 150)]);
    }

    #[test]
    fn equal_samples_have_not_changed_and_empty_ones_cannot_be_compared() {
        let (reference, _) = samples();
        let change = numbers(reference.clone(), reference, 10, 0.5);
        assert_eq!((change.psi, change.statistic, change.p_value), (Some(0.0), Some(0.0), Some(1.0)));
        let change = numbers(Vec::new(), vec![1.0], 10, 0.5);
        assert_eq!((change.psi, change.statistic, change.p_value), (None, None, None));
        let change = categories(["a"].into_iter(), ["a"].into_iter(), 5, 0.5);
        assert_eq!((change.psi, change.statistic, change.p_value), (Some(0.0), Some(0.0), None));
    }
}
