//! The workflow as written: its sections, its variants, and the stages of one variant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::duration::{parse_bytes, parse_duration};
use crate::interpolate::Params;
use crate::node::{Entry, Node, Span, Value};
use crate::path::{self, OverridePath};
use crate::plugins::{self, PluginSpec};
use crate::variants::{self, Layer, VariantSpec};
use crate::{BASE, yaml};

/// The keys of a workflow.
pub(crate) const WORKFLOW_KEYS: &[&str] =
    &["workflow", "description", "params", "stages", "variants", "seeds", "compare", "plugins"];
/// The keys of a stage.
pub(crate) const STAGE_KEYS: &[&str] =
    &["uses", "inputs", "with", "description", "retries", "timeout", "resources", "when"];
const RESOURCE_KEYS: &[&str] = &["cpus", "memory"];
/// The most repeats of a variant.
const MAX_SEEDS: u64 = 1_000;
/// The seed where none is written: see [`stagewright_contract::stage_seed`].
const DEFAULT_SEED: u64 = 42;

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
    /// What the command line changes of the stages, for every variant and under what the variant changes.
    pub(crate) overrides: Vec<Arc<Layer>>,
    pub(crate) variants: Vec<VariantSpec>,
    /// How many times each variant is run, each time with the next seed, and where that is said.
    pub(crate) seeds: Option<(u64, Span)>,
    pub(crate) compare: Option<Node>,
    pub(crate) plugins: Vec<PluginSpec>,
    /// What is wrong with its sections: reported by [`Workflow::plan`] together with what is wrong inside stages.
    pub(crate) mistakes: Diagnostics,
}

/// What a variant is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantName {
    /// The name that is its alone: `popular`, `sweep/k=3`, or with repeats `popular#43`.
    pub name: String,
    /// The name that its repeats have in common: the variant's name without the seed.
    pub group: String,
    /// The name under `variants:` that it comes from, such as `sweep`; [`BASE`] for the workflow itself.
    pub declared: String,
    /// The seed, where the workflow asks for repeats with `seeds:`.
    pub seed: Option<u64>,
}

impl VariantName {
    /// Everything that it is called, its own name first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let mut names = vec![self.name.as_str(), self.group.as_str(), self.declared.as_str()];
        names.dedup();
        names.into_iter()
    }
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
    /// The same as JSON.
    pub(crate) json: Json,
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
        let variants = variants::parse(
            section(&root, "variants", &mut diagnostics).map_or(&[], Node::entries),
            &params,
            stages.entries(),
            &mut diagnostics,
        );
        let seeds =
            root.get("seeds").filter(|node| node.value != Value::Null).and_then(|node| seeds(node, &mut diagnostics));
        let compare = root.get("compare").filter(|node| node.value != Value::Null).cloned();
        let plugins = plugins::parse(root.get("plugins"), &mut diagnostics);
        let overrides = Vec::new();
        Ok(Self {
            name,
            description,
            params,
            stages,
            overrides,
            variants,
            seeds,
            compare,
            plugins,
            mistakes: diagnostics,
        })
    }

    /// The libraries that it takes stage types from.
    pub fn plugins(&self) -> &[PluginSpec] {
        &self.plugins
    }

    /// Adds mistakes to those that [`Workflow::plan`] reports.
    pub fn add_mistakes(&mut self, mistakes: Diagnostics) {
        self.mistakes.append(mistakes);
    }

    /// The mistakes that were found so far, for a command that makes no plan.
    pub fn take_mistakes(&mut self) -> Diagnostics {
        std::mem::take(&mut self.mistakes)
    }

    /// The name of the workflow.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the variants are called, in the order written, after [`BASE`]; repeats of one follow each other.
    pub fn variant_names(&self) -> Vec<VariantName> {
        self.repeats().into_iter().map(|(_, name)| name).collect()
    }

    /// Every variant (`None`: the workflow itself) as often as it is repeated, with what it is called then.
    pub(crate) fn repeats(&self) -> Vec<(Option<&VariantSpec>, VariantName)> {
        let mut out = Vec::new();
        for variant in std::iter::once(None).chain(self.variants.iter().map(Some)) {
            let group = variant.map_or(BASE, |variant| &variant.name);
            let declared = variant.map_or(BASE, |variant| &variant.declared).to_owned();
            let name =
                |name: String, seed| VariantName { name, group: group.to_owned(), declared: declared.clone(), seed };
            match self.seeds {
                None => out.push((variant, name(group.to_owned(), None))),
                Some((count, _)) => {
                    let first = self.first_seed(variant).unwrap_or(DEFAULT_SEED);
                    for seed in (0..count).map(|repeat| first.saturating_add(repeat)) {
                        out.push((variant, name(format!("{group}#{seed}"), Some(seed))));
                    }
                }
            }
        }
        out
    }

    /// The seed that a variant's repeats begin with.
    ///
    /// # Errors
    /// The value that is written for it, if that is no number.
    pub(crate) fn first_seed<'a>(&'a self, variant: Option<&'a VariantSpec>) -> Result<u64, &'a Node> {
        let own = variant.into_iter().flat_map(|variant| variant.layers.iter().rev()).map(|layer| &layer.params);
        let seed = own.chain([&self.params]).find_map(|params| params.iter().find(|entry| entry.key == "seed"));
        match seed.map(|entry| (&entry.value, &entry.value.value)) {
            None => Ok(DEFAULT_SEED),
            Some((_, Value::UInt(seed))) => Ok(*seed),
            Some((node, Value::Int(seed))) => u64::try_from(*seed).map_err(|_| node),
            Some((node, _)) => Err(node),
        }
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

    /// Overrides one value by an argument such as `params.country=France`, `stages.segments.with.k=3`,
    /// `stages.segments.uses=segment.dbscan` or `seeds=5`; the value is read as YAML. Source number `source` holds the argument.
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
        let span = Span { source, start: 0, len: path.len() };
        if path == "seeds" {
            self.seeds = seeds(&node, &mut diagnostics);
        } else if let Some(found) = OverridePath::parse(path, span) {
            let change = found.change(node);
            declared(&change.params, &self.params, &mut diagnostics);
            merge_params(&mut self.params, &change.params);
            match found.stage() {
                Some((stage, span)) if self.stages.get(stage).is_none() => diagnostics.push(
                    Diagnostic::new(*span, format!("there is no stage `{stage}`"), "not a stage of this workflow")
                        .suggest(stage, self.stages.entries().iter().map(|entry| entry.key.as_str())),
                ),
                Some(_) => self.overrides.push(Arc::new(Layer { params: Vec::new(), ..change })),
                None => {}
            }
        } else {
            diagnostics.push(path::unknown(path, span, &self.params, self.stages.entries()));
        }
        if diagnostics.is_empty() { Ok(()) } else { Err(diagnostics) }
    }
}

