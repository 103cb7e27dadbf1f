//! Our support vector machine against linfa's on the same rows, one run after the other: wall seconds and accuracy.
//!
//! `cargo bench -p stagewright-model --bench linfa`; a number after `--` is the rows (default 3,000).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use linfa::Dataset;
use linfa::traits::{Fit, Predict};
use ndarray::{Array1, Array2};
use polars::prelude::{Column, DataFrame};
use rand::{Rng, SeedableRng};
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::table;
use stagewright_model::{Learn, Svm};

const WIDTH: usize = 6;

fn main() {
    let rows: usize = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(3_000);
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    let data = Array2::from_shape_fn((rows, WIDTH), |_| (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0);
    let inside = |row: ndarray::ArrayView1<f64>| row.iter().take(3).map(|x| x * x).sum::<f64>() < 2.4;
    let target: Array1<bool> =
        data.rows().into_iter().map(|row| inside(row) != (rng.random_range(0..10) == 0)).collect();

    let names: Vec<String> = (0..WIDTH).map(|at| format!("x{at}")).collect();
    let mut columns: Vec<Column> =
        (0..WIDTH).map(|at| Column::new(format!("x{at}").into(), data.column(at).to_vec())).collect();
    let truth: Vec<i64> = target.iter().map(|inside| i64::from(*inside)).collect();
    columns.push(Column::new("target".into(), truth));
    let input = table(DataFrame::new(rows, columns).unwrap());
    let params =
        json!({ "features": names, "target": "target", "kernel": "rbf", "C": 1.0, "gamma": 1.0 / WIDTH as f64 });
    let began = Instant::now();
    let done = Trial::new::<Learn<Svm>>(params).input("table", input).run().unwrap();
    println!(
        "SVM {rows} x {WIDTH}: ours {:.2} s, with cross-validation for the probabilities",
        began.elapsed().as_secs_f64()
    );
    println!("  {}", serde_json::to_string(&done.metrics("metrics").values).unwrap());

    let set = Dataset::new(data.clone(), target.clone());
    let began = Instant::now();
    let model = linfa_svm::Svm::<f64, bool>::params()
        .pos_neg_weights(1.0, 1.0)
        .gaussian_kernel(WIDTH as f64)
        .fit(&set)
        .unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let right = model.predict(&data).iter().zip(&target).filter(|(found, truth)| found == truth).count();
    println!("SVM {rows} x {WIDTH}: linfa {seconds:.2} s, one fit, accuracy {:.4}", right as f64 / rows as f64);
}
