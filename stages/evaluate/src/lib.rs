//! Stage types that measure how good a result is: [`Ranking`] for lists of recommendations.

mod ranking;

pub use ranking::{Ranking, RankingUsers};

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Ranking>(code)]
}
