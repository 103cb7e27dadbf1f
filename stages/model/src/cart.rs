//! Classification and regression trees (Breiman, Friedman, Olshen & Stone 1984), by exact search over all thresholds.
//!
//! Every feature's rows are sorted once; a split divides each of these orders, so that a node is the same range of all.

use std::ops::Range;

use rayon::prelude::*;

use crate::bins::halfway;
use crate::impurity::{Sums, Targets};
use crate::matrix::Matrix;
use crate::tree::{Cut, Tree};

/// When a node is not split any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_depth: Option<usize>,
    pub(crate) min_samples_split: usize,
    pub(crate) min_samples_leaf: usize,
    /// Of a node's impurity, weighted by its share of all rows.
    pub(crate) min_impurity_decrease: f64,
}

/// A tree and what there is to tell about it.
pub(crate) struct Grown {
    pub(crate) tree: Tree,
    /// For each node of the tree.
    pub(crate) nodes: Vec<Node>,
    /// By how much the splits of each feature lower the impurity in sum, weighted by the share of rows.
    pub(crate) decreases: Vec<f64>,
}

/// What there is to tell about a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) depth: usize,
    pub(crate) rows: u64,
    pub(crate) impurity: f64,
    /// The mean of the target.
    pub(crate) value: f64,
}

/// Work on fewer values than this is not worth handing out.
const SMALL: usize = 1 << 14;

/// The rows of all nodes in the order of one feature.
struct Order {
    /// The rows, node by node; within a node ascending by value, those without one last.
    rows: Vec<u32>,
    scratch: Vec<u32>,
}

/// The best split of a node by one feature.
#[derive(Clone, Copy)]
struct Split {
    merit: f64,
    cut: Cut,
    left: Sums,
}

/// A tree for a matrix. `check` is called now and then and may end it.
pub(crate) fn grow<E>(
    matrix: &Matrix,
    targets: &Targets,
    limits: &Limits,
    check: impl Fn() -> Result<(), E>,
) -> Result<Grown, E> {
    let (columns, rows) = (matrix.columns(), matrix.rows());
    let mut orders: Vec<Order> = columns.par_iter().map(|column| Order::of(column)).collect();
    let all: Vec<u32> = (0..rows as u32).collect();
    let total = targets.sum(&all);
    let mut tree = Tree::leaf(targets.mean(total));
    let tell = |sums: Sums, depth| Node {
        depth,
        rows: sums.rows,
        impurity: targets.impurity(sums),
        value: targets.mean(sums),
    };
    let mut nodes = vec![tell(total, 0)];
    let mut decreases = vec![0.0; columns.len()];
    let mut goes_left = vec![false; rows];
    let mut stack = vec![(0, 0..rows, total)];
    while let Some((node, range, sums)) = stack.pop() {
        if node % 256 == 0 {
            check()?;
        }
        let Node { depth, impurity, .. } = nodes[node];
        if limits.max_depth.is_some_and(|max_depth| depth >= max_depth)
            || range.len() < limits.min_samples_split.max(2 * limits.min_samples_leaf).max(2)
            || targets.is_pure(sums)
        {
            continue;
        }
        let Some(split) = best(&orders, columns, targets, range.clone(), sums, limits.min_samples_leaf) else {
            continue;
        };
        let [left, right] = [split.left, sums - split.left];
        let of = |sums: Sums| sums.rows as f64 * targets.impurity(sums);
        let decrease = (sums.rows as f64 * impurity - of(left) - of(right)) / rows as f64;
        if decrease + f64::EPSILON < limits.min_impurity_decrease {
            continue;
        }
        decreases[split.cut.feature] += decrease.max(0.0);
        let feature = split.cut.feature;
        for row in &orders[feature].rows[range.clone()] {
            goes_left[*row as usize] = split.cut.goes_left(columns[feature][*row as usize]);
        }
        let divide = |order: &mut Order| order.divide(range.clone(), &goes_left);
        if range.len() * columns.len() < SMALL {
            orders.iter_mut().for_each(divide);
        } else {
            orders.par_iter_mut().for_each(divide);
        }
        let child = tree.split(node, split.cut, targets.mean(left), targets.mean(right));
        nodes.extend([tell(left, depth + 1), tell(right, depth + 1)]);
        let middle = range.start + left.rows as usize;
        stack.push((child + 1, middle..range.end, right));
        stack.push((child, range.start..middle, left));
    }
    Ok(Grown { tree, nodes, decreases })
}

