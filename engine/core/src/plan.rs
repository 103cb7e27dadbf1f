//! The plan: every variant's stages with their types, ports, parameters and files resolved, and each piece of work that
//! variants share planned once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use petgraph::Direction::Incoming;
use serde_json::Value as Json;
use stagewright_contract::{ConfiguredStage, Digest, Kind, ParamError, PersonalColumns, SecretUse, StageType};

use crate::compare::CompareSpec;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Sources, Span};
use crate::privacy::{Connection, Flow};
use crate::resolve::{Resolver, VariantParts};
use crate::spec::{InputSpec, Resources, StageSpec, VariantName, Workflow, reported};
use crate::variants::{MAX_VARIANTS, VariantSpec};
use crate::{BASE, Registry, privacy, secrets, validate};

/// The most stages of a cycle that a message names.
const MAX_CYCLE: usize = 12;

/// A node's place in [`Plan::nodes`].
pub type NodeId = usize;

/// What there is to execute.
#[derive(Debug)]
pub struct Plan {
    /// The workflow's name.
    pub workflow: String,
    /// What it says about itself.
    pub description: Option<String>,
    /// The variants, in the order written.
    pub variants: Vec<PlannedVariant>,
    /// The work, each piece after what it depends on.
    pub nodes: Vec<PlanNode>,
    /// What the variants are compared by.
    pub compare: Option<CompareSpec>,
}

/// One variant of a plan.
#[derive(Debug)]
pub struct PlannedVariant {
    /// Its name; [`BASE`] for the workflow itself. A member of a sweep is called after the sweep and the values that
    /// differ, such as `sweep/k=3`; a repeat after the variant and the seed, such as `popular#43`.
    pub name: String,
    /// What its repeats have in common: its name without the seed.
    pub group: String,
    /// Its seed, where the workflow asks for repeats with `seeds:`.
    pub seed: Option<u64>,
    /// What it says about itself.
    pub description: Option<String>,
    /// What it changes, leaf by leaf: a path such as `stages.recommend.uses`, and the value.
    pub changes: Vec<(String, String)>,
    /// Its parameters, resolved.
    pub params: Json,
    /// Its stages in the order written. Several variants may name one node.
    pub stages: Vec<(String, NodeId)>,
}

/// One piece of work: a stage of one or more variants.
#[derive(Clone)]
pub struct PlanNode {
    /// The name of the stage.
    pub stage: String,
    /// What the workflow says about it.
    pub description: Option<String>,
    /// The first variant that has it.
    pub variant: String,
    /// Its type.
    pub stage_type: StageType,
    /// Its parameters, ready to run.
    pub configured: Arc<dyn ConfiguredStage>,
    /// What is connected to its inputs, sorted by port.
    pub inputs: Vec<PlannedInput>,
    /// Its outputs.
    pub outputs: Vec<(String, Kind)>,
    /// The files it reads.
    pub sources: Vec<PlannedSource>,
    /// The secrets it uses, by name.
    pub secrets: Vec<SecretUse>,
    /// The columns of its outputs that may be personal, by port.
    pub personal: PersonalColumns,
    /// The seed, for a type that draws random numbers.
    pub seed: Option<u64>,
    /// What it takes of the machine.
    pub resources: Resources,
    /// How often to try again after an error of the environment.
    pub retries: u32,
    /// How long one try may take.
    pub timeout: Option<Duration>,
    /// What `when:` says.
    pub enabled: bool,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedInput {
    /// The input.
    pub port: String,
    /// Whose output is connected to it.
    pub node: NodeId,
    /// Which output.
    pub from: String,
    /// What passes.
    pub kind: Kind,
}

/// The files of one source parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSource {
    /// The parameter.
    pub param: &'static str,
    /// The path or pattern that it holds.
    pub pattern: String,
    /// The folder that a relative one starts from.
    pub base: PathBuf,
    /// The files, sorted by path; none where there may be none.
    pub files: Vec<PathBuf>,
}

