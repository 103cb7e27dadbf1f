//! Stage types that find groups of similar rows and describe them.

mod candidates;
mod clusters;
mod dendrogram;
mod distribution;
mod eigen;
mod features;
mod graph;
mod hierarchical;
mod kmeans;
mod linkage;
mod lloyd;
mod matrix;
mod neighbors;
mod profile;
#[allow(dead_code, reason = "used by the next stage type")]
mod scores;
mod silhouette;
mod spectral;
mod starts;

pub use distribution::Distribution;
pub use hierarchical::Hierarchical;
pub use kmeans::Kmeans;
pub use linkage::Linkage;
pub use profile::Profile;
pub use spectral::Spectral;
use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<Kmeans>(code),
        StageType::of::<Hierarchical>(code),
        StageType::of::<Spectral>(code),
        StageType::of::<Distribution>(code),
        StageType::of::<Profile>(code),
    ]
}
