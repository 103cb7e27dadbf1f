//! Scores of a clustering beside the silhouette, as scikit-learn defines them.

use crate::clusters::{centers, sizes};
use crate::matrix::{Matrix, squared_distance};

/// How far clusters lie apart in comparison with their width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scores {
    /// The mean over the clusters of the largest sum of two clusters' widths by the distance of their centers (Davies &
    /// Bouldin 1979); lower is better. A width is the mean distance of a cluster's rows to its center.
    pub(crate) davies_bouldin: Option<f64>,
    /// The variance of the centers by the variance within clusters, each by its degrees of freedom (Caliński & Harabasz
    /// 1974); higher is better.
    pub(crate) calinski_harabasz: Option<f64>,
}

/// Rows of no cluster take no part. Both are undefined for a single cluster and where every row is one.
pub(crate) fn scores(data: &Matrix, labels: &[u32]) -> Scores {
    let all_sizes = sizes(labels);
    let all_centers = centers(labels, &all_sizes, data);
    let center = |label: usize| &all_centers[label * data.width..][..data.width];
    let clusters: Vec<usize> = (0..all_sizes.len()).filter(|&label| all_sizes[label] > 0).collect();
    let rows: usize = all_sizes.iter().sum();
    if clusters.len() < 2 || clusters.len() >= rows {
        return Scores { davies_bouldin: None, calinski_harabasz: None };
    }
    let mut mean = vec![0.0; data.width];
    for &label in &clusters {
        let share = all_sizes[label] as f64 / rows as f64;
        mean.iter_mut().zip(center(label)).for_each(|(mean, value)| *mean += share * value);
    }
    let (mut distances, mut within) = (vec![0.0; all_sizes.len()], 0.0);
    for (row, &label) in labels.iter().enumerate() {
        if let Some(distance) = distances.get_mut(label as usize) {
            let squared = squared_distance(data.row(row), center(label as usize));
            *distance += squared.sqrt();
            within += squared;
        }
    }
    let width = |label: usize| distances[label] / all_sizes[label] as f64;
    let between: f64 =
        clusters.iter().map(|&label| all_sizes[label] as f64 * squared_distance(center(label), &mean)).sum();
    // scikit-learn counts clusters whose centers coincide as not alike at all.
    let alike = |a: usize, b: usize| {
        let apart = squared_distance(center(a), center(b)).sqrt();
        if apart > 0.0 { (width(a) + width(b)) / apart } else { 0.0 }
    };
    let worst = |&a: &usize| clusters.iter().filter(|b| **b != a).map(|&b| alike(a, b)).fold(0.0, f64::max);
    let (k, n) = (clusters.len() as f64, rows as f64);
    let calinski_harabasz = if within > 0.0 { between * (n - k) / (within * (k - 1.0)) } else { 1.0 };
    Scores {
        davies_bouldin: Some(clusters.iter().map(worst).sum::<f64>() / k).filter(|score| score.is_finite()),
        calinski_harabasz: Some(calinski_harabasz).filter(|score| score.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Scores, scores};
    use crate::clusters::NOISE;
    use crate::matrix::Matrix;

    #[test]
    fn scores_are_those_of_scikit_learn() {
        let data = Matrix { values: vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 5.0, 5.0, 5.0, 6.0, 20.0, 0.0], width: 2 };
        // davies_bouldin_score(x, labels), calinski_harabasz_score(x, labels)
        for (labels, davies_bouldin, calinski_harabasz) in [
            ([0, 0, 0, 1, 1, 2], 0.121_589_008_120_377_7, 267.545_454_545_454_5),
            ([0, 1, 0, 1, 0, 1], 1.830_474_171_701_217_4, 0.895_781_637_717_122),
            ([0, 0, 0, 4, 4, 1], 0.121_589_008_120_377_7, 267.545_454_545_454_5),
        ] {
            let found = scores(&data, &labels);
            assert!((found.davies_bouldin.unwrap() / davies_bouldin - 1.0).abs() < 1e-14, "{found:?}");
            assert!((found.calinski_harabasz.unwrap() / calinski_harabasz - 1.0).abs() < 1e-14, "{found:?}");
        }
        let without = Matrix { values: data.values[..10].to_vec(), width: 2 };
        assert_eq!(scores(&data, &[0, 0, 0, 1, 1, NOISE]), scores(&without, &[0, 0, 0, 1, 1]));
        let none = Scores { davies_bouldin: None, calinski_harabasz: None };
        assert_eq!(scores(&data, &[0; 6]), none);
        assert_eq!(scores(&data, &[0, 1, 2, 3, 4, 5]), none);
        let equal = Matrix { values: vec![3.0; 4], width: 1 };
        assert_eq!(scores(&equal, &[0, 0, 1, 1]), Scores { davies_bouldin: Some(0.0), calinski_harabasz: Some(1.0) });
    }
}
