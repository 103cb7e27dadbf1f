//! Where the plan meets the machine: finding source files, looking keys up, executing stages on threads, writing what
//! they give to the store while others work with it, and what happened to the journal.

mod execute;
mod files;
mod history;
mod keys;
mod outcome;
mod preview;
mod run;
mod storing;
mod values;

pub use files::find_files;
pub use history::History;
pub use keys::secret_fingerprints;
pub use outcome::{NodeOutcome, NodeStatus, OutputRecord, RunOutcome, RunRecord, StageRecord, Work};
pub use preview::{Preview, PreviewStatus, preview};
pub use run::{Options, RunEvent, run};
