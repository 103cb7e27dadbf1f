//! Executing one node: on a thread of its own, from claim to digested outputs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use stagewright_contract::{
    Artifact, Digest, ErrorKind, Kind, Ledger, Monitor, SecretValue, SourceFile, StageContext, StageError,
};
use stagewright_core::{NodeId, PlanNode};
use stagewright_store::{Claim, Lookup, Manifest, Output, Prepared, ReadError, SourceDigest, Store, StoreError, now};

use crate::keys::{Sources, secret};
use crate::values::Slot;

/// Everything that executing a node takes.
pub(crate) struct Job {
    pub(crate) node: PlanNode,
    pub(crate) workflow: String,
    pub(crate) key: Digest,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) sources: Sources,
    pub(crate) inputs: Vec<(String, NodeId, Arc<Slot>)>,
    pub(crate) store: Arc<Store>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) check_determinism: bool,
}

/// How it went.
pub(crate) enum Executed {
    /// The outputs are known, and to be stored.
    Computed(Box<Computed>),
    /// Another process published the key before we had the claim.
    Found(Manifest),
    /// Another process computes the key.
    Elsewhere,
    /// The stored output of this node is damaged; the store has forgotten it.
    Damaged { producer: NodeId, what: String },
    /// The stage failed.
    Failed { error: StageError, seconds: f64, warnings: Vec<String> },
}

/// What a node gave: known by its digests, and still to be stored.
pub(crate) struct Computed {
    pub(crate) manifest: Manifest,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) artifacts: BTreeMap<String, Artifact>,
    pub(crate) prepared: Vec<Prepared>,
    /// Held until the manifest is published.
    pub(crate) _claim: Claim,
}

impl Job {
    pub(crate) fn execute(self) -> Executed {
        let started = Instant::now();
        match self.attempt(started) {
            Ok(executed) => executed,
            Err(error) => {
                // So that it can be explained; the stage's own error matters more than one of the journal.
                let _ = self.store.record_fields(self.key, &self.fields);
                Executed::Failed {
                    error: self.redacted(error),
                    seconds: started.elapsed().as_secs_f64(),
                    warnings: self.warnings(),
                }
            }
        }
    }

    /// The values of the secrets that the stage declares.
    fn secrets(&self) -> Result<BTreeMap<String, SecretValue>, StageError> {
        self.node.secrets.iter().map(|used| Ok((used.name.clone(), secret(&used.name)?))).collect()
    }

    /// A text without the value of any secret: a service may repeat what it was sent.
    fn without_secrets(&self, text: String) -> String {
        let values = self.node.secrets.iter().filter_map(|used| secret(&used.name).ok());
        values.fold(text, |text, value| text.replace(value.expose(), "***"))
    }

    fn redacted(&self, mut error: StageError) -> StageError {
        if !self.node.secrets.is_empty() {
            error.message = self.without_secrets(error.message);
            error.help = error.help.map(|help| self.without_secrets(help));
            error.location = error.location.map(|location| self.without_secrets(location));
        }
        error
    }

    fn warnings(&self) -> Vec<String> {
        self.monitor.warnings().into_iter().map(|warning| self.without_secrets(warning)).collect()
    }

    fn attempt(&self, started: Instant) -> Result<Executed, StageError> {
        let Some(claim) = self.store.claim(self.key).map_err(store_error)? else { return Ok(Executed::Elsewhere) };
        if let Lookup::Hit(manifest) = self.store.lookup(self.key).map_err(store_error)? {
            return Ok(Executed::Found(manifest));
        }
        let mut inputs = BTreeMap::new();
        for (port, producer, slot) in &self.inputs {
            match slot.get(&self.store) {
                Ok(artifact) => inputs.insert(port.clone(), artifact),
                Err(ReadError::Damaged { digest, what }) => {
                    let what = format!("artifact `{}` {what}", digest.short());
                    return Ok(Executed::Damaged { producer: *producer, what });
                }
                Err(ReadError::Store(error)) => return Err(store_error(error)),
                Err(other) => return Err(StageError::environment(other.to_string())),
            };
        }
        let put = self.run_stage(inputs.clone())?;
        let warnings = self.warnings();
        self.check_sources()?;
        let mut prepared = Vec::with_capacity(put.len());
        let mut outputs = BTreeMap::new();
        let mut artifacts = BTreeMap::new();
        for (port, artifact) in put {
            let next = match self.passed_on(&artifact, &inputs) {
                Some(output) => Prepared::again(&artifact, output),
                None => Prepared::new(&artifact).map_err(store_error)?,
            };
            outputs.insert(port.clone(), Output::of(&artifact, next.digest, next.size));
            // As it would be read from the store: what follows sees the same, cached or not.
            artifacts.insert(port, next.artifact().clone());
            prepared.push(next);
        }
        if self.check_determinism {
            self.run_again(inputs, &outputs)?;
        }
        // A stage that was given up on (time-out) must not turn up in the store after all.
        if self.monitor.is_abandoned() {
            return Err(StageError::cancelled());
        }
        let manifest = Manifest {
            key: self.key,
            stage_type: self.node.stage_type.name().to_owned(),
            workflow: self.workflow.clone(),
            stage: self.node.stage.clone(),
            seconds: started.elapsed().as_secs_f64(),
            created: now(),
            warnings,
            outputs,
        };
        let fields = self.fields.clone();
        Ok(Executed::Computed(Box::new(Computed { manifest, fields, artifacts, prepared, _claim: claim })))
    }

