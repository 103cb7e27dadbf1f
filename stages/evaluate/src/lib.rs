//! Stage types that measure how good a result is: [`Campaign`] for what recipients did, [`Classification`] for
//! probabilities of one of two outcomes, [`Drift`] for a table that may have changed, [`Ranking`] for lists of recommendations.

mod campaign;
mod classification;
mod drift;
mod groups;
mod intervals;
mod outputs;
mod ranking;
mod sums;
mod units;

pub use campaign::{Campaign, ConversionOf};
pub use classification::{Classification, Strategy};
pub use drift::Drift;
pub use ranking::{Ranking, RankingUsers};

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<Campaign>(code),
        StageType::of::<Classification>(code),
        StageType::of::<Drift>(code),
        StageType::of::<Ranking>(code),
    ]
}
