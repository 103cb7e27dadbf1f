use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};

use crate::defaults::{product_id, ten, user_id};
use crate::lists::{Lists, Scored, best, check_names, personal, table_port, users_port, warn_without};
use crate::matrix::{Bought, Counts};
use crate::pairs::Pairs;
use crate::popular::ranking;
use crate::reasons::{Names, Reason, name, products_port};

/// Recommend by a linear model that predicts each product from the others (EASE).
///
/// Among the `products` products with the most buyers, X is 1 where a user bought a product. B minimises ‖X - XB‖² +
/// `regularization` × ‖B‖² with a diagonal of zeros, and is found in closed form: with P = (XᵀX + regularization I)⁻¹,
/// B = -Pᵢⱼ / Pⱼⱼ (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW). The score of a product is the
/// sum of its column of B over the user's products; only products with a score above 1e-9 are recommended. Scores are
/// rounded to multiples of 1e-12. Memory
/// grows with the square of `products`, time with its cube: 2,000 take about 100 MB and some seconds. Users without one
/// of these products get nothing. Rows without a user or a product are left out, with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ease {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// How many products to model: those with the most buyers; of equal ones the smaller.
    #[serde(default = "two_thousand")]
    #[schemars(range(min = 1, max = 20_000))]
    products: usize,
    /// What keeps the weights small, in buyers, above 0.
    #[serde(default = "regularization")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    regularization: f64,
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

/// What is not above this is a rounding error.
const LEAST: f64 = 1e-9;

fn two_thousand() -> usize {
    2_000
}

fn regularization() -> f64 {
    100.0
}

impl Stage for Ease {
    const TYPE: &'static str = "recommend.ease";
    const EXAMPLE: &'static str = "\
inputs: { purchases: train }
with: { n: 10, products: 2000, regularization: 100, exclude_purchased: true }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("purchases", Kind::Table, "One row per purchase: the user and product columns."),
            users_port(),
            products_port(),
            table_port("the product as predicted from the user's others, mostly between 0 and 1"),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.regularization > 0.0 && self.regularization.is_finite()) {
            return Err(ParamError::new("regularization", format!("{} is not above 0", self.regularization)));
        }
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, Some(&self.name))
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let Pairs { purchases, users, products, mut pairs } = Pairs::read(context, &self.user, &self.product)?;
        let names = Names::read(context, &purchases, &products, &self.product, &self.name)?;
        pairs.sort_unstable();
        pairs.dedup();
        let mut modelled: Vec<u32> = ranking(pairs.iter().map(|pair| pair.1), products.len())
            .into_iter()
            .take(self.products)
            .map(|(product, _)| product)
            .collect();
        modelled.sort_unstable();
        let places = pairs
            .into_iter()
            .filter_map(|(user, product)| Some((user, u32::try_from(modelled.binary_search(&product).ok()?).ok()?)));
        let bought = Bought::of(places.collect(), users.ids.len(), modelled.len());
        context.check_cancelled()?;
        let weights = self.weights(&bought)?;
        context.check_cancelled()?;

        let lists: Vec<Vec<(Scored, Reason)>> = users
            .targets
            .par_iter()
            .map_init(
                || (vec![0.0; modelled.len()], vec![(0.0, 0); modelled.len()]),
                |(scores, because), user| {
                    let own = bought.by_user.row(*user);
                    if own.is_empty() {
                        return Vec::new();
                    }
                    scores.fill(0.0);
                    because.fill((f64::NEG_INFINITY, 0));
                    for product in own {
                        let start = *product as usize * modelled.len();
                        let row = weights.get(start..start + modelled.len()).unwrap_or(&[]);
                        for ((score, because), (other, weight)) in
                            scores.iter_mut().zip(because.iter_mut()).zip((0_u32..).zip(row))
                        {
                            *score += weight;
                            if *weight > because.0 && other != *product {
                                *because = (*weight, *product);
                            }
                        }
                    }
                    // Rounded, so that the last digits do not decide ties.
                    let all = (0..).zip(scores.iter().map(|score| (score * 1e12).round() / 1e12));
                    let all = all.filter(|(place, score)| {
                        *score > LEAST && !(self.exclude_purchased && own.binary_search(place).is_ok())
                    });
                    best(all.collect(), self.n)
                        .into_iter()
                        .filter_map(|(place, score)| {
                            let product = *modelled.get(place as usize)?;
                            let (weight, other) = *because.get(place as usize)?;
                            let other = *modelled.get(other as usize)?;
                            // A score above 0 has a weight above 0.
                            (weight > 0.0).then_some(((product, score), Reason::With(other)))
                        })
                        .collect()
                },
            )
            .collect();
        warn_without(context, lists.iter().filter(|list| list.is_empty()).count(), users.targets.len());
        let mut out = Lists::default();
        for (user, list) in users.targets.iter().zip(lists) {
            out.push(*user, list);
        }
        let table = out.table(&users.ids, &products, &names)?;
        context.put("table", table)
    }
}

