//! The rows near a row, by a k-d tree (Bentley 1975; Friedman, Bentley & Finkel 1977).

use crate::matrix::{Matrix, squared_distance};

/// A box with fewer rows is not divided further.
const LEAF: usize = 16;

/// Rows in boxes within boxes.
pub(crate) struct Tree {
    width: usize,
    /// The rows box by box.
    rows: Vec<u32>,
    /// Their values, in the same order.
    values: Vec<f64>,
    boxes: Vec<Box>,
}

struct Box {
    /// Its rows are those from here to there.
    start: usize,
    end: usize,
    /// The two boxes that it is divided into; the second comes anywhere after the first, which is the next one.
    second: Option<usize>,
    /// The least and the largest value of each feature over its rows.
    least: Vec<f64>,
    largest: Vec<f64>,
}

impl Tree {
    pub(crate) fn of(data: &Matrix) -> Self {
        let mut rows: Vec<u32> = (0..data.rows() as u32).collect();
        let mut boxes = Vec::new();
        divide(data, &mut rows, 0, &mut boxes);
        let values = rows.iter().flat_map(|&row| data.row(row as usize)).copied().collect();
        Self { width: data.width, rows, values, boxes }
    }

    /// The `count` rows nearest to `row`, which is not one of them, by ascending squared distance; of equally near ones
    /// the first.
    pub(crate) fn nearest(&self, data: &Matrix, row: usize, count: usize) -> Vec<u32> {
        let point = data.row(row);
        // At most `count`, in order.
        let mut found: Vec<(f64, u32)> = Vec::with_capacity(count + 1);
        let mut open = vec![(0.0, 0)];
        while let Some((near, at)) = open.pop() {
            // An equally near row may come before one of those found.
            if found.len() == count && found.last().is_none_or(|worst| near > worst.0) {
                continue;
            }
            let Some(second) = self.boxes[at].second else {
                for (&other, values) in self.inside(at) {
                    let candidate = (squared_distance(point, values), other);
                    let is_better = found.len() < count || found.last().is_some_and(|worst| candidate < *worst);
                    if is_better && other as usize != row {
                        let place = found.partition_point(|other| *other < candidate);
                        found.insert(place, candidate);
                        found.truncate(count);
                    }
                }
                continue;
            };
            let [first, second] = [at + 1, second].map(|at| (self.boxes[at].squared_distance(point), at));
            // The nearer one is looked at first.
            open.extend(if first.0 <= second.0 { [second, first] } else { [first, second] });
        }
        found.into_iter().map(|(_, row)| row).collect()
    }

    /// Calls `found` with each row at most `radius` from `row`, itself included.
    pub(crate) fn within(&self, data: &Matrix, row: usize, radius: f64, mut found: impl FnMut(u32)) {
        let point = data.row(row);
        let limit = radius * radius;
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if self.boxes[at].squared_distance(point) > limit {
                continue;
            }
            match self.boxes[at].second {
                Some(second) => open.extend([second, at + 1]),
                None => self
                    .inside(at)
                    .filter(|(_, values)| squared_distance(point, values) <= limit)
                    .for_each(|(row, _)| found(*row)),
            }
        }
    }

    fn inside(&self, at: usize) -> impl Iterator<Item = (&u32, &[f64])> {
        let Box { start, end, .. } = self.boxes[at];
        self.rows[start..end].iter().zip(self.values[start * self.width..end * self.width].chunks_exact(self.width))
    }
}

impl Box {
    /// From a point to the nearest place that a row of the box may have.
    fn squared_distance(&self, point: &[f64]) -> f64 {
        let sides = self.least.iter().zip(&self.largest);
        point
            .iter()
            .zip(sides)
            .map(|(value, (least, largest))| {
                let outside = (least - value).max(value - largest).max(0.0);
                outside * outside
            })
            .sum()
    }
}

/// Makes a box of these rows, which begin at `start` among all, and divides it at the median of its longest side.
fn divide(data: &Matrix, rows: &mut [u32], start: usize, boxes: &mut Vec<Box>) {
    let mut least = vec![f64::INFINITY; data.width];
    let mut largest = vec![f64::NEG_INFINITY; data.width];
    for &row in &*rows {
        for ((least, largest), value) in least.iter_mut().zip(&mut largest).zip(data.row(row as usize)) {
            *least = least.min(*value);
            *largest = largest.max(*value);
        }
    }
    let side = |feature: &usize| largest[*feature] - least[*feature];
    let longest = (0..data.width).reduce(|best, next| if side(&next) > side(&best) { next } else { best });
    let divided = longest.filter(|longest| rows.len() > LEAF && side(longest) > 0.0);
    let at = boxes.len();
    boxes.push(Box { start, end: start + rows.len(), second: None, least, largest });
    if let Some(feature) = divided {
        let middle = rows.len() / 2;
        let value = |row: u32| data.row(row as usize)[feature];
        rows.select_nth_unstable_by(middle, |&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
        let (low, high) = rows.split_at_mut(middle);
        divide(data, low, start, boxes);
        boxes[at].second = Some(boxes.len());
        divide(data, high, start + middle, boxes);
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use crate::matrix::{Matrix, squared_distance};

    /// Against a look at every row: scattered ones, and ones on a grid, where many are equally near.
    #[test]
    fn neighbours_are_those_of_a_full_search() {
        let scattered: Vec<f64> = (0..1500u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e6).collect();
        let grid: Vec<f64> = (0..1500u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 29)).collect();
        for (values, radius) in [(scattered, 3.0), (grid, 1.0)] {
            let data = Matrix { values, width: 3 };
            let tree = Tree::of(&data);
            for row in 0..500 {
                let mut all: Vec<(f64, u32)> =
                    (0..500).map(|to| (squared_distance(data.row(row), data.row(to)), to as u32)).collect();
                let mut within: Vec<u32> =
                    all.iter().filter(|(squared, _)| *squared <= radius * radius).map(|(_, to)| *to).collect();
                within.sort_unstable();
                let mut found = Vec::new();
                tree.within(&data, row, radius, |row| found.push(row));
                found.sort_unstable();
                assert_eq!(found, within);
                all.retain(|(_, to)| *to as usize != row);
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let nearest: Vec<u32> = all.iter().take(9).map(|(_, to)| *to).collect();
                assert_eq!(tree.nearest(&data, row, 9), nearest);
            }
        }
    }

    #[test]
    fn equal_rows_are_one_box() {
        let data = Matrix { values: vec![2.0; 100], width: 1 };
        let tree = Tree::of(&data);
        assert_eq!(tree.nearest(&data, 2, 3), [0, 1, 3]);
        assert_eq!(tree.nearest(&data, 2, 200).len(), 99);
        assert_eq!(tree.nearest(&data, 2, 0), [0u32; 0]);
        let mut count = 0;
        tree.within(&data, 7, 0.0, |_| count += 1);
        assert_eq!(count, 100);
    }
}
