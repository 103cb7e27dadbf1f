//! k-means: greedy k-means++ seeding, then Lloyd's iterations with Hamerly's bounds.
//!
//! All sums over rows run over chunks of a fixed size and then over the chunks in order: the result does not depend on
//! the number of threads.

use rand::Rng;
use rayon::prelude::*;

use crate::matrix::{CHUNK, Matrix, squared_distance};
use crate::simd::wide;

/// A clustering.
pub(crate) struct Fit {
    /// Which cluster each row belongs to; there are fewer than asked for where the data has fewer distinct rows.
    pub(crate) labels: Vec<u32>,
    /// The centers to which the labels belong.
    pub(crate) centers: Vec<f64>,
    /// The sum over the rows of the squared distance to their center.
    pub(crate) wcss: f64,
    pub(crate) iterations: usize,
}

/// When to stop.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_iter: usize,
    /// Of the sum of the squared distances that the centers moved in one iteration.
    pub(crate) movement: f64,
}

/// One start of k-means. `check` is called between iterations and may end it.
pub(crate) fn fit<E>(
    data: &Matrix,
    k: usize,
    limits: Limits,
    rng: &mut impl Rng,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Fit, E> {
    settle(data, seed(data, k, rng, check)?, limits, check)
}

/// Lloyd's iterations from these centers.
pub(crate) fn settle<E>(
    data: &Matrix,
    mut centers: Vec<f64>,
    limits: Limits,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Fit, E> {
    let mut rows = Rows {
        labels: vec![NONE; data.rows()],
        upper: vec![f64::INFINITY; data.rows()],
        lower: vec![0.0; data.rows()],
        sums: Sums::new(centers.len() / data.width, data.width),
    };
    let mut moved = vec![0.0; centers.len() / data.width];
    let mut iterations = 0;
    let mut settled = false;
    while iterations < limits.max_iter && !settled {
        check()?;
        let changed = rows.assign(data, &centers, &moved);
        let mut sums = rows.sums.clone();
        sums.fill_empty(data, &centers, &rows.labels);
        moved = sums.move_centers(&mut centers, data.width);
        iterations += 1;
        settled = !changed;
        if !settled && moved.iter().map(|moved| moved * moved).sum::<f64>() <= limits.movement {
            break;
        }
    }
    if !settled {
        // The centers moved after the last assignment.
        rows.assign(data, &centers, &moved);
    }
    let wcss = (data.values.par_chunks(CHUNK * data.width), rows.labels.par_chunks(CHUNK))
        .into_par_iter()
        .map(|(values, labels)| {
            let own = labels.iter().map(|&label| &centers[label as usize * data.width..][..data.width]);
            values.chunks_exact(data.width).zip(own).map(|(row, center)| squared_distance(row, center)).sum::<f64>()
        })
        .collect::<Vec<_>>();
    Ok(Fit { labels: rows.labels, centers, wcss: wcss.into_iter().sum(), iterations })
}

/// The label of the nearest of these centers for each row, the first of several, and the WCSS.
pub(crate) fn assign(data: &Matrix, centers: &[f64]) -> (Vec<u32>, f64) {
    let lanes = Lanes::of(centers.chunks_exact(data.width), data.width);
    let k = centers.len() / data.width;
    let mut labels = vec![0; data.rows()];
    let wcss = (data.values.par_chunks(CHUNK * data.width), labels.par_chunks_mut(CHUNK))
        .into_par_iter()
        .map(|(values, labels)| {
            let mut squared = lanes.buffer();
            let mut wcss = 0.0;
            wide!({
                for (row, label) in values.chunks_exact(data.width).zip(labels) {
                    lanes.squared_distances(row, &mut squared);
                    let (nearest, least, _) = two_nearest(&squared[..k], 0);
                    *label = nearest as u32;
                    wcss += least;
                }
            });
            wcss
        })
        .collect::<Vec<f64>>();
    (labels, wcss.into_iter().sum())
}

/// What each center is good for.
pub(crate) struct Worth {
    /// The sum of the squared distances of its rows.
    pub(crate) error: f64,
    /// By how much that grows if its rows had to go to the next nearest center.
    pub(crate) utility: f64,
}

/// The worth of each of at least two centers.
pub(crate) fn worth(data: &Matrix, centers: &[f64]) -> Vec<Worth> {
    let lanes = Lanes::of(centers.chunks_exact(data.width), data.width);
    let k = centers.len() / data.width;
    let none = || (0..k).map(|_| Worth { error: 0.0, utility: 0.0 }).collect::<Vec<_>>();
    let chunks = data.values.par_chunks(CHUNK * data.width).map(|values| {
        let mut squared = lanes.buffer();
        let mut worth = none();
        wide!({
            for row in values.chunks_exact(data.width) {
                lanes.squared_distances(row, &mut squared);
                let (nearest, first, second) = two_nearest(&squared[..k], 0);
                worth[nearest].error += first;
                worth[nearest].utility += second - first;
            }
        });
        worth
    });
    chunks.collect::<Vec<_>>().into_iter().fold(none(), |mut all, chunk| {
        for (sum, part) in all.iter_mut().zip(chunk) {
            sum.error += part.error;
            sum.utility += part.utility;
        }
        all
    })
}

/// Greedy k-means++ (Arthur & Vassilvitskii 2007, with the candidates of scikit-learn): each further center is the best
/// of `2 + ln k` rows drawn in proportion to their squared distance from the nearest center so far. Ends early when
/// every row lies on a center.
pub(crate) fn seed<E>(
    data: &Matrix,
    k: usize,
    rng: &mut impl Rng,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    let candidates = 2 + (k as f64).ln() as usize;
    let mut centers = data.row(rng.random_range(0..data.rows())).to_vec();
    let mut nearest = vec![f64::INFINITY; data.rows()];
    let mut weights = approach(data, &mut nearest, &centers);
    while centers.len() < k * data.width {
        check()?;
        let weight: f64 = weights.iter().sum();
        if weight <= 0.0 {
            break;
        }
        let drawn: Vec<usize> =
            (0..candidates).map(|_| draw(&nearest, &weights, rng.random::<f64>() * weight)).collect();
        let lanes = Lanes::of(drawn.iter().map(|&row| data.row(row)), data.width);
        let left = (data.values.par_chunks(CHUNK * data.width), nearest.par_chunks(CHUNK))
            .into_par_iter()
            .map(|(values, nearest)| {
                let mut left = vec![0.0; candidates];
                let mut squared = lanes.buffer();
                wide!({
                    for (row, nearest) in values.chunks_exact(data.width).zip(nearest) {
                        lanes.squared_distances(row, &mut squared);
                        for (left, squared) in left.iter_mut().zip(&squared) {
                            *left += squared.min(*nearest);
                        }
                    }
                });
                left
            })
            .collect::<Vec<_>>();
        let left = |candidate: usize| left.iter().map(|chunk| chunk[candidate]).sum::<f64>();
        let best = (0..candidates).map(left).enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(best, _)| best);
        let center = data.row(drawn[best]);
        weights = approach(data, &mut nearest, center);
        centers.extend_from_slice(center);
    }
    Ok(centers)
}

/// Lowers each row's squared distance from the nearest center to the one from this center; gives their sums by chunk.
fn approach(data: &Matrix, nearest: &mut [f64], center: &[f64]) -> Vec<f64> {
    (data.values.par_chunks(CHUNK * data.width), nearest.par_chunks_mut(CHUNK))
        .into_par_iter()
        .map(|(values, nearest)| {
            let mut sum = 0.0;
            for (row, nearest) in values.chunks_exact(data.width).zip(nearest) {
                *nearest = nearest.min(squared_distance(row, center));
                sum += *nearest;
            }
            sum
        })
        .collect()
}

/// The row at which the running sum of the weights exceeds `target`; never one without weight.
fn draw(weights: &[f64], sums: &[f64], target: f64) -> usize {
    let mut before = 0.0;
    let mut chunk = 0;
    for (index, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
        chunk = index;
        if before + sum > target {
            break;
        }
        before += sum;
    }
    let mut chosen = 0;
    for (index, weight) in weights.iter().enumerate().skip(chunk * CHUNK).take(CHUNK).filter(|(_, w)| **w > 0.0) {
        chosen = index;
        before += weight;
        if before > target {
            break;
        }
    }
    chosen
}

/// The state of the rows: their labels, and bounds on their distances that spare most computations (Hamerly, Making
/// k-means even faster, 2010).
struct Rows {
    labels: Vec<u32>,
    /// At least the distance to the own center.
    upper: Vec<f64>,
    /// At most the distance to any other center.
    lower: Vec<f64>,
    /// The rows of each center, added up. They follow the changes, so that rows which stay need not be read.
    sums: Sums,
}

/// The label of a row that was not assigned yet.
const NONE: u32 = u32::MAX;

impl Rows {
    /// Gives every row the label of the nearest center, the own one or else the first where several are equally near.
    /// `moved` says how far each center went since the bounds were computed. Gives whether a label changed.
    fn assign(&mut self, data: &Matrix, centers: &[f64], moved: &[f64]) -> bool {
        let width = data.width;
        let center = |label: usize| &centers[label * width..][..width];
        let k = centers.len() / width;
        let half_gaps: Vec<f64> = (0..k)
            .map(|a| {
                let others = (0..k).filter(|b| *b != a).map(|b| squared_distance(center(a), center(b)));
                others.fold(f64::INFINITY, f64::min).sqrt() / 2.0
            })
            .collect();
        let farthest = moved.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
        let second = moved.iter().enumerate().filter(|(at, _)| *at != farthest).map(|(_, m)| *m).fold(0.0, f64::max);
        let lanes = Lanes::of(centers.chunks_exact(width), width);

        let chunks = (
            data.values.par_chunks(CHUNK * width),
            self.labels.par_chunks_mut(CHUNK),
            self.upper.par_chunks_mut(CHUNK),
            self.lower.par_chunks_mut(CHUNK),
        );
        let changes = chunks
            .into_par_iter()
            .map(|(values, labels, upper, lower)| {
                let mut changes: Option<Sums> = None;
                let mut squared = lanes.buffer();
                wide!({
                    for (((row, label), upper), lower) in values.chunks_exact(width).zip(labels).zip(upper).zip(lower) {
                        let before = *label;
                        let own = if before == NONE { 0 } else { before as usize };
                        *upper += moved[own];
                        *lower -= if own == farthest { second } else { moved[farthest] };
                        let safe = lower.max(half_gaps[own]);
                        if before != NONE {
                            if *upper <= safe {
                                continue;
                            }
                            *upper = squared_distance(row, center(own)).sqrt();
                            if *upper <= safe {
                                continue;
                            }
                        }
                        lanes.squared_distances(row, &mut squared);
                        let (nearest, first, second) = two_nearest(&squared[..k], own);
                        *upper = first.sqrt();
                        *lower = second.sqrt();
                        *label = nearest as u32;
                        if *label != before {
                            let changes = changes.get_or_insert_with(|| Sums::new(k, width));
                            changes.add(nearest, row);
                            if before != NONE {
                                changes.subtract(own, row);
                            }
                        }
                    }
                });
                changes
            })
            .collect::<Vec<_>>();
        let mut changed = false;
        for changes in changes.into_iter().flatten() {
            self.sums.merge(&changes);
            changed = true;
        }
        changed
    }
}

/// The position of the least, the least, and the second least; `own` wins a tie.
#[inline(always)]
fn two_nearest(squared: &[f64], own: usize) -> (usize, f64, f64) {
    let (mut nearest, mut first, mut second) = (own, squared[own], f64::INFINITY);
    for (index, &squared) in squared.iter().enumerate() {
        if squared < first {
            second = first;
            first = squared;
            nearest = index;
        } else if index != nearest && squared < second {
            second = squared;
        }
    }
    (nearest, first, second)
}

/// Rows added up by center, or how that changes.
#[derive(Clone)]
struct Sums {
    values: Vec<f64>,
    counts: Vec<i64>,
}

impl Sums {
    fn new(k: usize, width: usize) -> Self {
        Self { values: vec![0.0; k * width], counts: vec![0; k] }
    }

    fn add(&mut self, label: usize, row: &[f64]) {
        self.counts[label] += 1;
        for (sum, value) in self.values[label * row.len()..].iter_mut().zip(row) {
            *sum += value;
        }
    }

    fn subtract(&mut self, label: usize, row: &[f64]) {
        self.counts[label] -= 1;
        for (sum, value) in self.values[label * row.len()..].iter_mut().zip(row) {
            *sum -= value;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, other)| *sum += other);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
    }

    /// Moves the rows farthest from their center to the centers that have no rows.
    fn fill_empty(&mut self, data: &Matrix, centers: &[f64], labels: &[u32]) {
        let empty: Vec<usize> = (0..self.counts.len()).filter(|&label| self.counts[label] == 0).collect();
        if empty.is_empty() {
            return;
        }
        let width = data.width;
        let mut rows: Vec<(f64, usize)> = (0..data.rows())
            .map(|row| (squared_distance(data.row(row), &centers[labels[row] as usize * width..][..width]), row))
            .collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut rows = rows.into_iter().take_while(|(distance, _)| *distance > 0.0);
        for label in empty {
            let Some((_, row)) = rows.find(|(_, row)| self.counts[labels[*row] as usize] > 1) else { return };
            self.subtract(labels[row] as usize, data.row(row));
            self.add(label, data.row(row));
        }
    }

    /// Moves the centers to the means of their rows; gives how far each went.
    fn move_centers(&self, centers: &mut [f64], width: usize) -> Vec<f64> {
        let sums = self.values.chunks_exact(width).zip(&self.counts);
        centers
            .chunks_exact_mut(width)
            .zip(sums)
            .map(|(center, (sum, &count))| {
                if count == 0 {
                    return 0.0;
                }
                let mut squared = 0.0;
                for (center, sum) in center.iter_mut().zip(sum) {
                    let mean = sum / count as f64;
                    squared += (mean - *center) * (mean - *center);
                    *center = mean;
                }
                squared.sqrt()
            })
            .collect()
    }
}

