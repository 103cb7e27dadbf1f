//! What a run would do, and why, without doing it.

use std::collections::BTreeMap;

use stagewright_contract::Digest;
use stagewright_core::explain::{Change, changes, sentence};
use stagewright_core::key::{key_fields, stage_key};
use stagewright_core::{NodeId, Plan};
use stagewright_store::{Lookup, Manifest, Store, StoreError};

use crate::keys::{digest_sources, key_inputs, secret_fingerprints, source_params};
use crate::outcome::RunRecord;

/// Whether a node would execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewStatus {
    /// Its outputs are in the store.
    Hit,
    /// It would execute.
    Miss,
    /// It depends on what a node before it puts out.
    Unknown,
    /// It would be skipped: `when` is false for it or for an input.
    Skipped,
}

impl PreviewStatus {
    /// The name used in messages and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

/// What a run would do with a node.
#[derive(Clone, Debug)]
pub struct Preview {
    /// In one word.
    pub status: PreviewStatus,
    /// Its key, where its inputs are known.
    pub key: Option<Digest>,
    /// What the key is made of.
    pub fields: Vec<(String, String)>,
    /// What changed since the last run, where that is why.
    pub changes: Vec<Change>,
    /// Why, in one sentence.
    pub reason: String,
    /// What the store has, of a hit.
    pub manifest: Option<Manifest>,
}

/// What a run of the plan would do with each node. `last` is the record of the last run, to say what changed since.
///
/// # Errors
/// When the store or a source file cannot be read.
pub fn preview(plan: &Plan, store: &Store, last: Option<&RunRecord>) -> Result<Vec<Preview>, StoreError> {
    let before: BTreeMap<(&str, &str), Digest> = last
        .map(|record| {
            record
                .stages
                .iter()
                .filter_map(|stage| Some(((stage.variant.as_str(), stage.stage.as_str()), stage.key?)))
                .collect()
        })
        .unwrap_or_default();
    let mut previews: Vec<Preview> = Vec::with_capacity(plan.nodes.len());
    for id in 0..plan.nodes.len() {
        let preview = node(plan, id, store, &previews, &before)?;
        previews.push(preview);
    }
    Ok(previews)
}

fn node(
    plan: &Plan,
    id: NodeId,
    store: &Store,
    previews: &[Preview],
    before: &BTreeMap<(&str, &str), Digest>,
) -> Result<Preview, StoreError> {
    let node = &plan.nodes[id];
    let plain = |status, reason: String| Preview {
        status,
        key: None,
        fields: Vec::new(),
        changes: Vec::new(),
        reason,
        manifest: None,
    };
    if !node.enabled {
        return Ok(plain(PreviewStatus::Skipped, "`when` is false".to_owned()));
    }
    let mut digests = Vec::with_capacity(node.inputs.len());
    let mut unknown = Vec::new();
    for input in &node.inputs {
        let producer = &previews[input.node];
        let stage = &plan.nodes[input.node].stage;
        match (producer.status, producer.manifest.as_ref().and_then(|manifest| manifest.outputs.get(&input.from))) {
            (PreviewStatus::Skipped, _) => {
                return Ok(plain(PreviewStatus::Skipped, format!("`{stage}` would be skipped")));
            }
            (_, Some(output)) => digests.push(output.digest),
            _ => unknown.push(format!("`{stage}`")),
        }
    }
    if !unknown.is_empty() {
        unknown.dedup();
        return Ok(plain(PreviewStatus::Unknown, format!("it depends on what {} puts out", unknown.join(" and "))));
    }
    let sources = digest_sources(node, store)?;
    let params = source_params(node);
    let secrets = match secret_fingerprints(node) {
        Ok(secrets) => secrets,
        Err(error) => return Ok(plain(PreviewStatus::Unknown, error.message)),
    };
    let inputs = key_inputs(node, &params, &sources, &secrets, &digests);
    let key = stage_key(&inputs);
    let fields = key_fields(&inputs);
    let (status, manifest, damage) = match store.lookup(key)? {
        Lookup::Hit(manifest) => (PreviewStatus::Hit, Some(manifest), None),
        Lookup::Miss => (PreviewStatus::Miss, None, None),
        Lookup::Damaged { what } => (PreviewStatus::Miss, None, Some(what)),
    };
    let last = before.get(&(node.variant.as_str(), node.stage.as_str())).copied();
    let changes = match last {
        Some(last) if last != key => changes(&store.key_fields(last)?.unwrap_or_default(), &fields),
        _ => Vec::new(),
    };
    let reason = match (status, last) {
        (PreviewStatus::Hit, _) => "its key is in the store".to_owned(),
        _ if damage.is_some() => damage.unwrap_or_default(),
        (_, Some(last)) if last == key => "the last run did not finish it, or its outputs were removed".to_owned(),
        (_, Some(_)) if !changes.is_empty() => changes.iter().map(sentence).collect::<Vec<_>>().join("; "),
        (_, Some(_)) => "something changed since the last run".to_owned(),
        (_, None) => "it was not part of the last run".to_owned(),
    };
    let reason = if status == PreviewStatus::Miss && before.is_empty() && last.is_none() && reason.starts_with("it was")
    {
        "it has not been executed yet".to_owned()
    } else {
        reason
    };
    Ok(Preview { status, key: Some(key), fields, changes, reason, manifest })
}
