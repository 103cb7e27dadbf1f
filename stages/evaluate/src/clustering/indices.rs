//! How compact clusters are and how far apart, and how alike two groupings of the same rows are.

use std::collections::BTreeMap;

use crate::sums::Sum;

/// The middle of a cluster and how its rows lie about it.
pub(super) struct Cluster {
    pub(super) center: Vec<f64>,
    /// The mean distance of its rows from the middle.
    pub(super) spread: f64,
    /// The sum of the squares of those distances.
    squares: f64,
}

/// The clusters, each of the next so many rows.
pub(super) fn clusters(columns: &[Vec<f64>], sizes: &[usize]) -> Vec<Cluster> {
    let mut start = 0;
    let of_size = |size: &usize| {
        let rows = start..start + size;
        start = rows.end;
        let mean = |column: &Vec<f64>| column[rows.clone()].iter().copied().collect::<Sum>().value() / *size as f64;
        let center: Vec<f64> = columns.iter().map(mean).collect();
        let squared = |row: usize| {
            columns
                .iter()
                .zip(&center)
                .map(|(column, middle)| (column[row] - middle) * (column[row] - middle))
                .sum::<f64>()
        };
        let squares = rows.clone().map(squared).collect::<Sum>().value();
        let spread = rows.map(|row| squared(row).sqrt()).collect::<Sum>().value() / *size as f64;
        Cluster { center, spread, squares }
    };
    sizes.iter().map(of_size).collect()
}

/// The mean over the clusters of the largest ratio of the spreads of two clusters, added, to the distance of their
/// middles (Davies and Bouldin 1979). `None` where the middles of two clusters are the same.
pub(super) fn davies_bouldin(clusters: &[Cluster]) -> Option<f64> {
    let worst = |(own, cluster): (usize, &Cluster)| {
        let others = clusters.iter().enumerate().filter(|(other, _)| *other != own);
        let ratios = others.map(|(_, other)| {
            let squares = cluster.center.iter().zip(&other.center).map(|(a, b)| (a - b) * (a - b));
            (cluster.spread + other.spread) / squares.sum::<f64>().sqrt()
        });
        // Not `f64::max`, which passes over the NaN of 0 / 0.
        ratios.fold(0.0, |worst: f64, ratio| if ratio > worst || ratio.is_nan() { ratio } else { worst })
    };
    let sum = clusters.iter().enumerate().map(worst).collect::<Sum>().value();
    Some(sum / clusters.len() as f64).filter(|index| index.is_finite())
}

/// The variance between the clusters to that within them (Caliński and Harabasz 1974). `None` where there is none
/// within.
pub(super) fn calinski_harabasz(columns: &[Vec<f64>], sizes: &[usize], clusters: &[Cluster]) -> Option<f64> {
    let rows: usize = sizes.iter().sum();
    let mean = |column: &Vec<f64>| column.iter().copied().collect::<Sum>().value() / rows as f64;
    let middle: Vec<f64> = columns.iter().map(mean).collect();
    let from_middle = |(cluster, size): (&Cluster, &usize)| {
        let squares = cluster.center.iter().zip(&middle).map(|(a, b)| (a - b) * (a - b));
        *size as f64 * squares.sum::<f64>()
    };
    let between = clusters.iter().zip(sizes).map(from_middle).collect::<Sum>().value();
    let within = clusters.iter().map(|cluster| cluster.squares).collect::<Sum>().value();
    let freedom = (rows - clusters.len()) as f64 / (clusters.len() - 1) as f64;
    (within > 0.0).then(|| between / within * freedom).filter(|index| index.is_finite())
}

/// How many rows two groupings put into each pair of groups.
pub(super) struct Agreement {
    pairs: Vec<((u32, u32), u64)>,
    first: Vec<u64>,
    second: Vec<u64>,
    rows: u64,
}

impl Agreement {
    /// Of the groups of each row.
    pub(super) fn of(groups: impl Iterator<Item = (u32, u32)>) -> Self {
        let (mut pairs, mut first, mut second) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut rows = 0;
        for (a, b) in groups {
            *pairs.entry((a, b)).or_insert(0) += 1;
            *first.entry(a).or_insert(0) += 1;
            *second.entry(b).or_insert(0) += 1;
            rows += 1;
        }
        Self {
            pairs: pairs.into_iter().collect(),
            first: first.into_values().collect(),
            second: second.into_values().collect(),
            rows,
        }
    }

    /// The adjusted Rand index (Hubert and Arabie 1985): 1 for equal groupings, 0 on average for random ones. Over
    /// pairs of rows, counted in integers. `None` of no rows.
    pub(super) fn adjusted_rand(&self) -> Option<f64> {
        let ordered =
            |counts: &mut dyn Iterator<Item = u64>| counts.map(|n| i128::from(n) * i128::from(n)).sum::<i128>();
        let rows = i128::from(self.rows);
        let together = ordered(&mut self.pairs.iter().map(|(_, count)| *count));
        let (in_first, in_second) =
            (ordered(&mut self.first.iter().copied()), ordered(&mut self.second.iter().copied()));
        let both = together - rows;
        let (only_first, only_second) = (in_first - together, in_second - together);
        let neither = rows * rows - in_first - in_second + together;
        if self.rows == 0 {
            return None;
        }
        if only_first == 0 && only_second == 0 {
            return Some(1.0);
        }
        let [both, only_first, only_second, neither] = [both, only_first, only_second, neither].map(|n| n as f64);
        let expected = (both + only_first) * (only_first + neither) + (both + only_second) * (only_second + neither);
        Some(2.0 * (both * neither - only_first * only_second) / expected)
    }

    /// The information that the groupings share, divided by the mean of their entropies: 0 for independent groupings, 1
    /// for equal ones. `None` of no rows.
    pub(super) fn normalized_mutual_information(&self) -> Option<f64> {
        if self.rows == 0 {
            return None;
        }
        let rows = self.rows as f64;
        let entropy = |counts: &[u64]| {
            -counts.iter().map(|count| *count as f64 / rows).map(|share| share * share.ln()).collect::<Sum>().value()
        };
        if self.first.len() == 1 && self.second.len() == 1 {
            return Some(1.0);
        }
        // The information shared is that of each less that of both together.
        let both: Vec<u64> = self.pairs.iter().map(|(_, count)| *count).collect();
        let (first, second) = (entropy(&self.first), entropy(&self.second));
        let shared = (first + second - entropy(&both)).max(0.0);
        Some((shared / f64::midpoint(first, second)).clamp(0.0, 1.0))
    }
}
