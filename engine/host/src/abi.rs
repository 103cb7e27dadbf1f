//! The structures of `stagewright.h`, member for member. The header says what each is for.

use std::ffi::{c_char, c_int, c_void};

/// The major version of the binary interface: part of the name of the entry symbol.
pub const MAJOR: u32 = 1;
/// The minor version of the binary interface.
pub const MINOR: u32 = 0;
/// What the entry symbols of all major versions begin with.
pub const ENTRY_PREFIX: &str = "stagewright_plugin_v";

/// `struct ArrowSchema` of the Arrow C data interface.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the Arrow C data interface documents them")]
pub struct ArrowSchema {
    pub format: *const c_char,
    pub name: *const c_char,
    pub metadata: *const c_char,
    pub flags: i64,
    pub n_children: i64,
    pub children: *mut *mut ArrowSchema,
    pub dictionary: *mut ArrowSchema,
    pub release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    pub private_data: *mut c_void,
}

/// `struct ArrowArray` of the Arrow C data interface.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the Arrow C data interface documents them")]
pub struct ArrowArray {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    pub dictionary: *mut ArrowArray,
    pub release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub private_data: *mut c_void,
}

/// `struct ArrowArrayStream` of the Arrow C stream interface.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the Arrow C stream interface documents them")]
pub struct ArrowArrayStream {
    pub get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int>,
    pub get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    pub get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    pub release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    pub private_data: *mut c_void,
}

/// The kinds of `enum sw_error_kind`.
pub mod error_kind {
    /// The data or the parameters.
    pub const DATA: i32 = 1;
    /// The machine, a file or a service.
    pub const ENVIRONMENT: i32 = 2;
    /// The run was cancelled.
    pub const CANCELLED: i32 = 3;
    /// The plugin itself.
    pub const BUG: i32 = 4;
}

/// The levels of `enum sw_log_level`.
pub mod log_level {
    /// For who looks for a mistake.
    pub const DEBUG: i32 = 0;
    /// For who watches.
    pub const INFO: i32 = 1;
    /// For whoever uses the outputs.
    pub const WARNING: i32 = 2;
}

/// The answers of `enum sw_input`.
pub mod input {
    /// Nothing is connected.
    pub const NONE: i32 = 0;
    /// It was given out.
    pub const THERE: i32 = 1;
    /// There is no such input.
    pub const FAILED: i32 = -1;
}

/// `struct sw_host`.
#[repr(C)]
#[allow(missing_docs, reason = "the header documents them")]
pub struct Host {
    pub struct_size: usize,
    pub context: *mut c_void,
    pub fail: unsafe extern "C" fn(*const Host, i32, *const c_char, *const c_char, *const c_char),
    pub log: unsafe extern "C" fn(*const Host, i32, *const c_char),
    pub progress: unsafe extern "C" fn(*const Host, u64, u64),
    pub cancelled: unsafe extern "C" fn(*const Host) -> i32,
    pub seed: u64,
    pub get_table: unsafe extern "C" fn(*const Host, *const c_char, *mut ArrowArrayStream) -> i32,
    pub put_table: unsafe extern "C" fn(*const Host, *const c_char, *mut ArrowArrayStream) -> i32,
    pub get_json: unsafe extern "C" fn(*const Host, *const c_char, *mut *const c_char, *mut usize) -> i32,
    pub put_json: unsafe extern "C" fn(*const Host, *const c_char, *const c_char, usize) -> i32,
    pub source: unsafe extern "C" fn(*const Host, *const c_char, usize) -> *const c_char,
    pub scratch: unsafe extern "C" fn(*const Host) -> *const c_char,
    pub secret: unsafe extern "C" fn(*const Host, *const c_char) -> *const c_char,
}

/// `struct sw_plugin`. The functions are optional here because a plugin may leave one out by mistake.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "the header documents them")]
pub struct Plugin {
    pub struct_size: usize,
    pub abi_minor: u32,
    pub needs_minor: u32,
    pub manifest: Option<unsafe extern "C-unwind" fn() -> *const c_char>,
    pub create: Option<unsafe extern "C-unwind" fn(*const Host, *const c_char, *const c_char, *mut *mut c_void) -> i32>,
    pub run: Option<unsafe extern "C-unwind" fn(*const Host, *mut c_void) -> i32>,
    pub destroy: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    pub plan: Option<unsafe extern "C-unwind" fn(*const Host, *mut c_void, *const c_char, *mut *const c_char) -> i32>,
}

/// The entry symbol's type.
pub type Entry = unsafe extern "C-unwind" fn(host_minor: u32) -> *const Plugin;
