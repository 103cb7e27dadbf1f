//! The workflow as written: its sections, its variants, and the stages of one variant.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::compare::{self, CompareSpec};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::duration::{parse_bytes, parse_duration};
use crate::interpolate::{Params, interpolate};
use crate::node::{Entry, Node, Sources, Span, Value};
use crate::overlay::overlay;
use crate::{BASE, Registry, yaml};

/// The keys of a workflow.
pub(crate) const WORKFLOW_KEYS: &[&str] = &["workflow", "description", "params", "stages", "variants", "compare"];
/// The keys of a stage.
pub(crate) const STAGE_KEYS: &[&str] =
    &["uses", "inputs", "with", "description", "retries", "timeout", "resources", "when"];
/// The keys of a variant.
pub(crate) const VARIANT_KEYS: &[&str] = &["description", "params", "stages"];
const RESOURCE_KEYS: &[&str] = &["cpus", "memory"];

/// What a stage takes of the machine while it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Processor cores, at least 1.
    pub cpus: u32,
    /// Bytes of memory; 0 where nothing is declared.
    pub memory: u64,
}

/// A workflow file, split into its sections. Its stages are read for each variant by [`Workflow::plan`].
#[derive(Clone, Debug)]
pub struct Workflow {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) params: Vec<Entry>,
    pub(crate) stages: Node,
    pub(crate) variants: Vec<VariantSpec>,
    pub(crate) compare: Option<Node>,
    /// What is wrong with its sections: reported by [`Workflow::plan`] together with what is wrong inside stages.
    pub(crate) mistakes: Diagnostics,
}

/// A variant as written.
#[derive(Clone, Debug)]
pub(crate) struct VariantSpec {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    params: Vec<Entry>,
    stages: Option<Node>,
}

/// A stage of one variant, after overrides and interpolation.
#[derive(Clone, Debug)]
pub(crate) struct StageSpec {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) uses: String,
    pub(crate) uses_span: Span,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) inputs_span: Span,
    pub(crate) with: Node,
    pub(crate) description: Option<String>,
    pub(crate) retries: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) resources: Resources,
    pub(crate) when: bool,
}

/// One connection: `port: stage` or `port: stage.port`.
#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub(crate) port: String,
    pub(crate) port_span: Span,
    pub(crate) stage: String,
    pub(crate) stage_port: Option<String>,
    pub(crate) span: Span,
}

/// Everything that a variant says, resolved.
pub(crate) struct VariantParts<'a> {
    pub(crate) params: Params<'a>,
    pub(crate) stages: Vec<StageSpec>,
    pub(crate) compare: Option<CompareSpec>,
}

