//! Stage types that recommend products to users: [`Cosine`] by similarity of spend and gender, [`Popular`] what most
//! buy, [`Frequency`] what a person buys again and again, [`Basket`] what they will buy next; [`ItemKnn`], [`Als`] and
//! [`Ease`] what people with the same purchases buy.
//!
//! Each puts out one table of ranked lists with a reason for each product, so that they can be exchanged for one another
//! in a workflow. Others take lists and put out lists: [`Hybrid`] fuses several, [`Filter`] keeps what is allowed,
//! [`Diversify`] mixes the kinds of products.

mod als;
mod basket;
mod cosine;
mod defaults;
mod directions;
mod diversify;
mod ease;
mod factors;
mod filter;
mod frequency;
mod hybrid;
mod item_knn;
mod lists;
mod logistic;
mod matrix;
mod pairs;
mod popular;
mod ranked;
mod reasons;
mod repurchase;
#[cfg(test)]
mod testing;
mod time;

pub use als::Als;
pub use basket::Basket;
pub use cosine::Cosine;
pub use diversify::Diversify;
pub use ease::Ease;
pub use factors::Factors;
pub use filter::Filter;
pub use frequency::{Fill, Frequency};
pub use hybrid::Hybrid;
pub use item_knn::{ItemKnn, Similarity};
pub use popular::{Popular, PopularBy};

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<Cosine>(code),
        StageType::of::<Popular>(code),
        StageType::of::<Frequency>(code),
        StageType::of::<Basket>(code),
        StageType::of::<ItemKnn>(code),
        StageType::of::<Als>(code),
        StageType::of::<Ease>(code),
        StageType::of::<Hybrid>(code),
        StageType::of::<Filter>(code),
        StageType::of::<Diversify>(code),
    ]
}
