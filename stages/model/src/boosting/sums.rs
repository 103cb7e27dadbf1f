//! Sums of gradients in whole numbers, which come out the same in any order.

/// Gradients and second derivatives of the loss, of one row or summed over rows, and how many rows there are. Two words,
/// so that adding a row to a histogram is one addition of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// The gradients, in units of [`Scale::gradient`].
    gradient: i64,
    /// The number of rows above the second derivatives in units of [`Scale::curvature`].
    packed: u64,
}

/// What the whole numbers mean. The more rows, the coarser: with a million of them the gradient has 42 bits and the
/// second derivative 24.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    gradient: f64,
    curvature: f64,
    /// How many bits the sum of second derivatives takes.
    bits: u32,
}

/// With more rows too few bits would be left.
pub(crate) const MAX_ROWS: usize = 1 << 24;

impl Scale {
    /// A scale for `rows` rows (at most [`MAX_ROWS`]) whose gradients and second derivatives are at most so large.
    pub(super) fn new(rows: usize, gradient: f64, curvature: f64) -> Self {
        let count_bits = (usize::BITS - rows.leading_zeros()).max(1);
        // A sum of n < 2^c numbers of b bits has at most c + b bits.
        let power = |bits: u32| (1u64 << bits.min(52)) as f64;
        Self {
            gradient: gradient / power(62 - count_bits),
            curvature: curvature / power(63 - 2 * count_bits),
            bits: 64 - count_bits,
        }
    }

    /// One row.
    pub(super) fn row(&self, gradient: f64, curvature: f64) -> Sums {
        // `as` truncates and cannot overflow: both are bounded by what `new` was told.
        let curvature = (curvature / self.curvature + 0.5) as i64 as u64;
        Sums { gradient: (gradient / self.gradient) as i64, packed: (1 << self.bits) | curvature }
    }

    /// The sum of gradients.
    pub(super) fn gradient(&self, sums: Sums) -> f64 {
        sums.gradient as f64 * self.gradient
    }

    /// The sum of second derivatives.
    pub(super) fn curvature(&self, sums: Sums) -> f64 {
        (sums.packed & ((1 << self.bits) - 1)) as f64 * self.curvature
    }

    /// The number of rows.
    pub(super) fn rows(&self, sums: Sums) -> usize {
        (sums.packed >> self.bits) as usize
    }
}

impl std::ops::AddAssign for Sums {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.gradient = self.gradient.wrapping_add(other.gradient);
        self.packed = self.packed.wrapping_add(other.packed);
    }
}

impl std::ops::Sub for Sums {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self { gradient: self.gradient.wrapping_sub(other.gradient), packed: self.packed.wrapping_sub(other.packed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_close_and_the_same_in_any_order() {
        let gradients: Vec<f64> = (0..1000).map(|row| f64::from(row).sin()).collect();
        let scale = Scale::new(1000, 1.0, 0.25);
        let total = |order: &mut dyn Iterator<Item = usize>| {
            let mut sums = Sums::default();
            order.for_each(|row| sums += scale.row(gradients[row], gradients[row].abs() / 4.0));
            sums
        };
        let sums = total(&mut (0..1000));
        assert_eq!(sums, total(&mut (0..1000).rev()));
        assert_eq!(scale.rows(sums), 1000);
        assert!((scale.gradient(sums) - gradients.iter().sum::<f64>()).abs() < 1e-10);
        assert!((scale.curvature(sums) - gradients.iter().map(|g| g.abs() / 4.0).sum::<f64>()).abs() < 1e-9);
        let half = total(&mut (0..500));
        assert_eq!(sums - half, total(&mut (500..1000)));
    }

    #[test]
    fn the_most_rows_with_the_largest_gradients_fit() {
        let scale = Scale::new(MAX_ROWS, 1.0, 0.25);
        let row = scale.row(-1.0, 0.25);
        let mut sums = Sums::default();
        // Doubled until there are 2^24.
        sums += row;
        for _ in 0..24 {
            let same = sums;
            sums += same;
        }
        assert_eq!(scale.rows(sums), MAX_ROWS);
        assert_eq!(scale.gradient(sums), -(MAX_ROWS as f64));
        assert_eq!(scale.curvature(sums), MAX_ROWS as f64 / 4.0);
    }
}
