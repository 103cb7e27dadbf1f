//! Lists of recommendations, what users really bought, and the measures of one user.

use polars::prelude::DataFrame;
use stagewright_contract::{Digest, StageContext, StageError};
use stagewright_frame::{Ids, numbers, to_frame};

use super::variety::Popularity;

/// The measures of one user at one K.
#[derive(Default)]
pub(super) struct UserScores {
    pub(super) hits: f64,
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) accuracy: f64,
    pub(super) ndcg: f64,
    pub(super) map: f64,
    pub(super) mrr: f64,
}

pub(super) type Quality = fn(&UserScores) -> f64;

/// The measures that are averaged. The first three are what the mean `f1` is computed from and replaces.
pub(super) const QUALITIES: [(&str, Quality); 8] = [
    ("precision", |scores| scores.precision),
    ("recall", |scores| scores.recall),
    ("f1", |scores| harmonic(scores.precision, scores.recall)),
    ("accuracy", |scores| scores.accuracy),
    ("ndcg", |scores| scores.ndcg),
    ("map", |scores| scores.map),
    ("mrr", |scores| scores.mrr),
    ("hit_rate", |scores| f64::from(u8::from(scores.hits > 0.0))),
];

pub(super) fn harmonic(precision: f64, recall: f64) -> f64 {
    ratio(2.0 * precision * recall, precision + recall)
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A user's and a product's code.
pub(super) type Pair = (u32, u32);

/// The inputs, cleaned.
pub(super) struct Input {
    pub(super) user_ids: Ids,
    pub(super) product_ids: Ids,
    /// By user, then place; every pair once.
    pub(super) recommended: Vec<Pair>,
    /// Ascending; every pair once.
    pub(super) tested: Vec<Pair>,
    /// Ascending.
    pub(super) catalog: Vec<u32>,
    /// How often each product was bought, if that is known.
    pub(super) popularity: Option<Popularity>,
    /// The table of users, if there is one.
    pub(super) users: Option<DataFrame>,
}

impl Input {
    /// Reads the inputs; `user` and `product` are the columns that tell users and products apart.
    pub(super) fn read(context: &StageContext, user: &str, product: &str) -> Result<Self, StageError> {
        let recommendations = to_frame(&*context.table("recommendations")?)?;
        let test = to_frame(&*context.table("test")?)?;
        let optional = |port: &str| context.has_input(port).then(|| to_frame(&*context.table(port)?)).transpose();
        let [catalog, purchases, users] = [optional("catalog")?, optional("purchases")?, optional("users")?];
        let mut with_users = vec![("recommendations", &recommendations), ("test", &test)];
        with_users.extend(users.as_ref().map(|users| ("users", users)));
        let user_ids = Ids::of(user, &with_users)?;
        let mut with_products = vec![("recommendations", &recommendations), ("test", &test)];
        with_products.extend(catalog.as_ref().map(|catalog| ("catalog", catalog)));
        with_products.extend(purchases.as_ref().map(|purchases| ("purchases", purchases)));
        let product_ids = Ids::of(product, &with_products)?;
        let pairs = |port: &str, frame: &DataFrame| -> Result<Vec<Option<Pair>>, StageError> {
            let rows = user_ids.codes(frame)?.into_iter().zip(product_ids.codes(frame)?);
            let pairs: Vec<_> = rows.map(|(user, product)| Some((user?, product?))).collect();
            let left_out = pairs.iter().filter(|pair| pair.is_none()).count();
            if left_out > 0 {
                context.warn(format!(
                    "{left_out} of {} rows of `{port}` are left out: `{user}` or `{product}` is missing",
                    pairs.len()
                ));
            }
            Ok(pairs)
        };

        let mut tested: Vec<Pair> = pairs("test", &test)?.into_iter().flatten().collect();
        tested.sort_unstable();
        tested.dedup();

        let rows = pairs("recommendations", &recommendations)?.into_iter().zip(places(&recommendations)?);
        let mut recommended: Vec<(Pair, Place)> = rows.filter_map(|(pair, place)| Some((pair?, place))).collect();
        let rows = recommended.len();
        recommended.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        recommended.dedup_by_key(|(pair, _)| *pair);
        if recommended.len() < rows {
            context.warn(format!(
                "{} of {rows} recommendations name a product again for the same user: only the first place counts",
                rows - recommended.len()
            ));
        }
        // Equal places stay in the order of the products.
        recommended.sort_by(|a, b| a.0.0.cmp(&b.0.0).then(a.1.total_cmp(&b.1)));
        let recommended: Vec<Pair> = recommended.into_iter().map(|(pair, _)| pair).collect();

        let catalog = match &catalog {
            Some(catalog) => distinct(product_ids.codes(catalog)?.into_iter().flatten()),
            None => distinct(recommended.iter().chain(&tested).map(|pair| pair.1)),
        };
        let popularity = purchases.map(|purchases| Popularity::of(&product_ids, &purchases)).transpose()?;
        Ok(Self { user_ids, product_ids, recommended, tested, catalog, popularity, users })
    }

    /// The measures of one user's first `k` products.
    pub(super) fn score(&self, user: u32, k: usize, discounts: &[f64]) -> UserScores {
        let tested = of_user(&self.tested, user);
        let list = of_user(&self.recommended, user);
        let list = list.get(..k).unwrap_or(list);
        let mut scores = UserScores::default();
        for (place, (pair, discount)) in (1_u32..).zip(list.iter().zip(discounts)) {
            if tested.binary_search(pair).is_ok() {
                let place = f64::from(place);
                if scores.hits == 0.0 {
                    scores.mrr = 1.0 / place;
                }
                scores.hits += 1.0;
                scores.ndcg += discount;
                scores.map += scores.hits / place;
            }
        }
        let possible = tested.len().min(k);
        scores.precision = scores.hits / k as f64;
        scores.recall = ratio(scores.hits, tested.len() as f64);
        scores.accuracy = ratio(scores.hits, list.len() as f64);
        // Summed in the same order as the hits, so that a perfect list has exactly 1.
        scores.ndcg = ratio(scores.ndcg, discounts.iter().take(possible).sum());
        scores.map = ratio(scores.map, possible as f64);
        scores
    }

    /// The length of the longest list, recommended or tested.
    pub(super) fn longest(&self) -> usize {
        let lists = self.recommended.chunk_by(|a, b| a.0 == b.0).chain(self.tested.chunk_by(|a, b| a.0 == b.0));
        lists.map(<[Pair]>::len).max().unwrap_or(0)
    }

    /// A digest of these users and their test products, as sorted texts, each text and each list with its length.
    pub(super) fn units(&self, users: &[u32]) -> Digest {
        let mut units: Vec<_> = users.iter().map(|user| (self.user_ids.text(*user), *user)).collect();
        units.sort_unstable();
        let mut bytes = b"stagewright ranking units 1".to_vec();
        let number = |bytes: &mut Vec<u8>, number: usize| bytes.extend_from_slice(&(number as u64).to_le_bytes());
        let text = |bytes: &mut Vec<u8>, text: &str| {
            number(bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        };
        number(&mut bytes, units.len());
        for (name, user) in units {
            let tested = of_user(&self.tested, user);
            let mut products: Vec<_> = tested.iter().map(|pair| self.product_ids.text(pair.1)).collect();
            products.sort_unstable();
            text(&mut bytes, &name);
            number(&mut bytes, products.len());
            for product in products {
                text(&mut bytes, &product);
            }
        }
        Digest::of(&bytes)
    }
}

/// What a list is ordered by: small before large.
type Place = f64;

/// The place in each row: from `rank`, or else from `score`.
fn places(recommendations: &DataFrame) -> Result<Vec<Place>, StageError> {
    let has = |name: &str| recommendations.columns().iter().any(|column| column.name() == name);
    let last = f64::INFINITY;
    // Adding zero turns -0 into 0, which `total_cmp` tells apart.
    if has("rank") {
        let ranks = numbers(recommendations, "rank")?;
        return Ok(ranks.into_iter().map(|rank| rank.map_or(last, |rank| rank + 0.0)).collect());
    }
    if has("score") {
        let scores = numbers(recommendations, "score")?;
        return Ok(scores.into_iter().map(|score| score.map_or(last, |score| 0.0 - score)).collect());
    }
    Err(StageError::data("the recommendations have neither a column `rank` nor a column `score`")
        .with_help("rename the column that orders them with `clean.rename`"))
}

/// `1 / log2(place + 1)` for the places from 1.
pub(super) fn discounts(places: usize) -> Vec<f64> {
    (0..places).map(|index| 1.0 / (index as f64 + 2.0).log2()).collect()
}

/// The users of pairs that are sorted by user.
pub(super) fn users_of(pairs: &[Pair]) -> Vec<u32> {
    pairs.chunk_by(|a, b| a.0 == b.0).filter_map(|pairs| pairs.first()).map(|pair| pair.0).collect()
}

/// The part of `pairs`, which are sorted by user, that is about one user.
pub(super) fn of_user(pairs: &[Pair], user: u32) -> &[Pair] {
    let start = pairs.partition_point(|pair| pair.0 < user);
    let end = pairs.partition_point(|pair| pair.0 <= user);
    pairs.get(start..end).unwrap_or(&[])
}

pub(super) fn distinct(products: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut products: Vec<u32> = products.collect();
    products.sort_unstable();
    products.dedup();
    products
}
