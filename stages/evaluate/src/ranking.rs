use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Digest, Goal, Kind, Metrics, ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{numbers, polars_error, to_frame, to_table};

use crate::ids::Ids;

/// Measure lists of recommendations against what users really bought.
///
/// The list of a user is ordered by `rank`, ascending, or without such a column by `score`, descending; rows without
/// either come last, and equal ones go by product, ascending. A product counts once, at its first place; the places are
/// then numbered from 1 without gaps. A hit is a recommended product among the user's test products (each counts once).
/// For every K, a user has: `precision` = hits in the first K / K, however short the list; `recall` = hits / test
/// products; `f1` = 2pr / (p + r); `accuracy` = hits / products recommended in the first K; `ndcg` = the sum of
/// 1 / log2(place + 1) over the hits, divided by the largest value possible, that of min(test products, K) hits at the
/// top (Järvelin and Kekäläinen 2002, binary gains); `map` = the sum of the precision at each hit's place / min(test
/// products, K); `mrr` = 1 / place of the first hit; `hit_rate` = 1 if there is a hit. All lie from 0 to 1, are 0 where
/// there is nothing to divide by, and are averaged over the users, but `f1@K` is computed from the mean precision and
/// the mean recall. `coverage@K` is the share of the catalogue's products that are in the first K of any list. Over no
/// users, and over an empty catalogue, these are undefined. Rows without a user or a product are left out, with a
/// warning. The digest of the units covers the users and their test products, so that two results can be compared
/// exactly if they were tested on the same.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// The lengths K of the lists to measure, each at least 1.
    #[serde(default = "five_and_ten")]
    #[schemars(length(min = 1), inner(range(min = 1)), extend("uniqueItems" = true))]
    k: Vec<usize>,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// Which users the means are over: `with_test`, all users with test rows (one without recommendations counts as 0),
    /// or `recommended`, all users with recommendations (one without test rows counts as 0).
    #[serde(default)]
    users: RankingUsers,
}

/// Which users the means are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RankingUsers {
    /// The users with test rows.
    #[default]
    WithTest,
    /// The users with recommendations.
    Recommended,
}

fn five_and_ten() -> Vec<usize> {
    vec![5, 10]
}

fn user_id() -> String {
    "user_id".to_owned()
}

fn product_id() -> String {
    "product_id".to_owned()
}

impl Stage for Ranking {
    const TYPE: &'static str = "evaluate.ranking";
    const EXAMPLE: &'static str = "\
inputs: { recommendations: recommend, test: split.test }
with: { k: [5, 10] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "recommendations",
                Kind::Table,
                "One row per user and recommended product: the user and product columns, and `rank` (from 1) or `score`.",
            ),
            Port::input("test", Kind::Table, "What users really bought: the user and product columns."),
            Port::input(
                "catalog",
                Kind::Table,
                "All products there are, for the coverage: a table with the product column. Without it, the products \
                 of the other two inputs.",
            )
            .optional(),
            Port::output(
                "metrics",
                Kind::Metrics,
                "The means `precision@K`, `recall@K`, `f1@K`, `accuracy@K`, `ndcg@K`, `map@K`, `mrr@K`, `hit_rate@K`, \
                 and `coverage@K` and `hits@K` for every K; and the counts `users` (averaged over), \
                 `users_with_recommendations`, `users_with_test`, `products_recommended`, `test_pairs`.",
            ),
            Port::output(
                "per_user",
                Kind::Table,
                "One row per user averaged over, sorted by user: the user column, and for every K `precision@K`, \
                 `recall@K`, `f1@K`, `accuracy@K`, `ndcg@K`, `map@K`, `mrr@K`, `hit_rate@K` (float64, 0 to 1).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.k.iter().collect::<BTreeSet<_>>().len() < self.k.len() {
            return Err(ParamError::new("k", "a length occurs twice").with_help("give every K once"));
        }
        if self.user == self.product {
            return Err(ParamError::new("product", format!("`{}` is the user column, too", self.product))
                .with_help("name the column that holds the products"));
        }
        Ok(())
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let input = self.read(context)?;
        context.check_cancelled()?;
        let users: Vec<u32> = match self.users {
            RankingUsers::WithTest => users_of(&input.tested),
            RankingUsers::Recommended => users_of(&input.recommended),
        };
        let lengths: BTreeSet<usize> = self.k.iter().copied().collect();
        let discounts = discounts(input.longest());

        let mut metrics = Metrics::new().over("user", users.len() as u64, input.units(&users));
        let mut columns = vec![input.user_ids.column(&users)?];
        let mean = |sum: f64| (!users.is_empty()).then(|| sum / users.len() as f64);
        for k in lengths {
            context.check_cancelled()?;
            let scores: Vec<UserScores> = users.iter().map(|user| input.score(*user, k, &discounts)).collect();
            let mut means = [None; QUALITIES.len()];
            for ((name, quality), slot) in QUALITIES.iter().zip(&mut means) {
                let values: Vec<f64> = scores.iter().map(quality).collect();
                *slot = mean(values.iter().sum());
                columns.push(Column::from(Series::new(format!("{name}@{k}").into(), values)));
            }
            let [precision, recall, f1, ..] = &mut means;
            *f1 = precision.zip(*recall).map(|(precision, recall)| harmonic(precision, recall));
            for ((name, _), value) in QUALITIES.iter().zip(means) {
                metrics.insert(format!("{name}@{k}"), value, Goal::Maximize)?;
            }
            metrics.insert(format!("coverage@{k}"), input.coverage(k), Goal::Maximize)?;
            let hits = scores.iter().map(|scores| scores.hits).sum();
            metrics.insert(format!("hits@{k}"), Some(hits), Goal::Describe)?;
        }
        for (name, count) in [
            ("users", users.len()),
            ("users_with_recommendations", users_of(&input.recommended).len()),
            ("users_with_test", users_of(&input.tested).len()),
            ("products_recommended", distinct(input.recommended.iter().map(|pair| pair.1)).len()),
            ("test_pairs", input.tested.len()),
        ] {
            metrics.insert(name, Some(count as f64), Goal::Describe)?;
        }
        let per_user = DataFrame::new(users.len(), columns)
            .map_err(|error| polars_error("writing the measures of each user", &error))?;
        context.put("metrics", metrics)?;
        context.put("per_user", to_table(per_user)?)
    }
}

