//! Growing one tree, best leaf first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

use rayon::prelude::*;

use super::Limits;
use super::sums::{Scale, Sums};
use crate::bins::{Bins, Feature, MISSING};
use crate::cart::sift;
use crate::tree::{Cut, Tree};

/// One feature's histogram: the sums of the rows in each bin.
type Histogram = [Sums; 256];

/// Rows are handed to threads in chunks of so many.
pub(super) const CHUNK: usize = 1 << 15;

/// Work on fewer values than this is not worth handing out.
const SMALL: usize = 1 << 14;

/// A tree, and which rows ended in which of its leaves.
pub(super) struct Grown {
    pub(super) tree: Tree,
    /// The rows, leaf by leaf, ascending within a leaf.
    pub(super) rows: Vec<u32>,
    /// For each leaf the range of its rows, and its value.
    pub(super) leaves: Vec<(Range<usize>, f64)>,
    /// For each split of the tree its feature and by how much it lowers the loss.
    pub(super) gains: Vec<(usize, f64)>,
}

/// Grows trees over the same rows and bins.
pub(super) struct Grower<'a> {
    pub(super) bins: &'a Bins,
    pub(super) limits: &'a Limits,
}

/// A leaf that may yet be split.
struct Leaf {
    node: usize,
    depth: usize,
    rows: Range<usize>,
    sums: Sums,
    histograms: Vec<Histogram>,
    split: Split,
}

/// The best that can be done with a leaf.
#[derive(Clone, Copy, Debug)]
struct Split {
    gain: f64,
    feature: usize,
    /// Bins up to and including this one go left.
    bin: u8,
    missing_left: bool,
    left: Sums,
}

impl Split {
    fn goes_left(&self, bin: u8) -> bool {
        (bin <= self.bin) | (self.missing_left & (bin == MISSING))
    }
}

impl Ord for Leaf {
    /// The largest gain first; of equal ones the leaf that came first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.split.gain.total_cmp(&other.split.gain).then(other.node.cmp(&self.node))
    }
}

impl PartialOrd for Leaf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Leaf {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Leaf {}

impl Grower<'_> {
    /// A tree that fits one Newton step of the rows' losses: each leaf's value is the sum of its gradients over that of
    /// its second derivatives, negative and times the learning rate.
    pub(super) fn grow(&self, row_sums: &[Sums], scale: Scale) -> Grown {
        let mut rows: Vec<u32> = (0..row_sums.len() as u32).collect();
        let mut scratch = vec![0; rows.len()];
        let total = total(row_sums);
        let mut tree = Tree::leaf(self.value(total, scale));
        let mut gains = Vec::new();
        let mut leaves = vec![(0, 0..rows.len())];
        let mut heap = BinaryHeap::new();
        if self.may_split(total, 0, scale) {
            let (histograms, split) = self.root(row_sums, total, scale);
            if let Some(split) = split {
                heap.push(Leaf { node: 0, depth: 0, rows: 0..rows.len(), sums: total, histograms, split });
            }
        }
        let mut count = 1;
        while count < self.limits.max_leaf_nodes
            && let Some(leaf) = heap.pop()
        {
            let split = leaf.split;
            let feature = &self.bins.features[split.feature];
            gains.push((split.feature, split.gain));
            let cut = partition(&mut rows[leaf.rows.clone()], &mut scratch, &feature.bins, &split);
            let middle = leaf.rows.start + cut;
            let [left, right] = [split.left, leaf.sums - split.left];
            let child = tree.split(
                leaf.node,
                self.cut(&split, right, scale),
                self.value(left, scale),
                self.value(right, scale),
            );
            count += 1;
            leaves.retain(|(node, _)| *node != leaf.node);
            leaves.extend([(child, leaf.rows.start..middle), (child + 1, middle..leaf.rows.end)]);
            if count == self.limits.max_leaf_nodes {
                break;
            }
            let depth = leaf.depth + 1;
            let children = [(child, leaf.rows.start..middle, left), (child + 1, middle..leaf.rows.end, right)];
            if children.iter().all(|(_, _, sums)| !self.may_split(*sums, depth, scale)) {
                continue;
            }
            let smaller = usize::from(scale.rows(right) < scale.rows(left));
            let sibling = 1 - smaller;
            let (mine, theirs) = (children[smaller].2, children[sibling].2);
            let found =
                self.children(row_sums, &rows[children[smaller].1.clone()], leaf.histograms, [mine, theirs], scale);
            for ((histograms, split), (node, rows, sums)) in
                found.into_iter().zip([children[smaller].clone(), children[sibling].clone()])
            {
                if let Some(split) = split.filter(|_| self.may_split(sums, depth, scale)) {
                    heap.push(Leaf { node, depth, rows, sums, histograms, split });
                }
            }
        }
        let leaves = leaves.into_iter().map(|(node, rows)| (rows, tree.number[node])).collect();
        Grown { tree, rows, leaves, gains }
    }

