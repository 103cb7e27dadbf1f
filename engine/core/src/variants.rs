//! Variants as written: what each one changes, which other one it extends, and the members of its sweep.

use std::collections::HashMap;
use std::sync::Arc;

use crate::BASE;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Entry, Node, Span, Value};
use crate::spec::{check_name, declared, expect_map, known_keys, section, text};
use crate::sweep::{self, Sweep};

/// The keys of a variant.
pub(crate) const VARIANT_KEYS: &[&str] =
    &["description", "extends", "params", "stages", sweep::GRID, sweep::ZIP, sweep::RANDOM];
/// The most variants that a workflow may have, members of sweeps and repeats counted.
pub(crate) const MAX_VARIANTS: usize = 10_000;
/// The longest chain of variants that extend each other.
const MAX_CHAIN: usize = 64;

/// Changes that are laid over the workflow together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) params: Vec<Entry>,
    pub(crate) stages: Option<Node>,
}

/// One variant: what is written under a name, or a member of the sweep that is.
#[derive(Clone, Debug)]
pub(crate) struct VariantSpec {
    pub(crate) name: String,
    /// The name under `variants:` that it comes from.
    pub(crate) declared: String,
    pub(crate) description: Option<String>,
    /// What it changes, in the order in which it is laid over the workflow: the changes of the variant that it extends,
    /// its own, those of its place in the sweep.
    pub(crate) layers: Vec<Arc<Layer>>,
}

/// An entry of `variants:`.
struct Declared<'a> {
    entry: &'a Entry,
    description: Option<String>,
    extends: Option<(String, Span)>,
    layer: Arc<Layer>,
    sweep: Option<Sweep>,
}

/// Reads the entries of `variants:`, of a workflow with these parameters and stages.
pub(crate) fn parse(
    entries: &[Entry],
    params: &[Entry],
    stages: &[Entry],
    diagnostics: &mut Diagnostics,
) -> Vec<VariantSpec> {
    let mut all: Vec<Declared<'_>> = Vec::with_capacity(entries.len());
    for entry in entries {
        check_name(&entry.key, entry.key_span, "variant", diagnostics);
        if entry.key == BASE {
            diagnostics.push(Diagnostic::new(
                entry.key_span,
                "`base` is the workflow itself and cannot be overridden",
                "choose another name",
            ));
        }
        let node = &entry.value;
        if node.value != Value::Null && !expect_map(node, "a variant", diagnostics) {
            continue;
        }
        known_keys(node, VARIANT_KEYS, "a variant", diagnostics);
        let changed = section(node, "params", diagnostics).map(|node| node.entries().to_vec()).unwrap_or_default();
        declared(&changed, params, diagnostics);
        all.push(Declared {
            entry,
            description: node.get("description").and_then(|node| text(node, "a description", diagnostics)),
            extends: node
                .get("extends")
                .and_then(|node| Some((text(node, "the name of a variant", diagnostics)?, node.span))),
            layer: Arc::new(Layer { params: changed, stages: section(node, "stages", diagnostics).cloned() }),
            sweep: Sweep::parse(node, params, stages, diagnostics),
        });
    }
    let by_name: HashMap<&str, usize> =
        all.iter().enumerate().map(|(at, declared)| (declared.entry.key.as_str(), at)).collect();
    check_extends(&all, &by_name, diagnostics);
    let mut variants = Vec::new();
    for (at, Declared { entry, description, sweep, .. }) in all.iter().enumerate() {
        let layers = layers(at, &all, &by_name);
        let spec = |name: String, own: &[Arc<Layer>]| VariantSpec {
            name,
            declared: entry.key.clone(),
            description: description.clone(),
            layers: layers.iter().chain(own).cloned().collect(),
        };
        match sweep {
            None => variants.push(spec(entry.key.clone(), &[])),
            Some(sweep) if variants.len() + sweep.len() > MAX_VARIANTS => {
                let count = variants.len() + sweep.len();
                diagnostics.push(Diagnostic::new(
                    entry.key_span,
                    format!("up to here the workflow has {count} variants"),
                    format!("at most {MAX_VARIANTS} are possible"),
                ));
                break;
            }
            Some(sweep) => variants
                .extend(sweep.members().into_iter().map(|(member, own)| spec(format!("{}/{member}", entry.key), &own))),
        }
    }
    variants
}

