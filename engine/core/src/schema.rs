//! The JSON Schema of a workflow file, for editors: `stagewright schema`.

use serde_json::{Map, Value, json};

use crate::Registry;

/// The schema of a workflow over these stage types. Wherever a parameter is not text, a reference such as
/// `${params.k}` is allowed too.
pub fn workflow_schema(registry: &Registry) -> Value {
    let mut types = Vec::new();
    let mut cases = Vec::new();
    for stage_type in registry.types() {
        let descriptor = stage_type.descriptor();
        types.push(json!({ "const": descriptor.name, "description": descriptor.summary }));
        let inputs: Map<String, Value> = descriptor
            .inputs()
            .map(|port| (port.name.clone(), json!({ "$ref": "#/$defs/reference", "description": port.doc })))
            .collect();
        let required: Vec<&str> =
            descriptor.inputs().filter(|port| !port.optional).map(|port| port.name.as_str()).collect();
        let others = if descriptor.open.is_some() { json!({ "$ref": "#/$defs/reference" }) } else { json!(false) };
        let mut then = json!({
            "properties": {
                "with": or_reference(&descriptor.params, true),
                "inputs": {
                    "type": "object", "properties": inputs, "required": required, "additionalProperties": others,
                },
            },
        });
        let needs_with =
            descriptor.params.get("required").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        let needs: Vec<&str> = [("with", needs_with), ("inputs", !required.is_empty())]
            .into_iter()
            .filter_map(|(name, needed)| needed.then_some(name))
            .collect();
        then["required"] = json!(needs);
        cases.push(json!({
            "if": { "properties": { "uses": { "const": descriptor.name } }, "required": ["uses"] },
            "then": then,
        }));
    }
    let stage_properties = json!({
        "uses": { "description": "The stage type: see `stagewright stages`.", "anyOf": [{ "oneOf": types }, { "$ref": "#/$defs/interpolated" }] },
        "inputs": { "description": "What is connected to each input: `stage`, or `stage.port` when it has several outputs.", "type": "object" },
        "with": { "description": "The parameters of the stage type: see `stagewright stages TYPE`.", "type": "object" },
        "description": { "description": "What the stage is for.", "type": "string" },
        "retries": { "description": "How often to try again after an error of the environment, such as an unreadable file.", "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 100 }, { "$ref": "#/$defs/interpolated" }] },
        "timeout": { "description": "How long one try may take: `30s`, `5m`, `1h 30m`, or a number of seconds.", "type": ["string", "number"] },
        "resources": {
            "description": "What the stage takes of the machine while it executes.",
            "type": "object",
            "properties": {
                "cpus": { "description": "Processor cores (default 1).", "anyOf": [{ "type": "integer", "minimum": 1 }, { "$ref": "#/$defs/interpolated" }] },
                "memory": { "description": "Memory: `2GiB`, `500MB`, or a number of bytes.", "type": ["string", "integer"] },
            },
            "additionalProperties": false,
        },
        "when": { "description": "Execute the stage only if this is true.", "type": ["boolean", "string"] },
    });
    // A null in a change takes the key away.
    let changes: Map<String, Value> = stage_properties
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, schema)| (key.clone(), json!({ "anyOf": [schema, { "type": "null" }] })))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stagewright workflow",
        "type": "object",
        "properties": {
            "workflow": { "description": "The name of the workflow.", "type": "string" },
            "description": { "description": "What the workflow is for.", "type": "string" },
            "params": { "description": "Values that stages refer to as `${params.NAME}`; `seed` is the seed of every random draw (default 42).", "type": ["object", "null"] },
            "stages": { "description": "The stages by name.", "type": "object", "minProperties": 1, "additionalProperties": { "$ref": "#/$defs/stage" } },
            "variants": {
                "description": "The workflow with named overrides; `base` is the workflow itself.",
                "type": ["object", "null"],
                "additionalProperties": {
                    "type": ["object", "null"],
                    "properties": {
                        "description": { "type": "string" },
                        "extends": { "description": "Another variant: the changes here lie over that one's.", "type": "string" },
                        "params": { "description": "Other values for parameters.", "type": "object" },
                        "stages": { "description": "Changes to stages: merged key by key; null removes a stage.", "type": "object", "additionalProperties": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/change" }] } },
                        "grid": { "description": "A sweep: a member for every combination of these values.", "$ref": "#/$defs/lists" },
                        "zip": { "description": "A sweep: a member for each place in these lists, which are equally long.", "$ref": "#/$defs/lists" },
                        "random": { "description": "A sweep: different members drawn by chance.", "$ref": "#/$defs/random" },
                    },
                    "additionalProperties": false,
                    "allOf": [
                        { "not": { "type": "object", "required": ["grid", "zip"] } },
                        { "not": { "type": "object", "required": ["grid", "random"] } },
                        { "not": { "type": "object", "required": ["zip", "random"] } },
                    ],
                },
            },
            "seeds": { "description": "How many times every variant is run: with `params.seed`, and with the seeds that follow it.", "type": ["integer", "null"], "minimum": 1, "maximum": 1000 },
            "plugins": {
                "description": "Libraries that stage types come from: see docs/plugins.md. A relative path starts from the folder of the workflow.",
                "type": ["array", "null"],
                "items": { "anyOf": [{ "type": "string" }, {
                    "type": "object",
                    "properties": {
                        "path": { "description": "The library, or an executable file that begins with `#!`.", "type": "string" },
                        "command": { "description": "The command of an executable that speaks the line protocol: see docs/executables.md.", "type": "array", "items": { "type": "string" }, "minItems": 1 },
                        "code": { "description": "Files that the code of an executable is made of besides those that it names: paths or patterns.", "type": "array", "items": { "type": "string" }, "minItems": 1 },
                        "sha256": { "description": "The SHA-256 that the file must have.", "type": "string", "pattern": "^[0-9a-fA-F]{64}$" },
                        "isolation": { "description": "Where its code runs: in a worker process, so that a crash costs one stage (default), or in the program itself.", "enum": ["process", "in-process"] },
                    },
                    "oneOf": [{ "required": ["path"] }, { "required": ["command"] }],
                    "additionalProperties": false,
                }] },
            },
            "compare": {
                "description": "What the variants are compared by.",
                "type": ["object", "null"],
                "properties": {
                    "baseline": { "description": "The variant that the others are compared with (default `base`).", "type": "string" },
                    "metrics": { "description": "What decides: `stage.metric`, such as `scores.ndcg@10`.", "type": "array", "items": { "$ref": "#/$defs/metric" } },
                    "guardrails": { "description": "What only must not get worse.", "type": "array", "items": { "$ref": "#/$defs/metric" } },
                    "unit": { "description": "What is paired, such as `user`: the unit of the metrics (the default), or a column of their table of units by which its rows belong together.", "type": "string" },
                    "level": { "description": "The confidence of the intervals (default 0.95).", "type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1 },
                    "correction": { "description": "What is done about the number of tests (default `holm`).", "enum": ["holm", "benjamini_hochberg", "none"] },
                },
                "required": ["metrics"],
                "additionalProperties": false,
            },
        },
        "required": ["workflow", "stages"],
        "additionalProperties": false,
        "$defs": {
            "path": { "description": "`params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses`.", "pattern": "^(params\\.[^.]+|stages\\.[^.]+\\.(uses|with(\\.[^.]+)+))$" },
            "lists": { "type": "object", "minProperties": 1, "propertyNames": { "$ref": "#/$defs/path" }, "additionalProperties": { "type": "array", "minItems": 1 } },
            "random": {
                "type": "object",
                "properties": {
                    "n": { "description": "How many members.", "type": "integer", "minimum": 1, "maximum": 10000 },
                    "seed": { "description": "The seed of the draws (default 42).", "type": "integer", "minimum": 0 },
                    "draw": { "description": "How the value at each path is drawn.", "type": "object", "minProperties": 1, "propertyNames": { "$ref": "#/$defs/path" }, "additionalProperties": { "$ref": "#/$defs/draw" } },
                },
                "required": ["n", "draw"],
                "additionalProperties": false,
            },
            "draw": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {
                    "uniform": { "description": "A number from the first to the second, all equally likely.", "$ref": "#/$defs/range" },
                    "log_uniform": { "description": "A number from the first to the second, all orders of magnitude equally likely.", "$ref": "#/$defs/range" },
                    "integer": { "description": "An integer from the first to the second, both included.", "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2 },
                    "choice": { "description": "One of these.", "type": "array", "minItems": 1 },
                },
                "additionalProperties": false,
            },
            "range": { "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 },
            "reference": { "type": "string", "pattern": "^[^.]+(\\.[^.]+)?$|\\$\\{" },
            "metric_name": { "type": "string", "pattern": "^[^.]+\\..+$" },
            "metric": {
                "oneOf": [
                    { "$ref": "#/$defs/metric_name" },
                    {
                        "type": "object",
                        "properties": {
                            "metric": { "$ref": "#/$defs/metric_name" },
                            "goal": { "description": "Which way is better, where the stage type does not say.", "enum": ["maximize", "minimize"] },
                            "minimum_effect": { "description": "The smallest relative difference that matters (default 0.05): with too few units to see it, the verdict is `underpowered`.", "type": "number", "exclusiveMinimum": 0 },
                        },
                        "required": ["metric"],
                        "additionalProperties": false,
                    },
                ],
            },
            "interpolated": { "type": "string", "pattern": "\\$\\{" },
            "stage": { "type": "object", "properties": stage_properties, "required": ["uses"], "additionalProperties": false, "allOf": cases },
            "change": { "type": "object", "properties": changes, "additionalProperties": false },
        },
    })
}

/// The schema with a reference allowed wherever it does not take any text already.
fn or_reference(schema: &Value, root: bool) -> Value {
    let Value::Object(object) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in object {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), or_reference(schema, false)))
                .collect::<Map<_, _>>()
                .into(),
            ("items" | "additionalProperties", Value::Object(_)) => or_reference(value, false),
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    if root || is_free_text(object) {
        return Value::Object(out);
    }
    let mut wrapped = Map::new();
    for keyword in ["description", "default"] {
        if let Some(value) = out.remove(keyword) {
            wrapped.insert(keyword.to_owned(), value);
        }
    }
    wrapped.insert("anyOf".to_owned(), json!([Value::Object(out), { "$ref": "#/$defs/interpolated" }]));
    Value::Object(wrapped)
}

fn is_free_text(object: &Map<String, Value>) -> bool {
    let text = match object.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => false,
    };
    text && !["enum", "const", "pattern", "format"].iter().any(|keyword| object.contains_key(*keyword))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
