use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{Artifact, Files, Ledger, Metrics, Model, Secret, SecretValue, SourceFile, StageError, Table};

/// The line between a running stage and whoever watches it: cancellation one way, progress and warnings the other.
#[derive(Debug, Default)]
pub struct Monitor {
    cancelled: AtomicBool,
    abandoned: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
    warnings: Mutex<Vec<String>>,
    upstream: Option<Box<dyn Upstream>>,
}

/// Whoever watches a stage from beyond the boundary of a plugin.
pub trait Upstream: std::fmt::Debug + Send + Sync {
    /// Whether the stage is to stop.
    fn is_cancelled(&self) -> bool;

    /// Is told how much is done, and of how much.
    fn progress(&self, done: u64, total: u64);
}

impl Monitor {
    /// A monitor that asks and tells another.
    pub fn following(upstream: Box<dyn Upstream>) -> Self {
        Self { upstream: Some(upstream), ..Self::default() }
    }

    /// Asks the stage to stop at its next opportunity.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the stage was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.upstream.as_ref().is_some_and(|upstream| upstream.is_cancelled())
    }

    /// Asks the stage to stop, and makes sure that nothing of it is stored: its time is up.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.cancel();
    }

    /// Whether the stage's time was up.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// How much is done, and of how much (0: not known).
    pub fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// The warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a stage sees while it runs: its inputs, sources and seed. It has no clock, no environment and no other
/// randomness.
pub struct StageContext {
    inputs: BTreeMap<String, Artifact>,
    sources: BTreeMap<String, Vec<SourceFile>>,
    outputs: BTreeMap<String, Artifact>,
    personal: BTreeSet<String>,
    secrets: BTreeMap<String, SecretValue>,
    ledger: Option<Arc<dyn Ledger>>,
    files: BTreeMap<String, PathBuf>,
    memory: Option<u64>,
    seed: u64,
    monitor: Arc<Monitor>,
}

impl StageContext {
    /// What the engine, or a test, hands to a stage. `seed` is the workflow's seed.
    pub fn new(
        inputs: BTreeMap<String, Artifact>,
        sources: BTreeMap<String, Vec<SourceFile>>,
        seed: u64,
        monitor: Arc<Monitor>,
    ) -> Self {
        let personal = inputs
            .values()
            .filter_map(|artifact| match artifact {
                Artifact::Table(table) => Some(table.personal()),
                _ => None,
            })
            .flatten()
            .map(str::to_owned)
            .collect();
        let outputs = BTreeMap::new();
        Self {
            inputs,
            sources,
            outputs,
            personal,
            secrets: BTreeMap::new(),
            ledger: None,
            files: BTreeMap::new(),
            memory: None,
            seed,
            monitor,
        }
    }

    /// The same context with the values of the secrets that the stage declares, by name.
    #[must_use]
    pub fn with_secrets(mut self, secrets: BTreeMap<String, SecretValue>) -> Self {
        self.secrets = secrets;
        self
    }

    /// The same context with a ledger.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// The same context with the files in which inputs lie at rest, by port: immutable, and as
    /// [`Artifact::encode`] wrote them.
    #[must_use]
    pub fn with_files(mut self, files: BTreeMap<String, PathBuf>) -> Self {
        self.files = files;
        self
    }

    /// The same context with the bytes of memory that `resources.memory` grants the stage.
    #[must_use]
    pub fn with_memory(mut self, memory: Option<u64>) -> Self {
        self.memory = memory;
        self
    }

    /// Whether something is connected to an optional input.
    pub fn has_input(&self, port: &str) -> bool {
        self.inputs.contains_key(port)
    }

    /// The table at an input.
    ///
    /// # Errors
    /// A bug when no table is connected there: the plan checks connections and kinds.
    pub fn table(&self, port: &str) -> Result<Arc<Table>, StageError> {
        match self.inputs.get(port) {
            Some(Artifact::Table(table)) => Ok(Arc::clone(table)),
            _ => Err(StageError::bug(format!("no table is connected to input `{port}`"))),
        }
    }

    /// The metrics at an input.
    ///
    /// # Errors
    /// A bug when no metrics are connected there: the plan checks connections and kinds.
    pub fn metrics(&self, port: &str) -> Result<Arc<Metrics>, StageError> {
        match self.inputs.get(port) {
            Some(Artifact::Metrics(metrics)) => Ok(Arc::clone(metrics)),
            _ => Err(StageError::bug(format!("no metrics are connected to input `{port}`"))),
        }
    }

    /// The model at an input.
    ///
    /// # Errors
    /// A bug when no model is connected there: the plan checks connections and kinds.
    pub fn model(&self, port: &str) -> Result<Arc<Model>, StageError> {
        match self.inputs.get(port) {
            Some(Artifact::Model(model)) => Ok(Arc::clone(model)),
            _ => Err(StageError::bug(format!("no model is connected to input `{port}`"))),
        }
    }

