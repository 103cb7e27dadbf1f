//! YAML text to [`Node`]s, within limits that no workflow of a person reaches.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Entry, Node, Span, Value};

/// The largest workflow text, in bytes: a workflow of 10,000 stages takes about one megabyte.
pub const MAX_TEXT: usize = 16 << 20;
/// The longest single line or scalar, in bytes.
const MAX_SCALAR: usize = 64 << 10;
/// The most text that aliases may make of a document, in bytes.
const MAX_EXPANDED: usize = 32 << 20;
/// The deepest nesting. The reader takes some 32 KiB of stack for a level when it is not optimised, and a thread may
/// have no more than 2 MiB.
const MAX_DEPTH: usize = 32;

/// Reads the bytes of source number `source`. Duplicate keys are still there: see [`find_duplicates`].
pub(crate) fn read(bytes: &[u8], source: usize) -> Result<Node, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            // What comes before is the same in the text that is shown, where such bytes are replaced.
            let span = Span { source, start: error.valid_up_to(), len: 1 };
            diagnostics.push(
                Diagnostic::new(span, "the text is not UTF-8", "these bytes are no character")
                    .with_help("save the file with the encoding UTF-8"),
            );
            return Err(diagnostics);
        }
    };
    if text.len() > MAX_TEXT {
        diagnostics.push(Diagnostic::new(
            Span { source, start: 0, len: 1 },
            format!("the text is longer than the {MAX_TEXT} bytes that a workflow may have"),
            "keep data in files and name their path here",
        ));
        return Err(diagnostics);
    }
    if let Some((start, len)) = longest_line(text).filter(|(_, len)| *len > MAX_SCALAR) {
        diagnostics.push(Diagnostic::new(
            Span { source, start, len: 1 },
            format!("this line has {len} bytes, more than the {MAX_SCALAR} that one may have"),
            "keep data in files and name their path here",
        ));
        return Err(diagnostics);
    }
    EXPANDED.set(0);
    match serde_yaml::from_str_with_options::<Raw>(text, options()) {
        Ok(raw) => Ok(raw.into_node(source)),
        Err(error) => {
            diagnostics.push(syntax_error(&error, text, source));
            Err(diagnostics)
        }
    }
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 2_000_000,
            max_nodes: 1_000_000,
            max_depth: MAX_DEPTH,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 20_000,
            max_recorded_anchor_bytes: 1 << 20,
            max_total_scalar_bytes: MAX_TEXT,
            max_documents: 1,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

fn longest_line(text: &str) -> Option<(usize, usize)> {
    let start = text.as_ptr() as usize;
    text.lines().map(|line| (line.as_ptr() as usize - start, line.len())).max_by_key(|(_, len)| *len)
}

fn syntax_error(error: &serde_yaml::Error, text: &str, source: usize) -> Diagnostic {
    let location = error.location();
    let message = error.to_string();
    // The message repeats the place, which the diagnostic shows by itself.
    let message = match message.find(" at line ").or_else(|| message.find("error: line ")) {
        Some(end) if end > 0 => message[..end].to_owned(),
        _ => message.lines().next().unwrap_or_default().to_owned(),
    };
    let message = match limit(&message) {
        Some(limit) => limit,
        // Nothing but keys is read as text alone.
        None if message == "expected string scalar" => "a key must be a word, not a list or a mapping".to_owned(),
        None => format!("this is not valid YAML: {message}"),
    };
    match location {
        Some(location) if location.line() > 0 => {
            let start = offset_of(text, location.line() as usize, location.column() as usize);
            Diagnostic::new(Span { source, start, len: 1 }, message, "here")
        }
        _ => Diagnostic::new(Span { source, start: 0, len: 1 }, message, "somewhere in this text"),
    }
}