/// A source that could not be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Finds the files of a source: its pattern, and the folder a relative one starts from.
pub type FindFiles<'a> = dyn Fn(&Path, &str) -> Result<Vec<PathBuf>, NotFound> + 'a;

impl Plan {
    /// The variant of this name, or the first of the repeats of it.
    pub fn variant(&self, name: &str) -> Option<&PlannedVariant> {
        let named = self.variants.iter().find(|variant| variant.name == name);
        named.or_else(|| self.variants.iter().find(|variant| variant.group == name))
    }

    /// Whether a node belongs to the workflow itself, or to the first of its repeats: then its variant need not be named
    /// beside the stage.
    pub fn is_of_base(&self, node: &PlanNode) -> bool {
        self.variants.first().is_some_and(|first| first.group == BASE && first.name == node.variant)
    }
}

impl Workflow {
    /// Plans the variants that `wanted` says yes to, by any of their names ([`crate::VariantName::all`]).
    ///
    /// # Errors
    /// Every mistake in any of them.
    pub fn plan(
        &self,
        registry: &Registry,
        sources: &Sources,
        wanted: &dyn Fn(&str) -> bool,
        find: &FindFiles<'_>,
    ) -> Result<Plan, Diagnostics> {
        let mut diagnostics = self.mistakes.clone();
        let count = (1 + self.variants.len() as u64).saturating_mul(self.seeds.map_or(1, |(count, _)| count));
        if let Some((_, span)) = self.seeds
            && count > MAX_VARIANTS as u64
        {
            diagnostics.push(Diagnostic::new(
                span,
                format!("with so many repeats the workflow has {count} variants"),
                format!("at most {MAX_VARIANTS} are possible"),
            ));
            return Err(diagnostics);
        }
        let mut resolver = Resolver::new(self, registry, sources);
        let base = resolver.parts(None, None, &mut diagnostics);
        let compare = resolver.compare(&base.params, &mut diagnostics);
        self.check_compare(compare.as_ref(), &base.stages, registry, &mut diagnostics);
        self.check_seeds(&mut diagnostics);
        let mut builder = Builder::new(registry, sources, find);
        let mut variants = Vec::new();
        // All variants are checked, wanted or not: a mistake is found whichever is run. The wanted ones come first, so
        // that what they need are the first nodes.
        let (wanted, others): (Vec<_>, Vec<_>) =
            self.repeats().into_iter().partition(|(_, name)| name.all().any(wanted));
        for (spec, name) in &wanted {
            let (params, stages) = self.plan_variant(*spec, name, &mut resolver, &mut builder, &mut diagnostics);
            let description = spec.map_or(&self.description, |spec| &spec.description).clone();
            let mut changes = spec.map(VariantSpec::changes).unwrap_or_default();
            if let Some(seed) = name.seed {
                changes.retain(|(path, _)| path != "params.seed");
                changes.push(("params.seed".to_owned(), seed.to_string()));
            }
            let VariantName { name, group, declared: _, seed } = name.clone();
            variants.push(PlannedVariant { name, group, seed, description, changes, params, stages });
        }
        let needed = builder.nodes.len();
        for (spec, name) in &others {
            self.plan_variant(*spec, name, &mut resolver, &mut builder, &mut diagnostics);
        }
        builder.nodes.truncate(needed);
        if diagnostics.is_empty() {
            Ok(Plan {
                workflow: self.name.clone(),
                description: self.description.clone(),
                variants,
                nodes: builder.nodes,
                compare,
            })
        } else {
            Err(diagnostics)
        }
    }

    /// Adds a variant's stages to the plan; gives its parameters and which node each stage is.
    fn plan_variant(
        &self,
        spec: Option<&VariantSpec>,
        name: &VariantName,
        resolver: &mut Resolver<'_>,
        builder: &mut Builder<'_>,
        diagnostics: &mut Diagnostics,
    ) -> (Json, Vec<(String, NodeId)>) {
        let parts = resolver.parts(spec, name.seed, diagnostics);
        let params = parts.params.to_json();
        if let Some(seed) = parts.params.get("seed")
            && params["seed"].as_u64().is_none()
            && !reported(seed, diagnostics)
        {
            diagnostics.push(Diagnostic::new(
                seed.span,
                "`params.seed` is the seed of every random draw",
                format!("expected an integer from 0, this is {}", seed.describe()),
            ));
        }
        let stages = builder.variant(&name.name, &parts, &params, diagnostics);
        (params, stages)
    }