    /// The files at an input.
    ///
    /// # Errors
    /// A bug when no files are connected there: the plan checks connections and kinds.
    pub fn files(&self, port: &str) -> Result<Arc<Files>, StageError> {
        match self.inputs.get(port) {
            Some(Artifact::Files(files)) => Ok(Arc::clone(files)),
            _ => Err(StageError::bug(format!("no files are connected to input `{port}`"))),
        }
    }

    /// All inputs, by port: for a stage that passes them on to another process or library. Others ask by name.
    pub fn inputs(&self) -> &BTreeMap<String, Artifact> {
        &self.inputs
    }

    /// The file in which an input lies at rest, if there is one.
    pub fn file(&self, port: &str) -> Option<&Path> {
        self.files.get(port).map(PathBuf::as_path)
    }

    /// How many bytes of memory the stage may use; `None` where the workflow does not say.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// The seed itself, for a stage that passes it on. Others draw from [`StageContext::rng`].
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The line to whoever watches the stage.
    pub fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// The value of a secret that the stage declares.
    ///
    /// # Errors
    /// When the environment does not hold it.
    pub fn secret(&self, secret: &Secret) -> Result<&SecretValue, StageError> {
        let name = secret.name();
        self.secrets.get(name).ok_or_else(|| {
            StageError::environment(format!("the secret `{name}` is not set"))
                .with_help(format!("set the environment variable `{name}`"))
        })
    }

    /// The values of all secrets that the stage declares, by name.
    pub fn secrets(&self) -> &BTreeMap<String, SecretValue> {
        &self.secrets
    }

    /// Where answers that cost something are kept, row by row.
    ///
    /// # Errors
    /// A bug when there is none: the engine gives one to every stage.
    pub fn ledger(&self) -> Result<Arc<dyn Ledger>, StageError> {
        self.ledger.clone().ok_or_else(|| StageError::bug("the stage was given no ledger"))
    }

    /// The files of the source that parameter `param` names, in the order of their paths.
    pub fn sources(&self, param: &str) -> &[SourceFile] {
        self.sources.get(param).map_or(&[], Vec::as_slice)
    }

    /// A generator of random numbers that depends on the seed and on `purpose` alone, so that two uses in one stage
    /// draw independently. The stage type must say that it is seeded.
    pub fn rng(&self, purpose: &str) -> Xoshiro256PlusPlus {
        let mut hasher = blake3::Hasher::new_derive_key("stagewright 2026 stage rng");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(purpose.as_bytes());
        Xoshiro256PlusPlus::from_seed(*hasher.finalize().as_bytes())
    }

    /// Says that these columns of the outputs do not hold what made the inputs' columns of their names personal: they
    /// were replaced by pseudonyms.
    pub fn no_longer_personal<'a>(&mut self, columns: impl IntoIterator<Item = &'a str>) {
        for column in columns {
            self.personal.remove(column);
        }
    }

    /// Sets an output. Columns of a table that bear the name of a personal column of any input are personal too; a
    /// stage that renames or derives columns marks the new ones itself.
    ///
    /// # Errors
    /// A bug when the output was set before, or is a figure with a number that is not finite.
    pub fn put(&mut self, port: &str, artifact: impl Into<Artifact>) -> Result<(), StageError> {
        let artifact = match artifact.into() {
            Artifact::Table(table) => {
                let missing = |name: &str| self.personal.contains(name) && !table.is_personal(name);
                if table.names().any(missing) {
                    let mut marked = (*table).clone();
                    marked.mark_personal(self.personal.iter().map(String::as_str));
                    Artifact::Table(Arc::new(marked))
                } else {
                    Artifact::Table(table)
                }
            }
            Artifact::Figure(figure) => {
                figure.check()?;
                Artifact::Figure(figure)
            }
            other @ (Artifact::Metrics(_) | Artifact::Model(_) | Artifact::Files(_)) => other,
        };
        if self.outputs.insert(port.to_owned(), artifact).is_some() {
            return Err(StageError::bug(format!("output `{port}` was set twice")));
        }
        Ok(())
    }

    /// Tells a person something that they should know although the stage goes on. Warnings are kept with the
    /// artifacts and shown again when the stage is cached. They must not hold personal data.
    pub fn warn(&self, message: impl Into<String>) {
        self.monitor.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.into());
    }

    /// Says how far the work has come.
    pub fn progress(&self, done: u64, total: u64) {
        self.monitor.done.store(done, Ordering::Relaxed);
        self.monitor.total.store(total, Ordering::Relaxed);
        if let Some(upstream) = &self.monitor.upstream {
            upstream.progress(done, total);
        }
    }

    /// Ends a long computation when the run was cancelled: call it now and then with `?`.
    ///
    /// # Errors
    /// [`StageError::cancelled`] once the run was cancelled.
    pub fn check_cancelled(&self) -> Result<(), StageError> {
        if self.monitor.is_cancelled() {
            return Err(StageError::cancelled());
        }
        Ok(())
    }

    /// What the stage has put, by port.
    pub fn into_outputs(self) -> BTreeMap<String, Artifact> {
        self.outputs
    }
}
