#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use polars::prelude::{DataFrame, DataType};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::frame;

use super::Grocery;
use crate::parquet::Parquet;
use crate::trial::run_shared;

fn draw(params: Value) -> Done {
    Trial::new::<Grocery>(params).run().unwrap()
}

fn numbers(frame: &DataFrame, name: &str) -> Vec<Option<f64>> {
    frame.column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().iter().collect()
}

fn whole(frame: &DataFrame, name: &str) -> Vec<i64> {
    frame.column(name).unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().iter().flatten().collect()
}

#[test]
fn the_columns_are_those_of_the_real_tables() {
    let made = draw(json!({ "households": 3 }));
    for (port, file) in [("orders", "ecommerce_behavior"), ("transactions", "transactions"), ("products", "products")] {
        let path = format!("complete_journey/{file}.parquet");
        let Some(read) = run_shared::<Parquet>(json!({}), &path) else { return };
        let columns = |done: &Done, port: &str| {
            done.table(port).schema().into_iter().map(|column| (column.name, column.dtype)).collect::<Vec<_>>()
        };
        assert_eq!(columns(&made, port), columns(&read, "table"), "{port}");
    }
}

#[test]
fn small_and_odd_sizes() {
    for (households, products, orders, basket) in [
        (0, 0, 12.0, 6.0),
        (5, 0, 12.0, 6.0),
        (0, 50, 12.0, 6.0),
        (5, 1, 12.0, 6.0),
        (5, 50, 0.0, 6.0),
        (2, 9, 900.0, 40.0),
    ] {
        let params = json!({
            "households": households, "products": products, "orders_per_household": orders, "basket_size": basket
        });
        let done = draw(params);
        assert_eq!(done.table("products").rows(), products);
        assert_eq!(done.table("orders").rows(), done.table("transactions").rows());
        assert_eq!(done.table("orders").columns().len(), 12);
        assert_eq!(done.table("orders").rows() > 0, households > 0 && products > 0 && orders > 0.0);
    }
    assert!(draw(json!({ "households": 30, "days": 1 })).table("orders").rows() > 0);
    let path = |params| Trial::new::<Grocery>(params).check().unwrap_err().path;
    assert_eq!(path(json!({ "end": "2023-02-29" })), "end");
    assert_eq!(path(json!({ "days": 0 })), "days");
    assert_eq!(path(json!({ "end": "0001-02-01", "days": 32 })), "days");
}

