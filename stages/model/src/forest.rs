//! Random forests (Breiman 2001) over binned features.

use rand::Rng;
use rayon::prelude::*;

use crate::bins::{Bins, Feature, MISSING};
use crate::cart::divide;
use crate::impurity::{Sums, Targets};
use crate::matrix::{CHUNK, Matrix};
use crate::tree::{Cut, Tree, Walk};
use crate::trees::shares;

/// How to grow a forest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) n_estimators: usize,
    pub(crate) max_depth: Option<usize>,
    pub(crate) min_samples_split: usize,
    pub(crate) min_samples_leaf: usize,
    /// How many features a node chooses from.
    pub(crate) max_features: usize,
    /// How many rows a tree draws, each anew from all; `None` for all rows as they are.
    pub(crate) draws: Option<usize>,
}

/// A forest and what there is to tell about it.
pub(crate) struct Forest {
    pub(crate) trees: Vec<Tree>,
    /// The share of each feature in the decrease of impurity, as the mean over the trees.
    pub(crate) importance: Vec<f64>,
    /// For each row the mean of the trees that have not drawn it; `None` where all have.
    pub(crate) out_of_bag: Vec<Option<f64>>,
}

/// One tree, and what it was grown from.
struct Grown {
    tree: Tree,
    decreases: Vec<f64>,
    /// A bit for each row, set where it was drawn.
    drawn: Vec<u64>,
}

/// A forest for a matrix. `rng` makes the random numbers of each tree; `check` is called after each with the number of
/// its nodes and may end it.
pub(crate) fn fit<E: Send, R: Rng>(
    matrix: &Matrix,
    targets: &Targets,
    limits: &Limits,
    rng: impl Fn(usize) -> R + Sync,
    check: impl Fn(usize) -> Result<(), E> + Sync,
) -> Result<Forest, E> {
    let bins = Bins::of(matrix, crate::bins::MAX_BINS);
    let grown = (0..limits.n_estimators)
        .into_par_iter()
        .map(|index| {
            let grown = Grower::new(&bins, targets, limits, rng(index)).grow(matrix.rows());
            check(grown.tree.len()).map(|()| grown)
        })
        .collect::<Result<Vec<_>, E>>()?;
    let mut importance = vec![0.0; matrix.width()];
    for grown in &grown {
        for (sum, share) in importance.iter_mut().zip(shares(&grown.decreases)) {
            *sum += share;
        }
    }
    let importance = shares(&importance);
    let out_of_bag = if limits.draws.is_some() { out_of_bag(matrix, &grown) } else { vec![None; matrix.rows()] };
    Ok(Forest { trees: grown.into_iter().map(|grown| grown.tree).collect(), importance, out_of_bag })
}

fn out_of_bag(matrix: &Matrix, grown: &[Grown]) -> Vec<Option<f64>> {
    let walks: Vec<Walk> = grown.iter().map(|grown| grown.tree.walk()).collect();
    let mut sums = vec![(0.0, 0usize); matrix.rows()];
    sums.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, sums)| {
        for (tree, Grown { drawn, .. }) in walks.iter().zip(grown) {
            for (row, (sum, count)) in (chunk * CHUNK..).zip(sums.iter_mut()) {
                if drawn[row / 64] >> (row % 64) & 1 == 0 {
                    *sum += tree.predict(|feature| matrix.column(feature)[row]);
                    *count += 1;
                }
            }
        }
    });
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
}

/// Grows one tree.
struct Grower<'a, R> {
    bins: &'a Bins,
    targets: &'a Targets,
    limits: &'a Limits,
    rng: R,
    /// The features in a random order.
    features: Vec<usize>,
    histogram: Box<Histogram>,
}

/// The sums of the rows in each bin, and which bins have any.
struct Histogram {
    sums: [Sums; 256],
    occupied: [u64; 4],
}

/// The best split of a node.
#[derive(Clone, Copy)]
struct Split {
    merit: f64,
    feature: usize,
    /// Bins up to and including this one go left.
    bin: u8,
    missing_left: bool,
    left: Sums,
}

impl Split {
    fn goes_left(&self, bin: u8) -> bool {
        if bin == MISSING { self.missing_left } else { bin <= self.bin }
    }
}

impl<'a, R: Rng> Grower<'a, R> {
    fn new(bins: &'a Bins, targets: &'a Targets, limits: &'a Limits, rng: R) -> Self {
        let histogram = Box::new(Histogram { sums: [Sums::default(); 256], occupied: [0; 4] });
        Self { bins, targets, limits, rng, features: (0..bins.features.len()).collect(), histogram }
    }

