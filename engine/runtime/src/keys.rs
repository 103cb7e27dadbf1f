//! The key of a node, once its inputs are known.

use std::io;

use stagewright_contract::{Digest, SecretValue, SourceFile, StageError};
use stagewright_core::PlanNode;
use stagewright_core::key::{KeyInput, KeyInputs, KeySecret, KeySource, secret_fingerprint};
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
    secrets: &'a [(String, String)],
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
        secrets: secrets.iter().map(|(name, fingerprint)| KeySecret { name, fingerprint }).collect(),
    }
}

/// The value of a secret.
///
/// # Errors
/// When the environment does not hold it.
pub(crate) fn secret(name: &str) -> Result<SecretValue, StageError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(SecretValue::new(value)),
        _ => Err(StageError::environment(format!("the secret `{name}` is not set"))
            .with_help(format!("set the environment variable `{name}`, for this command alone if need be"))),
    }
}

/// The names and fingerprints of the secrets that a node's outputs depend on.
///
/// # Errors
/// When the environment does not hold one of them.
pub fn secret_fingerprints(node: &PlanNode) -> Result<Vec<(String, String)>, StageError> {
    node.secrets
        .iter()
        .filter(|used| used.in_key)
        .map(|used| Ok((used.name.clone(), secret_fingerprint(secret(&used.name)?.expose()))))
        .collect()
}

/// The parameters of a node that name sources.
pub(crate) fn source_params(node: &PlanNode) -> Vec<&'static str> {
    node.sources.iter().map(|source| source.param).collect()
}
