//! Stage types that learn to predict a column from others, judge how well, and predict.
//!
//! [`estimator`] says what an estimator is and how to add one.

mod bins;
mod boosting;
mod calibrate;
mod calibration;
mod cart;
mod cholesky;
mod cross_validate;
mod decision_tree;
pub mod estimator;
mod features;
mod folds;
mod forest;
mod gradient_boosting;
mod importance;
mod impurity;
mod kernel;
mod learn;
mod least_squares;
mod linear;
mod linear_predictor;
mod logistic;
mod matrix;
mod newton;
mod predict;
mod predictor;
mod random_forest;
mod scores;
mod smo;
mod svm;
mod tables;
mod target;
#[cfg(test)]
mod testing;
mod threshold;
mod tree;
mod trees;

pub use boosting::Boosting;
pub use calibrate::{Calibrate, CalibrationMethod};
pub use cross_validate::{CrossValidate, FoldMethod};
pub use decision_tree::DecisionTree;
pub use features::{Categories, Encoding, Feature, Features};
pub use gradient_boosting::{GradientBoosting, Loss};
pub use importance::{Importance, ImportanceMethod};
pub use impurity::Criterion;
pub use kernel::{Kernel, SupportVectors};
pub use learn::{Columns, Learn};
pub use linear::Linear;
pub use linear_predictor::{LinearPredictor, Link};
pub use logistic::{ClassWeight, Logistic, Penalty};
pub use matrix::Matrix;
pub use predict::Predict;
pub use predictor::Predictor;
pub use random_forest::RandomForest;
pub use scores::Score;
use stagewright_contract::StageType;
pub use svm::{KernelName, Svm};
pub use target::{Classes, Label};
pub use threshold::{Choose, Threshold};
pub use tree::Tree;
pub use trees::Trees;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<Learn<Logistic>>(code),
        StageType::of::<Learn<Linear>>(code),
        StageType::of::<Learn<GradientBoosting>>(code),
        StageType::of::<Learn<DecisionTree>>(code),
        StageType::of::<Learn<RandomForest>>(code),
        StageType::of::<Learn<Svm>>(code),
        StageType::of::<Predict>(code),
        StageType::of::<CrossValidate>(code),
        StageType::of::<Importance>(code),
        StageType::of::<Calibrate>(code),
        StageType::of::<Threshold>(code),
    ]
}
