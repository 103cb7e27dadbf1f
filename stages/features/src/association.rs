//! How strongly two columns depend on each other: correlation, analysis of variance, contingency, mutual information.

use crate::summary::{quantile, sum, unit};
use crate::tails;

/// Numbers as their distances from the mean, in a unit that keeps squares in range.
pub(crate) struct Centered {
    values: Vec<f64>,
    squares: f64,
}

impl Centered {
    /// Of numbers that are finite.
    pub(crate) fn of(values: &[f64]) -> Self {
        let first = values.first();
        if values.iter().all(|value| Some(value) == first) {
            return Self { values: vec![0.0; values.len()], squares: 0.0 };
        }
        let unit = unit(values);
        let mean = sum(values.iter().map(|value| value / unit)) / values.len() as f64;
        let values: Vec<f64> = values.iter().map(|value| value / unit - mean).collect();
        let squares = sum(values.iter().map(|value| value * value));
        Self { values, squares }
    }

    /// Pearson's correlation with the numbers of the same rows; `None` where either is constant.
    pub(crate) fn correlation(&self, other: &Self) -> Option<f64> {
        let scale = self.squares.sqrt() * other.squares.sqrt();
        let product = sum(self.values.iter().zip(&other.values).map(|(a, b)| a * b));
        (scale > 0.0).then(|| (product / scale).clamp(-1.0, 1.0))
    }
}

/// Pearson's correlation; `None` where either is constant or there are no two pairs.
pub(crate) fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    Centered::of(a).correlation(&Centered::of(b))
}

/// Ranks from 1; equal numbers share the mean of their ranks.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    // Each number beside its row: sorting row numbers alone would look the numbers up all over memory.
    let mut order: Vec<(f64, u32)> = values.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    // Minus zero equals zero here, as it does in every comparison of numbers.
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|(_, row)| ranks[*row as usize] = rank);
        before += equal.len();
    }
    ranks
}

/// A one-way analysis of variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Anova {
    /// The F statistic; `None` where it is infinite, since nothing varies within the groups.
    pub(crate) f: Option<f64>,
    pub(crate) p_value: Option<f64>,
    /// The correlation ratio eta, 0 to 1: the root of the share of the variation that lies between the groups.
    pub(crate) eta: f64,
}

/// Whether numbers differ between the groups of their rows (`scipy.stats.f_oneway`, scikit-learn's `f_classif`). `None`
/// where the numbers are constant, there is one group, or every row is a group.
pub(crate) fn anova(values: &[f64], groups: &[u32], group_count: usize) -> Option<Anova> {
    let centered = Centered::of(values);
    let mut of_group = vec![(0.0, 0u64); group_count];
    for (value, group) in centered.values.iter().zip(groups) {
        let (sum, count) = &mut of_group[*group as usize];
        *sum += value;
        *count += 1;
    }
    let means: Vec<f64> = of_group.iter().map(|(sum, count)| sum / (*count).max(1) as f64).collect();
    let used = of_group.iter().filter(|(_, count)| *count > 0).count();
    let within = sum(centered.values.iter().zip(groups).map(|(value, group)| (value - means[*group as usize]).powi(2)));
    let between = sum(of_group.iter().zip(&means).map(|((_, count), mean)| *count as f64 * mean * mean));
    let total = within + between;
    if used < 2 || values.len() <= used || total <= 0.0 {
        return None;
    }
    let (d1, d2) = ((used - 1) as f64, (values.len() - used) as f64);
    let f = (between / d1) / (within / d2);
    Some(Anova {
        f: Some(f).filter(|f| f.is_finite()),
        p_value: tails::f(within / total, d1, d2),
        eta: (between / total).clamp(0.0, 1.0).sqrt(),
    })
}

/// How often each pair of categories occurs.
pub(crate) struct Contingency {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Row by row.
    pub(crate) counts: Vec<u64>,
}

/// Pearson's chi-square test of independence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChiSquare {
    pub(crate) statistic: f64,
    pub(crate) dof: u64,
    pub(crate) p_value: Option<f64>,
    /// Cramér's V, 0 to 1; `None` where one side has a single category.
    pub(crate) cramers_v: Option<f64>,
    /// In how many cells fewer than five are expected: the test is rough where there are many.
    pub(crate) sparse_cells: usize,
    /// In how many cells any are expected.
    pub(crate) cells: usize,
}

impl Contingency {
    /// Counts pairs of codes; `rows` and `columns` say how many codes there are.
    pub(crate) fn of(pairs: impl Iterator<Item = (u32, u32)>, rows: usize, columns: usize) -> Self {
        let mut counts = vec![0u64; rows * columns];
        for (row, column) in pairs {
            counts[row as usize * columns + column as usize] += 1;
        }
        Self { rows, columns, counts }
    }

    /// The sum of each row.
    pub(crate) fn row_totals(&self) -> Vec<u64> {
        (0..self.rows).map(|row| self.row(row).iter().sum()).collect()
    }

