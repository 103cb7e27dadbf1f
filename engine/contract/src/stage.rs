use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Digest, Direction, Disclosure, Kind, PersonalColumns, Port, SecretUse, Source, StageContext, StageDescriptor,
    StageError,
};

/// A stage type. The implementing struct holds the parameters: its fields, their defaults and their doc comments are
/// what `with:` accepts and what `stagewright stages TYPE` prints.
///
/// The doc comment of the struct is the documentation of the stage type; its first paragraph is the summary.
pub trait Stage: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// `crate.type`, as `uses:` names it.
    const TYPE: &'static str;

    /// A YAML fragment of a stage of this type: `inputs:` and `with:`. It is checked by a test.
    const EXAMPLE: &'static str;

    /// Whether the stage draws random numbers; if so, the workflow's seed is part of its key.
    const SEEDED: bool = false;

    /// The parameter that declares outputs, where stages of this type have ports of their own: see
    /// [`StageDescriptor::open`].
    const OPEN: Option<&'static str> = None;

    /// Inputs and outputs.
    fn ports() -> Vec<Port>;

    /// What the schema of a single parameter cannot say: that an expression parses, that two parameters fit. Called
    /// before anything executes.
    ///
    /// # Errors
    /// The first parameter that does not hold.
    fn check(&self) -> Result<(), ParamError> {
        Ok(())
    }

    /// What cannot be said before it is known what is connected to the inputs of a stage that has ports of its own
    /// ([`Stage::OPEN`]). Called before anything executes, with the kind of each by port.
    ///
    /// # Errors
    /// The first parameter that does not fit.
    fn check_inputs(&self, inputs: &BTreeMap<String, Kind>) -> Result<(), ParamError> {
        let _ = inputs;
        Ok(())
    }

    /// The files that the stage reads from outside the workflow.
    fn sources(&self) -> Vec<Source> {
        Vec::new()
    }

    /// Which columns of its output tables may be personal, given which of its input tables are: what the plan follows
    /// from ingest to wherever data leaves. It may name too many, never too few. Unless a stage type says otherwise,
    /// every output table may have every personal column of every input; override it where columns are dropped, renamed
    /// or made.
    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let all: std::collections::BTreeSet<String> = inputs.values().flatten().cloned().collect();
        Self::ports()
            .into_iter()
            .filter(|port| port.direction == Direction::Output && port.kind == Kind::Table)
            .map(|port| (port.name, all.clone()))
            .collect()
    }

    /// The inputs whose contents leave the workflow: a prompt, a figure, a delivery. A workflow in which personal
    /// columns would get there is refused before anything executes.
    fn discloses(&self) -> Vec<Disclosure> {
        Vec::new()
    }

    /// The secrets that its parameters name.
    fn secrets(&self) -> Vec<SecretUse> {
        Vec::new()
    }

    /// What it may spend, where it asks a service that answers for money; `None` for any other stage. What an execution
    /// was charged are its metrics `answers`, `prompt_tokens`, `completion_tokens` and `cost`.
    fn budget(&self) -> Option<Budget> {
        None
    }

    /// Computes the outputs. Equal inputs, parameters and seed must give equal outputs on any number of threads.
    ///
    /// # Errors
    /// Whatever keeps the stage from its result; nothing is stored then.
    fn run(&self, context: &mut StageContext) -> Result<(), StageError>;
}

/// The most that a stage may spend on a service; `None` where nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// How many requests.
    pub requests: Option<u64>,
    /// How many tokens.
    pub tokens: Option<u64>,
    /// How much money.
    pub cost: Option<f64>,
    /// In which currency costs are counted.
    pub currency: Option<String>,
}

