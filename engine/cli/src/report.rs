//! The report of a run, gathered from the plan, the outcome and the store.

use std::collections::BTreeMap;

use stagewright_contract::{Artifact, CONTRACT_VERSION, Digest, Figure, FigureKind, Kind, Series, Table, stage_seed};
use stagewright_core::{NodeId, Plan, PlanNode};
use stagewright_report::{
    Change, Check, Column, Comparison, Output, Parameter, Report, Source, StageRow, State, Status, TablePreview,
    Variant, Version, overlay,
};
use stagewright_runtime::{NodeStatus, Options, RunOutcome};
use stagewright_store::{RunEnd, Store};

use crate::commands::graph::graph;
use crate::compare::VariantMetrics;
use crate::failure::Failure;
use crate::load::Loaded;

/// How many rows of a table the report shows.
const HEAD: usize = 8;
/// Tables above this size are not read for the report.
const LARGE: u64 = 256 << 20;
/// Above this many stages, the report shows no tables; and so many figures are read at most.
const MANY: usize = 200;

/// Gathers the report.
pub(crate) fn build(
    loaded: &Loaded,
    plan: &Plan,
    outcome: &RunOutcome,
    store: &Store,
    comparison: Option<&Comparison>,
    metrics: &VariantMetrics,
    options: &Options,
) -> Result<Report, Failure> {
    let mut tables = Vec::new();
    let mut charts: Vec<Figure> = comparison.map(|comparison| curves(comparison, metrics)).unwrap_or_default();
    charts.extend(figures(plan, outcome, store));
    let mut checks = Vec::new();
    if plan.nodes.len() <= MANY {
        for id in 0..plan.nodes.len() {
            for (port, table) in read_tables(outcome, id, store) {
                let node = &plan.nodes[id];
                if node.stage_type.name() == "clean.expect" && port == "report" {
                    checks.extend(expectations(plan, id, &table)?);
                }
                tables.push(preview(plan, id, &port, &table)?);
            }
        }
    }
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for file in plan.nodes.iter().flat_map(|node| &node.sources).flat_map(|source| &source.files) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Ok(found) = store.source_digest(file) {
            sources.insert(file.display().to_string(), Source { name, bytes: found.size, digest: found.digest.hex() });
        }
    }
    let base_params = plan.variants.first().map(|variant| variant.params.clone()).unwrap_or_default();
    let mut drawn = graph(plan);
    for (node, result) in drawn.nodes.iter_mut().zip(&outcome.nodes) {
        node.state = Some(state(result.status));
    }
    Ok(Report {
        workflow: plan.workflow.clone(),
        description: plan.description.clone(),
        run: outcome.run.clone(),
        status: match outcome.end {
            RunEnd::Succeeded => Status::Succeeded,
            RunEnd::Failed => Status::Failed,
            RunEnd::Interrupted => Status::Cancelled,
        },
        started: jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string(),
        seconds: Some(outcome.seconds),
        command: format!("stagewright {}", options.args.join(" ")),
        problem: None,
        comparisons: comparison.cloned().into_iter().collect(),
        variants: plan
            .variants
            .iter()
            .map(|variant| Variant {
                name: variant.name.clone(),
                description: variant.description.clone(),
                changes: variant
                    .changes
                    .iter()
                    .map(|(path, value)| Change { path: path.clone(), value: value.clone() })
                    .collect(),
            })
            .collect(),
        charts,
        tables,
        graph: drawn,
        stages: plan
            .nodes
            .iter()
            .zip(&outcome.nodes)
            .map(|(node, result)| StageRow {
                stage: node.stage.clone(),
                variant: variant_of(plan, node),
                uses: node.stage_type.name().to_owned(),
                state: state(result.status),
                seconds: Some(result.seconds).filter(|seconds| *seconds > 0.0),
                rows: result.outputs.values().filter_map(|output| output.rows).max(),
                key: result.key.map(|key| key.short()),
                warnings: result.warnings.clone(),
                error: result.error.as_ref().map(ToString::to_string).or_else(|| result.reason.clone()),
            })
            .collect(),
        checks,
        sources: sources.into_values().collect(),
        parameters: base_params
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| Parameter {
                name: name.clone(),
                value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            })
            .collect(),
        seed: plan.nodes.iter().any(|node| node.seed.is_some()).then(|| stage_seed(&base_params)),
        versions: vec![
            Version { of: "Stagewright".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            Version { of: "contract".to_owned(), version: CONTRACT_VERSION.to_string() },
            Version { of: "code of the stage types".to_owned(), version: loaded.registry.code().short() },
        ],
        outputs: plan
            .nodes
            .iter()
            .zip(&outcome.nodes)
            .flat_map(|(node, result)| result.outputs.iter().map(move |(port, output)| (node, port, output)))
            .map(|(node, port, output)| Output {
                stage: node.stage.clone(),
                port: port.clone(),
                variant: variant_of(plan, node),
                kind: output.kind.name().to_owned(),
                bytes: output.size,
                digest: output.digest.hex(),
            })
            .collect(),
    })
}

fn state(status: NodeStatus) -> State {
    match status {
        NodeStatus::Executed => State::Executed,
        NodeStatus::Cached => State::Cached,
        NodeStatus::Shared => State::Shared,
        NodeStatus::Failed => State::Failed,
        NodeStatus::Skipped => State::Skipped,
    }
}

/// The variant to name beside a stage: none where there is only one, or the stage is that of the workflow itself.
fn variant_of(plan: &Plan, node: &PlanNode) -> Option<String> {
    (plan.variants.len() > 1 && !plan.is_of_base(node)).then(|| node.variant.clone())
}

