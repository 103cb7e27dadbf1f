//! Running a stage type in a test, without an engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::{
    Artifact, Digest, Figure, Files, Ledger, MemoryLedger, Metrics, Model, Monitor, ParamError, PersonalColumns,
    SecretValue, SourceFile, Stage, StageContext, StageError, StageType, Table,
};

/// A stage to be run in a test.
///
/// ```no_run
/// # use stagewright_contract::{testkit::Trial, StageType, Table};
/// # fn example(filter: &StageType, table: Table) {
/// let done = Trial::of(filter, serde_json::json!({ "where": "age > 18" }))
///     .input("table", table)
///     .run()
///     .unwrap();
/// assert_eq!(done.table("table").rows(), 3);
/// # }
/// ```
pub struct Trial {
    stage_type: StageType,
    params: Value,
    inputs: BTreeMap<String, Artifact>,
    seed: u64,
    secrets: BTreeMap<String, SecretValue>,
    ledger: Arc<dyn Ledger>,
}

/// What a stage put out in a test.
#[derive(Debug)]
pub struct Done {
    /// The outputs by port.
    pub outputs: BTreeMap<String, Artifact>,
    /// The warnings, in order.
    pub warnings: Vec<String>,
}

impl Trial {
    /// A trial of a stage type with parameters.
    pub fn of(stage_type: &StageType, params: Value) -> Self {
        Self {
            stage_type: stage_type.clone(),
            params,
            inputs: BTreeMap::new(),
            seed: 42,
            secrets: BTreeMap::new(),
            ledger: Arc::new(MemoryLedger::default()),
        }
    }

    /// A trial of the stage type that `S` implements.
    pub fn new<S: Stage>(params: Value) -> Self {
        Self::of(&StageType::of::<S>("test"), params)
    }

    /// Connects an input.
    #[must_use]
    pub fn input(mut self, port: &str, artifact: impl Into<Artifact>) -> Self {
        self.inputs.insert(port.to_owned(), artifact.into());
        self
    }

    /// Sets the workflow's seed (42 unless set).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), SecretValue::new(value));
        self
    }

    /// Sets the ledger (a new one unless set).
    #[must_use]
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Checks the parameters alone.
    ///
    /// # Errors
    /// The first parameter that cannot be used.
    pub fn check(&self) -> Result<(), ParamError> {
        self.stage_type.configure(&self.params).map(drop)
    }

    /// Runs the stage. Sources are paths or glob-free file names that exist.
    ///
    /// # Errors
    /// The stage's own error, a data error for parameters that cannot be used or a source that is not there, and a bug
    /// when a column turns out personal that [`Stage::personal`] did not name.
    pub fn run(self) -> Result<Done, StageError> {
        let stage = self.stage_type.configure(&self.params).map_err(|error| StageError::data(error.to_string()))?;
        let mut sources: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
        for source in stage.sources() {
            let path = Path::new(&source.pattern);
            if source.optional && !path.exists() {
                continue;
            }
            let bytes =
                std::fs::read(path).map_err(|error| StageError::environment(format!("{}: {error}", source.pattern)))?;
            sources.entry(source.param.to_owned()).or_default().push(SourceFile {
                path: path.to_owned(),
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                size: bytes.len() as u64,
                digest: Digest::of(&bytes),
            });
        }
        let marks = |artifacts: &BTreeMap<String, Artifact>| -> PersonalColumns {
            artifacts
                .iter()
                .filter_map(|(port, artifact)| match artifact {
                    Artifact::Table(table) => Some((port.clone(), table.personal().map(str::to_owned).collect())),
                    _ => None,
                })
                .collect()
        };
        let may_be_personal = stage.personal(&marks(&self.inputs));
        let monitor = Arc::new(Monitor::default());
        let mut context = StageContext::new(self.inputs, sources, self.seed, Arc::clone(&monitor))
            .with_secrets(self.secrets)
            .with_ledger(self.ledger);
        stage.run(&mut context)?;
        let outputs = context.into_outputs();
        for (port, columns) in marks(&outputs) {
            let said = may_be_personal.get(&port);
            if let Some(column) = columns.iter().find(|column| !said.is_some_and(|said| said.contains(*column))) {
                return Err(StageError::bug(format!(
                    "column `{column}` of output `{port}` is personal, which `Stage::personal` did not say it may be"
                )));
            }
        }
        Ok(Done { outputs, warnings: monitor.warnings() })
    }
}

#[allow(clippy::panic, reason = "a test that asks for an output that is not there should fail")]
impl Done {
    /// The table at an output.
    ///
    /// # Panics
    /// When there is none.
    pub fn table(&self, port: &str) -> Arc<Table> {
        match self.outputs.get(port) {
            Some(Artifact::Table(table)) => Arc::clone(table),
            other => panic!("no table at output `{port}`: {other:?}"),
        }
    }

    /// The metrics at an output.
    ///
    /// # Panics
    /// When there are none.
    pub fn metrics(&self, port: &str) -> Arc<Metrics> {
        match self.outputs.get(port) {
            Some(Artifact::Metrics(metrics)) => Arc::clone(metrics),
            other => panic!("no metrics at output `{port}`: {other:?}"),
        }
    }

    /// The model at an output.
    ///
    /// # Panics
    /// When there is none.
    pub fn model(&self, port: &str) -> Arc<Model> {
        match self.outputs.get(port) {
            Some(Artifact::Model(model)) => Arc::clone(model),
            other => panic!("no model at output `{port}`: {other:?}"),
        }
    }

    /// The figure at an output.
    ///
    /// # Panics
    /// When there is none.
    pub fn figure(&self, port: &str) -> Arc<Figure> {
        match self.outputs.get(port) {
            Some(Artifact::Figure(figure)) => Arc::clone(figure),
            other => panic!("no figure at output `{port}`: {other:?}"),
        }
    }

    /// The files at an output.
    ///
    /// # Panics
    /// When there are none.
    pub fn files(&self, port: &str) -> Arc<Files> {
        match self.outputs.get(port) {
            Some(Artifact::Files(files)) => Arc::clone(files),
            other => panic!("no files at output `{port}`: {other:?}"),
        }
    }

    /// The canonical bytes of every output, in the order of the ports: equal runs give equal bytes.
    ///
    /// # Panics
    /// When an output cannot be stored.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (port, artifact) in &self.outputs {
            bytes.extend_from_slice(port.as_bytes());
            if let Err(error) = artifact.encode(&mut bytes) {
                panic!("output `{port}` cannot be stored: {error}");
            }
        }
        bytes
    }
}
