//! The metrics of a run, and the variants side by side.

mod conclude;
mod judge;
mod saved;
mod sides;
mod units;

use std::collections::BTreeMap;

use stagewright_contract::{Artifact, Kind, Metrics};
use stagewright_core::Plan;
use stagewright_runtime::RunOutcome;
use stagewright_store::{ReadError, Store};

use crate::failure::Failure;

pub(crate) use judge::{Rules, comparison};
pub(crate) use saved::Saved;
pub(crate) use sides::{Side, sides};

/// The metrics of each variant, by stage.
pub(crate) type VariantMetrics = BTreeMap<String, BTreeMap<String, Metrics>>;

/// Reads what the metrics ports of all stages put out.
pub(crate) fn metrics(plan: &Plan, outcome: &RunOutcome, store: &Store) -> Result<VariantMetrics, Failure> {
    let mut all = VariantMetrics::new();
    for variant in &plan.variants {
        let stages = all.entry(variant.name.clone()).or_default();
        for (stage, id) in &variant.stages {
            for output in outcome.nodes[*id].outputs.values().filter(|output| output.kind == Kind::Metrics) {
                match store.read(Kind::Metrics, output.digest) {
                    Ok(Artifact::Metrics(metrics)) => {
                        stages.insert(stage.clone(), (*metrics).clone());
                    }
                    Ok(_) => {}
                    Err(ReadError::Store(error)) => return Err(error.into()),
                    Err(error) => {
                        return Err(Failure::environment(format!("the metrics of `{stage}`: {error}"))
                            .with_help("run again: the stage is computed again"));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// All metrics as JSON: variant → `stage.metric` → value.
pub(crate) fn metrics_json(metrics: &VariantMetrics) -> serde_json::Value {
    let of_variant = |stages: &BTreeMap<String, Metrics>| {
        stages
            .iter()
            .flat_map(|(stage, metrics)| {
                metrics.values.iter().map(move |(name, metric)| (format!("{stage}.{name}"), metric.value.into()))
            })
            .collect::<serde_json::Map<String, serde_json::Value>>()
    };
    metrics
        .iter()
        .map(|(variant, stages)| (variant.clone(), of_variant(stages).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
