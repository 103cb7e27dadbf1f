//! Laying a variant, or an argument of the command line, over the workflow.

use std::collections::{HashMap, HashSet};

use crate::node::{Entry, Node, Value};

/// `over` laid over `under`: mappings are merged key by key, anything else is replaced. A null in `over` removes the
/// key.
pub(crate) fn overlay(under: &Node, over: &Node) -> Node {
    let (Value::Map(base), Value::Map(changes)) = (&under.value, &over.value) else { return over.clone() };
    let changes_by_key: HashMap<&str, &Entry> = changes.iter().map(|change| (change.key.as_str(), change)).collect();
    let base_keys: HashSet<&str> = base.iter().map(|entry| entry.key.as_str()).collect();
    let changed = base.iter().filter_map(|entry| match changes_by_key.get(entry.key.as_str()) {
        None => Some(entry.clone()),
        Some(change) if change.value.value == Value::Null => None,
        Some(change) => {
            let value = overlay(&entry.value, &change.value);
            Some(Entry { key: change.key.clone(), key_span: change.key_span, value })
        }
    });
    let is_new = |change: &&Entry| !base_keys.contains(change.key.as_str()) && change.value.value != Value::Null;
    let entries = changed.chain(changes.iter().filter(is_new).cloned()).collect();
    Node { value: Value::Map(entries), ..*under }
}