    /// What the store is told of an output that is one of the inputs, as it came: it need not be digested again.
    fn passed_on(&self, artifact: &Artifact, inputs: &BTreeMap<String, Artifact>) -> Option<&Output> {
        let Artifact::Table(table) = artifact else { return None };
        let same = |input: &Artifact| matches!(input, Artifact::Table(input) if Arc::ptr_eq(input, table));
        let found = self.inputs.iter().find(|(port, ..)| inputs.get(port).is_some_and(same));
        found.map(|(_, _, slot)| slot.output())
    }

    /// The files of those inputs that are stored already.
    fn files(&self) -> BTreeMap<String, PathBuf> {
        let stored = self.inputs.iter().filter(|(_, _, slot)| slot.is_stored());
        stored.map(|(port, _, slot)| (port.clone(), self.store.blob_path(slot.digest()))).collect()
    }

    /// Runs the stage; a panic is a bug of the stage type, not the end of the run.
    fn run_stage(&self, inputs: BTreeMap<String, Artifact>) -> Result<BTreeMap<String, Artifact>, StageError> {
        let mut sources: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
        for (param, files) in &self.sources {
            sources.entry((*param).to_owned()).or_default().extend_from_slice(files);
        }
        let seed = self.node.seed.unwrap_or_default();
        let mut context = StageContext::new(inputs, sources, seed, Arc::clone(&self.monitor))
            .with_secrets(self.secrets()?)
            .with_files(self.files())
            .with_memory(Some(self.node.resources.memory).filter(|memory| *memory > 0))
            .with_ledger(Arc::clone(&self.store) as Arc<dyn Ledger>);
        let ran = catch_unwind(AssertUnwindSafe(|| self.node.configured.run(&mut context)));
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                let line = message.lines().next().unwrap_or_default();
                return Err(StageError::bug(format!(
                    "the stage type `{}` panicked: {line}",
                    self.node.stage_type.name()
                ))
                .with_help("this is a bug in the stage type: please report it with the workflow"));
            }
        }
        let outputs = context.into_outputs();
        let declared: BTreeMap<&str, Kind> =
            self.node.outputs.iter().map(|(port, kind)| (port.as_str(), *kind)).collect();
        for (port, kind) in &declared {
            if outputs.get(*port).map(Artifact::kind) != Some(*kind) {
                return Err(StageError::bug(format!(
                    "the stage type `{}` did not put its {kind} output `{port}`",
                    self.node.stage_type.name()
                )));
            }
        }
        if let Some(port) = outputs.keys().find(|port| !declared.contains_key(port.as_str())) {
            return Err(StageError::bug(format!(
                "the stage type `{}` put an output `{port}` that it does not declare",
                self.node.stage_type.name()
            )));
        }
        self.check_personal(&outputs)?;
        Ok(outputs)
    }

    /// What the plan was checked for must be true: no column is personal that the stage type did not say might be.
    fn check_personal(&self, outputs: &BTreeMap<String, Artifact>) -> Result<(), StageError> {
        for (port, artifact) in outputs {
            let Artifact::Table(table) = artifact else { continue };
            let said = self.node.personal.get(port);
            if let Some(column) = table.personal().find(|column| !said.is_some_and(|said| said.contains(*column))) {
                return Err(StageError::bug(format!(
                    "the stage type `{}` put a personal column `{column}` at output `{port}`, which it did not say \
                     it might",
                    self.node.stage_type.name()
                )));
            }
        }
        Ok(())
    }

    fn check_sources(&self) -> Result<(), StageError> {
        for (_, files) in &self.sources {
            for file in files {
                let expected = SourceDigest { digest: file.digest, size: file.size };
                if !self.store.verify_source(&file.path, expected).map_err(store_error)? {
                    return Err(StageError::environment(format!(
                        "the source `{}` changed while the stage was reading it",
                        file.path.display()
                    ))
                    .with_help("run again when the file is complete"));
                }
            }
        }
        Ok(())
    }

    fn run_again(
        &self,
        inputs: BTreeMap<String, Artifact>,
        first: &BTreeMap<String, Output>,
    ) -> Result<(), StageError> {
        for (port, artifact) in self.run_stage(inputs)? {
            let again = Prepared::new(&artifact).map_err(store_error)?;
            if first.get(&port).map(|output| output.digest) != Some(again.digest) {
                return Err(StageError::bug(format!(
                    "the stage type `{}` is not deterministic: output `{port}` differs between two runs over the same inputs",
                    self.node.stage_type.name()
                )));
            }
        }
        Ok(())
    }
}

/// An error of the store as the stage's: nothing of it was stored.
pub(crate) fn store_error(error: StoreError) -> StageError {
    let help = error.help();
    let mut stage = match error.kind() {
        ErrorKind::Data => StageError::data(error.to_string()),
        ErrorKind::Bug => StageError::bug(error.to_string()),
        _ => StageError::environment(error.to_string()),
    };
    stage.help = help;
    stage
}
