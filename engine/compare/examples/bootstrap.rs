//! How long the bootstrap takes: `cargo run -p stagewright-compare --example bootstrap -- 100000`.

use std::time::Instant;

use stagewright_compare::{Bootstrap, CompareError, paired_bootstrap};

fn main() -> Result<(), CompareError> {
    let units = std::env::args().nth(1).and_then(|units| units.parse().ok()).unwrap_or(100_000_u32);
    let baseline: Vec<f64> = (0..units).map(|unit| f64::from(unit).sin()).collect();
    let variant: Vec<f64> = (0..units).map(|unit| f64::from(unit).sin() + (1.7 * f64::from(unit)).cos()).collect();
    let start = Instant::now();
    let found = paired_bootstrap(&baseline, &variant, 0.95, Bootstrap::default())?;
    println!("{units} units: {:?}, p = {}", start.elapsed(), found.p_value);
    Ok(())
}
