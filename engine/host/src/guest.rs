//! The plugin's own side of the boundary, for stage types in Rust: what [`export_plugin!`](crate::export_plugin) makes
//! a library of.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use stagewright_contract::{
    Artifact, Bytes, ConfiguredStage, Digest, Direction, Kind, MemoryLedger, Monitor, ParamError, SecretValue,
    SourceFile, StageContext, StageError, StageType, Upstream,
};

use crate::abi::{self, ArrowArrayStream, Host, Plugin, error_kind, input, log_level};
use crate::arrow;
use crate::failure::Failure;
use crate::manifest::{Answer, DisclosureManifest, Manifest, Question, SecretManifest, SourceManifest, StageManifest};

/// The stage types of a library, and its manifest.
pub struct Exports {
    types: Vec<StageType>,
    manifest: CString,
}

impl Exports {
    /// The exports of a plugin with this name and version. `network` names the stage types that open connections.
    pub fn new(name: &str, version: &str, network: &[&str], types: Vec<StageType>) -> Self {
        let stages = types.iter().map(|stage_type| StageManifest {
            string_views: true,
            plans: true,
            network: network.contains(&stage_type.name()),
            ..StageManifest::from(&**stage_type.descriptor())
        });
        let manifest = Manifest { name: name.to_owned(), version: version.to_owned(), stages: stages.collect() };
        let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
        Self { types, manifest: CString::new(manifest).unwrap_or_default() }
    }
}

/// What [`export_plugin!`](crate::export_plugin) implements for a library.
pub trait Exported: 'static {
    /// Its exports, made when first asked for.
    fn exports() -> &'static Exports;

    /// Its table of functions.
    const PLUGIN: &'static Plugin = &Plugin {
        struct_size: size_of::<Plugin>(),
        abi_minor: abi::MINOR,
        needs_minor: 0,
        manifest: Some(manifest::<Self>),
        create: Some(create::<Self>),
        run: Some(run),
        destroy: Some(destroy),
        plan: Some(plan),
    };
}

/// Makes a plugin of stage types: a crate of type `cdylib` that has this line exports them.
///
/// ```ignore
/// stagewright_plugin::export_plugin!("shout", [Upper, Count]);
/// ```
///
/// The names of the stage types begin with the name of the plugin, as in `shout.upper`. Name those that
/// open connections a second time: `export_plugin!("deliver", [Make, Send], network: [Send])`.
#[macro_export]
macro_rules! export_plugin {
    ($name:literal, [$($stage:ty),+ $(,)?]) => { $crate::export_plugin!($name, [$($stage),+], network: []); };
    ($name:literal, [$($stage:ty),+ $(,)?], network: [$($open:ty),* $(,)?]) => {
        const _: () = {
            struct Library;

            impl $crate::guest::Exported for Library {
                fn exports() -> &'static $crate::guest::Exports {
                    static EXPORTS: ::std::sync::OnceLock<$crate::guest::Exports> = ::std::sync::OnceLock::new();
                    EXPORTS.get_or_init(|| {
                        let types = ::std::vec![$($crate::guest::stage_type::<$stage>()),+];
                        let network: &[&str] = &[$($crate::guest::type_name::<$open>()),*];
                        $crate::guest::Exports::new($name, ::std::env!("CARGO_PKG_VERSION"), network, types)
                    })
                }
            }

            // The one symbol of its name in the library.
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C-unwind" fn stagewright_plugin_v1(_host_minor: u32) -> *const $crate::abi::Plugin {
                <Library as $crate::guest::Exported>::PLUGIN
            }
        };
    };
}

/// A stage type of a library. Its code is identified by the library's file.
pub fn stage_type<S: stagewright_contract::Stage>() -> StageType {
    StageType::of::<S>("")
}

/// The name of a stage type.
pub fn type_name<S: stagewright_contract::Stage>() -> &'static str {
    S::TYPE
}

/// A stage, as the host holds a pointer to it.
struct Stage {
    stage_type: StageType,
    configured: Arc<dyn ConfiguredStage>,
    answer: Mutex<CString>,
}

unsafe extern "C-unwind" fn manifest<E: Exported + ?Sized>() -> *const c_char {
    catch_unwind(|| E::exports().manifest.as_ptr()).unwrap_or(std::ptr::null())
}

unsafe extern "C-unwind" fn create<E: Exported + ?Sized>(
    host: *const Host,
    stage_type: *const c_char,
    params: *const c_char,
    stage: *mut *mut c_void,
) -> i32 {
    guarded(host, || {
        // SAFETY: as the header says: both are texts that live until this returns.
        let (name, params) = unsafe { (arrow::text(stage_type), arrow::text(params)) };
        let params: Value = serde_json::from_str(params.unwrap_or_default())
            .map_err(|error| Failure::bug(format!("the parameters are no JSON: {error}")))?;
        let stage_type = E::exports().types.iter().find(|known| Some(known.name()) == name).cloned();
        let Some(stage_type) = stage_type else {
            return Err(Failure::bug(format!("there is no stage type `{}`", name.unwrap_or_default())));
        };
        let configured = stage_type.configure(&params).map_err(|error| failure(&error))?;
        let made = Box::new(Stage { stage_type, configured, answer: Mutex::default() });
        // SAFETY: as the header says: it is there to be written to.
        unsafe { stage.write(Box::into_raw(made).cast()) };
        Ok(())
    })
}

