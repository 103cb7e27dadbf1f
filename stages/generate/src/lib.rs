//! Stage types that write messages to users and have them reviewed.

mod chat;
mod checks;
mod copy;
mod csv;
pub mod decisions;
mod framed;
mod grammar;
mod messages;
mod names;
mod recipients;
mod review;
mod templates;

pub use chat::{Budget, OpenAi, Price};
pub use checks::Checks;
pub use copy::{Template, Tone};
pub use messages::{Columns, Messages, Provider};
pub use review::Review;

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    const CODE: &str = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Messages>(CODE), StageType::of::<Review>(CODE)]
}
