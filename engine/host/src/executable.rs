//! Plugins that are executables: what can be known of one without running it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stagewright_contract::Digest;

use crate::check::{Checked, Code, Refused};
use crate::worker::find_program;

/// A program that speaks the line protocol over its standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside `HOME` and `TMPDIR`, which are its scratch folder.
    pub environment: BTreeMap<String, String>,
    /// The files that its code is made of, with their digests.
    pub files: Vec<(PathBuf, Digest)>,
    /// Files and folders that it may read besides what every plugin may; `None` where it is not confined.
    pub readable: Option<Vec<PathBuf>>,
}

impl Executable {
    /// The environment that makes a run of Python repeat itself and leave nothing behind.
    pub fn python_environment() -> BTreeMap<String, String> {
        let path = std::env::var("PATH").unwrap_or_default();
        [
            ("PATH", path.as_str()),
            ("LC_ALL", "C.UTF-8"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONUNBUFFERED", "1"),
            ("PYTHONUTF8", "1"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }
}

/// Checks a command that is a plugin without running it. A relative path in it starts from `base`, and so do the
/// patterns' files `code`, which belong to its code as do the files that the command names, Python modules beside those,
/// and the packages of the virtual environment that its program is in.
///
/// # Errors
/// When there is no such program.
pub fn check_command(words: &[String], base: &Path, code: &[PathBuf]) -> Result<Checked, Refused> {
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    let Some((first, rest)) = words.split_first() else {
        return Err(Refused::new(&base, "its command is empty"));
    };
    let Some(program) = find_program(first, &base) else {
        let refused = Refused::new(Path::new(first), "there is no such program");
        return Err(if first.contains('/') {
            refused.with_help(format!("its path starts from `{}`", base.display()))
        } else {
            refused.with_help("install it, or write its path with a slash, such as `venv/bin/python`")
        });
    };
    let mut found: Vec<PathBuf> = code.to_vec();
    let mut readable = Vec::new();
    let mut args = Vec::new();
    // What people call the plugin: the first file after the program, such as a script.
    let mut named = None;
    for word in rest {
        let path = base.join(word);
        if !path.is_file() {
            args.push(word.clone());
            continue;
        }
        let folder = path.parent().unwrap_or(&base).to_owned();
        if path.extension().is_some_and(|end| end == "py") {
            found.extend(files(&folder, |path| path.extension().is_some_and(|end| end == "py")));
        }
        args.push(path.to_string_lossy().into_owned());
        named.get_or_insert_with(|| path.clone());
        readable.push(folder);
        found.push(path);
    }
    if first.contains('/') && named.is_none() {
        readable.extend(program.parent().map(Path::to_owned));
        found.push(program.clone());
    }
    found.extend(packages(&program));
    found.sort();
    found.dedup();
    let path = named.unwrap_or_else(|| program.clone());
    let mut hasher = Vec::new();
    let mut files = Vec::new();
    for word in words {
        frame(&mut hasher, word.as_bytes());
    }
    for file in found {
        let bytes = std::fs::read(&file)
            .map_err(|error| Refused::new(&path, format!("`{}` cannot be read: {error}", file.display())))?;
        let digest = Digest::of(&bytes);
        frame(&mut hasher, file.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.extend_from_slice(digest.as_bytes());
        readable.push(file.clone());
        files.push((file, digest));
    }
    readable.extend(prefixes(&program));
    readable.sort();
    readable.dedup();
    let executable =
        Executable { program, args, environment: Executable::python_environment(), files, readable: Some(readable) };
    Ok(Checked { path, digest: Digest::of(&hasher), code: Code::Executable(executable) })
}

fn frame(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.is_file() && wanted(path)).collect()
}

/// What says which packages are in the virtual environment of a program, and of which Python it is; nothing for a
/// program that is in none.
fn packages(program: &Path) -> Vec<PathBuf> {
    let Some(venv) = program.parent().and_then(Path::parent) else { return Vec::new() };
    let config = venv.join("pyvenv.cfg");
    if !config.is_file() {
        return Vec::new();
    }
    let folders = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = folders(venv.join("lib"))
        .flat_map(|python| folders(python.path().join("site-packages")))
        .map(|package| package.path().join("METADATA"))
        .filter(|metadata| metadata.is_file())
        .collect();
    found.push(config);
    found
}

/// Where an interpreter has what belongs to it: the folders beside its own, of the path as it is and of what links in it
/// lead to. Not all of the folder above, which may be somebody's home.
fn prefixes(program: &Path) -> Vec<PathBuf> {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let mut out = vec![PathBuf::from("/usr"), PathBuf::from("/bin")];
    for path in [program.to_owned(), std::fs::read_link(program).unwrap_or_default(), real] {
        let Some(prefix) = path.parent().and_then(Path::parent).filter(|prefix| prefix.is_absolute()) else { continue };
        out.extend(["bin", "lib", "lib64", "share", "pyvenv.cfg"].map(|name| prefix.join(name)));
    }
    out.retain(|path| path.exists());
    out
}
