//! What a plugin may call while one of its functions runs: the host's side of `struct sw_host`.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use stagewright_contract::{Artifact, Bytes, Kind};

use crate::abi::{ArrowArrayStream, Host, error_kind, input};
use crate::arrow;
use crate::failure::Failure;
use crate::scratch::ScratchFolder;

/// Whoever watches a stage of a plugin. Called from any thread of the plugin.
pub(crate) trait Watch: Sync {
    fn log(&self, level: i32, message: &str);
    fn progress(&self, done: u64, total: u64);
    fn cancelled(&self) -> bool;
}

/// One execution of a stage.
pub(crate) struct Request<'a> {
    pub(crate) stage: &'a str,
    pub(crate) params: &'a Value,
    pub(crate) seed: u64,
    pub(crate) inputs: &'a BTreeMap<String, Artifact>,
    /// The outputs that there are under these parameters.
    pub(crate) outputs: &'a BTreeMap<String, Kind>,
    pub(crate) sources: &'a BTreeMap<String, Vec<PathBuf>>,
    pub(crate) secrets: &'a BTreeMap<String, String>,
    pub(crate) scratch: &'a Scratch,
    pub(crate) string_views: bool,
}

/// A folder for one execution of a stage: made when it is asked for, removed with this.
#[derive(Default)]
pub(crate) struct Scratch {
    parent: Option<PathBuf>,
    made: Mutex<Option<Made>>,
}

/// A folder that was made.
enum Made {
    Within(tempfile::TempDir),
    Own(ScratchFolder),
}

impl Scratch {
    /// Within this folder instead of the system's own.
    pub(crate) fn within(parent: &Path) -> Self {
        Self { parent: Some(parent.to_owned()), made: Mutex::default() }
    }

    fn path(&self) -> io::Result<PathBuf> {
        let mut made = lock(&self.made);
        if made.is_none() {
            *made = Some(match &self.parent {
                Some(parent) => Made::Within(tempfile::Builder::new().prefix("stage-").tempdir_in(parent)?),
                None => Made::Own(ScratchFolder::new()?),
            });
        }
        Ok(match &*made {
            Some(Made::Within(folder)) => folder.path().to_owned(),
            Some(Made::Own(folder)) => folder.path().to_owned(),
            None => PathBuf::new(),
        })
    }
}

