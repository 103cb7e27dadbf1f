//! The silhouette of rows (Rousseeuw 1987), from all distances between them.

use rayon::prelude::*;

/// How many distances are computed before they are summed: they fit the first-level cache.
const BLOCK: usize = 1024;

/// How many rows are one task. It is fixed, so that nothing depends on the number of threads.
const TASK: usize = 64;

/// The silhouette of each row: `(b - a) / max(a, b)`, where `a` is the mean distance to the other rows of its cluster
/// and `b` the least mean distance to the rows of another. A row alone in its cluster has 0.
///
/// `columns` are the features, `sizes` the number of rows of each cluster: the rows lie cluster by cluster. In time
/// proportional to the square of the rows, without storing distances.
pub(super) fn silhouettes<E: Send>(
    columns: &[Vec<f64>],
    sizes: &[usize],
    check: &(impl Fn() -> Result<(), E> + Sync),
) -> Result<Vec<f64>, E> {
    let rows: usize = sizes.iter().sum();
    let cluster_of: Vec<usize> =
        sizes.iter().enumerate().flat_map(|(cluster, size)| std::iter::repeat_n(cluster, *size)).collect();
    let tasks: Vec<Vec<f64>> = cluster_of
        .par_chunks(TASK)
        .enumerate()
        .map(|(task, clusters)| {
            check()?;
            let mut sums = vec![0.0; sizes.len()];
            let of_row = |(row, own): (usize, &usize)| {
                sum_distances(columns, row, rows, sizes, &mut sums);
                silhouette(*own, &sums, sizes)
            };
            Ok((task * TASK..).zip(clusters).map(of_row).collect())
        })
        .collect::<Result<_, E>>()?;
    Ok(tasks.into_iter().flatten().collect())
}

/// The sums of the distances of a row to the rows of each cluster.
fn sum_distances(columns: &[Vec<f64>], row: usize, rows: usize, sizes: &[usize], sums: &mut [f64]) {
    let mut block = [0.0; BLOCK];
    let mut start = 0;
    for (sum, size) in sums.iter_mut().zip(sizes) {
        *sum = 0.0;
        let end = (start + size).min(rows);
        while start < end {
            let length = BLOCK.min(end - start);
            let distances = &mut block[..length];
            distances.fill(0.0);
            for column in columns {
                let own = column[row];
                for (distance, other) in distances.iter_mut().zip(&column[start..end]) {
                    *distance += (own - other) * (own - other);
                }
            }
            distances.iter_mut().for_each(|distance| *distance = distance.sqrt());
            *sum += distances.iter().sum::<f64>();
            start += length;
        }
    }
}

fn silhouette(own: usize, sums: &[f64], sizes: &[usize]) -> f64 {
    if sizes[own] == 1 {
        return 0.0;
    }
    let within = sums[own] / (sizes[own] - 1) as f64;
    let others = sums.iter().zip(sizes).enumerate().filter(|(cluster, (_, size))| *cluster != own && **size > 0);
    let between = others.map(|(_, (sum, size))| sum / *size as f64).fold(f64::INFINITY, f64::min);
    let larger = within.max(between);
    if larger > 0.0 && larger.is_finite() { (between - within) / larger } else { 0.0 }
}
