use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use stagewright_report::number::{self, plain};
use stagewright_report::table::{Column, TextTable};
use stagewright_runtime::RunRecord;
use stagewright_store::{RunInfo, Store};

use crate::args::{Global, RunsArgs, RunsCommand, StoreOf};
use crate::failure::Failure;
use crate::load::existing_store;
use crate::terminal;

/// How many runs are listed unless the command line says otherwise.
const LIMIT: usize = 20;

pub(crate) fn run(args: &RunsArgs, global: &Global) -> Result<ExitCode, Failure> {
    match &args.command {
        None => list(&args.workflow, LIMIT, args.json, global),
        Some(RunsCommand::List(list_args)) => list(&list_args.workflow, list_args.limit, list_args.json, global),
        Some(RunsCommand::Show(show_args)) => show(&show_args.workflow, &show_args.id, show_args.json, global),
    }
}

/// The record of the last run of a workflow that has one.
pub(crate) fn last_record(store: &Store, workflow: &Path) -> Result<Option<RunRecord>, Failure> {
    let mut before: Option<String> = None;
    // Runs that were killed have no record.
    for _ in 0..50 {
        let Some(run) = store.last_run(workflow, before.as_deref())? else { return Ok(None) };
        if let Some(record) = store.record(&run.id)?.and_then(|record| serde_json::from_value(record).ok()) {
            return Ok(Some(record));
        }
        before = Some(run.id);
    }
    Ok(None)
}

fn list(of: &StoreOf, limit: usize, json: bool, global: &Global) -> Result<ExitCode, Failure> {
    let store = existing_store(of, global)?;
    let runs = store.runs(limit)?;
    if json {
        println!("{}", json!(runs));
        return Ok(ExitCode::SUCCESS);
    }
    if runs.is_empty() {
        println!("no runs yet");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = TextTable::new([
        Column::left("run"),
        Column::left("workflow"),
        Column::left("started"),
        Column::right("took"),
        Column::left("status"),
        Column::left("command").wrapping(),
    ]);
    for run in &runs {
        table.row([
            run.id.clone(),
            run.start.workflow.clone(),
            started(run),
            took(run),
            run.status.name().to_owned(),
            run.start.args.join(" "),
        ]);
    }
    print!("{}", table.render(terminal::width(), terminal::colour_out()));
    Ok(ExitCode::SUCCESS)
}

fn show(of: &StoreOf, id: &str, json: bool, global: &Global) -> Result<ExitCode, Failure> {
    let store = existing_store(of, global)?;
    let run = store.run(id)?;
    let mut record = store.record(&run.id)?;
    if run.same_as.is_some()
        && let Some(earlier) = record.take().and_then(|record| serde_json::from_value::<RunRecord>(record).ok())
    {
        record = serde_json::to_value(earlier.unchanged()).ok();
    }
    let events = store.events(&run.id)?;
    if json {
        println!("{}", json!({ "run": run, "record": record, "events": events }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("run       {}", run.id);
    println!("workflow  {} ({})", run.start.workflow, run.start.workflow_path.display());
    println!("command   stagewright {}", run.start.args.join(" "));
    println!("started   {}", started(&run));
    println!("status    {}", run.status.name());
    println!("took      {}", took(&run));
    if let Some(earlier) = &run.same_as {
        println!("          nothing had changed since run {earlier}");
    }
    println!();
    match record.and_then(|record| serde_json::from_value::<RunRecord>(record).ok()) {
        Some(record) => {
            let mut table = TextTable::new([
                Column::left("stage"),
                Column::left("variant"),
                Column::left("type"),
                Column::left("status"),
                Column::right("took"),
                Column::right("rows"),
                Column::left("key"),
                Column::left("").wrapping(),
            ]);
            for stage in &record.stages {
                let rows = stage.outputs.values().filter_map(|output| output.rows).max();
                table.row([
                    stage.stage.clone(),
                    stage.variant.clone(),
                    stage.uses.clone(),
                    stage.status.name().to_owned(),
                    if stage.seconds > 0.0 { plain(&number::seconds(stage.seconds)) } else { String::new() },
                    rows.map(|rows| plain(&number::count(rows))).unwrap_or_default(),
                    stage.key.map(|key| key.short()).unwrap_or_default(),
                    stage.error.clone().unwrap_or_default(),
                ]);
            }
            print!("{}", table.render(terminal::width(), terminal::colour_out()));
        }
        // A run that was killed: what it had finished is in its events.
        None => {
            for event in &events {
                println!("{:>9}  {} ({})", event.kind, event.stage, event.variant);
            }
            if events.is_empty() {
                println!("no stage was executed");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn started(run: &RunInfo) -> String {
    jiff::Timestamp::from_millisecond(run.start.started)
        .map(|time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

fn took(run: &RunInfo) -> String {
    let millis = run.finished.map(|finished| finished - run.start.started);
    millis.map(|millis| plain(&number::seconds(millis as f64 / 1000.0))).unwrap_or_default()
}