impl Order {
    fn of(column: &[f64]) -> Self {
        let mut rows: Vec<u32> = (0..column.len() as u32).collect();
        let key = |row: u32| column[row as usize];
        rows.sort_unstable_by(|a, b| {
            let (x, y) = (key(*a), key(*b));
            // Zeros are equal whatever their sign, as are all missing values.
            let by_value = x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()));
            by_value.then(a.cmp(b))
        });
        Self { scratch: vec![0; rows.len()], rows }
    }

    fn divide(&mut self, range: Range<usize>, goes_left: &[bool]) {
        divide(&mut self.rows[range.clone()], &mut self.scratch[range], |row| goes_left[row as usize]);
    }
}

/// Puts the rows that go left first, both sides in their order before; returns how many go left.
pub(crate) fn divide(rows: &mut [u32], scratch: &mut [u32], goes_left: impl Fn(u32) -> bool) -> usize {
    let left = sift(rows, scratch, goes_left);
    let rights = rows.len() - left;
    rows[left..].copy_from_slice(&scratch[..rights]);
    left
}

/// Moves the rows that go left to the front and copies the others to the front of `rights`, both in their order before;
/// returns how many go left.
pub(crate) fn sift(rows: &mut [u32], rights: &mut [u32], goes_left: impl Fn(u32) -> bool) -> usize {
    // Without a branch, which would often be foreseen wrongly: both writes always happen, and the one that does not count
    // is overwritten later.
    let mut left = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        rows[left] = row;
        rights[at - left] = row;
        left += usize::from(goes_left(row));
    }
    left
}

/// The best split of a node; of equally good ones that by the first feature.
fn best(
    orders: &[Order],
    columns: &[Vec<f64>],
    targets: &Targets,
    range: Range<usize>,
    sums: Sums,
    least: usize,
) -> Option<Split> {
    let of = |feature: usize| {
        best_of(&orders[feature].rows[range.clone()], feature, &columns[feature], targets, sums, least)
    };
    let splits: Vec<Option<Split>> = if range.len() * columns.len() < SMALL {
        (0..columns.len()).map(of).collect()
    } else {
        (0..columns.len()).into_par_iter().map(of).collect()
    };
    splits.into_iter().flatten().reduce(|best, next| if next.merit > best.merit { next } else { best })
}

