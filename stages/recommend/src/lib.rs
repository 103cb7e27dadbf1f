//! TBD

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let _code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![]
}
