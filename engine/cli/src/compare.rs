//! The metrics of a run, and the variants side by side.

use std::collections::BTreeMap;

use stagewright_contract::{Artifact, Goal, Kind, Metrics};
use stagewright_core::{CompareSpec, Plan};
use stagewright_report::{Cell, Comparison, Row};
use stagewright_runtime::RunOutcome;
use stagewright_store::{ReadError, Store};

use crate::failure::Failure;

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

/// What `compare:` asks for, of the variants that were run. Where the baseline is not among them, the first one is
/// taken for it.
pub(crate) fn comparison(spec: &CompareSpec, plan: &Plan, metrics: &VariantMetrics) -> Option<Comparison> {
    let variants: Vec<String> = plan.variants.iter().map(|variant| variant.name.clone()).collect();
    let named = variants.iter().find(|variant| **variant == spec.baseline);
    let against = named.or(variants.first())?.clone();
    let baseline = metrics.get(&against);
    let mut unit = None;
    let mut rows = Vec::new();
    for reference in &spec.metrics {
        let of_baseline = baseline.and_then(|stages| stages.get(&reference.stage));
        if unit.is_none() {
            unit = of_baseline.and_then(|metrics| Some((metrics.unit.clone()?, metrics.units)));
        }
        let mut goal = Goal::Describe;
        let cells = variants
            .iter()
            .map(|variant| {
                let found = metrics.get(variant).and_then(|stages| stages.get(&reference.stage));
                let Some((found, metric)) = found.and_then(|found| Some((found, found.values.get(&reference.metric)?)))
                else {
                    return Cell { note: Some("it has no such metric".to_owned()), ..Cell::default() };
                };
                goal = metric.goal;
                if *variant == against {
                    return Cell { value: metric.value, ..Cell::default() };
                }
                let base = of_baseline.and_then(|metrics| metrics.values.get(&reference.metric));
                match (of_baseline, base.and_then(|base| base.value), metric.value) {
                    (Some(of_baseline), _, _) if of_baseline.units_digest != found.units_digest => {
                        let unit = found.unit.as_deref().unwrap_or("unit");
                        let note =
                            format!("not comparable: tested on other {unit}s or other outcomes than `{against}`");
                        Cell { value: metric.value, note: Some(note), ..Cell::default() }
                    }
                    (_, Some(base), Some(value)) => Cell {
                        value: Some(value),
                        difference: Some(value - base),
                        relative: (base != 0.0).then(|| (value - base) / base.abs()),
                        ..Cell::default()
                    },
                    _ => Cell { value: metric.value, ..Cell::default() },
                }
            })
            .collect();
        let goal = match goal {
            Goal::Maximize => stagewright_report::Goal::Maximize,
            Goal::Minimize => stagewright_report::Goal::Minimize,
            Goal::Describe => stagewright_report::Goal::Describe,
        };
        rows.push(Row { metric: format!("{}.{}", reference.stage, reference.metric), goal, guardrail: false, cells });
    }
    let (unit, units) = unit.map_or((None, None), |(unit, units)| (Some(unit), units));
    (!rows.is_empty()).then_some(Comparison {
        title: None,
        baseline: against,
        variants,
        rows,
        unit,
        units,
        ..Comparison::default()
    })
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
