//! What stages took before: the guess at what they will take.

use std::collections::HashMap;

use stagewright_contract::Digest;
use stagewright_core::PlanNode;
use stagewright_store::{Execution, Store, StoreError};

/// How many executions are looked at, latest first.
const RECENT: usize = 20_000;

/// The earlier executions of a workflow's stages. A stage is the same if its name and its type are: other parameters and
/// other data count too, so what it says is a guess.
#[derive(Debug, Default)]
pub struct History {
    stages: HashMap<(String, String), Past>,
}

#[derive(Debug)]
struct Past {
    latest: Digest,
    seconds: Vec<f64>,
}

impl History {
    /// The executions that the store knows of the workflow of this name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn of(store: &Store, workflow: &str) -> Result<Self, StoreError> {
        let mut stages: HashMap<(String, String), Past> = HashMap::new();
        for Execution { key, stage, stage_type, seconds } in store.executions(workflow, RECENT)? {
            let past = stages.entry((stage, stage_type)).or_insert(Past { latest: key, seconds: Vec::new() });
            past.seconds.push(seconds);
        }
        stages.values_mut().for_each(|past| past.seconds.sort_by(f64::total_cmp));
        Ok(Self { stages })
    }

    /// How long the stage took: the median over its executions, the lower one of two in the middle. `None` if there were
    /// none.
    pub fn seconds(&self, node: &PlanNode) -> Option<f64> {
        let seconds = &self.past(node)?.seconds;
        seconds.get((seconds.len() - 1) / 2).copied()
    }

    /// The key of its latest execution.
    pub fn latest(&self, node: &PlanNode) -> Option<Digest> {
        self.past(node).map(|past| past.latest)
    }

    fn past(&self, node: &PlanNode) -> Option<&Past> {
        self.stages.get(&(node.stage.clone(), node.stage_type.name().to_owned()))
    }
}