impl Workflow {
    /// Reads the text of a workflow, which is source number `source`.
    ///
    /// # Errors
    /// When it is not YAML, or no mapping. Every other mistake is found by [`Workflow::plan`].
    pub fn parse(bytes: &[u8], source: usize) -> Result<Self, Diagnostics> {
        let root = yaml::read(bytes, source)?;
        let mut diagnostics = Diagnostics::default();
        yaml::find_duplicates(&root, &mut diagnostics);
        if root.value == Value::Null {
            diagnostics.push(
                Diagnostic::new(Span { source, start: 0, len: 1 }, "the file is empty", "expected a workflow")
                    .with_help("`stagewright init` writes a small workflow to start from"),
            );
            return Err(diagnostics);
        }
        if !expect_map(&root, "a workflow", &mut diagnostics) {
            return Err(diagnostics);
        }
        known_keys(&root, WORKFLOW_KEYS, "a workflow", &mut diagnostics);
        let name = match root.get("workflow") {
            Some(node) => text(node, "the name of the workflow", &mut diagnostics).unwrap_or_default(),
            None => {
                diagnostics.push(Diagnostic::new(
                    Span { len: 1, ..root.span },
                    "the workflow has no name",
                    "expected `workflow: NAME`",
                ));
                String::new()
            }
        };
        let description = root.get("description").and_then(|node| text(node, "a description", &mut diagnostics));
        let params = section(&root, "params", &mut diagnostics).map(|node| node.entries().to_vec()).unwrap_or_default();
        let stages = match section(&root, "stages", &mut diagnostics) {
            Some(node) if !node.entries().is_empty() => node.clone(),
            _ => {
                if !root
                    .entries()
                    .iter()
                    .any(|entry| entry.key == "stages" && !matches!(entry.value.value, Value::Null | Value::Map(_)))
                {
                    let (span, label) = match root.key_span("stages") {
                        Some(span) => (span, "expected `NAME: { uses: STAGE_TYPE }` under it"),
                        None => (Span { len: 1, ..root.span }, "expected `stages:`"),
                    };
                    diagnostics.push(Diagnostic::new(span, "the workflow has no stages", label));
                }
                Node { value: Value::Map(Vec::new()), ..root }
            }
        };
        let mut variants: Vec<VariantSpec> = Vec::new();
        for entry in section(&root, "variants", &mut diagnostics).map_or(&[][..], |node| node.entries()) {
            check_name(&entry.key, entry.key_span, "variant", &mut diagnostics);
            if entry.key == BASE {
                diagnostics.push(Diagnostic::new(
                    entry.key_span,
                    "`base` is the workflow itself and cannot be overridden",
                    "choose another name",
                ));
            }
            variants.extend(VariantSpec::parse(entry, &params, &mut diagnostics));
        }
        let compare = root.get("compare").filter(|node| node.value != Value::Null).cloned();
        Ok(Self { name, description, params, stages, variants, compare, mistakes: diagnostics })
    }

    /// Adds mistakes to those that [`Workflow::plan`] reports.
    pub fn add_mistakes(&mut self, mistakes: Diagnostics) {
        self.mistakes.append(mistakes);
    }

