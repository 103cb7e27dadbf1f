//! Stage types that measure how good a result is: [`AbTest`] for arms that were drawn at random by [`Assign`],
//! [`Campaign`] for what recipients did, [`Classification`] for probabilities of one of two outcomes, [`Clustering`] for
//! segments, [`Drift`] for a table that may have changed, [`Ranking`] for lists of recommendations, [`Regression`] for
//! predicted numbers; and [`ThompsonSampling`], which says what the next round of a test is to be.

mod ab_test;
mod amounts;
mod assign;
mod campaign;
mod classification;
mod clustering;
mod drift;
mod groups;
mod outputs;
mod per_row;
mod ranking;
mod regression;
mod shares;
mod simulate_responses;
mod sums;
mod thompson_sampling;
mod units;

pub use ab_test::AbTest;
pub use assign::Assign;
pub use campaign::{Campaign, ConversionOf};
pub use classification::{Classification, Strategy};
pub use clustering::Clustering;
pub use drift::Drift;
pub use ranking::{Ranking, RankingUsers};
pub use regression::Regression;
pub use simulate_responses::SimulateResponses;
pub use thompson_sampling::ThompsonSampling;

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<AbTest>(code),
        StageType::of::<Assign>(code),
        StageType::of::<Campaign>(code),
        StageType::of::<Classification>(code),
        StageType::of::<Clustering>(code),
        StageType::of::<Drift>(code),
        StageType::of::<Ranking>(code),
        StageType::of::<Regression>(code),
        StageType::of::<SimulateResponses>(code),
        StageType::of::<ThompsonSampling>(code),
    ]
}
