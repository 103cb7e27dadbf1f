mod erase;

use std::process::ExitCode;

use serde_json::json;
use stagewright_report::number::{self, plain};
use stagewright_report::table::{Column, TextTable};
use stagewright_store::GcPolicy;

use crate::args::{Global, StoreArgs, StoreCommand, StoreGcArgs, StoreUsageArgs, StoreVerifyArgs};
use crate::failure::{ENVIRONMENT, Failure};
use crate::load::existing_store;
use crate::terminal;

pub(crate) fn run(args: &StoreArgs, global: &Global) -> Result<ExitCode, Failure> {
    match &args.command {
        StoreCommand::Usage(args) => usage(args, global),
        StoreCommand::Gc(args) => gc(args, global),
        StoreCommand::Verify(args) => verify(args, global),
        StoreCommand::Erase(args) => erase::run(args, global),
    }
}

fn usage(args: &StoreUsageArgs, global: &Global) -> Result<ExitCode, Failure> {
    let store = existing_store(&args.workflow, global)?;
    let usage = store.usage()?;
    if args.json {
        println!("{}", json!(usage));
        return Ok(ExitCode::SUCCESS);
    }
    println!("store       {}", store.root().display());
    println!("artifacts   {} ({})", count(usage.blobs), bytes(usage.bytes));
    println!("index       {}", bytes(usage.index_bytes));
    println!("executions  {}", count(usage.manifests));
    println!("runs        {}\n", count(usage.runs));
    let mut table = TextTable::new([
        Column::left("stage type"),
        Column::right("executions"),
        Column::right("artifacts"),
        Column::right("size"),
    ]);
    for (name, usage) in &usage.stage_types {
        table.row([name.clone(), count(usage.manifests), count(usage.blobs), bytes(usage.bytes)]);
    }
    if !table.is_empty() {
        print!("{}", table.render(terminal::width(), terminal::colour_out()));
    }
    Ok(ExitCode::SUCCESS)
}

fn gc(args: &StoreGcArgs, global: &Global) -> Result<ExitCode, Failure> {
    let store = existing_store(&args.workflow, global)?;
    let report = store.gc(GcPolicy { keep_runs: args.keep_runs, dry_run: args.dry_run })?;
    if args.json {
        println!("{}", json!(report));
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} {} and {} ({}); {} kept",
        if args.dry_run { "would remove" } else { "removed" },
        counted(report.manifests, "execution"),
        counted(report.blobs, "artifact"),
        bytes(report.bytes),
        counted(report.kept_manifests, "execution"),
    );
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &StoreVerifyArgs, global: &Global) -> Result<ExitCode, Failure> {
    let store = existing_store(&args.workflow, global)?;
    let report = store.verify(args.repair)?;
    if args.json {
        println!("{}", json!(report));
    } else {
        let (blobs, manifests) = (counted(report.blobs, "artifact"), counted(report.manifests, "execution"));
        println!("checked {blobs} ({}) of {manifests}", bytes(report.bytes));
        for damage in &report.damaged {
            println!("damaged  {}/{}.{}: {}", damage.workflow, damage.stage, damage.port, damage.what);
        }
        for line in &report.index {
            println!("index    {line}");
        }
        if report.is_sound() {
            println!("all sound");
        } else if report.repaired {
            println!("what was damaged is forgotten: the next run computes it again");
        } else {
            println!(
                "`stagewright store verify --repair` forgets what is damaged, so that the next run computes it again"
            );
        }
    }
    Ok(if report.is_sound() || report.repaired { ExitCode::SUCCESS } else { ExitCode::from(ENVIRONMENT) })
}

fn counted(value: u64, what: &str) -> String {
    format!("{} {what}{}", count(value), if value == 1 { "" } else { "s" })
}

fn count(value: u64) -> String {
    plain(&number::count(value))
}

fn bytes(value: u64) -> String {
    plain(&number::bytes(value))
}