    /// Repeats begin with a seed that is written as a number.
    fn check_seeds(&self, diagnostics: &mut Diagnostics) {
        if self.seeds.is_none() {
            return;
        }
        for variant in std::iter::once(None).chain(self.variants.iter().map(Some)) {
            if let Err(node) = self.first_seed(variant) {
                diagnostics.push(
                    Diagnostic::new(
                        node.span,
                        "with `seeds`, `params.seed` is the seed of the first repeat",
                        format!("expected an integer from 0, this is {}", node.describe()),
                    )
                    .with_help("write it as a number, not as a reference"),
                );
            }
        }
    }

    fn check_compare(
        &self,
        compare: Option<&CompareSpec>,
        stages: &[Arc<StageSpec>],
        registry: &Registry,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(compare) = compare else { return };
        let groups = || std::iter::once(BASE).chain(self.variants.iter().map(|variant| variant.name.as_str()));
        if !groups().any(|group| group == compare.baseline) {
            diagnostics.push(
                Diagnostic::new(
                    compare.baseline_span,
                    format!("there is no variant `{}`", compare.baseline),
                    "not declared under `variants:`",
                )
                .suggest(&compare.baseline, groups()),
            );
        }
        for metric in &compare.metrics {
            let Some(stage) = stages.iter().find(|stage| stage.name == metric.stage) else {
                diagnostics.push_near(
                    Diagnostic::new(
                        metric.span,
                        format!("there is no stage `{}`", metric.stage),
                        "not a stage of this workflow",
                    ),
                    &metric.stage,
                    stages.iter().map(|stage| stage.name.as_str()),
                );
                continue;
            };
            let has_metrics = registry.get(&stage.uses).is_none_or(|stage_type| {
                stage_type.descriptor().outputs(&stage.json).any(|port| port.kind == Kind::Metrics)
            });
            if !has_metrics {
                diagnostics.push(Diagnostic::new(
                    metric.span,
                    format!("the stage `{}` puts out no metrics", metric.stage),
                    "expected a stage of a type such as `evaluate.ranking`",
                ));
            }
        }
    }
}

struct Builder<'a> {
    registry: &'a Registry,
    sources: &'a Sources,
    find: &'a FindFiles<'a>,
    nodes: Vec<PlanNode>,
    by_definition: HashMap<Digest, NodeId>,
    /// Whether stages are sound, by their address and those of the stages connected to them. What variants have in
    /// common has one address as long as the resolver lives, and it outlives the builder's use.
    checked: HashMap<Vec<usize>, bool>,
    /// The nodes of stages that were planned, by address, seed and inputs.
    placed: HashMap<(usize, Option<u64>, Vec<NodeId>), NodeId>,
}

impl<'a> Builder<'a> {
    fn new(registry: &'a Registry, sources: &'a Sources, find: &'a FindFiles<'a>) -> Self {
        Self {
            registry,
            sources,
            find,
            nodes: Vec::new(),
            by_definition: HashMap::new(),
            checked: HashMap::new(),
            placed: HashMap::new(),
        }
    }

