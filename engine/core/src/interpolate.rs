//! `${params.name}` in the leaves of a parsed document. A leaf that is nothing but one reference takes the value with
//! its type; inside a longer text the value is written out. `$${` stands for `${`. `${secret:NAME}` stays as it is: its
//! value is looked up when the stage that takes it runs.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Entry, Node, Sources, Span, Value};

/// The longest chain of parameters that refer to each other.
const MAX_CHAIN: usize = 64;
/// The most that references may put in place in one variant, in bytes: each may repeat what others have repeated.
const MAX_EXPANDED: usize = 16 << 20;

/// The parameters of a variant, with references among them resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params<'a> {
    /// The texts that references stand in.
    sources: Option<&'a Sources>,
    /// The names of all, those not yet resolved too.
    names: Vec<String>,
    values: BTreeMap<String, Node>,
    /// Those whose value cannot be known, since a reference in it leads nowhere or back to it: complained about once,
    /// not at every reference.
    broken: BTreeSet<String>,
    /// How many values could not be known so far.
    lost: Cell<usize>,
    /// How many bytes references have put in place so far.
    expanded: Cell<usize>,
}

impl<'t> Params<'t> {
    /// Resolves references among parameters; one that leads back to itself is a mistake.
    pub(crate) fn resolve(entries: &[Entry], sources: &'t Sources, diagnostics: &mut Diagnostics) -> Self {
        let raw: BTreeMap<&str, &Node> = entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
        let names = raw.keys().map(|&name| name.to_owned()).collect();
        let mut done = Self { sources: Some(sources), names, ..Self::default() };
        for name in raw.keys() {
            let mut path = Vec::new();
            visit(name, &raw, &mut done, &mut path, diagnostics);
        }
        done
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.values.get(name)
    }

    /// All parameters, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.values.iter().map(|(name, node)| (name.as_str(), node))
    }
}

fn visit<'a>(
    name: &'a str,
    raw: &BTreeMap<&'a str, &'a Node>,
    done: &mut Params<'_>,
    path: &mut Vec<&'a str>,
    diagnostics: &mut Diagnostics,
) {
    if done.values.contains_key(name) {
        return;
    }
    let Some(node) = raw.get(name) else { return };
    if let Some(start) = path.iter().position(|&seen| seen == name) {
        let cycle = path[start..].iter().chain([&name]).copied().collect::<Vec<_>>().join(" → ");
        diagnostics.push(Diagnostic::new(
            node.span,
            format!("the parameter `{name}` refers to itself: {cycle}"),
            "part of the cycle",
        ));
        done.broken.extend(path[start..].iter().map(|&name| name.to_owned()));
        return;
    }
    if path.len() == MAX_CHAIN {
        diagnostics.push(Diagnostic::new(
            node.span,
            format!("more than {MAX_CHAIN} parameters refer to each other in a chain"),
            "the chain is cut here",
        ));
        done.broken.insert(name.to_owned());
        return;
    }
    path.push(name);
    for reference in references(node) {
        if let Some((other, _)) = raw.get_key_value(reference.as_str()) {
            visit(other, raw, done, path, diagnostics);
        }
    }
    path.pop();
    let before = done.lost.get();
    let node = interpolate(node, done, diagnostics);
    if done.lost.get() > before {
        done.broken.insert(name.to_owned());
    }
    done.values.insert(name.to_owned(), node);
}

/// The parameters that the leaves of a node refer to.
pub(crate) fn references(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Str(text) => pieces(text)
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Reference { name, .. } => name.strip_prefix("params.").map(str::to_owned),
                _ => None,
            })
            .collect(),
        Value::Seq(items) => items.iter().flat_map(references).collect(),
        Value::Map(entries) => entries.iter().flat_map(|entry| references(&entry.value)).collect(),
        _ => Vec::new(),
    }
}

/// The node with every reference in its leaves replaced. Keys are left alone.
pub(crate) fn interpolate(node: &Node, params: &Params<'_>, diagnostics: &mut Diagnostics) -> Node {
    let value = match &node.value {
        Value::Str(text) if text.contains("${") => return leaf(node, text, params, diagnostics),
        Value::Seq(items) => Value::Seq(items.iter().map(|item| interpolate(item, params, diagnostics)).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|entry| Entry { value: interpolate(&entry.value, params, diagnostics), ..entry.clone() })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { value, ..*node }
}

fn leaf(node: &Node, text: &str, params: &Params<'_>, diagnostics: &mut Diagnostics) -> Node {
    let pieces = pieces(text);
    if let [Piece::Reference { name, at, len }] = pieces.as_slice() {
        if let Some(secret) = name.strip_prefix("secret:") {
            return if is_name(secret) {
                Node { value: Value::Str(format!("${{secret:{secret}}}")), ..*node }
            } else {
                diagnostics.push(Diagnostic::new(
                    within(node, *at, *len, params),
                    format!("`{secret}` is not the name of a secret"),
                    "expected the name of an environment variable: letters, digits and `_`",
                ));
                unknown(node, params, diagnostics)
            };
        }
        return match look_up(name, node, *at, *len, params, diagnostics) {
            Some(value) => Node { value: value.value.clone(), span: node.span, base: value.base },
            None => unknown(node, params, diagnostics),
        };
    }
    let mut out = String::with_capacity(text.len());
    let mut base = node.base;
    let mut known = true;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Unclosed { at } => {
                known = false;
                diagnostics.push(
                    Diagnostic::new(
                        within(node, *at, 2, params),
                        "`${` without a closing `}`",
                        "expected `${params.NAME}`",
                    )
                    .with_help("write `$${` for a literal `${`"),
                );
            }
            Piece::Reference { name, at, len } => {
                let Some(value) = look_up(name, node, *at, *len, params, diagnostics) else {
                    known = false;
                    continue;
                };
                if index == 0 {
                    base = value.base;
                }
                match &value.value {
                    Value::Str(text) => out.push_str(text),
                    Value::Bool(value) => out.push_str(&value.to_string()),
                    Value::Int(value) => out.push_str(&value.to_string()),
                    Value::UInt(value) => out.push_str(&value.to_string()),
                    Value::Float(value) => out.push_str(&value.to_string()),
                    Value::Null | Value::Seq(_) | Value::Map(_) => {
                        known = false;
                        diagnostics.push(Diagnostic::new(
                            within(node, *at, *len, params),
                            format!("`{name}` is {}, which cannot stand inside a text", value.describe()),
                            "text, a number or a boolean is needed",
                        ));
                    }
                }
            }
        }
    }
    if known { Node { value: Value::Str(out), span: node.span, base } } else { unknown(node, params, diagnostics) }
}

