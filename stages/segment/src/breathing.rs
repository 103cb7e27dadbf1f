//! Breathing k-means (Fritzke 2020, arXiv:2006.15666): a clustering gets some centers more where its error is largest,
//! and loses as many that are worth least, as long as that makes it better. It leaves local optima in which starts of
//! their own end again and again.

use rand::Rng;

use crate::exchange::exchange;
use crate::lloyd::{Fit, Limits, settle, worth};
use crate::matrix::{Matrix, squared_distance};

/// With how many centers more the first breath is taken; each one that does not help makes the next smaller.
const DEPTH: usize = 5;

/// How far a new center is put beside the one that it relieves, in root mean squared distances of a row to its center.
const OFFSET: f64 = 0.01;

/// The clustering made better, or as it was. `check` is called between iterations and may end it.
pub(crate) fn improve<E>(
    data: &Matrix,
    fit: Fit,
    limits: Limits,
    rng: &mut impl Rng,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Fit, E> {
    let k = fit.centers.len() / data.width;
    let iterations = fit.iterations;
    let mut best = fit;
    let mut depth = DEPTH.min(k);
    // A single center is the mean, and where every row lies on a center nothing can be better.
    while depth > 0 && k > 1 && best.wcss > 0.0 {
        let wider = settle(data, inhale(data, &best, depth, rng), limits, check)?;
        let next = settle(data, exhale(data, wider.centers, k), limits, check)?;
        if is_better(&next, &best) {
            best = next;
            depth = DEPTH.min(k);
        } else {
            depth -= 1;
        }
    }
    // Those of the start are what a reader knows.
    Ok(Fit { iterations, ..finish(data, best.centers, limits, check)? })
}

/// A clustering made of this one, with a center more or a center less.
pub(crate) fn neighbour<E>(
    data: &Matrix,
    fit: &Fit,
    more: bool,
    limits: Limits,
    rng: &mut impl Rng,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Fit, E> {
    let k = fit.centers.len() / data.width;
    let centers = if more { inhale(data, fit, 1, rng) } else { exhale(data, fit.centers.clone(), k.saturating_sub(1)) };
    finish(data, centers, limits, check)
}

/// Iterations of Lloyd and exchanges, to the end: the last digits count where clusterings are compared.
fn finish<E>(data: &Matrix, centers: Vec<f64>, limits: Limits, check: &impl Fn() -> Result<(), E>) -> Result<Fit, E> {
    let limits = Limits { movement: 0.0, ..limits };
    let fit = exchange(data, settle(data, centers, limits, check)?, limits.max_iter, check)?;
    let iterations = fit.iterations;
    // The labels are those of the nearest centers now; this adds the WCSS up as that of a start.
    Ok(Fit { iterations, ..settle(data, fit.centers, limits, check)? })
}

/// Whether the one is better by more than rounding.
pub(crate) fn is_better(one: &Fit, other: &Fit) -> bool {
    one.wcss < other.wcss * (1.0 - 1e-9)
}

/// The centers, and one more beside each of those with the largest error.
fn inhale(data: &Matrix, fit: &Fit, depth: usize, rng: &mut impl Rng) -> Vec<f64> {
    let worth = worth(data, &fit.centers);
    let mut order: Vec<usize> = (0..worth.len()).collect();
    order.sort_by(|&a, &b| worth[b].error.total_cmp(&worth[a].error).then(a.cmp(&b)));
    let offset = OFFSET * (fit.wcss / data.rows() as f64).sqrt();
    let mut centers = fit.centers.clone();
    for center in order.into_iter().take(depth) {
        let from = center * data.width;
        centers.extend(
            fit.centers[from..from + data.width].iter().map(|value| value + offset * rng.random_range(-1.0..1.0)),
        );
    }
    centers
}

/// The centers without those of least utility, down to `k`. Of two that are near each other one stays: each makes the
/// other look useless.
fn exhale(data: &Matrix, centers: Vec<f64>, k: usize) -> Vec<f64> {
    let count = centers.len() / data.width;
    let center = |at: usize| &centers[at * data.width..][..data.width];
    let worth = worth(data, &centers);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| worth[a].utility.total_cmp(&worth[b].utility).then(a.cmp(&b)));
    let mut goes = vec![false; count];
    let mut spared = vec![false; count];
    let mut left = count - k;
    for &at in &order {
        if left == 0 || spared[at] {
            continue;
        }
        goes[at] = true;
        left -= 1;
        let others = (0..count).filter(|&other| !goes[other]);
        let nearest = others.min_by(|&a, &b| {
            squared_distance(center(at), center(a)).total_cmp(&squared_distance(center(at), center(b)))
        });
        // Never so many that too few are left to go.
        if let Some(nearest) = nearest
            && spared.iter().filter(|spared| **spared).count() < k
        {
            spared[nearest] = true;
        }
    }
    (0..count).filter(|&at| !goes[at]).flat_map(center).copied().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{exhale, improve};
    use crate::lloyd::{Limits, settle};
    use crate::matrix::Matrix;

    const LIMITS: Limits = Limits { max_iter: 100, movement: 0.0 };

    /// Four heaps of four on a line, and centers of which two share a heap and one has two.
    #[test]
    fn it_leaves_a_local_optimum() {
        let heap = |middle: f64| [middle - 0.3, middle - 0.1, middle + 0.1, middle + 0.3];
        let data = Matrix { values: [0.0, 10.0, 20.0, 30.0].into_iter().flat_map(heap).collect(), width: 1 };
        let stuck = settle::<()>(&data, vec![-0.2, 0.2, 10.0, 25.0], LIMITS, &|| Ok(())).unwrap();
        assert!(stuck.wcss > 200.0, "{}", stuck.wcss);
        let free = improve::<()>(&data, stuck, LIMITS, &mut StdRng::seed_from_u64(1), &|| Ok(())).unwrap();
        let mut centers = free.centers;
        centers.sort_by(f64::total_cmp);
        assert!(centers.iter().zip([0.0, 10.0, 20.0, 30.0]).all(|(center, middle)| (center - middle).abs() < 1e-9));
        assert!((free.wcss - 0.8).abs() < 1e-9, "{}", free.wcss);
    }

    #[test]
    fn of_two_centers_in_one_place_one_stays() {
        let data = Matrix { values: vec![0.0, 0.1, 5.0, 5.1, 9.0], width: 1 };
        assert_eq!(exhale(&data, vec![0.05, 0.05, 5.05, 9.0], 3), [0.05, 5.05, 9.0]);
    }

    #[test]
    fn what_cannot_be_better_stays() {
        let data = Matrix { values: vec![1.0, 2.0, 1.0, 3.0], width: 1 };
        for centers in [vec![1.75], vec![1.0, 2.0, 3.0]] {
            let fit = settle::<()>(&data, centers.clone(), LIMITS, &|| Ok(())).unwrap();
            let same = improve::<()>(&data, fit, LIMITS, &mut StdRng::seed_from_u64(1), &|| Ok(())).unwrap();
            assert_eq!(same.centers, centers);
        }
    }
}