    /// Adds a variant's stages to the plan.
    fn variant(
        &mut self,
        variant: &str,
        parts: &VariantParts<'_>,
        params: &Json,
        diagnostics: &mut Diagnostics,
    ) -> Vec<(String, NodeId)> {
        let VariantParts { params: _, stages, removed } = parts;
        let by_name: HashMap<&str, usize> =
            stages.iter().enumerate().map(|(index, stage)| (stage.name.as_str(), index)).collect();
        let before = diagnostics.len();
        let address = |stage: &Arc<StageSpec>| Arc::as_ptr(stage).addr();
        let mut sound = Vec::with_capacity(stages.len());
        for stage in stages {
            let connected =
                |input: &InputSpec| by_name.get(input.stage.as_str()).map_or(0, |&from| address(&stages[from]));
            let addresses: Vec<usize> =
                [address(stage)].into_iter().chain(stage.inputs.iter().map(connected)).collect();
            let known = self.checked.get(&addresses).copied();
            let is_sound = known.unwrap_or_else(|| self.check_stage(stage, stages, &by_name, removed, diagnostics));
            self.checked.insert(addresses, is_sound);
            sound.push(is_sound);
        }
        let Some(order) = topological(stages, &by_name, diagnostics) else { return Vec::new() };
        let mut ids: Vec<Option<NodeId>> = vec![None; stages.len()];
        let mut flow = Flow::new(stages.len());
        for index in order {
            let stage = &stages[index];
            if !sound[index] {
                continue; // The parameters were complained about.
            }
            // A connection that leads nowhere is a mistake, which was found above.
            let connections: Vec<(&InputSpec, usize, String, Kind)> = stage
                .inputs
                .iter()
                .filter_map(|input| {
                    let from = *by_name.get(input.stage.as_str())?;
                    let (port, kind) = output(&stages[from], self.registry, input)?;
                    Some((input, from, port, kind))
                })
                .collect();
            let inputs: Option<Vec<NodeId>> = connections.iter().map(|(_, from, ..)| ids[*from]).collect();
            let seeded = self.registry.get(&stage.uses).is_some_and(|stage_type| stage_type.descriptor().seeded);
            let seed = seeded.then(|| stagewright_contract::stage_seed(params));
            let place = inputs.clone().map(|inputs| (address(stage), seed, inputs));
            let connections_only: Vec<Connection<'_>> =
                connections.iter().map(|(input, from, port, _)| (*input, *from, port.clone())).collect();
            if let Some(&id) = place.as_ref().and_then(|place| self.placed.get(place)) {
                flow.follow(index, &connections_only, self.nodes[id].personal.clone());
                ids[index] = Some(id);
                continue;
            }
            let Some(mut node) = self.stage(stage, seed, diagnostics) else { continue };
            let connected = connections.iter().map(|(input, _, _, kind)| (input.port.clone(), *kind)).collect();
            if let Err(error) = node.configured.check_inputs(&connected) {
                diagnostics.push(param_mistake(stage, error));
                continue;
            }
            node.personal = flow.through(index, node.configured.as_ref(), &connections_only);
            privacy::check(&flow, stages, index, node.configured.as_ref(), &connections_only, diagnostics);
            let (Some(inputs), Some(place)) = (inputs, place) else { continue };
            if diagnostics.len() > before {
                continue;
            }
            variant.clone_into(&mut node.variant);
            node.inputs = connections
                .iter()
                .zip(inputs)
                .map(|((input, _, port, kind), node)| PlannedInput {
                    port: input.port.clone(),
                    node,
                    from: port.clone(),
                    kind: *kind,
                })
                .collect();
            node.inputs.sort_by(|a, b| a.port.cmp(&b.port));
            let digest = definition(&node);
            let next = self.nodes.len();
            let id = *self.by_definition.entry(digest).or_insert(next);
            if id == next {
                self.nodes.push(node);
            }
            self.placed.insert(place, id);
            ids[index] = Some(id);
        }
        stages.iter().zip(ids).filter_map(|(stage, id)| Some((stage.name.clone(), id?))).collect()
    }

