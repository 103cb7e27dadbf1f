//! Stage types that find groups of similar rows and describe them.

mod candidates;
mod clusters;
mod dendrogram;
mod features;
mod hierarchical;
mod kmeans;
mod linkage;
mod lloyd;
mod matrix;
mod profile;
mod silhouette;
mod starts;

pub use hierarchical::Hierarchical;
pub use kmeans::Kmeans;
pub use linkage::Linkage;
pub use profile::Profile;
use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<Kmeans>(code), StageType::of::<Hierarchical>(code), StageType::of::<Profile>(code)]
}