    /// The sum of each column.
    pub(crate) fn column_totals(&self) -> Vec<u64> {
        (0..self.columns).map(|column| (0..self.rows).map(|row| self.row(row)[column]).sum()).collect()
    }

    /// The counts of a row.
    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.counts[row * self.columns..(row + 1) * self.columns]
    }

    /// How many pairs there are.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The test, without Yates' correction (`scipy.stats.chi2_contingency(counts, correction=False)`); categories that
    /// do not occur take no part. `None` where there are no pairs.
    pub(crate) fn chi_square(&self) -> Option<ChiSquare> {
        let (row_totals, column_totals, total) = (self.row_totals(), self.column_totals(), self.total() as f64);
        if total == 0.0 {
            return None;
        }
        let (mut statistic, mut sparse_cells, mut cells) = (0.0, 0, 0);
        for (row, row_total) in row_totals.iter().enumerate() {
            for (count, column_total) in self.row(row).iter().zip(&column_totals) {
                let expected = *row_total as f64 * *column_total as f64 / total;
                if expected > 0.0 {
                    statistic += (*count as f64 - expected).powi(2) / expected;
                    cells += 1;
                    sparse_cells += usize::from(expected < 5.0);
                }
            }
        }
        let used = |totals: &[u64]| totals.iter().filter(|total| **total > 0).count();
        let (rows, columns) = (used(&row_totals), used(&column_totals));
        let dof = (rows - 1) * (columns - 1);
        if dof == 0 {
            let p_value = Some(1.0);
            return Some(ChiSquare { statistic: 0.0, dof: 0, p_value, cramers_v: None, sparse_cells, cells });
        }
        let v = (statistic / total / (rows.min(columns) - 1) as f64).sqrt();
        Some(ChiSquare {
            statistic,
            dof: dof as u64,
            p_value: tails::chi_square(statistic, dof as f64),
            cramers_v: Some(v.clamp(0.0, 1.0)),
            sparse_cells,
            cells,
        })
    }

    /// The mutual information of the two categories, in nats (`sklearn.metrics.mutual_info_score`).
    pub(crate) fn mutual_information(&self) -> f64 {
        let (row_totals, column_totals, total) = (self.row_totals(), self.column_totals(), self.total() as f64);
        let mut information = 0.0;
        for (row, row_total) in row_totals.iter().enumerate() {
            for (count, column_total) in self.row(row).iter().zip(&column_totals).filter(|(count, _)| **count > 0) {
                let count = *count as f64;
                // The product of two totals stays below 2^53 times itself, which a double holds well enough.
                information += count / total * (count / *row_total as f64 * (total / *column_total as f64)).ln();
            }
        }
        f64::max(information, 0.0)
    }
}

/// Numbers as the codes of classes, ascending, and how many classes there are: each number a class of its own where
/// there are no more than `bins` different ones, otherwise bins between the `i / bins` quantiles, each with its upper
/// edge and the first with its lower one, as `pandas.qcut(values, bins, duplicates="drop")`.
pub(crate) fn quantile_classes(values: &[f64], bins: usize) -> (Vec<u32>, usize) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut upper: Vec<f64> = sorted.chunk_by(|a, b| a == b).take(bins + 1).map(|equal| equal[0]).collect();
    if upper.len() > bins {
        let lowest = upper[0];
        upper = (1..=bins).filter_map(|part| quantile(&sorted, part, bins)).filter(|edge| *edge > lowest).collect();
        upper.dedup();
    }
    let codes = values.iter().map(|value| upper.partition_point(|edge| edge < value) as u32).collect();
    (codes, upper.len())
}

