use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, to_frame};

use crate::defaults::{created_at, order_id, product_id, ten, user_id};
use crate::frequency::{Fill, fill};
use crate::lists::{
    Lists, Scored, Users, by_score, check_names, personal, table_port, users_port, warn_left_out, warn_without,
};
use crate::logistic::{Features, Logistic};
use crate::reasons::{Names, Reason};
use crate::repurchase::{Clock, History, Orders, Pair, Purchase};
use crate::time::Times;

/// Recommend what a person will most likely buy again soon, as learned from the weeks before.
///
/// The score of a product that a person bought is the probability that they buy it within the next `horizon`, from 0
/// to 1. It is a logistic regression on the number of the person's orders with it; the same number decayed with a
/// half-life of half a horizon, and of two; the time since the last; that time in relation to the person's own time
/// between purchases, drawn towards the product's; the share of its buyers who buy it again within a horizon, and who
/// bought it more than once, drawn towards those of all products; and the squares and products of these, each as a
/// logarithm. Its weights are fitted, with a ridge penalty of 1, to the `windows` horizons that precede the latest
/// purchase: each is predicted from what came before it, for the 50 products (or `2n`) of a person with the largest
/// long count, and of at most 20,000 people, evenly spaced. So nothing after the latest purchase of the input is known,
/// and nothing is tuned on what one tests with. It extends the personal frequency of TIFU-KNN (Hu, He, Gao and Zhang
/// 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation", SIGIR) by habit and
/// product; that method's neighbours were tried and left out, since they did not help to rank what a person had bought.
/// Where the windows hold fewer than 100 purchases again, the score is instead the decayed share of the person's orders
/// with the product, drawn with the weight of 10 orders towards the share among its buyers; a warning says so. A list
/// shorter than `n` is filled with what most people buy, with negative scores as in `recommend.frequency`. An order's
/// time is that of its earliest row. Rows without a user, product, order or time are left out, with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basket {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// How far to look ahead: days, or, where the time is an integer, its unit. About the time in which a regular
    /// customer comes a few times.
    #[serde(default = "four_weeks")]
    #[schemars(range(min = 1))]
    horizon: u32,
    /// How many horizons before the latest purchase to learn from; 0 to learn nothing.
    #[serde(default = "two")]
    #[schemars(range(max = 100))]
    windows: usize,
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

fn four_weeks() -> u32 {
    28
}

fn two() -> usize {
    2
}

/// The users to learn from, at most.
const LEARN_FROM: usize = 20_000;
/// The least number of purchases again to learn from.
const ENOUGH: usize = 100;
/// The least number of a person's products that are looked at.
const CANDIDATES: usize = 50;

impl Stage for Basket {
    const TYPE: &'static str = "recommend.basket";
    const EXAMPLE: &'static str = "\
inputs: { purchases: train }
with: { n: 10, horizon: 28, windows: 2 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "purchases",
                Kind::Table,
                "One row per product of an order: the user, product, order and time columns.",
            ),
            users_port(),
            table_port(
                "the probability that the person buys the product within the horizon; negative where the product \
                 fills a short list",
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
        let frame = to_frame(&*context.table("purchases")?)?;
        let users = Users::read(context, &frame, &self.user)?;
        let products = Ids::of(&self.product, &[("purchases", &frame)])?;
        let orders = Ids::of(&self.order, &[("purchases", &frame)])?.codes(&frame)?;
        let times = Times::read(&frame, &self.time)?;
        let rows = users.rows.iter().zip(products.codes(&frame)?).zip(orders.into_iter().zip(&times.ticks));
        let rows: Vec<(u32, u32, i64, u32)> =
            rows.filter_map(|((user, product), (order, time))| Some(((*user)?, order?, (*time)?, product?))).collect();
        let columns: [&str; 4] = [&self.user, &self.product, &self.order, &self.time];
        warn_left_out(context, frame.height() - rows.len(), frame.height(), &columns);
        context.check_cancelled()?;

        let (purchases, orders) = read(rows);
        let now = purchases.iter().map(|purchase| purchase.time).max().unwrap_or_default();
        let clock = Clock { unit: times.per_day.map_or(1.0, |ticks| ticks as f64), horizon: f64::from(self.horizon) };
        let at = |now| History::at(now, clock, &purchases, &orders, users.ids.len(), products.len());
        let mut known = Vec::new();
        for window in 1..=self.windows {
            context.check_cancelled()?;
            context.progress(window as u64, self.windows as u64 + 1);
            known.extend(self.examples(&at(clock.before(now, window))));
        }
        let again = known.iter().filter(|(_, again)| *again).count();
        let model = (again >= ENOUGH && known.len() - again >= ENOUGH).then(|| Logistic::fit(&known));
        if model.is_none() && self.windows > 0 {
            context.warn(format!(
                "there is too little to learn from: of {} products bought before the last {} × {}, {again} were \
                 bought again within one; scores are decayed shares of orders",
                known.len(),
                self.windows,
                self.horizon,
            ));
        }
        context.check_cancelled()?;

        let history = at(now);
        let score = |pair: &Pair| match &model {
            // Rounded, so that the last digits of logarithms do not decide ties.
            Some(model) => history.features(pair).map(|features| (model.probability(&features) * 1e12).round() / 1e12),
            None => Some(history.share(pair)),
        };
        let by_user: Vec<&[Pair]> = history.pairs.chunk_by(|a, b| a.user == b.user).collect();
        let own: Vec<(u32, Vec<(Scored, Reason)>)> = by_user
            .par_iter()
            .filter_map(|pairs| {
                let user = pairs.first()?.user;
                users.targets.binary_search(&user).ok()?;
                let mut list: Vec<(Scored, Reason)> = self
                    .candidates(pairs)
                    .iter()
                    .filter_map(|pair| {
                        let reason = Reason::Bought { orders: pair.orders, days: times.days(pair.last, now) };
                        Some(((pair.product, score(pair)?), reason))
                    })
                    .collect();
                list.sort_unstable_by(|a, b| by_score(&a.0, &b.0));
                list.truncate(self.n);
                Some((user, list))
            })
            .collect();

        let fill = match self.fill {
            Fill::Popular => fill(history.pairs.iter().map(|pair| (pair.user, pair.product)), products.len()),
            Fill::None => Vec::new(),
        };
        let mut lists = Lists::default();
        let mut without = 0;
        let mut own = own.into_iter().peekable();
        for user in &users.targets {
            let mut list = own.next_if(|(owner, _)| owner == user).map(|(_, list)| list).unwrap_or_default();
            let others = fill.iter().filter(|(product, _)| list.iter().all(|own| own.0.0 != *product));
            let others: Vec<Scored> = others.take(self.n - list.len()).copied().collect();
            list.extend(others.into_iter().map(|scored| (scored, Reason::Popular)));
            without += usize::from(list.is_empty());
            lists.push(*user, list);
        }
        warn_without(context, without, users.targets.len());
        let table = lists.table(&users.ids, &products, &Names::none())?;
        context.put("table", table)
    }
}

