//! Stage types that find groups of similar rows and describe them.

mod breathing;
mod candidates;
mod clusters;
mod compare;
mod dbscan;
mod dendrogram;
mod distribution;
mod eigen;
mod exchange;
mod features;
mod gaussian_mixture;
mod graph;
mod hierarchical;
mod kmeans;
mod linkage;
mod lloyd;
mod matrix;
mod minibatch;
mod minibatch_kmeans;
mod mixture;
mod neighbors;
mod profile;
mod scores;
mod silhouette;
mod simd;
mod spectral;
mod starts;

pub use compare::{Compare, Method, Metric};
pub use dbscan::Dbscan;
pub use distribution::Distribution;
pub use gaussian_mixture::{Covariance, GaussianMixture};
pub use hierarchical::Hierarchical;
pub use kmeans::Kmeans;
pub use linkage::Linkage;
pub use minibatch_kmeans::MinibatchKmeans;
pub use profile::Profile;
pub use spectral::Spectral;
use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<Kmeans>(code),
        StageType::of::<MinibatchKmeans>(code),
        StageType::of::<Hierarchical>(code),
        StageType::of::<Spectral>(code),
        StageType::of::<Dbscan>(code),
        StageType::of::<GaussianMixture>(code),
        StageType::of::<Compare>(code),
        StageType::of::<Distribution>(code),
        StageType::of::<Profile>(code),
    ]
}
