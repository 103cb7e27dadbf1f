//! The environment of a command: what the stage declares, and `PATH`.

use std::collections::BTreeMap;

use stagewright_contract::{ParamError, Secret, SecretUse, StageContext, StageError};

use crate::words::Word;

/// Variables by name: a value, a secret, or nothing for one that is passed on.
pub(crate) type Declared = BTreeMap<String, Option<Word>>;

/// The names must be names.
pub(crate) fn check(declared: &Declared) -> Result<(), ParamError> {
    for name in declared.keys() {
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return Err(ParamError::new("environment", format!("`{name}` is no name of a variable")));
        }
        if name.starts_with("STAGEWRIGHT_") {
            return Err(ParamError::new(format!("environment/{name}"), format!("`{name}` is set by Stagewright")));
        }
    }
    Ok(())
}

/// The secret that a value names.
fn secret(value: &Word) -> Option<Secret> {
    let Word::Text(text) = value else { return None };
    if !text.starts_with("${secret:") {
        return None;
    }
    serde_json::from_value(serde_json::Value::from(text.as_str())).ok()
}

/// The secrets among the values.
pub(crate) fn secrets(declared: &Declared) -> Vec<SecretUse> {
    let secrets = declared.values().flatten().filter_map(secret);
    secrets.map(|secret| SecretUse { name: secret.name().to_owned(), in_key: false }).collect()
}

/// The variables with their values.
///
/// # Errors
/// When a secret is not set.
pub(crate) fn resolve(declared: &Declared, context: &StageContext) -> Result<BTreeMap<String, String>, StageError> {
    let mut out = BTreeMap::new();
    let mut pass_on = |name: &str| {
        if let Ok(value) = std::env::var(name) {
            out.insert(name.to_owned(), value);
        }
    };
    pass_on("PATH");
    declared.iter().filter(|(_, value)| value.is_none()).for_each(|(name, _)| pass_on(name));
    for (name, value) in declared {
        let Some(value) = value else { continue };
        let value = match secret(value) {
            Some(secret) => context.secret(&secret)?.expose().to_owned(),
            None => value.text(),
        };
        out.insert(name.clone(), value);
    }
    Ok(out)
}