/// One call of a plugin's function, as its callbacks find it behind `sw_host.context`.
pub(crate) struct Call<'a> {
    watch: &'a dyn Watch,
    request: Option<&'a Request<'a>>,
    failure: Mutex<Option<Failure>>,
    outputs: Mutex<BTreeMap<String, Artifact>>,
    /// Texts that were given out, which live until the call is over.
    texts: Mutex<Vec<CString>>,
    /// The same of bytes, whose length goes with them.
    bytes: Mutex<Vec<Vec<u8>>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(watch: &'a dyn Watch, request: Option<&'a Request<'a>>) -> Self {
        Self {
            watch,
            request,
            failure: Mutex::default(),
            outputs: Mutex::default(),
            texts: Mutex::default(),
            bytes: Mutex::default(),
        }
    }

    /// Calls a function of the plugin with what it may call back.
    ///
    /// # Errors
    /// When it gives anything but 0.
    pub(crate) fn with_host(&self, what: &str, function: impl FnOnce(*const Host) -> i32) -> Result<(), Failure> {
        let host = Host {
            struct_size: size_of::<Host>(),
            context: std::ptr::from_ref(self).cast_mut().cast::<c_void>(),
            fail,
            log,
            progress,
            cancelled,
            seed: self.request.map(|request| request.seed).unwrap_or_default(),
            get_table,
            put_table,
            get_json,
            put_json,
            source,
            scratch,
            secret,
        };
        let code = function(&host);
        if code == 0 {
            return Ok(());
        }
        let why = lock(&self.failure).take();
        Err(why.unwrap_or_else(|| Failure::bug(format!("the plugin's `{what}` gave {code} without saying why"))))
    }

    /// The outputs, all of which must be there.
    pub(crate) fn into_outputs(self) -> Result<BTreeMap<String, Artifact>, Failure> {
        let outputs = self.outputs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let declared = self.request.into_iter().flat_map(|request| request.outputs);
        for (port, kind) in declared {
            if !outputs.contains_key(port) {
                return Err(Failure::bug(format!(
                    "the plugin said that it succeeded, without its {kind} output `{port}`"
                ))
                .with_help("this is a bug in the plugin: it must put every output before `run` returns 0"));
            }
        }
        Ok(outputs)
    }

    /// A text that lives until the call is over. What cannot stand in a text of C ends it.
    fn give(&self, text: &[u8]) -> *const c_char {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        let text = CString::new(&text[..end]).unwrap_or_default();
        let pointer = text.as_ptr();
        lock(&self.texts).push(text);
        pointer
    }

    fn fail(&self, failure: Failure) {
        *lock(&self.failure) = Some(failure);
    }

    fn get_table(&self, port: &str) -> Result<Option<ArrowArrayStream>, Failure> {
        Ok(match self.input(port)? {
            None => None,
            Some((Artifact::Table(table), request)) => Some(arrow::export(table, request.string_views)),
            Some((other, _)) => {
                return Err(Failure::bug(format!("input `{port}` is of kind {}, no table", other.kind())));
            }
        })
    }

    fn get_json(&self, port: &str) -> Result<Option<(*const c_char, usize)>, Failure> {
        let Some((artifact, _)) = self.input(port)? else { return Ok(None) };
        if artifact.kind() == Kind::Table {
            return Err(Failure::bug(format!("input `{port}` is a table, which `get_table` gives out")));
        }
        let mut bytes = Vec::new();
        artifact.encode(&mut bytes).map_err(|error| Failure::bug(format!("input `{port}`: {error}")))?;
        // Where they are does not change when the vector itself is moved.
        let given = (bytes.as_ptr().cast::<c_char>(), bytes.len());
        lock(&self.bytes).push(bytes);
        Ok(Some(given))
    }

    fn input(&self, port: &str) -> Result<Option<(&'a Artifact, &'a Request<'a>)>, Failure> {
        let request = self.running()?;
        Ok(request.inputs.get(port).map(|artifact| (artifact, request)))
    }

    fn running(&self) -> Result<&'a Request<'a>, Failure> {
        self.request.ok_or_else(|| Failure::bug("inputs and outputs are there while `run` runs only"))
    }

    fn put(
        &self,
        port: &str,
        wants_table: bool,
        make: impl FnOnce(Kind) -> Result<Artifact, String>,
    ) -> Result<(), Failure> {
        let request = self.running()?;
        let Some(kind) = request.outputs.get(port) else {
            let known: Vec<&str> = request.outputs.keys().map(String::as_str).collect();
            return Err(Failure::bug(format!("the plugin put an output `{port}`, which it does not declare"))
                .with_help(format!("with these parameters its outputs are: {}", known.join(", "))));
        };
        if wants_table != (*kind == Kind::Table) {
            return Err(Failure::bug(format!("output `{port}` is of kind {kind}, and the plugin put another")));
        }
        let artifact = make(*kind).map_err(|error| {
            Failure::bug(format!("output `{port}` is not a {kind} that can be used: {error}"))
                .with_help("this is a bug in the plugin: `stagewright plugin check` finds such")
        })?;
        if lock(&self.outputs).insert(port.to_owned(), artifact).is_some() {
            return Err(Failure::bug(format!("output `{port}` was put twice")));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a callback. A panic must not cross to the plugin: it is a failure of the call instead.
///
/// # Safety
/// `host` is null or what [`Call::with_host`] handed out, and the function that it was handed to has not returned.
unsafe fn callback<T>(host: *const Host, otherwise: T, body: impl FnOnce(&Call<'_>) -> Result<T, Failure>) -> T {
    // SAFETY: the caller says that it is what was handed out.
    let Some(host) = (unsafe { host.as_ref() }) else { return otherwise };
    // SAFETY: the host was made with a pointer to a call, which lives as long as the plugin's function runs. All that
    // callbacks change of it is behind locks.
    let Some(call) = (unsafe { host.context.cast::<Call<'_>>().as_ref() }) else { return otherwise };
    match catch_unwind(AssertUnwindSafe(|| body(call))) {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => {
            call.fail(failure);
            otherwise
        }
        Err(_) => {
            call.fail(Failure::bug("the host panicked while it served a plugin"));
            otherwise
        }
    }
}

/// A text from a plugin.
///
/// # Safety
/// The pointer is null, or to a text that ends with a zero byte.
unsafe fn read(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// A name from a plugin.
///
/// # Safety
/// As for [`read`].
unsafe fn name(text: *const c_char) -> Result<String, Failure> {
    // SAFETY: the caller's promise.
    unsafe { read(text) }.ok_or_else(|| Failure::bug("the plugin gave a null pointer for a name"))
}

unsafe extern "C" fn fail(
    host: *const Host,
    kind: i32,
    message: *const c_char,
    location: *const c_char,
    help: *const c_char,
) {
    // SAFETY: as the header says: the pointer the plugin was given, and texts of C.
    unsafe {
        callback(host, (), |call| {
            let kind = if (error_kind::DATA..=error_kind::BUG).contains(&kind) { kind } else { error_kind::BUG };
            let message = read(message).filter(|message| !message.trim().is_empty());
            call.fail(Failure {
                kind,
                message: message.unwrap_or_else(|| "the plugin failed without saying why".to_owned()),
                location: read(location).filter(|text| !text.is_empty()),
                help: read(help).filter(|text| !text.is_empty()),
            });
            Ok(())
        });
    }
}

unsafe extern "C" fn log(host: *const Host, level: i32, message: *const c_char) {
    // SAFETY: as the header says.
    unsafe {
        callback(host, (), |call| {
            call.watch.log(level, &read(message).unwrap_or_default());
            Ok(())
        });
    }
}

unsafe extern "C" fn progress(host: *const Host, done: u64, total: u64) {
    // SAFETY: as the header says.
    unsafe {
        callback(host, (), |call| {
            call.watch.progress(done, total);
            Ok(())
        });
    }
}

unsafe extern "C" fn cancelled(host: *const Host) -> i32 {
    // SAFETY: as the header says.
    unsafe { callback(host, 1, |call| Ok(i32::from(call.watch.cancelled()))) }
}

unsafe extern "C" fn get_table(host: *const Host, port: *const c_char, out: *mut ArrowArrayStream) -> i32 {
    // SAFETY: as the header says: `out` is there to be written to, whatever it holds.
    unsafe {
        callback(host, input::FAILED, |call| {
            if out.is_null() {
                return Err(Failure::bug("the plugin gave a null pointer for a stream"));
            }
            out.write(ArrowArrayStream::empty());
            let Some(stream) = call.get_table(&name(port)?)? else { return Ok(input::NONE) };
            out.write(stream);
            Ok(input::THERE)
        })
    }
}

unsafe extern "C" fn put_table(host: *const Host, port: *const c_char, table: *mut ArrowArrayStream) -> i32 {
    // SAFETY: as the header says: the stream is the plugin's own and handed over.
    unsafe {
        callback(host, 1, |call| {
            let made = arrow::import(table);
            call.put(&name(port)?, true, |_| made.map(Artifact::from))?;
            Ok(0)
        })
    }
}

unsafe extern "C" fn get_json(
    host: *const Host,
    port: *const c_char,
    text: *mut *const c_char,
    length: *mut usize,
) -> i32 {
    // SAFETY: as the header says: both are there to be written to.
    unsafe {
        callback(host, input::FAILED, |call| {
            if text.is_null() || length.is_null() {
                return Err(Failure::bug("the plugin gave a null pointer for a text"));
            }
            let Some((start, len)) = call.get_json(&name(port)?)? else { return Ok(input::NONE) };
            text.write(start);
            length.write(len);
            Ok(input::THERE)
        })
    }
}

unsafe extern "C" fn put_json(host: *const Host, port: *const c_char, text: *const c_char, length: usize) -> i32 {
    // SAFETY: as the header says: the text is of that length.
    unsafe {
        callback(host, 1, |call| {
            if text.is_null() || length > isize::MAX as usize {
                return Err(Failure::bug("the plugin gave no text for an output"));
            }
            let bytes = std::slice::from_raw_parts(text.cast::<u8>(), length).to_vec();
            call.put(&name(port)?, false, |kind| {
                Artifact::decode(kind, Bytes::new(bytes)).map_err(|error| error.to_string())
            })?;
            Ok(0)
        })
    }
}

unsafe extern "C" fn source(host: *const Host, param: *const c_char, index: usize) -> *const c_char {
    // SAFETY: as the header says.
    unsafe {
        callback(host, std::ptr::null(), |call| {
            let param = name(param)?;
            let file = call.running()?.sources.get(&param).and_then(|files| files.get(index));
            Ok(file.map_or(std::ptr::null(), |path| call.give(path.as_os_str().as_encoded_bytes())))
        })
    }
}

unsafe extern "C" fn scratch(host: *const Host) -> *const c_char {
    // SAFETY: as the header says.
    unsafe {
        callback(host, std::ptr::null(), |call| {
            let path = call.running()?.scratch.path();
            let path = path.map_err(|error| Failure::environment(format!("there is no scratch folder: {error}")))?;
            Ok(call.give(path.as_os_str().as_encoded_bytes()))
        })
    }
}

unsafe extern "C" fn secret(host: *const Host, secret: *const c_char) -> *const c_char {
    // SAFETY: as the header says.
    unsafe {
        callback(host, std::ptr::null(), |call| {
            let value = call.running()?.secrets.get(&name(secret)?);
            Ok(value.map_or(std::ptr::null(), |value| call.give(value.as_bytes())))
        })
    }
}
