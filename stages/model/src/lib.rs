//! Stage types that learn to predict a column from others, judge how well, and predict.

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    Vec::new()
}
