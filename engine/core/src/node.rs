//! The tree of a YAML document in which every value knows where it was written.

use std::path::PathBuf;

/// A place in one of the [`Sources`]: byte offsets into its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Which source.
    pub source: usize,
    /// The first byte.
    pub start: usize,
    /// The number of bytes.
    pub len: usize,
}

/// A text that values came from: the workflow file, a file of parameters, or an argument of the command line.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// What to call it in messages: a path, or `--set`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The folder that relative paths written in it start from.
    pub base: PathBuf,
}

/// All the texts of one command, the workflow first.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<SourceText>);

impl Sources {
    /// Adds a text and says what number it has.
    pub fn add(&mut self, source: SourceText) -> usize {
        self.0.push(source);
        self.0.len() - 1
    }

    /// The text a span points into.
    pub fn get(&self, source: usize) -> Option<&SourceText> {
        self.0.get(source)
    }

    /// `file:line:column`, both counted from one, the column in characters.
    pub fn locate(&self, span: Span) -> String {
        let Some(source) = self.0.get(span.source) else { return String::new() };
        let (line, column) = line_and_column(&source.text, span.start);
        format!("{}:{line}:{column}", source.name)
    }
}

/// The line and the column (in characters) of a byte offset, both counted from one.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
    /// The source whose folder a relative path in this value starts from. It differs from the span's source after
    /// interpolation: `${params.data}/x.csv` starts where the value of `data` was written.
    pub base: usize,
}

/// A YAML value of the core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above the range of `Int`.
    UInt(u64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text.
    Str(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping, in the order written; duplicates are still there.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, with an article, as messages say it.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::UInt(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Str(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value as JSON. Numbers that JSON does not have (`.inf`, `.nan`) become null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => (*value).into(),
            Value::UInt(value) => (*value).into(),
            Value::Float(value) => serde_json::Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Str(value) => Json::String(value.clone()),
            Value::Seq(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// The node at a path such as `columns/0/name`, or the deepest one on the way to it.
    pub fn at_path<'a>(&'a self, path: &str) -> &'a Node {
        let mut node = self;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Map(_) => node.get(&part),
                Value::Seq(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Where the key of a mapping's entry stands.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| entry.key_span)
    }
}
