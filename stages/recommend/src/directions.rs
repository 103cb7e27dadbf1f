//! Cosine similarity in the plane. It depends on the angle between two vectors alone, so that the products nearest to
//! a user are found by walking outwards from the user's place among the angles of the products: a few steps instead of
//! one comparison with every product.

use std::cmp::Ordering;

use crate::lists::{Scored, by_score};

/// What unit vectors and scores are rounded to.
const GRID: f64 = 1e12;

/// By how much a score may differ from the cosine of the exact angle (a few grid steps), generously.
const SLACK: f64 = 1e-11;

/// A product and where its vector points.
pub(crate) type Point = (u32, Direction);

/// A unit vector in units of 1e-12, or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Direction {
    x: i64,
    y: i64,
}

impl Direction {
    /// Where a vector points; nowhere if it is shorter than 1e-12.
    pub(crate) fn of((x, y): (f64, f64)) -> Self {
        let length = (x * x + y * y).sqrt();
        if length.is_nan() || length < 1.0 / GRID {
            return Self { x: 0, y: 0 };
        }
        Self { x: (x / length * GRID).round() as i64, y: (y / length * GRID).round() as i64 }
    }

    fn is_zero(self) -> bool {
        self.x == 0 && self.y == 0
    }

    fn angle(self) -> f64 {
        (self.y as f64).atan2(self.x as f64)
    }

    /// The cosine of the angle between the two, rounded; 0 where one is zero.
    fn similarity(self, other: Self) -> f64 {
        let product =
            (self.x as f64 / GRID) * (other.x as f64 / GRID) + (self.y as f64 / GRID) * (other.y as f64 / GRID);
        // Adding zero turns -0 into 0.
        ((product * GRID).round() / GRID).clamp(-1.0, 1.0) + 0.0
    }
}

/// Standardises both coordinates to mean 0 and population standard deviation 1; a constant one becomes 0.
pub(crate) fn standardise(points: &mut [(f64, f64)]) {
    let (x_mean, x_deviation) = moments(points.iter().map(|point| point.0));
    let (y_mean, y_deviation) = moments(points.iter().map(|point| point.1));
    for (x, y) in points {
        *x = if x_deviation > 0.0 { (*x - x_mean) / x_deviation } else { 0.0 };
        *y = if y_deviation > 0.0 { (*y - y_mean) / y_deviation } else { 0.0 };
    }
}

/// Mean and population standard deviation, which is 0 where it is no more than rounding: the rule of scikit-learn's
/// `StandardScaler`.
fn moments(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.len() as f64;
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    let rounding = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
    (mean, if variance <= rounding { 0.0 } else { variance.sqrt() })
}

/// All products, by where they point.
pub(crate) struct Directions {
    /// Those that point somewhere, ascending by angle.
    around: Vec<Group>,
    /// Those that point nowhere, ascending.
    nowhere: Vec<u32>,
    /// All of them, ascending.
    all: Vec<u32>,
    /// One more than the largest code.
    codes: usize,
}

struct Group {
    direction: Direction,
    angle: f64,
    /// Ascending.
    products: Vec<u32>,
}

impl Directions {
    /// Those of these points, whose products have codes below `codes`.
    pub(crate) fn of(mut points: Vec<Point>, codes: usize) -> Self {
        points.sort_unstable_by_key(|(product, direction)| (*direction, *product));
        points.dedup();
        let mut all: Vec<u32> = points.iter().map(|point| point.0).collect();
        all.sort_unstable();
        all.dedup();
        let (mut around, mut nowhere) = (Vec::new(), Vec::new());
        for group in points.chunk_by(|a, b| a.1 == b.1) {
            let products = group.iter().map(|point| point.0).collect();
            match group.first() {
                Some((_, direction)) if !direction.is_zero() => {
                    around.push(Group { direction: *direction, angle: direction.angle(), products });
                }
                _ => nowhere = products,
            }
        }
        around.sort_unstable_by(|a, b| a.angle.total_cmp(&b.angle).then(a.direction.cmp(&b.direction)));
        Self { around, nowhere, all, codes }
    }

    /// A search, which one thread can use many times.
    pub(crate) fn search(&self) -> Search<'_> {
        Search { directions: self, seen: vec![0; self.codes], round: 0 }
    }
}

/// Finds the products nearest to a user.
pub(crate) struct Search<'a> {
    directions: &'a Directions,
    /// In which round a product was last found.
    seen: Vec<u32>,
    round: u32,
}

