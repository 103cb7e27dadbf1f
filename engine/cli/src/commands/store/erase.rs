//! `store erase`: a person asks to be forgotten.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::json;
use stagewright_contract::{Artifact, Files};
use stagewright_report::table::{Column, TextTable};
use stagewright_store::{ReadError, Store, Stored};

use super::{bytes, count, counted};
use crate::args::{Global, StoreEraseArgs};
use crate::failure::Failure;
use crate::load::existing_store;
use crate::terminal;

/// An artifact that holds the person, and in which columns or files.
struct Found {
    stored: Stored,
    columns: Vec<String>,
}

pub(super) fn run(args: &StoreEraseArgs, global: &Global) -> Result<ExitCode, Failure> {
    let store = existing_store(&args.workflow, global)?;
    let found = search(&store, args)?;
    let entries = store.ledger_entries_about(&args.subject)?;
    if !args.json {
        list(&found, entries, args);
    }
    let nothing = found.is_empty() && entries == 0;
    if args.dry_run || nothing {
        if args.json {
            println!("{}", listed(&found, entries));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed(args)? {
        println!("nothing was removed");
        return Ok(ExitCode::SUCCESS);
    }
    let digests: Vec<_> = found.iter().map(|found| found.stored.digest).collect();
    let report = store.erase(&digests, &args.subject)?;
    // A report shows the first rows of tables. One that was asked for elsewhere is not ours to remove.
    let mut reports = 0u64;
    for run in &report.runs {
        // The comparison beside it holds no rows, but it belongs to the report.
        for (ending, counts) in [("html", 1), ("json", 0)] {
            let path = crate::report::file(&store, run, ending);
            match std::fs::remove_file(&path) {
                Ok(()) => reports += counts,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::environment(format!("cannot remove `{}`: {error}", path.display()))),
            }
        }
    }
    if args.json {
        let mut value = listed(&found, entries);
        value["removed"] = json!(report);
        value["reports"] = json!(reports);
        println!("{value}");
    } else {
        println!(
            "removed {} of {}, {} and {}; the next run computes the rest again",
            counted(report.artifacts, "artifact"),
            counted(report.executions, "execution"),
            counted(report.ledger_entries, "ledger entry").replace("entrys", "entries"),
            counted(reports, "report"),
        );
        println!("source files are not touched: while they hold `{}`, a run brings it back", args.subject);
    }
    Ok(ExitCode::SUCCESS)
}

/// Every stored artifact that holds the person.
fn search(store: &Store, args: &StoreEraseArgs) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for stored in store.about_persons()? {
        let artifact = match store.read(stored.kind, stored.digest) {
            Ok(artifact) => artifact,
            // Damaged, so nobody can read the person in it; it was forgotten just now.
            Err(ReadError::Damaged { .. }) => continue,
            Err(ReadError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(Failure::environment(error.to_string())),
        };
        let columns = match artifact {
            Artifact::Table(table) => stagewright_frame::columns_with(&table, &args.subject, &args.column)?,
            Artifact::Files(files) => files_with(&files, &args.subject),
            _ => continue,
        };
        if !columns.is_empty() {
            found.push(Found { stored, columns });
        }
    }
    found.sort_by(|a, b| a.stored.outputs.cmp(&b.stored.outputs));
    Ok(found)
}

/// The files that hold a value as a word of its own: not `42` within `1421`.
fn files_with(files: &Files, value: &str) -> Vec<String> {
    let within = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let holds = |bytes: &[u8]| {
        let size = value.len();
        size > 0
            && bytes.windows(size).enumerate().any(|(at, window)| {
                window == value.as_bytes()
                    && !within(at.checked_sub(1).and_then(|before| bytes.get(before)))
                    && !within(bytes.get(at + size))
            })
    };
    files.iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name.to_owned()).collect()
}

fn list(found: &[Found], entries: u64, args: &StoreEraseArgs) {
    if found.is_empty() && entries == 0 {
        println!("nothing in the store holds `{}`", args.subject);
        return;
    }
    let mut table = TextTable::new([Column::left("artifact"), Column::left("in column"), Column::right("size")]);
    for Found { stored, columns } in found {
        let outputs = stored.outputs.iter().cloned().collect::<Vec<_>>().join(", ");
        table.row([outputs, columns.join(", "), bytes(stored.bytes)]);
    }
    if !table.is_empty() {
        print!("{}", table.render(terminal::width(), terminal::colour_out()));
    }
    println!(
        "{} and {} in the ledger hold `{}`",
        counted(found.len() as u64, "artifact"),
        count(entries),
        args.subject
    );
}

fn listed(found: &[Found], entries: u64) -> serde_json::Value {
    let artifacts: Vec<_> = found
        .iter()
        .map(|Found { stored, columns }| {
            json!({ "digest": stored.digest, "bytes": stored.bytes, "outputs": stored.outputs, "columns": columns })
        })
        .collect();
    json!({ "artifacts": artifacts, "ledger_entries": entries })
}

fn confirmed(args: &StoreEraseArgs) -> Result<bool, Failure> {
    if args.json || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage("there is nobody to ask whether to remove this".to_owned())
            .with_help("`--yes` removes it, `--dry-run` only lists it".to_owned()));
    }
    dialoguer::Confirm::new()
        .with_prompt("remove all of this?")
        .default(false)
        .interact()
        .map_err(|error| Failure::environment(format!("cannot ask: {error}")))
}
