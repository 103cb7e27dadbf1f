use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::Ids;

use crate::defaults::{product_id, user_id};
use crate::lists::{check_names, personal};
use crate::ranked::{codes_beside, entries, frame, lists_port, table};

/// Keep only those recommendations that are allowed.
///
/// Each optional input is a rule: with `purchases`, what a user bought before is taken out of their list; with
/// `products`, only the products of that table stay (those in stock, say, after `clean.filter`); with `users`, only the
/// users of that table keep their list (those who consented, say). What is left keeps its order, and its score and
/// reason, and is ranked anew from 1, up to `n` per user. Ask for longer lists before, since what is taken out is not
/// replaced; a warning says how many lists became shorter than `n`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// How many products to keep per user, at most; all that are allowed unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    n: Option<usize>,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
}

impl Stage for Filter {
    const TYPE: &'static str = "recommend.filter";
    const EXAMPLE: &'static str = "\
inputs: { lists: recommend, purchases: train, products: in_stock, users: consenting }
with: { n: 10 }";

    fn ports() -> Vec<Port> {
        vec![
            lists_port("lists"),
            Port::input("purchases", Kind::Table, "What users must not get again: the user and product columns.")
                .optional(),
            Port::input("products", Kind::Table, "The products that may be recommended: the product column.")
                .optional(),
            Port::input("users", Kind::Table, "The users who may get recommendations: the user column.").optional(),
            Port::output(
                "table",
                Kind::Table,
                "The lists that are left, sorted by user, then rank: the user and product columns, `rank` (int64, from \
                 1), and `score` and `reason` where `lists` has them.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
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
        let allowed = |port: &'static str, ids: &Ids, name: &str| -> Result<Option<Vec<bool>>, StageError> {
            if !context.has_input(port) {
                return Ok(None);
            }
            let mut allowed = vec![false; ids.len()];
            for code in
                codes_beside(ids, name, ("lists", &lists), (port, &frame(context, port)?))?.into_iter().flatten()
            {
                if let Some(allowed) = allowed.get_mut(code as usize) {
                    *allowed = true;
                }
            }
            Ok(Some(allowed))
        };
        let users_allowed = allowed("users", &users, &self.user)?;
        let products_allowed = allowed("products", &products, &self.product)?;
        let mut bought: Vec<(u32, u32)> = Vec::new();
        if context.has_input("purchases") {
            let purchases = frame(context, "purchases")?;
            let user = codes_beside(&users, &self.user, ("lists", &lists), ("purchases", &purchases))?;
            let product = codes_beside(&products, &self.product, ("lists", &lists), ("purchases", &purchases))?;
            bought = user.into_iter().zip(product).filter_map(|(user, product)| Some((user?, product?))).collect();
            bought.sort_unstable();
        }
        let may = |allowed: &Option<Vec<bool>>, code: u32| {
            allowed.as_ref().is_none_or(|allowed| allowed.get(code as usize).copied().unwrap_or_default())
        };

        let mut kept = Vec::with_capacity(all.len());
        let mut short = 0;
        let mut asked = 0;
        for list in all.chunk_by(|a, b| a.user == b.user) {
            if !list.first().is_some_and(|entry| may(&users_allowed, entry.user)) {
                continue;
            }
            let before = kept.len();
            let left = list.iter().filter(|entry| {
                may(&products_allowed, entry.product) && bought.binary_search(&(entry.user, entry.product)).is_err()
            });
            kept.extend(left.take(self.n.unwrap_or(usize::MAX)));
            let left = kept.len() - before;
            asked += 1;
            short += usize::from(left < list.len() && self.n.is_some_and(|n| left < n));
        }
        if let (Some(n), true) = (self.n, short > 0) {
            context.warn(format!(
                "{short} of {asked} users have fewer than {n} recommendations left: ask for longer lists before this"
            ));
        }
        let table = table(&lists, &self.user, &self.product, &kept)?;
        context.put("table", table)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::table;

    use super::Filter;
    use crate::testing::{lists, reasons, shuffled};

    fn given() -> DataFrame {
        df![
            "user_id" => [1_i64, 1, 1, 1, 2, 2],
            "product_id" => [14_i64, 11, 12, 13, 11, 12],
            "rank" => [4_i64, 1, 2, 3, 1, 2],
            "score" => [0.1, 0.9, 0.8, 0.7, 0.9, 0.8],
            "reason" => ["d", "a", "b", "c", "e", "f"],
        ]
        .unwrap()
    }

    fn trial(params: Value) -> Trial {
        Trial::new::<Filter>(params).input("lists", table(given()))
    }

    #[test]
    fn without_rules_nothing_changes_but_the_order_of_rows() {
        let done = trial(json!({})).run().unwrap();
        assert_eq!(lists(&done), "1: 11 12 13 14 | 2: 11 12");
        assert_eq!(reasons(&done).concat(), "abcdef");
    }

    #[test]
    fn each_input_is_a_rule() {
        let purchases = df!["user_id" => [1_i64, 2, 9], "product_id" => [11_i64, 12, 13]].unwrap();
        let products = df!["product_id" => [11_i64, 12, 14, 99]].unwrap();
        let users = df!["user_id" => [1_i64, 7]].unwrap();
        let by = |port: &str, frame: DataFrame| lists(&trial(json!({})).input(port, table(frame)).run().unwrap());
        assert_eq!(by("purchases", purchases.clone()), "1: 12 13 14 | 2: 11");
        assert_eq!(by("products", products.clone()), "1: 11 12 14 | 2: 11 12");
        assert_eq!(by("users", users.clone()), "1: 11 12 13 14");
        let all = trial(json!({ "n": 1 }));
        let all = all.input("purchases", table(purchases)).input("products", table(products));
        let done = all.input("users", table(users)).run().unwrap();
        assert_eq!(lists(&done), "1: 12");
        assert_eq!(reasons(&done), ["b"]);
    }

    #[test]
    fn short_lists_are_said() {
        let products = df!["product_id" => [11_i64, 12]].unwrap();
        let done = trial(json!({ "n": 3 })).input("products", table(products)).run().unwrap();
        assert_eq!(lists(&done), "1: 11 12 | 2: 11 12");
        let expected = "1 of 2 users have fewer than 3 recommendations left: ask for longer lists before this";
        assert_eq!(done.warnings, [expected], "the list of user 2 was short before");
    }

    #[test]
    fn lists_without_ranks_go_by_score() {
        let done = Trial::new::<Filter>(json!({})).input("lists", table(given().drop("rank").unwrap())).run().unwrap();
        assert_eq!(lists(&done), "1: 11 12 13 14 | 2: 11 12");
        let neither = given().drop("rank").unwrap().drop("score").unwrap();
        let error = Trial::new::<Filter>(json!({})).input("lists", table(neither)).run().unwrap_err();
        assert_eq!(error.message, "`lists` has neither a column `rank` nor a column `score`");
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = trial(json!({})).run().unwrap().bytes();
        for stride in 1..6 {
            let trial = Trial::new::<Filter>(json!({})).input("lists", table(shuffled(&given(), stride)));
            assert_eq!(trial.run().unwrap().bytes(), bytes);
        }
    }

    #[test]
    fn identifiers_of_other_types_are_refused() {
        let products = df!["product_id" => ["11"]].unwrap();
        let error = trial(json!({})).input("products", table(products)).run().unwrap_err();
        assert_eq!(error.message, "column `product_id` is i64 in `lists` and str in `products`, the same is needed");
    }
}
