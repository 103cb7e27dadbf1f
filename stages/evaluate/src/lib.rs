//! Stage types that measure how good a result is: [`Classification`] for probabilities of one of two outcomes,
//! [`Ranking`] for lists of recommendations.

mod classification;
mod groups;
mod outputs;
mod ranking;
mod sums;
mod units;

pub use classification::{Classification, Strategy};
pub use ranking::{Ranking, RankingUsers};

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Classification>(code), StageType::of::<Ranking>(code)]
}