    /// The name of the workflow.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the variants in the order written, after [`BASE`].
    pub fn variant_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(BASE).chain(self.variants.iter().map(|variant| variant.name.as_str()))
    }

    /// Overrides parameters with the entries of a mapping, as a file of parameters holds it: `country: France`.
    ///
    /// # Errors
    /// For a text that is no mapping, and for a parameter that the workflow does not have.
    pub fn override_params(&mut self, bytes: &[u8], source: usize) -> Result<(), Diagnostics> {
        let node = yaml::read(bytes, source)?;
        let mut diagnostics = Diagnostics::default();
        yaml::find_duplicates(&node, &mut diagnostics);
        if node.value != Value::Null && expect_map(&node, "a file of parameters", &mut diagnostics) {
            // A file may hold the parameters themselves or a `params:` section, as in a workflow.
            let node = match node.entries() {
                [only] if only.key == "params" && matches!(only.value.value, Value::Map(_)) => &only.value,
                _ => &node,
            };
            declared(node.entries(), &self.params, &mut diagnostics);
            merge_params(&mut self.params, node.entries());
        }
        if diagnostics.is_empty() { Ok(()) } else { Err(diagnostics) }
    }

    /// Overrides one value by an argument such as `params.country=France` or `stages.segments.with.k=3`; the value is
    /// read as YAML. Source number `source` holds the argument.
    ///
    /// # Errors
    /// For an argument of another shape, and for a path that the workflow does not have.
    pub fn set(&mut self, argument: &str, source: usize) -> Result<(), Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        let whole = Span { source, start: 0, len: argument.len() };
        let Some((path, value)) = argument.split_once('=') else {
            diagnostics.push(
                Diagnostic::new(whole, format!("`{argument}` sets nothing"), "expected `PATH=VALUE`")
                    .with_help("for example `--set params.country=France`"),
            );
            return Err(diagnostics);
        };
        let value_start = path.len() + 1;
        let mut node = yaml::read(value.as_bytes(), source).unwrap_or(Node {
            value: Value::Str(value.to_owned()),
            span: Span { source, start: 0, len: value.len() },
            base: source,
        });
        shift(&mut node, value_start);
        yaml::find_duplicates(&node, &mut diagnostics);
        let parts: Vec<&str> = path.split('.').collect();
        let span = Span { source, start: 0, len: path.len() };
        match parts.as_slice() {
            ["params", name] => {
                let entry = Entry {
                    key: (*name).to_owned(),
                    key_span: Span { start: 7, len: name.len(), ..span },
                    value: node,
                };
                declared(std::slice::from_ref(&entry), &self.params, &mut diagnostics);
                merge_params(&mut self.params, std::slice::from_ref(&entry));
            }
            ["stages", stage, "with", rest @ ..] if (1..=64).contains(&rest.len()) => {
                if self.stages.get(stage).is_none() {
                    diagnostics.push(
                        Diagnostic::new(
                            Span { start: 7, len: stage.len(), ..span },
                            format!("there is no stage `{stage}`"),
                            "not a stage of this workflow",
                        )
                        .suggest(stage, self.stages.entries().iter().map(|entry| entry.key.as_str())),
                    );
                } else {
                    let change = parts[1..].iter().rev().fold(node, |value, key| Node {
                        span: value.span,
                        base: source,
                        value: Value::Map(vec![Entry { key: (*key).to_owned(), key_span: span, value }]),
                    });
                    self.stages = overlay(&self.stages, &change);
                }
            }
            _ => diagnostics.push(
                Diagnostic::new(
                    span,
                    format!("`{path}` cannot be set"),
                    "expected `params.NAME` or `stages.NAME.with.PARAMETER`",
                )
                .suggest(
                    path,
                    self.params
                        .iter()
                        .map(|entry| format!("params.{}", entry.key))
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_str),
                ),
            ),
        }
        if diagnostics.is_empty() { Ok(()) } else { Err(diagnostics) }
    }

    pub(crate) fn variant(&self, name: &str) -> Option<&VariantSpec> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// The stages of a variant (`None`: the workflow itself) with its overrides applied and its references resolved.
    pub(crate) fn parts<'a>(
        &self,
        variant: Option<&VariantSpec>,
        registry: &Registry,
        sources: &'a Sources,
        diagnostics: &mut Diagnostics,
    ) -> VariantParts<'a> {
        let mut params = self.params.clone();
        let mut stages = std::borrow::Cow::Borrowed(&self.stages);
        if let Some(variant) = variant {
            merge_params(&mut params, &variant.params);
            if let Some(changes) = &variant.stages {
                stages = std::borrow::Cow::Owned(override_stages(&self.stages, changes, registry, diagnostics));
            }
        }
        let params = Params::resolve(&params, sources, diagnostics);
        let mut specs = Vec::with_capacity(stages.entries().len());
        for entry in stages.entries() {
            let node = interpolate(&entry.value, &params, diagnostics);
            specs.extend(StageSpec::parse(entry, &node, diagnostics));
        }
        let compare = self
            .compare
            .as_ref()
            .and_then(|node| compare::parse(&interpolate(node, &params, diagnostics), diagnostics));
        VariantParts { params, stages: specs, compare }
    }
}

impl VariantSpec {
    /// What the variant changes, leaf by leaf: a path such as `stages.recommend.uses`, and the value as YAML's JSON.
    pub(crate) fn changes(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for entry in &self.params {
            leaves(&format!("params.{}", entry.key), &entry.value, &mut out);
        }
        if let Some(stages) = &self.stages {
            leaves("stages", stages, &mut out);
        }
        out
    }

