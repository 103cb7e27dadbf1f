use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::Ids;

use crate::defaults::{product_id, ten, user_id};
use crate::lists::{check_names, personal};
use crate::ranked::{Entry, codes_beside, entries, frame, lists_port, table};

/// Re-rank lists so that they do not show the same kind of product again and again.
///
/// Each list is built anew, one product after the other: next comes the product with the largest `lambda` × relevance -
/// (1 - `lambda`) × similarity (maximal marginal relevance: Carbonell and Goldstein 1998, "The Use of MMR,
/// Diversity-Based Reranking for Reordering Documents and Producing Summaries", SIGIR). The relevance falls in equal
/// steps from 1 at the first place of the given list of m products to 1/m at the last; the similarity is the largest to
/// any product already chosen: the share of `columns` in which the two have the same value, a missing one being like no
/// other. Of equal ones, the one that was before stays before. Scores and reasons go along unchanged, so that `rank`, not
/// `score`, is the order. Give it lists that are longer than `n`, or it can only reorder them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diversify {
    /// How many products to keep per user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// What relevance weighs against variety, from 0 (variety alone) to 1 (the lists as they are).
    #[serde(default = "seven_tenths")]
    #[schemars(range(min = 0.0, max = 1.0))]
    lambda: f64,
    /// The columns of `products` that tell what kind a product is (integers or text).
    #[serde(default = "category")]
    #[schemars(length(min = 1))]
    columns: Vec<String>,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
}

fn seven_tenths() -> f64 {
    0.7
}

fn category() -> Vec<String> {
    vec!["category".to_owned()]
}

impl Stage for Diversify {
    const TYPE: &'static str = "recommend.diversify";
    const EXAMPLE: &'static str = "\
inputs: { lists: recommend, products: products }
with: { n: 10, lambda: 0.7, columns: [category] }";

    fn ports() -> Vec<Port> {
        vec![
            lists_port("lists"),
            Port::input("products", Kind::Table, "What kind each product is: the product column and `columns`."),
            Port::output(
                "table",
                Kind::Table,
                "The re-ranked lists, sorted by user, then rank: the user and product columns, `rank` (int64, from 1), \
                 and `score` and `reason` where `lists` has them.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(0.0..=1.0).contains(&self.lambda) {
            return Err(ParamError::new("lambda", format!("{} does not lie from 0 to 1", self.lambda)));
        }
        if self.columns.is_empty() {
            return Err(ParamError::new("columns", "there is no column").with_help("name one that tells kinds apart"));
        }
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, None)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let lists = frame(context, "lists")?;
        let users = Ids::of(&self.user, &[("lists", &lists)])?;
        let products = Ids::of(&self.product, &[("lists", &lists)])?;
        let all = entries(context, "lists", &lists, (&users, &self.user), (&products, &self.product))?;
        let about = frame(context, "products")?;
        let rows = codes_beside(&products, &self.product, ("lists", &lists), ("products", &about))?;
        // The kinds of a product, column by column; of several rows, the smallest values count.
        let mut kinds: Vec<Vec<Option<u32>>> = vec![vec![None; self.columns.len()]; products.len()];
        for (place, name) in self.columns.iter().enumerate() {
            let codes = Ids::of(name, &[("products", &about)])?.codes(&about)?;
            for (row, code) in rows.iter().zip(codes) {
                if let Some(kind) =
                    row.and_then(|row| kinds.get_mut(row as usize)).and_then(|kinds| kinds.get_mut(place))
                {
                    *kind = match (*kind, code) {
                        (Some(known), Some(code)) => Some(known.min(code)),
                        (known, code) => known.or(code),
                    };
                }
            }
        }
        context.check_cancelled()?;
        let by_user: Vec<&[Entry]> = all.chunk_by(|a, b| a.user == b.user).collect();
        let kept: Vec<Vec<Entry>> = by_user.par_iter().map(|list| self.rerank(list, &kinds)).collect();
        let table = table(&lists, &self.user, &self.product, &kept.concat())?;
        context.put("table", table)
    }
}

