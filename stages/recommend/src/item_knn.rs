use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};

use crate::defaults::{product_id, ten, user_id};
use crate::lists::{Lists, Scored, best, check_names, personal, table_port, users_port, warn_without};
use crate::matrix::{Bought, Counts};
use crate::pairs::Pairs;
use crate::reasons::{Names, Reason, name, products_port};

/// Recommend what is often bought by those who bought the same products.
///
/// Two products are alike as far as the same users bought them: with c common buyers, of a and b buyers each,
/// `cosine` = c / (√(ab) + shrinkage) and `jaccard` = c / (a + b - c + shrinkage), from 0 to 1. Each product keeps its
/// `k` most similar others (equal ones: the smaller product), and a user's score of a product is the sum of its
/// similarities to those products of the user that keep it (Deshpande and Karypis 2004, "Item-Based Top-N
/// Recommendation Algorithms", ACM TOIS 22). A product counts once per user however often it was bought, and is not
/// similar to itself. The time grows with the sum over users of the square of their number of products. Users without
/// purchases, or whose products have no neighbours, get nothing. Rows without a user or a product are left out, with a
/// warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemKnn {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// How many similar products each product keeps, at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1))]
    k: usize,
    /// How similarity is measured: `cosine` or `jaccard`.
    #[serde(default)]
    similarity: Similarity,
    /// What is added to the denominator of a similarity, in buyers: the larger, the less a similarity of products with
    /// few buyers counts. 0 or more.
    #[serde(default = "shrinkage")]
    #[schemars(range(min = 0.0))]
    shrinkage: f64,
    /// Whether to leave out what a user has already bought.
    #[serde(default)]
    exclude_purchased: bool,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// The column of the input `products` with their names (text).
    #[serde(default = "name")]
    name: String,
}

/// How alike two products are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// Common buyers over the geometric mean of the buyers.
    #[default]
    Cosine,
    /// Common buyers over the buyers of either.
    Jaccard,
}

fn fifty() -> usize {
    50
}

fn shrinkage() -> f64 {
    10.0
}

impl Stage for ItemKnn {
    const TYPE: &'static str = "recommend.item_knn";
    const EXAMPLE: &'static str = "\
inputs: { purchases: train, products: products }
with: { n: 10, k: 50, similarity: cosine, exclude_purchased: true }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("purchases", Kind::Table, "One row per purchase: the user and product columns."),
            users_port(),
            products_port(),
            table_port("the sum of the product's similarities to the user's products, above 0"),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.shrinkage >= 0.0 && self.shrinkage.is_finite()) {
            return Err(ParamError::new("shrinkage", format!("{} is not a number of 0 or more", self.shrinkage)));
        }
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, Some(&self.name))
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let Pairs { purchases, users, products, pairs } = Pairs::read(context, &self.user, &self.product)?;
        let names = Names::read(context, &purchases, &products, &self.product, &self.name)?;
        let bought = Bought::of(pairs, users.ids.len(), products.len());
        let neighbours = self.neighbours(context, &bought)?;

        let lists: Vec<Vec<(Scored, Reason)>> = users
            .targets
            .par_iter()
            .map_init(
                || Scores::new(products.len()),
                |scores, user| {
                    let own = bought.by_user.row(*user);
                    let excluded = if self.exclude_purchased { own } else { &[] };
                    scores.of_user(own, &neighbours, excluded, self.n)
                },
            )
            .collect();
        let mut out = Lists::default();
        warn_without(context, lists.iter().filter(|list| list.is_empty()).count(), users.targets.len());
        for (user, list) in users.targets.iter().zip(lists) {
            out.push(*user, list);
        }
        let table = out.table(&users.ids, &products, &names)?;
        context.put("table", table)
    }
}

impl ItemKnn {
    /// The most similar others of each product, by product.
    fn neighbours(&self, context: &StageContext, bought: &Bought) -> Result<Vec<Vec<Scored>>, StageError> {
        let products: Vec<u32> = (0..).take(bought.by_product.rows()).collect();
        let buyers = |product: u32| bought.by_product.row(product).len() as f64;
        let mut neighbours = Vec::with_capacity(products.len());
        for block in products.chunks(4_096) {
            context.check_cancelled()?;
            context.progress(neighbours.len() as u64, products.len() as u64);
            neighbours.par_extend(block.par_iter().map_init(
                || Counts::new(products.len()),
                |counts, product| {
                    let own = buyers(*product);
                    let others = counts.together(bought, *product).into_iter().map(|(other, common)| {
                        let (common, theirs) = (f64::from(common), buyers(other));
                        let whole = match self.similarity {
                            Similarity::Cosine => (own * theirs).sqrt(),
                            Similarity::Jaccard => own + theirs - common,
                        };
                        (other, common / (whole + self.shrinkage))
                    });
                    best(others.collect(), self.k)
                },
            ));
        }
        Ok(neighbours)
    }
}

/// The scores of one user after the other.
struct Scores {
    scores: Vec<f64>,
    /// The user's product that added most to a score, and how much.
    because: Vec<(f64, u32)>,
    touched: Vec<u32>,
}

impl Scores {
    fn new(products: usize) -> Self {
        Self { scores: vec![0.0; products], because: vec![(0.0, 0); products], touched: Vec::new() }
    }

