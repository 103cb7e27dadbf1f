//! From variants as written to their stages: changes laid over the workflow, references replaced. What many variants
//! have in common is done once, so that a thousand of them take little more than one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::Registry;
use crate::compare::{self, CompareSpec};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::interpolate::{Params, interpolate, references};
use crate::node::{Entry, Node, Sources, Span, Value};
use crate::overlay::overlay;
use crate::spec::{StageSpec, Workflow, merge_params};
use crate::variants::VariantSpec;

/// Everything that a variant says, resolved.
pub(crate) struct VariantParts<'a> {
    pub(crate) params: Params<'a>,
    /// Its stages. What several variants have in common is the same allocation.
    pub(crate) stages: Vec<Arc<StageSpec>>,
    /// The stages that it removes, and where.
    pub(crate) removed: BTreeMap<String, Span>,
}

/// Resolves the variants of a workflow, one after the other.
pub(crate) struct Resolver<'a> {
    workflow: &'a Workflow,
    registry: &'a Registry,
    sources: &'a Sources,
    /// The stages of the workflow itself.
    base: Vec<Arc<Entry>>,
    /// Stages with a change laid over them, by the addresses of both.
    changed: HashMap<(usize, usize), Arc<Entry>>,
    /// Stages with references replaced, by the address of the stage and the values.
    specs: HashMap<(usize, String), Arc<StageSpec>>,
    /// Which parameters stages refer to, by their address.
    references: HashMap<usize, Vec<String>>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(workflow: &'a Workflow, registry: &'a Registry, sources: &'a Sources) -> Self {
        Self {
            workflow,
            registry,
            sources,
            base: workflow.stages.entries().iter().cloned().map(Arc::new).collect(),
            changed: HashMap::new(),
            specs: HashMap::new(),
            references: HashMap::new(),
        }
    }

    /// The stages of a variant (`None`: the workflow itself), repeated with a seed where one is given.
    pub(crate) fn parts(
        &mut self,
        variant: Option<&VariantSpec>,
        seed: Option<u64>,
        diagnostics: &mut Diagnostics,
    ) -> VariantParts<'a> {
        let mut params = self.workflow.params.clone();
        let mut stages = self.base.clone();
        let mut removed = BTreeMap::new();
        let own = variant.into_iter().flat_map(|variant| &variant.layers);
        for layer in self.workflow.overrides.iter().chain(own) {
            merge_params(&mut params, &layer.params);
            if let Some(changes) = &layer.stages {
                self.lay_over(&mut stages, changes, &mut removed, diagnostics);
            }
        }
        if let (Some(seed), Some((_, span))) = (seed, self.workflow.seeds) {
            let value = i64::try_from(seed).map_or(Value::UInt(seed), Value::Int);
            let value = Node { value, span, base: span.source };
            merge_params(&mut params, &[Entry { key: "seed".to_owned(), key_span: span, value }]);
        }
        let params = Params::resolve(&params, self.sources, diagnostics);
        let stages = stages.iter().map(|stage| self.spec(stage, &params, diagnostics)).collect();
        VariantParts { params, stages, removed }
    }

    /// What the variants are compared by: with the parameters of the workflow itself.
    pub(crate) fn compare(&self, params: &Params<'_>, diagnostics: &mut Diagnostics) -> Option<CompareSpec> {
        let node = self.workflow.compare.as_ref()?;
        compare::parse(&interpolate(node, params, diagnostics), diagnostics)
    }

    fn spec(&mut self, stage: &Arc<Entry>, params: &Params<'_>, diagnostics: &mut Diagnostics) -> Arc<StageSpec> {
        let address = Arc::as_ptr(stage).addr();
        let names = self.references.entry(address).or_insert_with(|| references(&stage.value));
        let mut values = String::new();
        for value in names.iter().map(|name| params.get(name)) {
            match value {
                Some(value) => values.push_str(&format!("{}:{}\n", value.base, value.to_json())),
                None => values.push('\n'),
            }
        }
        let spec = self.specs.entry((address, values)).or_insert_with(|| {
            Arc::new(StageSpec::parse(stage, &interpolate(&stage.value, params, diagnostics), diagnostics))
        });
        Arc::clone(spec)
    }

    /// Lays changes over the stages of a variant. Where a change names another stage type, it keeps of the old
    /// parameters and inputs those that the new type has too.
    fn lay_over(
        &mut self,
        stages: &mut Vec<Arc<Entry>>,
        changes: &Node,
        removed: &mut BTreeMap<String, Span>,
        diagnostics: &mut Diagnostics,
    ) {
        let places: HashMap<String, usize> =
            stages.iter().enumerate().map(|(place, stage)| (stage.key.clone(), place)).collect();
        let mut gone: HashSet<usize> = HashSet::new();
        let mut added: Vec<Arc<Entry>> = Vec::new();
        for change in changes.entries() {
            let place = places.get(&change.key).copied();
            let null = change.value.value == Value::Null;
            match place {
                Some(place) if null => {
                    gone.insert(place);
                    removed.insert(change.key.clone(), change.key_span);
                }
                Some(place) => stages[place] = self.changed(&stages[place], change),
                None if null || change.value.get("uses").is_none() => {
                    let (what, label) = if null {
                        ("remove", "not a stage of this workflow")
                    } else {
                        ("override", "a stage that the variant adds needs `uses:`")
                    };
                    let mistake = Diagnostic::new(
                        change.key_span,
                        format!("there is no stage `{}` to {what}", change.key),
                        label,
                    );
                    match removed.get(&change.key) {
                        Some(span) => diagnostics
                            .push(mistake.with_help(format!("it was removed at {}", self.sources.locate(*span)))),
                        None => diagnostics.push_near(mistake, &change.key, places.keys().map(String::as_str)),
                    }
                }
                None => {
                    removed.remove(&change.key);
                    added.push(self.added(change));
                }
            }
        }
        if !gone.is_empty() {
            let mut place = 0..;
            stages.retain(|_| place.next().is_none_or(|place| !gone.contains(&place)));
        }
        stages.append(&mut added);
    }

    fn changed(&mut self, stage: &Arc<Entry>, change: &Entry) -> Arc<Entry> {
        let addresses = (Arc::as_ptr(stage).addr(), std::ptr::from_ref(change).addr());
        if let Some(known) = self.changed.get(&addresses) {
            return Arc::clone(known);
        }
        let mut under = stage.value.clone();
        if let Some(new_type) = change.value.get("uses").and_then(Node::as_str)
            && under.get("uses").and_then(Node::as_str) != Some(new_type)
            && let Some(stage_type) = self.registry.get(new_type)
        {
            let descriptor = stage_type.descriptor();
            let has_param = |name: &str| descriptor.params.get("properties").is_some_and(|all| all.get(name).is_some());
            let has_port = |name: &str| descriptor.open.is_some() || descriptor.inputs().any(|port| port.name == name);
            keep(&mut under, "with", has_param);
            keep(&mut under, "inputs", has_port);
        }
        let value = overlay(&under, &change.value);
        let changed = Arc::new(Entry { key: change.key.clone(), key_span: change.key_span, value });
        self.changed.insert(addresses, Arc::clone(&changed));
        changed
    }

    /// A stage that a variant adds. Nulls in it stand for what is not there.
    fn added(&mut self, change: &Entry) -> Arc<Entry> {
        let added = || Arc::new(change.clone());
        Arc::clone(self.changed.entry((0, std::ptr::from_ref(change).addr())).or_insert_with(added))
    }
}

fn keep(stage: &mut Node, section: &str, wanted: impl Fn(&str) -> bool) {
    let Value::Map(entries) = &mut stage.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == section)
        && let Value::Map(inner) = &mut entry.value.value
    {
        inner.retain(|entry| wanted(&entry.key));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::testing::{registry, sources};

    #[test]
    fn ten_thousand_changes_to_ten_thousand_stages_are_laid_over_soon() {
        let mut text = String::from("workflow: w\nstages:\n");
        (0..10_000).for_each(|n| text += &format!("  s{n}: {{ uses: fake.read, with: {{ path: a }} }}\n"));
        text += "variants:\n  v:\n    stages:\n";
        (0..10_000).for_each(|n| text += &format!("      s{n}: {{ with: {{ path: b }} }}\n"));
        let began = std::time::Instant::now();
        let workflow = Workflow::parse(text.as_bytes(), 0).unwrap();
        let (registry, sources) = (registry(), sources(&text));
        let mut resolver = Resolver::new(&workflow, &registry, &sources);
        let parts = resolver.parts(workflow.variants.first(), None, &mut Diagnostics::default());
        assert_eq!(parts.stages.len(), 10_000);
        assert_eq!(parts.stages[9_999].json["path"], "b");
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