impl Basket {
    /// The person's products with the largest decayed count.
    fn candidates(&self, pairs: &[Pair]) -> Vec<Pair> {
        let most = CANDIDATES.max(self.n.saturating_mul(2));
        let mut pairs = pairs.to_vec();
        if most < pairs.len() {
            let order = |a: &Pair, b: &Pair| b.long.total_cmp(&a.long).then(a.product.cmp(&b.product));
            pairs.select_nth_unstable_by(most, order);
            pairs.truncate(most);
            pairs.sort_unstable_by_key(|pair| pair.product);
        }
        pairs
    }

    /// What was known at a moment, and what came of it.
    fn examples(&self, history: &History) -> Vec<(Features, bool)> {
        let by_user: Vec<&[Pair]> = history.pairs.chunk_by(|a, b| a.user == b.user).collect();
        let stride = by_user.len().div_ceil(LEARN_FROM).max(1);
        let examples: Vec<Vec<(Features, bool)>> = by_user
            .par_iter()
            .step_by(stride)
            .map(|pairs| {
                let pairs = self.candidates(pairs);
                pairs.iter().filter_map(|pair| Some((history.features(pair)?, pair.again))).collect()
            })
            .collect();
        examples.into_iter().flatten().collect()
    }
}

/// The different purchases and orders of rows of user, order, time and product.
fn read(mut rows: Vec<(u32, u32, i64, u32)>) -> (Vec<Purchase>, Orders) {
    rows.sort_unstable();
    let mut purchases = Vec::with_capacity(rows.len());
    let mut times = Vec::new();
    for rows in rows.chunk_by_mut(|a, b| (a.0, a.1) == (b.0, b.1)) {
        if let Some((user, _, time, _)) = rows.first().copied() {
            times.push((user, time));
            rows.sort_unstable_by_key(|row| row.3);
            let different = rows.chunk_by(|a, b| a.3 == b.3).filter_map(<[_]>::first);
            purchases.extend(different.map(|row| Purchase { user, product: row.3, time }));
        }
    }
    purchases.sort_unstable();
    times.sort_unstable();
    (purchases, Orders { times })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, DataType, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::{Done, Trial};
    use stagewright_frame::testkit::table;

    use super::Basket;
    use crate::frequency::Frequency;
    use crate::testing::{lists, reasons, rows, shuffled};

    fn run(purchases: DataFrame, params: Value) -> Done {
        Trial::new::<Basket>(params).input("purchases", table(purchases)).run().unwrap()
    }

    /// User 1 buys 1 at 0, and 1 and 2 at 20 (in two rows of different times); user 2 buys 2 and 3 at 20.
    fn few() -> DataFrame {
        df![
            "user_id" => [1_i64, 1, 1, 1, 2, 2],
            "order_id" => [10_i64, 11, 11, 11, 12, 12],
            "product_id" => [1_i64, 1, 2, 2, 2, 3],
            "created_at" => [0_i64, 20, 20, 25, 20, 20],
        ]
        .unwrap()
    }

    /// Sixty people buy product 1 every 20 days for 280 days, and each, at another time, product 2 on 20 days in a row
    /// and never again.
    fn habits() -> DataFrame {
        let mut rows = Vec::new();
        for user in 0..60_i64 {
            rows.extend((0..=14).map(|time| (user, 1_i64, time * 20)));
            rows.extend((0..20).map(|day| (user, 2_i64, user % 20 * 10 + day)));
        }
        df![
            "user_id" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            "product_id" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
            "created_at" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
            "order_id" => rows.iter().map(|row| row.0 * 1_000 + row.2).collect::<Vec<_>>(),
        ]
        .unwrap()
    }

    #[test]
    fn what_is_not_learned_is_a_share_of_orders() {
        // In horizons of 10, an order at 0 is 2 old and counts half. Of user 1's 1.5 orders, 1.5 hold product 1 and
        // 1 holds 2; of user 2's 1 order, 1 holds 2 and 1 holds 3. Over all pairs that is 4.5 of 5 = 0.9, and the
        // products' shares are (1.5 + 9) / (1.5 + 10), (2 + 9) / (2.5 + 10) and (1 + 9) / (1 + 10).
        let done = run(few(), json!({ "windows": 0, "horizon": 10, "n": 2 }));
        let expected = [
            ("1", "1", 1, (1.5 + 10.0 * 10.5 / 11.5) / 11.5),
            ("1", "2", 2, (1.0 + 10.0 * 11.0 / 12.5) / 11.5),
            ("2", "3", 1, (1.0 + 10.0 * 10.0 / 11.0) / 11.0),
            ("2", "2", 2, (1.0 + 10.0 * 11.0 / 12.5) / 11.0),
        ];
        for (found, expected) in rows(&done).iter().zip(expected) {
            assert_eq!((found.0.as_str(), found.1.as_str(), found.2), (expected.0, expected.1, expected.2));
            assert!((found.3 - expected.3).abs() < 1e-14, "{found:?} {expected:?}");
        }
        assert!(done.warnings.is_empty());
    }

    #[test]
    fn habits_are_told_from_phases() {
        let learned = run(habits(), json!({ "fill": "none" }));
        assert!(learned.warnings.is_empty(), "{:?}", learned.warnings);
        let rows = rows(&learned);
        assert_eq!(rows.len(), 120);
        for pair in rows.chunks(2) {
            assert_eq!((pair[0].1.as_str(), pair[1].1.as_str()), ("1", "2"));
            assert!(pair[0].3 > 0.9 && pair[1].3 < 0.1, "{pair:?}");
        }
        let counted = Trial::new::<Frequency>(json!({ "decay": 1.0, "n": 1 }));
        let counted = counted.input("purchases", table(habits())).run().unwrap();
        assert!(lists(&counted).starts_with("0: 2 | 1: 2"), "the plain count prefers what was a phase");
    }

    #[test]
    fn too_little_to_learn_from_is_said() {
        let done = run(few(), json!({ "horizon": 10 }));
        assert_eq!(
            done.warnings,
            ["there is too little to learn from: of 2 products bought before the last 2 × 10, 1 were bought again \
              within one; scores are decayed shares of orders"]
        );
        let plain = run(few(), json!({ "horizon": 10, "windows": 0 }));
        assert_eq!(rows(&done), rows(&plain));
    }

    #[test]
    fn short_lists_are_filled_and_reasons_given() {
        let mut days = few();
        let time = days.column("created_at").unwrap().cast(&DataType::Int32).unwrap().cast(&DataType::Date).unwrap();
        days.with_column(time).unwrap();
        let users = df!["user_id" => [1_i64, 3]].unwrap();
        let trial = |fill: &str| {
            Trial::new::<Basket>(json!({ "windows": 0, "n": 3, "fill": fill }))
                .input("purchases", table(days.clone()))
                .input("users", table(users.clone()))
                .run()
                .unwrap()
        };
        let done = trial("popular");
        assert_eq!(lists(&done), "1: 1 2 3 | 3: 2 1 3");
        let expected = ["bought 2 times, last today", "bought once, today", "popular", "popular", "popular", "popular"];
        assert_eq!(reasons(&done), expected);
        assert_eq!(rows(&done)[3].3, 2.0 / 3.0 - 1.0);
        let done = trial("none");
        assert_eq!(lists(&done), "1: 1 2");
        assert_eq!(done.warnings, ["1 of 2 users get no recommendations: they have no purchases to go by"]);
    }

    #[test]
    fn the_order_of_rows_and_the_number_of_threads_do_not_matter() {
        let bytes = run(few(), json!({ "horizon": 10 })).bytes();
        for stride in 1..6 {
            assert_eq!(run(shuffled(&few(), stride), json!({ "horizon": 10 })).bytes(), bytes);
        }
        let bytes = run(habits(), json!({})).bytes();
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| run(habits(), json!({})).bytes() == bytes));
        }
    }
}
