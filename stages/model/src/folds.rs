//! Which rows are tested in which round of a cross-validation.

use rand::Rng;
use rand::seq::SliceRandom;

/// One round: the rows to learn from and those to test on, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) train: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

/// Folds of shuffled rows, whose sizes differ by at most one.
pub(crate) fn shuffled(rows: usize, folds: usize, rng: &mut impl Rng) -> Vec<Fold> {
    dealt([(0..rows).collect::<Vec<_>>()], rows, folds, rng)
}

/// The same with each class spread evenly.
pub(crate) fn stratified(target: &[f64], folds: usize, rng: &mut impl Rng) -> Vec<Fold> {
    let of = |class: f64| (0..target.len()).filter(|row| target[*row] == class).collect::<Vec<_>>();
    dealt([of(0.0), of(1.0)], target.len(), folds, rng)
}

/// Shuffles each heap of rows and deals them out like cards, one heap after the other.
fn dealt<const N: usize>(heaps: [Vec<usize>; N], rows: usize, folds: usize, rng: &mut impl Rng) -> Vec<Fold> {
    let mut fold_of = vec![0; rows];
    let mut next = 0;
    for mut heap in heaps {
        heap.shuffle(rng);
        for row in heap {
            fold_of[row] = next;
            next = (next + 1) % folds;
        }
    }
    of_places(&fold_of, folds)
}

/// Folds of whole groups: the largest group goes first, each to the fold with the fewest rows so far. Ties go by the
/// number of the group, and to the first of several folds.
pub(crate) fn grouped(group_of: &[u32], folds: usize) -> Vec<Fold> {
    let mut sizes = vec![0usize; group_of.iter().max().map_or(0, |group| *group as usize + 1)];
    group_of.iter().for_each(|group| sizes[*group as usize] += 1);
    let mut groups: Vec<usize> = (0..sizes.len()).filter(|group| sizes[*group] > 0).collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(sizes[*group]), *group));
    let mut fold_of_group = vec![0; sizes.len()];
    let mut filled = vec![0usize; folds];
    for group in groups {
        let fold = (0..folds).min_by_key(|fold| filled[*fold]).unwrap_or(0);
        fold_of_group[group] = fold;
        filled[fold] += sizes[group];
    }
    let fold_of: Vec<usize> = group_of.iter().map(|group| fold_of_group[*group as usize]).collect();
    of_places(&fold_of, folds)
}

/// Rows by time in `folds + 1` blocks of about the same size, rows of one time together: each block but the first is
/// tested once, by what was learned from all blocks before it. A block may be empty where few times are different.
pub(crate) fn expanding(time: &[f64], folds: usize) -> Vec<Fold> {
    let mut sorted = time.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let starts: Vec<f64> =
        (1..=folds).filter_map(|block| sorted.get(block * sorted.len() / (folds + 1)).copied()).collect();
    let block_of: Vec<usize> = time.iter().map(|time| starts.iter().filter(|start| time >= start).count()).collect();
    let rows = |keep: &dyn Fn(usize) -> bool| (0..time.len()).filter(|row| keep(block_of[*row])).collect();
    (1..=folds).map(|test| Fold { train: rows(&|block| block < test), test: rows(&|block| block == test) }).collect()
}

fn of_places(fold_of: &[usize], folds: usize) -> Vec<Fold> {
    let rows = |keep: &dyn Fn(usize) -> bool| (0..fold_of.len()).filter(|row| keep(fold_of[*row])).collect();
    (0..folds).map(|test| Fold { train: rows(&|fold| fold != test), test: rows(&|fold| fold == test) }).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{Fold, expanding, grouped, shuffled, stratified};

    fn sizes(folds: &[Fold]) -> Vec<(usize, usize)> {
        folds.iter().map(|fold| (fold.train.len(), fold.test.len())).collect()
    }

    #[test]
    fn every_row_is_tested_once_and_never_learned_from() {
        let folds = shuffled(11, 3, &mut StdRng::seed_from_u64(1));
        assert_eq!(sizes(&folds), [(7, 4), (7, 4), (8, 3)]);
        let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tested.sort_unstable();
        assert_eq!(tested, (0..11).collect::<Vec<_>>());
        assert!(folds.iter().all(|fold| fold.test.iter().all(|row| !fold.train.contains(row))));
        assert_ne!(folds, shuffled(11, 3, &mut StdRng::seed_from_u64(2)));
    }

    #[test]
    fn classes_are_spread_evenly() {
        let target: Vec<f64> = (0..20).map(|row| f64::from(u8::from(row < 5))).collect();
        let folds = stratified(&target, 5, &mut StdRng::seed_from_u64(1));
        assert!(folds.iter().all(|fold| fold.test.iter().filter(|row| target[**row] == 1.0).count() == 1));
        assert_eq!(sizes(&folds), [(16, 4); 5]);
    }

    #[test]
    fn groups_stay_together() {
        // Sizes 4, 3, 2, 1: the first and the last fill one fold, the other two the other.
        let folds = grouped(&[0, 0, 0, 0, 1, 1, 1, 2, 2, 3], 2);
        assert_eq!(folds[0].test, [0, 1, 2, 3, 9]);
        assert_eq!(folds[1].test, [4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_future_is_never_learned_from() {
        let folds = expanding(&[5.0, 1.0, 2.0, 2.0, 3.0, 4.0], 2);
        assert_eq!(folds[0], Fold { train: vec![1], test: vec![2, 3, 4] });
        assert_eq!(folds[1], Fold { train: vec![1, 2, 3, 4], test: vec![0, 5] });
    }
}
