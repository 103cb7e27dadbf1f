//! The stage key: everything that can change what a stage puts out, hashed field by field. The same walk gives the key
//! to the store and the fields to `explain`, so the two cannot drift apart.

use serde_json::Value;
use stagewright_contract::{CONTRACT_VERSION, Digest, Kind};

/// The version of the walk. History: 1 – the first.
const KEY_VERSION: u32 = 1;

/// What a stage key is made of. Resources, retries, time-outs, names and descriptions are not: they change how a stage
/// executes, not what it puts out.
#[derive(Clone, Debug)]
pub struct KeyInputs<'a> {
    /// The name of the stage type.
    pub stage_type: &'a str,
    /// The identity of its code.
    pub code: Digest,
    /// Its parameters with every default filled in, without those that name sources.
    pub params: &'a Value,
    /// The parameters that name sources, which the sources' digests stand for.
    pub source_params: &'a [&'a str],
    /// The workflow's seed, for a type that draws random numbers.
    pub seed: Option<u64>,
    /// What is connected to its inputs, in the order of the port names.
    pub inputs: Vec<KeyInput<'a>>,
    /// The files it reads, in the order of their paths.
    pub sources: Vec<KeySource<'a>>,
    /// The secrets that its outputs depend on, in the order of their names.
    pub secrets: Vec<KeySecret<'a>>,
}

/// A secret that a stage's outputs depend on.
#[derive(Clone, Debug)]
pub struct KeySecret<'a> {
    /// Its name.
    pub name: &'a str,
    /// What tells its value from others without telling it: see [`secret_fingerprint`].
    pub fingerprint: &'a str,
}

/// What stands for the value of a secret in a key: 128 bits of a digest of it, from which a value that cannot be
/// guessed cannot be found.
pub fn secret_fingerprint(value: &str) -> String {
    let digest = blake3::derive_key("stagewright 2026 secret fingerprint", value.as_bytes());
    Digest::from_bytes(digest).hex().chars().take(32).collect()
}

/// An artifact at an input.
#[derive(Clone, Debug)]
pub struct KeyInput<'a> {
    /// The port.
    pub port: &'a str,
    /// The artifact's kind.
    pub kind: Kind,
    /// The artifact's digest.
    pub digest: Digest,
}

/// A file that a stage reads.
#[derive(Clone, Debug)]
pub struct KeySource<'a> {
    /// The parameter that names it.
    pub param: &'a str,
    /// Its file name.
    pub name: &'a str,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Takes the fields of a walk.
trait Sink {
    fn field(&mut self, name: &str, value: &str);
}

/// The stage key.
pub fn stage_key(inputs: &KeyInputs<'_>) -> Digest {
    let mut hash = Framed(blake3::Hasher::new_derive_key("stagewright 2026 stage key"));
    walk(inputs, &mut hash);
    hash.0.finalize().into()
}

/// The fields that the key is made of, in order, for people.
pub fn key_fields(inputs: &KeyInputs<'_>) -> Vec<(String, String)> {
    let mut fields = Recorded(Vec::new());
    walk(inputs, &mut fields);
    fields.0
}

/// Hashes each field as (length of name, name, length of value, value), so that no two walks share their bytes.
struct Framed(blake3::Hasher);

impl Sink for Framed {
    fn field(&mut self, name: &str, value: &str) {
        self.0.update(&(name.len() as u64).to_le_bytes());
        self.0.update(name.as_bytes());
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value.as_bytes());
    }
}

struct Recorded(Vec<(String, String)>);

impl Sink for Recorded {
    fn field(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

fn walk(inputs: &KeyInputs<'_>, sink: &mut impl Sink) {
    let KeyInputs { stage_type, code, params, source_params, seed, inputs, sources, secrets } = inputs;
    sink.field("key", &KEY_VERSION.to_string());
    sink.field("contract", &CONTRACT_VERSION.to_string());
    sink.field("uses", stage_type);
    sink.field("code", &code.hex());
    if let Some(seed) = seed {
        sink.field("seed", &seed.to_string());
    }
    match params {
        Value::Object(object) => {
            // serde_json keeps the order of insertion when a dependency asks it to: sort, so that a key never depends
            // on it.
            let mut names: Vec<&String> =
                object.keys().filter(|name| !source_params.contains(&name.as_str())).collect();
            names.sort();
            for name in names {
                param(&format!("with.{}", escape(name)), &object[name], sink);
            }
        }
        other => param("with", other, sink),
    }
    for KeySource { param, name, digest } in sources {
        sink.field(&format!("source.{param}"), &format!("{name} {digest}"));
    }
    for KeySecret { name, fingerprint } in secrets {
        sink.field(&format!("secret.{name}"), fingerprint);
    }
    for KeyInput { port, kind, digest } in inputs {
        sink.field(&format!("inputs.{port}"), &format!("{kind} {digest}"));
    }
}

/// Leaves are fields of their own, written as JSON, so that `2` and `"2"` differ.
fn param(name: &str, value: &Value, sink: &mut impl Sink) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            for key in keys {
                param(&format!("{name}.{}", escape(key)), &object[key], sink);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                param(&format!("{name}[{index}]"), item, sink);
            }
        }
        leaf => sink.field(name, &leaf.to_string()),
    }
}

/// Keys of mappings are free text: one with a dot or a bracket must not read like a path.
fn escape(key: &str) -> std::borrow::Cow<'_, str> {
    if key.contains(['.', '[', ']', '"', '\\']) {
        serde_json::to_string(key).unwrap_or_default().into()
    } else {
        key.into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