    fn parse(entry: &Entry, declared_params: &[Entry], diagnostics: &mut Diagnostics) -> Option<Self> {
        let node = &entry.value;
        if node.value != Value::Null && !expect_map(node, "a variant", diagnostics) {
            return None;
        }
        known_keys(node, VARIANT_KEYS, "a variant", diagnostics);
        let params = section(node, "params", diagnostics).map(|node| node.entries().to_vec()).unwrap_or_default();
        declared(&params, declared_params, diagnostics);
        Some(Self {
            name: entry.key.clone(),
            description: node.get("description").and_then(|node| text(node, "a description", diagnostics)),
            params,
            stages: section(node, "stages", diagnostics).cloned(),
        })
    }
}

/// The stages with a variant's changes. Where a change names another stage type, it keeps of the old parameters and
/// inputs those that the new type has too.
fn override_stages(stages: &Node, changes: &Node, registry: &Registry, diagnostics: &mut Diagnostics) -> Node {
    let mut under = stages.clone();
    let known: HashSet<&str> = stages.entries().iter().map(|entry| entry.key.as_str()).collect();
    let by_name: HashMap<&str, &Node> =
        changes.entries().iter().map(|change| (change.key.as_str(), &change.value)).collect();
    if let Value::Map(entries) = &mut under.value {
        for entry in entries.iter_mut() {
            let new_type = by_name.get(entry.key.as_str()).and_then(|change| change.get("uses")).and_then(Node::as_str);
            if let Some(new_type) = new_type
                && entry.value.get("uses").and_then(Node::as_str) != Some(new_type)
                && let Some(stage_type) = registry.get(new_type)
            {
                let descriptor = stage_type.descriptor();
                let has_param =
                    |name: &str| descriptor.params.get("properties").is_some_and(|all| all.get(name).is_some());
                let has_port = |name: &str| descriptor.inputs().any(|port| port.name == name);
                keep(&mut entry.value, "with", has_param);
                keep(&mut entry.value, "inputs", has_port);
            }
        }
    }
    let mut sound = Vec::with_capacity(changes.entries().len());
    for change in changes.entries() {
        let known = known.contains(change.key.as_str());
        if !known && change.value.value == Value::Null {
            diagnostics.push_near(
                Diagnostic::new(
                    change.key_span,
                    format!("there is no stage `{}` to remove", change.key),
                    "not a stage of this workflow",
                ),
                &change.key,
                stages.entries().iter().map(|entry| entry.key.as_str()),
            );
        } else if !known && change.value.get("uses").is_none() {
            diagnostics.push_near(
                Diagnostic::new(
                    change.key_span,
                    format!("there is no stage `{}` to override", change.key),
                    "a stage that the variant adds needs `uses:`",
                ),
                &change.key,
                stages.entries().iter().map(|entry| entry.key.as_str()),
            );
        } else {
            sound.push(change.clone());
        }
    }
    overlay(&under, &Node { value: Value::Map(sound), ..*changes })
}

fn keep(stage: &mut Node, section: &str, wanted: impl Fn(&str) -> bool) {
    let Value::Map(entries) = &mut stage.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == section)
        && let Value::Map(inner) = &mut entry.value.value
    {
        inner.retain(|entry| wanted(&entry.key));
    }
}

impl StageSpec {
    fn parse(entry: &Entry, node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        check_name(&entry.key, entry.key_span, "stage", diagnostics);
        let is_map = expect_map(node, "a stage", diagnostics);
        known_keys(node, STAGE_KEYS, "a stage", diagnostics);
        let uses_node = node.get("uses");
        if is_map && uses_node.is_none() {
            diagnostics.push(Diagnostic::new(
                entry.key_span,
                format!("the stage `{}` does not say what it uses", entry.key),
                "expected `uses: STAGE_TYPE`",
            ));
        }
        // Without a type it is still a stage that others may name: nothing more is said about it.
        let uses_node = uses_node.and_then(|node| Some((text(node, "a stage type", diagnostics)?, node.span)));
        let (uses, uses_span) = uses_node.unwrap_or((String::new(), entry.key_span));
        let inputs_node = section(node, "inputs", diagnostics);
        let inputs = inputs_node
            .map_or(&[][..], |node| node.entries())
            .iter()
            .filter_map(|entry| InputSpec::parse(entry, diagnostics))
            .collect();
        let with = section(node, "with", diagnostics).cloned().unwrap_or(Node {
            value: Value::Map(Vec::new()),
            span: entry.key_span,
            base: node.base,
        });
        Some(Self {
            name: entry.key.clone(),
            name_span: entry.key_span,
            uses,
            uses_span,
            inputs,
            inputs_span: node.key_span("inputs").unwrap_or(entry.key_span),
            with,
            description: node.get("description").and_then(|node| text(node, "a description", diagnostics)),
            retries: node
                .get("retries")
                .and_then(|node| small_integer(node, "retries", 0, 100, diagnostics))
                .unwrap_or(0),
            timeout: node.get("timeout").and_then(|node| timeout(node, diagnostics)),
            resources: resources(node, diagnostics),
            when: node.get("when").is_none_or(|node| condition(node, diagnostics)),
        })
    }
}

