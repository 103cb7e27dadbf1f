//! `store erase`: a person asks to be forgotten.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::json;
use stagewright_contract::{Artifact, Kind};
use stagewright_report::table::{Column, TextTable};
use stagewright_store::{ReadError, Store, StoredTable};

use super::{bytes, count, counted};
use crate::args::{Global, StoreEraseArgs};
use crate::failure::Failure;
use crate::load::existing_store;
use crate::terminal;

/// A table that holds the person, and in which columns.
struct Found {
    table: StoredTable,
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
    let digests: Vec<_> = found.iter().map(|found| found.table.digest).collect();
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

/// Every stored table that holds the person.
fn search(store: &Store, args: &StoreEraseArgs) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for table in store.tables()? {
        let artifact = match store.read(Kind::Table, table.digest) {
            Ok(artifact) => artifact,
            // Damaged, so nobody can read the person in it; it was forgotten just now.
            Err(ReadError::Damaged { .. }) => continue,
            Err(ReadError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(Failure::environment(error.to_string())),
        };
        let Artifact::Table(read) = artifact else { continue };
        let columns = stagewright_frame::columns_with(&read, &args.subject, &args.column)?;
        if !columns.is_empty() {
            found.push(Found { table, columns });
        }
    }
    found.sort_by(|a, b| a.table.outputs.cmp(&b.table.outputs));
    Ok(found)
}

fn list(found: &[Found], entries: u64, args: &StoreEraseArgs) {
    if found.is_empty() && entries == 0 {
        println!("nothing in the store holds `{}`", args.subject);
        return;
    }
    let mut table = TextTable::new([Column::left("artifact"), Column::left("in column"), Column::right("size")]);
    for Found { table: stored, columns } in found {
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
        .map(|Found { table, columns }| {
            json!({ "digest": table.digest, "bytes": table.bytes, "outputs": table.outputs, "columns": columns })
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
