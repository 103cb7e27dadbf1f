use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Digest, Goal, Kind, Metrics, ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, numbers, polars_error, to_frame, to_table};

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
                "One row per user and recommended product: the user and product columns, and `rank` (from 1) or \
                 `score`.",
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::{Done, Trial};
    use stagewright_contract::{Digest, Goal, Metrics};
    use stagewright_frame::testkit::{frame, table};

    use super::Ranking;

    const RECOMMENDED: [(i64, &[i64]); 6] = [
        (1, &[10, 11, 12, 13, 14]),
        (2, &[12, 10]),
        (3, &[13, 14, 15]),
        (4, &[10, 11, 12, 13]),
        (6, &[16, 11, 10]),
        (7, &[99]),
    ];
    const TESTED: [(i64, &[i64]); 5] =
        [(1, &[11, 14, 16]), (2, &[12]), (3, &[10]), (4, &[13, 12, 11, 10, 17, 18]), (5, &[10, 11])];

    /// The lists as rows: user, product, rank. `stride` says in which order.
    fn rows(lists: &[(i64, &[i64])], stride: usize) -> DataFrame {
        let mut rows: Vec<(i64, i64, i64)> = lists
            .iter()
            .flat_map(|(user, list)| (1..).zip(*list).map(|(rank, product)| (*user, *product, rank)))
            .collect();
        let mut order = Vec::new();
        let mut place = 0;
        while !rows.is_empty() {
            place = (place + stride) % rows.len();
            order.push(rows.remove(place));
        }
        df![
            "user_id" => order.iter().map(|row| row.0).collect::<Vec<_>>(),
            "product_id" => order.iter().map(|row| row.1).collect::<Vec<_>>(),
            "rank" => order.iter().map(|row| row.2).collect::<Vec<_>>(),
        ]
        .unwrap()
    }

    fn run(recommendations: DataFrame, test: DataFrame, params: Value) -> Done {
        Trial::new::<Ranking>(params)
            .input("recommendations", table(recommendations))
            .input("test", table(test))
            .run()
            .unwrap()
    }

    fn example(params: Value) -> Done {
        run(rows(&RECOMMENDED, 0), rows(&TESTED, 0), params)
    }

    fn value(metrics: &Metrics, name: &str) -> f64 {
        metrics.values[name].value.unwrap()
    }

    const NAMES: [&str; 8] = ["precision", "recall", "f1", "accuracy", "ndcg", "map", "mrr", "hit_rate"];

    /// Computed in Python from the definitions over dicts and sets, nDCG checked against `sklearn.metrics.ndcg_score`
    /// (1.9.1) for the users with at least K recommendations.
    #[test]
    fn the_means_are_those_of_python() {
        let expected = [
            ("with_test", 2, [0.4, 1. / 3., 0.363636363636364, 0.4, 0.477370561446908, 0.45, 0.5, 0.6], 4.),
            (
                "with_test",
                3,
                [
                    1. / 3.,
                    0.366666666666667,
                    0.349206349206349,
                    0.366666666666667,
                    0.459216382193173,
                    0.433333333333333,
                    0.5,
                    0.6,
                ],
                5.,
            ),
            (
                "with_test",
                10,
                [0.14, 0.466666666666667, 0.215384615384615, 0.38, 0.450554391168149, 0.393333333333333, 0.5, 0.6],
                7.,
            ),
            (
                "recommended",
                2,
                [
                    1. / 3.,
                    0.277777777777778,
                    0.303030303030303,
                    1. / 3.,
                    0.397808801205757,
                    0.375,
                    0.416666666666667,
                    0.5,
                ],
                4.,
            ),
            (
                "recommended",
                3,
                [
                    0.277777777777778,
                    0.305555555555556,
                    0.291005291005291,
                    0.305555555555556,
                    0.382680318494311,
                    0.361111111111111,
                    0.416666666666667,
                    0.5,
                ],
                5.,
            ),
            (
                "recommended",
                10,
                [
                    0.116666666666667,
                    0.388888888888889,
                    0.17948717948718,
                    0.316666666666667,
                    0.375461992640124,
                    0.327777777777778,
                    0.416666666666667,
                    0.5,
                ],
                7.,
            ),
        ];
        for (users, k, means, hits) in expected {
            let metrics = example(json!({ "k": [10, 2, 3], "users": users })).metrics("metrics");
            for (name, mean) in NAMES.iter().zip(means) {
                let found = value(&metrics, &format!("{name}@{k}"));
                assert!((found - mean).abs() < 1e-14, "{users} {name}@{k}: {found}, not {mean}");
            }
            assert_eq!(value(&metrics, &format!("hits@{k}")), hits);
        }
    }

    #[test]
    fn counts_describe_the_inputs() {
        let metrics = example(json!({})).metrics("metrics");
        let counts =
            ["users", "users_with_recommendations", "users_with_test", "products_recommended", "test_pairs", "hits@5"];
        assert_eq!(counts.map(|name| value(&metrics, name)), [5.0, 6.0, 5.0, 8.0, 13.0, 7.0]);
        assert!(counts.iter().all(|name| metrics.values[*name].goal == Goal::Describe));
        assert_eq!(metrics.values["ndcg@5"].goal, Goal::Maximize);
        assert_eq!((metrics.unit.as_deref(), metrics.units), (Some("user"), Some(5)));
        let recommended = example(json!({ "users": "recommended" })).metrics("metrics");
        assert_eq!((value(&recommended, "users"), recommended.units), (6.0, Some(6)));
    }

    #[test]
    fn each_user_has_a_row() {
        let done = example(json!({ "k": [3] }));
        let per_user = frame(&done.table("per_user"));
        let names: Vec<_> = per_user.columns().iter().map(|column| column.name().as_str()).collect();
        let expected: Vec<_> = NAMES.iter().map(|name| format!("{name}@3")).collect();
        assert_eq!(names[0], "user_id");
        assert_eq!(names[1..], expected);
        // From the same Python program; user 1 has one hit of three at place 2, user 5 has no recommendations.
        let users = [
            [1. / 3., 1. / 3., 1. / 3., 1. / 3., 0.296081910965865, 1. / 6., 0.5, 1.],
            [1. / 3., 1., 0.5, 0.5, 1., 1., 1., 1.],
            [0.; 8],
            [1., 0.5, 2. / 3., 1., 1., 1., 1., 1.],
            [0.; 8],
        ];
        assert_eq!(per_user.height(), users.len());
        for (row, values) in users.iter().enumerate() {
            for (column, value) in per_user.columns()[1..].iter().zip(values) {
                let found = column.f64().unwrap().get(row).unwrap();
                assert!((found - value).abs() < 1e-14, "row {row}, {}: {found}, not {value}", column.name());
            }
        }
    }

    #[test]
    fn coverage_is_the_share_of_the_catalogue_that_is_shown() {
        // Shown within 2: 10 11 12 13 14 16 99; without a catalogue there are 10 to 18 and 99.
        assert_eq!(value(&example(json!({ "k": [2] })).metrics("metrics"), "coverage@2"), 7.0 / 10.0);
        let coverage = |catalog: Vec<i64>| {
            Trial::new::<Ranking>(json!({ "k": [2, 3] }))
                .input("recommendations", table(rows(&RECOMMENDED, 0)))
                .input("test", table(rows(&TESTED, 0)))
                .input("catalog", table(df!["product_id" => catalog].unwrap()))
                .run()
                .unwrap()
                .metrics("metrics")
        };
        let ten = coverage([(10..20).collect::<Vec<_>>(), vec![10]].concat());
        assert_eq!((value(&ten, "coverage@2"), value(&ten, "coverage@3")), (0.6, 0.7));
        assert_eq!(coverage(Vec::new()).values["coverage@2"].value, None);
    }

    #[test]
    fn a_repeated_product_counts_once_at_its_first_place() {
        let recommended = rows(&[(1, &[7, 7, 8, 9])], 0);
        let done = run(recommended, rows(&[(1, &[8, 8])], 0), json!({ "k": [2] }));
        let metrics = done.metrics("metrics");
        assert_eq!((value(&metrics, "mrr@2"), value(&metrics, "accuracy@2")), (0.5, 0.5));
        assert_eq!((value(&metrics, "test_pairs"), value(&metrics, "recall@2")), (1.0, 1.0));
        assert_eq!(
            done.warnings,
            ["1 of 4 recommendations name a product again for the same user: only the first place counts"]
        );
    }

    /// The place at which product 5 of products 4 to 7 ends up.
    fn place_of_5(name: &str, values: [Option<f64>; 4]) -> f64 {
        let recommended = df!["user_id" => [1_i64; 4], "product_id" => [7_i64, 6, 5, 4], name => values].unwrap();
        let metrics = run(recommended, rows(&[(1, &[5])], 0), json!({})).metrics("metrics");
        (1.0 / value(&metrics, "mrr@5")).round()
    }

    #[test]
    fn rank_ascends_score_descends_ties_go_to_the_smaller_product_and_missing_come_last() {
        assert_eq!(place_of_5("rank", [Some(1.0), Some(2.0), Some(9.0), Some(20.0)]), 3.0);
        assert_eq!(place_of_5("score", [Some(0.1), Some(0.2), Some(0.3), Some(0.4)]), 2.0);
        assert_eq!(place_of_5("rank", [Some(1.0); 4]), 2.0);
        assert_eq!(place_of_5("score", [Some(0.0), Some(-0.0), Some(-0.0), Some(-1.0)]), 1.0);
        assert_eq!(place_of_5("score", [Some(-5.0), None, None, Some(0.0)]), 3.0);
        assert_eq!(place_of_5("rank", [None, Some(7.0), None, Some(f64::NAN)]), 3.0);
    }

    #[test]
    fn rank_goes_before_score() {
        let recommended = df![
            "user_id" => [1_i64, 1], "product_id" => [1_i64, 2], "rank" => [1_i64, 2], "score" => [0.1, 0.9],
        ];
        let metrics = run(recommended.unwrap(), rows(&[(1, &[1])], 0), json!({ "k": [1] })).metrics("metrics");
        assert_eq!(value(&metrics, "precision@1"), 1.0);
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = example(json!({})).bytes();
        for stride in 1..12 {
            assert_eq!(run(rows(&RECOMMENDED, stride), rows(&TESTED, stride + 2), json!({})).bytes(), bytes);
        }
    }

    #[test]
    fn over_no_users_the_means_are_undefined() {
        let none = || rows(&[], 0);
        let metrics = run(none(), none(), json!({ "k": [3] })).metrics("metrics");
        for name in ["ndcg@3", "f1@3", "coverage@3"] {
            assert_eq!(metrics.values[name].value, None);
        }
        assert_eq!((value(&metrics, "users"), value(&metrics, "hits@3")), (0.0, 0.0));
    }

    #[test]
    fn results_compare_if_and_only_if_they_were_tested_on_the_same() {
        let digest = |recommended: &[(i64, &[i64])], tested: &[(i64, &[i64])], params: Value| {
            run(rows(recommended, 0), rows(tested, 0), params).metrics("metrics").units_digest.unwrap()
        };
        let one = digest(&RECOMMENDED, &TESTED, json!({}));
        assert_eq!(digest(&RECOMMENDED[..2], &TESTED, json!({ "k": [7] })), one);
        assert_ne!(digest(&RECOMMENDED, &TESTED[..4], json!({})), one);
        assert_ne!(digest(&RECOMMENDED, &TESTED, json!({ "users": "recommended" })), one);

        // Texts sort as texts, whatever the type of the column. The value is from Python (struct '<Q' lengths, blake3).
        let expected: Digest = "87ee67cb68beeb896f80e5e47e7f855365011803371b8c01f5b32392dd0e9b2f".parse().unwrap();
        assert_eq!(digest(&[], &[(10, &[7]), (2, &[10, 9])], json!({})), expected);
        let recommended = df!["user_id" => ["2"], "product_id" => ["9"], "rank" => [1_i64]].unwrap();
        let tested = df!["user_id" => ["10", "2", "2"], "product_id" => ["7", "9", "10"]].unwrap();
        let metrics = run(recommended, tested, json!({})).metrics("metrics");
        assert_eq!(metrics.units_digest, Some(expected));
    }

    #[test]
    fn personal_users_stay_personal() {
        let mut test = table(rows(&TESTED, 0));
        test.mark_personal(["user_id"]);
        let trial = Trial::new::<Ranking>(json!({}));
        let done = trial.input("recommendations", table(rows(&RECOMMENDED, 0))).input("test", test).run().unwrap();
        assert!(done.table("per_user").is_personal("user_id"));
    }

    #[test]
    fn errors_and_warnings_say_what_to_do() {
        let trial = |recommendations: DataFrame| {
            Trial::new::<Ranking>(json!({}))
                .input("recommendations", table(recommendations))
                .input("test", table(rows(&TESTED, 0)))
                .run()
        };
        let error = trial(rows(&RECOMMENDED, 0).drop("rank").unwrap()).unwrap_err();
        assert_eq!(error.message, "the recommendations have neither a column `rank` nor a column `score`");
        assert_eq!(error.help.unwrap(), "rename the column that orders them with `clean.rename`");

        let text = df!["user_id" => ["1"], "product_id" => [1_i64], "rank" => [1_i64]].unwrap();
        let error = trial(text).unwrap_err();
        assert_eq!(error.message, "column `user_id` is str in `recommendations` and i64 in `test`, the same is needed");

        let gap = df!["user_id" => [Some(1_i64), None], "product_id" => [1_i64, 2], "rank" => [1_i64, 2]].unwrap();
        let warnings = trial(gap).unwrap().warnings;
        assert_eq!(warnings, ["1 of 2 rows of `recommendations` are left out: `user_id` or `product_id` is missing"]);

        let error = Trial::new::<Ranking>(json!({ "k": [5, 5] })).check().unwrap_err();
        assert_eq!(error.to_string(), "k: a length occurs twice");
    }
}
