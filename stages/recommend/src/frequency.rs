use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, to_frame};

use crate::defaults::{created_at, order_id, product_id, ten, user_id};
use crate::lists::{
    Lists, Scored, Users, by_score, check_names, personal, table_port, users_port, warn_left_out, warn_without,
};
use crate::popular::ranking;
use crate::reasons::{Names, Reason};
use crate::time::Times;

/// Recommend what a person buys again and again, recent orders first.
///
/// The orders of a person are numbered from the latest (age 0) backwards; an order's time is that of its earliest row,
/// and orders of the same time count as later the larger their identifier. The score of a product is the sum, over the
/// person's orders that contain it, of `decay` to the power of the order's age: a count that forgets. This is the
/// personal part of TIFU-KNN (Hu, He, Gao and Zhang 2020, "Modeling Personalized Item Frequency Information for
/// Next-basket Recommendation", SIGIR), which is hard to beat where people rebuy; with `decay: 1` it is the plain count
/// of orders ("personal top frequency"). Scores lie above 0, up to the number of orders. A list that is shorter than
/// `n` is filled with what most people buy; the score of such a product is one less than its number of buyers / (number of
/// users + 1), which is negative and so below every personal score. Rows without a user, product, order or time are left out,
/// with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frequency {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// What an order weighs in relation to the next later one of the same person, above 0 and at most 1: small values
    /// repeat the last order, 1 makes all orders equal.
    #[serde(default = "nine_tenths")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    decay: f64,
    /// What follows when a person has bought fewer than `n` products, or nothing: `popular`, what most people buy and
    /// is not in the list yet, or `none`.
    #[serde(default)]
    fill: Fill,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// The column that tells orders apart (integers or text).
    #[serde(default = "order_id")]
    order: String,
    /// The column that says when the order was placed (timestamp, date or integer).
    #[serde(default = "created_at")]
    time: String,
}

/// What fills a list that is too short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// What most people buy.
    #[default]
    Popular,
    /// Nothing: the list stays short.
    None,
}

fn nine_tenths() -> f64 {
    0.9
}

impl Stage for Frequency {
    const TYPE: &'static str = "recommend.frequency";
    const EXAMPLE: &'static str = "\
inputs: { purchases: train }
with: { n: 10, decay: 0.9, fill: popular }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "purchases",
                Kind::Table,
                "One row per product of an order: the user, product, order and time columns.",
            ),
            users_port(),
            table_port(
                "the sum of `decay` to the power of the order's age over the person's orders with the product; \
                 negative where the product fills a short list",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.decay > 0.0 && self.decay <= 1.0) {
            return Err(ParamError::new("decay", format!("{} is not above 0 and at most 1", self.decay)));
        }
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, None)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let purchases = to_frame(&*context.table("purchases")?)?;
        let users = Users::read(context, &purchases, &self.user)?;
        let products = Ids::of(&self.product, &[("purchases", &purchases)])?;
        let orders = Ids::of(&self.order, &[("purchases", &purchases)])?.codes(&purchases)?;
        let times = Times::read(&purchases, &self.time)?;
        let rows = users.rows.iter().zip(products.codes(&purchases)?).zip(orders.into_iter().zip(&times.ticks));
        let mut rows: Vec<Row> = rows
            .filter_map(|((user, product), (order, time))| {
                Some(Row { user: (*user)?, order: order?, time: (*time)?, product: product? })
            })
            .collect();
        let columns: [&str; 4] = [&self.user, &self.product, &self.order, &self.time];
        warn_left_out(context, purchases.height() - rows.len(), purchases.height(), &columns);
        context.check_cancelled()?;

        rows.sort_unstable();
        let now = rows.iter().map(|row| row.time).max().unwrap_or_default();
        let fill = if self.fill == Fill::Popular {
            fill(rows.iter().map(|row| (row.user, row.product)), products.len())
        } else {
            Vec::new()
        };
        let mut of_users = rows.chunk_by(|a, b| a.user == b.user).peekable();
        let mut lists = Lists::default();
        let mut without = 0;
        for user in &users.targets {
            while of_users.next_if(|rows| rows.first().is_some_and(|row| row.user < *user)).is_some() {}
            let rows = of_users.next_if(|rows| rows.first().is_some_and(|row| row.user == *user)).unwrap_or(&[]);
            let mut own = scores(rows, self.decay);
            let missing = self.n.saturating_sub(own.len());
            let others = fill.iter().filter(|(product, _)| own.binary_search_by_key(product, |own| own.0.0).is_err());
            let others: Vec<Scored> = others.take(missing).copied().collect();
            own.sort_unstable_by(|a, b| by_score(&a.0, &b.0));
            without += usize::from(own.is_empty() && others.is_empty());
            let own = own
                .into_iter()
                .take(self.n)
                .map(|(scored, orders, last)| (scored, Reason::Bought { orders, days: times.days(last, now) }));
            lists.push(*user, own.chain(others.into_iter().map(|scored| (scored, Reason::Popular))));
        }
        warn_without(context, without, users.targets.len());
        let table = lists.table(&users.ids, &products, &Names::none())?;
        context.put("table", table)
    }
}

