//! Stage types that find groups of similar rows and describe them.

mod kmeans;
mod lloyd;
mod matrix;
mod profile;
mod silhouette;

pub use kmeans::Kmeans;
pub use profile::Profile;
use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Kmeans>(code), StageType::of::<Profile>(code)]
}