/// The best split by one feature, whose values `rows` ascend by; of equally good ones that which sends missing values
/// right, then the lowest.
fn best_of(
    rows: &[u32],
    feature: usize,
    column: &[f64],
    targets: &Targets,
    total: Sums,
    least: usize,
) -> Option<Split> {
    let value = |at: usize| column[rows[at] as usize];
    let known = rows.partition_point(|row| !column[*row as usize].is_nan());
    let missing = targets.sum(&rows[known..]);
    let mut best: Option<Split> = None;
    for missing_left in [false, true] {
        if missing_left && known == rows.len() {
            break;
        }
        let mut left = if missing_left { missing } else { Sums::default() };
        for at in 0..known {
            left += targets.row(rows[at]);
            let right = total - left;
            if (right.rows as usize) < least.max(1) {
                break;
            }
            if (left.rows as usize) < least {
                continue;
            }
            let threshold = if at + 1 == known {
                f64::MAX // What is left is what is missing.
            } else if value(at) < value(at + 1) {
                halfway(value(at), value(at + 1))
            } else {
                continue;
            };
            let merit = targets.merit(left, right);
            if best.is_none_or(|best| merit > best.merit) {
                // Where no row of the node lacks the feature, one that does goes with the majority.
                let missing_left = if known == rows.len() { left.rows > right.rows } else { missing_left };
                best = Some(Split { merit, cut: Cut { feature, threshold, missing_left }, left });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::impurity::Criterion;
    use crate::scores::{log_loss, rmse};
    use crate::testing::{Data, data};
    use crate::trees::shares;

    const LIMITS: Limits =
        Limits { max_depth: None, min_samples_split: 2, min_samples_leaf: 1, min_impurity_decrease: 0.0 };

    fn learn(data: &Data, criterion: Criterion, limits: &Limits) -> Grown {
        let target = if criterion == Criterion::SquaredError { &data.number } else { &data.class };
        grow(&data.matrix, &Targets::new(target, criterion), limits, || Ok::<(), ()>(())).unwrap()
    }

    fn predict(grown: &Grown, matrix: &Matrix) -> Vec<f64> {
        (0..matrix.rows()).map(|row| grown.tree.predict(|feature| matrix.column(feature)[row])).collect()
    }

    #[track_caller]
    fn near(found: &[f64], expected: &[f64], tolerance: f64) {
        let close = found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= tolerance);
        assert!(close, "{found:?} is not {expected:?}");
    }

    // The reference numbers are of scikit-learn 1.6.0 on `testing::data(20000)`, of which the first 15,000 rows are
    // learned from. Values in single precision, which it works with, are as distinct as ours.

    #[test]
    fn classes_as_scikit_learn() {
        let (train, test) = data(20_000).split(15_000);
        // So deep, scikit-learn's tree is the same whatever the order in which it breaks ties.
        for (criterion, depth, leaves, loss, importance) in [
            (
                Criterion::Gini,
                5,
                32,
                0.6121748316046055,
                [
                    0.028678083033311576,
                    0.028575976591200616,
                    0.2707617163498358,
                    0.0,
                    0.41054734664926607,
                    0.2614368773763861,
                ],
            ),
            (
                Criterion::Entropy,
                4,
                16,
                0.6117052966239975,
                [
                    0.004808584939525446,
                    0.011496655454046656,
                    0.2680497851285402,
                    0.0,
                    0.45807501060010397,
                    0.2575699638777838,
                ],
            ),
        ] {
            let grown = learn(&train, criterion, &Limits { max_depth: Some(depth), min_samples_leaf: 5, ..LIMITS });
            assert_eq!(grown.tree.leaves(), leaves);
            near(&shares(&grown.decreases), &importance, 1e-9);
            let predicted = predict(&grown, &test.matrix);
            let pairs: Vec<(f64, f64)> = predicted.into_iter().zip(test.class.iter().copied()).collect();
            near(&[log_loss(&pairs).unwrap()], &[loss], 1e-9);
        }
    }

    #[test]
    fn numbers_as_scikit_learn() {
        let (train, test) = data(20_000).split(15_000);
        let grown = learn(&train, Criterion::SquaredError, &Limits { max_depth: Some(5), ..LIMITS });
        let importance = [0.0, 0.0, 0.2725032909940043, 0.0, 0.45963132377332644, 0.2678653852326694];
        near(&shares(&grown.decreases), &importance, 1e-9);
        let pairs: Vec<(f64, f64)> = predict(&grown, &test.matrix).into_iter().zip(test.number).collect();
        near(&[rmse(&pairs).unwrap()], &[1.465945454392984], 1e-9);
    }

    #[test]
    fn limits_hold() {
        let (train, _) = data(3000).split(2000);
        let limits =
            Limits { max_depth: None, min_samples_split: 100, min_samples_leaf: 30, min_impurity_decrease: 1e-3 };
        let grown = learn(&train, Criterion::Gini, &limits);
        assert!(grown.tree.leaves() > 4);
        for (node, told) in grown.nodes.iter().enumerate() {
            assert!(told.rows >= 30 && (grown.tree.cut(node).is_none() || told.rows >= 100));
        }
        let free = learn(&train, Criterion::Gini, &LIMITS);
        assert_eq!(predict(&free, &train.matrix), train.class, "without limits a tree learns by heart");
    }

    #[test]
    fn of_equally_good_splits_the_first_feature_is_taken() {
        let column = vec![1.0, 2.0, 2.0, 3.0];
        let matrix = Matrix::new(vec![vec![7.0; 4], column.clone(), column], 4);
        let target = Targets::new(&[0.0, 1.0, 1.0, 0.0], Criterion::Gini);
        let grown = grow(&matrix, &target, &LIMITS, || Ok::<(), ()>(())).unwrap();
        assert_eq!(grown.tree.cut(0), Some(Cut { feature: 1, threshold: 1.5, missing_left: false }));
        assert_eq!(predict(&grown, &matrix), [0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn what_does_not_lower_the_impurity_at_once_may_do_so_later() {
        // Exclusive or: no first split gains anything.
        let matrix = Matrix::new(vec![vec![0.0, 0.0, 1.0, 1.0], vec![0.0, 1.0, 0.0, 1.0]], 4);
        let target = [0.0, 1.0, 1.0, 0.0];
        let grown = grow(&matrix, &Targets::new(&target, Criterion::Gini), &LIMITS, || Ok::<(), ()>(())).unwrap();
        assert_eq!(predict(&grown, &matrix), target);
    }
}