/// Whether the numbers are all one.
pub(crate) fn is_constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `u = lcg(600).reshape(200, 3)`; `x = 10 u0`, `y = 0.3 x + 4 u1`, `g = int(3 u2 + 0.1 x)`, `h = int(0.7 y)`,
    /// where `lcg` yields `s = (6364136223846793005 s + 1442695040888963407) % 2**64` from `s = 1` as `(s >> 11) /
    /// 2**53`.
    fn sample() -> (Vec<f64>, Vec<f64>, Vec<u32>, Vec<u32>) {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let (mut x, mut y, mut g, mut h) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..200 {
            let (a, b, c) = (uniform() * 10.0, uniform() * 4.0, uniform() * 3.0);
            x.push(a);
            y.push(a * 0.3 + b);
            g.push((c + a * 0.1) as u32);
            h.push(((a * 0.3 + b) * 0.7) as u32);
        }
        (x, y, g, h)
    }

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn correlations_are_those_of_scipy() {
        let (x, y, ..) = sample();
        // scipy.stats.pearsonr(x, y)
        let r = pearson(&x, &y).unwrap();
        close(r, 0.5770024806082736);
        close(tails::correlation(r, 200).unwrap(), 3.8061240374314803e-19);
        // scipy.stats.spearmanr(np.round(x), np.round(y))
        let round = |values: &[f64]| values.iter().map(|value| value.round_ties_even()).collect::<Vec<_>>();
        let (x, y) = (ranks(&round(&x)), ranks(&round(&y)));
        assert_eq!(x[..6], [83.0, 83.0, 120.0, 37.0, 158.5, 139.5]);
        close(pearson(&x, &y).unwrap(), 0.5477701881753743);
    }

    #[test]
    fn what_is_constant_has_no_correlation() {
        assert_eq!(pearson(&[0.1; 9], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]), None);
        assert_eq!(pearson(&[1.0], &[1.0]), None);
        assert_eq!(pearson(&[], &[]), None);
        assert_eq!(pearson(&[1e300, -1e300, 0.0], &[1e-300, -1e-300, 0.0]), Some(1.0));
    }

    #[test]
    fn analysis_of_variance_is_that_of_scipy() {
        let (x, _, g, _) = sample();
        // scipy.stats.f_oneway(*[x[g == k] for k in range(4)]); eta = sqrt(between / total)
        let found = anova(&x, &g, 4).unwrap();
        close(found.f.unwrap(), 7.141996887586075);
        close(found.p_value.unwrap(), 0.00014123646784132407);
        close(found.eta, 0.31391692162962276);
        assert_eq!(anova(&x, &g, 9).unwrap(), found, "groups without rows take no part");
        assert_eq!(anova(&[1.0, 1.0, 2.0], &[0, 0, 1], 2), Some(Anova { f: None, p_value: Some(0.0), eta: 1.0 }));
        assert_eq!(anova(&[3.0; 4], &[0, 0, 1, 1], 2), None);
        assert_eq!(anova(&[1.0, 2.0], &[0, 1], 2), None);
        assert_eq!(anova(&[1.0, 2.0], &[0, 0], 1), None);
    }

    #[test]
    fn contingency_is_that_of_scipy() {
        let (.., g, h) = sample();
        // scipy.stats.chi2_contingency(pd.crosstab(g, h), correction=False), .contingency.association(…, "cramer")
        let counts = Contingency::of(g.iter().copied().zip(h.iter().copied()), 4, 5);
        assert_eq!(counts.row(1), [6, 12, 30, 16, 3]);
        assert_eq!((counts.row_totals(), counts.total()), (vec![35, 67, 69, 29], 200));
        let test = counts.chi_square().unwrap();
        close(test.statistic, 20.944070361386466);
        close(test.p_value.unwrap(), 0.051205476517232985);
        close(test.cramers_v.unwrap(), 0.18683357282791577);
        assert_eq!((test.dof, test.sparse_cells, test.cells), (12, 6, 20));
        let wider = Contingency::of(g.iter().copied().zip(h.iter().copied()), 6, 7);
        assert_eq!(wider.chi_square(), Some(test), "categories that do not occur take no part");
        let one = Contingency::of([(0, 0), (0, 1)].into_iter(), 1, 2).chi_square().unwrap();
        assert_eq!((one.statistic, one.dof, one.p_value, one.cramers_v), (0.0, 0, Some(1.0), None));
        assert_eq!(Contingency::of([].into_iter(), 2, 2).chi_square(), None);
    }

    #[test]
    fn mutual_information_is_that_of_scikit_learn() {
        let (x, y, g, h) = sample();
        let information = |a: &[u32], b: &[u32]| {
            Contingency::of(a.iter().copied().zip(b.iter().copied()), 20, 20).mutual_information()
        };
        // sklearn.metrics.mutual_info_score(g, h), and with pd.qcut(…, duplicates="drop", labels=False)
        close(information(&g, &h), 0.05578539676494585);
        let (tenths, count) = quantile_classes(&y, 10);
        assert_eq!(count, 10);
        close(information(&g, &tenths), 0.12789689251280234);
        let (quarters, count) = quantile_classes(&x.iter().map(|x| x.round_ties_even()).collect::<Vec<_>>(), 4);
        assert_eq!(count, 4);
        close(information(&g, &quarters), 0.07328697704055345);
        assert_eq!(information(&[0, 1, 0, 1], &[0, 0, 1, 1]), 0.0);
    }

    #[test]
    fn classes_are_numbers_or_quantiles() {
        assert_eq!(quantile_classes(&[3.0, 1.0, 3.0, 2.0], 3), (vec![2, 0, 2, 1], 3));
        // pd.qcut([0, 0, 0, 0, 0, 1, 2, 3], 3, duplicates="drop", labels=False)
        assert_eq!(quantile_classes(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0], 3), (vec![0, 0, 0, 0, 0, 1, 1, 1], 2));
        assert_eq!(quantile_classes(&[], 3), (vec![], 0));
        assert_eq!(quantile_classes(&[-0.0, 0.0], 1), (vec![0, 0], 1));
    }
}