    /// The type, parameters and connections of a stage. Says whether the type is known and its schema accepts the
    /// parameters.
    fn check_stage(
        &self,
        stage: &StageSpec,
        stages: &[Arc<StageSpec>],
        by_name: &HashMap<&str, usize>,
        removed: &BTreeMap<String, Span>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        if stage.uses.is_empty() && stage.uses_span == stage.name_span {
            return false; // It has no type: complained about.
        }
        let Some(stage_type) = self.registry.get(&stage.uses) else {
            diagnostics.push(
                Diagnostic::new(
                    stage.uses_span,
                    format!("there is no stage type `{}`", stage.uses),
                    "unknown stage type",
                )
                .suggest(&stage.uses, self.registry.names()),
            );
            return false;
        };
        let accepted = validate::params(stage, self.registry, diagnostics);
        let descriptor = stage_type.descriptor();
        for input in &stage.inputs {
            let port = descriptor.inputs().find(|port| port.name == input.port);
            if port.is_none() && descriptor.open.is_none() {
                let names: Vec<&str> = descriptor.inputs().map(|port| port.name.as_str()).collect();
                let mistake = Diagnostic::new(
                    input.port_span,
                    format!("`{}` has no input `{}`", stage.uses, input.port),
                    "unknown input",
                );
                diagnostics.push(if names.is_empty() {
                    mistake.with_help(format!("`{}` takes no inputs", stage.uses))
                } else {
                    mistake.suggest(&input.port, names)
                });
                continue;
            }
            let Some(&from) = by_name.get(input.stage.as_str()) else {
                if let Some(span) = removed.get(&input.stage) {
                    let place = self.sources.locate(*span);
                    diagnostics.push(
                        Diagnostic::new(
                            input.span,
                            format!("the stage `{}` is needed here, and removed by a variant", input.stage),
                            format!("an input of `{}`", stage.name),
                        )
                        .with_help(format!(
                            "it is removed at {place}: connect the variant's `{}` to another stage, or remove it too",
                            stage.name
                        )),
                    );
                    continue;
                }
                diagnostics.push_near(
                    Diagnostic::new(
                        input.span,
                        format!("there is no stage `{}`", input.stage),
                        "not a stage of this workflow",
                    ),
                    &input.stage,
                    by_name.keys().copied(),
                );
                continue;
            };
            let Some(from_type) = self.registry.get(&stages[from].uses) else { continue };
            let outputs: Vec<(String, Kind)> =
                from_type.descriptor().outputs(&stages[from].json).map(|port| (port.name.clone(), port.kind)).collect();
            let found = match &input.stage_port {
                Some(name) => outputs.iter().find(|(port, _)| port == name),
                None if outputs.len() == 1 => outputs.first(),
                None => {
                    let choices =
                        outputs.iter().map(|(port, _)| format!("`{}.{port}`", input.stage)).collect::<Vec<_>>();
                    diagnostics.push(
                        Diagnostic::new(
                            input.span,
                            format!("the stage `{}` has {} outputs", input.stage, outputs.len()),
                            "which one?",
                        )
                        .with_help(format!("write one of {}", choices.join(", "))),
                    );
                    continue;
                }
            };
            match (found, &input.stage_port) {
                (Some((name, kind)), _) => {
                    if let Some(port) = port.filter(|port| port.kind != *kind) {
                        diagnostics.push(Diagnostic::new(
                            input.span,
                            format!(
                                "`{}.{name}` is of kind {kind}, but the input `{}` takes {}",
                                input.stage, input.port, port.kind
                            ),
                            format!("expected an output of kind {}", port.kind),
                        ));
                    }
                }
                (None, Some(name)) => diagnostics.push(
                    Diagnostic::new(
                        input.span,
                        format!("the stage `{}` has no output `{name}`", input.stage),
                        format!("not an output of `{}` with these parameters", stages[from].uses),
                    )
                    .suggest(name, outputs.iter().map(|(port, _)| port.as_str())),
                ),
                _ => {}
            }
        }
        for port in descriptor.inputs().filter(|port| !port.optional) {
            if !stage.inputs.iter().any(|input| input.port == port.name) {
                let span: Span = if stage.inputs.is_empty() { stage.name_span } else { stage.inputs_span };
                diagnostics.push(
                    Diagnostic::new(
                        span,
                        format!("the input `{}` of the stage `{}` is not connected", port.name, stage.name),
                        format!("expected `inputs: {{ {}: STAGE }}`", port.name),
                    )
                    .with_help(format!("`{}`: {}", port.name, port.doc)),
                );
            }
        }
        accepted
    }

