mod artifact;
mod changes;
mod require;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use stagewright_report::{Comparison, comparison_junit, comparison_markdown, comparison_text};
use stagewright_store::{RunInfo, Store};

use crate::args::{CompareArgs, CompareFormat, Global, StoreOf};
use crate::compare::{Rules, Saved, Side, comparison};
use crate::failure::{Failure, STAGE_FAILED};
use crate::load::{existing_store, store_path};
use crate::terminal;
use require::Condition;

pub(crate) fn run(args: &CompareArgs, global: &Global) -> Result<ExitCode, Failure> {
    let conditions = args.require.iter().map(|text| Condition::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let workflow = args.first.as_deref().map(Path::new).filter(|path| looks_like_workflow(path));
    if let (Some(workflow), Some(second)) = (workflow, &args.second) {
        return Err(Failure::usage(format!(
            "`{}` is a workflow, and `{second}` cannot be compared with it",
            workflow.display()
        ))
        .with_help("name two runs, as `stagewright runs` lists them"));
    }
    let of = StoreOf { file: workflow.map(Path::to_owned).or_else(|| args.store.file.clone()) };
    if let Some(workflow) = workflow.filter(|path| path.is_file() && !store_path(path, global).is_dir()) {
        return Err(not_run(workflow));
    }
    let store = existing_store(&of, global)?;
    let run = match (&args.first, workflow) {
        (_, Some(workflow)) => last_of(&store, workflow)?,
        (Some(id), None) => store.run(id)?,
        (None, None) => last_compared(&store)?,
    };
    if let (Some(second), Some(artifact)) = (&args.second, &args.artifact) {
        let diff = artifact::between(&run, &store.run(second)?, artifact, args, &store)?;
        match args.format {
            CompareFormat::Json => println!("{}", artifact::json(&diff)),
            _ => print!("{}", artifact::text(&diff, artifact)),
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(second) = &args.second {
        return two_runs(&run, &store.run(second)?, &conditions, args, &store);
    }
    let saved = saved(&store, &run)?;
    print(std::slice::from_ref(&saved.comparison), args.format);
    gate(&conditions, &[saved.comparison])
}

fn looks_like_workflow(path: &Path) -> bool {
    path.is_file() || path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn last_of(store: &Store, workflow: &Path) -> Result<RunInfo, Failure> {
    let path = std::path::absolute(workflow).unwrap_or_else(|_| workflow.to_owned());
    store.last_run(&path, None)?.ok_or_else(|| not_run(workflow))
}

fn not_run(workflow: &Path) -> Failure {
    Failure::usage(format!("`{}` was not run yet", workflow.display()))
        .with_help(format!("`stagewright run {}` runs and compares its variants", workflow.display()))
}

/// The last run that compared anything.
fn last_compared(store: &Store) -> Result<RunInfo, Failure> {
    let runs = store.runs(100)?;
    let found = runs.into_iter().find(|run| Saved::read(store, of_record(run)).is_some());
    found.ok_or_else(|| {
        Failure::usage("no run compared anything yet")
            .with_help("run a workflow with a `compare:` section, or name two runs")
    })
}

/// The run whose record and comparison this one's are.
fn of_record(run: &RunInfo) -> &str {
    run.same_as.as_deref().unwrap_or(&run.id)
}

fn saved(store: &Store, run: &RunInfo) -> Result<Saved, Failure> {
    Saved::read(store, of_record(run)).ok_or_else(|| {
        Failure::usage(format!("the run {} compared nothing", run.id))
            .with_help("it was of a workflow without a `compare:` section, or it did not get so far")
    })
}

fn print(comparisons: &[Comparison], format: CompareFormat) {
    let shown: fn(&Comparison) -> String = match format {
        CompareFormat::Text => |comparison| comparison_text(comparison, terminal::width(), terminal::colour_out()),
        CompareFormat::Markdown => comparison_markdown,
        CompareFormat::Junit => comparison_junit,
        CompareFormat::Json => {
            println!("{}", json!({ "comparisons": comparisons }));
            return;
        }
    };
    comparisons.iter().for_each(|comparison| println!("{}", shown(comparison)));
}

/// Fails where a condition does not hold.
fn gate(conditions: &[Condition], comparisons: &[Comparison]) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    for condition in conditions {
        if let Err(found) = condition.check(comparisons)? {
            eprintln!("required: {condition}; found: {found}");
            code = ExitCode::from(STAGE_FAILED);
        }
    }
    Ok(code)
}

/// Each variant of one run beside itself in another, and what changed between them.
fn two_runs(
    before: &RunInfo,
    after: &RunInfo,
    conditions: &[Condition],
    args: &CompareArgs,
    store: &Store,
) -> Result<ExitCode, Failure> {
    let mut comparisons = Vec::new();
    if let (Ok(old), Ok(new)) = (saved(store, before), saved(store, after)) {
        for side in &new.sides {
            let Some(earlier) = old.sides.iter().find(|earlier| earlier.name == side.name) else { continue };
            let named = |side: &Side, run: &RunInfo| Side { name: run.id.clone(), repeats: side.repeats.clone() };
            let rules = Rules { baseline: before.id.clone(), ..new.rules.clone() };
            let sides = [named(earlier, before), named(side, after)];
            let compared = comparison(&rules, &sides, store);
            comparisons.extend(compared.map(|compared| Comparison { title: Some(side.name.clone()), ..compared }));
        }
    }
    let changed = changes::between(before, after, store)?;
    match args.format {
        CompareFormat::Json => {
            println!("{}", json!({ "comparisons": comparisons, "changed": changes::json(&changed) }));
        }
        format => {
            print(&comparisons, format);
            if matches!(format, CompareFormat::Text | CompareFormat::Markdown) {
                print!("{}", changes::text(&changed, &before.id));
            }
        }
    }
    gate(conditions, &comparisons)
}
