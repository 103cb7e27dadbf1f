#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use polars::prelude::{DataFrame, DataType};
use serde_json::json;
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::frame;

use super::Synthetic;
use crate::csv::Csv;
use crate::trial::run_shared;

const TABLES: [&str; 4] = ["users", "orders", "order_items", "products"];

fn draw(params: serde_json::Value) -> Done {
    Trial::new::<Synthetic>(params).run().unwrap()
}

fn integers(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().iter().collect()
}

fn texts(frame: &DataFrame, name: &str) -> Vec<Option<String>> {
    frame.column(name).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn the_columns_are_those_of_thelook() {
    let made = draw(json!({}));
    for name in TABLES {
        let Some(read) = run_shared::<Csv>(json!({}), &format!("thelook/{name}.csv.gz")) else { return };
        let columns = |done: &Done, port: &str| {
            done.table(port).schema().into_iter().map(|column| (column.name, column.dtype)).collect::<Vec<_>>()
        };
        assert_eq!(columns(&made, name), columns(&read, "table"), "{name}");
    }
    let personal: Vec<String> = made.table("users").personal().map(str::to_owned).collect();
    let expected = ["email", "first_name", "last_name", "latitude", "longitude", "postal_code", "street_address"];
    assert_eq!(personal, expected);
}

#[test]
fn small_and_odd_sizes() {
    for (users, products, orders_per_user) in [
        (0, 0, 5.0),
        (1, 1, 5.0),
        (0, 3, 5.0),
        (3, 0, 5.0),
        (50, 1, 5.0),
        (50, 20, 0.0),
        (2, 20, 1000.0),
        (50, 20, 0.01),
    ] {
        let params = json!({ "users": users, "products": products, "orders_per_user": orders_per_user });
        let done = draw(params);
        assert_eq!(done.table("users").rows(), users);
        assert_eq!(done.table("products").rows(), products);
        assert!(done.table("order_items").rows() >= done.table("orders").rows());
        if users * products == 0 || orders_per_user == 0.0 {
            assert_eq!(done.table("orders").rows(), 0);
        }
        assert_eq!(done.table("orders").columns().len(), 9);
        assert_eq!(done.table("order_items").columns().len(), 11);
    }
    assert!(draw(json!({ "users": 50, "products": 1 })).table("orders").rows() > 50);
    assert!(draw(json!({ "users": 50, "days": 1 })).table("orders").rows() > 50);
}

#[test]
fn the_seed_decides() {
    let bytes = |seed| Trial::new::<Synthetic>(json!({ "users": 300 })).seed(seed).run().unwrap().bytes();
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn parameters_are_checked() {
    let path = |params| Trial::new::<Synthetic>(params).check().unwrap_err().path;
    assert_eq!(path(json!({ "end": "2023-02-29" })), "end");
    assert_eq!(path(json!({ "end": "0001-02-01", "days": 32 })), "days");
    assert_eq!(path(json!({ "days": 0 })), "days");
    let error = Trial::new::<Synthetic>(json!({ "countries": ["France", "Untied Kingdom"] })).check().unwrap_err();
    assert_eq!(error.to_string(), "countries/1: there is no country `Untied Kingdom`");
    assert_eq!(error.help.as_deref(), Some("did you mean `United Kingdom`?"));
    let only = draw(json!({ "users": 100, "countries": ["Japan"] }));
    assert!(texts(&frame(&only.table("users")), "country").iter().all(|country| country.as_deref() == Some("Japan")));
}

#[test]
fn the_tables_fit_together() {
    let done = draw(json!({}));
    let [users, orders, items, products] = TABLES.map(|name| frame(&done.table(name)));
    // 2024-01-01 and 730 days before it, in microseconds.
    let (start, end) = (1_640_995_200_000_000, 1_704_067_200_000_000);
    for (table, column) in
        [(&users, "created_at"), (&orders, "created_at"), (&orders, "shipped_at"), (&orders, "returned_at")]
    {
        for at in integers(table, column).into_iter().flatten() {
            assert!((start..end).contains(&at), "{column}: {at}");
        }
    }
    let joined = integers(&users, "created_at");
    let genders = texts(&users, "gender");
    let order_genders = texts(&orders, "gender");
    let order_users = integers(&orders, "user_id");
    let created = integers(&orders, "created_at");
    let statuses = texts(&orders, "status");
    let stages = ["shipped_at", "delivered_at", "returned_at"].map(|name| integers(&orders, name));
    for (order, user) in order_users.iter().enumerate() {
        let user = usize::try_from(user.unwrap()).unwrap() - 1;
        assert!(joined[user] <= created[order]);
        let done = stages.each_ref().map(|stage| stage[order].is_some());
        let expected = match statuses[order].as_deref().unwrap() {
            "Cancelled" | "Processing" => [false, false, false],
            "Shipped" => [true, false, false],
            "Complete" => [true, true, false],
            "Returned" => [true, true, true],
            other => panic!("{other}"),
        };
        assert_eq!(done, expected);
        assert_eq!(order_genders[order], genders[user]);
    }
    let mut sizes = BTreeMap::new();
    let prices: Vec<_> = products.column("retail_price").unwrap().f64().unwrap().iter().collect();
    let sale: Vec<_> = items.column("sale_price").unwrap().f64().unwrap().iter().collect();
    let item_users = integers(&items, "user_id");
    for (item, (order, product)) in
        integers(&items, "order_id").into_iter().zip(integers(&items, "product_id")).enumerate()
    {
        *sizes.entry(order).or_insert(0) += 1;
        assert_eq!(sale[item], prices[usize::try_from(product.unwrap()).unwrap() - 1]);
        assert_eq!(item_users[item], order_users[usize::try_from(order.unwrap()).unwrap() - 1]);
    }
    assert_eq!(sizes.into_values().map(Some).collect::<Vec<_>>(), integers(&orders, "num_of_item"));

    // The mean over 2000 users varies with a standard deviation of about 0.12.
    let mean = orders.height() as f64 / users.height() as f64;
    assert!((4.5..5.5).contains(&mean), "{mean}");
    let buyers: BTreeSet<_> = order_users.iter().flatten().collect();
    let countries = texts(&users, "country");
    let british =
        buyers.iter().filter(|user| countries[***user as usize - 1].as_deref() == Some("United Kingdom")).count();
    assert!(british > 250, "{british} buyers in the United Kingdom");
    let share = |status: &str| {
        statuses.iter().filter(|other| other.as_deref() == Some(status)).count() as f64 / statuses.len() as f64
    };
    for (status, expected) in
        [("Cancelled", 0.15), ("Returned", 0.1), ("Complete", 0.25), ("Shipped", 0.3), ("Processing", 0.2)]
    {
        assert!((share(status) - expected).abs() < 0.03, "{status}: {}", share(status));
    }
    let emails: BTreeSet<_> = texts(&users, "email").into_iter().flatten().collect();
    assert_eq!(emails.len(), users.height());
    assert!(emails.iter().all(|email| email.is_ascii() && email.ends_with("@example.com")));
}

/// The baskets of each user in the order of time, as product numbers.
fn histories(done: &Done) -> BTreeMap<i64, Vec<Vec<i64>>> {
    let items = frame(&done.table("order_items"));
    let columns = ["user_id", "created_at", "order_id", "product_id"].map(|name| integers(&items, name));
    let mut baskets: BTreeMap<i64, BTreeMap<(i64, i64), Vec<i64>>> = BTreeMap::new();
    for item in 0..items.height() {
        let [user, at, order, product] = columns.each_ref().map(|column| column[item].unwrap());
        baskets.entry(user).or_default().entry((at, order)).or_default().push(product);
    }
    baskets.into_iter().map(|(user, baskets)| (user, baskets.into_values().collect())).collect()
}

/// The ten products with the highest scores, ties by number.
fn top(scores: impl IntoIterator<Item = (i64, f64)>) -> Vec<i64> {
    let mut scores: Vec<_> = scores.into_iter().collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores.into_iter().take(10).map(|(product, _)| product).collect()
}

/// On each user's last order: what one bought oneself finds more of it than what is popular, and that more than chance.
/// Among the products that are new to the user, those bought together with theirs are found more often than popular
/// ones.
#[test]
fn purchases_hold_signal() {
    let done = draw(json!({}));
    let histories = histories(&done);
    let mut popularity: BTreeMap<i64, f64> = BTreeMap::new();
    let mut buyers: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut past: BTreeMap<i64, BTreeMap<i64, f64>> = BTreeMap::new();
    for (user, baskets) in &histories {
        let own = past.entry(*user).or_default();
        for (ago, basket) in baskets.iter().rev().skip(1).enumerate() {
            for product in basket {
                *popularity.entry(*product).or_default() += 1.0;
                *own.entry(*product).or_default() += 0.8f64.powi(ago as i32);
            }
        }
        own.keys().for_each(|product| buyers.entry(*product).or_default().push(*user));
    }
    let (mut users, mut own, mut popular, mut chance) = (0.0, 0.0, 0.0, 0.0);
    let (mut new, mut together, mut popular_new) = (0.0, 0.0, 0.0);
    let favourites = top(popularity.clone());
    for (user, baskets) in histories.iter().filter(|(_, baskets)| baskets.len() > 1) {
        let last = baskets.last().unwrap();
        let hit = |list: &[i64]| f64::from(u8::from(list.iter().any(|product| last.contains(product))));
        let mine = &past[user];
        users += 1.0;
        own += hit(&top(mine.clone()));
        popular += hit(&favourites);
        // The probability that ten of 500 products, drawn at random, hold at least one of the basket.
        chance += 1.0 - (0..last.len()).map(|k| (490.0 - k as f64) / (500.0 - k as f64)).product::<f64>();
        if last.iter().any(|product| !mine.contains_key(product)) {
            let mut scores: BTreeMap<i64, f64> = BTreeMap::new();
            for product in mine.keys() {
                for other in &buyers[product] {
                    for candidate in past[other].keys() {
                        let norm = (buyers[product].len() as f64 * buyers[candidate].len() as f64).sqrt();
                        *scores.entry(*candidate).or_default() += 1.0 / norm;
                    }
                }
            }
            scores.retain(|product, _| !mine.contains_key(product));
            new += 1.0;
            together += hit(&top(scores));
            popular_new += hit(&top(popularity.clone().into_iter().filter(|(product, _)| !mine.contains_key(product))));
        }
    }
    let [own, popular, chance] = [own, popular, chance].map(|hits| hits / users);
    let [together, popular_new] = [together, popular_new].map(|hits| hits / new);
    println!("hit rate at 10: own {own:.3}, popular {popular:.3}, chance {chance:.3}");
    println!("hit rate at 10, new products: item-kNN {together:.3}, popular {popular_new:.3}");
    assert!(own > 2.0 * popular, "{own} {popular}");
    assert!(popular > 2.5 * chance, "{popular} {chance}");
    assert!(together > 1.3 * popular_new, "{together} {popular_new}");
}
