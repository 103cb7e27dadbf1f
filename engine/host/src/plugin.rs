//! A plugin as the engine sees it: stage types like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use stagewright_contract::{
    Artifact, Budget, ConfiguredStage, Digest, Disclosure, Kind, PersonalColumns, Secret, SecretUse, Source,
    StageContext, StageDescriptor, StageError, StageType,
};

use crate::abi::{self, log_level};
use crate::call::{Request, Scratch, Watch};
use crate::check::{Checked, Code, Refused, check};
use crate::failure::Failure;
use crate::library::Library;
use crate::manifest::{Answer, Manifest, Question, SecretManifest, SourceManifest, StageManifest, with_defaults};
use crate::worker::{Launcher, Pool, Work};

/// Where the code of a plugin runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In a worker process, so that a crash costs one stage.
    #[default]
    Process,
    /// In the program itself: a call costs microseconds, and a crash everything.
    InProcess,
}

/// A dynamic library or an executable with stage types.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    checked: Checked,
    manifest: Manifest,
    runner: Runner,
}

enum Runner {
    Process(Pool),
    InProcess(Library),
}

impl Plugin {
    /// Checks a library, loads it (into a worker, or into this process) and reads its manifest. `pin` is the SHA-256
    /// that the file must have. Manifests are kept in the folder `cache`: of a file that was seen before nothing runs
    /// until a stage does.
    ///
    /// # Errors
    /// When the plugin is refused; if that is for its machine, its version of the binary interface or its pin, then
    /// before any code of it runs.
    pub fn load(
        path: &Path,
        pin: Option<&str>,
        isolation: Isolation,
        launcher: &Launcher,
        cache: Option<&Path>,
    ) -> Result<Self, Refused> {
        Self::start(check(path, pin)?, isolation, launcher, cache)
    }

    /// Takes a plugin that was checked into use: see [`Plugin::load`].
    ///
    /// # Errors
    /// When it does not say what it is, or cannot be started.
    pub fn start(
        checked: Checked,
        isolation: Isolation,
        launcher: &Launcher,
        cache: Option<&Path>,
    ) -> Result<Self, Refused> {
        if isolation == Isolation::InProcess && checked.code != Code::Library {
            return Err(Refused::new(&checked.path, "an executable runs in a process of its own")
                .with_help("leave `isolation: in-process` out"));
        }
        let (manifest, runner) = match isolation {
            Isolation::Process => {
                let pool = Pool::new(launcher.clone(), checked.clone());
                let file = cache.map(|folder| folder.join(format!("{}-{}.json", checked.digest, abi::MINOR)));
                let manifest = match file.as_deref().and_then(remembered) {
                    Some(manifest) => manifest,
                    None => {
                        let manifest = pool.describe()?.0;
                        if let Some(file) = file {
                            remember(&file, &manifest);
                        }
                        manifest
                    }
                };
                (manifest, Runner::Process(pool))
            }
            Isolation::InProcess => {
                let library = Library::load(&checked)?;
                (library.manifest().clone(), Runner::InProcess(library))
            }
        };
        Ok(Self(Arc::new(Inner { checked, manifest, runner })))
    }

    /// What the plugin says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.checked.path
    }

    /// The identity of its code.
    pub fn digest(&self) -> Digest {
        self.0.checked.digest
    }

    /// The files that its code is made of, with their digests.
    pub fn files(&self) -> Vec<(PathBuf, Digest)> {
        self.0.checked.files()
    }

    /// Which limits hold for its code; none where it runs in this process.
    ///
    /// # Errors
    /// When no worker can be started.
    pub fn limits(&self) -> Result<Vec<String>, Refused> {
        match &self.0.runner {
            Runner::Process(pool) => Ok(pool.describe()?.1),
            Runner::InProcess(_) => Ok(Vec::new()),
        }
    }

    /// Its stage types.
    pub fn stage_types(&self) -> Vec<StageType> {
        self.0.manifest.stages.iter().map(|stage| self.stage_type(stage)).collect()
    }

    fn stage_type(&self, stage: &StageManifest) -> StageType {
        let inner = Arc::clone(&self.0);
        let stage = Arc::new(stage.clone());
        StageType::loaded(stage.descriptor(), self.digest(), move |params| {
            let stage = Arc::clone(&stage);
            let filled = with_defaults(&stage.params, params);
            let answer = if stage.plans { inner.plan(&stage.name, &filled, &Question::default())? } else { None };
            let params = answer.as_ref().map_or(filled, |answer| answer.params.clone());
            Ok(Arc::new(Configured { inner: Arc::clone(&inner), stage, params, answer }))
        })
    }
}

