//! Secrets in the parameters of a stage: only where its type takes one.

use serde_json::Value as Json;
use stagewright_contract::SecretUse;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::StageSpec;

/// Reports every parameter that names a secret and is not one that the type declares.
pub(crate) fn check(stage: &StageSpec, params: &Json, declared: &[SecretUse], diagnostics: &mut Diagnostics) {
    let mut found = Vec::new();
    collect(params, String::new(), &mut found);
    for (path, text) in found {
        let name = text.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}'));
        if name.is_some_and(|name| declared.iter().any(|secret| secret.name == name)) {
            continue;
        }
        let shown = name.unwrap_or(text);
        diagnostics.push(
            Diagnostic::new(
                stage.with.at_path(&path).span,
                format!("the secret `{shown}` cannot be used here"),
                "this parameter takes no secret",
            )
            .with_help(format!("`stagewright stages {}` lists the parameters that do", stage.uses)),
        );
    }
}

fn collect<'a>(value: &'a Json, path: String, found: &mut Vec<(String, &'a str)>) {
    match value {
        Json::String(text) if text.contains("${secret:") => found.push((path, text)),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{path}/{index}"), found);
            }
        }
        Json::Object(entries) => {
            for (key, value) in entries {
                collect(value, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}
