//! Ours against linfa and kodama on the same rows, one run after the other: wall seconds, and how good the result is.
//!
//! `cargo bench -p stagewright-segment --bench linfa`; a number after `--` is the rows of k-means (default 1,000,000).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict, Transformer};
use linfa_clustering::{Dbscan as LinfaDbscan, GaussianMixtureModel, KMeans};
use ndarray::Array2;
use polars::prelude::{Column, DataFrame};
use rand_xoshiro06::Xoshiro256PlusPlus;
use rand08::{Rng, SeedableRng};
use serde_json::{Value, json};
use stagewright_contract::Stage;
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::table;
use stagewright_segment::{Dbscan, GaussianMixture, Hierarchical, Kmeans};

/// Rows around `centers` points, each coordinate with a deviation of 1.
fn blobs(rows: usize, width: usize, centers: usize) -> Array2<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let middles = Array2::from_shape_fn((centers, width), |_| rng.gen_range(-6.0..6.0));
    let mut noise = || (0..12).map(|_| rng.gen_range(0.0..1.0)).sum::<f64>() - 6.0;
    Array2::from_shape_fn((rows, width), |(row, column)| middles[[row % centers, column]] + noise())
}

fn frame(rows: &Array2<f64>) -> DataFrame {
    let column = |at: usize| Column::new(format!("x{at}").into(), rows.column(at).to_vec());
    DataFrame::new(rows.nrows(), (0..rows.ncols()).map(column).collect()).unwrap()
}

fn ours<S: Stage + 'static>(rows: &Array2<f64>, mut params: Value) -> (f64, Done) {
    let names: Vec<String> = (0..rows.ncols()).map(|at| format!("x{at}")).collect();
    params["columns"] = json!(names);
    params["standardize"] = json!(false);
    let input = table(frame(rows));
    let began = Instant::now();
    let done = Trial::new::<S>(params).input("table", input).run().unwrap();
    (began.elapsed().as_secs_f64(), done)
}

fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let out = run();
    (began.elapsed().as_secs_f64(), out)
}

fn metric(done: &Done, name: &str) -> f64 {
    done.metrics("metrics").values[name].value.unwrap()
}

/// The number of clusters in a column of labels; noise is none.
fn clusters(done: &Done) -> usize {
    let labels = stagewright_frame::testkit::frame(&done.table("table"));
    let labels = labels.column("cluster").unwrap().cast(&polars::prelude::DataType::Int64).unwrap();
    let labels: std::collections::BTreeSet<i64> =
        labels.i64().unwrap().iter().flatten().filter(|at| *at >= 0).collect();
    labels.len()
}

fn main() {
    let rows = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000);
    let data = blobs(rows, 8, 8);
    for starts in [1, 10] {
        let (seconds, done) =
            ours::<Kmeans>(&data, json!({ "k": 8, "k_max": 1, "n_init": starts, "sample_size": 1000 }));
        println!("k-means {rows} x 8, {starts} starts: ours {seconds:.2} s, WCSS {:.6e}", metric(&done, "wcss"));
        // Its tolerance is absolute; scikit-learn's and ours is relative to the mean variance.
        let tolerance = (1e-4 * data.var_axis(ndarray::Axis(0), 0.0).mean().unwrap()).sqrt();
        let set = DatasetBase::from(data.clone());
        let rng = Xoshiro256PlusPlus::seed_from_u64(42);
        let (seconds, model) = timed(|| {
            let params = KMeans::params_with_rng(8, rng).n_runs(starts).max_n_iterations(300).tolerance(tolerance);
            params.fit(&set).unwrap()
        });
        println!(
            "k-means {rows} x 8, {starts} starts: linfa {seconds:.2} s, WCSS {:.6e}",
            model.inertia() * rows as f64
        );
    }

    let data = blobs(20_000, 4, 5);
    let (seconds, done) = ours::<Dbscan>(&data, json!({ "eps": 0.8, "min_samples": 10, "sample_size": 1000 }));
    println!("DBSCAN 20000 x 4: ours {seconds:.2} s, {} clusters", clusters(&done));
    let (seconds, labels) = timed(|| LinfaDbscan::params(10).tolerance(0.8).transform(&data).unwrap());
    let found: std::collections::BTreeSet<usize> = labels.iter().flatten().copied().collect();
    println!("DBSCAN 20000 x 4: linfa {seconds:.2} s, {} clusters", found.len());

    let (seconds, done) = ours::<GaussianMixture>(&data, json!({ "k": 5, "n_init": 1, "sample_size": 1000 }));
    println!("Gaussian mixture 20000 x 4: ours {seconds:.2} s, {} clusters", clusters(&done));
    let set = DatasetBase::from(data.clone());
    let (seconds, model) = timed(|| {
        let rng = Xoshiro256PlusPlus::seed_from_u64(42);
        GaussianMixtureModel::params_with_rng(5, rng).n_runs(1).tolerance(1e-3).fit(&set).unwrap()
    });
    let found: std::collections::BTreeSet<usize> = model.predict(&data).iter().copied().collect();
    println!("Gaussian mixture 20000 x 4: linfa {seconds:.2} s, {} clusters", found.len());

    let data = blobs(3_700, 4, 4);
    let (seconds, _) = ours::<Hierarchical>(&data, json!({ "k": 4, "k_max": 1, "linkage": "ward" }));
    println!("Ward 3700 x 4: ours {seconds:.2} s (with the dendrogram and profiles)");
    let (seconds, steps) = timed(|| {
        let mut condensed = Vec::with_capacity(3_700 * 3_699 / 2);
        for left in 0..3_700 {
            for right in left + 1..3_700 {
                let square = |at: usize| (data[[left, at]] - data[[right, at]]).powi(2);
                condensed.push((0..4).map(square).sum::<f64>().sqrt());
            }
        }
        kodama::linkage(&mut condensed, 3_700, kodama::Method::Ward).steps().len()
    });
    println!("Ward 3700 x 4: kodama {seconds:.2} s ({steps} merges)");
}
