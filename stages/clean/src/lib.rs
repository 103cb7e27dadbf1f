//! Cleaning tables: choosing, deriving, renaming and converting columns, choosing rows, joining, filling gaps, and the
//! gate that refuses data which is not what a workflow expects.
//!
//! Throughout the crate a NaN in a float column counts as missing, as a null does.

mod bin;
mod cast;
mod consent;
mod constant;
mod derive;
mod drop_duplicates;
mod drop_nulls;
mod expect;
mod fill;
mod filter;
mod join;
mod outliers;
mod pseudonymise;
mod rename;
mod select;
mod sql;
mod statistics;
mod table;
mod time;

pub use bin::Bin;
pub use cast::{Cast, Type};
pub use consent::{Consent, ConsentAction};
pub use constant::Constant;
pub use derive::Derive;
pub use drop_duplicates::{DropDuplicates, Keep};
pub use drop_nulls::DropNulls;
pub use expect::{Check, CheckKind, Expect, Severity};
pub use fill::{Fill, Strategy};
pub use filter::Filter;
pub use join::{How, Join, Validate};
pub use outliers::{Action, Method, Outliers};
pub use pseudonymise::Pseudonymise;
pub use rename::Rename;
pub use select::Select;

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<Select>(code),
        StageType::of::<Derive>(code),
        StageType::of::<Rename>(code),
        StageType::of::<Cast>(code),
        StageType::of::<Filter>(code),
        StageType::of::<DropNulls>(code),
        StageType::of::<DropDuplicates>(code),
        StageType::of::<Join>(code),
        StageType::of::<Bin>(code),
        StageType::of::<Fill>(code),
        StageType::of::<Outliers>(code),
        StageType::of::<Expect>(code),
        StageType::of::<Pseudonymise>(code),
        StageType::of::<Consent>(code),
    ]
}