const LANES: usize = 8;

/// Points laid out so that the distances of a row to eight of them are computed at once.
struct Lanes {
    /// By block of eight points, then by feature.
    blocks: Vec<[f64; LANES]>,
    width: usize,
}

impl Lanes {
    fn of<'a>(points: impl ExactSizeIterator<Item = &'a [f64]>, width: usize) -> Self {
        let mut blocks = vec![[0.0; LANES]; points.len().div_ceil(LANES) * width];
        for (index, point) in points.enumerate() {
            for (block, value) in blocks[index / LANES * width..].iter_mut().zip(point) {
                block[index % LANES] = *value;
            }
        }
        Self { blocks, width }
    }

    /// Room for the distances to all points and to the rest of the last block.
    fn buffer(&self) -> Vec<f64> {
        vec![0.0; self.blocks.len() / self.width * LANES]
    }

    #[inline(always)]
    fn squared_distances(&self, row: &[f64], out: &mut [f64]) {
        for (block, out) in self.blocks.chunks_exact(self.width).zip(out.chunks_exact_mut(LANES)) {
            let mut squared = [0.0; LANES];
            for (points, value) in block.iter().zip(row) {
                for (squared, point) in squared.iter_mut().zip(points) {
                    let difference = value - point;
                    *squared += difference * difference;
                }
            }
            out.copy_from_slice(&squared);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{Fit, Limits, Sums, draw, fit};
    use crate::clusters::{centers, count, sizes};
    use crate::matrix::{CHUNK, Matrix, squared_distance};

    fn points(rows: usize, width: usize) -> Matrix {
        let values = (0..rows * width).map(|i| f64::from((i as u32).wrapping_mul(2_654_435_761) >> 8) / 1e6).collect();
        Matrix { values, width }
    }

    fn start(data: &Matrix, k: usize, seed: u64) -> Fit {
        let limits = Limits { max_iter: 300, movement: 0.0 };
        fit::<()>(data, k, limits, &mut StdRng::seed_from_u64(seed), &|| Ok(())).unwrap()
    }

    /// Without bounds: each row has the nearest center, and each center is the mean of its rows.
    #[test]
    fn a_settled_start_is_a_fixed_point_of_lloyd() {
        for (rows, width, k) in [(500, 3, 7), (3 * CHUNK + 5, 2, 12), (40, 1, 9)] {
            let data = points(rows, width);
            let fit = start(&data, k, 1);
            let centers = centers(&fit.labels, &sizes(&fit.labels), &data);
            let center = |label: usize| &centers[label * width..][..width];
            let mut wcss = 0.0;
            let mut sums = Sums::new(k, width);
            for row in 0..rows {
                let own = squared_distance(data.row(row), center(fit.labels[row] as usize));
                let least =
                    (0..k).map(|label| squared_distance(data.row(row), center(label))).fold(f64::INFINITY, f64::min);
                assert!(own <= least * (1.0 + 1e-12), "row {row}: {own} {least}");
                wcss += own;
                sums.add(fit.labels[row] as usize, data.row(row));
            }
            assert!((wcss - fit.wcss).abs() < 1e-9 * wcss);
            let moved = sums.move_centers(&mut centers.clone(), width);
            assert!(moved.iter().all(|moved| *moved < 1e-10), "{moved:?}");
        }
    }

    #[test]
    fn one_thread_and_many_give_the_same_bits() {
        let data = points(3 * CHUNK + 5, 2);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| start(&data, 6, 3))
        };
        let (one, five) = (with(1), with(5));
        assert_eq!(one.labels, five.labels);
        assert_eq!(one.wcss.to_bits(), five.wcss.to_bits());
    }

    #[test]
    fn the_farthest_rows_fill_empty_clusters() {
        let data = Matrix { values: vec![0.0, 1.0, 2.0, 9.0, 5.0], width: 1 };
        let labels = [0, 0, 0, 0, 0];
        let mut sums = Sums::new(3, 1);
        data.values.iter().for_each(|value| sums.add(0, &[*value]));
        // Distances from 1: 1, 0, 1, 8, 4.
        sums.fill_empty(&data, &[1.0, 50.0, 60.0], &labels);
        assert_eq!(sums.values, [3.0, 9.0, 5.0]);
        assert_eq!(sums.counts, [3, 1, 1]);
    }

    #[test]
    fn rows_are_drawn_by_weight() {
        let mut weights = vec![0.0; 2 * CHUNK];
        weights[3] = 1.0;
        weights[CHUNK + 1] = 3.0;
        let sums = [1.0, 3.0];
        assert_eq!(draw(&weights, &sums, 0.0), 3);
        assert_eq!(draw(&weights, &sums, 0.999), 3);
        assert_eq!(draw(&weights, &sums, 1.0), CHUNK + 1);
        // Rounding may leave the target at the very sum.
        assert_eq!(draw(&weights, &sums, 4.0), CHUNK + 1);
    }

    #[test]
    fn there_are_no_more_clusters_than_distinct_rows() {
        let data = Matrix { values: vec![1.0, 2.0, 1.0, 3.0, 2.0], width: 1 };
        let fit = start(&data, 10, 1);
        assert_eq!(count(&fit.labels), 3);
        assert_eq!(fit.wcss, 0.0);
    }
}
