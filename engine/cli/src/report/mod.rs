//! The report of a run, gathered from the plan, the outcome and the store.

mod cards;
mod figures;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;

use stagewright_contract::{Artifact, CONTRACT_VERSION, ColumnInfo, Kind, Table, stage_seed};
use stagewright_core::{NodeId, Plan, PlanNode};
use stagewright_report::{
    Change, ChartGroup, Check, Column, Comparison, Output, Parameter, Report, Source, StageRow, State, Status,
    TablePreview, Variant, Version,
};
use stagewright_runtime::{NodeStatus, Options, RunOutcome};
use stagewright_store::{RunEnd, Store};

use crate::commands::graph::graph;
use crate::compare::VariantMetrics;
use crate::failure::Failure;
use crate::load::Loaded;

pub(crate) use work::{Meter, Used};

/// How many rows of a table the report shows.
const HEAD: usize = 8;
/// Tables above this size are not read for the report.
const LARGE: u64 = 256 << 20;
/// Above this many stages, the report shows no tables.
const MANY: usize = 200;

/// What came of a run.
pub(crate) struct Came<'a> {
    pub(crate) outcome: &'a RunOutcome,
    pub(crate) metrics: &'a VariantMetrics,
    pub(crate) comparison: Option<&'a Comparison>,
    pub(crate) used: Used,
}

/// Where the store keeps the report of a run (`html`), and its comparison beside it (`json`).
pub(crate) fn file(store: &Store, run: &str, ending: &str) -> PathBuf {
    store.root().join("reports").join(format!("{run}.{ending}"))
}

/// Gathers the report.
pub(crate) fn build(
    loaded: &Loaded,
    plan: &Plan,
    came: &Came<'_>,
    store: &Store,
    options: &Options,
) -> Result<Report, Failure> {
    let Came { outcome, metrics, comparison, used } = *came;
    let mut tables = Vec::new();
    let mut charts: Vec<ChartGroup> =
        comparison.map(|comparison| figures::curves(comparison, metrics)).unwrap_or_default();
    charts.extend(figures::figures(plan, outcome, store));
    let mut checks = Vec::new();
    let mut sheets = Vec::new();
    if plan.nodes.len() <= MANY {
        for id in 0..plan.nodes.len() {
            for (port, table) in read_tables(outcome, id, store) {
                let node = &plan.nodes[id];
                if node.stage_type.name() == "clean.expect" && port == "report" {
                    checks.extend(expectations(plan, id, &table)?);
                }
                sheets.extend(cards::sheet(plan, id, &port, &table, store));
                tables.push(preview(plan, id, &port, &table)?);
            }
        }
    }
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for node in &plan.nodes {
        sources.extend(cards::files(node, store));
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
        longest_chain: work::longest_chain(plan, outcome),
        models: cards::models(plan, outcome, store, metrics),
        sheets,
        work: work::work(plan, outcome, used),
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
            Version { of: "code of the stage types".to_owned(), version: loaded.types.registry.code().short() },
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
                files: files(output, store),
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

/// Names and sizes of the files in an output: what is in them is nobody's who reads a report.
fn files(output: &stagewright_store::Output, store: &Store) -> Vec<(String, u64)> {
    if output.kind != Kind::Files {
        return Vec::new();
    }
    match store.read(output.kind, output.digest) {
        Ok(Artifact::Files(files)) => files.iter().map(|(name, bytes)| (name.to_owned(), bytes.len() as u64)).collect(),
        _ => Vec::new(),
    }
}

fn preview(plan: &Plan, id: NodeId, port: &str, table: &Table) -> Result<TablePreview, Failure> {
    let node = &plan.nodes[id];
    let columns = columns(table);
    let head = stagewright_frame::head(table, HEAD)?;
    let preview = TablePreview::new(&node.stage, port, table.rows() as u64, columns, head);
    Ok(match variant_of(plan, node) {
        Some(variant) => preview.variant(variant),
        None => preview,
    })
}

fn columns(table: &Table) -> Vec<Column> {
    let column = |column: ColumnInfo| Column { name: column.name, kind: column.dtype, personal: column.personal };
    table.schema().into_iter().map(column).collect()
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
