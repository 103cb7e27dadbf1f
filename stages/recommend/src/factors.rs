//! Vectors of users and products whose dot products are scores, and the best products of many users at once.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::lists::{Scored, best};

/// Vectors of equal length, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// How long each is.
    pub width: usize,
    /// All of them.
    pub values: Vec<f64>,
}

/// This many users are scored at once, on as many products: 512 kB, which stays in the cache.
const USERS: usize = 64;
const PRODUCTS: usize = 1_024;

impl Factors {
    /// The vector at a place; empty where there is none.
    pub(crate) fn at(&self, place: u32) -> &[f64] {
        let start = place as usize * self.width;
        self.values.get(start..start + self.width).unwrap_or(&[])
    }

    /// The `n` products with the largest dot products for each of these users, who are among the `users` vectors.
    /// `excluded` are the products that a user must not get, ascending. Memory does not grow with users × products.
    pub fn top<'a>(
        users: &Self,
        products: &Self,
        targets: &[u32],
        n: usize,
        excluded: impl Fn(u32) -> &'a [u32] + Sync,
    ) -> Vec<Vec<Scored>> {
        let blocks: Vec<Vec<Vec<Scored>>> = targets
            .par_chunks(USERS)
            .map_init(
                || (vec![0.0; USERS * products.width], vec![0.0; USERS * PRODUCTS]),
                |(vectors, scores), targets| {
                    for (vector, user) in vectors.chunks_mut(products.width.max(1)).zip(targets) {
                        vector.copy_from_slice(users.at(*user));
                    }
                    let vectors = vectors.get(..targets.len() * products.width).unwrap_or(&[]);
                    block(vectors, products, targets, n, &excluded, scores)
                },
            )
            .collect();
        blocks.into_iter().flatten().collect()
    }
}

fn block<'a>(
    vectors: &[f64],
    products: &Factors,
    targets: &[u32],
    n: usize,
    excluded: &impl Fn(u32) -> &'a [u32],
    scores: &mut [f64],
) -> Vec<Vec<Scored>> {
    let width = products.width;
    let vectors = MatRef::from_column_major_slice(vectors, width, targets.len());
    let mut found: Vec<Found> = targets.iter().map(|_| Found::default()).collect();
    for (tile, first) in products.values.chunks(PRODUCTS * width.max(1)).zip((0_u32..).step_by(PRODUCTS)) {
        let rows = tile.len() / width.max(1);
        let Some(scores) = scores.get_mut(..rows * targets.len()) else { continue };
        let tile = MatRef::from_row_major_slice(tile, rows, width);
        let out = MatMut::from_column_major_slice_mut(scores, rows, targets.len());
        matmul(out, Accum::Replace, tile, vectors, 1.0, Par::Seq);
        for ((found, scores), user) in found.iter_mut().zip(scores.chunks(rows)).zip(targets) {
            let excluded = excluded(*user);
            for (score, product) in scores.iter().zip(first..) {
                // Products come in ascending order, so that of equal scores the earlier one stays.
                if *score > found.threshold && (excluded.is_empty() || excluded.binary_search(&product).is_err()) {
                    found.push((product, *score), n);
                }
            }
        }
    }
    found.into_iter().map(|found| best(found.scored, n)).collect()
}

/// The best of one user so far, and some more.
struct Found {
    scored: Vec<Scored>,
    /// What a score must exceed to be among the best; below all at first.
    threshold: f64,
}

impl Default for Found {
    fn default() -> Self {
        Self { scored: Vec::new(), threshold: f64::NEG_INFINITY }
    }
}

impl Found {
    fn push(&mut self, scored: Scored, n: usize) {
        self.scored.push(scored);
        if self.scored.len() >= n.saturating_mul(2).saturating_add(16) {
            self.scored = best(std::mem::take(&mut self.scored), n);
            self.threshold = self.scored.last().map_or(f64::NEG_INFINITY, |last| last.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Factors;
    use crate::lists::best;

    #[test]
    fn the_best_are_those_of_all_dot_products() {
        let vectors = |count: u32, width: u32, salt: u32| Factors {
            width: width as usize,
            // Small integers: exact, and with many ties.
            values: (0..count * width).map(|index| f64::from(index * index * salt % 7) - 3.0).collect(),
        };
        let (users, products) = (vectors(150, 3, 5), vectors(2_500, 3, 11));
        let targets: Vec<u32> = (0..150).step_by(2).collect();
        let excluded: Vec<u32> = (0..2_500).step_by(3).collect();
        let found = Factors::top(&users, &products, &targets, 5, |user| if user % 4 == 0 { &excluded } else { &[] });
        assert_eq!(found.len(), targets.len());
        for (user, found) in targets.iter().zip(found) {
            let all = (0..2_500).filter(|product| user % 4 != 0 || product % 3 != 0).map(|product| {
                let score = users.at(*user).iter().zip(products.at(product)).map(|(a, b)| a * b).sum();
                (product, score)
            });
            assert_eq!(found, best(all.collect(), 5));
        }
    }
}
