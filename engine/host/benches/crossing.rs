//! What it costs to hand tables to a plugin and back: `cargo bench -p stagewright-host`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polars_arrow::array::{Array, Float64Array, Int64Array, Utf8ViewArray};
use serde_json::json;
use stagewright_contract::{Artifact, Monitor, StageContext, Table, TableColumn};
use stagewright_host::Isolation;

fn table(rows: usize) -> Table {
    let column = |name: &str, array: Box<dyn Array>| TableColumn {
        name: name.to_owned(),
        dtype: array.dtype().clone(),
        chunks: vec![array],
    };
    let number = |scale: f64| Float64Array::from_vec((0..rows).map(|row| row as f64 * scale).collect()).boxed();
    Table::new(vec![
        column("id", Int64Array::from_vec((0..rows as i64).collect()).boxed()),
        column(
            "name",
            Utf8ViewArray::from_slice((0..rows).map(|row| Some(format!("user {row}"))).collect::<Vec<_>>()).boxed(),
        ),
        column("spent", number(0.5)),
        column("score", number(-1e-3)),
    ])
    .unwrap()
}

/// The median of some runs of `kit.echo`, which passes a table on.
fn measure(isolation: Isolation, rows: usize, runs: usize) -> Duration {
    let stage = common::stage("kit.echo", isolation).configure(&json!({})).unwrap();
    let input: BTreeMap<String, Artifact> = BTreeMap::from([("table".to_owned(), table(rows).into())]);
    // As the engine does it: the input lies in the store already.
    let file = tempfile::NamedTempFile::new().unwrap();
    input["table"].encode(&mut std::io::BufWriter::new(file.as_file())).unwrap();
    let mut took: Vec<Duration> = (0..runs)
        .map(|_| {
            let files = BTreeMap::from([("table".to_owned(), file.path().to_owned())]);
            let mut context = StageContext::new(input.clone(), BTreeMap::new(), 1, Arc::new(Monitor::default()));
            context = context.with_files(files);
            let began = Instant::now();
            stage.run(&mut context).unwrap();
            let took = began.elapsed();
            assert_eq!(context.into_outputs()["table"].rows(), Some(rows as u64));
            took
        })
        .collect();
    took.sort();
    took[took.len() / 2]
}

fn main() {
    for rows in [0, 1_000, 1_000_000] {
        println!("in-process  {rows:>9} × 4  {:>10.1?}", measure(Isolation::InProcess, rows, 201));
    }
    for rows in [0, 1_000, 1_000_000] {
        println!("warm worker {rows:>9} × 4  {:>10.1?}", measure(Isolation::Process, rows, 21));
    }
}
