use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Columns that may hold personal data, by port.
pub type PersonalColumns = BTreeMap<String, BTreeSet<String>>;

/// Those of some columns that bear the name of a personal column of any input: what an output may hold whose columns
/// are known.
pub fn personal_among<'a>(inputs: &PersonalColumns, columns: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let is_personal = |name: &&str| inputs.values().any(|personal| personal.contains(*name));
    columns.into_iter().filter(is_personal).map(str::to_owned).collect()
}

/// A place where the contents of an input leave the workflow, so that personal columns must not be among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The input.
    pub port: &'static str,
    /// Which of its columns are disclosed; `None` for all.
    pub columns: Option<Vec<String>>,
    /// To whom or what, in a few words: `a prompt`, `the report`, `a delivery`.
    pub to: &'static str,
    /// What to do instead.
    pub help: String,
}

/// A parameter that names a secret, as `${secret:NAME}`. The value comes from the environment variable `NAME` when the
/// stage runs; no key, journal, log, report or artifact holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(#[schemars(regex(pattern = r"^\$\{secret:[A-Za-z_][A-Za-z0-9_]*\}$"))] String);

impl Secret {
    /// Its name; empty for a parameter that is not of the form `${secret:NAME}`, which the schema refuses.
    pub fn name(&self) -> &str {
        self.0.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
    }
}

/// How a stage uses a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// Its name.
    pub name: String,
    /// Whether the outputs depend on its value (a key for pseudonyms), so that a fingerprint of it is part of the stage
    /// key; a password that only opens a door does not.
    pub in_key: bool,
}

/// The value of a secret. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, to be used and not to be kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
