use polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, Series};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, polars_error, to_table};

use crate::defaults::{product_id, ten, user_id};
use crate::lists::{by_score, check_names, personal};
use crate::ranked::{entries, frame, lists_port, texts};

/// Fuse the lists of two to four recommenders by their ranks.
///
/// The score of a product is the sum, over the lists that hold it, of the list's weight / (`k` + its rank there)
/// (reciprocal rank fusion: Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion Outperforms Condorcet and
/// Individual Rank Learning Methods", SIGIR). Scores of different recommenders need not be comparable; only their order
/// counts. The reason of a product is that of the list that adds most to its score (of equal ones, the first). Lists that
/// are longer than `n` fuse better. For what is popular in a segment beside what is personal, fuse `recommend.popular`
/// with `segments` and another.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hybrid {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// The weights of the connected lists in the order of their names, each 0 or more; all 1 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 4), inner(range(min = 0.0)))]
    weights: Option<Vec<f64>>,
    /// What is added to a rank: the larger, the less the first places count before the later ones. 0 or more.
    #[serde(default = "sixty")]
    #[schemars(range(min = 0.0))]
    k: f64,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
}

fn sixty() -> f64 {
    60.0
}

const LISTS: [&str; 4] = ["list_a", "list_b", "list_c", "list_d"];

impl Stage for Hybrid {
    const TYPE: &'static str = "recommend.hybrid";
    const EXAMPLE: &'static str = "\
inputs: { list_a: basket, list_b: related }
with: { n: 10, weights: [2, 1] }";

    fn ports() -> Vec<Port> {
        let [a, b, c, d] = LISTS.map(lists_port);
        vec![
            a,
            b,
            c.optional(),
            d.optional(),
            Port::output(
                "table",
                Kind::Table,
                "One row per user and recommended product, sorted by user, then rank: the user and product columns, \
                 `rank` (int64, from 1), `score` (float64, above 0) and `reason` (text, null where the list has none). \
                 Equal scores rank by product, ascending.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.k >= 0.0 && self.k.is_finite()) {
            return Err(ParamError::new("k", format!("{} is not a number of 0 or more", self.k)));
        }
        for (index, weight) in self.weights.iter().flatten().enumerate() {
            if !(*weight >= 0.0 && weight.is_finite()) {
                return Err(ParamError::new(
                    format!("weights/{index}"),
                    format!("{weight} is not a number of 0 or more"),
                ));
            }
        }
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, None)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let ports: Vec<&str> = LISTS.into_iter().filter(|port| context.has_input(port)).collect();
        let weights = self.weights.clone().unwrap_or_else(|| vec![1.0; ports.len()]);
        if weights.len() != ports.len() {
            let message = format!("there are {} weights and {} lists", weights.len(), ports.len());
            return Err(StageError::data(message).with_help("give `weights` one number for each connected list"));
        }
        let frames = ports.iter().map(|port| frame(context, port)).collect::<Result<Vec<_>, _>>()?;
        let named: Vec<(&str, &DataFrame)> = ports.iter().copied().zip(&frames).collect();
        let users = Ids::of(&self.user, &named)?;
        let products = Ids::of(&self.product, &named)?;

        let mut votes = Vec::new();
        for (list, ((port, frame), weight)) in named.iter().zip(&weights).enumerate() {
            let entries = entries(context, port, frame, (&users, &self.user), (&products, &self.product))?;
            for of_user in entries.chunk_by(|a, b| a.user == b.user) {
                votes.extend((1_u32..).zip(of_user).filter(|_| *weight > 0.0).map(|(rank, entry)| Vote {
                    user: entry.user,
                    product: entry.product,
                    list,
                    row: entry.row,
                    score: weight / (self.k + f64::from(rank)),
                }));
            }
        }
        context.check_cancelled()?;
        votes.sort_unstable_by_key(|vote| (vote.user, vote.product, vote.list));

        let reasons: Vec<Option<Column>> = frames.iter().map(|frame| texts(frame, "reason")).collect();
        let mut out = Rows::default();
        for of_user in votes.chunk_by(|a, b| a.user == b.user) {
            let mut fused: Vec<((u32, f64), &Vote)> = of_user
                .chunk_by(|a, b| a.product == b.product)
                .filter_map(|votes| {
                    let first = votes.first()?;
                    let score = votes.iter().map(|vote| vote.score).sum();
                    let most = votes.iter().fold(first, |most, vote| if vote.score > most.score { vote } else { most });
                    Some(((first.product, score), most))
                })
                .collect();
            fused.sort_unstable_by(|a, b| by_score(&a.0, &b.0));
            for (rank, ((product, score), vote)) in (1..).zip(fused.into_iter().take(self.n)) {
                let reason = reasons.get(vote.list).and_then(Option::as_ref);
                let reason = reason.and_then(|reasons| reasons.str().ok()?.get(vote.row));
                out.push(vote.user, product, rank, score, reason);
            }
        }
        let table = to_table(out.frame(&users, &products)?)?;
        context.put("table", table)
    }
}

