//! Stage types that turn purchases into features: per user, per product, recency-frequency-monetary scores, standard
//! scaling, and the split into a training and a test part; that explore a table: its columns, their correlations,
//! distributions, categories and cross-tabulations; and that select the features which tell about a target.

mod association;
mod bins;
mod category;
mod clv;
mod correlation;
mod crosstab;
mod describe;
mod duplicates;
mod histogram;
mod history;
mod keys;
mod names;
mod product;
mod relevance;
mod rfm;
mod scale;
mod select;
mod split;
mod sum;
mod summary;
mod tails;
mod time;
mod top;
mod user;

pub use clv::Clv;
pub use correlation::{Correlation, CorrelationMethod};
pub use crosstab::{Crosstab, Show};
pub use describe::Describe;
pub use histogram::{Aggregation, BinChoice, EachValue, Histogram};
pub use history::{Feature, History};
pub use product::Product;
pub use rfm::Rfm;
pub use scale::Scale;
pub use select::{Select, SelectTask};
pub use split::{Cutoff, Method, Split};
use stagewright_contract::StageType;
pub use top::Top;
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
        StageType::of::<Clv>(code),
        StageType::of::<Describe>(code),
        StageType::of::<Correlation>(code),
        StageType::of::<Histogram>(code),
        StageType::of::<Top>(code),
        StageType::of::<Crosstab>(code),
        StageType::of::<Select>(code),
    ]
}
