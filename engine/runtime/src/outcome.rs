//! What became of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagewright_contract::{Digest, StageError};
use stagewright_core::{NodeId, Plan};
use stagewright_store::{Manifest, Output, RunEnd};

/// What became of a node, or of a stage of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// It ran, and its outputs are in the store, or on the way there.
    Executed,
    /// Its outputs were in the store.
    Cached,
    /// It did not run, since another stage of this run had the same key.
    Shared,
    /// It failed.
    Failed,
    /// It did not run: `when` was false, an input failed, or the run was stopped.
    Skipped,
}

impl NodeStatus {
    /// The name used in messages and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Cached => "cached",
            Self::Shared => "shared",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What became of a node.
#[derive(Clone, Debug)]
pub struct NodeOutcome {
    /// In one word.
    pub status: NodeStatus,
    /// Its key, once its inputs were known.
    pub key: Option<Digest>,
    /// How long it executed in this run; 0 unless executed or failed.
    pub seconds: f64,
    /// How long it took when it was executed, be it now or in an earlier run.
    pub cost: f64,
    /// Its outputs by port.
    pub outputs: BTreeMap<String, Output>,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<StageError>,
    /// Why it was skipped.
    pub reason: Option<String>,
}

impl NodeOutcome {
    /// Of a node that has its outputs.
    pub(crate) fn of(status: NodeStatus, seconds: f64, manifest: Manifest) -> Self {
        Self {
            status,
            key: Some(manifest.key),
            seconds,
            cost: manifest.seconds,
            outputs: manifest.outputs,
            warnings: manifest.warnings,
            error: None,
            reason: None,
        }
    }

    pub(crate) fn skipped(reason: String) -> Self {
        Self {
            status: NodeStatus::Skipped,
            key: None,
            seconds: 0.0,
            cost: 0.0,
            outputs: BTreeMap::new(),
            warnings: Vec::new(),
            error: None,
            reason: Some(reason),
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// The id of the run.
    pub run: String,
    /// How it ended.
    pub end: RunEnd,
    /// What became of each node of the plan.
    pub nodes: Vec<NodeOutcome>,
    /// How long it took.
    pub seconds: f64,
}

/// The work of a run's stages, in seconds as measured where they executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// What executed in this run took.
    pub spent: f64,
    /// What was found in the store took when it was executed.
    pub cached: f64,
    /// What the stages that variants have in common would have taken again, for every variant but the first.
    pub shared: f64,
}

impl Work {
    /// What was saved, by the store and by sharing.
    pub fn saved(&self) -> f64 {
        self.cached + self.shared
    }

    /// What the variants would have taken one by one, each with a store of its own that is empty.
    pub fn alone(&self) -> f64 {
        self.spent + self.saved()
    }
}

/// What the journal keeps of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// How long it took.
    pub seconds: f64,
    /// What its stages took, and would have taken.
    #[serde(default)]
    pub work: Work,
    /// The parameters of each variant.
    pub params: BTreeMap<String, Value>,
    /// Every stage of every variant.
    pub stages: Vec<StageRecord>,
}

/// A stage of a variant in a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its name.
    pub stage: String,
    /// Of which variant.
    pub variant: String,
    /// Its type.
    pub uses: String,
    /// What became of it.
    pub status: NodeStatus,
    /// Its key, once known.
    pub key: Option<Digest>,
    /// How long it executed in this run.
    pub seconds: f64,
    /// Its outputs by port.
    pub outputs: BTreeMap<String, OutputRecord>,
    /// What it warned of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An output of a stage in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// The digest of the artifact.
    pub digest: Digest,
    /// Its kind.
    pub kind: stagewright_contract::Kind,
    /// The number of rows, of a table.
    pub rows: Option<u64>,
    /// The size in bytes.
    pub bytes: u64,
}

impl RunRecord {
    /// How many stages each thing became of.
    pub fn counts(&self) -> Vec<(NodeStatus, usize)> {
        let mut counts: Vec<(NodeStatus, usize)> = Vec::new();
        for stage in &self.stages {
            match counts.iter_mut().find(|(status, _)| *status == stage.status) {
                Some((_, count)) => *count += 1,
                None => counts.push((stage.status, 1)),
            }
        }
        counts
    }

    /// The same stages in a run that found nothing changed: what was executed is cached now.
    #[must_use]
    pub fn unchanged(mut self) -> Self {
        for stage in &mut self.stages {
            if stage.status == NodeStatus::Executed {
                stage.status = NodeStatus::Cached;
            }
            stage.seconds = 0.0;
        }
        self.work = Work { spent: 0.0, cached: self.work.cached + self.work.spent, ..self.work };
        self
    }
}

impl RunOutcome {
    /// Every stage of every variant: those of a node that several variants have are shared by all but the first.
    pub fn record(&self, plan: &Plan) -> RunRecord {
        let mut seen = vec![false; plan.nodes.len()];
        let mut stages = Vec::new();
        for variant in &plan.variants {
            for (stage, id) in &variant.stages {
                let first = !std::mem::replace(&mut seen[*id], true);
                stages.push(stage_record(stage, &variant.name, *id, plan, &self.nodes[*id], first));
            }
        }
        let params = plan.variants.iter().map(|variant| (variant.name.clone(), variant.params.clone())).collect();
        RunRecord { seconds: self.seconds, work: self.work(plan), params, stages }
    }

    /// What the stages took, and what was saved.
    pub fn work(&self, plan: &Plan) -> Work {
        let mut uses = vec![0_u32; plan.nodes.len()];
        plan.variants.iter().flat_map(|variant| &variant.stages).for_each(|(_, id)| uses[*id] += 1);
        let mut work = Work::default();
        for (node, uses) in self.nodes.iter().zip(uses) {
            let again = node.cost * f64::from(uses.saturating_sub(1));
            match node.status {
                NodeStatus::Executed => work.spent += node.cost,
                NodeStatus::Cached => work.cached += node.cost,
                // Another stage of this run had the same key.
                NodeStatus::Shared => work.shared += node.cost,
                // It would have failed in the first variant, and ended it.
                NodeStatus::Failed => work.spent += node.seconds,
                NodeStatus::Skipped => {}
            }
            if node.status != NodeStatus::Failed {
                work.shared += again;
            }
        }
        work
    }
}

fn stage_record(
    stage: &str,
    variant: &str,
    id: NodeId,
    plan: &Plan,
    outcome: &NodeOutcome,
    first: bool,
) -> StageRecord {
    let done = matches!(outcome.status, NodeStatus::Executed | NodeStatus::Cached);
    StageRecord {
        stage: stage.to_owned(),
        variant: variant.to_owned(),
        uses: plan.nodes[id].stage_type.name().to_owned(),
        status: if !first && done { NodeStatus::Shared } else { outcome.status },
        key: outcome.key,
        seconds: if first { outcome.seconds } else { 0.0 },
        outputs: outcome
            .outputs
            .iter()
            .map(|(port, output)| {
                let Output { kind, digest, size, rows, schema: _ } = output;
                (port.clone(), OutputRecord { digest: *digest, kind: *kind, rows: *rows, bytes: *size })
            })
            .collect(),
        warnings: outcome.warnings.clone(),
        error: outcome.error.as_ref().map(ToString::to_string).or_else(|| outcome.reason.clone()),
    }
}