impl Search<'_> {
    /// The `n` best products for a user who points there, best first: exactly what scoring every vector would give.
    pub(crate) fn nearest(&mut self, user: Direction, n: usize) -> Vec<Scored> {
        let Directions { around, nowhere, all, .. } = self.directions;
        if user.is_zero() {
            return all.iter().take(n).map(|product| (*product, 0.0)).collect();
        }
        // Of products with equal scores only the first n can be in the list.
        let mut found: Vec<Scored> = nowhere.iter().take(n).map(|product| (*product, 0.0)).collect();
        let angle = user.angle();
        let score = |index: usize| around.get(index).map_or(-1.0, |group| user.similarity(group.direction));
        // Clockwise from the last group below the angle, and counter-clockwise from the first that is not.
        let mut up = around.partition_point(|group| group.angle < angle) % around.len().max(1);
        let mut down = before(up, around.len());
        // The n-th best product scores at least `lowest`, once `distinct` has reached n.
        let (mut lowest, mut distinct) = (f64::INFINITY, 0);
        self.round += 1;
        for _ in 0..around.len() {
            let (above, below) = (score(up), score(down));
            let (index, best) = if above.total_cmp(&below) == Ordering::Less { (down, below) } else { (up, above) };
            if distinct < n {
                lowest = best.min(lowest);
            } else if best < lowest - SLACK {
                break;
            }
            if index == up {
                up = (up + 1) % around.len();
            } else {
                down = before(down, around.len());
            }
            for product in around.get(index).into_iter().flat_map(|group| group.products.iter().take(n)) {
                if let Some(seen) = self.seen.get_mut(*product as usize)
                    && *seen != self.round
                {
                    *seen = self.round;
                    distinct += 1;
                }
                found.push((*product, best));
            }
        }
        found.sort_unstable_by(by_score);
        self.round += 1;
        let round = self.round;
        let seen = &mut self.seen;
        found.retain(|(product, _)| match seen.get_mut(*product as usize) {
            Some(seen) if *seen != round => {
                *seen = round;
                true
            }
            _ => false,
        });
        found.truncate(n);
        found
    }
}

fn before(index: usize, len: usize) -> usize {
    index.checked_sub(1).unwrap_or(len.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::{Direction, Directions, Point, by_score, standardise};
    use crate::lists::Scored;

    /// Every product's best score, sorted.
    fn brute_force(points: &[Point], user: Direction, n: usize) -> Vec<Scored> {
        let mut all: Vec<Scored> = points.iter().map(|(product, d)| (*product, user.similarity(*d))).collect();
        all.sort_unstable_by(by_score);
        let mut out: Vec<Scored> = Vec::new();
        for scored in all {
            if out.iter().all(|other| other.0 != scored.0) {
                out.push(scored);
            }
        }
        out.truncate(n);
        out
    }

    #[test]
    fn walking_finds_what_scoring_everything_finds() {
        let mut rng = SmallRng::seed_from_u64(1);
        for round in 0..300 {
            let products = rng.random_range(1..40_u32);
            // From few, coinciding places to many; some so close that only the rounding decides; some zero.
            let places = [1, 2, 5, 1000][round % 4];
            let closeness = [1.0, 1e-6, 1e-11][round % 3];
            let mut draw = || {
                let near = f64::from(rng.random_range(-places..=places)) * closeness;
                match rng.random_range(0..8) {
                    0 => Direction::of((0.0, 0.0)),
                    1..4 => Direction::of((1.0, near)),
                    4..7 => Direction::of((-1.0, near)),
                    _ => Direction::of((near, 1.0)),
                }
            };
            let mut points: Vec<Point> =
                (0..products).flat_map(|product| [(product, draw()), (product, draw())]).collect();
            points.dedup();
            let directions = Directions::of(points.clone(), products as usize);
            let mut search = directions.search();
            for n in [1, 2, 7, 100] {
                let user = draw();
                assert_eq!(search.nearest(user, n), brute_force(&points, user, n), "round {round}, n {n}");
            }
        }
    }

    #[test]
    fn no_products_give_no_list() {
        assert!(Directions::of(Vec::new(), 0).search().nearest(Direction::of((1.0, 0.0)), 3).is_empty());
    }

    #[test]
    fn mathematically_equal_directions_are_equal() {
        let (a, b) = (0.1 + 0.2, 0.3);
        assert_ne!(a, b);
        assert_eq!(Direction::of((a, 1.0)), Direction::of((b, 1.0)));
        assert_eq!(Direction::of((0.1, 0.7)), Direction::of((0.3, 2.1)));
        assert_eq!(Direction::of((3e-13, -4e-13)), Direction::of((0.0, 0.0)));
    }

    #[test]
    fn constant_coordinates_become_zero() {
        let mut points = vec![(0.1 + 0.2, 1.0), (0.3, 2.0), (0.3, 3.0)];
        standardise(&mut points);
        // (x - 2) / sqrt(2/3)
        assert_eq!(points, [(0.0, -1.5_f64.sqrt()), (0.0, 0.0), (0.0, 1.5_f64.sqrt())]);
    }
}
