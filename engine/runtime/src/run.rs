//! Running a plan: looks keys up as soon as inputs are known, executes what is missing on as many threads as the
//! declared resources allow, and keeps going around what fails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::json;
use stagewright_contract::{Digest, ErrorKind, Monitor, StageError};
use stagewright_core::key::{key_fields, stage_key};
use stagewright_core::{NodeId, Plan, Resources, Schedule};
use stagewright_store::{Event, Lookup, Manifest, Run, RunEnd, RunStart, Store, StoreError, now};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::execute::{Computed, Executed, Job, store_error};
use crate::keys::{Sources, digest_sources, key_inputs, secret_fingerprints, source_params};
use crate::outcome::{NodeOutcome, NodeStatus, RunOutcome};
use crate::storing::{self, Kept, Queue, Storing};
use crate::values::{Stored, Values};

/// How often a stage that another process computes is looked up, and progress is reported.
const TICK: Duration = Duration::from_millis(50);
/// How long stages at work may go on after Ctrl-C before they are left behind.
const GRACE: Duration = Duration::from_secs(5);

/// How to run a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the machine has for stages.
    pub resources: Resources,
    /// Start nothing new after the first failure.
    pub fail_fast: bool,
    /// Run each stage twice and compare the digests of its outputs.
    pub check_determinism: bool,
    /// The workflow file, for the journal.
    pub workflow_path: PathBuf,
    /// The command line, for the journal.
    pub args: Vec<String>,
}