/// Complains about every `extends:` that leads nowhere, to a sweep, or back to where it came from.
fn check_extends(all: &[Declared<'_>], by_name: &HashMap<&str, usize>, diagnostics: &mut Diagnostics) {
    for (at, Declared { entry, extends, .. }) in all.iter().enumerate() {
        let Some((name, span)) = extends else { continue };
        match by_name.get(name.as_str()) {
            None if name == BASE => {}
            None => diagnostics.push(
                Diagnostic::new(*span, format!("there is no variant `{name}`"), "not declared under `variants:`")
                    .suggest(name, by_name.keys().copied().filter(|other| *other != entry.key).chain([BASE])),
            ),
            Some(&other) if all[other].sweep.is_some() => diagnostics.push(
                Diagnostic::new(*span, format!("`{name}` is a sweep and cannot be extended"), "expected one variant")
                    .with_help("declare what both share as a variant, and let both extend it"),
            ),
            Some(_) => {}
        }
        let way = ancestry(at, all, by_name);
        if way.order.len() > MAX_CHAIN {
            diagnostics.push(Diagnostic::new(
                *span,
                format!("more than {MAX_CHAIN} variants extend each other in a chain"),
                "the chain is cut",
            ));
        }
        // Told once, at the first of those that extend each other.
        if let (Some(back), Some(first)) = (way.cycle, way.order.iter().min())
            && back == at
            && *first == at
        {
            let names: Vec<&str> = way.order.iter().chain([&at]).map(|&at| all[at].entry.key.as_str()).collect();
            diagnostics.push(
                Diagnostic::new(
                    *span,
                    format!("the variants extend each other: {}", names.join(" → ")),
                    "part of the cycle",
                )
                .with_help("let one of them extend none of the others"),
            );
        }
    }
}

struct Ancestry {
    /// The variant, the one that it extends, and so on.
    order: Vec<usize>,
    /// Which of them the last one extends, if the way leads back.
    cycle: Option<usize>,
}

fn ancestry(at: usize, all: &[Declared<'_>], by_name: &HashMap<&str, usize>) -> Ancestry {
    let mut order = vec![at];
    let mut seen = std::collections::HashSet::from([at]);
    let next = |at: usize| by_name.get(all[at].extends.as_ref()?.0.as_str()).copied();
    let mut last = at;
    while let Some(other) = next(last).filter(|_| order.len() <= MAX_CHAIN) {
        if !seen.insert(other) {
            return Ancestry { order, cycle: Some(other) };
        }
        order.push(other);
        last = other;
    }
    Ancestry { order, cycle: None }
}

/// What a variant changes: first what the one that it extends does.
fn layers(at: usize, all: &[Declared<'_>], by_name: &HashMap<&str, usize>) -> Vec<Arc<Layer>> {
    ancestry(at, all, by_name).order.into_iter().rev().map(|at| Arc::clone(&all[at].layer)).collect()
}

impl VariantSpec {
    /// What the variant changes, leaf by leaf: a path such as `stages.recommend.uses`, and the value as YAML's JSON.
    /// Where it changes something twice, the last value counts.
    pub(crate) fn changes(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for Layer { params, stages } in self.layers.iter().map(Arc::as_ref) {
            for entry in params {
                leaves(&format!("params.{}", entry.key), &entry.value, &mut found);
            }
            if let Some(stages) = stages {
                leaves("stages", stages, &mut found);
            }
        }
        let mut out: Vec<(String, String)> = Vec::with_capacity(found.len());
        let mut places: HashMap<String, usize> = HashMap::new();
        for (path, value) in found {
            match places.get(&path) {
                Some(&place) => out[place].1 = value,
                None => {
                    places.insert(path.clone(), out.len());
                    out.push((path, value));
                }
            }
        }
        out
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