/// The tables of a node that are not too large to look at. One that is damaged is left out: the next run finds it.
fn read_tables(outcome: &RunOutcome, id: NodeId, store: &Store) -> Vec<(String, std::sync::Arc<Table>)> {
    outcome.nodes[id]
        .outputs
        .iter()
        .filter(|(_, output)| output.kind == Kind::Table && output.size <= LARGE)
        .filter_map(|(port, output)| match store.read(output.kind, output.digest) {
            Ok(Artifact::Table(table)) => Some((port.clone(), table)),
            _ => None,
        })
        .collect()
}

fn preview(plan: &Plan, id: NodeId, port: &str, table: &Table) -> Result<TablePreview, Failure> {
    let node = &plan.nodes[id];
    let columns = table
        .schema()
        .into_iter()
        .map(|column| Column { name: column.name, kind: column.dtype, personal: column.personal })
        .collect();
    let head = stagewright_frame::head(table, HEAD)?;
    let preview = TablePreview::new(&node.stage, port, table.rows() as u64, columns, head);
    Ok(match variant_of(plan, node) {
        Some(variant) => preview.variant(variant),
        None => preview,
    })
}

/// A port that puts figures out, and which variants have which.
struct FigurePort<'a> {
    stage: &'a str,
    name: &'a str,
    different: Vec<(Digest, Vec<&'a str>)>,
}

/// The figures that the stages put out, in the order of the stages. Where variants have different ones of a stage, they
/// are in one chart if they go together, and beside each other otherwise; what several have in common is there once. One
/// that is damaged is left out: the next run finds it.
fn figures(plan: &Plan, outcome: &RunOutcome, store: &Store) -> Vec<Figure> {
    let mut ports: Vec<FigurePort<'_>> = Vec::new();
    for variant in &plan.variants {
        for (stage, id) in &variant.stages {
            for (name, output) in outcome.nodes[*id].outputs.iter().filter(|(_, output)| output.kind == Kind::Figure) {
                let at = ports.iter().position(|port| port.stage == stage && port.name == name).unwrap_or(ports.len());
                if at == ports.len() {
                    ports.push(FigurePort { stage, name, different: Vec::new() });
                }
                let different = &mut ports[at].different;
                match different.iter_mut().find(|(digest, _)| *digest == output.digest) {
                    Some((_, variants)) => variants.push(&variant.name),
                    None => different.push((output.digest, vec![&variant.name])),
                }
            }
        }
    }
    let mut figures = Vec::new();
    for FigurePort { stage, different, .. } in ports {
        let everywhere = different.len() == 1 && different.iter().all(|(_, of)| of.len() == plan.variants.len());
        let read: Vec<(String, Figure)> = different
            .into_iter()
            .take(MANY.saturating_sub(figures.len()))
            .filter_map(|(digest, variants)| match store.read(Kind::Figure, digest) {
                Ok(Artifact::Figure(figure)) => Some((listed(&variants), (*figure).clone())),
                _ => None,
            })
            .collect();
        match overlay(&read) {
            Some(figure) => figures.push(Figure { title: format!("{stage}: {}", figure.title), ..figure }),
            None => figures.extend(read.into_iter().map(|(variants, figure)| {
                let stage = if everywhere { stage.to_owned() } else { format!("{stage} ({variants})") };
                Figure { title: format!("{stage}: {}", figure.title), ..figure }
            })),
        }
    }
    figures
}

/// The names of a few variants, or of the first of many.
fn listed(variants: &[&str]) -> String {
    match variants {
        [first, second, _, _, ..] => format!("{first}, {second} and {} more", variants.len() - 2),
        few => few.join(", "),
    }
}

fn expectations(plan: &Plan, id: NodeId, table: &Table) -> Result<Vec<Check>, Failure> {
    let node = &plan.nodes[id];
    let names: Vec<&str> = table.names().collect();
    let at = |name: &str| names.iter().position(|candidate| *candidate == name);
    let rows = stagewright_frame::head(table, table.rows())?;
    Ok(rows
        .iter()
        .map(|row| {
            let text = |name: &str| at(name).and_then(|at| row.get(at)).cloned().flatten();
            Check {
                stage: node.stage.clone(),
                variant: variant_of(plan, node),
                expectation: text("check").unwrap_or_default(),
                column: text("column"),
                passed: text("passed").as_deref() == Some("true"),
                failing: text("failed").and_then(|count| count.parse().ok()),
                rows: text("checked").and_then(|count| count.parse().ok()),
            }
        })
        .collect())
}

/// Metrics at several K as curves over K, a line for each variant: for each metric that is compared at some K.
fn curves(comparison: &Comparison, metrics: &VariantMetrics) -> Vec<Figure> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for row in &comparison.rows {
        let name = row.metric.rsplit_once('@').and_then(|(name, _)| name.split_once('.'));
        names.extend(name.filter(|name| !names.contains(name)));
    }
    let mut charts = Vec::new();
    for (stage, name) in names {
        let line = |variant: &String| -> Vec<(f64, f64)> {
            let values = metrics.get(variant).and_then(|stages| stages.get(stage)).map(|metrics| &metrics.values);
            let at_k = values.into_iter().flatten().filter_map(|(metric, value)| {
                let (_, k) = metric.rsplit_once('@').filter(|(of, _)| *of == name)?;
                Some((k.parse().ok()?, value.value?))
            });
            let mut points: Vec<(f64, f64)> = at_k.collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        };
        let series: Vec<Series> =
            comparison.variants.iter().map(|variant| Series::new(variant, line(variant))).collect();
        if series.iter().any(|series| series.points.len() > 1) {
            charts.push(Figure {
                title: format!("{stage}.{name} by number of recommendations"),
                x_label: "K".to_owned(),
                y_label: name.to_owned(),
                kind: FigureKind::Line,
                series,
            });
        }
    }
    charts
}
