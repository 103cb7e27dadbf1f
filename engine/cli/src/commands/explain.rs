use std::process::ExitCode;

use serde_json::json;
use stagewright_core::explain::{Change, changes, sentence};
use stagewright_core::{NodeId, Plan};
use stagewright_runtime::{Preview, PreviewStatus, RunRecord, preview};
use stagewright_store::Store;

use crate::args::{ExplainArgs, Global};
use crate::commands;
use crate::failure::Failure;
use crate::load::Loaded;

pub(crate) fn run(args: &ExplainArgs, global: &Global) -> Result<ExitCode, Failure> {
    if std::path::Path::new(&args.stage).is_file() {
        return Err(Failure::usage(format!("`{}` is a file, not a stage", args.stage))
            .with_help("write `stagewright explain STAGE WORKFLOW`"));
    }
    let loaded = Loaded::read(&args.workflow)?;
    let plan = loaded.plan(&[])?;
    let id = commands::get::find_stage(&plan, &args.variant, &args.stage)?;
    let store = loaded.store(global)?;
    let last = commands::runs::last_record(&store, &loaded.path)?;
    let previews = preview(&plan, &store, last.as_ref())?;
    let preview = &previews[id];
    let (headline, details) = match preview.status {
        PreviewStatus::Hit => {
            let (when, found) = last_change(&store, &loaded, &args.variant, &args.stage, preview)?;
            let headline = format!("`{}` would not execute: its key is in the store", args.stage);
            (headline, found.map(|found| (when, found)))
        }
        PreviewStatus::Miss => {
            let when = "since the last run".to_owned();
            let details = (!preview.changes.is_empty()).then(|| (when, preview.changes.clone()));
            (format!("`{}` would execute: {}", args.stage, preview.reason), details)
        }
        PreviewStatus::Unknown => (format!("`{}` may execute: {}", args.stage, preview.reason), None),
        PreviewStatus::Skipped => (format!("`{}` would be skipped: {}", args.stage, preview.reason), None),
    };
    let upstream = match preview.status {
        PreviewStatus::Unknown => causes(&plan, &previews, id),
        _ => Vec::new(),
    };
    if args.json {
        println!(
            "{}",
            json!({
                "stage": args.stage,
                "variant": args.variant,
                "status": preview.status.name(),
                "reason": preview.reason,
                "key": preview.key,
                "changes": details.iter().flat_map(|(_, changes)| changes).map(|change| json!({
                    "field": change.field, "before": change.before, "after": change.after,
                })).collect::<Vec<_>>(),
                "causes": upstream.iter().map(|&id| json!({
                    "stage": plan.nodes[id].stage, "reason": previews[id].reason,
                })).collect::<Vec<_>>(),
                "fields": preview.fields.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("{headline}");
    if let Some((when, changes)) = &details {
        println!("\nchanged {when}:");
        for change in changes {
            println!("  {}", sentence(change));
        }
    }
    for &id in &upstream {
        println!("  `{}` would execute: {}", plan.nodes[id].stage, previews[id].reason);
    }
    if !preview.fields.is_empty() {
        println!("\nits key is made of:");
        let width = preview.fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &preview.fields {
            let value: String = if value.chars().count() > 90 {
                value.chars().take(89).chain(['…']).collect()
            } else {
                value.clone()
            };
            println!("  {name:<width$}  {value}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The misses that an unknown stage depends on.
fn causes(plan: &Plan, previews: &[Preview], id: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut stack = vec![id];
    let mut seen = vec![false; plan.nodes.len()];
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut seen[id], true) {
            continue;
        }
        match previews[id].status {
            PreviewStatus::Miss => found.push(id),
            PreviewStatus::Unknown => stack.extend(plan.nodes[id].inputs.iter().map(|input| input.node)),
            PreviewStatus::Hit | PreviewStatus::Skipped => {}
        }
    }
    found.sort_unstable();
    found
}

/// When the stage last had another key, and what changed then.
fn last_change(
    store: &Store,
    loaded: &Loaded,
    variant: &str,
    stage: &str,
    preview: &Preview,
) -> Result<(String, Option<Vec<Change>>), Failure> {
    let mut later: Option<String> = None;
    for _ in 0..50 {
        let Some(run) = store.last_run(&loaded.path, later.as_deref())? else { break };
        let record = store.record(&run.id)?.and_then(|record| serde_json::from_value::<RunRecord>(record).ok());
        let key = record.and_then(|record| {
            record.stages.into_iter().find(|record| record.stage == stage && record.variant == variant)?.key
        });
        if let Some(key) = key
            && Some(key) != preview.key
        {
            let fields = store.key_fields(key)?.unwrap_or_default();
            return Ok((format!("since run {}", run.id), Some(changes(&fields, &preview.fields))));
        }
        later = Some(run.id);
    }
    Ok((String::new(), None))
}
