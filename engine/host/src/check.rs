//! What can be known of a dynamic library without running any of it: what machine it is for, which versions of the
//! binary interface it offers, and whether it is the file that the workflow pins.

use std::fmt;
use std::path::{Path, PathBuf};

use elf::ElfBytes;
use elf::abi::{EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64, ET_DYN, SHN_UNDEF};
use elf::endian::AnyEndian;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stagewright_contract::Digest;

use crate::abi;
use crate::executable::{Executable, check_command};

/// Why a plugin cannot be used: what was found, and what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which plugin.
    pub path: PathBuf,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Refused {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into(), help: None }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin `{}` is refused: {}", self.path.display(), self.message)
    }
}

impl std::error::Error for Refused {}

/// A plugin that may be used: a library for this machine, of this major version, and the one that is pinned; or an
/// executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Where it is, as an absolute path.
    pub path: PathBuf,
    /// The identity of its code in every key: the digest of its bytes, or of all that it is made of.
    pub digest: Digest,
    /// What kind of code it is.
    pub code: Code,
}

/// The code of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// A dynamic library, to be loaded.
    Library,
    /// A program, to be started.
    Executable(Executable),
}

impl Checked {
    /// The files that its code is made of, with their digests.
    pub fn files(&self) -> Vec<(PathBuf, Digest)> {
        match &self.code {
            Code::Library => vec![(self.path.clone(), self.digest)],
            Code::Executable(executable) => executable.files.clone(),
        }
    }
}

/// Checks a library, or an executable file that begins with `#!`, without running any of it. `pin` is the SHA-256 of the file, in hexadecimal digits.
///
/// # Errors
/// When it may not be loaded.
pub fn check(path: &Path, pin: Option<&str>) -> Result<Checked, Refused> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let bytes = std::fs::read(&path).map_err(|error| {
        let refused = Refused::new(&path, format!("it cannot be read: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound {
            refused.with_help("build the plugin first, or correct its path")
        } else {
            refused
        }
    })?;
    if let Some(pin) = pin {
        let found = hex(&Sha256::digest(&bytes));
        if !pin.eq_ignore_ascii_case(&found) {
            return Err(Refused::new(&path, format!("its SHA-256 is {found}, and {pin} is pinned"))
                .with_help("put the pinned file there, or pin this one if you trust it"));
        }
    }
    if bytes.starts_with(b"#!") {
        let parent = path.parent().unwrap_or(Path::new("/"));
        return check_command(&[path.to_string_lossy().into_owned()], parent, &[]);
    }
    inspect(&bytes).map_err(|(message, help)| {
        let refused = Refused::new(&path, message);
        match help {
            Some(help) => refused.with_help(help),
            None => refused,
        }
    })?;
    Ok(Checked { path, digest: Digest::of(&bytes), code: Code::Library })
}

type Complaint = (String, Option<String>);

fn inspect(bytes: &[u8]) -> Result<(), Complaint> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(|_| {
        (
            format!("it is no ELF file: expected a dynamic library for {}", this_machine()),
            Some(
                "a script begins with `#!` and the program that runs it; any other command is named with `command:`"
                    .to_owned(),
            ),
        )
    })?;
    let (wanted_machine, wanted_little) = this_elf();
    let found = &file.ehdr;
    let little = found.endianness == AnyEndian::Little;
    let bits = if matches!(found.class, elf::file::Class::ELF32) { 32 } else { 64 };
    if found.e_machine != wanted_machine || little != wanted_little || bits != usize::BITS {
        let order = if little { "" } else { ", big-endian" };
        return Err((
            format!(
                "it is for {}{order} ({bits} bits), and this program for {}",
                machine(found.e_machine),
                this_machine()
            ),
            Some("build the plugin on this machine, or for it".to_owned()),
        ));
    }
    if found.e_type != ET_DYN {
        return Err(("it is an executable or an object file, not a dynamic library".to_owned(), None));
    }
    let mut offered = Vec::new();
    if let Ok(Some((symbols, names))) = file.dynamic_symbol_table() {
        for symbol in symbols.iter().filter(|symbol| symbol.st_shndx != SHN_UNDEF) {
            let name = names.get(symbol.st_name as usize).unwrap_or_default();
            if let Some(version) = name.strip_prefix(abi::ENTRY_PREFIX) {
                offered.push(version.to_owned());
            }
        }
    }
    let wanted = abi::MAJOR.to_string();
    if offered.contains(&wanted) {
        return Ok(());
    }
    if offered.is_empty() {
        return Err((
            format!("it exports no `{}{wanted}`: it is not a plugin", abi::ENTRY_PREFIX),
            Some("a plugin exports its entry symbol: see docs/plugins.md".to_owned()),
        ));
    }
    offered.sort();
    Err((
        format!("it offers version {} of the binary interface, and this program wants {wanted}", offered.join(" and ")),
        Some("build the plugin with the header or SDK of this version of Stagewright".to_owned()),
    ))
}

fn this_elf() -> (u16, bool) {
    let machine = match std::env::consts::ARCH {
        "x86_64" => EM_X86_64,
        "aarch64" => EM_AARCH64,
        "x86" => EM_386,
        "arm" => EM_ARM,
        "riscv64" | "riscv32" => EM_RISCV,
        _ => 0,
    };
    (machine, cfg!(target_endian = "little"))
}

fn this_machine() -> String {
    format!("{} ({} bits)", std::env::consts::ARCH, usize::BITS)
}

fn machine(number: u16) -> String {
    match number {
        EM_X86_64 => "x86_64".to_owned(),
        EM_AARCH64 => "aarch64".to_owned(),
        EM_386 => "x86".to_owned(),
        EM_ARM => "arm".to_owned(),
        EM_RISCV => "riscv".to_owned(),
        other => format!("machine {other} of the ELF list"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
