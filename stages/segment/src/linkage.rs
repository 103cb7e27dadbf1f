//! Agglomerative clustering by chains of nearest neighbours (Murtagh 1983; Müllner 2011).
//!
//! Dissimilarities are computed, compared and updated in the order and with the roundings of scipy's `linkage`: where
//! many of them are equal but for rounding, as between customers with the same few orders, another order of the same
//! arithmetic gives quite another tree.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::matrix::{Matrix, distances};
use crate::simd::wide;

/// How dissimilar two groups of rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Linkage {
    /// The growth of the sum of squared distances to the center when they merge (Ward 1963).
    Ward,
    /// The mean distance between their rows.
    Average,
    /// The largest distance between their rows.
    Complete,
    /// The least distance between their rows.
    Single,
}

/// Two groups become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Merge {
    /// The two, the lower number first: a row, or the number of rows plus the place of the merge that made the group.
    pub(crate) pair: [usize; 2],
    /// How dissimilar they were.
    pub(crate) distance: f64,
    /// How many rows they have together.
    pub(crate) size: usize,
}

/// All merges, by ascending distance. `check` is called now and then and may end it.
pub(crate) fn linkage<E>(data: &Matrix, method: Linkage, check: &impl Fn() -> Result<(), E>) -> Result<Vec<Merge>, E> {
    let mut groups = Groups::of(data, method);
    let mut chain: Vec<usize> = Vec::new();
    let mut merges = Vec::with_capacity(data.rows().saturating_sub(1));
    let (mut from_top, mut from_other) = (Vec::new(), Vec::new());
    while merges.len() + 1 < data.rows() {
        if merges.len().is_multiple_of(64) {
            check()?;
            groups.close_gaps(&mut chain);
        }
        if chain.is_empty() {
            chain.extend(groups.first());
        }
        // Follow nearest neighbours until two are each other's.
        while let Some(&top) = chain.last() {
            groups.distances(top, &mut from_top);
            let least = least(&from_top);
            let below = chain.len().checked_sub(2).map(|at| chain[at]);
            if let Some(below) = below.filter(|below| from_top[*below] <= least) {
                chain.truncate(chain.len() - 2);
                let distance = from_top[below];
                groups.distances(below, &mut from_other);
                merges.push((groups.rows[top], groups.rows[below], distance));
                groups.merge([top, below], distance, &from_top, &from_other);
                break;
            }
            let Some(nearest) = from_top.iter().position(|distance| *distance == least) else { break };
            chain.push(nearest);
        }
    }
    Ok(in_order(merges, data.rows()))
}

/// The label of each row when merges are undone, from the last one on, as long as there are at most `k` clusters.
/// Merges at the same distance are undone together, so that there may be fewer than `k`, as with scipy's
/// `fcluster(criterion="maxclust")`; equal rows are never apart.
pub(crate) fn cut(merges: &[Merge], k: usize) -> Vec<u32> {
    let rows = merges.len() + 1;
    let kept = kept(merges, k);
    let mut label = vec![u32::MAX; rows + merges.len()];
    let mut next = 0;
    // From the last merge down, so that a group is labelled before its parts.
    for node in (0..rows + merges.len()).rev() {
        if node >= rows + kept {
            continue;
        }
        if label[node] == u32::MAX {
            label[node] = next;
            next += 1;
        }
        if let Some(merge) = node.checked_sub(rows).map(|at| merges[at]) {
            let own = label[node];
            merge.pair.iter().for_each(|&part| label[part] = own);
        }
    }
    label.truncate(rows);
    label
}

/// How many merges are left of a tree that is cut into at most `k` clusters.
pub(crate) fn kept(merges: &[Merge], k: usize) -> usize {
    let last = (merges.len() + 1).checked_sub(k.max(1)).and_then(|kept| kept.checked_sub(1));
    let height = last.map_or(0.0, |last| merges[last].distance);
    merges.partition_point(|merge| merge.distance <= height)
}

