//! Who bought what, as a sparse matrix of users and products in both directions.

/// For every row the columns with a purchase, ascending: one array, and where each row begins in it.
pub(crate) struct Sparse {
    starts: Vec<usize>,
    columns: Vec<u32>,
}

impl Sparse {
    /// From pairs of row and column, ascending and without repetition.
    fn of(pairs: &[(u32, u32)], rows: usize) -> Self {
        let mut starts = vec![0; rows + 1];
        for (row, _) in pairs {
            if let Some(count) = starts.get_mut(*row as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { starts, columns: pairs.iter().map(|pair| pair.1).collect() }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The columns of a row.
    pub(crate) fn row(&self, row: u32) -> &[u32] {
        let row = row as usize;
        match (self.starts.get(row), self.starts.get(row + 1)) {
            (Some(start), Some(end)) => self.columns.get(*start..*end).unwrap_or(&[]),
            _ => &[],
        }
    }
}

/// The different pairs of user and product.
pub(crate) struct Bought {
    /// The products of each user.
    pub(crate) by_user: Sparse,
    /// The users of each product.
    pub(crate) by_product: Sparse,
}

impl Bought {
    /// From the pairs in any order.
    pub(crate) fn of(mut pairs: Vec<(u32, u32)>, users: usize, products: usize) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let by_user = Sparse::of(&pairs, users);
        let mut pairs: Vec<(u32, u32)> = pairs.into_iter().map(|(user, product)| (product, user)).collect();
        pairs.sort_unstable();
        Self { by_user, by_product: Sparse::of(&pairs, products) }
    }
}

/// How often each column occurs together with one, in the making: counts that are cleared by remembering where they
/// are.
pub(crate) struct Counts {
    counts: Vec<u32>,
    touched: Vec<u32>,
}

impl Counts {
    /// None yet, for products below `products`.
    pub(crate) fn new(products: usize) -> Self {
        Self { counts: vec![0; products], touched: Vec::new() }
    }

    /// How many of the users of `product` have each other product, in no particular order.
    pub(crate) fn together(&mut self, bought: &Bought, product: u32) -> Vec<(u32, u32)> {
        for user in bought.by_product.row(product) {
            for other in bought.by_user.row(*user) {
                if let Some(count) = self.counts.get_mut(*other as usize) {
                    if *count == 0 {
                        self.touched.push(*other);
                    }
                    *count += 1;
                }
            }
        }
        let mut out = Vec::with_capacity(self.touched.len());
        for other in self.touched.drain(..) {
            if let Some(count) = self.counts.get_mut(other as usize) {
                if other != product {
                    out.push((other, *count));
                }
                *count = 0;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Bought, Counts};

    #[test]
    fn products_are_counted_together() {
        let bought = Bought::of(vec![(1, 2), (0, 0), (0, 2), (0, 1), (1, 0), (0, 2), (3, 1)], 4, 4);
        assert_eq!((bought.by_user.rows(), bought.by_product.rows()), (4, 4));
        assert_eq!((bought.by_user.row(0), bought.by_user.row(2)), (&[0, 1, 2][..], &[][..]));
        assert_eq!(bought.by_product.row(1), [0, 3]);
        let mut counts = Counts::new(4);
        let mut together = |product| {
            let mut counts = counts.together(&bought, product);
            counts.sort_unstable();
            counts
        };
        assert_eq!(together(2), [(0, 2), (1, 1)]);
        assert_eq!(together(1), [(0, 1), (2, 1)]);
        assert_eq!(together(3), []);
    }
}
