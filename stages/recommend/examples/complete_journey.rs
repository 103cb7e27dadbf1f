//! How well the recommenders foresee what households buy: Complete Journey, 28 days held out, all past purchases
//! allowed.
//!
//! ```sh
//! cargo run -p stagewright-recommend --example complete_journey -- DIR [BACK [TYPES…]]
//! ```
//!
//! `DIR` holds `transactions.parquet`. `BACK` (0 unless given) says how many times 28 days before the end the held-out
//! 28 days end: parameters were chosen with 1 and more, and only then looked at with 0. Prints NDCG@10 (binary gains,
//! the mean over the households with test purchases) and its paired bootstrap interval (10,000 resamples of
//! households, 95 %) against the plain personal frequency.
//!
//! Measured: with `BACK` 1, frequency .3874, with decay .95 .4114, basket .4303 (+11.1 %, [+.0383, +.0477]), popular
//! .1709; with 0, frequency .3895, basket .4234 (+8.7 %, [+.0289, +.0390]), basket without learning .4169 (+7.0 %,
//! [+.0219, +.0329]). The plain frequency ranks equal counts by product; by the latest purchase it would reach .3965
//! with 0. The features of the basket, its half-lives and priors were chosen with 1, 2 and 3; what was tried with these
//! and did not help: neighbours, new products beside those bought before, categories, cubes, weights per household.

#![allow(clippy::unwrap_used, reason = "a program for people who read the code")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use polars::prelude::{BooleanChunked, DataFrame, DataType, NewChunkedArray};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::{frame, table};
use stagewright_recommend::stage_types;

const DAYS_28: i64 = 28 * 86_400_000_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| "../shared/data/complete_journey".to_owned());
    let back: i64 = args.next().map_or(0, |text| text.parse().unwrap());
    let wanted: Vec<String> = args.collect();

    let columns = ["household_id", "product_id", "basket_id", "transaction_timestamp"].map(str::to_owned).to_vec();
    let file = std::fs::File::open(format!("{dir}/transactions.parquet")).unwrap();
    let mut all = ParquetReader::new(file).with_columns(Some(columns)).finish().unwrap();
    for (old, new) in [("household_id", "user_id"), ("basket_id", "order_id"), ("transaction_timestamp", "created_at")]
    {
        all.rename(old, new.into()).unwrap();
    }
    let times: Vec<i64> = {
        let time = all.column("created_at").unwrap();
        let micros = time.cast(&DataType::Datetime(polars::prelude::TimeUnit::Microseconds, None)).unwrap();
        micros.cast(&DataType::Int64).unwrap().i64().unwrap().iter().map(Option::unwrap).collect()
    };
    let end = times.iter().max().unwrap() - back * DAYS_28;
    let rows = |from: i64, to: i64| {
        let mask: Vec<bool> = times.iter().map(|time| *time > from && *time <= to).collect();
        all.filter(&BooleanChunked::from_slice("mask".into(), &mask)).unwrap()
    };
    let (train, test) = (rows(i64::MIN, end - DAYS_28), rows(end - DAYS_28, end));
    let tested = pairs(&test);

    let runs = [
        ("frequency (plain)", "recommend.frequency", json!({ "decay": 1.0 })),
        ("frequency (decay .95)", "recommend.frequency", json!({ "decay": 0.95 })),
        ("basket", "recommend.basket", json!({})),
        ("basket (not learned)", "recommend.basket", json!({ "windows": 0 })),
        ("popular", "recommend.popular", json!({})),
        ("item_knn", "recommend.item_knn", json!({})),
        ("ease", "recommend.ease", json!({})),
        ("als", "recommend.als", json!({})),
    ];
    let mut reference: Option<BTreeMap<i64, f64>> = None;
    for (name, stage_type, params) in runs {
        let known = stage_types().into_iter().find(|known| known.name() == stage_type);
        let asked = reference.is_none() || wanted.is_empty() || wanted.iter().any(|text| name.contains(text.as_str()));
        let Some(stage_type) = known.filter(|_| asked) else { continue };
        let start = Instant::now();
        let done = Trial::of(&stage_type, params).input("purchases", table(train.clone())).run().unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let ndcg = ndcg(&frame(&done.table("table")), &tested);
        let mean = ndcg.values().sum::<f64>() / ndcg.len() as f64;
        let reference = reference.get_or_insert_with(|| ndcg.clone());
        let differences: Vec<f64> = ndcg.iter().map(|(user, value)| value - reference[user]).collect();
        let before = reference.values().sum::<f64>() / reference.len() as f64;
        let (low, high) = bootstrap(&differences);
        println!(
            "{name:24} NDCG@10 {mean:.4}  {:+.4} [{low:+.4}, {high:+.4}]  {:+.1} %  {seconds:.1} s  {:?}",
            mean - before,
            (mean / before - 1.0) * 100.0,
            done.warnings
        );
    }
}

/// The different products of each user.
fn pairs(frame: &DataFrame) -> BTreeMap<i64, BTreeSet<i64>> {
    let column = |name: &str| frame.column(name).unwrap().i64().unwrap().clone();
    let mut out: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (user, product) in column("user_id").iter().zip(column("product_id").iter()) {
        out.entry(user.unwrap()).or_default().insert(product.unwrap());
    }
    out
}

fn ndcg(lists: &DataFrame, tested: &BTreeMap<i64, BTreeSet<i64>>) -> BTreeMap<i64, f64> {
    let column = |name: &str| lists.column(name).unwrap().i64().unwrap().clone();
    let discount = |rank: f64| 1.0 / (rank + 1.0).log2();
    let mut out: BTreeMap<i64, f64> = tested.keys().map(|user| (*user, 0.0)).collect();
    for ((user, product), rank) in column("user_id").iter().zip(column("product_id").iter()).zip(column("rank").iter())
    {
        let (user, rank) = (user.unwrap(), rank.unwrap());
        if rank <= 10 && tested.get(&user).is_some_and(|products| products.contains(&product.unwrap())) {
            *out.get_mut(&user).unwrap() += discount(rank as f64);
        }
    }
    for (user, value) in &mut out {
        *value /= (1..=tested[user].len().min(10)).map(|rank| discount(rank as f64)).sum::<f64>();
    }
    out
}

/// The 95 % percentile interval of the mean.
fn bootstrap(values: &[f64]) -> (f64, f64) {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut means: Vec<f64> = (0..10_000)
        .map(|_| {
            (0..values.len()).map(|_| values[rng.random_range(0..values.len())]).sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    (means[249], means[9_749])
}