/// A product of an order. The derived order puts the rows of a user's order together, the earliest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    user: u32,
    order: u32,
    time: i64,
    product: u32,
}

/// The products of one user's sorted rows, by product, with their scores, in how many orders and when last they were
/// bought.
fn scores(rows: &[Row], decay: f64) -> Vec<(Scored, u32, i64)> {
    let mut orders: Vec<&[Row]> = rows.chunk_by(|a, b| a.order == b.order).collect();
    orders.sort_unstable_by_key(|rows| std::cmp::Reverse(rows.first().map(|row| (row.time, row.order))));
    let mut contained: Vec<(u32, usize)> = Vec::with_capacity(rows.len());
    for (age, rows) in orders.iter().enumerate() {
        contained.extend(rows.iter().map(|row| (row.product, age)));
    }
    contained.sort_unstable();
    contained.dedup();
    // Repeated products rather than `powf`, whose last digit depends on the machine.
    let weights: Vec<f64> =
        std::iter::successors(Some(1.0), |weight| Some(weight * decay)).take(orders.len()).collect();
    let weight = |age: usize| weights.get(age).copied().unwrap_or_default();
    contained
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(|ages| {
            let (product, latest) = *ages.first()?;
            let last = orders.get(latest)?.first()?.time;
            Some(((product, ages.iter().map(|(_, age)| weight(*age)).sum()), u32::try_from(ages.len()).ok()?, last))
        })
        .collect()
}

