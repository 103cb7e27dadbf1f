use std::process::ExitCode;

use serde_json::{Value, json};
use stagewright_contract::StageDescriptor;
use stagewright_report::table::{Column, TextTable};

use crate::args::StagesArgs;
use crate::failure::Failure;
use crate::load::types_of;
use crate::terminal;

pub(crate) fn run(args: &StagesArgs) -> Result<ExitCode, Failure> {
    let types = types_of(args.file.as_deref())?;
    let registry = &types.registry;
    let Some(name) = &args.stage_type else {
        if args.json {
            let all: Vec<_> = registry.types().map(|stage_type| json!(**stage_type.descriptor())).collect();
            println!("{}", json!(all));
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = TextTable::new([Column::left("type"), Column::left("what it does").wrapping()]);
        for stage_type in registry.types() {
            table.row([stage_type.name(), stage_type.descriptor().summary.as_str()]);
        }
        print!("{}", table.render(terminal::width(), terminal::colour_out()));
        println!("\n`stagewright stages TYPE` describes one");
        return Ok(ExitCode::SUCCESS);
    };
    let Some(stage_type) = registry.get(name) else {
        return Err(Failure::unknown("stage type", name, registry.names()));
    };
    let descriptor = stage_type.descriptor();
    if args.json {
        println!("{}", json!(**descriptor));
    } else {
        describe(descriptor);
        if let Some(plugin) = types.plugin_of(name) {
            println!(
                "\nfrom the plugin {} {}: {}",
                plugin.manifest().name,
                plugin.manifest().version,
                plugin.path().display()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(descriptor: &StageDescriptor) {
    println!("{}: {}", descriptor.name, descriptor.summary);
    if !descriptor.details.is_empty() {
        println!("\n{}", descriptor.details);
    }
    for (title, ports) in [
        ("inputs", descriptor.inputs().collect::<Vec<_>>()),
        (
            "outputs",
            descriptor.ports.iter().filter(|port| port.direction == stagewright_contract::Direction::Output).collect(),
        ),
    ] {
        if ports.is_empty() {
            match &descriptor.open {
                Some(_) if title == "inputs" => println!("\ninputs\n  of any name and kind"),
                Some(param) => println!("\noutputs\n  those that `{param}` declares"),
                None => {}
            }
            continue;
        }
        println!("\n{title}");
        let mut table = TextTable::new([Column::left("port"), Column::left("kind"), Column::left("").wrapping()]);
        for port in ports {
            let mut doc = port.doc.clone();
            if port.optional {
                doc.push_str(" (optional)");
            }
            if let Some((param, value)) = &port.only_if {
                doc.push_str(&format!(" (only with `{param}: {}`)", plain(value)));
            }
            table.row([port.name.as_str(), port.kind.name(), doc.as_str()]);
        }
        print!("{}", table.render(terminal::width(), terminal::colour_out()));
    }
    let none = serde_json::Map::new();
    let properties = descriptor.params.get("properties").and_then(Value::as_object).unwrap_or(&none);
    if !properties.is_empty() {
        println!("\nparameters");
        let required: Vec<&str> = descriptor
            .params
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut table = TextTable::new([
            Column::left("name"),
            Column::left("type").wrapping(),
            Column::left("default"),
            Column::left("").wrapping(),
        ]);
        for (name, schema) in properties {
            let default = match schema.get("default") {
                Some(value) => plain(value),
                None if required.contains(&name.as_str()) => "required".to_owned(),
                None => String::new(),
            };
            let doc = schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
            table.row([name.as_str(), kind(schema).as_str(), default.as_str(), doc.as_str()]);
        }
        print!("{}", table.render(terminal::width(), terminal::colour_out()));
    }
    println!("\nexample\n  {}:", descriptor.name.rsplit('.').next().unwrap_or("stage"));
    println!("    uses: {}", descriptor.name);
    for line in descriptor.example.lines() {
        println!("    {line}");
    }
}

/// The type of a parameter, as its schema says it.
fn kind(schema: &Value) -> String {
    let range = match (schema.get("minimum"), schema.get("maximum")) {
        (Some(min), Some(max)) => format!(" {min} to {max}"),
        (Some(min), None) if *min != json!(0) || schema.get("format").is_none() => format!(" from {min}"),
        (None, Some(max)) => format!(" to {max}"),
        _ => String::new(),
    };
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return choices.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    if let Some(value) = schema.get("const") {
        return plain(value);
    }
    if let Some(choices) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
        let mut kinds: Vec<String> = choices.iter().map(kind).filter(|kind| kind != "null").collect();
        kinds.dedup();
        return kinds.join(" | ");
    }
    let name = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "array" => {
            schema.get("items").map_or_else(|| "list".to_owned(), |items| format!("list of {}", self::kind(items)))
        }
        "object" => "mapping".to_owned(),
        other => other.to_owned(),
    };
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => name(kind),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .map(name)
            .collect::<Vec<_>>()
            .join(" | "),
        _ => "any".to_owned(),
    };
    kind + &range
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