/// What one list says for a product.
struct Vote {
    user: u32,
    product: u32,
    list: usize,
    row: usize,
    score: f64,
}

/// The output in the making.
#[derive(Default)]
struct Rows<'a> {
    users: Vec<u32>,
    products: Vec<u32>,
    ranks: Vec<i64>,
    scores: Vec<f64>,
    reasons: Vec<Option<&'a str>>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, user: u32, product: u32, rank: i64, score: f64, reason: Option<&'a str>) {
        self.users.push(user);
        self.products.push(product);
        self.ranks.push(rank);
        self.scores.push(score);
        self.reasons.push(reason);
    }

    fn frame(self, users: &Ids, products: &Ids) -> Result<DataFrame, StageError> {
        let columns = vec![
            users.column(&self.users)?,
            products.column(&self.products)?,
            Series::new("rank".into(), self.ranks).into_column(),
            Series::new("score".into(), self.scores).into_column(),
            Series::new("reason".into(), self.reasons).into_column(),
        ];
        DataFrame::new(self.users.len(), columns).map_err(|error| polars_error("writing the recommendations", &error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::{frame, table};

    use super::Hybrid;
    use crate::testing::{lists, rows};

    fn a() -> DataFrame {
        df!["user_id" => [1_i64, 1, 2], "product_id" => [11_i64, 12, 11], "rank" => [1_i64, 2, 1], "reason" => ["a1", "a2", "a3"]]
            .unwrap()
    }

    fn b() -> DataFrame {
        df!["user_id" => [1_i64, 1, 3], "product_id" => [12_i64, 13, 14], "score" => [5.0, -5.0, 0.0]].unwrap()
    }

    fn trial(params: Value) -> Trial {
        Trial::new::<Hybrid>(params).input("list_a", table(a())).input("list_b", table(b()))
    }

    #[test]
    fn scores_are_sums_of_reciprocal_ranks() {
        let done = trial(json!({})).run().unwrap();
        assert_eq!(lists(&done), "1: 12 11 13 | 2: 11 | 3: 14");
        let scores: Vec<f64> = rows(&done).iter().map(|row| row.3).collect();
        assert_eq!(scores, [1.0 / 62.0 + 1.0 / 61.0, 1.0 / 61.0, 1.0 / 62.0, 1.0 / 61.0, 1.0 / 61.0]);
        let reasons = frame(&done.table("table"));
        let reasons: Vec<Option<&str>> = reasons.column("reason").unwrap().str().unwrap().iter().collect();
        // Product 12 is first in the list without reasons.
        assert_eq!(reasons, [None, Some("a1"), None, Some("a3"), None]);
    }

    #[test]
    fn weights_and_k_change_the_order() {
        assert_eq!(
            lists(&trial(json!({ "weights": [3, 1], "k": 0, "n": 2 })).run().unwrap()),
            "1: 11 12 | 2: 11 | 3: 14"
        );
        assert_eq!(lists(&trial(json!({ "weights": [0, 1] })).run().unwrap()), "1: 12 13 | 3: 14");
    }

    #[test]
    fn weights_must_fit_the_lists() {
        let error = trial(json!({ "weights": [1, 1, 1] })).run().unwrap_err();
        assert_eq!(error.message, "there are 3 weights and 2 lists");
        assert_eq!(error.help.unwrap(), "give `weights` one number for each connected list");
        let error = trial(json!({ "weights": [1, -1] })).check().unwrap_err();
        assert_eq!(error.to_string(), "weights/1: -1 is not a number of 0 or more");
    }
}