/// The products by their number of buyers, most first, with scores from -1 to below 0.
pub(crate) fn fill(bought: impl Iterator<Item = (u32, u32)>, products: usize) -> Vec<Scored> {
    let mut bought: Vec<(u32, u32)> = bought.collect();
    bought.sort_unstable();
    bought.dedup();
    let users = bought.chunk_by(|a, b| a.0 == b.0).count() as f64;
    let ranking = ranking(bought.iter().map(|(_, product)| *product), products);
    ranking.into_iter().map(|(product, buyers)| (product, buyers / (users + 1.0) - 1.0)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{Column, DataFrame, DataType, TimeUnit, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::{Done, Trial};
    use stagewright_frame::testkit::table;

    use super::Frequency;
    use crate::testing::{lists, reasons, rows, shuffled};

    /// User 1 orders 30 (latest: 5, 6), then 10 (5, 7, 7), then 20 (7, 8); user 2 has one order.
    fn purchases() -> DataFrame {
        df![
            "user_id" => [1_i64, 1, 1, 1, 1, 1, 1, 2, 2],
            "order_id" => [30_i64, 30, 10, 10, 10, 20, 20, 40, 40],
            "product_id" => [5_i64, 6, 5, 7, 7, 7, 8, 8, 9],
            "created_at" => [300_i64, 300, 200, 205, 205, 100, 100, 150, 150],
        ]
        .unwrap()
    }

    fn run(purchases: DataFrame, params: Value) -> Done {
        Trial::new::<Frequency>(params).input("purchases", table(purchases)).run().unwrap()
    }

    #[test]
    fn scores_are_decayed_counts_of_orders() {
        // 5: 1 + .5 = 1.5; 6: 1; 7: .5 + .25 (twice in one order counts once); 8: .25.
        let done = run(purchases(), json!({ "decay": 0.5, "fill": "none" }));
        let expected =
            [(1, 5, 1, 1.5), (1, 6, 2, 1.0), (1, 7, 3, 0.75), (1, 8, 4, 0.25), (2, 8, 1, 1.0), (2, 9, 2, 1.0)];
        let expected: Vec<_> = expected.iter().map(|(u, p, r, s)| (u.to_string(), p.to_string(), *r, *s)).collect();
        assert_eq!(rows(&done), expected);
        assert!(done.warnings.is_empty());
        // Nobody knows the unit of integer times.
        assert_eq!(reasons(&done)[..2], ["bought 2 times", "bought once"]);
    }

    #[test]
    fn without_decay_it_is_the_count() {
        let done = run(purchases(), json!({ "decay": 1.0, "fill": "none", "n": 2 }));
        assert_eq!(lists(&done), "1: 5 7 | 2: 8 9");
        assert_eq!(rows(&done)[0].3, 2.0);
    }

    #[test]
    fn short_lists_are_filled_below_every_personal_score() {
        let done = run(purchases(), json!({ "n": 4 }));
        assert_eq!(lists(&done), "1: 5 7 6 8 | 2: 8 9 5 6");
        let rows = rows(&done);
        // One of two users bought 5: 1 / (2 + 1) - 1.
        assert_eq!(rows[6].3, 1.0 / 3.0 - 1.0);
        assert!(rows[5].3 > 0.0);
    }

    #[test]
    fn users_without_purchases_get_the_popular_or_nothing() {
        let trial = |fill: &str| {
            let users = df!["user_id" => [3_i64, 2]].unwrap();
            Trial::new::<Frequency>(json!({ "n": 2, "fill": fill }))
                .input("purchases", table(purchases()))
                .input("users", table(users))
                .run()
                .unwrap()
        };
        assert_eq!(lists(&trial("popular")), "2: 8 9 | 3: 8 5");
        let none = trial("none");
        assert_eq!(lists(&none), "2: 8 9");
        assert_eq!(none.warnings, ["1 of 2 users get no recommendations: they have no purchases to go by"]);
    }

    #[test]
    fn orders_of_the_same_time_count_as_later_the_larger_their_identifier() {
        let purchases = df![
            "user_id" => [1_i64, 1],
            "order_id" => [2_i64, 1],
            "product_id" => [5_i64, 4],
            "created_at" => [0_i64, 0],
        ];
        assert_eq!(lists(&run(purchases.unwrap(), json!({}))), "1: 5 4");
    }

    #[test]
    fn timestamps_and_dates_are_times() {
        for dtype in [DataType::Datetime(TimeUnit::Microseconds, None), DataType::Date] {
            let mut purchases = purchases();
            let days = purchases.column("created_at").unwrap().cast(&DataType::Int32).unwrap();
            let time: Column = days.cast(&DataType::Date).unwrap().cast(&dtype).unwrap();
            purchases.with_column(time).unwrap();
            let done = run(purchases, json!({ "n": 3 }));
            assert_eq!(lists(&done), "1: 5 7 6 | 2: 8 9 5");
            let expected = [
                "bought 2 times, last today",
                "bought 2 times, last 100 days ago",
                "bought once, today",
                "bought once, 150 days ago",
                "bought once, 150 days ago",
                "popular",
            ];
            assert_eq!(reasons(&done), expected);
        }
        let mut text = purchases();
        let time = text.column("created_at").unwrap().cast(&DataType::String).unwrap();
        text.with_column(time).unwrap();
        let error = Trial::new::<Frequency>(json!({})).input("purchases", table(text)).run().unwrap_err();
        assert_eq!(error.message, "column `created_at` is str, a timestamp, date or integer is needed");
        assert_eq!(error.help.unwrap(), "cast it with `clean.cast`, or name another column");
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = run(purchases(), json!({})).bytes();
        for stride in 1..9 {
            assert_eq!(run(shuffled(&purchases(), stride), json!({})).bytes(), bytes);
        }
    }

    #[test]
    fn decay_lies_in_its_range() {
        for decay in [0.0, -1.0, 1.1] {
            let error = Trial::new::<Frequency>(json!({ "decay": decay })).check().unwrap_err();
            assert_eq!(error.to_string(), format!("decay: {decay} is not above 0 and at most 1"));
        }
    }
}
