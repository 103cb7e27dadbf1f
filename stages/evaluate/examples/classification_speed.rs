//! How long `evaluate.classification` takes: `cargo run --release -p stagewright-evaluate --example
//! classification_speed`.

#![allow(clippy::unwrap_used, reason = "a measurement may fail loudly")]

use std::time::Instant;

use polars::prelude::df;
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_evaluate::Classification;
use stagewright_frame::to_table;

fn main() {
    for rows in [196_771_u64, 1_000_000] {
        let mix = |row: u64, salt: u64| {
            let mixed = (row + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let frame = df![
            "id" => (0..rows as i64).collect::<Vec<_>>(),
            "probability" => (0..rows).map(|row| mix(row, 1)).collect::<Vec<_>>(),
            "target" => (0..rows).map(|row| i64::from(mix(row, 7) < mix(row, 1))).collect::<Vec<_>>(),
            "group" => (0..rows as i64).map(|row| row % 4).collect::<Vec<_>>(),
        ];
        let table = to_table(frame.unwrap()).unwrap();
        for params in [json!({}), json!({ "keys": ["id"] }), json!({ "groups": ["group"] })] {
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                let mut params = params.clone();
                params["target"] = json!("target");
                let trial = Trial::new::<Classification>(params).input("predictions", table.clone());
                let start = Instant::now();
                trial.run().unwrap();
                best = best.min(start.elapsed().as_secs_f64());
            }
            println!("{rows} rows, {params}: {:.1} ms", best * 1000.0);
        }
    }
}
