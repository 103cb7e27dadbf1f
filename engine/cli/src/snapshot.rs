//! What the last run of a command found, so that the next one can see in milliseconds that nothing has changed.
//!
//! A snapshot is trusted only if every thing that the outcome follows from is the same: the text of the workflow and of
//! all overrides, the code of the program and of all stage types, the digest of every source file, every manifest (none
//! was forgotten since), and the size and stamp of every blob. Anything else is left to a full look-up.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagewright_contract::Digest;
use stagewright_core::key::secret_fingerprint;
use stagewright_core::{Plan, Registry};
use stagewright_host::Plugin;
use stagewright_report::Comparison;
use stagewright_runtime::{NodeStatus, RunOutcome, RunRecord, Work, find_files, secret_fingerprints};
use stagewright_store::{Stamp, Store, StoreError};

use crate::args::RunArgs;
use crate::plugins;
use crate::progress::cached_lines;

/// Read at the start and checked at the end of a snapshot.
const MAGIC: &[u8; 8] = b"sgwsnap2";
/// The bytes of a blob in the table of blobs: digest, size, modification time, time of change, inode.
const BLOB: usize = 32 + 4 * 8;

/// What a run that finds nothing changed has to say, and what it has to check first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The run that looked everything up.
    pub(crate) run: String,
    /// The name of the workflow.
    pub(crate) workflow: String,
    /// How many manifests the store had forgotten.
    forgotten: u64,
    /// The source files: the folder and the pattern they were found by, and their digests.
    sources: Vec<SourceSeen>,
    /// The plugins, with the digests of their files.
    plugins: Vec<(PathBuf, Digest)>,
    /// The secrets that outputs depend on, with what stands for their values.
    secrets: Vec<(String, String)>,
    /// The comparison of the variants.
    pub(crate) comparison: Option<Comparison>,
    /// The metrics of all variants.
    pub(crate) metrics: Value,
    /// Where the report is.
    pub(crate) report: PathBuf,
    /// A line for each stage that was found; none where there are too many to list.
    pub(crate) lines: Vec<String>,
    /// What was saved.
    pub(crate) work: Work,
    /// Stages by what became of them.
    pub(crate) cached: usize,
    pub(crate) shared: usize,
    pub(crate) skipped: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct SourceSeen {
    base: PathBuf,
    pattern: String,
    files: Vec<(PathBuf, Digest)>,
}

/// A snapshot whose every condition holds.
pub(crate) struct Unchanged {
    pub(crate) head: Head,
    /// The stages as `run --json` prints them.
    pub(crate) stages: String,
}

/// Names the snapshot of a command: a digest of all texts that go into the plan, and of the program.
pub(crate) fn name(args: &RunArgs, registry: &Registry) -> Option<Digest> {
    let RunArgs { workflow, variant, fail_fast: _, jobs: _, check_determinism, report, open: _, json: _ } = args;
    // These ask for more than an answer.
    if *check_determinism || report.is_some() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(env!("STAGEWRIGHT_CODE_DIGEST").as_bytes());
    field(registry.code().as_bytes());
    for path in plugins::paths() {
        field(b"plugin");
        field(path.as_os_str().as_encoded_bytes());
    }
    field(std::env::current_dir().ok()?.as_os_str().as_encoded_bytes());
    field(workflow.workflow.as_os_str().as_encoded_bytes());
    field(&fs::read(&workflow.workflow).ok()?);
    for file in &workflow.params {
        field(b"params");
        field(file.as_os_str().as_encoded_bytes());
        field(&fs::read(file).ok()?);
    }
    for set in &workflow.set {
        field(b"set");
        field(set.as_bytes());
    }
    for pattern in variant {
        field(b"variant");
        field(pattern.as_bytes());
    }
    Some(hasher.finalize().into())
}

/// The snapshot of this name, if there is one and everything is as it says.
pub(crate) fn check(name: Digest, store: &Store) -> Option<Unchanged> {
    let bytes = fs::read(path(store, name)).ok()?;
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if Digest::of(body).as_bytes() != digest {
        return None;
    }
    let body = body.strip_prefix(MAGIC)?;
    let (head, body) = section(body)?;
    let (stages, body) = section(body)?;
    let (blobs, _) = section(body)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    if store.forgotten().ok()? != head.forgotten || !head.report.is_file() {
        return None;
    }
    for (path, digest) in &head.plugins {
        if store.source_digest(path).ok()?.digest != *digest {
            return None;
        }
    }
    for source in &head.sources {
        // Of a source that need not be there, no file is what may have been found.
        let found = find_files(&source.base, &source.pattern).unwrap_or_default();
        if found.len() != source.files.len() {
            return None;
        }
        for (path, (known, digest)) in found.iter().zip(&source.files) {
            if path != known || store.source_digest(path).ok()?.digest != *digest {
                return None;
            }
        }
    }
    let known = |(name, fingerprint): &(String, String)| {
        std::env::var(name).is_ok_and(|value| secret_fingerprint(&value) == *fingerprint)
    };
    if !head.secrets.iter().all(known) {
        return None;
    }
    let sound = |blob: &[u8]| blob_is_as(blob, store).unwrap_or(false);
    if !blobs.par_chunks(BLOB).with_min_len(256).all(sound) {
        return None;
    }
    Some(Unchanged { head, stages: String::from_utf8(stages.to_vec()).ok()? })
}

