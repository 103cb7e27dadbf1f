//! Stage types that turn purchases into features: per user, per product, recency-frequency-monetary scores, standard
//! scaling, and the split into a training and a test part.

mod history;
mod keys;
mod names;
mod product;
mod rfm;
mod scale;
mod split;
mod time;
mod user;

pub use history::{Feature, History};
pub use product::Product;
pub use rfm::Rfm;
pub use scale::Scale;
pub use split::{Cutoff, Method, Split};
use stagewright_contract::StageType;
pub use user::User;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<User>(code),
        StageType::of::<Rfm>(code),
        StageType::of::<Product>(code),
        StageType::of::<Scale>(code),
        StageType::of::<Split>(code),
        StageType::of::<History>(code),
    ]
}
