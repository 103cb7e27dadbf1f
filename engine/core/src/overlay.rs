//! Laying a variant, or an argument of the command line, over the workflow.

use crate::node::{Entry, Node, Value};

/// `over` laid over `under`: mappings are merged key by key, anything else is replaced. A null in `over` removes the
/// key.
pub(crate) fn overlay(under: &Node, over: &Node) -> Node {
    let (Value::Map(base), Value::Map(changes)) = (&under.value, &over.value) else { return over.clone() };
    let mut entries = base.clone();
    for change in changes {
        let at = entries.iter().position(|entry| entry.key == change.key);
        match (at, &change.value.value) {
            (Some(at), Value::Null) => {
                entries.remove(at);
            }
            (None, Value::Null) => {}
            (Some(at), _) => {
                let value = overlay(&entries[at].value, &change.value);
                entries[at] = Entry { key: change.key.clone(), key_span: change.key_span, value };
            }
            (None, _) => entries.push(change.clone()),
        }
    }
    Node { value: Value::Map(entries), ..*under }
}