/// The measures of one user at one K.
#[derive(Default)]
struct UserScores {
    hits: f64,
    precision: f64,
    recall: f64,
    accuracy: f64,
    ndcg: f64,
    map: f64,
    mrr: f64,
}

type Quality = fn(&UserScores) -> f64;

/// The measures that are averaged. The first three are what the mean `f1` is computed from and replaces.
const QUALITIES: [(&str, Quality); 8] = [
    ("precision", |scores| scores.precision),
    ("recall", |scores| scores.recall),
    ("f1", |scores| harmonic(scores.precision, scores.recall)),
    ("accuracy", |scores| scores.accuracy),
    ("ndcg", |scores| scores.ndcg),
    ("map", |scores| scores.map),
    ("mrr", |scores| scores.mrr),
    ("hit_rate", |scores| f64::from(u8::from(scores.hits > 0.0))),
];

fn harmonic(precision: f64, recall: f64) -> f64 {
    ratio(2.0 * precision * recall, precision + recall)
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A user's and a product's code.
type Pair = (u32, u32);

/// The inputs, cleaned.
struct Input {
    user_ids: Ids,
    product_ids: Ids,
    /// By user, then place; every pair once.
    recommended: Vec<Pair>,
    /// Ascending; every pair once.
    tested: Vec<Pair>,
    /// Ascending.
    catalog: Vec<u32>,
}

impl Ranking {
    fn read(&self, context: &StageContext) -> Result<Input, StageError> {
        let recommendations = to_frame(&*context.table("recommendations")?)?;
        let test = to_frame(&*context.table("test")?)?;
        let catalog = context.has_input("catalog").then(|| to_frame(&*context.table("catalog")?)).transpose()?;
        let user_ids = Ids::of(&self.user, &[("recommendations", &recommendations), ("test", &test)])?;
        let mut with_products = vec![("recommendations", &recommendations), ("test", &test)];
        with_products.extend(catalog.as_ref().map(|catalog| ("catalog", catalog)));
        let product_ids = Ids::of(&self.product, &with_products)?;
        let pairs = |port: &str, frame: &DataFrame| -> Result<Vec<Option<Pair>>, StageError> {
            let rows = user_ids.codes(frame)?.into_iter().zip(product_ids.codes(frame)?);
            let pairs: Vec<_> = rows.map(|(user, product)| Some((user?, product?))).collect();
            let left_out = pairs.iter().filter(|pair| pair.is_none()).count();
            if left_out > 0 {
                context.warn(format!(
                    "{left_out} of {} rows of `{port}` are left out: `{}` or `{}` is missing",
                    pairs.len(),
                    self.user,
                    self.product
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
        Ok(Input { user_ids, product_ids, recommended, tested, catalog })
    }
}

impl Input {
    /// The measures of one user's first `k` products.
    fn score(&self, user: u32, k: usize, discounts: &[f64]) -> UserScores {
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

    /// The share of the catalogue that is in the first `k` of any list.
    fn coverage(&self, k: usize) -> Option<f64> {
        let lists = self.recommended.chunk_by(|a, b| a.0 == b.0);
        let shown = distinct(lists.flat_map(|list| list.iter().take(k)).map(|pair| pair.1));
        let covered = shown.iter().filter(|product| self.catalog.binary_search(product).is_ok()).count();
        (!self.catalog.is_empty()).then(|| covered as f64 / self.catalog.len() as f64)
    }

    /// The length of the longest list, recommended or tested.
    fn longest(&self) -> usize {
        let lists = self.recommended.chunk_by(|a, b| a.0 == b.0).chain(self.tested.chunk_by(|a, b| a.0 == b.0));
        lists.map(<[Pair]>::len).max().unwrap_or(0)
    }

    /// A digest of these users and their test products, as sorted texts, each text and each list with its length.
    fn units(&self, users: &[u32]) -> Digest {
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
fn discounts(places: usize) -> Vec<f64> {
    (0..places).map(|index| 1.0 / (index as f64 + 2.0).log2()).collect()
}

/// The users of pairs that are sorted by user.
fn users_of(pairs: &[Pair]) -> Vec<u32> {
    pairs.chunk_by(|a, b| a.0 == b.0).filter_map(|pairs| pairs.first()).map(|pair| pair.0).collect()
}

/// The part of `pairs`, which are sorted by user, that is about one user.
fn of_user(pairs: &[Pair], user: u32) -> &[Pair] {
    let start = pairs.partition_point(|pair| pair.0 < user);
    let end = pairs.partition_point(|pair| pair.0 <= user);
    pairs.get(start..end).unwrap_or(&[])
}

fn distinct(products: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut products: Vec<u32> = products.collect();
    products.sort_unstable();
    products.dedup();
    products
}
