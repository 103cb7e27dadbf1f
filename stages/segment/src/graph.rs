//! The graph of nearest neighbours, its components, and the eigenvectors of its normalised Laplacian.

use rayon::prelude::*;

use crate::matrix::{CHUNK, Matrix};
use crate::neighbors::Tree;

/// An undirected graph over rows with weights, without loops.
pub(crate) struct Graph {
    /// Where the neighbours of each row begin among all, and at last their number.
    starts: Vec<usize>,
    neighbors: Vec<u32>,
    /// Divided by the roots of the degrees of both ends.
    weights: Vec<f64>,
    /// The root of the sum of the weights of each row, before that division; 1 for a row without neighbours.
    pub(crate) root_degrees: Vec<f64>,
}

impl Graph {
    /// Two rows are joined with weight 1 if each is among the `count` nearest of the other, and with ½ if one is.
    /// `check` is called now and then and may end it.
    pub(crate) fn of_neighbors<E: Send>(
        data: &Matrix,
        count: usize,
        check: &(impl Fn() -> Result<(), E> + Sync),
    ) -> Result<Self, E> {
        let tree = Tree::of(data);
        let rows: Vec<usize> = (0..data.rows()).collect();
        let nearest = rows
            .par_chunks(256)
            .map(|rows| {
                check()?;
                Ok(rows.iter().map(|&row| tree.nearest(data, row, count)).collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>, E>>()?;
        let mut joined: Vec<Vec<(u32, f64)>> = vec![Vec::new(); data.rows()];
        for (row, nearest) in nearest.into_iter().flatten().enumerate() {
            for neighbor in nearest {
                joined[row].push((neighbor, 0.5));
                joined[neighbor as usize].push((row as u32, 0.5));
            }
        }
        joined.par_iter_mut().for_each(|joined| {
            joined.sort_unstable_by_key(|(neighbor, _)| *neighbor);
            joined.dedup_by(|next, first| {
                next.0 == first.0 && {
                    first.1 += next.1;
                    true
                }
            });
        });
        let degree = |joined: &Vec<(u32, f64)>| joined.iter().map(|(_, weight)| weight).sum::<f64>();
        let root_degrees: Vec<f64> =
            joined.iter().map(|joined| if joined.is_empty() { 1.0 } else { degree(joined).sqrt() }).collect();
        let mut graph = Self { starts: vec![0], neighbors: Vec::new(), weights: Vec::new(), root_degrees };
        for (row, joined) in joined.iter().enumerate() {
            for &(neighbor, weight) in joined {
                graph.neighbors.push(neighbor);
                graph.weights.push(weight / (graph.root_degrees[row] * graph.root_degrees[neighbor as usize]));
            }
            graph.starts.push(graph.neighbors.len());
        }
        Ok(graph)
    }

    pub(crate) fn rows(&self) -> usize {
        self.root_degrees.len()
    }

    /// Which component each row belongs to, numbered by descending size, ties by their first rows; and their number.
    pub(crate) fn components(&self) -> (Vec<u32>, usize) {
        let mut component = vec![u32::MAX; self.rows()];
        let mut sizes: Vec<usize> = Vec::new();
        for first in 0..self.rows() {
            if component[first] != u32::MAX {
                continue;
            }
            let own = sizes.len() as u32;
            let mut open = vec![first];
            component[first] = own;
            let mut size = 0;
            while let Some(row) = open.pop() {
                size += 1;
                for &neighbor in &self.neighbors[self.starts[row]..self.starts[row + 1]] {
                    if component[neighbor as usize] == u32::MAX {
                        component[neighbor as usize] = own;
                        open.push(neighbor as usize);
                    }
                }
            }
            sizes.push(size);
        }
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(sizes[at]), at));
        let mut number = vec![0; sizes.len()];
        for (new, &old) in (0..).zip(&order) {
            number[old] = new;
        }
        component.iter_mut().for_each(|component| *component = number[*component as usize]);
        (component, sizes.len())
    }

    /// Multiplies the matrix of the weights, each divided by the roots of the degrees of its ends, with a block of
    /// vectors: row by row, each with a number of every vector.
    pub(crate) fn multiply(&self, block: &Matrix, out: &mut Matrix) {
        let width = block.width;
        out.values.par_chunks_mut(CHUNK / 4 * width).enumerate().for_each(|(chunk, out)| {
            for (row, out) in (chunk * (CHUNK / 4)..).zip(out.chunks_exact_mut(width)) {
                out.fill(0.0);
                let joined = self.starts[row]..self.starts[row + 1];
                for (&neighbor, &weight) in self.neighbors[joined.clone()].iter().zip(&self.weights[joined]) {
                    let values = &block.values[neighbor as usize * width..][..width];
                    out.iter_mut().zip(values).for_each(|(out, value)| *out += weight * value);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Graph;
    use crate::matrix::Matrix;

    #[test]
    fn neighbours_are_joined_from_both_sides() {
        // On a line; the nearest of each: 0-1, 1-0, 3-1, then 10-11, 11-10.
        let data = Matrix { values: vec![0.0, 1.0, 3.0, 10.0, 11.0], width: 1 };
        let graph = Graph::of_neighbors::<()>(&data, 1, &|| Ok(())).unwrap();
        let squares = graph.root_degrees.iter().map(|root| (root * root * 1e9).round() / 1e9).collect::<Vec<_>>();
        assert_eq!(squares, [1.0, 1.5, 0.5, 1.0, 1.0]);
        assert_eq!(graph.components(), (vec![0, 0, 0, 1, 1], 2));
        // The roots of the degrees are an eigenvector with eigenvalue 1.
        let roots = Matrix { values: graph.root_degrees.clone(), width: 1 };
        let mut out = Matrix { values: vec![0.0; 5], width: 1 };
        graph.multiply(&roots, &mut out);
        assert!(out.values.iter().zip(&roots.values).all(|(out, root)| (out - root).abs() < 1e-15), "{:?}", out.values);
    }
}
