//! A learned binary tree: what boosting, forests and single trees keep and apply.

use serde::{Deserialize, Serialize};

/// A binary tree of splits `feature <= threshold`. Its nodes lie in arrays, parents before children, the two children of
/// a node side by side; node 0 is the root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The feature that a node splits by; -1 for a leaf.
    pub(crate) feature: Vec<i32>,
    /// The threshold of a split, the value of a leaf. The largest number there is as a threshold keeps every value left
    /// that is not missing.
    pub(crate) number: Vec<f64>,
    /// The left child of a split, after which the right one comes; 0 for a leaf.
    pub(crate) left: Vec<u32>,
    /// Whether a missing value goes left (1) or right (0).
    pub(crate) missing_left: Vec<u8>,
}

/// How a node of a tree divides rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) feature: usize,
    pub(crate) threshold: f64,
    pub(crate) missing_left: bool,
}

impl Cut {
    /// Whether a value of its feature, NaN where it is missing, goes left.
    pub(crate) fn goes_left(&self, value: f64) -> bool {
        if value.is_nan() { self.missing_left } else { value <= self.threshold }
    }
}

impl Tree {
    /// A tree of one leaf.
    pub(crate) fn leaf(value: f64) -> Self {
        Self { feature: vec![-1], number: vec![value], left: vec![0], missing_left: vec![0] }
    }

    /// The number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.feature.len()
    }

    /// The number of leaves.
    pub(crate) fn leaves(&self) -> usize {
        self.feature.iter().filter(|feature| **feature < 0).count()
    }

    /// Gives leaf `node` two leaves as children; returns the left one, after which the right one comes.
    pub(crate) fn split(&mut self, node: usize, cut: Cut, left: f64, right: f64) -> usize {
        let child = self.len();
        self.feature[node] = i32::try_from(cut.feature).unwrap_or(i32::MAX);
        self.number[node] = cut.threshold;
        self.left[node] = u32::try_from(child).unwrap_or(u32::MAX);
        self.missing_left[node] = u8::from(cut.missing_left);
        self.feature.extend([-1, -1]);
        self.number.extend([left, right]);
        self.left.extend([0, 0]);
        self.missing_left.extend([0, 0]);
        child
    }

    /// How a node divides rows; `None` for a leaf.
    pub(crate) fn cut(&self, node: usize) -> Option<Cut> {
        let feature = usize::try_from(self.feature[node]).ok()?;
        Some(Cut { feature, threshold: self.number[node], missing_left: self.missing_left[node] != 0 })
    }

    /// The same tree in a form that is quick to walk.
    pub(crate) fn walk(&self) -> Walk {
        let steps = (0..self.len()).map(|node| Step {
            number: self.number[node],
            feature: u32::try_from(self.feature[node]).unwrap_or(LEAF),
            left: self.left[node] << 1 | u32::from(self.missing_left[node]),
        });
        Walk(steps.collect())
    }

    /// The leaf in which a row ends, whose features `value` gives.
    pub(crate) fn find(&self, value: impl Fn(usize) -> f64) -> usize {
        let mut node = 0;
        while let Some(cut) = self.cut(node) {
            node = self.left[node] as usize + usize::from(!cut.goes_left(value(cut.feature)));
        }
        node
    }

    /// The value of the leaf in which a row ends, whose features `value` gives.
    pub(crate) fn predict(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.number[self.find(value)]
    }

    /// Whether every row of a table with `features` columns ends in a leaf with a finite value: a tree that was read from
    /// a file need not be one that was learned.
    pub(crate) fn is_sound(&self, features: usize) -> bool {
        let len = self.len();
        len > 0
            && [self.number.len(), self.left.len(), self.missing_left.len()] == [len; 3]
            && self.number.iter().all(|number| number.is_finite())
            // A walk keeps a bit beside the place of a child.
            && len < 1 << 31
            && (0..len).all(|node| match usize::try_from(self.feature[node]) {
                Ok(feature) => {
                    feature < features && self.left[node] as usize > node && (self.left[node] as usize) < len - 1
                }
                Err(_) => true,
            })
    }
}

/// A tree whose nodes lie in one array, so that a step reads one place in memory.
pub(crate) struct Walk(Vec<Step>);

struct Step {
    number: f64,
    feature: u32,
    /// The left child, and in the lowest bit whether a missing value goes there.
    left: u32,
}

const LEAF: u32 = u32::MAX;

impl Walk {
    /// The value of the leaf in which a row ends, whose features `value` gives.
    #[inline]
    pub(crate) fn predict(&self, value: impl Fn(usize) -> f64) -> f64 {
        let mut step = &self.0[0];
        while step.feature != LEAF {
            let value = value(step.feature as usize);
            let left = value <= step.number || (value.is_nan() && step.left & 1 == 1);
            step = &self.0[(step.left >> 1) as usize + usize::from(!left)];
        }
        step.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump() -> Tree {
        let mut tree = Tree::leaf(0.5);
        let cut = Cut { feature: 1, threshold: 2.0, missing_left: true };
        assert_eq!(tree.split(0, cut, 0.25, 0.75), 1);
        tree
    }

    #[test]
    fn rows_find_their_leaf() {
        let tree = stump();
        let of = |x: f64| tree.predict(|feature| [0.0, x][feature]);
        assert_eq!([of(2.0), of(2.5), of(f64::NAN)], [0.25, 0.75, 0.25]);
        let walk = tree.walk();
        let of = |x: f64| walk.predict(|feature| [0.0, x][feature]);
        assert_eq!([of(2.0), of(2.5), of(f64::NAN)], [0.25, 0.75, 0.25]);
        assert_eq!((tree.len(), tree.leaves()), (3, 2));
    }

    #[test]
    fn the_largest_threshold_separates_what_is_missing() {
        let cut = Cut { feature: 0, threshold: f64::MAX, missing_left: false };
        assert!(cut.goes_left(f64::MAX) && cut.goes_left(0.0) && !cut.goes_left(f64::NAN));
    }

    #[test]
    fn a_tree_that_loops_or_reads_beyond_the_table_is_not_sound() {
        assert!(stump().is_sound(2) && !stump().is_sound(1) && !Tree::default().is_sound(2));
        let mut loops = stump();
        loops.left[0] = 0;
        let mut beyond = stump();
        beyond.left[0] = 2;
        let mut short = stump();
        short.number.pop();
        assert!([loops, beyond, short].iter().all(|tree| !tree.is_sound(2)));
    }
}
