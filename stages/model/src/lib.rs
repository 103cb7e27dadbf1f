//! Stage types that learn to predict a column from others, judge how well, and predict.
//!
//! [`estimator`] says what an estimator is and how to add one.

mod cholesky;
pub mod estimator;
mod features;
mod learn;
mod linear_predictor;
mod logistic;
mod matrix;
mod newton;
mod predict;
mod predictor;
mod scores;
mod target;

pub use features::{Categories, Encoding, Feature, Features};
pub use learn::{Columns, Learn};
pub use linear_predictor::{LinearPredictor, Link};
pub use logistic::{ClassWeight, Logistic, Penalty};
pub use matrix::Matrix;
pub use predict::Predict;
pub use predictor::Predictor;
use stagewright_contract::StageType;
pub use target::{Classes, Label};

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Learn<Logistic>>(code), StageType::of::<Predict>(code)]
}
