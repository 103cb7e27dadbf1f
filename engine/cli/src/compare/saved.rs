//! What is kept of the comparison of a run, so that it can be shown, gated on, and set beside another run's.

use serde::{Deserialize, Serialize};
use stagewright_report::Comparison;
use stagewright_store::Store;

use super::{Rules, Side};
use crate::failure::Failure;
use crate::report::file;

/// The comparison of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// By what it was made.
    pub(crate) rules: Rules,
    /// Of what.
    pub(crate) sides: Vec<Side>,
    /// What came of it.
    pub(crate) comparison: Comparison,
}

impl Saved {
    /// Writes it, whole or not at all.
    pub(crate) fn write(&self, store: &Store, run: &str) -> Result<(), Failure> {
        let path = file(store, run, "json");
        let failed =
            |error: std::io::Error| Failure::environment(format!("cannot write `{}`: {error}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let bytes = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        crate::commands::get::replace(&path, |file| std::io::Write::write_all(file, &bytes).map_err(failed))
    }

    /// Reads it; `None` where the run left none.
    pub(crate) fn read(store: &Store, run: &str) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file(store, run, "json")).ok()?).ok()
    }
}