    /// The stage configured, and its files found; without its connections.
    fn stage(&self, stage: &StageSpec, seed: Option<u64>, diagnostics: &mut Diagnostics) -> Option<PlanNode> {
        let stage_type = self.registry.get(&stage.uses)?.clone();
        let descriptor = Arc::clone(stage_type.descriptor());
        let configured = match stage_type.configure(&stage.json) {
            Ok(configured) => configured,
            Err(error) => {
                diagnostics.push(param_mistake(stage, error));
                return None;
            }
        };
        let mut sources = Vec::new();
        for source in configured.sources() {
            let node = stage.with.at_path(source.param);
            let base = self.sources.get(node.base).map(|source| source.base.clone()).unwrap_or_default();
            match (self.find)(&base, &source.pattern) {
                Ok(files) => sources.push(PlannedSource { param: source.param, pattern: source.pattern, base, files }),
                Err(_) if source.optional => {
                    sources.push(PlannedSource {
                        param: source.param,
                        pattern: source.pattern,
                        base,
                        files: Vec::new(),
                    });
                }
                Err(error) => {
                    let diagnostic = Diagnostic::new(node.span, error.message, "expected a file that is there");
                    diagnostics.push(match source.help.map(str::to_owned).or(error.help) {
                        Some(help) => diagnostic.with_help(help),
                        None => diagnostic,
                    });
                }
            }
        }
        let mut secrets = configured.secrets();
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        secrets::check(stage, configured.params(), &secrets, diagnostics);
        let outputs = descriptor.outputs(&stage.json).map(|port| (port.name.clone(), port.kind)).collect();
        let StageSpec {
            name,
            name_span: _,
            uses: _,
            uses_span: _,
            inputs: _,
            inputs_span: _,
            with: _,
            json: _,
            description,
            retries,
            timeout,
            resources,
            when,
        } = stage;
        Some(PlanNode {
            stage: name.clone(),
            description: description.clone(),
            variant: String::new(),
            stage_type,
            configured,
            inputs: Vec::new(),
            outputs,
            sources,
            secrets,
            personal: PersonalColumns::new(),
            seed,
            resources: *resources,
            retries: *retries,
            timeout: *timeout,
            enabled: *when,
        })
    }
}

/// A parameter that has the right type but cannot be used, where it stands.
fn param_mistake(stage: &StageSpec, error: ParamError) -> Diagnostic {
    let node = stage.with.at_path(&error.path);
    let span = if error.path.is_empty() { stage.uses_span } else { node.span };
    let diagnostic = Diagnostic::new(span, error.message, format!("in the parameters of `{}`", stage.uses));
    match error.help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}

/// The output of a stage that a connection takes: its name and kind.
fn output(from: &StageSpec, registry: &Registry, input: &InputSpec) -> Option<(String, Kind)> {
    let stage_type = registry.get(&from.uses)?;
    let mut outputs = stage_type.descriptor().outputs(&from.json);
    let port = match &input.stage_port {
        Some(name) => outputs.find(|port| &port.name == name)?,
        None => outputs.next()?,
    };
    Some((port.name.clone(), port.kind))
}