/// How many times each variant is run.
fn seeds(node: &Node, diagnostics: &mut Diagnostics) -> Option<(u64, Span)> {
    Some((whole_number(node, "seeds", 1, MAX_SEEDS, diagnostics)?, node.span))
}

impl StageSpec {
    pub(crate) fn parse(entry: &Entry, node: &Node, diagnostics: &mut Diagnostics) -> Self {
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
        Self {
            name: entry.key.clone(),
            name_span: entry.key_span,
            uses,
            uses_span,
            inputs,
            inputs_span: node.key_span("inputs").unwrap_or(entry.key_span),
            json: with.to_json(),
            with,
            description: node.get("description").and_then(|node| text(node, "a description", diagnostics)),
            retries: node
                .get("retries")
                .and_then(|node| small_integer(node, "retries", 0, 100, diagnostics))
                .unwrap_or(0),
            timeout: node.get("timeout").and_then(|node| timeout(node, diagnostics)),
            resources: resources(node, diagnostics),
            when: node.get("when").is_none_or(|node| condition(node, diagnostics)),
        }
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

/// The section of this name if it is there and not null; a mistake if it is no mapping.
pub(crate) fn section<'a>(node: &'a Node, key: &str, diagnostics: &mut Diagnostics) -> Option<&'a Node> {
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

/// A whole number that is written as one.
pub(crate) fn whole_number(node: &Node, what: &str, min: u64, max: u64, diagnostics: &mut Diagnostics) -> Option<u64> {
    let value = match node.value {
        Value::Int(value) => u64::try_from(value).ok(),
        Value::UInt(value) => Some(value),
        _ => None,
    };
    let found = value.filter(|value| (min..=max).contains(value));
    if found.is_none() {
        let range = if max == u64::MAX { format!("from {min}") } else { format!("from {min} to {max}") };
        let label = match node.value {
            Value::Int(value) => format!("this is {value}"),
            Value::UInt(value) => format!("this is {value}"),
            _ => format!("this is {}", node.describe()),
        };
        diagnostics.push(Diagnostic::new(node.span, format!("`{what}` must be an integer {range}"), label));
    }
    found
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

pub(crate) fn check_name(name: &str, span: Span, what: &str, diagnostics: &mut Diagnostics) {
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
pub(crate) fn declared(entries: &[Entry], params: &[Entry], diagnostics: &mut Diagnostics) {
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

pub(crate) fn merge_params(params: &mut Vec<Entry>, over: &[Entry]) {
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
    pub(crate) fn to_json(&self) -> Json {
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
