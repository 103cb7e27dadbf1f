//! What lists of recommendations show, all together: how much of the catalogue, how evenly, how surprising.

use polars::prelude::DataFrame;
use stagewright_contract::StageError;
use stagewright_frame::Ids;

use super::lists::{Input, Pair, of_user};

/// How often each product was bought.
pub(super) struct Popularity {
    /// By the code of the product.
    purchases: Vec<u64>,
    total: u64,
}

impl Popularity {
    /// From a table of purchases. Rows without a product do not count.
    pub(super) fn of(products: &Ids, purchases: &DataFrame) -> Result<Self, StageError> {
        let mut counts = vec![0_u64; products.len()];
        for product in products.codes(purchases)?.into_iter().flatten() {
            if let Some(count) = counts.get_mut(product as usize) {
                *count += 1;
            }
        }
        let total = counts.iter().sum();
        Ok(Self { purchases: counts, total })
    }

    /// `-log2` of the product's share of all purchases; one that nobody bought counts as bought once. `None` where
    /// nothing was bought at all.
    fn surprise(&self, product: u32) -> Option<f64> {
        let bought = self.purchases.get(product as usize).copied().unwrap_or(0).max(1);
        (self.total > 0).then(|| -(bought as f64 / self.total as f64).log2())
    }
}

/// What is in the first `k` places of some lists.
pub(super) struct Shown<'a> {
    input: &'a Input,
    /// How often each product is shown, by its code.
    counts: Vec<u64>,
    lists: Vec<&'a [Pair]>,
}

impl<'a> Shown<'a> {
    /// In the lists of all users.
    pub(super) fn to_all(input: &'a Input, k: usize) -> Self {
        Self::of(input, k, input.recommended.chunk_by(|a, b| a.0 == b.0))
    }

    /// In the lists of these users.
    pub(super) fn to(input: &'a Input, k: usize, users: &[u32]) -> Self {
        Self::of(input, k, users.iter().map(|user| of_user(&input.recommended, *user)))
    }

    fn of(input: &'a Input, k: usize, lists: impl Iterator<Item = &'a [Pair]>) -> Self {
        let lists: Vec<&[Pair]> = lists.map(|list| list.get(..k).unwrap_or(list)).collect();
        let mut counts = vec![0; input.product_ids.len()];
        for (_, product) in lists.iter().copied().flatten() {
            if let Some(count) = counts.get_mut(*product as usize) {
                *count += 1;
            }
        }
        Self { input, counts, lists }
    }

    /// The share of the catalogue that is shown.
    pub(super) fn coverage(&self) -> Option<f64> {
        let catalog = &self.input.catalog;
        let covered = self.of_catalog().filter(|count| *count > 0).count();
        (!catalog.is_empty()).then(|| covered as f64 / catalog.len() as f64)
    }

    /// The Gini coefficient of how often each product of the catalogue is shown.
    pub(super) fn gini(&self) -> Option<f64> {
        let mut counts: Vec<u64> = self.of_catalog().collect();
        counts.sort_unstable();
        // In integers: the sum is exact, and the order of equal counts has no part.
        let products = counts.len() as i128;
        let weighted = (1_i128..).zip(&counts).map(|(place, count)| (2 * place - products - 1) * i128::from(*count));
        let total: u64 = counts.iter().sum();
        (total > 0).then(|| weighted.sum::<i128>() as f64 / (products as f64 * total as f64))
    }

    /// The mean over the lists that are not empty of the mean surprise of their products.
    pub(super) fn novelty(&self) -> Option<f64> {
        let popularity = self.input.popularity.as_ref()?;
        let of_list = |list: &&[Pair]| {
            let surprises: Option<f64> = list.iter().map(|pair| popularity.surprise(pair.1)).sum();
            Some(surprises? / list.len() as f64)
        };
        let lists: Vec<f64> = self.lists.iter().filter(|list| !list.is_empty()).filter_map(of_list).collect();
        (!lists.is_empty()).then(|| lists.iter().sum::<f64>() / lists.len() as f64)
    }

    fn of_catalog(&self) -> impl Iterator<Item = u64> {
        self.input.catalog.iter().map(|product| self.counts.get(*product as usize).copied().unwrap_or(0))
    }
}