    /// The best products for someone who bought `own`, which are ascending.
    fn of_user(
        &mut self,
        own: &[u32],
        neighbours: &[Vec<Scored>],
        excluded: &[u32],
        n: usize,
    ) -> Vec<(Scored, Reason)> {
        for product in own {
            for (other, similarity) in neighbours.get(*product as usize).into_iter().flatten() {
                let other_index = *other as usize;
                if let (Some(score), Some(because)) =
                    (self.scores.get_mut(other_index), self.because.get_mut(other_index))
                {
                    if *score == 0.0 {
                        self.touched.push(*other);
                    }
                    *score += similarity;
                    if *similarity > because.0 {
                        *because = (*similarity, *product);
                    }
                }
            }
        }
        let scored = self.touched.iter().filter(|product| excluded.binary_search(product).is_err());
        let scored = scored.filter_map(|product| Some((*product, *self.scores.get(*product as usize)?)));
        let list = best(scored.collect(), n);
        let list = list
            .into_iter()
            .filter_map(|scored| Some((scored, Reason::With(self.because.get(scored.0 as usize)?.1))))
            .collect();
        for product in self.touched.drain(..) {
            if let (Some(score), Some(because)) =
                (self.scores.get_mut(product as usize), self.because.get_mut(product as usize))
            {
                (*score, *because) = (0.0, (0.0, 0));
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::table;

    use super::ItemKnn;
    use crate::testing::{lists, reasons, rows, shuffled};

    /// 1 buys 11 (twice), 12; 2 buys 11, 12, 13; 3 buys 12, 13; 4 buys 11; 5 buys 14.
    fn purchases() -> DataFrame {
        df![
            "user_id" => [1_i64, 1, 1, 2, 2, 2, 3, 3, 4, 5],
            "product_id" => [11_i64, 12, 11, 11, 12, 13, 12, 13, 11, 14],
        ]
        .unwrap()
    }

    fn trial(params: Value) -> Trial {
        Trial::new::<ItemKnn>(params).input("purchases", table(purchases()))
    }

    fn assert_scores(params: Value, expected: &[(&str, &str, f64)]) {
        let done = trial(params).run().unwrap();
        let rows = rows(&done);
        assert_eq!(rows.len(), expected.len(), "{rows:?}");
        for (row, (user, product, score)) in rows.iter().zip(expected) {
            assert_eq!((row.0.as_str(), row.1.as_str()), (*user, *product));
            assert!((row.3 - score).abs() < 1e-15, "{row:?} {score}");
        }
    }

    /// By hand: 11 and 12 have 2 common buyers of 3 and 3, 11 and 13 have 1 of 3 and 2, 12 and 13 have 2 of 3 and 2.
    #[test]
    fn scores_are_sums_of_similarities() {
        let root = f64::sqrt(6.0);
        let (ab, ac, bc) = (2.0 / 3.0, 1.0 / root, 2.0 / root);
        let params = json!({ "shrinkage": 0.0, "exclude_purchased": true });
        assert_scores(params, &[("1", "13", ac + bc), ("3", "11", ab + ac), ("4", "12", ab), ("4", "13", ac)]);
        let params = json!({ "shrinkage": 2.0, "similarity": "jaccard", "exclude_purchased": true });
        let (ab, ac, bc) = (2.0 / 6.0, 1.0 / 6.0, 2.0 / 5.0);
        assert_scores(params, &[("1", "13", ac + bc), ("3", "11", ab + ac), ("4", "12", ab), ("4", "13", ac)]);
    }

    #[test]
    fn each_product_keeps_its_k_nearest() {
        // 11 keeps 12, 12 keeps 13, 13 keeps 12.
        assert_eq!(
            lists(&trial(json!({ "k": 1, "shrinkage": 0.0 })).run().unwrap()),
            "1: 13 12 | 2: 12 13 | 3: 12 13 | 4: 12"
        );
    }

    #[test]
    fn reasons_name_the_product_that_counts_most() {
        let products = df!["product_id" => [12_i64, 12, 77], "name" => ["tea", "black tea", "jam"]].unwrap();
        let done =
            trial(json!({ "exclude_purchased": true, "n": 1 })).input("products", table(products)).run().unwrap();
        assert_eq!(lists(&done), "1: 13 | 3: 11 | 4: 12");
        assert_eq!(
            reasons(&done),
            ["often bought with black tea", "often bought with black tea", "often bought with product 11"]
        );
        assert_eq!(done.warnings, ["2 of 5 users get no recommendations: they have no purchases to go by"]);
    }

    #[test]
    fn reasons_with_personal_names_are_personal() {
        let mut products = table(df!["product_id" => [12_i64], "name" => ["tea of Ann"]].unwrap());
        products.mark_personal(["name"]);
        let done = trial(json!({})).input("products", products).run().unwrap();
        assert!(done.table("table").is_personal("reason"));
        assert!(!trial(json!({})).run().unwrap().table("table").is_personal("reason"));
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = trial(json!({})).run().unwrap().bytes();
        for stride in 1..9 {
            let trial = Trial::new::<ItemKnn>(json!({})).input("purchases", table(shuffled(&purchases(), stride)));
            assert_eq!(trial.run().unwrap().bytes(), bytes);
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = trial(json!({ "shrinkage": -1.0 })).check().unwrap_err();
        assert_eq!(error.to_string(), "shrinkage: -1 is not a number of 0 or more");
        let products = df!["product_id" => [12_i64], "title" => ["tea"]].unwrap();
        let error = trial(json!({})).input("products", table(products)).run().unwrap_err();
        assert_eq!(error.message, "there is no column `name`");
    }
}
