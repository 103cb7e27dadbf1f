//! A dynamic library of stage types, loaded into this process.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::mem::ManuallyDrop;

use serde_json::Value;
use stagewright_contract::Artifact;

use crate::abi::{self, Plugin};
use crate::arrow::text;
use crate::call::{Call, Request, Watch};
use crate::check::{Checked, Refused};
use crate::failure::Failure;
use crate::manifest::{Answer, Manifest, Question};

/// A library that was loaded. It is never unloaded.
pub(crate) struct Library {
    plugin: Plugin,
    manifest: Manifest,
}

/// A function that every plugin must have.
macro_rules! needed {
    ($plugin:expr, $path:expr, $($name:ident),*) => {
        $(if $plugin.$name.is_none() {
            return Err(Refused::new($path, concat!("its table of functions has no `", stringify!($name), "`")));
        })*
    };
}

impl Library {
    /// Loads a library that was checked. Runs its constructors, its entry function and its `manifest`.
    ///
    /// # Errors
    /// When the system cannot load it, or when it and this program do not fit.
    pub(crate) fn load(checked: &Checked) -> Result<Self, Refused> {
        let refused = |message: String| Refused::new(&checked.path, message);
        // SAFETY: loading runs the library's constructors. It is the file that the person who runs the workflow named
        // as a plugin, is for this machine and exports the entry symbol of this version. What it does besides is why
        // plugins run in a worker unless the workflow says otherwise.
        let library = unsafe { libloading::Library::new(&checked.path) }
            .map_err(|error| refused(format!("the system cannot load it: {}", cause(&error))))?;
        // Code and texts of it are used from here on without asking whether it is still there: never dropped, it is never
        // unloaded.
        let library = ManuallyDrop::new(library);
        let name = format!("{}{}", abi::ENTRY_PREFIX, abi::MAJOR);
        // SAFETY: the symbol's name stands for this type: the header says so.
        let entry = unsafe { library.get::<abi::Entry>(name.as_bytes()) }
            .map_err(|error| refused(format!("it has no `{name}`: {}", cause(&error))))?;
        // SAFETY: the header's declaration of it.
        let offered = unsafe { entry(abi::MINOR) };
        if offered.is_null() || !offered.is_aligned() {
            return Err(refused(format!(
                "it does not fit version {}.{} of the binary interface, which this program has",
                abi::MAJOR,
                abi::MINOR
            )));
        }
        // SAFETY: not null, and every table of functions begins with its size.
        let size = unsafe { offered.cast::<usize>().read() };
        let least = std::mem::offset_of!(Plugin, plan);
        if size < least {
            return Err(refused(format!("its table of functions has {size} bytes, and {least} are wanted")));
        }
        let mut plugin = Plugin {
            struct_size: 0,
            abi_minor: 0,
            needs_minor: 0,
            manifest: None,
            create: None,
            run: None,
            destroy: None,
            plan: None,
        };
        // SAFETY: so many bytes are there on both sides. All bits are valid for its members: numbers, and functions
        // that may be null.
        unsafe {
            std::ptr::copy_nonoverlapping(
                offered.cast::<u8>(),
                std::ptr::from_mut(&mut plugin).cast::<u8>(),
                size.min(size_of::<Plugin>()),
            );
        }
        if plugin.needs_minor > abi::MINOR {
            return Err(refused(format!(
                "it needs version {major}.{} of the binary interface, and this program has {major}.{}",
                plugin.needs_minor,
                abi::MINOR,
                major = abi::MAJOR,
            ))
            .with_help("use a newer Stagewright, or build the plugin for this one"));
        }
        needed!(plugin, &checked.path, manifest, create, run, destroy);
        // SAFETY: the header's declaration of it.
        let said = plugin.manifest.map_or(std::ptr::null(), |manifest| unsafe { manifest() });
        // SAFETY: null, or a text that is valid for ever: the header says so.
        let Some(said) = (unsafe { text(said) }) else {
            return Err(refused("its manifest is not there, or is not UTF-8".to_owned()));
        };
        let manifest = Manifest::parse(said).map_err(refused)?;
        if plugin.plan.is_none()
            && let Some(stage) = manifest.stages.iter().find(|stage| stage.plans)
        {
            return Err(refused(format!("`{}` says that it plans, and there is no `plan`", stage.name)));
        }
        Ok(Self { plugin, manifest })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Makes a stage, and asks it the plan's question where its type plans.
    ///
    /// # Errors
    /// The parameter that is to blame.
    pub(crate) fn plan(
        &self,
        stage_type: &str,
        params: &Value,
        question: &Question,
        watch: &dyn Watch,
    ) -> Result<Option<Answer>, Failure> {
        let stage = self.create(stage_type, params, watch)?;
        let plans = self.manifest.stages.iter().any(|stage| stage.name == stage_type && stage.plans);
        let (true, Some(plan)) = (plans, self.plugin.plan) else { return Ok(None) };
        let question = serde_json::to_string(question).unwrap_or_default();
        let question = CString::new(question).unwrap_or_default();
        let mut answer = std::ptr::null();
        Call::new(watch, None).with_host("plan", |host| {
            // SAFETY: the header's declaration of it; the stage was made by its `create` and is not destroyed.
            unsafe { plan(host, stage.pointer, question.as_ptr(), &mut answer) }
        })?;
        // SAFETY: null, or a text that is valid until the stage is destroyed.
        let answer = unsafe { text(answer) }.ok_or_else(|| Failure::bug("the plugin's `plan` gave no text"))?;
        serde_json::from_str(answer)
            .map(Some)
            .map_err(|error| Failure::bug(format!("the plugin's `plan` gave an answer of another shape: {error}")))
    }

    /// Makes a stage, runs it and takes its outputs.
    ///
    /// # Errors
    /// The stage's own, or what it did wrong.
    pub(crate) fn run(&self, request: &Request<'_>, watch: &dyn Watch) -> Result<BTreeMap<String, Artifact>, Failure> {
        let stage = self.create(request.stage, request.params, watch)?;
        let Some(run) = self.plugin.run else { return Err(Failure::bug("the plugin has no `run`")) };
        let call = Call::new(watch, Some(request));
        // SAFETY: the header's declaration of it; the stage was made by its `create` and is not destroyed.
        call.with_host("run", |host| unsafe { run(host, stage.pointer) })?;
        call.into_outputs()
    }

    fn create(&self, stage_type: &str, params: &Value, watch: &dyn Watch) -> Result<Stage<'_>, Failure> {
        let Some(create) = self.plugin.create else { return Err(Failure::bug("the plugin has no `create`")) };
        let name = CString::new(stage_type).unwrap_or_default();
        let params = CString::new(params.to_string()).unwrap_or_default();
        let mut pointer = std::ptr::null_mut();
        Call::new(watch, None)
            // SAFETY: the header's declaration of it.
            .with_host("create", |host| unsafe { create(host, name.as_ptr(), params.as_ptr(), &mut pointer) })?;
        Ok(Stage { library: self, pointer })
    }
}

/// A stage of a library, destroyed when dropped.
struct Stage<'a> {
    library: &'a Library,
    pointer: *mut c_void,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(destroy) = self.library.plugin.destroy {
            // SAFETY: the stage was made by this library's `create` and is not used any more.
            unsafe { destroy(self.pointer) };
        }
    }
}

/// What the system's loader says, which libloading keeps as the source of its own message.
fn cause(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
