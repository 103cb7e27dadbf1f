//! How long exploring takes: `cargo run --release -p stagewright-features --example explore_speed [ROWS]` over a
//! made-up table of twelve columns in the shape of an order history, a million rows unless told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::Table;
use stagewright_contract::testkit::Trial;
use stagewright_features::{Correlation, Crosstab, Describe, Histogram, Select, Top};
use stagewright_frame::testkit::table;

fn order_history(rows: usize) -> Table {
    let mut state = 1u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let rows: Vec<[u64; 8]> = (0..rows as u64)
        .map(|row| [row / 10, draw(2500), draw(90), draw(7), draw(24), draw(31), draw(60_000), draw(100)])
        .collect();
    let integers = |of: fn(&[u64; 8]) -> u64| rows.iter().map(|row| of(row) as i64).collect::<Vec<_>>();
    let frame = df!(
        "order_id" => integers(|row| row[0] + 31_000_000_000),
        "user_id" => integers(|row| row[1]),
        "order_number" => integers(|row| row[2]),
        "order_dow" => integers(|row| row[3]),
        "order_hour_of_day" => integers(|row| row[4]),
        "days_since_prior_order" => rows.iter().map(|row| (row[5] > 0).then_some(row[5] as f64)).collect::<Vec<_>>(),
        "product_id" => integers(|row| row[6]),
        "add_to_cart_order" => integers(|row| row[7] % 20),
        "reordered" => integers(|row| u64::from(row[7] + row[5] > 60)),
        "department_id" => integers(|row| row[6] % 21),
        "department" => rows.iter().map(|row| format!("DEPARTMENT {}", row[6] % 21)).collect::<Vec<_>>(),
        "product_name" => rows.iter().map(|row| format!("PRODUCT {}", row[6] / 25)).collect::<Vec<_>>(),
    );
    table(frame.unwrap())
}

fn main() {
    let rows = std::env::args().nth(1).map_or(1_000_000, |rows| rows.parse().unwrap());
    let table = order_history(rows);
    let measure = |what: &str, trial: &dyn Fn() -> Trial| {
        let times: Vec<f64> = (0..3)
            .map(|_| {
                let trial = trial().input("table", table.clone());
                let start = Instant::now();
                trial.run().unwrap();
                start.elapsed().as_secs_f64()
            })
            .collect();
        println!("{what:<42} {:.3} {:.3} {:.3} s", times[0], times[1], times[2]);
    };
    fn trial<S: stagewright_contract::Stage>(params: Value) -> impl Fn() -> Trial {
        move || Trial::new::<S>(params.clone())
    }
    measure("describe", &trial::<Describe>(json!({})));
    measure("describe (numbers)", &trial::<Describe>(json!({ "columns": ["order_number", "days_since_prior_order"] })));
    measure("correlation, pearson", &trial::<Correlation>(json!({})));
    measure("correlation, spearman", &trial::<Correlation>(json!({ "method": "spearman" })));
    measure("histogram", &trial::<Histogram>(json!({ "column": "days_since_prior_order" })));
    let per_user = json!({ "column": "order_id", "per": "user_id", "agg": "n_unique", "bins": 20 });
    measure("histogram, distinct orders per user", &trial::<Histogram>(per_user));
    measure("top", &trial::<Top>(json!({ "column": "product_name" })));
    let crosstab = json!({ "rows": "reordered", "columns": "department" });
    measure("crosstab", &trial::<Crosstab>(crosstab));
    let select = json!({ "target": "reordered", "categorical": ["department_id"], "max_correlation": 0.9 });
    measure("select", &trial::<Select>(select));
}