impl InputSpec {
    fn parse(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<Self> {
        let reference = text(&entry.value, "`stage` or `stage.port`", diagnostics)?;
        let (stage, stage_port) = match reference.split_once('.') {
            Some((stage, port)) => (stage.to_owned(), Some(port.to_owned())),
            None => (reference, None),
        };
        Some(Self { port: entry.key.clone(), port_span: entry.key_span, stage, stage_port, span: entry.value.span })
    }
}

fn leaves(path: &str, node: &Node, out: &mut Vec<(String, String)>) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            entries.iter().for_each(|entry| leaves(&format!("{path}.{}", entry.key), &entry.value, out));
        }
        Value::Str(text) => out.push((path.to_owned(), text.clone())),
        _ => out.push((path.to_owned(), node.to_json().to_string())),
    }
}

/// The section of this name if it is there and not null; a mistake if it is no mapping.
fn section<'a>(node: &'a Node, key: &str, diagnostics: &mut Diagnostics) -> Option<&'a Node> {
    let section = node.get(key).filter(|node| node.value != Value::Null)?;
    expect_map(section, &format!("`{key}`"), diagnostics).then_some(section)
}

pub(crate) fn expect_map(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> bool {
    let is_map = matches!(node.value, Value::Map(_));
    if !is_map {
        diagnostics.push(Diagnostic::new(
            node.span,
            format!("{what} must be a mapping, this is {}", node.describe()),
            "expected `KEY: VALUE`",
        ));
    }
    is_map
}

pub(crate) fn known_keys(node: &Node, keys: &[&str], what: &str, diagnostics: &mut Diagnostics) {
    for entry in node.entries() {
        if !keys.contains(&entry.key.as_str()) {
            diagnostics.push(
                Diagnostic::new(entry.key_span, format!("{what} has no key `{}`", entry.key), "unknown key")
                    .suggest(&entry.key, keys.iter().copied()),
            );
        }
    }
}

/// The text of a scalar; an integer counts as the text it is written as.
pub(crate) fn text(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    match &node.value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        _ if reported(node, diagnostics) => None,
        _ => {
            diagnostics.push(Diagnostic::new(
                node.span,
                format!("{what} cannot be {}", node.describe()),
                "expected text",
            ));
            None
        }
    }
}

/// Whether nothing stands here since a reference led nowhere, which was complained about.
pub(crate) fn reported(node: &Node, diagnostics: &Diagnostics) -> bool {
    node.value == Value::Null && diagnostics.is_unknown(node.span)
}

fn small_integer(node: &Node, what: &str, min: i64, max: i64, diagnostics: &mut Diagnostics) -> Option<u32> {
    match node.value {
        Value::Int(value) if (min..=max).contains(&value) => u32::try_from(value).ok(),
        _ if reported(node, diagnostics) => None,
        _ => {
            diagnostics.push(Diagnostic::new(
                node.span,
                format!("`{what}` must be an integer from {min} to {max}"),
                match node.value {
                    Value::Int(value) => format!("this is {value}"),
                    _ => format!("this is {}", node.describe()),
                },
            ));
            None
        }
    }
}