fn failure(error: &ParamError) -> Failure {
    Failure {
        kind: error_kind::DATA,
        message: error.message.clone(),
        location: Some(error.path.clone()),
        help: error.help.clone(),
    }
}

unsafe extern "C-unwind" fn destroy(stage: *mut c_void) {
    // SAFETY: as the header says: `create` made it, and it is not used any more. A panic while it is dropped ends here.
    let _ = catch_unwind(|| drop(unsafe { Box::from_raw(stage.cast::<Stage>()) }));
}

unsafe extern "C-unwind" fn plan(
    host: *const Host,
    stage: *mut c_void,
    question: *const c_char,
    answer: *mut *const c_char,
) -> i32 {
    guarded(host, || {
        // SAFETY: as the header says: `create` made it and `destroy` did not see it yet.
        let stage = unsafe { &*stage.cast::<Stage>() };
        // SAFETY: as the header says: a text that lives until this returns.
        let question = unsafe { arrow::text(question) }.unwrap_or_default();
        let question: Question = serde_json::from_str(question)
            .map_err(|error| Failure::bug(format!("the question is of another shape: {error}")))?;
        let text = serde_json::to_vec(&answer_of(&*stage.configured, &question))
            .map_err(|error| Failure::bug(error.to_string()))?;
        let mut kept = stage.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = CString::new(text).unwrap_or_default();
        // SAFETY: as the header says: it is there to be written to.
        unsafe { answer.write(kept.as_ptr()) };
        Ok(())
    })
}

fn answer_of(stage: &dyn ConfiguredStage, question: &Question) -> Answer {
    let sources = stage.sources().into_iter().map(|source| SourceManifest {
        param: source.param.to_owned(),
        pattern: Some(source.pattern),
        optional: source.optional,
    });
    let secrets = stage.secrets().into_iter().map(|secret| SecretManifest {
        param: None,
        name: Some(secret.name),
        in_key: secret.in_key,
    });
    let discloses = stage.discloses().into_iter().map(|said| DisclosureManifest {
        port: said.port.to_owned(),
        columns: said.columns,
        to: said.to.to_owned(),
        help: said.help,
    });
    Answer {
        params: stage.params().clone(),
        sources: sources.collect(),
        secrets: secrets.collect(),
        discloses: discloses.collect(),
        personal: stage.personal(&question.personal),
    }
}

unsafe extern "C-unwind" fn run(host: *const Host, stage: *mut c_void) -> i32 {
    guarded(host, || {
        // SAFETY: as the header says: `create` made it and `destroy` did not see it yet.
        let stage = unsafe { &*stage.cast::<Stage>() };
        let line = Line(Arc::new(AtomicPtr::new(host.cast_mut())));
        let monitor = Arc::new(Monitor::following(Box::new(Line(Arc::clone(&line.0)))));
        let ran = stage.run(&Calls(host), &monitor);
        for warning in monitor.warnings() {
            Calls(host).warn(&warning);
        }
        // What the stage may have left behind must not call a host that is not there any more.
        line.0.store(std::ptr::null_mut(), Ordering::SeqCst);
        ran.map_err(|error| Failure::from(&error))
    })
}

impl Stage {
    fn run(&self, host: &Calls, monitor: &Arc<Monitor>) -> Result<(), StageError> {
        let descriptor = self.stage_type.descriptor();
        let mut inputs = BTreeMap::new();
        for port in descriptor.ports.iter().filter(|port| port.direction == Direction::Input) {
            if let Some(artifact) = host.input(&port.name, port.kind)? {
                inputs.insert(port.name.clone(), artifact);
            }
        }
        let mut sources = BTreeMap::new();
        for source in self.configured.sources() {
            sources.insert(source.param.to_owned(), host.sources(source.param)?);
        }
        let secrets = self.configured.secrets().into_iter();
        let secrets = secrets.filter_map(|used| Some((used.name.clone(), host.secret(&used.name)?))).collect();
        let mut context = StageContext::new(inputs, sources, host.seed(), Arc::clone(monitor))
            .with_secrets(secrets)
            .with_ledger(Arc::new(MemoryLedger::default()));
        self.configured.run(&mut context)?;
        context.into_outputs().iter().try_for_each(|(port, artifact)| host.put(port, artifact))
    }
}

/// Runs a function of the plugin: panics do not cross, and errors are said before it returns.
fn guarded(host: *const Host, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return 0,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::bug(format!("the plugin panicked: {}", message(&*panic)))
            .with_help("this is a bug in the plugin, and costs this stage only"),
    };
    // The host knows what went wrong when one of its own functions did.
    if !failure.message.is_empty() {
        Calls(host).fail(&failure);
    }
    1
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The functions of the host, while a function of the plugin runs.
struct Calls(*const Host);

