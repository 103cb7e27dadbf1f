//! What differs between an artifact of one run and the same one of another.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stagewright_contract::Artifact;
use stagewright_core::diagnostic::nearest;
use stagewright_frame::{CellDiff, ColumnDiff, TableDiff};
use stagewright_report::number::{self, counted, plain};
use stagewright_runtime::{OutputRecord, RunRecord};
use stagewright_store::{RunInfo, Store};

use crate::args::CompareArgs;
use crate::failure::Failure;

/// How many changed values of an artifact that is no table are shown.
const SHOWN: usize = 40;

/// What differs.
pub(super) enum ArtifactDiff {
    /// Nothing: the digests are equal.
    Same,
    Table(TableDiff),
    /// The values of metrics, a model or a figure that differ: path, before, after.
    Values(Vec<(String, Option<String>, Option<String>)>),
}

/// Finds the artifact in both runs, and what differs.
pub(super) fn between(
    before: &RunInfo,
    after: &RunInfo,
    artifact: &str,
    args: &CompareArgs,
    store: &Store,
) -> Result<ArtifactDiff, Failure> {
    let [old, new] = [find(before, artifact, &args.variant, store)?, find(after, artifact, &args.variant, store)?];
    if old.digest == new.digest {
        return Ok(ArtifactDiff::Same);
    }
    let read = |output: &OutputRecord| {
        store.read(output.kind, output.digest).map_err(|error| {
            Failure::environment(format!("an artifact of `{artifact}` cannot be read: {error}"))
                .with_help("it may have been collected: run that workflow again")
        })
    };
    let (old, new) = (read(&old)?, read(&new)?);
    if let (Artifact::Table(old), Artifact::Table(new)) = (&old, &new) {
        let found = stagewright_frame::diff(old, new, &args.key);
        return found.map(ArtifactDiff::Table).map_err(|error| {
            let failure = Failure::usage(format!("`{artifact}`: {}", error.message));
            error.help.into_iter().fold(failure, Failure::with_help)
        });
    }
    let (mut gone, new) = (leaves(&old)?, leaves(&new)?);
    let mut found = Vec::new();
    for (path, value) in new {
        let earlier = gone.remove(&path);
        if earlier.as_ref() != Some(&value) {
            found.push((path, earlier, Some(value)));
        }
    }
    found.extend(gone.into_iter().map(|(path, value)| (path, Some(value), None)));
    Ok(ArtifactDiff::Values(found))
}

/// The output of a stage in a run: `stage.port`, or `stage` for its only or its first one.
fn find(run: &RunInfo, artifact: &str, variant: &str, store: &Store) -> Result<OutputRecord, Failure> {
    let record: Option<RunRecord> = store.record(&run.id)?.and_then(|record| serde_json::from_value(record).ok());
    let record = record.ok_or_else(|| Failure::usage(format!("the run {} left no record", run.id)))?;
    let (stage, port) = artifact.split_once('.').map_or((artifact, None), |(stage, port)| (stage, Some(port)));
    let of_variant = || record.stages.iter().filter(|found| found.variant == variant);
    let found = of_variant().find(|found| found.stage == stage).ok_or_else(|| {
        let failure = Failure::usage(format!("the variant `{variant}` of the run {} has no stage `{stage}`", run.id));
        let near = nearest(stage, of_variant().map(|found| found.stage.as_str()));
        near.into_iter().fold(failure, |failure, near| failure.with_help(format!("did you mean `{near}`?")))
    })?;
    let output = match port {
        Some(port) => found.outputs.get(port),
        None => found.outputs.get("table").or_else(|| found.outputs.values().next()),
    };
    output.cloned().ok_or_else(|| {
        let ports: Vec<String> = found.outputs.keys().map(|port| format!("`{stage}.{port}`")).collect();
        Failure::usage(format!("`{artifact}` is not among what `{stage}` put out in the run {}", run.id))
            .with_help(format!("it put out {}", if ports.is_empty() { "nothing".to_owned() } else { ports.join(", ") }))
    })
}