impl Diversify {
    fn rerank(&self, list: &[Entry], kinds: &[Vec<Option<u32>>]) -> Vec<Entry> {
        let kind = |entry: &Entry| kinds.get(entry.product as usize).map_or(&[][..], Vec::as_slice);
        let steps = list.len() as f64;
        // What is left, with its relevance and its largest similarity to what is chosen.
        let mut left: Vec<(Entry, f64, f64)> =
            list.iter().enumerate().map(|(place, entry)| (*entry, (steps - place as f64) / steps, 0.0)).collect();
        let mut chosen = Vec::with_capacity(self.n.min(list.len()));
        while chosen.len() < self.n {
            let value = |relevance: f64, similarity: f64| self.lambda * relevance - (1.0 - self.lambda) * similarity;
            let mut best: Option<(usize, f64)> = None;
            for (place, (_, relevance, similarity)) in left.iter().enumerate() {
                let value = value(*relevance, *similarity);
                if best.is_none_or(|(_, best)| value > best) {
                    best = Some((place, value));
                }
            }
            let Some((place, _)) = best else { break };
            let (entry, ..) = left.remove(place);
            for (other, _, similarity) in &mut left {
                let same = kind(&entry).iter().zip(kind(other)).filter(|(a, b)| a.is_some() && a == b).count();
                *similarity = similarity.max(same as f64 / self.columns.len() as f64);
            }
            chosen.push(entry);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::table;

    use super::Diversify;
    use crate::testing::{lists, rows};

    fn given() -> DataFrame {
        df![
            "user_id" => [1_i64; 5], "product_id" => [11_i64, 12, 13, 14, 15], "rank" => [1_i64, 2, 3, 4, 5],
            "score" => [0.9, 0.8, 0.7, 0.6, 0.5],
        ]
        .unwrap()
    }

    fn products() -> DataFrame {
        df![
            "product_id" => [11_i64, 12, 13, 14, 99],
            "category" => [Some("tea"), Some("tea"), Some("tea"), Some("jam"), None],
            "brand" => ["x", "y", "x", "y", "z"],
        ]
        .unwrap()
    }

    fn run(params: Value) -> String {
        let trial = Trial::new::<Diversify>(params).input("lists", table(given()));
        lists(&trial.input("products", table(products())).run().unwrap())
    }

    /// By hand with λ = .7: 11 first. Then 12 has .7 × .8 - .3 = .26, 13 .12, 14 .7 × .4 = .28, 15 .14: 14; then 12
    /// (.26), 15 (.14), 13 (.12).
    #[test]
    fn another_kind_comes_forward() {
        assert_eq!(run(json!({})), "1: 11 14 12 15 13");
        assert_eq!(run(json!({ "n": 2 })), "1: 11 14");
        assert_eq!(run(json!({ "lambda": 1.0 })), "1: 11 12 13 14 15");
        assert_eq!(run(json!({ "lambda": 0.0 })), "1: 11 14 15 12 13", "13 and 12 are alike: the order stays");
    }

    #[test]
    fn similarity_is_the_share_of_equal_columns() {
        // λ = .5: 11; then 12 .4 - .25 (category), 13 .3 - .5 (both), 14 .2 - 0, 15 .1: 14; then 12 .15, 15 .1, 13 -.2.
        assert_eq!(run(json!({ "columns": ["category", "brand"], "lambda": 0.5 })), "1: 11 14 12 15 13");
    }

    #[test]
    fn scores_go_along() {
        let trial = Trial::new::<Diversify>(json!({ "n": 2 })).input("lists", table(given()));
        let done = trial.input("products", table(products())).run().unwrap();
        assert_eq!(rows(&done).iter().map(|row| (row.2, row.3)).collect::<Vec<_>>(), [(1, 0.9), (2, 0.6)]);
    }

    #[test]
    fn errors_say_what_to_do() {
        let trial = Trial::new::<Diversify>(json!({ "columns": ["categori"] })).input("lists", table(given()));
        let error = trial.input("products", table(products())).run().unwrap_err();
        assert_eq!(error.message, "there is no column `categori`");
        assert_eq!(error.help.unwrap(), "did you mean `category`?");
        let error = Trial::new::<Diversify>(json!({ "lambda": 1.5 })).check().unwrap_err();
        assert_eq!(error.to_string(), "lambda: 1.5 does not lie from 0 to 1");
    }
}
