//! The parameters of a stage against its type's JSON Schema, with messages for people.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value as Json;

use crate::Registry;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Node, Value};
use crate::spec::StageSpec;

/// Reports every parameter that the schema of the stage's type refuses. Says whether all were accepted.
pub(crate) fn params(spec: &StageSpec, registry: &Registry, diagnostics: &mut Diagnostics) -> bool {
    let json = &spec.json;
    let (Some(validator), Some(stage_type)) = (registry.validator(&spec.uses), registry.get(&spec.uses)) else {
        return true;
    };
    let accepted = validator.is_valid(json);
    if !accepted {
        let schema = &stage_type.descriptor().params;
        for error in validator.iter_errors(json) {
            let path = error.instance_path().to_string();
            report(spec, schema, error.kind(), &path, &error.schema_path().to_string(), diagnostics);
        }
    }
    accepted
}

fn report(
    spec: &StageSpec,
    schema: &Json,
    kind: &ValidationErrorKind,
    path: &str,
    schema_path: &str,
    diagnostics: &mut Diagnostics,
) {
    let node = spec.with.at_path(path);
    if node.value == Value::Null && diagnostics.is_unknown(node.span) {
        return; // A reference that leads nowhere, which was complained about.
    }
    let name = shown(path);
    let at = |message: String, label: String| Diagnostic::new(node.span, message, label);
    match kind {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                let known = properties(schema, schema_path);
                let message = if path.is_empty() {
                    format!("`{}` has no parameter `{key}`", spec.uses)
                } else {
                    format!("`{name}` has no key `{key}`")
                };
                diagnostics.push(
                    Diagnostic::new(node.key_span(key).unwrap_or(node.span), message, "unknown parameter")
                        .suggest(key, known.iter().map(String::as_str)),
                );
            }
        }
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let missing = Diagnostic::new(
                if path.is_empty() { spec.uses_span } else { node.span },
                if path.is_empty() {
                    format!("`{}` needs the parameter `{property}`", spec.uses)
                } else {
                    format!("`{name}` needs the key `{property}`")
                },
                format!("`{property}` is missing"),
            );
            let doc = schema.pointer(&format!("/properties/{property}/description")).and_then(Json::as_str);
            diagnostics.push(match doc.filter(|_| path.is_empty()) {
                Some(doc) => missing
                    .with_help(format!("`{property}`: {}", doc.split("\n\n").next().unwrap_or(doc).replace('\n', " "))),
                None => missing,
            });
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(kind) => article(&kind.to_string()),
                TypeKind::Multiple(set) => {
                    let mut kinds: Vec<String> = set.iter().map(|kind| kind.to_string()).collect();
                    kinds.sort_by_key(|kind| kind == "null");
                    kinds.iter().map(|kind| article(kind)).collect::<Vec<_>>().join(" or ")
                }
            };
            diagnostics.push(at(format!("`{name}` must be {expected}"), format!("this is {}", node.describe())));
        }
        ValidationErrorKind::Minimum { limit } => {
            diagnostics.push(at(format!("`{name}` must be at least {limit}"), format!("expected {limit} or more")));
        }
        ValidationErrorKind::Maximum { limit } => {
            diagnostics.push(at(format!("`{name}` must be at most {limit}"), format!("expected {limit} or less")));
        }
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            diagnostics.push(at(format!("`{name}` must be more than {limit}"), format!("expected more than {limit}")));
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            diagnostics.push(at(format!("`{name}` must be less than {limit}"), format!("expected less than {limit}")));
        }
        ValidationErrorKind::MinItems { limit } => {
            diagnostics.push(at(format!("`{name}` needs at least {limit} entries"), "too few".to_owned()));
        }
        ValidationErrorKind::MinLength { .. } => {
            diagnostics.push(at(format!("`{name}` is too short"), "expected more characters".to_owned()));
        }
        ValidationErrorKind::MinProperties { limit } => {
            diagnostics.push(at(format!("`{name}` needs at least {limit} entries"), "too few".to_owned()));
        }
        ValidationErrorKind::UniqueItems => {
            diagnostics
                .push(at(format!("`{name}` holds the same entry twice"), "expected distinct entries".to_owned()));
        }
        ValidationErrorKind::MaxItems { limit } | ValidationErrorKind::MaxProperties { limit } => {
            diagnostics.push(at(format!("`{name}` takes at most {limit} entries"), "too many".to_owned()));
        }
        ValidationErrorKind::MaxLength { limit } => {
            diagnostics.push(at(format!("`{name}` is too long"), format!("expected at most {limit} characters")));
        }
        ValidationErrorKind::Pattern { pattern } if pattern.starts_with(r"^\$\{secret:") => {
            diagnostics.push(
                at(format!("`{name}` must name a secret"), "expected `${secret:NAME}`".to_owned())
                    .with_help("the value comes from the environment variable `NAME`, so that it rests nowhere"),
            );
        }
        ValidationErrorKind::Pattern { pattern } => {
            diagnostics.push(at(
                format!("`{name}` is not of the right form"),
                format!("expected a text that matches `{pattern}`"),
            ));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }
            if let Some(errors) = nearest_branch(context, path) =>
        {
            for error in errors {
                report(
                    spec,
                    schema,
                    error.kind(),
                    error.instance_path().as_str(),
                    error.schema_path().as_str(),
                    diagnostics,
                );
            }
        }
        ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. }
        | ValidationErrorKind::AnyOf { .. }
        | ValidationErrorKind::OneOfNotValid { .. }
        | ValidationErrorKind::OneOfMultipleValid { .. } => {
            diagnostics.push(choice(node, &name, schema, schema_path));
        }
        other => diagnostics
            .push(at(format!("`{name}` is not what `{}` takes", spec.uses), format!("violates `{}`", other.keyword()))),
    }
}