/// Every value of an artifact by its path.
fn leaves(artifact: &Artifact) -> Result<BTreeMap<String, String>, Failure> {
    let mut bytes = Vec::new();
    artifact.encode(&mut bytes).map_err(|error| Failure::environment(format!("reading an artifact: {error}")))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::environment(format!("an artifact is not JSON: {error}")))?;
    let mut found = BTreeMap::new();
    collect(String::new(), &value, &mut found);
    Ok(found)
}

fn collect(path: String, value: &Value, found: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| collect(below(name), value, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| collect(below(&at.to_string()), value, found))
        }
        value => drop(found.insert(path, value.to_string())),
    }
}

/// For a person.
pub(super) fn text(diff: &ArtifactDiff, artifact: &str) -> String {
    match diff {
        ArtifactDiff::Same => format!("`{artifact}` is the same, byte for byte\n"),
        ArtifactDiff::Values(values) => {
            let mut out = format!("{} of `{artifact}` differ:\n", counted(values.len(), "value"));
            for (path, before, after) in values.iter().take(SHOWN) {
                out += &format!("  {path}: {} → {}\n", shown(before.as_deref()), shown(after.as_deref()));
            }
            if values.len() > SHOWN {
                out += &format!("  … and {} more\n", values.len() - SHOWN);
            }
            out
        }
        ArtifactDiff::Table(diff) => table_text(diff, artifact),
    }
}

fn table_text(diff: &TableDiff, artifact: &str) -> String {
    let count = |rows: usize| plain(&number::count(rows as u64));
    let TableDiff { schema, rows: [old, new], added, removed, changed, columns } = diff;
    let mut out = format!(
        "`{artifact}`: {} rows before, {} after; {} added, {} removed, {} changed\n",
        count(*old),
        count(*new),
        count(*added),
        count(*removed),
        count(*changed)
    );
    for (name, before, after) in schema {
        out += &match (before, after) {
            (Some(before), Some(after)) => format!("  column {name}: {before} → {after}\n"),
            (None, Some(after)) => format!("  column {name}: new, {after}\n"),
            (Some(before), None) => format!("  column {name}: gone, was {before}\n"),
            (None, None) => String::new(),
        };
    }
    for ColumnDiff { name, changed, nulls: [old, new], means, examples } in columns {
        out += &format!("  {name}: differs in {}", counted(*changed, "row"));
        if old != new {
            out += &format!("; nulls {old} → {new}");
        }
        if let Some([Some(before), Some(after)]) = means {
            out += &format!("; mean {} → {}", plain(&number::number(*before)), plain(&number::number(*after)));
        }
        out.push('\n');
        for CellDiff { key, before, after } in examples {
            out += &format!("    {key}: {} → {}\n", shown(before.as_deref()), shown(after.as_deref()));
        }
    }
    out
}

fn shown(value: Option<&str>) -> String {
    let text: String = value.unwrap_or("null").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 120 { text.chars().take(119).chain(['…']).collect() } else { text }
}

/// For machines.
pub(super) fn json(diff: &ArtifactDiff) -> Value {
    match diff {
        ArtifactDiff::Same => json!({ "same": true }),
        ArtifactDiff::Values(values) => {
            let one = |(path, before, after): &(String, Option<String>, Option<String>)| json!({ "path": path, "before": before, "after": after });
            json!({ "same": false, "values": values.iter().map(one).collect::<Vec<_>>() })
        }
        ArtifactDiff::Table(diff) => {
            let TableDiff { schema, rows, added, removed, changed, columns } = diff;
            let column = |column: &ColumnDiff| {
                let ColumnDiff { name, changed, nulls, means, examples } = column;
                let example = |cell: &CellDiff| json!({ "key": cell.key, "before": cell.before, "after": cell.after });
                let examples: Vec<Value> = examples.iter().map(example).collect();
                json!({ "name": name, "changed": changed, "nulls": nulls, "means": means, "examples": examples })
            };
            json!({
                "same": false,
                "rows": rows,
                "added": added,
                "removed": removed,
                "changed": changed,
                "schema": schema.iter().map(|(name, before, after)| {
                    json!({ "name": name, "before": before, "after": after })
                }).collect::<Vec<_>>(),
                "columns": columns.iter().map(column).collect::<Vec<_>>(),
            })
        }
    }
}
