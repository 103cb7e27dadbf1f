//! The silhouette coefficient (Rousseeuw 1987) of several clusterings of the same rows at once.

use rayon::prelude::*;

use crate::matrix::{self, Matrix};

/// How many distances are computed before they are summed: they fit the first-level cache.
const BLOCK: usize = 1024;

/// How many rows are one task. It is fixed, so that sums do not depend on the number of threads.
const TASK: usize = 64;

/// For each clustering, the mean over the rows of `(b - a) / max(a, b)`: `a` is the mean distance to the other rows of
/// the own cluster, `b` the least mean distance to the rows of another. A row alone in its cluster counts 0, as in
/// scikit-learn. `None` for a single cluster, or when every row is one.
///
/// Exact, in time proportional to the square of the rows and without storing distances. Rows with the same labels in
/// all clusterings form a cell; cells lie together in memory, so that a row's distances are summed straight through,
/// cell by cell, and then added up per cluster of each clustering.
pub(crate) fn silhouettes<E: Send>(
    data: &Matrix,
    labelings: &[&[u32]],
    check: &(impl Fn() -> Result<(), E> + Sync),
) -> Result<Vec<Option<f64>>, E> {
    let rows = data.rows();
    let labels_of = |row: usize| labelings.iter().map(move |labels| labels[row]);
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|&a, &b| labels_of(a).cmp(labels_of(b)));
    // Feature by feature, in that order.
    let columns: Vec<Vec<f64>> = (0..data.width)
        .map(|feature| order.iter().map(|&row| data.values[row * data.width + feature]).collect())
        .collect();
    let cells: Vec<&[usize]> = order.chunk_by(|&a, &b| labels_of(a).eq(labels_of(b))).collect();
    let clusterings: Vec<Clustering> = labelings.iter().map(|labels| Clustering::of(labels, &cells)).collect();

    let tasks = order
        .par_chunks(TASK)
        .enumerate()
        .map(|(task, rows)| {
            check()?;
            let mut totals = vec![0.0; clusterings.len()];
            let mut distances = [0.0; BLOCK];
            let mut to_cells = vec![0.0; cells.len()];
            let mut to_clusters = Vec::new();
            for (position, &row) in (task * TASK..).zip(rows) {
                sum_distances(&columns, position, &cells, &mut distances, &mut to_cells);
                for (total, clustering) in totals.iter_mut().zip(&clusterings) {
                    *total += clustering.silhouette(row, &to_cells, &mut to_clusters);
                }
            }
            Ok(totals)
        })
        .collect::<Result<Vec<_>, E>>()?;

    let mean = |(index, clustering): (usize, &Clustering)| {
        let clusters = clustering.sizes.iter().filter(|size| **size > 0).count();
        let total: f64 = tasks.iter().map(|totals| totals[index]).sum();
        (1 < clusters && clusters < rows).then(|| total / rows as f64)
    };
    Ok(clusterings.iter().enumerate().map(mean).collect())
}

struct Clustering<'a> {
    labels: &'a [u32],
    of_cell: Vec<u32>,
    sizes: Vec<usize>,
}

impl<'a> Clustering<'a> {
    fn of(labels: &'a [u32], cells: &[&[usize]]) -> Self {
        let of_cell: Vec<u32> = cells.iter().map(|cell| labels[cell[0]]).collect();
        let mut sizes = vec![0; labels.iter().max().map_or(0, |label| *label as usize + 1)];
        for (label, cell) in of_cell.iter().zip(cells) {
            sizes[*label as usize] += cell.len();
        }
        Self { labels, of_cell, sizes }
    }

    fn silhouette(&self, row: usize, to_cells: &[f64], to_clusters: &mut Vec<f64>) -> f64 {
        let own = self.labels[row] as usize;
        if self.sizes[own] == 1 {
            return 0.0;
        }
        to_clusters.clear();
        to_clusters.resize(self.sizes.len(), 0.0);
        for (label, sum) in self.of_cell.iter().zip(to_cells) {
            to_clusters[*label as usize] += sum;
        }
        let within = to_clusters[own] / (self.sizes[own] - 1) as f64;
        let others =
            to_clusters.iter().zip(&self.sizes).enumerate().filter(|(label, (_, size))| *label != own && **size > 0);
        let between = others.map(|(_, (sum, size))| sum / *size as f64).fold(f64::INFINITY, f64::min);
        let larger = within.max(between);
        if larger > 0.0 && larger.is_finite() { (between - within) / larger } else { 0.0 }
    }
}