/// The groups of rows that there are at some moment, each in a slot: that of its last row.
struct Groups {
    method: Linkage,
    /// Feature by feature, where each slot's row lies; infinitely far for slots that have no row or several.
    points: Vec<Vec<f64>>,
    /// How many rows; 0 for a slot that was merged into another.
    sizes: Vec<f64>,
    /// The row that gave the slot its place.
    rows: Vec<usize>,
    /// For groups of several rows, how far every slot was when the group was made. Distances between rows are computed
    /// when they are needed, which is faster than looking them up in a matrix of all of them.
    known: Vec<Vec<f64>>,
    /// The groups of several rows, from the oldest to the youngest. What two of them know of each other, the younger
    /// one knows.
    merged: Vec<usize>,
    alive: usize,
}

impl Groups {
    fn of(data: &Matrix, method: Linkage) -> Self {
        let rows = data.rows();
        let column = |feature: usize| data.values.iter().skip(feature).step_by(data.width).copied().collect();
        Self {
            method,
            points: (0..data.width).map(column).collect(),
            sizes: vec![1.0; rows],
            rows: (0..rows).collect(),
            known: vec![Vec::new(); rows],
            merged: Vec::new(),
            alive: rows,
        }
    }

    /// The first slot that holds a group.
    fn first(&self) -> Option<usize> {
        self.sizes.iter().position(|size| *size > 0.0)
    }

    /// From one group to each slot; infinity to itself and to empty slots.
    fn distances(&self, from: usize, out: &mut Vec<f64>) {
        out.clear();
        let known = &self.known[from];
        let younger = if known.is_empty() {
            out.resize(self.sizes.len(), 0.0);
            distances(&self.points, from, 0, out);
            &self.merged[..]
        } else {
            let open = |(known, size): (&f64, &f64)| if *size > 0.0 { *known } else { f64::INFINITY };
            out.extend(known.iter().zip(&self.sizes).map(open));
            let place = self.merged.iter().rposition(|slot| *slot == from).unwrap_or(0);
            &self.merged[place..]
        };
        for &slot in younger {
            out[slot] = self.known[slot][from];
        }
        out[from] = f64::INFINITY;
    }

    /// Makes one group of two, in the slot of the second; with their distances to all.
    fn merge(&mut self, pair: [usize; 2], distance: f64, first: &[f64], second: &[f64]) {
        let [gone, slot] = if pair[0] < pair[1] { pair } else { [pair[1], pair[0]] };
        let [a, b] = pair.map(|slot| self.sizes[slot]);
        self.sizes[gone] = 0.0;
        self.sizes[slot] = 0.0;
        let to = |update: fn(f64, f64, f64, [f64; 3]) -> f64| -> Vec<f64> {
            let distances = first.iter().zip(second).zip(&self.sizes);
            distances.map(|((first, second), size)| update(*first, *second, distance, [a, b, *size])).collect()
        };
        let known = match self.method {
            Linkage::Ward => to(ward),
            Linkage::Average => to(|first, second, _, [a, b, _]| (a * first + b * second) / (a + b)),
            Linkage::Complete => to(|first, second, _, _| if first > second { first } else { second }),
            Linkage::Single => to(|first, second, _, _| if first < second { first } else { second }),
        };
        self.sizes[slot] = a + b;
        for points in &mut self.points {
            points[gone] = f64::INFINITY;
            points[slot] = f64::INFINITY;
        }
        self.known[gone] = Vec::new();
        self.known[slot] = known;
        self.merged.retain(|other| *other != gone && *other != slot);
        self.merged.push(slot);
        self.alive -= 1;
    }

    /// Leaves out the empty slots once they are many; the order of the others stays.
    fn close_gaps(&mut self, chain: &mut [usize]) {
        if self.alive * 4 > self.sizes.len() * 3 {
            return;
        }
        let kept: Vec<usize> = (0..self.sizes.len()).filter(|&slot| self.sizes[slot] > 0.0).collect();
        let mut moved = vec![0; self.sizes.len()];
        for (to, &from) in kept.iter().enumerate() {
            moved[from] = to;
        }
        let gather = |values: &[f64]| kept.iter().map(|&slot| values[slot]).collect::<Vec<_>>();
        self.points.iter_mut().for_each(|points| *points = gather(points));
        self.sizes = gather(&self.sizes);
        self.rows = kept.iter().map(|&slot| self.rows[slot]).collect();
        self.known = kept.iter().map(|&slot| std::mem::take(&mut self.known[slot])).collect();
        self.known.iter_mut().filter(|known| !known.is_empty()).for_each(|known| *known = gather(known));
        self.merged.iter_mut().chain(chain).for_each(|slot| *slot = moved[*slot]);
    }
}

