//! The store as its users see it: one process, many processes, and processes that die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod basics;
mod damage;
mod erase;
mod gc;
mod journal;
mod kill;
mod ledger;
mod many;
mod sources;
mod speed;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use stagewright_contract::{Artifact, Bytes, Digest, Goal, Kind, Metrics};
use stagewright_store::{Blob, Lookup, Made, Manifest, Output, Store};
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn key(name: impl ToString) -> Digest {
    Digest::of(name.to_string().as_bytes())
}

/// A metrics artifact that is unlike that of any other name, of at least so many bytes.
fn metrics(name: impl ToString, bytes: usize) -> Artifact {
    let mut metrics = Metrics::new();
    let name = format!("{} {}", name.to_string(), "x".repeat(bytes));
    metrics.insert(name, Some(1.0), Goal::Describe).unwrap();
    metrics.into()
}

/// Three users with a personal e-mail address, an empty value among them.
fn users() -> Artifact {
    Artifact::decode(Kind::Table, Bytes::new(include_bytes!("users.arrow").to_vec())).unwrap()
}

fn bytes(artifact: &Artifact) -> Vec<u8> {
    let mut bytes = Vec::new();
    artifact.encode(&mut bytes).unwrap();
    bytes
}

fn manifest(key: Digest, outputs: &[(&str, &Artifact, &Blob)]) -> Manifest {
    let output = |(port, artifact, blob): &(&str, &Artifact, &Blob)| {
        ((*port).to_owned(), Output::of(artifact, blob.digest, blob.size))
    };
    Manifest {
        key,
        stage_type: "example.make".to_owned(),
        workflow: "shop".to_owned(),
        stage: "make".to_owned(),
        seconds: 0.25,
        created: 1_795_447_812_000,
        warnings: Vec::new(),
        outputs: outputs.iter().map(output).collect::<BTreeMap<_, _>>(),
    }
}

/// Stores one artifact as the output `out` of a stage key.
fn publish(store: &Store, key: Digest, artifact: &Artifact) -> Manifest {
    let blob = store.put(artifact).unwrap();
    let manifest = manifest(key, &[("out", artifact, &blob)]);
    store.publish(&[Made { manifest: &manifest, fields: &[], blobs: &[blob] }]).unwrap();
    manifest
}

fn hit(store: &Store, key: Digest) -> Manifest {
    match store.lookup(key).unwrap() {
        Lookup::Hit(manifest) => manifest,
        other => panic!("no hit but {other:?}"),
    }
}

fn damaged(store: &Store, key: Digest) -> String {
    match store.lookup(key).unwrap() {
        Lookup::Damaged { what } => what,
        other => panic!("not damaged but {other:?}"),
    }
}

/// How many files are in a folder, at any depth.
fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.file_type().unwrap().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

const CHILD: &str = "STAGEWRIGHT_STORE_TEST";

/// This program again, to run the test `name` alone, which sees `argument`: [`argument`].
fn child(name: &str, argument: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env(CHILD, argument);
    command.stdout(Stdio::null());
    command
}

/// What the parent process hands to this child; `None` where a person runs the ignored tests.
fn argument() -> Option<String> {
    std::env::var(CHILD).ok()
}