    /// The rows that the tree learns from, ascending, as often as they were drawn.
    fn draw(&mut self, rows: usize) -> Vec<u32> {
        let Some(draws) = self.limits.draws else { return (0..rows as u32).collect() };
        let mut counts = vec![0u16; rows];
        for _ in 0..draws {
            let row = self.rng.random_range(0..rows);
            counts[row] = counts[row].saturating_add(1);
        }
        (0u32..).zip(counts).flat_map(|(row, count)| std::iter::repeat_n(row, usize::from(count))).collect()
    }

    fn grow(mut self, all: usize) -> Grown {
        let mut rows = self.draw(all);
        let mut drawn = vec![0u64; all.div_ceil(64)];
        rows.iter().for_each(|row| drawn[*row as usize / 64] |= 1 << (row % 64));
        let mut scratch = vec![0; rows.len()];
        let total = self.targets.sum(&rows);
        let mut tree = Tree::leaf(self.targets.mean(total));
        let mut decreases = vec![0.0; self.features.len()];
        let mut stack = vec![(0, 0..rows.len(), 0, total)];
        while let Some((node, range, depth, sums)) = stack.pop() {
            if self.is_leaf(range.len(), depth, sums) {
                continue;
            }
            let Some(split) = self.best(&rows[range.clone()], sums) else { continue };
            let [left, right] = [split.left, sums - split.left];
            let of = |sums: Sums| sums.rows as f64 * self.targets.impurity(sums);
            decreases[split.feature] += (of(sums) - of(left) - of(right)).max(0.0);
            let bins = &self.bins.features[split.feature].bins;
            divide(&mut rows[range.clone()], &mut scratch, |row| split.goes_left(bins[row as usize]));
            let child = tree.split(node, self.cut(&split, right), self.targets.mean(left), self.targets.mean(right));
            let middle = range.start + left.rows as usize;
            stack.push((child + 1, middle..range.end, depth + 1, right));
            stack.push((child, range.start..middle, depth + 1, left));
        }
        Grown { tree, decreases, drawn }
    }

    fn is_leaf(&self, rows: usize, depth: usize, sums: Sums) -> bool {
        self.limits.max_depth.is_some_and(|max_depth| depth >= max_depth)
            || rows < self.limits.min_samples_split.max(2 * self.limits.min_samples_leaf).max(2)
            || self.targets.is_pure(sums)
    }

    /// The split in the features' own numbers.
    fn cut(&self, split: &Split, right: Sums) -> Cut {
        let feature = &self.bins.features[split.feature];
        let threshold = feature.thresholds.get(usize::from(split.bin)).copied().unwrap_or(f64::MAX);
        // Where no row lacks the feature, one that does goes with the majority.
        let missing_left = if feature.missing { split.missing_left } else { split.left.rows > right.rows };
        Cut { feature: split.feature, threshold, missing_left }
    }

    /// The best split of a node by some features drawn at random: `max_features`, and as many more as it takes to find
    /// one that is not the same in all rows.
    fn best(&mut self, rows: &[u32], sums: Sums) -> Option<Split> {
        let mut best: Option<Split> = None;
        let mut varies = false;
        for drawn in 0..self.features.len() {
            if drawn >= self.limits.max_features && varies {
                break;
            }
            let other = self.rng.random_range(drawn..self.features.len());
            self.features.swap(drawn, other);
            let index = self.features[drawn];
            let feature = &self.bins.features[index];
            self.histogram.fill(rows, feature, self.targets);
            varies |= self.histogram.varies();
            let split = self.histogram.best(index, sums, self.targets, self.limits.min_samples_leaf);
            self.histogram.clear();
            if let Some(split) = split
                && best.is_none_or(|best| split.merit > best.merit)
            {
                best = Some(split);
            }
        }
        best
    }
}

impl Histogram {
    fn fill(&mut self, rows: &[u32], feature: &Feature, targets: &Targets) {
        for row in rows {
            let bin = feature.bins[*row as usize];
            self.sums[usize::from(bin)] += targets.row(*row);
            self.occupied[usize::from(bin / 64)] |= 1 << (bin % 64);
        }
    }

    fn clear(&mut self) {
        for bin in self.bins() {
            self.sums[usize::from(bin)] = Sums::default();
        }
        self.occupied = [0; 4];
    }