/// A hash of what a stage is and of what is connected to it: stages of two variants with equal definitions are one
/// node. What is connected is known by the number of its node, which stands for its own definition.
fn definition(node: &PlanNode) -> Digest {
    let PlanNode {
        stage,
        description: _,
        variant: _,
        stage_type,
        configured,
        inputs,
        outputs: _,
        sources,
        // These follow from the type, the parameters and the inputs.
        secrets: _,
        personal: _,
        seed,
        resources,
        retries,
        timeout,
        enabled,
    } = node;
    let mut hasher = blake3::Hasher::new();
    frame(&mut hasher, stage);
    frame(&mut hasher, stage_type.name());
    hasher.update(stage_type.code().as_bytes());
    frame(&mut hasher, &configured.params().to_string());
    for PlannedSource { param, pattern: _, base: _, files } in sources {
        frame(&mut hasher, param);
        hasher.update(&(files.len() as u64).to_le_bytes());
        for file in files {
            frame(&mut hasher, &file.to_string_lossy());
        }
    }
    frame(&mut hasher, &format!("{seed:?} {resources:?} {retries} {timeout:?} {enabled}"));
    for PlannedInput { port, node, from, kind: _ } in inputs {
        frame(&mut hasher, port);
        hasher.update(&(*node as u64).to_le_bytes());
        frame(&mut hasher, from);
    }
    hasher.finalize().into()
}

fn frame(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// The stages in an order in which each comes after its inputs, and otherwise as written; a cycle is a mistake.
fn topological(
    stages: &[Arc<StageSpec>],
    by_name: &HashMap<&str, usize>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<usize>> {
    let mut graph = petgraph::graph::DiGraph::<(), (), usize>::with_capacity(stages.len(), stages.len());
    for _ in stages {
        graph.add_node(());
    }
    for (index, stage) in stages.iter().enumerate() {
        for input in &stage.inputs {
            if let Some(&from) = by_name.get(input.stage.as_str()) {
                graph.add_edge(from.into(), index.into(), ());
            }
        }
    }
    let mut waits: Vec<usize> = graph.node_indices().map(|node| graph.edges_directed(node, Incoming).count()).collect();
    let mut ready: BinaryHeap<Reverse<usize>> =
        waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(index, _)| Reverse(index)).collect();
    let mut order = Vec::with_capacity(stages.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for next in graph.neighbors(index.into()) {
            waits[next.index()] -= 1;
            if waits[next.index()] == 0 {
                ready.push(Reverse(next.index()));
            }
        }
    }
    if order.len() == stages.len() {
        return Some(order);
    }
    for component in petgraph::algo::kosaraju_scc(&graph) {
        let members: Vec<usize> = component.iter().map(|node| node.index()).collect();
        let Some(path) = cycle(stages, by_name, &members) else { continue };
        let mut names: Vec<&str> = path.iter().map(|&index| stages[index].name.as_str()).collect();
        if names.len() > MAX_CYCLE {
            let last = names.len() - 2;
            names.splice(MAX_CYCLE - 2..last, ["…"]);
        }
        diagnostics.push(
            Diagnostic::new(
                stages[path[0]].name_span,
                format!("the stages form a cycle: {}", names.join(" → ")),
                "this stage needs its own output",
            )
            .with_help("connect one of these inputs to another stage"),
        );
    }
    None
}

/// A cycle within a strongly connected component, from the stage written first back to itself, in the direction that
/// data flows.
fn cycle(stages: &[Arc<StageSpec>], by_name: &HashMap<&str, usize>, members: &[usize]) -> Option<Vec<usize>> {
    let first = *members.iter().min()?;
    let feeds_itself =
        |index: usize| stages[index].inputs.iter().any(|input| by_name.get(input.stage.as_str()) == Some(&index));
    if members.len() == 1 {
        return feeds_itself(first).then(|| vec![first, first]);
    }
    // Breadth first against the flow, from the first stage until it is met again: the shortest cycle through it.
    let members: HashSet<usize> = members.iter().copied().collect();
    let mut next: HashMap<usize, usize> = HashMap::new();
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(index) = queue.pop_front() {
        for input in &stages[index].inputs {
            let Some(&from) = by_name.get(input.stage.as_str()) else { continue };
            if from == first {
                let mut path = vec![first, index];
                let mut at = index;
                while at != first {
                    at = next[&at];
                    path.push(at);
                }
                return Some(path);
            }
            if members.contains(&from) && !next.contains_key(&from) {
                next.insert(from, index);
                queue.push_back(from);
            }
        }
    }
    None
}

impl std::fmt::Debug for PlanNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} ({})", self.variant, self.stage, self.stage_type.name())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