/// From the distances to two groups the one to both together, by the recurrence of Lance & Williams (1967).
fn ward(first: f64, second: f64, between: f64, [a, b, size]: [f64; 3]) -> f64 {
    let t = 1.0 / (a + b + size);
    ((size + a) * t * first * first + (size + b) * t * second * second - size * t * between * between).sqrt()
}

/// The least of the values.
fn least(values: &[f64]) -> f64 {
    let lower = |a: f64, b: f64| if b < a { b } else { a };
    let (eights, rest) = values.as_chunks::<8>();
    let mut least = [f64::INFINITY; 8];
    wide!({
        for eight in eights {
            least.iter_mut().zip(eight).for_each(|(least, value)| *least = lower(*least, *value));
        }
    });
    least.iter().chain(rest).copied().fold(f64::INFINITY, lower)
}

/// Sorts the merges by distance, those at the same distance as they came, and numbers the groups accordingly.
fn in_order(mut merges: Vec<(usize, usize, f64)>, rows: usize) -> Vec<Merge> {
    merges.sort_by(|a, b| a.2.total_cmp(&b.2));
    // For each group that it is in another, which; and its size.
    let mut parent: Vec<usize> = (0..rows + merges.len()).collect();
    let mut sizes = vec![1; rows];
    let top = |parent: &mut Vec<usize>, mut node: usize| {
        while parent[node] != node {
            parent[node] = parent[parent[node]];
            node = parent[node];
        }
        node
    };
    merges
        .into_iter()
        .map(|(a, b, distance)| {
            let (a, b) = (top(&mut parent, a), top(&mut parent, b));
            let size = sizes[a] + sizes[b];
            parent[a] = sizes.len();
            parent[b] = sizes.len();
            sizes.push(size);
            Merge { pair: [a.min(b), a.max(b)], distance, size }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Linkage, Merge, cut, linkage};
    use crate::matrix::Matrix;

    fn merges(values: &[f64], width: usize, method: Linkage) -> Vec<Merge> {
        linkage::<()>(&Matrix { values: values.to_vec(), width }, method, &|| Ok(())).unwrap()
    }

    const POINTS: [f64; 16] = [0.0, 0.0, 0.0, 1.0, 1.5, 0.0, 5.0, 5.0, 5.0, 6.2, 20.0, 0.0, 19.0, 3.0, 2.0, 2.0];

    const WARD: [([usize; 2], f64, usize); 7] = [
        ([0, 1], 1.0, 2),
        ([3, 4], 1.2000000000000002, 2),
        ([2, 8], 1.8257418583505536, 3),
        ([7, 10], 2.74620950888068, 4),
        ([5, 6], 3.1622776601683795, 2),
        ([9, 11], 10.397195134586381, 6),
        ([12, 13], 29.915561725184656, 8),
    ];
    const AVERAGE: [([usize; 2], f64, usize); 7] = [
        ([0, 1], 1.0, 2),
        ([3, 4], 1.2000000000000002, 2),
        ([2, 8], 1.6513878188659974, 3),
        ([7, 10], 2.37534930501827, 4),
        ([5, 6], 3.1622776601683795, 2),
        ([9, 11], 6.409999416060698, 6),
        ([12, 13], 17.52551636759046, 8),
    ];
    const COMPLETE: [([usize; 2], f64, usize); 7] = [
        ([0, 1], 1.0, 2),
        ([3, 4], 1.2000000000000002, 2),
        ([2, 8], 1.8027756377319946, 3),
        ([7, 10], 2.8284271247461903, 4),
        ([5, 6], 3.1622776601683795, 2),
        ([9, 11], 7.964923100695951, 6),
        ([12, 13], 20.024984394500787, 8),
    ];
    const SINGLE: [([usize; 2], f64, usize); 7] = [
        ([0, 1], 1.0, 2),
        ([3, 4], 1.2000000000000002, 2),
        ([2, 8], 1.5, 3),
        ([7, 10], 2.0615528128088303, 4),
        ([5, 6], 3.1622776601683795, 2),
        ([9, 11], 4.242640687119285, 6),
        ([12, 13], 14.142135623730951, 8),
    ];

    #[test]
    fn merges_are_those_of_scipy() {
        // scipy.cluster.hierarchy.linkage(points.reshape(8, 2), method)
        let expected = [
            (Linkage::Ward, WARD),
            (Linkage::Average, AVERAGE),
            (Linkage::Complete, COMPLETE),
            (Linkage::Single, SINGLE),
        ];
        for (method, expected) in expected {
            let found = merges(&POINTS, 2, method);
            assert_eq!(found.len(), 7);
            for (found, (pair, distance, size)) in found.iter().zip(expected) {
                assert_eq!((found.pair, found.size), (pair, size), "{method:?}");
                assert!((found.distance - distance).abs() < 1e-14, "{method:?}: {found:?} {distance}");
            }
        }
    }

    /// The definitions, by looking at all pairs of groups after each merge.
    #[test]
    fn long_chains_and_gaps_do_not_matter() {
        let values: Vec<f64> = (0..1200u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e6).collect();
        let data = Matrix { values, width: 2 };
        let distance = |a: usize, b: usize| {
            let [a, b] = [data.row(a), data.row(b)];
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        let mean = |rows: &[usize], feature: usize| {
            rows.iter().map(|&row| data.row(row)[feature]).sum::<f64>() / rows.len() as f64
        };
        for method in [Linkage::Ward, Linkage::Average, Linkage::Complete, Linkage::Single] {
            let between = |a: &[usize], b: &[usize]| {
                let pairs = || a.iter().flat_map(|&a| b.iter().map(move |&b| distance(a, b)));
                match method {
                    Linkage::Ward => {
                        let gap = (mean(a, 0) - mean(b, 0)).hypot(mean(a, 1) - mean(b, 1));
                        let (a, b) = (a.len() as f64, b.len() as f64);
                        (2.0 * a * b / (a + b)).sqrt() * gap
                    }
                    Linkage::Average => pairs().sum::<f64>() / (a.len() * b.len()) as f64,
                    Linkage::Complete => pairs().fold(0.0, f64::max),
                    Linkage::Single => pairs().fold(f64::INFINITY, f64::min),
                }
            };
            let mut groups: Vec<Vec<usize>> = (0..600).map(|row| vec![row]).collect();
            for merge in linkage::<()>(&data, method, &|| Ok(())).unwrap() {
                let [a, b] = merge.pair.map(|node| groups[node].clone());
                let expected = between(&a, &b);
                assert!((merge.distance / expected - 1.0).abs() < 1e-9, "{method:?}: {merge:?} {expected}");
                assert_eq!(merge.size, a.len() + b.len());
                groups.push([a, b].concat());
            }
        }
    }

    #[test]
    fn merges_at_the_same_distance_are_undone_together() {
        // Four rows a distance of 1 apart, and one far away: no cut gives three or four clusters.
        let found = merges(&[0.0, 1.0, 2.0, 3.0, 9.0], 1, Linkage::Single);
        assert_eq!(found.iter().map(|merge| merge.distance).collect::<Vec<_>>(), [1.0, 1.0, 1.0, 6.0]);
        // fcluster(linkage(x, "single"), k, "maxclust")
        let clusters = |k: usize| cut(&found, k).iter().max().unwrap() + 1;
        assert_eq!([1, 2, 3, 4, 5, 6].map(clusters), [1, 2, 2, 2, 5, 5]);
        let two = cut(&found, 2);
        assert!(two[..4].iter().all(|label| *label == two[0]) && two[4] != two[0]);
        // Equal rows are never apart.
        let equal = merges(&[4.0, 4.0, 7.0, 7.0, 7.0], 1, Linkage::Ward);
        assert_eq!(cut(&equal, 5).iter().max(), Some(&1));
        assert_eq!(cut(&merges(&[1.0], 1, Linkage::Ward), 1), [0]);
    }
}