    /// The bins with rows, ascending; that of missing values is the last.
    fn bins(&self) -> impl Iterator<Item = u8> + use<> {
        (0u8..4).zip(self.occupied).flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
                (bit < 64).then(|| word * 64 + bit as u8)
            })
        })
    }

    fn varies(&self) -> bool {
        self.occupied.iter().map(|bits| bits.count_ones()).sum::<u32>() > 1
    }

    /// The best split; of equally good ones that which sends missing values right, then the lowest. Where bins between two
    /// neighbours are empty, it lies in their middle.
    fn best(&self, feature: usize, total: Sums, targets: &Targets, least: usize) -> Option<Split> {
        let missing = self.sums[usize::from(MISSING)];
        let mut best: Option<Split> = None;
        for missing_left in [false, true] {
            if missing_left && missing.rows == 0 {
                break;
            }
            let mut left = if missing_left { missing } else { Sums::default() };
            let mut bins = self.bins().take_while(|bin| *bin != MISSING).peekable();
            while let Some(bin) = bins.next() {
                left += self.sums[usize::from(bin)];
                let right = total - left;
                if (right.rows as usize) < least.max(1) {
                    break;
                }
                if (left.rows as usize) < least {
                    continue;
                }
                let merit = targets.merit(left, right);
                if best.is_none_or(|best| merit > best.merit) {
                    // Behind the last bin only missing values are left.
                    let bin = bins.peek().map_or(MISSING - 1, |next| bin + (next - bin - 1) / 2);
                    best = Some(Split { merit, feature, bin, missing_left, left });
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::impurity::Criterion;
    use crate::scores::{log_loss, r2, rmse};
    use crate::testing::{Data, auc, data};
    use crate::trees::Trees;

    const LIMITS: Limits = Limits {
        n_estimators: 100,
        max_depth: None,
        min_samples_split: 2,
        min_samples_leaf: 2,
        max_features: 2,
        draws: Some(6000),
    };

    fn learn(data: &Data, criterion: Criterion, limits: &Limits) -> Forest {
        let target = if criterion == Criterion::SquaredError { &data.number } else { &data.class };
        let rng = |tree| StdRng::seed_from_u64(tree as u64);
        fit(&data.matrix, &Targets::new(target, criterion), limits, rng, |_| Ok::<(), ()>(())).unwrap()
    }

    #[track_caller]
    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    fn pairs(predicted: Vec<f64>, target: &[f64]) -> Vec<(f64, f64)> {
        predicted.into_iter().zip(target.iter().copied()).collect()
    }

    // The reference numbers are of scikit-learn 1.6.0 with three seeds on `testing::data(8000)`, of which the first 6,000
    // rows are learned from.

    #[test]
    fn it_is_as_good_as_scikit_learns_classifier() {
        // RandomForestClassifier(100, min_samples_leaf=2, oob_score=True): AUC .8116 to .8148, log loss .5170 to .5203,
        // out-of-bag accuracy .7458 to .7505.
        let (train, test) = data(8000).split(6000);
        let forest = learn(&train, Criterion::Gini, &LIMITS);
        let outside: Vec<f64> = forest.out_of_bag.iter().map(|value| value.unwrap()).collect();
        let right = outside.iter().zip(&train.class).filter(|(value, class)| (**value >= 0.5) == (**class == 1.0));
        near(right.count() as f64 / 6000.0, 0.748, 0.006);
        let predicted = Trees { trees: forest.trees }.predict(&test.matrix);
        near(auc(&predicted, &test.class), 0.814, 0.005);
        near(log_loss(&pairs(predicted, &test.class)).unwrap(), 0.518, 0.005);
    }

    #[test]
    fn it_is_as_good_as_scikit_learns_regressor() {
        // RandomForestRegressor(30, oob_score=True): RMSE .815 to .828, out-of-bag R² .758 to .766, importance .201 .205
        // .176 .037 .215 .166.
        let (train, test) = data(8000).split(6000);
        let limits = Limits { n_estimators: 30, min_samples_leaf: 1, max_features: 6, ..LIMITS };
        let forest = learn(&train, Criterion::SquaredError, &limits);
        let known: Vec<(f64, f64)> =
            forest.out_of_bag.iter().zip(&train.number).filter_map(|(v, target)| v.map(|v| (v, *target))).collect();
        near(r2(&known).unwrap(), 0.770, 0.015);
        for (found, expected) in forest.importance.iter().zip([0.201, 0.205, 0.176, 0.037, 0.215, 0.166]) {
            near(*found, expected, 0.01);
        }
        let predicted = Trees { trees: forest.trees }.predict(&test.matrix);
        near(rmse(&pairs(predicted, &test.number)).unwrap(), 0.810, 0.02);
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let data = data(2000);
        let limits = Limits { n_estimators: 12, draws: Some(1000), ..LIMITS };
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let forest = pool.install(|| learn(&data, Criterion::Entropy, &limits));
            (forest.trees, forest.importance, forest.out_of_bag)
        };
        assert_eq!(fit(1), fit(3));
    }

    #[test]
    fn every_row_is_drawn_once_without_a_bootstrap() {
        let data = data(500);
        let limits = Limits { n_estimators: 3, draws: None, min_samples_leaf: 1, max_features: 6, ..LIMITS };
        let forest = learn(&data, Criterion::Gini, &limits);
        let predicted = Trees { trees: forest.trees }.predict(&data.matrix);
        assert!(predicted.iter().zip(&data.class).filter(|(value, class)| value != class).count() < 15);
        assert!(forest.out_of_bag.iter().all(Option::is_none));
    }
}
