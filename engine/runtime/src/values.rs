//! The artifacts that stages hand to each other in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use stagewright_contract::{Artifact, Digest};
use stagewright_core::{NodeId, Plan};
use stagewright_store::{Output, ReadError, Store};

/// Whether the outputs of a node came to rest in the store; unset while they are on the way.
pub(crate) type Stored = Arc<OnceLock<bool>>;

/// One output of a node: in memory if it was just computed or already read, else in the store. All who read it share
/// it.
#[derive(Debug)]
pub(crate) struct Slot {
    output: Output,
    value: Mutex<Option<Artifact>>,
    stored: Stored,
}

impl Slot {
    /// The artifact, read from the store if need be.
    pub(crate) fn get(&self, store: &Store) -> Result<Artifact, ReadError> {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        match &*value {
            Some(artifact) => Ok(artifact.clone()),
            None => {
                // Rare: it was let go, and a reader that had been done is to run again.
                self.stored.wait();
                let artifact = store.read(self.output.kind, self.output.digest)?;
                *value = Some(artifact.clone());
                Ok(artifact)
            }
        }
    }

    /// The digest of the artifact.
    pub(crate) fn digest(&self) -> Digest {
        self.output.digest
    }

    /// What the store is told of it.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Whether its file is in its place.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored.get() == Some(&true)
    }
}

/// The outputs of all nodes that are done, each kept in memory until the last node that reads it is.
#[derive(Debug)]
pub(crate) struct Values {
    slots: Vec<BTreeMap<String, Arc<Slot>>>,
    readers: Vec<usize>,
}

impl Values {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut readers = vec![0; plan.nodes.len()];
        for node in &plan.nodes {
            for input in &node.inputs {
                readers[input.node] += 1;
            }
        }
        Self { slots: (0..plan.nodes.len()).map(|_| BTreeMap::new()).collect(), readers }
    }

    /// The outputs of a node are there, or will be; `artifacts` are those in memory.
    pub(crate) fn set(
        &mut self,
        id: NodeId,
        outputs: &BTreeMap<String, Output>,
        mut artifacts: BTreeMap<String, Artifact>,
        stored: &Stored,
    ) {
        let keep = self.readers[id] > 0;
        self.slots[id] = outputs
            .iter()
            .map(|(port, output)| {
                let value = artifacts.remove(port).filter(|_| keep);
                let slot = Slot { output: output.clone(), value: Mutex::new(value), stored: Arc::clone(stored) };
                (port.clone(), Arc::new(slot))
            })
            .collect();
    }

    /// The outputs of a node are those of another one.
    pub(crate) fn share(&mut self, id: NodeId, other: NodeId) {
        self.slots[id] = self.slots[other].clone();
    }

    /// An output of a node that is done.
    pub(crate) fn slot(&self, id: NodeId, port: &str) -> Option<&Arc<Slot>> {
        self.slots[id].get(port)
    }

    /// One connection to a node will not be read (again).
    pub(crate) fn release(&mut self, id: NodeId) {
        self.readers[id] = self.readers[id].saturating_sub(1);
        if self.readers[id] == 0 {
            for slot in self.slots[id].values() {
                *slot.value.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }
}
