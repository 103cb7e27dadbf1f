use std::process::ExitCode;

use serde_json::json;

use crate::args::ValidateArgs;
use crate::failure::Failure;
use crate::load::Loaded;

pub(crate) fn run(args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::read(&args.workflow)?;
    let plan = loaded.plan(&[])?;
    let stages = plan.variants.first().map_or(0, |variant| variant.stages.len());
    let mut groups: Vec<&str> = plan.variants.iter().map(|variant| variant.group.as_str()).collect();
    groups.dedup();
    let variants = groups.len() - 1;
    if args.json {
        println!("{}", json!({ "status": "valid", "stages": stages, "variants": variants, "nodes": plan.nodes.len() }));
    } else {
        let path = args.workflow.workflow.display();
        println!("{path} is valid: {} and {}", count(stages, "stage"), count(variants, "variant"));
    }
    Ok(ExitCode::SUCCESS)
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
