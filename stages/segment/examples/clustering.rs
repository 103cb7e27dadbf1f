//! How long the clusterings take, on made-up rows that are the same every time.
//!
//! `clustering campaign` runs everything that the campaign workflow clusters: 3,664 customers with four features.
//! `clustering kmeans` runs k-means and mini-batch k-means on a million rows with eight features, `clustering spectral`
//! spectral clustering on a hundred thousand with four. With `--write FILE` before that, the rows are written there as
//! little-endian doubles, row by row, for a comparison with other programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails should stop")]

use std::io::Write;
use std::time::Instant;

use polars::prelude::{Column, DataFrame};
use serde_json::{Value, json};
use stagewright_contract::Stage;
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::table;
use stagewright_segment::{Compare, Dbscan, GaussianMixture, Hierarchical, Kmeans, MinibatchKmeans, Spectral};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (file, what) = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--write", file, what] => (Some((*file).to_owned()), (*what).to_owned()),
        [what] => (None, (*what).to_owned()),
        _ => panic!("usage: clustering [--write FILE] campaign|kmeans|spectral"),
    };
    let rows = match what.as_str() {
        "campaign" => customers(3664),
        "kmeans" => heaps(1_000_000),
        "spectral" => customers(100_000),
        other => panic!("there is nothing to measure called `{other}`"),
    };
    if let Some(file) = file {
        let columns: Vec<_> = rows.columns().iter().map(|column| column.f64().unwrap()).collect();
        let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
        for row in 0..rows.height() {
            for column in &columns {
                out.write_all(&column.get(row).unwrap().to_le_bytes()).unwrap();
            }
        }
    }
    let names: Vec<String> = rows.columns().iter().map(|column| column.name().to_string()).collect();
    let with = |more: Value| {
        let mut params = more;
        params["columns"] = json!(names);
        params
    };
    match what.as_str() {
        "campaign" => {
            time::<Kmeans>("k-means, k to 10, 10 starts, silhouettes", with(json!({ "k": 2 })), &rows);
            time::<Kmeans>("k-means, k to 10, 10 starts", with(json!({ "k": 2, "sample_size": 2 })), &rows);
            time::<Hierarchical>("Ward, silhouettes to 5", with(json!({ "k": 2, "k_max": 5 })), &rows);
            time::<Hierarchical>("Ward", with(json!({ "k": 1, "k_max": 1 })), &rows);
            time::<Spectral>("spectral, silhouettes to 5", with(json!({ "k": 2, "k_max": 5 })), &rows);
            time::<Spectral>("spectral, k to 5", with(json!({ "k": 2, "k_max": 5, "sample_size": 2 })), &rows);
            time::<Compare>("all three compared, k to 5", with(json!({ "k_max": 5 })), &rows);
            time::<Dbscan>("DBSCAN, eps 0.5", with(json!({ "sample_size": 2 })), &rows);
            time::<GaussianMixture>("mixtures, k to 10", with(json!({ "sample_size": 2 })), &rows);
        }
        "kmeans" => {
            let fixed = |n_init: usize| {
                with(json!({ "k": 8, "k_max": 1, "n_init": n_init, "standardize": false, "sample_size": 2 }))
            };
            time::<Kmeans>("k-means, k = 8, 1 start", fixed(1), &rows);
            time::<Kmeans>("k-means, k = 8, 10 starts", fixed(10), &rows);
            let params = with(json!({ "k": 8, "standardize": false, "sample_size": 2 }));
            time::<MinibatchKmeans>("mini-batch k-means, k = 8", params, &rows);
        }
        _ => time::<Spectral>("spectral, k = 8", with(json!({ "k": 8, "k_max": 1, "sample_size": 2 })), &rows),
    }
}

fn time<S: Stage>(what: &str, params: Value, rows: &DataFrame) {
    let trial = Trial::new::<S>(params).input("table", table(rows.clone()));
    let (wall, cpu) = (Instant::now(), cpu());
    let done: Done = trial.run().unwrap();
    let (wall, cpu) = (wall.elapsed(), self::cpu() - cpu);
    let metrics = done.metrics("metrics");
    let shown: Vec<String> =
        metrics.values.iter().filter_map(|(name, metric)| Some(format!("{name} {:.6}", metric.value?))).collect();
    println!("{what}: {:.3} s, {cpu:.2} s of processors; {}", wall.as_secs_f64(), shown.join(", "));
}

/// The seconds that processors worked for this process, to a hundredth; 0 where the system does not say.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Uniform numbers below 1.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn columns(names: &[&str], rows: usize, mut row: impl FnMut(usize) -> Vec<f64>) -> DataFrame {
    let mut columns: Vec<Vec<f64>> = names.iter().map(|_| Vec::with_capacity(rows)).collect();
    for at in 0..rows {
        for (column, value) in columns.iter_mut().zip(row(at)) {
            column.push(value);
        }
    }
    let columns = names.iter().zip(columns).map(|(name, values)| Column::new((*name).into(), values)).collect();
    DataFrame::new_infer_height(columns).unwrap()
}

/// Like those of the shop: one to four orders of one to four items, at prices of very different size.
fn customers(rows: usize) -> DataFrame {
    let mut uniform = Uniform(7);
    columns(&["total_user_spent", "age", "order_frequency", "num_of_item"], rows, |_| {
        let orders = 1.0 + (4.0 * uniform.next().powi(3)).floor();
        let items = orders + (4.0 * uniform.next().powi(3)).floor();
        let spent: f64 =
            (0..items as usize).map(|_| ((2.0 + 3.5 * uniform.next()).exp() * 100.0).round() / 100.0).sum();
        vec![spent, 12.0 + (59.0 * uniform.next()).floor(), orders, items]
    })
}

/// Eight heaps that overlap.
fn heaps(rows: usize) -> DataFrame {
    let mut uniform = Uniform(11);
    let centers: Vec<f64> = (0..64).map(|_| 4.0 * uniform.next()).collect();
    columns(&["a", "b", "c", "d", "e", "f", "g", "h"], rows, |row| {
        let center = &centers[row % 8 * 8..][..8];
        center.iter().map(|center| center + (0..4).map(|_| uniform.next() - 0.5).sum::<f64>() * 2.0).collect()
    })
}
