use serde::{Deserialize, Serialize};

use crate::CompareError;
use crate::error::check;

/// What is done about many tests at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Each test stands for itself; among twenty, one is significant by chance.
    None,
    /// The probability of any false discovery stays at the level (Holm 1979), however the tests depend on each other.
    #[default]
    Holm,
    /// The expected share of false ones among the discoveries stays at the level (Benjamini and Hochberg 1995).
    BenjaminiHochberg,
}

/// The p-values of tests that belong together, corrected: each is to be compared with the level itself. In the order in
/// which they came.
///
/// # Errors
/// A p-value that is not between 0 and 1.
pub fn adjust(p_values: &[f64], correction: Correction) -> Result<Vec<f64>, CompareError> {
    for p_value in p_values {
        check("p-value", *p_value, (0.0..=1.0).contains(p_value), "between 0 and 1")?;
    }
    let m = p_values.len();
    let mut order: Vec<(f64, usize)> = p_values.iter().copied().zip(0..).collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    let ranked: Vec<f64> = match correction {
        Correction::None => return Ok(p_values.to_vec()),
        Correction::Holm => {
            let steps = order.iter().zip(0..).map(|((p_value, _), rank)| p_value * (m - rank) as f64);
            steps
                .scan(0.0, |highest: &mut f64, step| {
                    *highest = highest.max(step).min(1.0);
                    Some(*highest)
                })
                .collect()
        }
        Correction::BenjaminiHochberg => {
            let steps =
                order.iter().rev().zip((1..=m).rev()).map(|((p_value, _), rank)| p_value * m as f64 / rank as f64);
            let mut ranked: Vec<f64> = steps
                .scan(1.0, |lowest: &mut f64, step| {
                    *lowest = lowest.min(step);
                    Some(*lowest)
                })
                .collect();
            ranked.reverse();
            ranked
        }
    };
    let mut adjusted = vec![1.0; m];
    for ((_, index), value) in order.into_iter().zip(ranked) {
        if let Some(place) = adjusted.get_mut(index) {
            *place = value;
        }
    }
    Ok(adjusted)
}