fn c(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// The host has said already why.
fn said() -> StageError {
    StageError::bug("")
}

impl Calls {
    fn host(&self) -> &Host {
        // SAFETY: these are made from the pointer that a function of the plugin was given, and used until it returns.
        unsafe { &*self.0 }
    }

    fn seed(&self) -> u64 {
        self.host().seed
    }

    fn fail(&self, failure: &Failure) {
        let optional = |text: &Option<String>| text.as_deref().map(c);
        let (location, help) = (optional(&failure.location), optional(&failure.help));
        let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        // SAFETY: the host's function, with texts that live until it returns.
        unsafe {
            (self.host().fail)(self.0, failure.kind, c(&failure.message).as_ptr(), pointer(&location), pointer(&help));
        }
    }

    fn warn(&self, message: &str) {
        // SAFETY: the host's function, with a text that lives until it returns.
        unsafe { (self.host().log)(self.0, log_level::WARNING, c(message).as_ptr()) };
    }

    fn input(&self, port: &str, kind: Kind) -> Result<Option<Artifact>, StageError> {
        let name = c(port);
        if kind == Kind::Table {
            let mut stream = ArrowArrayStream::empty();
            // SAFETY: the host's function; the stream is there to be written to.
            return match unsafe { (self.host().get_table)(self.0, name.as_ptr(), &mut stream) } {
                input::NONE => Ok(None),
                // SAFETY: the host filled the stream in.
                input::THERE => unsafe { arrow::import(&mut stream) }
                    .map(|table| Some(table.into()))
                    .map_err(|error| StageError::bug(format!("input `{port}`: {error}"))),
                _ => Err(said()),
            };
        }
        let (mut text, mut length) = (std::ptr::null(), 0);
        // SAFETY: the host's function; both are there to be written to.
        match unsafe { (self.host().get_json)(self.0, name.as_ptr(), &mut text, &mut length) } {
            input::NONE => Ok(None),
            input::THERE => {
                // SAFETY: the host filled both in: so many bytes, which live until the plugin's function returns.
                let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) }.to_vec();
                Artifact::decode(kind, Bytes::new(bytes))
                    .map(Some)
                    .map_err(|error| StageError::bug(format!("input `{port}`: {error}")))
            }
            _ => Err(said()),
        }
    }

    fn put(&self, port: &str, artifact: &Artifact) -> Result<(), StageError> {
        let name = c(port);
        let code = if let Artifact::Table(table) = artifact {
            let mut stream = arrow::export(table, true);
            // SAFETY: the host's function; it takes the stream over.
            unsafe { (self.host().put_table)(self.0, name.as_ptr(), &mut stream) }
        } else {
            let mut text = Vec::new();
            artifact
                .encode(&mut text)
                .map_err(|error| StageError::bug(format!("output `{port}` cannot be written: {error}")))?;
            // SAFETY: the host's function, with a text that lives until it returns.
            unsafe { (self.host().put_json)(self.0, name.as_ptr(), text.as_ptr().cast(), text.len()) }
        };
        if code == 0 { Ok(()) } else { Err(said()) }
    }

    fn sources(&self, param: &str) -> Result<Vec<SourceFile>, StageError> {
        let name = c(param);
        let mut files = Vec::new();
        loop {
            // SAFETY: the host's function.
            let path = unsafe { (self.host().source)(self.0, name.as_ptr(), files.len()) };
            if path.is_null() {
                return Ok(files);
            }
            // SAFETY: not null, so a text that lives until the plugin's function returns.
            let path = PathBuf::from(unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned());
            let bytes = std::fs::read(&path)
                .map_err(|error| StageError::environment(format!("cannot read `{}`: {error}", path.display())))?;
            files.push(SourceFile {
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                size: bytes.len() as u64,
                digest: Digest::of(&bytes),
                path,
            });
        }
    }

    fn secret(&self, name: &str) -> Option<SecretValue> {
        let name = c(name);
        // SAFETY: the host's function.
        let value = unsafe { (self.host().secret)(self.0, name.as_ptr()) };
        // SAFETY: null, or a text that lives until the plugin's function returns.
        unsafe { arrow::text(value) }.map(SecretValue::new)
    }
}

/// The line from a stage's monitor to the host; null once the plugin's function has returned.
#[derive(Debug)]
struct Line(Arc<AtomicPtr<Host>>);

impl Line {
    fn host(&self) -> Option<Calls> {
        let host = self.0.load(Ordering::SeqCst);
        (!host.is_null()).then_some(Calls(host))
    }
}

impl Upstream for Line {
    fn is_cancelled(&self) -> bool {
        // SAFETY: the host's function, which may be called from any thread until the plugin's function returns.
        self.host().is_some_and(|calls| unsafe { (calls.host().cancelled)(calls.0) } != 0)
    }

    fn progress(&self, done: u64, total: u64) {
        if let Some(calls) = self.host() {
            // SAFETY: as above.
            unsafe { (calls.host().progress)(calls.0, done, total) };
        }
    }
}
