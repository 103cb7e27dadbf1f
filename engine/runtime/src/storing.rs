//! What nodes gave on its way into the store, beside the nodes that already work with it.

use stagewright_contract::StageError;
use stagewright_core::NodeId;
use stagewright_store::{Blob, Made, Manifest, Store, StoreError};

use crate::execute::{Computed, store_error};
use crate::values::Stored;

/// So many nodes may wait to be stored before others have to wait with their start.
const MANY: usize = 64;
/// Or so many bytes.
const MUCH: u64 = 1 << 30;

/// Nodes whose outputs are known and not yet in the store, in the order in which they were computed.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Vec<Storing>,
    /// How many nodes wait or are being stored.
    nodes: usize,
    /// How many bytes they have.
    bytes: u64,
    /// Whether a batch is being stored.
    busy: bool,
}

/// One of them.
pub(crate) struct Storing {
    pub(crate) id: NodeId,
    pub(crate) computed: Computed,
    pub(crate) stored: Stored,
}

/// How it went with one of a batch.
pub(crate) struct Kept {
    pub(crate) id: NodeId,
    pub(crate) manifest: Manifest,
    pub(crate) error: Option<StageError>,
}

impl Queue {
    pub(crate) fn push(&mut self, storing: Storing) {
        self.nodes += 1;
        self.bytes += size(&storing.computed.manifest);
        self.waiting.push(storing);
    }

    /// All that wait, unless a batch is on its way: what was computed first is stored first.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<Storing>> {
        if self.busy || self.waiting.is_empty() {
            return None;
        }
        self.busy = true;
        Some(std::mem::take(&mut self.waiting))
    }

    /// A batch is through.
    pub(crate) fn done(&mut self, kept: &[Kept]) {
        self.busy = false;
        self.nodes -= kept.len();
        self.bytes -= kept.iter().map(|kept| size(&kept.manifest)).sum::<u64>();
    }

    /// Whether the disk is so far behind that nothing new should begin.
    pub(crate) fn is_full(&self) -> bool {
        self.nodes >= MANY || self.bytes >= MUCH
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes == 0
    }
}

fn size(manifest: &Manifest) -> u64 {
    manifest.outputs.values().map(|output| output.size).sum()
}

/// Stores a batch: all bytes are written before the first wait for the disk, and one transaction publishes all.
pub(crate) fn store(store: &Store, batch: Vec<Storing>) -> Vec<Kept> {
    let written: Vec<Result<Vec<_>, StoreError>> = batch
        .iter()
        .map(|storing| storing.computed.prepared.iter().map(|prepared| store.write(prepared)).collect())
        .collect();
    let kept: Vec<Result<Vec<Blob>, StoreError>> =
        written.into_iter().map(|written| written?.into_iter().map(|written| store.keep(written)).collect()).collect();
    let made: Vec<Made<'_>> = batch
        .iter()
        .zip(&kept)
        .filter_map(|(Storing { computed, .. }, blobs)| {
            Some(Made { manifest: &computed.manifest, fields: &computed.fields, blobs: blobs.as_ref().ok()? })
        })
        .collect();
    let published = store.publish(&made).map_err(store_error);
    batch
        .into_iter()
        .zip(kept)
        .map(|(Storing { id, computed, stored }, kept)| {
            // The blobs are held until here.
            let error = kept.map_err(store_error).and_then(|_| published.clone()).err();
            let _ = stored.set(error.is_none());
            Kept { id, manifest: computed.manifest, error }
        })
        .collect()
}
