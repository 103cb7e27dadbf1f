//! What there is to know about each model and each table from outside.

use std::collections::{BTreeMap, BTreeSet};

use stagewright_contract::{Artifact, Goal, Kind, Model, Table, Task};
use stagewright_core::{NodeId, Plan, PlanNode};
use stagewright_report::{Column, DataSheet, Feature, ModelCard, Parameter, Source, number};
use stagewright_runtime::RunOutcome;
use stagewright_store::Store;

use super::columns;
use crate::compare::VariantMetrics;

/// So many models are described, and so many metrics of each.
const MODELS: usize = 40;
const METRICS: usize = 12;

/// The files that a stage read, by path.
pub(super) fn files(node: &PlanNode, store: &Store) -> BTreeMap<String, Source> {
    let files = node.sources.iter().flat_map(|source| &source.files);
    let described = files.filter_map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = store.source_digest(file).ok()?;
        Some((file.display().to_string(), Source { name, bytes: found.size, digest: found.digest.hex() }))
    });
    described.collect()
}

/// The sheet of a table that came from outside: from files, or from a stage that needs no other.
pub(super) fn sheet(plan: &Plan, id: NodeId, port: &str, table: &Table, store: &Store) -> Option<DataSheet> {
    let node = plan.nodes.get(id).filter(|node| node.inputs.is_empty())?;
    let nulls = table.columns().iter().map(|column| column.chunks.iter().map(|chunk| chunk.null_count() as u64).sum());
    Some(DataSheet {
        name: format!("{}.{port}", node.stage),
        uses: node.stage_type.name().to_owned(),
        files: files(node, store).into_values().collect(),
        rows: table.rows() as u64,
        columns: columns(table).into_iter().zip(nulls).collect(),
    })
}

/// The cards of the models that stages put out, each once however many variants have it.
pub(super) fn models(plan: &Plan, outcome: &RunOutcome, store: &Store, metrics: &VariantMetrics) -> Vec<ModelCard> {
    let mut cards = Vec::new();
    for (id, result) in outcome.nodes.iter().enumerate() {
        for output in result.outputs.values().filter(|output| output.kind == Kind::Model) {
            if let Ok(Artifact::Model(model)) = store.read(Kind::Model, output.digest) {
                let card = card(plan, id, &model, metrics);
                cards.push(ModelCard { warnings: result.warnings.clone(), digest: output.digest.hex(), ..card });
            }
        }
        if cards.len() >= MODELS {
            break;
        }
    }
    cards
}

fn card(plan: &Plan, id: NodeId, model: &Model, metrics: &VariantMetrics) -> ModelCard {
    let node = &plan.nodes[id];
    let variants: Vec<&str> = plan
        .variants
        .iter()
        .filter(|variant| variant.stages.iter().any(|(_, of)| *of == id))
        .map(|variant| variant.name.as_str())
        .collect();
    let table = node.inputs.iter().find(|input| input.kind == Kind::Table);
    let personal = table.and_then(|input| plan.nodes[input.node].personal.get(&input.from));
    let is_personal = |name: &str| personal.is_some_and(|names| names.contains(name));
    ModelCard {
        stage: node.stage.clone(),
        learned_by: model.learned_by.clone(),
        task: match model.task {
            Task::Classification => "the probability of the positive class of",
            Task::Regression => "the number",
        }
        .to_owned(),
        target: model.target.clone(),
        trained_on: table.map(|input| format!("{}.{}", plan.nodes[input.node].stage, input.from)),
        rows: model.rows,
        features: model
            .features
            .iter()
            .map(|feature| {
                let personal = is_personal(&feature.name);
                Feature {
                    column: Column { name: feature.name.clone(), kind: feature.dtype.clone(), personal },
                    range: feature.range.filter(|_| !personal),
                }
            })
            .collect(),
        parameters: parameters(node),
        metrics: variants.first().map(|variant| measured(plan, id, variant, metrics)).unwrap_or_default(),
        variants: if variants.len() == plan.variants.len() {
            Vec::new()
        } else {
            variants.into_iter().map(str::to_owned).collect()
        },
        ..ModelCard::default()
    }
}

fn parameters(node: &PlanNode) -> Vec<Parameter> {
    let params = node.configured.params().as_object().into_iter().flatten();
    params
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| Parameter {
            name: name.clone(),
            value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        })
        .collect()
}

/// What a variant's later stages measured with what a node put out, directly or not: the metrics of which one way is
/// better, but not those of the trivial answer beside it. What the node says of itself is about the rows that it learned
/// from, and says little.
fn measured(plan: &Plan, id: NodeId, variant: &str, metrics: &VariantMetrics) -> Vec<Parameter> {
    let mut reached = BTreeSet::from([id]);
    for (at, node) in plan.nodes.iter().enumerate() {
        if node.inputs.iter().any(|input| reached.contains(&input.node)) {
            reached.insert(at);
        }
    }
    reached.remove(&id);
    let stages = plan.variants.iter().filter(|planned| planned.name == variant).flat_map(|planned| &planned.stages);
    let reached = stages.filter(|(_, of)| reached.contains(of));
    let of_stage = |stage: &str| metrics.get(variant).and_then(|stages| stages.get(stage));
    let values = reached.filter_map(|(stage, _)| Some((stage, of_stage(stage)?))).flat_map(|(stage, metrics)| {
        let judged = metrics
            .values
            .iter()
            .filter(|(name, metric)| metric.goal != Goal::Describe && !name.starts_with("baseline_"));
        judged.filter_map(move |(name, metric)| Some((format!("{stage}.{name}"), metric.value?)))
    });
    values.take(METRICS).map(|(name, value)| Parameter { name, value: number::number(value) }).collect()
}
