//! Stage types that recommend products to users: [`Cosine`] by similarity of spend and gender, [`Popular`] what most
//! buy, [`Frequency`] what a person buys again and again.
//!
//! Each puts out one table of ranked lists, so that they can be exchanged for one another in a workflow.

mod cosine;
mod defaults;
mod directions;
mod frequency;
mod lists;
mod popular;
#[cfg(test)]
mod testing;

pub use cosine::Cosine;
pub use frequency::{Fill, Frequency};
pub use popular::{Popular, PopularBy};

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Cosine>(code), StageType::of::<Popular>(code), StageType::of::<Frequency>(code)]
}