impl Inner {
    fn plan(&self, stage: &str, params: &Value, question: &Question) -> Result<Option<Answer>, Failure> {
        match &self.runner {
            Runner::Process(pool) => pool.plan(stage, params, question),
            Runner::InProcess(library) => library.plan(stage, params, question, &Silent),
        }
    }
}

/// A stage of a plugin with its parameters.
struct Configured {
    inner: Arc<Inner>,
    stage: Arc<StageManifest>,
    params: Value,
    /// What it said about itself, where its type plans.
    answer: Option<Answer>,
}

impl Configured {
    fn text(&self, param: &str) -> Option<String> {
        self.params.get(param).and_then(Value::as_str).map(str::to_owned)
    }

    fn may_be_personal(&self, inputs: &PersonalColumns) -> Result<PersonalColumns, Failure> {
        if self.stage.plans {
            let question = Question { personal: inputs.clone() };
            let answer = self.inner.plan(&self.stage.name, &self.params, &question)?;
            return Ok(answer.map(|answer| answer.personal).unwrap_or_default());
        }
        let all: BTreeSet<String> = inputs.values().flatten().cloned().collect();
        let descriptor = self.stage.descriptor();
        let tables = descriptor.outputs(&self.params).filter(|port| port.kind == Kind::Table);
        Ok(tables
            .map(|port| {
                let mut columns = BTreeSet::new();
                match self.stage.personal.get(&port.name) {
                    None => columns.clone_from(&all),
                    Some(said) => {
                        for column in said {
                            if column == "*" {
                                columns.extend(all.iter().cloned());
                            } else {
                                columns.insert(column.clone());
                            }
                        }
                    }
                }
                (port.name.clone(), columns)
            })
            .collect())
    }
}

impl ConfiguredStage for Configured {
    fn params(&self) -> &Value {
        &self.params
    }

    fn sources(&self) -> Vec<Source> {
        let said = self.answer.as_ref().map_or(&self.stage.sources, |answer| &answer.sources);
        let source = |source: &SourceManifest| {
            let pattern = source.pattern.clone().or_else(|| self.text(&source.param))?;
            let made = Source::new(intern(&source.param), pattern);
            Some(if source.optional { made.optional() } else { made })
        };
        said.iter().filter_map(source).collect()
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        // A stage that does not answer is held to the most that it may do.
        self.may_be_personal(inputs).unwrap_or_else(|_| {
            let all: BTreeSet<String> = inputs.values().flatten().cloned().collect();
            let outputs = self.stage.ports.iter().filter(|port| port.kind == Kind::Table);
            outputs.map(|port| (port.name.clone(), all.clone())).collect()
        })
    }

    fn discloses(&self) -> Vec<Disclosure> {
        let said = self.answer.as_ref().map_or(&self.stage.discloses, |answer| &answer.discloses);
        said.iter()
            .map(|said| Disclosure {
                port: intern(&said.port),
                columns: said.columns.clone(),
                to: intern(&said.to),
                help: said.help.clone(),
            })
            .collect()
    }

    fn secrets(&self) -> Vec<SecretUse> {
        let said = self.answer.as_ref().map_or(&self.stage.secrets, |answer| &answer.secrets);
        let name = |secret: &SecretManifest| -> Option<String> {
            if let Some(name) = &secret.name {
                return Some(name.clone());
            }
            let value = self.params.get(secret.param.as_deref()?)?;
            let secret: Secret = serde_json::from_value(value.clone()).ok()?;
            Some(secret.name().to_owned())
        };
        said.iter().filter_map(|secret| Some(SecretUse { name: name(secret)?, in_key: secret.in_key })).collect()
    }

