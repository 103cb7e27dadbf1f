//! The leading eigenvectors of a graph, by subspace iteration with Chebyshev polynomials (Zhou, Saad, Tiago &
//! Chelikowsky 2006).

use faer::{Mat, Side};
use rand::Rng;
use rayon::prelude::*;

use crate::graph::Graph;
use crate::matrix::{CHUNK, Matrix};

/// Vectors beyond those wanted: the more, the faster the others settle.
const GUARD: usize = 8;

/// The degree of the polynomials.
const DEGREE: usize = 24;

/// A vector has settled once the matrix turns it by less than this.
const SETTLED: f64 = 1e-7;

/// Rounds after which what has not settled is taken as it is.
const ROUNDS: usize = 200;

/// Eigenvectors, and whether they settled.
pub(crate) struct Leading {
    /// Row by row, each with a number of every vector; the vectors by descending eigenvalue, each of length 1.
    pub(crate) vectors: Matrix,
    pub(crate) settled: bool,
}

/// The `count` eigenvectors with the largest eigenvalues of the matrix of a graph's weights, each divided by the roots
/// of the degrees of its ends; its eigenvalues lie between -1 and 1.
///
/// Of its components the largest eigenvalue, 1, is known with its vectors: the roots of the degrees over one component.
/// They are taken from the largest component on; only what is wanted beyond them is iterated.
pub(crate) fn leading<E>(
    graph: &Graph,
    components: &[u32],
    count: usize,
    rng: &mut impl Rng,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Leading, E> {
    let rows = graph.rows();
    let count = count.min(rows);
    let known = known(graph, components, count);
    let wanted = count - known.width;
    if wanted == 0 {
        return Ok(Leading { vectors: known, settled: true });
    }
    let width = (wanted + GUARD).min(rows - known.width);
    let values = (0..rows * width).map(|_| rng.random::<f64>() - 0.5).collect();
    let mut block = Matrix { values, width };
    let mut image = Matrix { values: vec![0.0; rows * width], width };
    let mut settled = false;
    for round in 0..ROUNDS {
        check()?;
        if orthonormalize(&known, &mut block).is_none() {
            break;
        }
        graph.multiply(&block, &mut image);
        let Some(eigenvalues) = rotate(&mut block, &mut image) else { break };
        let turned = turned(&block, &image, &eigenvalues);
        settled = turned[..wanted].iter().all(|turned| *turned < SETTLED);
        if settled || round + 1 == ROUNDS {
            break;
        }
        // What is below the last vector of the block is damped.
        block = filter(graph, block, image, eigenvalues[width - 1].clamp(-0.9, 1.0 - 1e-9));
        image = Matrix { values: vec![0.0; rows * width], width };
    }
    let vectors = known
        .values
        .chunks_exact(known.width)
        .zip(block.values.chunks_exact(width))
        .flat_map(|(known, found)| known.iter().chain(&found[..wanted]))
        .copied()
        .collect();
    Ok(Leading { vectors: Matrix { values: vectors, width: count }, settled })
}

/// The vectors of the largest components, at most `count`.
fn known(graph: &Graph, components: &[u32], count: usize) -> Matrix {
    let width = components.iter().max().map_or(0, |last| *last as usize + 1).min(count);
    let mut squared = vec![0.0; width];
    let inside = || components.iter().map(|component| *component as usize).zip(&graph.root_degrees);
    for (component, root) in inside().filter(|(component, _)| *component < width) {
        squared[component] += root * root;
    }
    let mut values = vec![0.0; components.len() * width];
    for (row, (component, root)) in inside().enumerate().filter(|(_, (component, _))| *component < width) {
        values[row * width + component] = root / squared[component].sqrt();
    }
    Matrix { values, width }
}

/// The sums over the rows of `a[i] * b[j]` for all i, j; over chunks of a fixed size and then in order.
fn products(a: &Matrix, b: &Matrix) -> Vec<f64> {
    let chunks = (a.values.par_chunks(CHUNK * a.width), b.values.par_chunks(CHUNK * b.width))
        .into_par_iter()
        .map(|(left, right)| {
            let mut sums = vec![0.0; a.width * b.width];
            for (left, right) in left.chunks_exact(a.width).zip(right.chunks_exact(b.width)) {
                for (sums, left) in sums.chunks_exact_mut(b.width).zip(left) {
                    sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += left * right);
                }
            }
            sums
        })
        .collect::<Vec<_>>();
    let mut total = vec![0.0; a.width * b.width];
    for sums in chunks {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// Makes the vectors of a block orthogonal to those known and to each other, and of length 1: by the eigenvectors of
/// their products (Stathopoulos & Wu 2002), twice for the sake of rounding. `None` where those cannot be found.
fn orthonormalize(known: &Matrix, block: &mut Matrix) -> Option<()> {
    let width = block.width;
    for _ in 0..2 {
        let shares = products(known, block);
        let known = known.values.par_chunks(CHUNK * known.width).zip_eq(block.values.par_chunks_mut(CHUNK * width));
        known.for_each(|(known, block)| {
            let known = known.chunks_exact(shares.len() / width);
            for (known, row) in known.zip(block.chunks_exact_mut(width)) {
                for (known, shares) in known.iter().zip(shares.chunks_exact(width)) {
                    row.iter_mut().zip(shares).for_each(|(value, share)| *value -= known * share);
                }
            }
        });
        let mut products = products(block, block);
        let scales: Vec<f64> = (0..width)
            .map(|at| products[at * width + at].sqrt())
            .map(|length| if length > 0.0 { 1.0 / length } else { 0.0 })
            .collect();
        for (at, product) in products.iter_mut().enumerate() {
            *product *= scales[at / width] * scales[at % width];
        }
        let (lengths, mut turn) = eigen(&products, width)?;
        for (at, turn) in turn.iter_mut().enumerate() {
            // What depends on the others is hardly there; it must not become noise.
            *turn *= scales[at / width] / lengths[at % width].max(1e-12).sqrt();
        }
        turn_rows(block, &turn);
    }
    Some(())
}

/// Turns the block to the best approximations of eigenvectors that it holds (Rayleigh and Ritz), and its image with it;
/// gives their eigenvalues, descending.
fn rotate(block: &mut Matrix, image: &mut Matrix) -> Option<Vec<f64>> {
    let (values, turn) = eigen(&products(block, image), block.width)?;
    turn_rows(block, &turn);
    turn_rows(image, &turn);
    Some(values)
}

/// The eigenvalues of a small symmetric matrix, descending, and its eigenvectors as columns.
fn eigen(matrix: &[f64], width: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let symmetric = |a: usize, b: usize| (matrix[a * width + b] + matrix[b * width + a]) / 2.0;
    let found = Mat::from_fn(width, width, symmetric).self_adjoint_eigen(Side::Lower).ok()?;
    // They come ascending.
    let values = (0..width).rev().map(|at| found.S()[at]).collect();
    let vectors = (0..width * width).map(|at| found.U()[(at / width, width - 1 - at % width)]).collect();
    Some((values, vectors))
}

/// Multiplies each row of a block with a square matrix.
fn turn_rows(block: &mut Matrix, turn: &[f64]) {
    let width = block.width;
    block.values.par_chunks_mut(CHUNK * width).for_each(|block| {
        let mut turned = vec![0.0; width];
        for row in block.chunks_exact_mut(width) {
            turned.fill(0.0);
            for (value, turn) in row.iter().zip(turn.chunks_exact(width)) {
                turned.iter_mut().zip(turn).for_each(|(turned, turn)| *turned += value * turn);
            }
            row.copy_from_slice(&turned);
        }
    });
}

/// How far the image of each vector is from its multiple by the eigenvalue.
fn turned(block: &Matrix, image: &Matrix, eigenvalues: &[f64]) -> Vec<f64> {
    let mut squared = vec![0.0; block.width];
    for (vector, image) in block.values.chunks_exact(block.width).zip(image.values.chunks_exact(block.width)) {
        for (((squared, vector), image), eigenvalue) in squared.iter_mut().zip(vector).zip(image).zip(eigenvalues) {
            *squared += (image - eigenvalue * vector).powi(2);
        }
    }
    squared.into_iter().map(f64::sqrt).collect()
}

/// A Chebyshev polynomial of the matrix, applied to a block: it is at most 1 for eigenvalues from -1 to `bound`, and
/// grows fast above; divided by its value at 1. `image` is the matrix times the block.
fn filter(graph: &Graph, block: Matrix, image: Matrix, bound: f64) -> Matrix {
    let (middle, half) = ((bound - 1.0) / 2.0, (bound + 1.0) / 2.0);
    let first = half / (1.0 - middle);
    let mut ratio = first;
    let mut before = block;
    let mut last = image;
    last.values
        .par_iter_mut()
        .zip(&before.values)
        .for_each(|(last, before)| *last = (*last - middle * before) * (first / half));
    let mut next = Matrix { values: vec![0.0; last.values.len()], width: last.width };
    for _ in 1..DEGREE {
        let following = 1.0 / (2.0 / first - ratio);
        graph.multiply(&last, &mut next);
        let (gain, loss) = (2.0 * following / half, ratio * following);
        let terms = (next.values.par_chunks_mut(CHUNK), last.values.par_chunks(CHUNK), before.values.par_chunks(CHUNK));
        terms.into_par_iter().for_each(|(next, last, before)| {
            for ((next, last), before) in next.iter_mut().zip(last).zip(before) {
                *next = (*next - middle * last) * gain - loss * before;
            }
        });
        ratio = following;
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut next);
    }
    last
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::leading;
    use crate::graph::Graph;
    use crate::matrix::Matrix;

    fn points(rows: usize, far: usize) -> Matrix {
        let mut values: Vec<f64> =
            (0..rows as u32 * 2).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e7).collect();
        values[..far * 2].iter_mut().for_each(|value| *value += 100.0);
        Matrix { values, width: 2 }
    }

    #[test]
    fn vectors_are_eigenvectors_of_length_one_and_orthogonal() {
        for (rows, far, count) in [(700, 0, 6), (700, 100, 4), (9, 0, 9), (9, 4, 3)] {
            let graph = Graph::of_neighbors::<()>(&points(rows, far), 3, &|| Ok(())).unwrap();
            let (components, _) = graph.components();
            let found = leading::<()>(&graph, &components, count, &mut StdRng::seed_from_u64(1), &|| Ok(())).unwrap();
            assert!(found.settled);
            assert_eq!(found.vectors.width, count);
            let mut image = Matrix { values: vec![0.0; rows * count], width: count };
            graph.multiply(&found.vectors, &mut image);
            let mut before = 1.0 + 1e-9;
            for a in 0..count {
                let dot = |of: &Matrix, b: usize| {
                    (0..rows).map(|row| found.vectors.row(row)[a] * of.row(row)[b]).sum::<f64>()
                };
                let eigenvalue = dot(&image, a);
                assert!(eigenvalue <= before + 1e-9, "{rows} {a}: {eigenvalue} {before}");
                before = eigenvalue;
                for b in 0..count {
                    let expected = if a == b { 1.0 } else { 0.0 };
                    assert!((dot(&found.vectors, b) - expected).abs() < 1e-9, "{rows} {a} {b}");
                }
                let off = (0..rows).map(|row| (image.row(row)[a] - eigenvalue * found.vectors.row(row)[a]).abs());
                assert!(off.fold(0.0, f64::max) < 1e-6, "{rows} {a}");
            }
        }
    }

    #[test]
    fn vectors_are_those_of_numpy() {
        let data = Matrix { values: vec![0.0, 1.0, 2.0, 3.0], width: 1 };
        let graph = Graph::of_neighbors::<()>(&data, 1, &|| Ok(())).unwrap();
        let found = leading::<()>(&graph, &[0; 4], 2, &mut StdRng::seed_from_u64(1), &|| Ok(())).unwrap();
        // np.linalg.eigh of D^-1/2 A D^-1/2 with A = [[0,1,0,0],[1,0,.5,0],[0,.5,0,.5],[0,0,.5,0]]
        let expected = [0.5, 0.353_553_390_593_273_9, -0.5, -0.612_372_435_695_794_8];
        let sign = found.vectors.row(0)[1].signum();
        for (row, expected) in expected.into_iter().enumerate() {
            assert!((found.vectors.row(row)[1] * sign - expected).abs() < 1e-7, "{row}");
        }
    }
}
