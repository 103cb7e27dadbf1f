//! The average of trees: what a single tree and a forest predict by.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::matrix::Matrix;
use crate::tree::{Tree, Walk};

/// Trees, each of which predicts a probability or a value; what counts is their mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// At least one.
    pub(crate) trees: Vec<Tree>,
}

/// How many rows are predicted at a time: tree by tree, so that a tree stays in the cache.
const BLOCK: usize = 2048;

impl Trees {
    /// A probability or a value for each row.
    pub(crate) fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        let columns = matrix.columns();
        let walks: Vec<Walk> = self.trees.iter().map(Tree::walk).collect();
        let mut values = vec![0.0; matrix.rows()];
        values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
            for tree in &walks {
                for (row, value) in (block * BLOCK..).zip(values.iter_mut()) {
                    *value += tree.predict(|feature| columns[feature][row]);
                }
            }
            values.iter_mut().for_each(|value| *value /= self.trees.len() as f64);
        });
        values
    }

    /// Whether it can predict for a matrix of so many columns; see [`Tree::is_sound`].
    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        !self.trees.is_empty() && self.trees.iter().all(|tree| tree.is_sound(columns))
    }
}

/// The parts of a sum as shares of it; all 0 where the sum is.
pub(crate) fn shares(parts: &[f64]) -> Vec<f64> {
    let sum: f64 = parts.iter().sum();
    parts.iter().map(|part| if sum > 0.0 { part / sum } else { 0.0 }).collect()
}
