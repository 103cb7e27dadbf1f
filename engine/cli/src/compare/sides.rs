//! What is compared: the metrics of every variant, with what they were computed by and on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagewright_contract::{Digest, Metrics};
use stagewright_core::{CompareSpec, Plan, seen_in_training};
use stagewright_runtime::RunOutcome;

use super::VariantMetrics;

/// A variant, or all its repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Side {
    /// The name of the variant, without a seed.
    pub(crate) name: String,
    /// Its repeats with several seeds, or the one there is.
    pub(crate) repeats: Vec<Repeat>,
}

/// A variant with one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Repeat {
    pub(crate) seed: Option<u64>,
    /// The stages whose metrics are compared.
    pub(crate) stages: BTreeMap<String, Scored>,
}

/// The metrics of a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scored {
    /// The stage type, and its parameters: two metrics of one name are the same metric where these are equal.
    pub(crate) uses: String,
    pub(crate) params: Value,
    pub(crate) metrics: Metrics,
    /// The table with a row per unit.
    pub(crate) units: Option<Digest>,
    /// Why the metrics are no test of anything new.
    pub(crate) seen: Option<String>,
}

/// The sides of a run, for the stages that `compare:` names.
pub(crate) fn sides(spec: &CompareSpec, plan: &Plan, outcome: &RunOutcome, metrics: &VariantMetrics) -> Vec<Side> {
    let mut sides: Vec<Side> = Vec::new();
    for variant in &plan.variants {
        let mut stages = BTreeMap::new();
        for (stage, id) in &variant.stages {
            let found = metrics.get(&variant.name).and_then(|stages| stages.get(stage));
            let Some(found) = found.filter(|_| spec.metrics.iter().any(|metric| metric.stage == *stage)) else {
                continue;
            };
            let node = &plan.nodes[*id];
            let port = found.units_table.as_ref().map(|table| &table.port);
            stages.insert(
                stage.clone(),
                Scored {
                    uses: node.stage_type.name().to_owned(),
                    params: node.configured.params().clone(),
                    metrics: found.clone(),
                    units: port.and_then(|port| outcome.nodes[*id].outputs.get(port)).map(|output| output.digest),
                    seen: seen_in_training(plan, *id),
                },
            );
        }
        let repeat = Repeat { seed: variant.seed, stages };
        match sides.iter_mut().find(|side| side.name == variant.group) {
            Some(side) => side.repeats.push(repeat),
            None => sides.push(Side { name: variant.group.clone(), repeats: vec![repeat] }),
        }
    }
    sides
}