/// Whether a text can be the name of an environment variable.
fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    !text.is_empty() && text.bytes().all(word) && !text.as_bytes()[0].is_ascii_digit()
}

/// Nothing, in place of a value that cannot be known.
fn unknown(node: &Node, params: &Params<'_>, diagnostics: &mut Diagnostics) -> Node {
    params.lost.set(params.lost.get() + 1);
    diagnostics.set_unknown(node.span);
    Node { value: Value::Null, ..*node }
}

fn look_up<'a>(
    name: &str,
    node: &Node,
    at: usize,
    len: usize,
    params: &'a Params<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<&'a Node> {
    let span = within(node, at, len, params);
    let Some(param) = name.strip_prefix("params.") else {
        diagnostics.push(if let Some(secret) = name.strip_prefix("secret:") {
            Diagnostic::new(
                span,
                format!("the secret `{secret}` stands inside a longer text"),
                "a secret is the whole value of a parameter that takes one",
            )
        } else {
            Diagnostic::new(span, format!("`${{{name}}}` refers to nothing"), "expected `${params.NAME}`").suggest(
                name,
                params.names.iter().map(|name| format!("params.{name}")).collect::<Vec<_>>().iter().map(String::as_str),
            )
        });
        return None;
    };
    if params.broken.contains(param) {
        return None;
    }
    let value = params.get(param);
    if let Some(value) = value {
        let before = params.expanded.get();
        let expanded = before.saturating_add(size(value));
        params.expanded.set(expanded);
        if expanded > MAX_EXPANDED {
            if before <= MAX_EXPANDED {
                diagnostics.push(Diagnostic::new(
                    span,
                    format!("references repeat more than the {MAX_EXPANDED} bytes that they may"),
                    "no reference is replaced from here on",
                ));
            }
            return None;
        }
    } else {
        diagnostics.push_near(
            Diagnostic::new(span, format!("there is no parameter `{param}`"), "not declared under `params:`"),
            param,
            params.names.iter().map(String::as_str),
        );
    }
    value
}

/// The span of a part of a scalar that begins with `${`: where that part stands in the text as written, whatever
/// quotes, escapes or line breaks surround it; the whole scalar where it is not written like that.
fn within(node: &Node, at: usize, len: usize, params: &Params<'_>) -> Span {
    let found = || {
        let source = params.sources?.get(node.span.source)?;
        let written = source.text.get(node.span.start..node.span.start + node.span.len)?;
        let text = node.as_str()?;
        let part = text.get(at..at + len)?;
        let before = text.get(..at)?.matches("${").count();
        let (start, _) = written.match_indices("${").nth(before)?;
        written[start..].starts_with(part).then_some(Span { start: node.span.start + start, len, ..node.span })
    };
    found().unwrap_or(node.span)
}

/// About how many bytes a value takes.
fn size(node: &Node) -> usize {
    let inner = match &node.value {
        Value::Str(text) => text.len(),
        Value::Seq(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + size(&entry.value)).sum(),
        _ => 0,
    };
    size_of::<Node>() + inner
}

enum Piece {
    Text(String),
    Reference { name: String, at: usize, len: usize },
    Unclosed { at: usize },
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[..start].ends_with('$') {
            // `$${`: the dollar already taken into the literal stands for itself.
            literal.push_str(&text[at..start]);
            literal.push('{');
            at = start + 2;
            continue;
        }
        literal.push_str(&text[at..start]);
        if !literal.is_empty() {
            out.push(Piece::Text(std::mem::take(&mut literal)));
        }
        match text[start..].find('}') {
            Some(end) => {
                let name = text[start + 2..start + end].trim().to_owned();
                out.push(Piece::Reference { name, at: start, len: end + 1 });
                at = start + end + 1;
            }
            None => {
                out.push(Piece::Unclosed { at: start });
                at = text.len();
            }
        }
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        out.push(Piece::Text(literal));
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