/// What a run said at its end.
pub(crate) struct Said<'a> {
    pub(crate) comparison: Option<&'a Comparison>,
    pub(crate) metrics: Value,
    pub(crate) report: &'a Path,
    pub(crate) plugins: &'a [Plugin],
}

/// Writes the snapshot of a run that succeeded. A snapshot that cannot be written is only a slower next run.
pub(crate) fn write(
    name: Digest,
    plan: &Plan,
    outcome: &RunOutcome,
    record: &RunRecord,
    said: Said<'_>,
    store: &Store,
) -> Result<(), StoreError> {
    let mut sources = Vec::new();
    for source in plan.nodes.iter().flat_map(|node| &node.sources) {
        let mut files = Vec::with_capacity(source.files.len());
        for file in &source.files {
            files.push((file.clone(), store.source_digest(file)?.digest));
        }
        sources.push(SourceSeen { base: source.base.clone(), pattern: source.pattern.clone(), files });
    }
    let mut secrets = Vec::new();
    for node in &plan.nodes {
        let Ok(used) = secret_fingerprints(node) else { return Ok(()) };
        secrets.extend(used);
    }
    secrets.sort();
    secrets.dedup();
    let forgotten = store.forgotten()?;
    let mut digests: Vec<Digest> =
        outcome.nodes.iter().flat_map(|node| node.outputs.values().map(|output| output.digest)).collect();
    digests.sort_unstable();
    digests.dedup();
    let mut blobs = Vec::with_capacity(digests.len() * BLOB);
    for digest in digests {
        let Some((size, stamp)) = store.blob_stamp(digest)? else { return Ok(()) };
        blobs.extend_from_slice(digest.as_bytes());
        blobs.extend_from_slice(&size.to_le_bytes());
        blobs.extend_from_slice(&stamp.mtime.to_le_bytes());
        blobs.extend_from_slice(&stamp.ctime.to_le_bytes());
        blobs.extend_from_slice(&stamp.inode.to_le_bytes());
    }
    let record = record.clone().unchanged();
    let counts = record.counts();
    let count = |wanted| counts.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, count)| *count);
    let head = Head {
        run: outcome.run.clone(),
        forgotten,
        sources,
        plugins: said.plugins.iter().flat_map(Plugin::files).collect(),
        secrets,
        workflow: plan.workflow.clone(),
        comparison: said.comparison.cloned(),
        metrics: said.metrics,
        report: std::path::absolute(said.report).unwrap_or_else(|_| said.report.to_owned()),
        lines: cached_lines(plan, &outcome.nodes),
        work: record.work,
        cached: count(NodeStatus::Cached),
        shared: count(NodeStatus::Shared),
        skipped: count(NodeStatus::Skipped),
    };
    let (Ok(head), Ok(stages)) = (serde_json::to_vec(&head), serde_json::to_vec(&record.stages)) else {
        return Ok(());
    };
    let mut body = MAGIC.to_vec();
    for bytes in [&head, &stages, &blobs] {
        body.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        body.extend_from_slice(bytes);
    }
    let digest = Digest::of(&body);
    body.extend_from_slice(digest.as_bytes());
    // Best effort: without a snapshot the next run looks every key up.
    let _ = put(&path(store, name), &body);
    Ok(())
}

fn put(path: &Path, body: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // One snapshot per command: those of other texts of the workflow are of no use any more once they pile up.
    let mut others: Vec<_> = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    if others.len() >= 32 {
        others.sort_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok());
        for old in &others[..others.len() - 16] {
            fs::remove_file(old)?;
        }
    }
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), body)?;
    file.persist(path)?;
    Ok(())
}

fn path(store: &Store, name: Digest) -> PathBuf {
    store.root().join("snapshots").join(&name.hex()[..32])
}

fn section(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)
}

/// Whether a blob's file is the one that the table says.
fn blob_is_as(blob: &[u8], store: &Store) -> Option<bool> {
    let (digest, rest) = blob.split_first_chunk::<32>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (mtime, rest) = rest.split_first_chunk::<8>()?;
    let (ctime, inode) = rest.split_first_chunk::<8>()?;
    let stamp = Stamp {
        mtime: i64::from_le_bytes(*mtime),
        ctime: i64::from_le_bytes(*ctime),
        inode: u64::from_le_bytes(inode.try_into().ok()?),
    };
    let metadata: Metadata = fs::metadata(store.blob_path(Digest::from_bytes(*digest))).ok()?;
    Some(metadata.size() == u64::from_le_bytes(*size) && Stamp::of(&metadata) == stamp)
}
