//! What changed from one run to another: inputs, parameters, code, stages.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stagewright_core::explain::{Change, changes, sentence};
use stagewright_runtime::{RunRecord, StageRecord};
use stagewright_store::{RunInfo, Store};

use crate::failure::Failure;

/// A stage that changed by itself, and not only because of what it is given.
pub(super) struct Changed {
    stage: String,
    /// The variants in which it did.
    variants: Vec<String>,
    what: Vec<String>,
}

/// The stages of both runs that are keyed otherwise, and by what.
pub(super) fn between(before: &RunInfo, after: &RunInfo, store: &Store) -> Result<Vec<Changed>, Failure> {
    let (Some(old), Some(new)) = (record(before, store)?, record(after, store)?) else {
        return Err(Failure::usage("one of the runs ended before anything was recorded of it"));
    };
    let by_name = |record: &RunRecord| -> BTreeMap<(String, String), StageRecord> {
        let stages = record.stages.iter();
        stages.map(|stage| ((stage.stage.clone(), stage.variant.clone()), stage.clone())).collect()
    };
    let (mut gone, new) = (by_name(&old), by_name(&new));
    let mut found: Vec<Changed> = Vec::new();
    let mut add = |stage: String, variant: String, what: Vec<String>| match found
        .iter_mut()
        .find(|known| known.stage == stage && known.what == what)
    {
        Some(known) => known.variants.push(variant),
        None => found.push(Changed { stage, variants: vec![variant], what }),
    };
    for ((stage, variant), record) in new {
        match gone.remove(&(stage.clone(), variant.clone())) {
            None => add(stage, variant, vec!["is new".to_owned()]),
            Some(earlier) if earlier.key != record.key => {
                let what = own_changes(&earlier, &record, store)?;
                if !what.is_empty() {
                    add(stage, variant, what.iter().map(sentence).collect());
                }
            }
            Some(_) => {}
        }
    }
    for (stage, variant) in gone.into_keys() {
        add(stage, variant, vec!["is gone".to_owned()]);
    }
    Ok(found)
}

fn record(run: &RunInfo, store: &Store) -> Result<Option<RunRecord>, Failure> {
    Ok(store.record(&run.id)?.and_then(|record| serde_json::from_value(record).ok()))
}

/// The fields of the key that changed, but for digests of inputs: those follow from a stage before.
fn own_changes(before: &StageRecord, after: &StageRecord, store: &Store) -> Result<Vec<Change>, Failure> {
    let fields = |record: &StageRecord| match record.key {
        Some(key) => store.key_fields(key),
        None => Ok(None),
    };
    let (Some(before), Some(after)) = (fields(before)?, fields(after)?) else { return Ok(Vec::new()) };
    Ok(changes(&before, &after).into_iter().filter(|change| !change.field.starts_with("inputs.")).collect())
}

pub(super) fn text(changed: &[Changed], before: &str) -> String {
    if changed.is_empty() {
        return format!("nothing changed since {before}: neither inputs nor parameters nor code\n");
    }
    let mut out = format!("changed since {before}:\n");
    for Changed { stage, variants, what } in changed {
        out += &format!("  {stage} ({}): {}\n", variants.join(", "), what.join("; "));
    }
    out
}

pub(super) fn json(changed: &[Changed]) -> Value {
    let one = |changed: &Changed| {
        let Changed { stage, variants, what } = changed;
        json!({ "stage": stage, "variants": variants, "what": what })
    };
    changed.iter().map(one).collect()
}
