//! A sum that keeps its last digits.

/// A sum that carries along what rounding took from it (Kahan 1965): the mean of equal values is that value, and what
/// lies on an edge stays there, in whatever order the rows come but for the last bit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    total: f64,
    excess: f64,
}

impl Sum {
    /// Adds a term.
    pub(crate) fn add(&mut self, term: f64) {
        let term = term - self.excess;
        let total = self.total + term;
        self.excess = total - self.total - term;
        self.total = total;
    }

    /// What the terms come to.
    pub(crate) fn value(self) -> f64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn many_small_terms_lose_nothing() {
        let mut sum = Sum::default();
        (0..1_000_000).for_each(|_| sum.add(0.1));
        assert_eq!(sum.value(), 100_000.0);
        assert_ne!((0..1_000_000).map(|_| 0.1).sum::<f64>(), 100_000.0, "a plain sum does");
    }
}
