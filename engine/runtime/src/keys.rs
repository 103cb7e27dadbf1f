//! The key of a node, once its inputs are known.

use std::io;

use stagewright_contract::{Digest, SourceFile};
use stagewright_core::PlanNode;
use stagewright_core::key::{KeyInput, KeyInputs, KeySource};
use stagewright_store::{Store, StoreError};

/// The files of one source parameter, digested.
pub(crate) type Sources = Vec<(&'static str, Vec<SourceFile>)>;

/// Digests the source files of a node.
pub(crate) fn digest_sources(node: &PlanNode, store: &Store) -> Result<Sources, StoreError> {
    let mut sources = Vec::with_capacity(node.sources.len());
    for source in &node.sources {
        let mut files = Vec::with_capacity(source.files.len());
        for path in &source.files {
            let found = store.source_digest(path)?;
            let name = path
                .file_name()
                .ok_or_else(|| StoreError::Io {
                    action: "read",
                    path: path.clone(),
                    source: io::Error::from(io::ErrorKind::InvalidInput),
                })?
                .to_string_lossy()
                .into_owned();
            files.push(SourceFile { path: path.clone(), name, size: found.size, digest: found.digest });
        }
        sources.push((source.param, files));
    }
    Ok(sources)
}

/// What the key of a node is made of. `input` gives the digest of each of its inputs, in their order.
pub(crate) fn key_inputs<'a>(
    node: &'a PlanNode,
    source_params: &'a [&'a str],
    sources: &'a Sources,
    inputs: &[Digest],
) -> KeyInputs<'a> {
    KeyInputs {
        stage_type: node.stage_type.name(),
        code: node.stage_type.code(),
        params: node.configured.params(),
        source_params,
        seed: node.seed,
        inputs: node
            .inputs
            .iter()
            .zip(inputs)
            .map(|(input, digest)| KeyInput { port: &input.port, kind: input.kind, digest: *digest })
            .collect(),
        sources: sources
            .iter()
            .flat_map(|(param, files)| {
                files.iter().map(|file| KeySource { param, name: &file.name, digest: file.digest })
            })
            .collect(),
    }
}

/// The parameters of a node that name sources.
pub(crate) fn source_params(node: &PlanNode) -> Vec<&'static str> {
    node.sources.iter().map(|source| source.param).collect()
}
