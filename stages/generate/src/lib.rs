//! Stage types that write messages to users and have them reviewed.

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    Vec::new()
}