    fn value(&self, sums: Sums, scale: Scale) -> f64 {
        let weight = scale.curvature(sums) + self.limits.l2_regularization;
        if weight <= 0.0 {
            return 0.0;
        }
        -self.limits.learning_rate * scale.gradient(sums) / weight
    }

    fn may_split(&self, sums: Sums, depth: usize, scale: Scale) -> bool {
        self.limits.max_depth.is_none_or(|max_depth| depth < max_depth)
            && scale.rows(sums) >= 2 * self.limits.min_samples_leaf
    }

    /// The split in the features' own numbers. Where no row lacks the feature, one that does goes with the majority.
    fn cut(&self, split: &Split, right: Sums, scale: Scale) -> Cut {
        let feature = &self.bins.features[split.feature];
        let threshold = feature.thresholds.get(usize::from(split.bin)).copied().unwrap_or(f64::MAX);
        let missing_left =
            if feature.missing { split.missing_left } else { scale.rows(split.left) > scale.rows(right) };
        Cut { feature: split.feature, threshold, missing_left }
    }

    fn root(&self, row_sums: &[Sums], total: Sums, scale: Scale) -> (Vec<Histogram>, Option<Split>) {
        let mut histograms = vec![[Sums::default(); 256]; self.bins.features.len()];
        let splits: Vec<Option<Split>> = histograms
            .par_iter_mut()
            .zip(&self.bins.features)
            .enumerate()
            .map(|(index, (histogram, feature))| {
                for (bin, sums) in feature.bins.iter().zip(row_sums) {
                    histogram[usize::from(*bin)] += *sums;
                }
                self.best(index, feature, histogram, total, scale)
            })
            .collect();
        (histograms, best_of(splits))
    }

    /// The histograms and best splits of the child that holds `rows` and, by subtraction from the parent's, of the other.
    fn children(
        &self,
        row_sums: &[Sums],
        rows: &[u32],
        mut parent: Vec<Histogram>,
        [mine, theirs]: [Sums; 2],
        scale: Scale,
    ) -> [(Vec<Histogram>, Option<Split>); 2] {
        let own = gather(row_sums, rows);
        let mut histograms = vec![[Sums::default(); 256]; self.bins.features.len()];
        let work = |(index, ((histogram, parent), feature)): (usize, ((&mut Histogram, &mut Histogram), &Feature))| {
            for (row, sums) in rows.iter().zip(&own) {
                histogram[usize::from(feature.bins[*row as usize])] += *sums;
            }
            for (parent, own) in parent.iter_mut().zip(&*histogram) {
                *parent = *parent - *own;
            }
            (self.best(index, feature, histogram, mine, scale), self.best(index, feature, parent, theirs, scale))
        };
        let (first, second): (Vec<_>, Vec<_>) = if rows.len() * self.bins.features.len() < SMALL {
            histograms.iter_mut().zip(&mut parent).zip(&self.bins.features).enumerate().map(work).unzip()
        } else {
            (histograms.par_iter_mut(), parent.par_iter_mut())
                .into_par_iter()
                .zip(&self.bins.features)
                .enumerate()
                .map(work)
                .unzip()
        };
        [(histograms, best_of(first)), (parent, best_of(second))]
    }