impl Ease {
    /// B, row by row.
    fn weights(&self, bought: &Bought) -> Result<Vec<f64>, StageError> {
        let count = bought.by_product.rows();
        let mut gram = Mat::<f64>::zeros(count, count);
        let mut counts = Counts::new(count);
        for (place, product) in (0_u32..).take(count).enumerate() {
            gram[(place, place)] = bought.by_product.row(product).len() as f64 + self.regularization;
            for (other, common) in counts.together(bought, product) {
                gram[(place, other as usize)] = f64::from(common);
            }
        }
        let inverse = gram
            .llt(Side::Lower)
            .map_err(|_| {
                StageError::data("the products' common buyers cannot be inverted")
                    .with_help("choose a larger `regularization`")
            })?
            .inverse();
        let mut weights = Vec::with_capacity(count * count);
        for i in 0..count {
            weights.extend((0..count).map(|j| if i == j { 0.0 } else { -inverse[(i, j)] / inverse[(j, j)] }));
        }
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(StageError::data("the weights between products are not finite")
                .with_help("choose a larger `regularization`"));
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::{Done, Trial};
    use stagewright_frame::testkit::table;

    use super::Ease;
    use crate::testing::{lists, reasons, rows, shuffled};

    fn purchases() -> DataFrame {
        df![
            "user_id" => [1_i64, 1, 1, 2, 2, 2, 3, 3, 4, 5],
            "product_id" => [11_i64, 12, 11, 11, 12, 13, 12, 13, 11, 14],
        ]
        .unwrap()
    }

    fn run(params: Value) -> Done {
        Trial::new::<Ease>(params).input("purchases", table(purchases())).run().unwrap()
    }

    /// With numpy: P = inv(X.T @ X + 2 * eye(4)); B = P / -diag(P) with a diagonal of 0; X @ B.
    #[test]
    fn it_gives_what_numpy_gives() {
        let done = run(json!({ "regularization": 2.0 }));
        let expected = [
            ("1", "13", 0.42857142857142855),
            ("1", "11", 0.375),
            ("1", "12", 0.3157894736842105),
            ("2", "12", 0.7368421052631579),
            ("2", "11", 0.4375),
            ("2", "13", 0.42857142857142855),
            ("3", "11", 0.4375),
            ("3", "12", 0.42105263157894735),
            ("3", "13", 0.38095238095238093),
            ("4", "12", 0.3157894736842105),
            ("4", "13", 0.04761904761904762),
        ];
        let rows = rows(&done);
        assert_eq!(rows.len(), expected.len(), "{rows:?}");
        for (row, (user, product, score)) in rows.iter().zip(expected) {
            assert_eq!((row.0.as_str(), row.1.as_str()), (user, product));
            assert!((row.3 - score).abs() < 1e-12, "{row:?} {score}");
        }
        assert_eq!(done.warnings, ["1 of 5 users get no recommendations: they have no purchases to go by"]);
    }

    #[test]
    fn purchases_can_be_left_out_and_reasons_name_the_largest_weight() {
        let done = run(json!({ "regularization": 2.0, "exclude_purchased": true }));
        assert_eq!(lists(&done), "1: 13 | 3: 11 | 4: 12 13");
        let with = ["product 12", "product 12", "product 11", "product 11"];
        assert_eq!(reasons(&done), with.map(|name| format!("often bought with {name}")));
    }

    #[test]
    fn only_the_products_with_the_most_buyers_are_modelled() {
        // 11 and 12 have three buyers each.
        assert_eq!(lists(&run(json!({ "products": 2 }))), "1: 11 12 | 2: 11 12 | 3: 11 | 4: 12");
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = run(json!({})).bytes();
        for stride in 1..9 {
            let trial = Trial::new::<Ease>(json!({})).input("purchases", table(shuffled(&purchases(), stride)));
            assert_eq!(trial.run().unwrap().bytes(), bytes);
        }
    }
}