    fn budget(&self) -> Option<Budget> {
        // A plugin has no ledger that outlives it, and so nothing to spend again.
        None
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let descriptor: StageDescriptor = self.stage.descriptor();
        let outputs: BTreeMap<String, Kind> =
            descriptor.outputs(&self.params).map(|port| (port.name.clone(), port.kind)).collect();
        let mut sources: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for source in self.sources() {
            let files = context.sources(source.param).iter().map(|file| file.path.clone());
            sources.insert(source.param.to_owned(), files.collect());
        }
        let secrets: BTreeMap<String, String> =
            context.secrets().iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let artifacts = match &self.inner.runner {
            Runner::Process(pool) => {
                let work = Work {
                    stage: &self.stage,
                    params: &self.params,
                    outputs: &outputs,
                    sources: &sources,
                    secrets: &secrets,
                };
                pool.run(&work, context)
            }
            Runner::InProcess(library) => {
                let scratch = Scratch::default();
                let request = Request {
                    stage: &self.stage.name,
                    params: &self.params,
                    seed: context.seed(),
                    inputs: context.inputs(),
                    outputs: &outputs,
                    sources: &sources,
                    secrets: &secrets,
                    scratch: &scratch,
                    string_views: self.stage.string_views,
                };
                library.run(&request, &ContextWatch(context))
            }
        }?;
        put_all(context, artifacts)
    }
}

/// Has a program that speaks the line protocol run one stage for another stage type, in a process of its own that ends
/// with the stage. `stage` is what the program's manifest would say, and `outputs` are the ports that there are.
///
/// # Errors
/// The stage's own, or how the program broke.
pub fn run_executable(
    checked: Checked,
    launcher: &Launcher,
    stage: &StageManifest,
    params: &Value,
    outputs: &BTreeMap<String, Kind>,
    context: &StageContext,
) -> Result<BTreeMap<String, Artifact>, StageError> {
    let (sources, secrets) = (BTreeMap::new(), BTreeMap::new());
    let work = Work { stage, params, outputs, sources: &sources, secrets: &secrets };
    Ok(Pool::new(launcher.clone(), checked).run(&work, context)?)
}

fn put_all(context: &mut StageContext, artifacts: BTreeMap<String, Artifact>) -> Result<(), StageError> {
    artifacts.into_iter().try_for_each(|(port, artifact)| context.put(&port, artifact))
}

/// The manifest in a file of the cache, if it is there and whole.
fn remembered(file: &Path) -> Option<Manifest> {
    Manifest::parse(&std::fs::read_to_string(file).ok()?).ok()
}

/// Best effort: without it the next command asks the plugin again.
fn remember(file: &Path, manifest: &Manifest) {
    let Some(folder) = file.parent() else { return };
    let Ok(text) = serde_json::to_vec(manifest) else { return };
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let temporary = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(temporary.path(), &text)?;
        temporary.persist(file)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::debug!(%error, file = %file.display(), "a manifest was not remembered");
    }
}

/// Passes on what a plugin says while it runs.
pub(crate) struct ContextWatch<'a>(pub(crate) &'a StageContext);

impl Watch for ContextWatch<'_> {
    fn log(&self, level: i32, message: &str) {
        let message = &*without_secrets(message.to_owned(), self.0);
        match level {
            log_level::WARNING.. => self.0.warn(message),
            log_level::INFO => tracing::info!(message, "plugin"),
            _ => tracing::debug!(message, "plugin"),
        }
    }

    fn progress(&self, done: u64, total: u64) {
        self.0.progress(done, total);
    }

    fn cancelled(&self) -> bool {
        self.0.monitor().is_cancelled()
    }
}

/// A text of a plugin without the value of any secret that its stage was given.
pub(crate) fn without_secrets(text: String, context: &StageContext) -> String {
    let values = context.secrets().iter().filter(|(_, value)| !value.expose().is_empty());
    values.fold(text, |text, (_, value)| text.replace(value.expose(), "***"))
}

/// Nobody watches.
struct Silent;

impl Watch for Silent {
    fn log(&self, _level: i32, message: &str) {
        tracing::debug!(message, "plugin");
    }

    fn progress(&self, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// A text that lives as long as the program. Manifests have few, and the same again and again.
fn intern(text: &str) -> &'static str {
    static TEXTS: OnceLock<Mutex<BTreeSet<&'static str>>> = OnceLock::new();
    let mut texts = TEXTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    texts.insert(kept);
    kept
}
