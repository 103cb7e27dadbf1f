//! For build scripts: the identity of a crate's code, so that a changed implementation changes every key it is part of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Digests the calling crate's manifest and sources, those of the given sibling crates (paths relative to the crate),
/// and the workspace's `Cargo.lock`, and hands the result to the crate as `env!("STAGEWRIGHT_CODE_DIGEST")`.
///
/// Call it from `build.rs`. A dependency's new version changes the digest through the lock file.
///
/// # Errors
/// When a source file cannot be read.
pub fn emit(siblings: &[&str]) -> io::Result<()> {
    let crate_dir = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut hasher = blake3::Hasher::new();
    for dir in std::iter::once("").chain(siblings.iter().copied()) {
        let dir = crate_dir.join(dir);
        println!("cargo::rerun-if-changed={}", dir.join("src").display());
        println!("cargo::rerun-if-changed={}", dir.join("Cargo.toml").display());
        add_file(&mut hasher, "Cargo.toml", &dir.join("Cargo.toml"))?;
        add_folder(&mut hasher, &dir.join("src"), "src")?;
    }
    let lock = crate_dir.join("../../Cargo.lock");
    if lock.exists() {
        println!("cargo::rerun-if-changed={}", lock.display());
        add_file(&mut hasher, "Cargo.lock", &lock)?;
    }
    println!("cargo::rustc-env=STAGEWRIGHT_CODE_DIGEST={}", hasher.finalize().to_hex());
    Ok(())
}

fn add_folder(hasher: &mut blake3::Hasher, folder: &Path, name: &str) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add_folder(hasher, &entry.path(), &name)?;
        } else {
            add_file(hasher, &name, &entry.path())?;
        }
    }
    Ok(())
}

/// Adds a file framed by the lengths of its name and of its bytes.
fn add_file(hasher: &mut blake3::Hasher, name: &str, path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(&bytes);
    Ok(())
}