fn timeout(node: &Node, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let parsed = match &node.value {
        Value::Str(text) => parse_duration(text),
        Value::Int(seconds) => parse_duration(&seconds.to_string()),
        Value::Float(seconds) => parse_duration(&seconds.to_string()),
        _ => None,
    };
    if parsed.is_none() && !reported(node, diagnostics) {
        diagnostics.push(Diagnostic::new(node.span, "`timeout` is not a duration", "expected `30s`, `5m` or `1h 30m`"));
    }
    parsed
}

fn resources(stage: &Node, diagnostics: &mut Diagnostics) -> Resources {
    let mut resources = Resources { cpus: 1, memory: 0 };
    let Some(node) = section(stage, "resources", diagnostics) else { return resources };
    known_keys(node, RESOURCE_KEYS, "`resources`", diagnostics);
    if let Some(cpus) = node.get("cpus") {
        resources.cpus = small_integer(cpus, "cpus", 1, 1024, diagnostics).unwrap_or(1);
    }
    if let Some(memory) = node.get("memory") {
        let bytes = match &memory.value {
            Value::Str(text) => parse_bytes(text),
            Value::Int(bytes) => u64::try_from(*bytes).ok(),
            _ => None,
        };
        match bytes {
            Some(bytes) => resources.memory = bytes,
            None if reported(memory, diagnostics) => {}
            None => diagnostics.push(Diagnostic::new(
                memory.span,
                "`memory` is not an amount of memory",
                "expected `2GiB`, `500MB` or a number of bytes",
            )),
        }
    }
    resources
}

fn condition(node: &Node, diagnostics: &mut Diagnostics) -> bool {
    match node.value {
        Value::Bool(value) => value,
        // A reference that leads nowhere has been reported.
        Value::Null => true,
        _ => {
            diagnostics.push(Diagnostic::new(
                node.span,
                format!("`when` must be true or false, this is {}", node.describe()),
                "expected a boolean, such as `${params.with_segments}`",
            ));
            true
        }
    }
}

fn check_name(name: &str, span: Span, what: &str, diagnostics: &mut Diagnostics) {
    let valid = name.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_')
        && name.chars().all(|c| {
            c.is_alphanumeric() || matches!(c, '_' | '-') || (what == "variant" && matches!(c, '=' | '.' | ','))
        });
    if !valid {
        diagnostics.push(Diagnostic::new(
            span,
            format!("`{name}` cannot be the name of a {what}"),
            "expected letters, digits, `_` and `-`, beginning with a letter or digit",
        ));
    }
}

/// Complains about every entry that overrides a parameter the workflow does not declare.
fn declared(entries: &[Entry], params: &[Entry], diagnostics: &mut Diagnostics) {
    for entry in entries {
        if !params.iter().any(|param| param.key == entry.key) {
            diagnostics.push(
                Diagnostic::new(
                    entry.key_span,
                    format!("the workflow has no parameter `{}`", entry.key),
                    "not declared under `params:`",
                )
                .suggest(&entry.key, params.iter().map(|param| param.key.as_str())),
            );
        }
    }
}

fn merge_params(params: &mut Vec<Entry>, over: &[Entry]) {
    for entry in over {
        match params.iter_mut().find(|param| param.key == entry.key) {
            Some(param) => *param = entry.clone(),
            None => params.push(entry.clone()),
        }
    }
}

/// Moves the spans of a value read from the tail of an argument.
fn shift(node: &mut Node, by: usize) {
    node.span.start += by;
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Map(entries) => {
            for entry in entries {
                entry.key_span.start += by;
                shift(&mut entry.value, by);
            }
        }
        _ => {}
    }
}

impl Params<'_> {
    /// The parameters as one JSON object.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        self.iter()
            .map(|(name, node)| (name.to_owned(), node.to_json()))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
