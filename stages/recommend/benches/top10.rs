//! The ten best of many products for many users. `benches/top10.py` does the same with numpy, given the vectors.
//!
//! `cargo bench -p stagewright-recommend --bench top10`; two numbers after `--` are users and products (default 100,000
//! and 29,000).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use polars::prelude::{Column, DataFrame};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stagewright_contract::Stage;
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::table;
use stagewright_recommend::{Als, Cosine};

/// Four purchases of each user, so that every product is bought.
fn purchases(users: i64, products: i64) -> DataFrame {
    let mut rng = StdRng::seed_from_u64(7);
    let rows = (users * 4) as usize;
    let users: Vec<i64> = (0..rows as i64).map(|row| row / 4).collect();
    let bought: Vec<i64> =
        (0..rows as i64).map(|row| if row < products { row } else { rng.random_range(0..products) }).collect();
    let prices: Vec<f64> = bought.iter().map(|product| 5.0 + (product % 977) as f64 / 10.0).collect();
    let genders: Vec<i64> = users.iter().map(|user| user % 2).collect();
    DataFrame::new(
        rows,
        vec![
            Column::new("order_id".into(), users.iter().map(|user| user * 2).collect::<Vec<_>>()),
            Column::new("user_id".into(), users),
            Column::new("product_id".into(), bought),
            Column::new("sale_price".into(), prices),
            Column::new("gender".into(), genders),
        ],
    )
    .unwrap()
}

/// Seconds, for all users or for those of a table.
fn seconds<S: Stage + 'static>(purchases: &DataFrame, params: &Value, users: Option<DataFrame>) -> f64 {
    let mut trial = Trial::new::<S>(params.clone()).input("purchases", table(purchases.clone()));
    if let Some(users) = users {
        trial = trial.input("users", table(users));
    }
    let began = Instant::now();
    trial.run().unwrap();
    began.elapsed().as_secs_f64()
}

fn main() {
    let mut sizes = std::env::args().filter_map(|arg| arg.parse().ok());
    let (users, products) = (sizes.next().unwrap_or(100_000), sizes.next().unwrap_or(29_000));
    let purchases = purchases(users, products);
    let one = || Some(DataFrame::new(1, vec![Column::new("user_id".into(), [0_i64])]).unwrap());
    println!("{users} users x {products} products, the best 10");
    println!("recommend.cosine, all of it        {:.2} s", seconds::<Cosine>(&purchases, &json!({}), None));
    let params = json!({ "factors": 64, "iterations": 1, "cg_steps": 1 });
    let learning = seconds::<Als>(&purchases, &params, one());
    let all = seconds::<Als>(&purchases, &params, None);
    println!("recommend.als, 64 factors, scoring {:.2} s (learning, one iteration, {learning:.2} s)", all - learning);
}