    /// The best split of a leaf by one feature; of equal ones that which sends missing values right, then the lowest.
    fn best(&self, index: usize, feature: &Feature, histogram: &Histogram, total: Sums, scale: Scale) -> Option<Split> {
        let l2 = self.limits.l2_regularization;
        let score = |sums: Sums| {
            let (gradient, weight) = (scale.gradient(sums), scale.curvature(sums) + l2);
            if weight > 0.0 { gradient * gradient / weight } else { 0.0 }
        };
        let before = score(total);
        let least = self.limits.min_samples_leaf;
        let mut best: Option<Split> = None;
        for missing_left in [false, true] {
            if missing_left && !feature.missing {
                break;
            }
            let mut left = if missing_left { histogram[usize::from(MISSING)] } else { Sums::default() };
            // Behind the last bin only missing values are left.
            let end = feature.thresholds.len() + usize::from(feature.missing && !missing_left);
            for (bin, sums) in histogram.iter().enumerate().take(end) {
                left += *sums;
                let right = total - left;
                if scale.rows(left) < least || scale.curvature(left) < LEAST_CURVATURE {
                    continue;
                }
                if scale.rows(right) < least || scale.curvature(right) < LEAST_CURVATURE {
                    break;
                }
                let gain = score(left) + score(right) - before;
                if gain > best.map_or(0.0, |best| best.gain) {
                    best = Some(Split { gain, feature: index, bin: bin as u8, missing_left, left });
                }
            }
        }
        best
    }
}

/// A leaf whose rows' second derivatives sum to less than this is sure of itself already: its value would be noise.
const LEAST_CURVATURE: f64 = 1e-3;

/// Of the features' best splits the best; of equal ones that of the first feature.
fn best_of(splits: Vec<Option<Split>>) -> Option<Split> {
    splits.into_iter().flatten().reduce(|best, next| if next.gain > best.gain { next } else { best })
}

fn total(row_sums: &[Sums]) -> Sums {
    let chunks: Vec<Sums> = row_sums.par_chunks(CHUNK).map(sum).collect();
    sum(&chunks)
}

fn sum(sums: &[Sums]) -> Sums {
    let mut total = Sums::default();
    for next in sums {
        total += *next;
    }
    total
}

fn gather(row_sums: &[Sums], rows: &[u32]) -> Vec<Sums> {
    rows.par_iter().with_min_len(CHUNK).map(|row| row_sums[*row as usize]).collect()
}

/// Puts the rows that go left first, both sides in their order before; returns how many go left.
fn partition(rows: &mut [u32], scratch: &mut [u32], bins: &[u8], split: &Split) -> usize {
    // First within each chunk.
    let lefts: Vec<usize> = rows
        .par_chunks_mut(CHUNK)
        .zip(scratch.par_chunks_mut(CHUNK))
        .map(|(rows, rights)| sift(rows, rights, |row| split.goes_left(bins[row as usize])))
        .collect();
    let total = lefts.iter().sum();
    let (mut left_end, mut right_end) = (0, total);
    for (chunk, &left) in lefts.iter().enumerate() {
        rows.copy_within(chunk * CHUNK..chunk * CHUNK + left, left_end);
        left_end += left;
    }
    for (chunk, &left) in lefts.iter().enumerate() {
        let len = CHUNK.min(rows.len() - chunk * CHUNK) - left;
        rows[right_end..right_end + len].copy_from_slice(&scratch[chunk * CHUNK..][..len]);
        right_end += len;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_divided_in_their_order() {
        let bins: Vec<u8> = (0..200_000u32).map(|row| (row.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let split = Split { gain: 1.0, feature: 0, bin: 99, missing_left: true, left: Sums::default() };
        let mut rows: Vec<u32> = (0..200_000).filter(|row| row % 3 != 0).collect();
        let (mut expected, rest): (Vec<u32>, Vec<u32>) =
            rows.iter().partition(|row| bins[**row as usize] <= 99 || bins[**row as usize] == MISSING);
        let left = expected.len();
        expected.extend(rest);
        let mut scratch = vec![0; rows.len() + 7];
        assert_eq!(partition(&mut rows, &mut scratch, &bins, &split), left);
        assert_eq!(rows, expected);
    }
}