/// Something that a person who watches wants to know.
#[derive(Debug)]
pub enum RunEvent<'a> {
    /// The run began; its id.
    Began(&'a str),
    /// A node executes.
    Started(NodeId),
    /// A node that executes has done so much of so much.
    Progress(NodeId, u64, u64),
    /// Nothing more will happen to a node.
    Finished(NodeId, &'a NodeOutcome),
    /// Another process computes a node; its process id, if known.
    Elsewhere(NodeId, Option<u32>),
    /// A node is tried again after an error.
    Retrying(NodeId, &'a StageError),
    /// Something in the store was damaged and is computed again.
    Damaged(&'a str),
    /// The first Ctrl-C: so many stages are still at work.
    Interrupted(usize),
}

/// What threads tell the driver.
enum Message {
    /// A node executed.
    Finished { id: NodeId, key: Digest, executed: Executed },
    /// A batch of nodes was stored, or was not.
    Stored(Vec<Kept>),
    /// The thread that stored ended without a word.
    Lost(String),
}

struct Driver<'a> {
    plan: &'a Plan,
    store: Arc<Store>,
    options: &'a Options,
    run: Run,
    schedule: Schedule,
    values: Values,
    outcomes: Vec<Option<NodeOutcome>>,
    keys: HashMap<NodeId, (Digest, Sources)>,
    monitors: HashMap<NodeId, Arc<Monitor>>,
    attempts: HashMap<NodeId, u32>,
    /// Keys that this run computes or has computed, and by which node.
    mine: HashMap<Digest, NodeId>,
    /// Nodes whose key another node or another process computes.
    elsewhere: Vec<NodeId>,
    /// Those of them that were told of.
    told: HashSet<NodeId>,
    /// Nothing is tried again: the run was interrupted, or is to end with the stage that failed.
    stopping: bool,
    used: Vec<Digest>,
    storing: Queue,
    sender: mpsc::UnboundedSender<Message>,
    observe: &'a mut dyn FnMut(&RunEvent<'_>),
}

/// Runs a plan to its end. Must be called within a multi-threaded tokio runtime.
///
/// # Errors
/// When the store cannot be used; a stage that fails is part of the outcome.
pub async fn run(
    plan: &Plan,
    store: Arc<Store>,
    options: &Options,
    observe: &mut dyn FnMut(&RunEvent<'_>),
) -> Result<RunOutcome, StoreError> {
    let began = Instant::now();
    let run = store.begin_run(RunStart {
        workflow: plan.workflow.clone(),
        workflow_path: options.workflow_path.clone(),
        args: options.args.clone(),
        started: now(),
    })?;
    observe(&RunEvent::Began(run.id()));
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut driver = Driver {
        plan,
        schedule: Schedule::new(plan, options.resources),
        values: Values::new(plan),
        outcomes: (0..plan.nodes.len()).map(|_| None).collect(),
        keys: HashMap::new(),
        monitors: HashMap::new(),
        attempts: HashMap::new(),
        mine: HashMap::new(),
        elsewhere: Vec::new(),
        told: HashSet::new(),
        stopping: false,
        used: Vec::new(),
        storing: Queue::default(),
        store,
        options,
        run,
        sender,
        observe,
    };
    let interrupted = driver.drive(receiver).await?;
    driver.finish(began, interrupted)
}

impl Driver<'_> {
    async fn drive(&mut self, mut receiver: mpsc::UnboundedReceiver<Message>) -> Result<bool, StoreError> {
        // Before anything starts: a Ctrl-C that comes while this thread is busy waits here until it is asked for.
        let mut interrupts = signal(SignalKind::interrupt())
            .map_err(|error| StoreError::Bug(format!("cannot listen for Ctrl-C: {error}")))?;
        let mut interrupted = false;
        let mut give_up: Option<Instant> = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if !interrupted {
                while let Some(id) = self.schedule.next_ready() {
                    self.look_up(id)?;
                }
                while !self.storing.is_full()
                    && let Some(id) = self.schedule.next_executable()
                {
                    self.execute(id)?;
                }
            }
            self.store_waiting();
            if self.schedule.is_finished() && self.schedule.executing() == 0 && self.storing.is_empty() {
                return Ok(interrupted);
            }
            if give_up.is_some_and(|at| Instant::now() >= at) {
                return Ok(true);
            }
            tokio::select! {
                Some(message) = receiver.recv() => match message {
                    Message::Finished { id, key, executed } => self.finished(id, key, executed)?,
                    Message::Stored(batch) => self.stored(batch)?,
                    Message::Lost(error) => return Err(StoreError::Bug(error)),
                },
                _ = tick.tick() => {
                    for id in std::mem::take(&mut self.elsewhere) {
                        self.schedule.retry(id);
                    }
                    self.report_progress();
                }
                Some(()) = interrupts.recv() => {
                    if interrupted {
                        std::process::exit(130);
                    }
                    interrupted = true;
                    self.stopping = true;
                    give_up = Some(Instant::now() + GRACE);
                    self.elsewhere.clear();
                    self.schedule.skip_rest();
                    for monitor in self.monitors.values() {
                        monitor.cancel();
                    }
                    (self.observe)(&RunEvent::Interrupted(self.schedule.executing()));
                }
            }
        }
    }

    /// Computes the key of a node whose inputs are all there, and looks it up.
    fn look_up(&mut self, id: NodeId) -> Result<(), StoreError> {
        if !self.keys.contains_key(&id) {
            let node = &self.plan.nodes[id];
            let sources = match digest_sources(node, &self.store) {
                Ok(sources) => sources,
                Err(error) => {
                    let error = store_error(error);
                    if self.tries_again(id, &error) {
                        self.wait_elsewhere(id);
                        return Ok(());
                    }
                    return self.fail(id, None, error, 0.0, Vec::new());
                }
            };
            let secrets = match secret_fingerprints(node) {
                Ok(secrets) => secrets,
                Err(error) => return self.fail(id, None, error, 0.0, Vec::new()),
            };
            let digests = self.input_digests(id)?;
            let key = stage_key(&key_inputs(node, &source_params(node), &sources, &secrets, &digests));
            self.keys.insert(id, (key, sources));
        }
        let Some(key) = self.keys.get(&id).map(|(key, _)| *key) else { return Ok(()) };
        if self.shares(id, key)? {
            return Ok(());
        }
        let found = self.store.lookup(key)?;
        tracing::debug!(stage = self.plan.nodes[id].stage, %key, hit = matches!(found, Lookup::Hit(_)), "looked up");
        match found {
            Lookup::Hit(manifest) => {
                let status = if self.mine.get(&key).is_some_and(|&other| other != id) {
                    NodeStatus::Shared
                } else {
                    NodeStatus::Cached
                };
                self.found(id, status, manifest)
            }
            Lookup::Miss => {
                self.schedule.queue(id);
                Ok(())
            }
            Lookup::Damaged { what } => {
                tracing::warn!(what, "damaged in the store");
                (self.observe)(&RunEvent::Damaged(&what));
                self.journal("damaged", id, Some(key), json!({ "what": what }))?;
                self.schedule.queue(id);
                Ok(())
            }
        }
    }

    /// Whether this run computes or has computed the key already, for a stage of another name or variant: then the node
    /// has its outputs from there, or waits for them.
    fn shares(&mut self, id: NodeId, key: Digest) -> Result<bool, StoreError> {
        let Some(&other) = self.mine.get(&key).filter(|&&other| other != id) else { return Ok(false) };
        match &self.outcomes[other] {
            None => self.wait_elsewhere(id),
            Some(outcome) if outcome.status == NodeStatus::Executed => {
                let outcome = NodeOutcome { status: NodeStatus::Shared, seconds: 0.0, ..outcome.clone() };
                self.values.share(id, other);
                self.record(id, outcome)?;
                self.hand_on(id);
            }
            Some(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Puts a node aside until the next tick.
    fn wait_elsewhere(&mut self, id: NodeId) {
        self.schedule.set_aside(id);
        self.elsewhere.push(id);
    }

    fn input_digests(&self, id: NodeId) -> Result<Vec<Digest>, StoreError> {
        self.plan.nodes[id]
            .inputs
            .iter()
            .map(|input| {
                self.values.slot(input.node, &input.from).map(|slot| slot.digest()).ok_or_else(|| {
                    StoreError::Bug(format!(
                        "`{}` is done without its output `{}`",
                        self.plan.nodes[input.node].stage, input.from
                    ))
                })
            })
            .collect()
    }

    /// Starts a node on a thread of its own.
    fn execute(&mut self, id: NodeId) -> Result<(), StoreError> {
        let node = &self.plan.nodes[id];
        let Some((key, sources)) = self.keys.get(&id).cloned() else {
            return Err(StoreError::Bug(format!("`{}` executes without a key", node.stage)));
        };
        // Of several nodes with this key that were all looked up before one was done, the first executes.
        if self.shares(id, key)? {
            return Ok(());
        }
        let digests = self.input_digests(id)?;
        // The environment of a process does not change: what was there for the key is there still.
        let secrets = secret_fingerprints(node).unwrap_or_default();
        let fields = key_fields(&key_inputs(node, &source_params(node), &sources, &secrets, &digests));
        let inputs = node
            .inputs
            .iter()
            .filter_map(|input| {
                let slot = self.values.slot(input.node, &input.from)?;
                Some((input.port.clone(), input.node, Arc::clone(slot)))
            })
            .collect();
        let monitor = Arc::new(Monitor::default());
        self.monitors.insert(id, Arc::clone(&monitor));
        self.mine.entry(key).or_insert(id);
        tracing::info!(stage = node.stage, uses = node.stage_type.name(), %key, "executes");
        (self.observe)(&RunEvent::Started(id));
        let job = Job {
            node: node.clone(),
            workflow: self.plan.workflow.clone(),
            key,
            fields,
            sources,
            inputs,
            store: Arc::clone(&self.store),
            monitor: Arc::clone(&monitor),
            check_determinism: self.options.check_determinism,
        };
        let sender = self.sender.clone();
        let timeout = node.timeout;
        let pause = match self.attempts.get(&id) {
            Some(&attempts) => Duration::from_millis(250 << attempts.min(7)),
            None => Duration::ZERO,
        };
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let thread = tokio::task::spawn_blocking(move || job.execute());
            let joined = match timeout {
                None => thread.await,
                Some(limit) => match tokio::time::timeout(limit, thread).await {
                    Ok(joined) => joined,
                    Err(_) => {
                        monitor.abandon();
                        let error = StageError::environment(format!("took longer than its time-out of {limit:?}"))
                            .with_help("raise `timeout:`, or give the stage less to do");
                        let seconds = limit.as_secs_f64();
                        Ok(Executed::Failed { error, seconds, warnings: monitor.warnings() })
                    }
                },
            };
            let executed = joined.unwrap_or_else(|error| Executed::Failed {
                error: StageError::bug(format!("the thread of the stage ended: {error}")),
                seconds: 0.0,
                warnings: Vec::new(),
            });
            // The receiver is gone only when the run was given up.
            let _ = sender.send(Message::Finished { id, key, executed });
        });
        Ok(())
    }

    /// Stores what waits for it, on a thread of its own.
    fn store_waiting(&mut self) {
        let Some(batch) = self.storing.next_batch() else { return };
        let (store, sender) = (Arc::clone(&self.store), self.sender.clone());
        let thread = tokio::task::spawn_blocking(move || storing::store(&store, batch));
        tokio::spawn(async move {
            let message = match thread.await {
                Ok(kept) => Message::Stored(kept),
                Err(error) => Message::Lost(format!("the thread that stores ended: {error}")),
            };
            // The receiver is gone only when the run was given up.
            let _ = sender.send(message);
        });
    }

    /// A node has its outputs: others can work with them while they are stored.
    fn computed(&mut self, id: NodeId, mut computed: Computed) -> Result<(), StoreError> {
        let stored = Stored::default();
        self.values.set(id, &computed.manifest.outputs, std::mem::take(&mut computed.artifacts), &stored);
        self.record(id, NodeOutcome::of(NodeStatus::Executed, computed.manifest.seconds, computed.manifest.clone()))?;
        let key = computed.manifest.key;
        self.storing.push(Storing { id, computed, stored });
        self.hand_on(id);
        let waits = |node: &NodeId| self.keys.get(node).is_some_and(|(other, _)| *other == key);
        let (ready, others) = std::mem::take(&mut self.elsewhere).into_iter().partition(waits);
        self.elsewhere = others;
        let ready: Vec<NodeId> = ready;
        ready.into_iter().for_each(|node| self.schedule.retry(node));
        Ok(())
    }

    /// Whoever waits for a node need not any more.
    fn hand_on(&mut self, id: NodeId) {
        for input in &self.plan.nodes[id].inputs {
            self.values.release(input.node);
        }
        self.schedule.done(id);
    }

    fn stored(&mut self, batch: Vec<Kept>) -> Result<(), StoreError> {
        self.storing.done(&batch);
        for Kept { id, manifest, error } in batch {
            let seconds = manifest.seconds;
            match error {
                None => {
                    self.used.push(manifest.key);
                    self.journal("executed", id, Some(manifest.key), json!({ "seconds": seconds }))?;
                }
                Some(error) => self.fail(id, Some(manifest.key), error, seconds, manifest.warnings)?,
            }
        }
        Ok(())
    }

    fn finished(&mut self, id: NodeId, key: Digest, executed: Executed) -> Result<(), StoreError> {
        self.monitors.remove(&id);
        match executed {
            Executed::Computed(computed) => self.computed(id, *computed),
            Executed::Found(manifest) => {
                let status = if self.mine.get(&key) == Some(&id) { NodeStatus::Cached } else { NodeStatus::Shared };
                self.not_mine(key, id);
                self.found(id, status, manifest)
            }
            Executed::Elsewhere => {
                self.not_mine(key, id);
                if self.told.insert(id) {
                    (self.observe)(&RunEvent::Elsewhere(id, self.store.claim_holder(key)));
                }
                self.wait_elsewhere(id);
                Ok(())
            }
            Executed::Damaged { producer, what } => {
                let what = format!("output of `{}`: {what}", self.plan.nodes[producer].stage);
                (self.observe)(&RunEvent::Damaged(&what));
                self.journal("damaged", producer, None, json!({ "what": what }))?;
                self.not_mine(key, id);
                self.outcomes[producer] = None;
                self.keys.remove(&id);
                self.schedule.redo(producer, id);
                Ok(())
            }
            Executed::Failed { error, seconds, warnings } => {
                if self.tries_again(id, &error) {
                    // Its sources may be what was wrong: they are digested again.
                    self.keys.remove(&id);
                    self.not_mine(key, id);
                    self.schedule.retry(id);
                    return Ok(());
                }
                if error.kind == ErrorKind::Cancelled {
                    self.schedule.failed(id);
                    return self.record(id, NodeOutcome::skipped("the run was interrupted".to_owned()));
                }
                self.fail(id, Some(key), error, seconds, warnings)
            }
        }
    }

    /// A node does not compute its key after all.
    fn not_mine(&mut self, key: Digest, id: NodeId) {
        if self.mine.get(&key) == Some(&id) {
            self.mine.remove(&key);
        }
    }

    /// Whether a node that failed is tried again; counts the attempt if so.
    fn tries_again(&mut self, id: NodeId, error: &StageError) -> bool {
        let attempts = self.attempts.entry(id).or_insert(0);
        let again = error.kind == ErrorKind::Environment && *attempts < self.plan.nodes[id].retries && !self.stopping;
        if again {
            *attempts += 1;
            (self.observe)(&RunEvent::Retrying(id, error));
        }
        again
    }

    /// A node's outputs were in the store.
    fn found(&mut self, id: NodeId, status: NodeStatus, manifest: Manifest) -> Result<(), StoreError> {
        self.values.set(id, &manifest.outputs, BTreeMap::new(), &Stored::from(OnceLock::from(true)));
        self.used.push(manifest.key);
        self.record(id, NodeOutcome::of(status, 0.0, manifest))?;
        self.hand_on(id);
        Ok(())
    }

    fn fail(
        &mut self,
        id: NodeId,
        key: Option<Digest>,
        error: StageError,
        seconds: f64,
        warnings: Vec<String>,
    ) -> Result<(), StoreError> {
        self.journal("failed", id, key, json!({ "error": error.to_string(), "seconds": seconds }))?;
        self.schedule.failed(id);
        self.record(
            id,
            NodeOutcome {
                status: NodeStatus::Failed,
                key,
                seconds,
                cost: seconds,
                outputs: BTreeMap::new(),
                warnings,
                error: Some(error),
                reason: None,
            },
        )?;
        if self.options.fail_fast {
            self.stopping = true;
            self.elsewhere.clear();
            self.schedule.skip_rest();
        }
        Ok(())
    }

    fn record(&mut self, id: NodeId, outcome: NodeOutcome) -> Result<(), StoreError> {
        (self.observe)(&RunEvent::Finished(id, &outcome));
        self.outcomes[id] = Some(outcome);
        Ok(())
    }

    fn journal(&self, kind: &str, id: NodeId, key: Option<Digest>, data: serde_json::Value) -> Result<(), StoreError> {
        let node = &self.plan.nodes[id];
        self.store.event(
            self.run.id(),
            &Event {
                at: now(),
                kind: kind.to_owned(),
                stage: node.stage.clone(),
                variant: node.variant.clone(),
                key,
                data,
            },
        )
    }

    fn report_progress(&mut self) {
        for (id, monitor) in &self.monitors {
            let (done, total) = monitor.progress();
            if total > 0 {
                (self.observe)(&RunEvent::Progress(*id, done, total));
            }
        }
    }

    fn finish(self, began: Instant, interrupted: bool) -> Result<RunOutcome, StoreError> {
        let Self { plan, store, options, run, outcomes, used, observe, .. } = self;
        let mut nodes: Vec<NodeOutcome> = Vec::with_capacity(outcomes.len());
        for (id, outcome) in outcomes.into_iter().enumerate() {
            let outcome = outcome.unwrap_or_else(|| {
                let outcome = NodeOutcome::skipped(why_skipped(plan, &nodes, id, interrupted, options.fail_fast));
                observe(&RunEvent::Finished(id, &outcome));
                outcome
            });
            nodes.push(outcome);
        }
        let end = if interrupted {
            RunEnd::Interrupted
        } else if nodes.iter().any(|node| node.status == NodeStatus::Failed) {
            RunEnd::Failed
        } else {
            RunEnd::Succeeded
        };
        store.use_keys(run.id(), &used)?;
        let outcome = RunOutcome { run: run.id().to_owned(), end, nodes, seconds: began.elapsed().as_secs_f64() };
        store.finish_run(run, end, &outcome.record(plan))?;
        Ok(outcome)
    }
}

/// Nodes come after their inputs, so the outcomes of the inputs are known.
fn why_skipped(plan: &Plan, before: &[NodeOutcome], id: NodeId, interrupted: bool, fail_fast: bool) -> String {
    let node = &plan.nodes[id];
    if !node.enabled {
        return "`when` is false".to_owned();
    }
    for input in &node.inputs {
        let stage = &plan.nodes[input.node].stage;
        match before.get(input.node).map(|outcome| outcome.status) {
            Some(NodeStatus::Failed) => return format!("`{stage}` failed"),
            Some(NodeStatus::Skipped) => return format!("`{stage}` was skipped"),
            _ => {}
        }
    }
    if interrupted {
        "the run was interrupted".to_owned()
    } else if fail_fast {
        "another stage failed (--fail-fast)".to_owned()
    } else {
        "the run ended before it".to_owned()
    }
}