/// The sums of the distances of the row at `position` to the rows of each cell.
fn sum_distances(
    columns: &[Vec<f64>],
    position: usize,
    cells: &[&[usize]],
    distances: &mut [f64; BLOCK],
    to_cells: &mut [f64],
) {
    to_cells.fill(0.0);
    let rows = columns.first().map_or(0, Vec::len);
    let (mut cell, mut left_in_cell) = (0, cells[0].len());
    for start in (0..rows).step_by(BLOCK) {
        let distances = &mut distances[..BLOCK.min(rows - start)];
        matrix::distances(columns, position, start, distances);
        let mut rest = &*distances;
        while !rest.is_empty() {
            let (in_cell, beyond) = rest.split_at(left_in_cell.min(rest.len()));
            to_cells[cell] += sum(in_cell);
            left_in_cell -= in_cell.len();
            rest = beyond;
            if left_in_cell == 0 && cell + 1 < cells.len() {
                cell += 1;
                left_in_cell = cells[cell].len();
            }
        }
    }
}

/// In four interleaved sums, which a processor adds up side by side.
fn sum(values: &[f64]) -> f64 {
    let (fours, rest) = values.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for four in fours {
        sums.iter_mut().zip(four).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::silhouettes;
    use crate::matrix::Matrix;

    fn of(data: &Matrix, labelings: &[&[u32]]) -> Vec<Option<f64>> {
        silhouettes::<()>(data, labelings, &|| Ok(())).unwrap()
    }

    #[test]
    fn silhouettes_are_those_of_scikit_learn() {
        let data = Matrix { values: vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 5.0, 5.0, 5.0, 6.0, 20.0, 0.0], width: 2 };
        // sklearn.metrics.silhouette_score(q, labels); the first has a cluster of one row.
        let expected = [
            ([0, 0, 0, 1, 1, 2], 0.7037301582319236),
            ([0, 0, 0, 1, 1, 1], 0.42154146931765607),
            ([0, 1, 0, 1, 0, 1], -0.026844703317640717),
        ];
        let together = of(&data, &expected.each_ref().map(|(labels, _)| labels.as_slice()));
        for ((labels, expected), together) in expected.iter().zip(together) {
            let alone = of(&data, &[labels])[0].unwrap();
            assert!((alone - expected).abs() < 1e-15, "{labels:?}: {alone}");
            assert!((together.unwrap() - expected).abs() < 1e-15, "{labels:?}: {together:?}");
        }
        assert_eq!(of(&data, &[&[0; 6], &[5, 4, 3, 2, 1, 0]]), [None, None]);
        // A label that no row has.
        assert_eq!(of(&data, &[&[0, 0, 0, 3, 3, 2]]), of(&data, &[&[0, 0, 0, 1, 1, 2]]));
        let equal = Matrix { values: vec![1.0; 4], width: 1 };
        assert_eq!(of(&equal, &[&[0, 0, 1, 1]]), [Some(0.0)]);
    }

    #[test]
    fn blocks_and_cells_do_not_matter() {
        // 3,000 rows are three blocks of distances; the reference is the definition.
        let values: Vec<f64> = (0..6000u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e6).collect();
        let data = Matrix { values, width: 2 };
        let labels: Vec<u32> =
            (0..3000).map(|row| u32::from(data.row(row)[0] > 8.0) + u32::from(row.is_multiple_of(7))).collect();
        let other: Vec<u32> = (0..3000).map(|row| row % 5).collect();
        let of_row = |row: usize| {
            let (mut sums, mut sizes) = ([0.0; 3], [0.0; 3]);
            for to in 0..3000 {
                let [a, b] = [row, to].map(|row| data.row(row));
                sums[labels[to] as usize] += (a[0] - b[0]).hypot(a[1] - b[1]);
                sizes[labels[to] as usize] += 1.0;
            }
            let own = labels[row] as usize;
            let within = sums[own] / (sizes[own] - 1.0);
            let between =
                (0..3).filter(|label| *label != own).map(|l| sums[l] / sizes[l]).fold(f64::INFINITY, f64::min);
            (between - within) / between.max(within)
        };
        let expected = (0..3000).map(of_row).sum::<f64>() / 3000.0;
        for labelings in [vec![labels.as_slice()], vec![other.as_slice(), labels.as_slice()]] {
            let found = of(&data, &labelings).pop().unwrap().unwrap();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