/// A parameter that has the right type but cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    /// Which: a path into `with:`, such as `where` or `columns/0/name`.
    pub path: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl ParamError {
    /// A parameter and what is wrong with it.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for ParamError {}

/// A stage with its parameters, ready to run.
pub trait ConfiguredStage: Send + Sync {
    /// The parameters with every default filled in: what the stage key hashes.
    fn params(&self) -> &Value;

    /// See [`Stage::check_inputs`].
    ///
    /// # Errors
    /// The first parameter that does not fit.
    fn check_inputs(&self, inputs: &BTreeMap<String, Kind>) -> Result<(), ParamError> {
        let _ = inputs;
        Ok(())
    }

    /// See [`Stage::sources`].
    fn sources(&self) -> Vec<Source>;

    /// See [`Stage::personal`].
    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns;

    /// See [`Stage::discloses`].
    fn discloses(&self) -> Vec<Disclosure>;

    /// See [`Stage::secrets`].
    fn secrets(&self) -> Vec<SecretUse>;

    /// See [`Stage::budget`].
    fn budget(&self) -> Option<Budget>;

    /// See [`Stage::run`].
    ///
    /// # Errors
    /// Whatever keeps the stage from its result.
    fn run(&self, context: &mut StageContext) -> Result<(), StageError>;
}

struct Configured<S> {
    stage: S,
    params: Value,
}

impl<S: Stage> ConfiguredStage for Configured<S> {
    fn params(&self) -> &Value {
        &self.params
    }

    fn check_inputs(&self, inputs: &BTreeMap<String, Kind>) -> Result<(), ParamError> {
        self.stage.check_inputs(inputs)
    }

    fn sources(&self) -> Vec<Source> {
        self.stage.sources()
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        self.stage.personal(inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        self.stage.discloses()
    }

    fn secrets(&self) -> Vec<SecretUse> {
        self.stage.secrets()
    }

    fn budget(&self) -> Option<Budget> {
        self.stage.budget()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        self.stage.run(context)
    }
}

type Configure = dyn Fn(&Value) -> Result<Arc<dyn ConfiguredStage>, ParamError> + Send + Sync;
type Describe = Box<dyn FnOnce() -> Arc<StageDescriptor> + Send>;

/// A stage type as the engine holds it: its descriptor, the identity of its code, and how to configure it.
#[derive(Clone)]
pub struct StageType {
    name: Cow<'static, str>,
    code: Digest,
    descriptor: Arc<LazyLock<Arc<StageDescriptor>, Describe>>,
    configure: Arc<Configure>,
}

impl StageType {
    /// The stage type that `S` implements. `code` identifies the sources it was built from; crates pass
    /// `env!("STAGEWRIGHT_CODE_DIGEST")`, which their build script sets.
    pub fn of<S: Stage>(code: &str) -> Self {
        Self {
            name: Cow::Borrowed(S::TYPE),
            code: Digest::of(code.as_bytes()),
            descriptor: Arc::new(LazyLock::new(Box::new(|| Arc::new(describe::<S>())))),
            configure: Arc::new(|params| {
                let stage: S =
                    serde_json::from_value(params.clone()).map_err(|error| ParamError::new("", error.to_string()))?;
                stage.check()?;
                let params = serde_json::to_value(&stage)
                    .map_err(|error| ParamError::new("", format!("parameters cannot be written down: {error}")))?;
                Ok(Arc::new(Configured { stage, params }))
            }),
        }
    }

    /// A stage type that is known only while the program runs, as a plugin has it. `code` is the identity of its
    /// implementation; `configure` makes a stage from parameters that the schema of the descriptor accepts.
    pub fn loaded(
        descriptor: StageDescriptor,
        code: Digest,
        configure: impl Fn(&Value) -> Result<Arc<dyn ConfiguredStage>, ParamError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: Cow::Owned(descriptor.name.clone()),
            code,
            descriptor: Arc::new(LazyLock::new(Box::new(move || Arc::new(descriptor)))),
            configure: Arc::new(configure),
        }
    }

    /// `crate.type`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The identity of the implementation.
    pub fn code(&self) -> Digest {
        self.code
    }

    /// What there is to know about it. Computed when first asked for.
    pub fn descriptor(&self) -> &Arc<StageDescriptor> {
        &self.descriptor
    }

    /// A stage of this type with these parameters.
    ///
    /// # Errors
    /// The first parameter that cannot be used. The JSON Schema finds most mistakes before this is called.
    pub fn configure(&self, params: &Value) -> Result<Arc<dyn ConfiguredStage>, ParamError> {
        (self.configure)(params)
    }
}

impl fmt::Debug for StageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageType({})", self.name)
    }
}

fn describe<S: Stage>() -> StageDescriptor {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<S>();
    let mut params = serde_json::to_value(schema).unwrap_or(Value::Bool(true));
    let mut doc = String::new();
    if let Some(object) = params.as_object_mut() {
        if let Some(Value::String(text)) = object.remove("description") {
            doc = text;
        }
        object.remove("title");
        object.remove("$schema");
    }
    let (summary, details) = match doc.split_once("\n\n") {
        Some((summary, details)) => (summary.replace('\n', " "), details.to_owned()),
        None => (doc.replace('\n', " "), String::new()),
    };
    StageDescriptor {
        name: S::TYPE.to_owned(),
        summary,
        details,
        ports: S::ports(),
        params,
        example: S::EXAMPLE.to_owned(),
        seeded: S::SEEDED,
        open: S::OPEN.map(str::to_owned),
    }
}

/// The seed of a run from the workflow's `params.seed`, or 42 where it has none.
pub fn stage_seed(params: &Value) -> u64 {
    params.get("seed").and_then(Value::as_u64).unwrap_or(42)
}
