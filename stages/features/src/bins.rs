//! Bins of numbers, each without its lower edge and with its upper one.

use crate::category::number;

/// Consecutive bins.
pub(crate) struct Bins {
    /// Ascending; one more than bins.
    edges: Vec<f64>,
    /// Whether the first bin holds its lower edge, too.
    include_lowest: bool,
}

impl Bins {
    /// Between edges that ascend.
    pub(crate) fn between(edges: Vec<f64>, include_lowest: bool) -> Self {
        Self { edges, include_lowest }
    }

    /// `count` bins of equal width from the least of these numbers to the greatest, both included; a single one where
    /// there is only one number, none where there is none.
    pub(crate) fn equal(values: &[f64], count: usize) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low >= high {
            let edges = if values.is_empty() { Vec::new() } else { vec![low, high] };
            return Self { edges, include_lowest: true };
        }
        let step = (high - low) / count as f64;
        let edge = |part: usize| {
            if step.is_finite() {
                low + part as f64 * step
            } else {
                let share = part as f64 / count as f64;
                low * (1.0 - share) + high * share
            }
        };
        let mut edges: Vec<f64> = (0..count).map(edge).filter(|edge| *edge < high).chain([high]).collect();
        // Numbers so close that no double lies between them leave fewer bins.
        edges.dedup();
        Self { edges, include_lowest: true }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// The lower and the upper edge of each.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (f64, f64)> {
        self.edges.iter().copied().zip(self.edges.iter().copied().skip(1))
    }

    /// Which one a number lies in.
    pub(crate) fn place(&self, value: f64) -> Option<usize> {
        let (low, high) = (*self.edges.first()?, *self.edges.last()?);
        if value == low && self.include_lowest {
            return Some(0);
        }
        let before = self.edges.partition_point(|edge| *edge < value);
        (low < value && value <= high).then(|| before.saturating_sub(1))
    }

    /// Their names, such as `(0, 9]`: with no more digits than it takes to tell them apart, but at least four.
    pub(crate) fn names(&self) -> Vec<String> {
        let short = (4..17).map(|digits| self.edges.iter().map(|edge| rounded(*edge, digits)).collect::<Vec<_>>());
        let tells_apart = |edges: &Vec<f64>| edges.windows(2).all(|pair| pair[0] < pair[1]);
        let edges = short.into_iter().find(tells_apart).unwrap_or_else(|| self.edges.clone());
        let names = edges.iter().zip(edges.iter().skip(1)).enumerate();
        names
            .map(|(bin, (low, high))| {
                let open = if bin == 0 && self.include_lowest { '[' } else { '(' };
                format!("{open}{}, {}]", number(*low), number(*high))
            })
            .collect()
    }
}

/// A number with so many significant digits.
fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits - 1).parse().unwrap_or(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_holds_its_upper_edge() {
        // pd.cut([0, 0.5, 9, 9.5, 20, 21], [0, 9, 20])
        let bins = Bins::between(vec![0.0, 9.0, 20.0], false);
        let places = [0.0, 0.5, 9.0, 9.5, 20.0, 21.0].map(|value| bins.place(value));
        assert_eq!(places, [None, Some(0), Some(0), Some(1), Some(1), None]);
        assert_eq!(bins.names(), ["(0, 9]", "(9, 20]"]);
        assert_eq!(Bins::between(vec![0.0, 9.0], true).place(0.0), Some(0));
    }

    #[test]
    fn equal_bins_hold_every_number() {
        // pd.cut([1, 2, 3, 4, 7], 3, labels=False) == [0, 0, 0, 1, 2]
        let values = [1.0, 2.0, 3.0, 4.0, 7.0];
        let bins = Bins::equal(&values, 3);
        assert_eq!(values.map(|value| bins.place(value).unwrap()), [0, 0, 0, 1, 2]);
        assert_eq!(bins.names(), ["[1, 3]", "(3, 5]", "(5, 7]"]);
        let thirds = Bins::equal(&[0.0, 1.0], 3);
        assert_eq!(thirds.names(), ["[0, 0.3333]", "(0.3333, 0.6667]", "(0.6667, 1]"]);
    }

    #[test]
    fn extreme_numbers_have_bins() {
        assert_eq!(Bins::equal(&[], 3).len(), 0);
        let one = Bins::equal(&[5.0, 5.0], 3);
        assert_eq!((one.names(), one.place(5.0)), (vec!["[5, 5]".to_owned()], Some(0)));
        let wide = Bins::equal(&[f64::MIN, f64::MAX], 2);
        assert_eq!((wide.len(), wide.place(-1.0), wide.place(f64::MAX)), (2, Some(0), Some(1)));
        let next = f64::from_bits(1f64.to_bits() + 1);
        let narrow = Bins::equal(&[1.0, next], 5);
        assert_eq!((narrow.len(), narrow.place(1.0), narrow.place(next)), (1, Some(0), Some(0)));
    }
}