/// What the reader says about its limits, in words.
fn limit(message: &str) -> Option<String> {
    if message.contains("recursion limit") || message.contains("Depth {") {
        return Some(format!("the text is nested deeper than {MAX_DEPTH} levels"));
    }
    if message.contains("Documents {") {
        return Some("a second document begins here, but a workflow is one document".to_owned());
    }
    // Our own limits, in words already.
    if message.starts_with("a text of ") || message.starts_with("aliases make ") {
        return Some(message.to_owned());
    }
    let (_, breach) = message.split_once("budget breached: ")?;
    Some(if breach.contains("Anchor") || breach.contains("Alias") || breach.contains("ScalarBytes") {
        "aliases (`*name`) repeat more text than a workflow may hold".to_owned()
    } else {
        "the text holds more values than a workflow may".to_owned()
    })
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let within = text[start..].char_indices().nth(column.saturating_sub(1)).map_or(text.len() - start, |(at, _)| at);
    start + within
}

/// Complains about every key that stands twice in a mapping.
pub(crate) fn find_duplicates(node: &Node, diagnostics: &mut Diagnostics) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| find_duplicates(item, diagnostics)),
        Value::Map(entries) => {
            let mut seen: std::collections::HashMap<&str, Span> = std::collections::HashMap::new();
            for entry in entries {
                if seen.insert(&entry.key, entry.key_span).is_some() {
                    diagnostics.push(Diagnostic::new(
                        entry.key_span,
                        format!("the key `{}` stands twice in this mapping", entry.key),
                        "the second one",
                    ));
                }
                find_duplicates(&entry.value, diagnostics);
            }
        }
        _ => {}
    }
}

/// A value as the YAML reader gives it, with its position in characters and bytes.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(String),
    Seq(Vec<Raw>),
    Map(Vec<(Spanned<Key>, Raw)>),
}

/// A mapping key: any scalar, taken as text.
struct Key(String);

impl Raw {
    fn into_node(self, source: usize) -> Node {
        let span = span(&self.0.referenced, source);
        let value = match self.0.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => Value::Bool(value),
            RawValue::Int(value) => Value::Int(value),
            RawValue::UInt(value) => Value::UInt(value),
            RawValue::Float(value) => Value::Float(value),
            RawValue::Str(value) => Value::Str(value),
            RawValue::Seq(items) => Value::Seq(items.into_iter().map(|item| item.into_node(source)).collect()),
            RawValue::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key_span: self::span(&key.referenced, source),
                        key: key.value.0,
                        value: value.into_node(source),
                    })
                    .collect(),
            ),
        };
        Node { value, span, base: source }
    }
}

fn span(location: &serde_yaml::Location, source: usize) -> Span {
    let span = location.span();
    Span {
        source,
        start: span.byte_offset().unwrap_or_default() as usize,
        len: span.byte_len().unwrap_or_default() as usize,
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

thread_local! {
    /// How much text the reader has handed over. The reader's own limits count what aliases repeat in events, and an
    /// event may carry a long text.
    static EXPANDED: Cell<usize> = const { Cell::new(0) };
}

fn checked_text<E: de::Error>(text: String) -> Result<RawValue, E> {
    count_text(&text)?;
    Ok(RawValue::Str(text))
}

fn count_text<E: de::Error>(text: &str) -> Result<(), E> {
    let expanded = EXPANDED.get() + text.len();
    EXPANDED.set(expanded);
    if text.len() > MAX_SCALAR {
        return Err(E::custom(format!("a text of {} bytes, more than the {MAX_SCALAR} that one may have", text.len())));
    }
    if expanded > MAX_EXPANDED {
        return Err(E::custom(format!("aliases make the text longer than {MAX_EXPANDED} bytes")));
    }
    Ok(())
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(i64::try_from(value).map_or(RawValue::UInt(value), RawValue::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<RawValue, E> {
        checked_text(value.to_owned())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<RawValue, E> {
        checked_text(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text, not as a number: `1.0` and `1` are two keys, and `0x10` is not `16`.
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_else(|| "null".to_owned());
        count_text(&text)?;
        Ok(Self(text))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
