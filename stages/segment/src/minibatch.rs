//! Mini-batch k-means (Sculley 2010), with the stopping rule and the reassignment of scikit-learn's `MiniBatchKMeans`.

use rand::Rng;
use rand::seq::index;

use crate::clusters::{centers as means, sizes};
use crate::lloyd::{assign, seed};
use crate::matrix::Matrix;

/// The parameters.
pub(crate) struct MiniBatch {
    pub(crate) k: usize,
    pub(crate) batch_size: usize,
    pub(crate) n_init: usize,
    /// How often, on average, each row may be drawn.
    pub(crate) max_iter: usize,
    /// The number of batches without improvement, one after the other, that ends it.
    pub(crate) patience: usize,
    /// Centers with fewer rows than this part of the largest are moved.
    pub(crate) reassignment_ratio: f64,
}

/// A clustering.
pub(crate) struct Fit {
    pub(crate) labels: Vec<u32>,
    /// Over all rows.
    pub(crate) wcss: f64,
    /// How many batches were drawn.
    pub(crate) batches: usize,
}

impl MiniBatch {
    /// `check` is called before each batch and may end it.
    pub(crate) fn fit<E>(
        &self,
        data: &Matrix,
        rng: &mut impl Rng,
        check: &impl Fn() -> Result<(), E>,
    ) -> Result<Fit, E> {
        let rows = data.rows();
        let size = self.batch_size.min(rows);
        let mut centers = self.start(data, rng, check)?;
        let mut weights = vec![0.0; centers.len() / data.width];
        let limit = (self.max_iter as u128 * rows as u128).div_ceil(size as u128).max(1) as usize;
        let mut progress = Progress::new((2.0 * size as f64 / (rows as f64 + 1.0)).min(1.0));
        let mut since_moved = 0;
        let mut batches = 0;
        while batches < limit {
            check()?;
            let drawn: Vec<usize> = (0..size).map(|_| rng.random_range(0..rows)).collect();
            let batch = data.select(&drawn);
            let (labels, wcss) = assign(&batch, &centers);
            approach(&batch, &labels, &mut centers, &mut weights);
            since_moved += size;
            if weights.contains(&0.0) || since_moved >= 10 * weights.len() {
                since_moved = 0;
                self.move_small(&batch, &mut centers, &mut weights, rng);
            }
            batches += 1;
            // The first batch is far too good or too bad.
            if batches > 1 && progress.stalled(wcss / size as f64, self.patience) {
                break;
            }
        }
        let (labels, wcss) = assign(data, &centers);
        Ok(Fit { labels, wcss, batches })
    }

    /// The best of several starts over a few batches of rows.
    fn start<E>(&self, data: &Matrix, rng: &mut impl Rng, check: &impl Fn() -> Result<(), E>) -> Result<Vec<f64>, E> {
        let size = (3 * self.batch_size).max(3 * self.k).min(data.rows());
        let mut sample = || data.select(&index::sample(rng, data.rows(), size).into_vec());
        let judge = sample();
        let samples: Vec<Matrix> = (0..self.n_init).map(|_| sample()).collect();
        let mut best: Option<(f64, Vec<f64>)> = None;
        for sample in &samples {
            let centers = seed(sample, self.k, rng, check)?;
            let (_, wcss) = assign(&judge, &centers);
            if best.as_ref().is_none_or(|best| wcss < best.0) {
                best = Some((wcss, centers));
            }
        }
        Ok(best.map(|best| best.1).unwrap_or_default())
    }

    /// Centers that got hardly any rows move to rows of the batch.
    fn move_small(&self, batch: &Matrix, centers: &mut [f64], weights: &mut [f64], rng: &mut impl Rng) {
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let mut small: Vec<usize> =
            (0..weights.len()).filter(|&label| weights[label] < self.reassignment_ratio * largest).collect();
        // Half of the batch at most: the smallest ones, in their order.
        small.sort_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(a.cmp(&b)));
        small.truncate(batch.rows() / 2);
        let least = (0..weights.len())
            .filter(|label| !small.contains(label))
            .map(|label| weights[label])
            .fold(f64::INFINITY, f64::min);
        let rows = index::sample(rng, batch.rows(), small.len());
        for (label, row) in small.into_iter().zip(rows) {
            centers[label * batch.width..][..batch.width].copy_from_slice(batch.row(row));
            weights[label] = least;
        }
    }
}

/// Moves each center to the mean of all rows it ever got; one that got none stays.
fn approach(batch: &Matrix, labels: &[u32], centers: &mut [f64], weights: &mut [f64]) {
    let got = sizes(labels);
    let means = means(labels, &got, batch);
    let means = means.chunks_exact(batch.width).zip(got);
    for ((center, weight), (mean, got)) in centers.chunks_exact_mut(batch.width).zip(weights).zip(means) {
        if got > 0 {
            *weight += got as f64;
            let step = got as f64 / *weight;
            center.iter_mut().zip(mean).for_each(|(center, mean)| *center += step * (mean - *center));
        }
    }
}

/// Whether batches still get better: their WCSS per row, averaged with more weight for later ones.
struct Progress {
    weight: f64,
    average: Option<f64>,
    best: f64,
    without: usize,
}

impl Progress {
    fn new(weight: f64) -> Self {
        Self { weight, average: None, best: f64::INFINITY, without: 0 }
    }

    fn stalled(&mut self, wcss: f64, patience: usize) -> bool {
        let average = self.average.map_or(wcss, |average| average * (1.0 - self.weight) + wcss * self.weight);
        self.average = Some(average);
        if average < self.best {
            self.best = average;
            self.without = 0;
        } else {
            self.without += 1;
        }
        self.without >= patience
    }
}