/// Of several shapes that a value may have, the only one that it has but for what stands inside it.
fn nearest_branch<'a>(
    context: &'a [Vec<ValidationError<'static>>],
    path: &str,
) -> Option<&'a [ValidationError<'static>]> {
    let is_that_shape = |errors: &&Vec<ValidationError<'static>>| {
        errors.iter().all(|error| {
            error.instance_path().as_str() != path
                || matches!(
                    error.kind(),
                    ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::Required { .. }
                )
        })
    };
    let mut branches = context.iter().filter(is_that_shape);
    let first = branches.next()?;
    branches.next().is_none().then_some(first)
}

/// A value that is none of those allowed: names the nearest, or says which types are.
fn choice(node: &Node, name: &str, schema: &Json, schema_path: &str) -> Diagnostic {
    let keyword = schema.pointer(schema_path).unwrap_or(&Json::Null);
    let mut values = Vec::new();
    let mut types = Vec::new();
    collect_choices(keyword, &mut values, &mut types);
    let written = match node.to_json() {
        Json::String(text) => text,
        other => other.to_string(),
    };
    let written: String =
        if written.chars().count() > 40 { written.chars().take(40).chain(['…']).collect() } else { written };
    types.dedup();
    if values.is_empty() && types.is_empty() {
        Diagnostic::new(node.span, format!("`{name}` cannot be `{written}`"), "none of the values allowed")
    } else if values.is_empty() {
        let types = types.iter().map(|kind| article(kind)).collect::<Vec<_>>().join(" or ");
        Diagnostic::new(node.span, format!("`{name}` must be {types}"), format!("this is {}", node.describe()))
    } else {
        let mut expected: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        expected.extend(types.iter().filter(|kind| *kind != "string" && *kind != "null").map(|kind| article(kind)));
        Diagnostic::new(
            node.span,
            format!("`{name}` cannot be `{written}`"),
            format!("expected {}", expected.join(", ")),
        )
        .suggest(&written, values.iter().map(String::as_str))
    }
}

fn collect_choices(schema: &Json, values: &mut Vec<String>, types: &mut Vec<String>) {
    match schema {
        Json::Array(items) => {
            for item in items {
                match item {
                    Json::String(value) => values.push(value.clone()),
                    Json::Object(_) => collect_choices(item, values, types),
                    Json::Null => types.push("null".to_owned()),
                    other => values.push(other.to_string()),
                }
            }
        }
        Json::Object(object) => {
            if let Some(value) = object.get("const") {
                values.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            } else if let Some(list) =
                object.get("enum").or_else(|| object.get("oneOf")).or_else(|| object.get("anyOf"))
            {
                collect_choices(list, values, types);
            } else {
                match object.get("type") {
                    Some(Json::String(kind)) => types.push(kind.clone()),
                    Some(Json::Array(kinds)) => types.extend(kinds.iter().filter_map(Json::as_str).map(str::to_owned)),
                    _ => {}
                }
            }
        }
        Json::String(value) => values.push(value.clone()),
        Json::Null => {}
        other => values.push(other.to_string()),
    }
}

/// The names of the properties beside the keyword that a schema path points to.
fn properties(schema: &Json, schema_path: &str) -> Vec<String> {
    let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema
        .pointer(&format!("{parent}/properties"))
        .and_then(Json::as_object)
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default()
}

/// `/columns/0/name` as people write it: `columns[0].name`.
fn shown(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push_str(&format!("[{part}]"));
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&part.replace("~1", "/").replace("~0", "~"));
        }
    }
    if out.is_empty() { "with".to_owned() } else { out }
}

fn article(kind: &str) -> String {
    match kind {
        "string" => "text".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a mapping".to_owned(),
        "integer" => "an integer".to_owned(),
        "null" => "nothing".to_owned(),
        other => format!("a {other}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
