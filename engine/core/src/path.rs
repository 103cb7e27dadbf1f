//! The places that a sweep or an argument of the command line changes: `params.NAME`, `stages.NAME.with.PARAMETER` (and
//! what is inside it) and `stages.NAME.uses`.

use crate::diagnostic::Diagnostic;
use crate::node::{Entry, Node, Span, Value};
use crate::variants::Layer;

/// How deep a path may lead.
const MAX_PARTS: usize = 64;

/// What a path has to look like, as messages say it.
pub(crate) const EXPECTED: &str = "expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses`";

/// A path, taken apart: each name with its place in the text.
#[derive(Clone, Debug)]
pub(crate) struct OverridePath {
    parts: Vec<(String, Span)>,
}

impl OverridePath {
    /// Takes a path apart; `None` for one of another shape. `span` is where it is written: if that is the path itself
    /// and not a quoted text, each name has a place of its own.
    pub(crate) fn parse(path: &str, span: Span) -> Option<Self> {
        let mut start = span.start;
        let exact = span.len == path.len();
        let parts: Vec<(String, Span)> = path
            .split('.')
            .map(|part| {
                let place = if exact { Span { start, len: part.len(), ..span } } else { span };
                start += part.len() + 1;
                (part.to_owned(), place)
            })
            .collect();
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let known = match names.as_slice() {
            ["params", _] | ["stages", _, "uses"] => true,
            ["stages", _, "with", rest @ ..] => (1..=MAX_PARTS).contains(&rest.len()),
            _ => false,
        };
        (known && !names.contains(&"")).then_some(Self { parts })
    }

    /// The stage that it leads into, and where that is named.
    pub(crate) fn stage(&self) -> Option<&(String, Span)> {
        (self.parts[0].0 == "stages").then(|| &self.parts[1])
    }

    /// Whether it leads to the type of a stage.
    pub(crate) fn is_type(&self) -> bool {
        self.stage().is_some() && self.parts.len() == 3
    }

    /// The names that tell what it changes, the last one the most telling.
    pub(crate) fn telling(&self) -> Vec<&str> {
        let names = self.parts.iter().map(|(name, _)| name.as_str());
        match self.stage() {
            None => names.collect(),
            Some(_) => names.enumerate().filter(|(at, _)| !matches!(at, 0 | 2)).map(|(_, name)| name).collect(),
        }
    }

    /// The change that puts a value there.
    pub(crate) fn change(&self, value: Node) -> Layer {
        let entry =
            |(key, key_span): &(String, Span), value: Node| Entry { key: key.clone(), key_span: *key_span, value };
        if self.stage().is_none() {
            return Layer { params: vec![entry(&self.parts[1], value)], stages: None };
        }
        let stages = self.parts[1..].iter().rev().fold(value, |value, part| Node {
            span: value.span,
            base: value.base,
            value: Value::Map(vec![entry(part, value)]),
        });
        Layer { params: Vec::new(), stages: Some(stages) }
    }
}

/// Says that a text is not a path, with the nearest of those that are written in the workflow.
pub(crate) fn unknown(path: &str, span: Span, params: &[Entry], stages: &[Entry]) -> Diagnostic {
    let mut paths: Vec<String> = params.iter().map(|entry| format!("params.{}", entry.key)).collect();
    for stage in stages {
        paths.push(format!("stages.{}.uses", stage.key));
        let with = stage.value.get("with").map_or(&[][..], Node::entries);
        paths.extend(with.iter().map(|entry| format!("stages.{}.with.{}", stage.key, entry.key)));
    }
    Diagnostic::new(span, format!("`{path}` cannot be set"), EXPECTED).suggest(path, paths.iter().map(String::as_str))
}
