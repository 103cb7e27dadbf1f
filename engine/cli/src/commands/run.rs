use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use stagewright_contract::Digest;
use stagewright_core::{Plan, Resources};
use stagewright_report::number::{self, plain};
use stagewright_report::{Comparison, comparison_text, html};
use stagewright_runtime::{NodeStatus, Options, RunOutcome, RunRecord, Work};
use stagewright_store::{RunEnd, RunStart, RunStatus, Store};

use crate::args::{Global, RunArgs};
use crate::commands::get::replace;
use crate::compare::{Rules, Saved, VariantMetrics, comparison, metrics, metrics_json, sides};
use crate::failure::{Failure, INTERRUPTED, STAGE_FAILED};
use crate::load::{Loaded, store_path};
use crate::progress::Progress;
use crate::registry::registry;
use crate::report::{self, Came};
use crate::snapshot::{self, Said, Unchanged};
use crate::terminal;

pub(crate) fn run(args: &RunArgs, global: &Global) -> Result<ExitCode, Failure> {
    let snapshot = snapshot::name(args, &registry());
    if let Some(name) = snapshot
        && let Some(code) = run_unchanged(name, args, global)?
    {
        return Ok(code);
    }
    let loaded = Loaded::read(&args.workflow)?;
    let plan = loaded.plan(&args.variant)?;
    let store = Arc::new(loaded.store(global)?);
    let options = Options {
        resources: machine(args.jobs),
        fail_fast: args.fail_fast,
        check_determinism: args.check_determinism,
        workflow_path: loaded.path.clone(),
        args: std::env::args().skip(1).collect(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?;
    let meter = report::Meter::start();
    let mut progress = Progress::new(&plan);
    let result = runtime.block_on(stagewright_runtime::run(&plan, Arc::clone(&store), &options, &mut |event| {
        progress.observe(event);
    }));
    progress.end();
    // A stage that was given up on may still be at work: it must not keep the program.
    runtime.shutdown_background();
    let outcome = result?;
    let used = meter.used();

    let metrics = metrics(&plan, &outcome, &store)?;
    let compared = compare(&plan, &outcome, &metrics, &store)?;
    let path = args.report.clone().unwrap_or_else(|| report::file(&store, &outcome.run, "html"));
    let came = Came { outcome: &outcome, metrics: &metrics, comparison: compared.as_ref(), used };
    let page = report::build(&loaded, &plan, &came, &store, &options)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::environment(format!("cannot create `{}`: {error}", folder.display())))?;
    }
    write_report(&path, &html(&page))?;

    let record = outcome.record(&plan);
    if let Some(name) = snapshot
        && outcome.end == RunEnd::Succeeded
    {
        let said = Said {
            comparison: compared.as_ref(),
            metrics: metrics_json(&metrics),
            report: &path,
            plugins: &loaded.types.plugins,
        };
        snapshot::write(name, &plan, &outcome, &record, said, &store)?;
    }
    if args.json {
        println!("{}", summary_json(&outcome, &record, &metrics, &path));
    } else {
        if let Some(compared) = &compared {
            println!("{}", comparison_text(compared, terminal::width(), terminal::colour_out()));
        }
        let word = match outcome.end {
            RunEnd::Succeeded => "done",
            RunEnd::Failed => "failed",
            RunEnd::Interrupted => "interrupted",
        };
        println!("{}", summary(word, outcome.seconds, &record.counts(), record.work));
        println!("report: {}", shown(&path).display());
    }
    if args.open {
        open_report(&path);
    }
    Ok(match outcome.end {
        RunEnd::Succeeded => ExitCode::SUCCESS,
        RunEnd::Failed => ExitCode::from(STAGE_FAILED),
        RunEnd::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

/// The whole run, if nothing has changed since one that looked everything up.
fn run_unchanged(name: Digest, args: &RunArgs, global: &Global) -> Result<Option<ExitCode>, Failure> {
    let began = Instant::now();
    let folder = store_path(&args.workflow.workflow, global);
    if !folder.join("store.db").is_file() {
        return Ok(None);
    }
    let store = Store::open(&folder)?;
    let Some(Unchanged { head, stages }) = snapshot::check(name, &store) else { return Ok(None) };
    let start = RunStart {
        workflow: head.workflow,
        workflow_path: std::path::absolute(&args.workflow.workflow).unwrap_or_else(|_| args.workflow.workflow.clone()),
        args: std::env::args().skip(1).collect(),
        started: stagewright_store::now(),
    };
    let Some(id) = store.unchanged_run(&start, &head.run)? else { return Ok(None) };
    for line in &head.lines {
        eprintln!("{line}");
    }
    let seconds = began.elapsed().as_secs_f64();
    if args.json {
        let rest = json!({ "metrics": head.metrics, "report": head.report }).to_string();
        // The stages are text already; with many of them, reading and writing them again would take longest of all.
        println!(
            "{{\"run\":\"{id}\",\"status\":\"succeeded\",\"seconds\":{seconds},\"saved_seconds\":{},\"alone_seconds\":{},\
             \"stages\":{stages},{}",
            head.work.saved(),
            head.work.alone(),
            rest.trim_start_matches('{'),
        );
    } else {
        if let Some(compared) = &head.comparison {
            println!("{}", comparison_text(compared, terminal::width(), terminal::colour_out()));
        }
        let counts =
            [(NodeStatus::Cached, head.cached), (NodeStatus::Shared, head.shared), (NodeStatus::Skipped, head.skipped)];
        println!("{}", summary("done", seconds, &counts, head.work));
        println!("report: {}", shown(&head.report).display());
    }
    if args.open {
        open_report(&head.report);
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// Compares the variants as `compare:` asks for, and keeps what came of it.
fn compare(
    plan: &Plan,
    outcome: &RunOutcome,
    metrics: &VariantMetrics,
    store: &Store,
) -> Result<Option<Comparison>, Failure> {
    let Some(spec) = &plan.compare else { return Ok(None) };
    let (rules, sides) = (Rules::from(spec), sides(spec, plan, outcome, metrics));
    let Some(comparison) = comparison(&rules, &sides, store) else { return Ok(None) };
    let saved = Saved { rules, sides, comparison };
    saved.write(store, &outcome.run)?;
    Ok(Some(saved.comparison))
}

fn write_report(path: &Path, page: &str) -> Result<(), Failure> {
    use std::io::Write;
    replace(path, |file| {
        file.write_all(page.as_bytes())
            .map_err(|error| Failure::environment(format!("cannot write `{}`: {error}", path.display())))
    })
}

/// Opens the report with what the system opens pages with. The run is what it is where there is nothing of the kind.
fn open_report(path: &Path) {
    if let Err(error) = open::that_detached(path) {
        eprintln!("cannot open the report: {error}\nopen it yourself: {}", path.display());
    }
}

/// The path as seen from the current folder, if it is below it.
fn shown(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

/// What the machine has for stages.
fn machine(jobs: Option<u32>) -> Resources {
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    Resources { cpus: jobs.unwrap_or(cores), memory: memory().unwrap_or(u64::MAX) }
}

/// The memory of the machine in bytes, where the system says it in Linux's way.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The counts of stages, and what was saved of the work that the variants are one by one, in one line.
fn summary(word: &str, seconds: f64, counts: &[(NodeStatus, usize)], work: Work) -> String {
    let count = |wanted| counts.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, count)| *count);
    let all = [NodeStatus::Executed, NodeStatus::Cached, NodeStatus::Shared, NodeStatus::Skipped, NodeStatus::Failed];
    let parts: Vec<String> = all
        .into_iter()
        .filter(|&status| count(status) > 0 || status == NodeStatus::Executed)
        .map(|status| format!("{} {}", plain(&number::count(count(status) as u64)), status.name()))
        .collect();
    let spelled = |seconds: f64| plain(&number::seconds(seconds));
    let saved = if count(NodeStatus::Cached) + count(NodeStatus::Shared) > 0 {
        format!(" (saved {} of {})", spelled(work.saved()), spelled(work.alone()))
    } else {
        String::new()
    };
    format!("{word} in {}: {}{saved}", spelled(seconds), parts.join(", "))
}

fn summary_json(
    outcome: &RunOutcome,
    record: &RunRecord,
    metrics: &VariantMetrics,
    report: &Path,
) -> serde_json::Value {
    json!({
        "run": outcome.run,
        "status": RunStatus::from(outcome.end).name(),
        "seconds": outcome.seconds,
        "saved_seconds": record.work.saved(),
        "alone_seconds": record.work.alone(),
        "stages": record.stages,
        "metrics": metrics_json(metrics),
        "report": report,
    })
}
