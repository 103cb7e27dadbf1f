use std::process::ExitCode;

use serde_json::json;
use stagewright_report::table::{Column, TextTable};
use stagewright_runtime::{PreviewStatus, preview};

use crate::args::{Global, PlanArgs};
use crate::failure::Failure;
use crate::load::Loaded;
use crate::{commands, terminal};

pub(crate) fn run(args: &PlanArgs, global: &Global) -> Result<ExitCode, Failure> {
    let loaded = Loaded::read(&args.workflow)?;
    let plan = loaded.plan(&args.variant)?;
    let store = loaded.store(global)?;
    let last = commands::runs::last_record(&store, &loaded.path)?;
    let previews = preview(&plan, &store, last.as_ref())?;
    if args.json {
        let stages: Vec<_> = plan
            .variants
            .iter()
            .flat_map(|variant| variant.stages.iter().map(move |(stage, id)| (variant, stage, *id)))
            .map(|(variant, stage, id)| {
                let preview = &previews[id];
                json!({
                    "stage": stage,
                    "variant": variant.name,
                    "uses": plan.nodes[id].stage_type.name(),
                    "status": preview.status.name(),
                    "reason": preview.reason,
                    "key": preview.key,
                    "shared": plan.nodes[id].variant != variant.name,
                })
            })
            .collect();
        println!("{}", json!({ "workflow": plan.workflow, "stages": stages }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = TextTable::new([
        Column::left("stage"),
        Column::left("variant"),
        Column::left("type"),
        Column::left("status"),
        Column::left("reason").wrapping(),
    ]);
    for (node, preview) in plan.nodes.iter().zip(&previews) {
        table.row([
            node.stage.as_str(),
            node.variant.as_str(),
            node.stage_type.name(),
            preview.status.name(),
            preview.reason.as_str(),
        ]);
    }
    print!("{}", table.render(terminal::width(), terminal::colour_out()));
    let count = |status| previews.iter().filter(|preview| preview.status == status).count();
    let placed: usize = plan.variants.iter().map(|variant| variant.stages.len()).sum();
    println!(
        "\n{} cached, {} to execute, {} that depend on those; {} shared between variants",
        count(PreviewStatus::Hit),
        count(PreviewStatus::Miss),
        count(PreviewStatus::Unknown),
        placed - plan.nodes.len(),
    );
    Ok(ExitCode::SUCCESS)
}