#[test]
fn the_seed_decides() {
    let bytes = |seed| Trial::new::<Grocery>(json!({ "households": 40 })).seed(seed).run().unwrap().bytes();
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn the_tables_fit_together() {
    let done = draw(json!({}));
    let [orders, transactions, products] = ["orders", "transactions", "products"].map(|port| frame(&done.table(port)));
    let rows = orders.height();
    assert!((50_000..75_000).contains(&rows), "{rows}");
    assert_eq!(whole(&orders, "order_id"), whole(&transactions, "basket_id"));
    assert_eq!(whole(&orders, "user_id"), whole(&transactions, "household_id"));
    assert_eq!(whole(&orders, "product_id"), whole(&transactions, "product_id"));
    assert!(whole(&orders, "product_id").iter().all(|id| (1..=products.height() as i64).contains(id)));

    let columns = ["order_id", "user_id", "order_number", "product_id", "reordered", "add_to_cart_order"]
        .map(|name| whole(&orders, name));
    let at = whole(&transactions, "transaction_timestamp");
    let since = numbers(&orders, "days_since_prior_order");
    let [hour, weekday] = ["order_hour_of_day", "order_dow"].map(|name| whole(&orders, name));
    let week = whole(&transactions, "week");
    let mut seen: HashMap<(i64, i64), i64> = HashMap::new();
    let mut last: HashMap<i64, (i64, i64, i64)> = HashMap::new();
    let mut baskets: HashSet<(i64, i64)> = HashSet::new();
    const DAY: i64 = 86_400_000_000;
    for row in 0..rows {
        let [order, user, number, product, reordered, place] = columns.each_ref().map(|column| column[row]);
        // Ids and numbers grow with time, from 1 and without gaps.
        let before = last.get(&user).copied();
        match before {
            Some((_, same, _)) if same == number => {}
            Some((id, earlier, time)) => {
                assert!(number == earlier + 1 && id < order && time < at[row]);
                assert_eq!(since[row], Some((at[row] / DAY - time / DAY) as f64));
            }
            None => assert_eq!((number, since[row]), (1, None)),
        }
        if before.is_none_or(|(id, ..)| id != order) {
            assert_eq!(place, 1);
            last.insert(user, (order, number, at[row]));
        }
        let first = *seen.entry((user, product)).or_insert(number);
        assert_eq!(reordered == 1, first < number);
        assert!(baskets.insert((order, product)), "a product twice in a basket");
        assert_eq!(hour[row], at[row] / (DAY / 24) % 24);
        // 2024-01-01 was a Monday, 19,723 days from 1970.
        assert_eq!(weekday[row], (at[row] / DAY - 19_723).rem_euclid(7));
        assert_eq!(week[row], (at[row] / DAY - (19_723 - 365)) / 7 + 1);
    }
    assert!(at.is_sorted());
    for name in ["sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"] {
        assert!(numbers(&transactions, name).iter().all(|value| value.is_some_and(|value| value >= 0.0)), "{name}");
    }
}

/// The probability that a row with outcome 1 has a larger score than one with outcome 0, ties counting half.
fn auc(scores: &[f64], outcomes: &[i64]) -> f64 {
    let mut ascending: Vec<(f64, i64)> = scores.iter().copied().zip(outcomes.iter().copied()).collect();
    ascending.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    for tied in ascending.chunk_by(|a, b| a.0 == b.0) {
        let ones = tied.iter().filter(|(_, outcome)| *outcome == 1).count() as f64;
        let zeros = tied.len() as f64 - ones;
        won += ones * (below + zeros / 2.0);
        below += zeros;
    }
    let ones = outcomes.iter().sum::<i64>() as f64;
    won / (ones * (outcomes.len() as f64 - ones))
}

/// On each user's last order: rates of reordering before it (of the user, of the user in the department, of others for
/// the product), shrunk to the mean and added up as log-odds, tell more than any of the published columns alone.
#[test]
fn reordering_follows_habits() {
    let orders = frame(&draw(json!({})).table("orders"));
    let [user, number, product, department, reordered] =
        ["user_id", "order_number", "product_id", "department_id", "reordered"].map(|name| whole(&orders, name));
    let mut last: HashMap<i64, i64> = HashMap::new();
    user.iter().zip(&number).for_each(|(user, number)| {
        last.insert(*user, *number);
    });
    let is_last = |row: usize| last[&user[row]] == number[row] && number[row] > 1;
    let mut rates: [Rates; 3] = Default::default();
    for row in (0..user.len()).filter(|row| !is_last(*row)) {
        for (rates, key) in rates.iter_mut().zip(keys(user[row], department[row], product[row])) {
            let rate = rates.entry(key).or_default();
            *rate = (rate.0 + reordered[row] as f64, rate.1 + 1.0);
        }
    }
    let base = reordered.iter().sum::<i64>() as f64 / reordered.len() as f64;
    assert!((0.35..0.7).contains(&base), "{base}");
    let rows: Vec<usize> = (0..user.len()).filter(|row| is_last(*row)).collect();
    let outcomes: Vec<i64> = rows.iter().map(|row| reordered[*row]).collect();
    let scores: Vec<f64> = rows
        .iter()
        .map(|row| {
            let odds = |(rates, key): (&Rates, (i64, i64))| {
                let (sum, count) = rates.get(&key).copied().unwrap_or_default();
                let rate = (sum + 4.0 * base) / (count + 4.0);
                (rate / (1.0 - rate)).ln()
            };
            rates.iter().zip(keys(user[*row], department[*row], product[*row])).map(odds).sum()
        })
        .collect();
    let habits = auc(&scores, &outcomes);
    println!("{} rows, base rate {base:.3}, AUC of habits {habits:.3}", user.len());
    for name in ["user_id", "order_number", "order_dow", "order_hour_of_day", "days_since_prior_order", "department_id"]
    {
        let column = numbers(&orders, name);
        let alone: Vec<f64> = rows.iter().map(|row| column[*row].unwrap_or_default()).collect();
        let alone = auc(&alone, &outcomes);
        println!("AUC of {name}: {alone:.3}");
        assert!(habits > 0.05 + alone.max(1.0 - alone), "{name}: {alone}");
    }
    assert!(habits > 0.75, "{habits}");
}

/// How many items were bought again, and how many there were.
type Rates = HashMap<(i64, i64), (f64, f64)>;

fn keys(user: i64, department: i64, product: i64) -> [(i64, i64); 3] {
    [(user, 0), (user, department), (product, 0)]
}

/// On each household's last basket: what the household bought most often finds much more of it than what most bought.
#[test]
fn baskets_repeat() {
    let transactions = frame(&draw(json!({})).table("transactions"));
    let [household, basket, product] =
        ["household_id", "basket_id", "product_id"].map(|name| whole(&transactions, name));
    let mut histories: BTreeMap<i64, BTreeMap<i64, BTreeSet<i64>>> = BTreeMap::new();
    for row in 0..household.len() {
        histories.entry(household[row]).or_default().entry(basket[row]).or_default().insert(product[row]);
    }
    histories.retain(|_, baskets| baskets.len() > 1);
    let count = |baskets: &mut dyn Iterator<Item = &BTreeSet<i64>>| {
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        baskets.flatten().for_each(|product| *counts.entry(*product).or_default() += 1);
        let mut ranked: Vec<(i64, i64)> = counts.into_iter().map(|(product, count)| (-count, product)).collect();
        ranked.sort_unstable();
        ranked.into_iter().take(10).map(|(_, product)| product).collect::<Vec<_>>()
    };
    let past = |baskets: &BTreeMap<i64, BTreeSet<i64>>| baskets.len() - 1;
    let favourites =
        count(&mut histories.values().flat_map(|baskets| baskets.values().take(past(baskets)).collect::<Vec<_>>()));
    let (mut own, mut popular, mut all) = (0.0, 0.0, 0.0);
    for baskets in histories.values() {
        let (_, last) = baskets.last_key_value().unwrap();
        let hits = |list: &[i64]| list.iter().filter(|product| last.contains(*product)).count() as f64;
        all += last.len().min(10) as f64;
        own += hits(&count(&mut baskets.values().take(past(baskets))));
        popular += hits(&favourites);
    }
    let [own, popular] = [own, popular].map(|hits| hits / all);
    println!("recall at 10: own {own:.3}, popular {popular:.3}");
    assert!(own > 2.0 * popular && own < 0.7, "{own} {popular}");
}
