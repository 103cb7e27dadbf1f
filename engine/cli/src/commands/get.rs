use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use stagewright_contract::{Artifact, Files, Table};
use stagewright_core::{NodeId, Plan};
use stagewright_frame::Format;
use stagewright_report::number::{self, plain};
use stagewright_report::table::{Column, TextTable};
use stagewright_runtime::preview;

use crate::args::{ExportFormat, GetArgs, Global};
use crate::failure::Failure;
use crate::load::Loaded;
use crate::output::written;
use crate::terminal;

/// How many rows a terminal is shown.
const HEAD: usize = 20;

pub(crate) fn run(args: &GetArgs, global: &Global) -> Result<ExitCode, Failure> {
    let (stage, port) = match args.output_port.split_once('.') {
        Some((stage, port)) => (stage, Some(port)),
        None => (args.output_port.as_str(), None),
    };
    let loaded = Loaded::read(&args.workflow)?;
    let plan = loaded.plan(&[])?;
    let id = find_stage(&plan, &args.variant, stage)?;
    let port = find_port(&plan, id, stage, port)?;
    let store = loaded.store(global)?;
    let previews = preview(&plan, &store, None)?;
    let output = previews[id].manifest.as_ref().and_then(|manifest| manifest.outputs.get(port));
    let Some(output) = output else {
        let path = args.workflow.workflow.display();
        return Err(Failure::usage(format!("`{stage}` is not in the store: {}", previews[id].reason))
            .with_help(format!("execute it first: `stagewright run {path}`")));
    };
    let artifact = store
        .read(output.kind, output.digest)
        .map_err(|error| Failure::environment(error.to_string()).with_help("run again: the stage is computed again"))?;
    let format = args.format.or_else(|| args.output.as_deref().and_then(by_ending));
    let json = |text: String| match &args.output {
        None => {
            println!("{text}");
            Ok(())
        }
        Some(path) => replace(path, |file| {
            file.write_all(format!("{text}\n").as_bytes()).map_err(|error| cannot_write(path, &error))
        }),
    };
    match (artifact, &args.output, format) {
        (Artifact::Metrics(metrics), ..) => json(pretty(&*metrics)?)?,
        (Artifact::Model(model), ..) => json(pretty(&*model)?)?,
        (Artifact::Figure(figure), ..) => json(pretty(&*figure)?)?,
        (Artifact::Files(files), None, _) => list(&files),
        (Artifact::Files(files), Some(folder), _) => write_folder(&files, folder)?,
        (Artifact::Table(table), None, None) if io::stdout().is_terminal() => show(&table)?,
        (Artifact::Table(table), None, format) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            match stagewright_frame::write(&table, format_of(format), &mut out) {
                Err(error) if error.message.contains("Broken pipe") => stagewright_host::end_by_sigpipe(),
                other => other?,
            }
            written(out.flush());
        }
        (Artifact::Table(table), Some(path), format) => {
            replace(path, |file| Ok(stagewright_frame::write(&table, format_of(format), file)?))?;
            let personal: Vec<&str> = table.personal().collect();
            if !personal.is_empty() {
                eprintln!("note: `{}` holds personal columns: {}", path.display(), personal.join(", "));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The node of a stage of a variant, of its first repeat where it is repeated.
pub(crate) fn find_stage(plan: &Plan, variant: &str, stage: &str) -> Result<NodeId, Failure> {
    let names = || plan.variants.iter().map(|variant| variant.name.as_str());
    let found = plan.variant(variant).ok_or_else(|| Failure::unknown("variant", variant, names()))?;
    let stages = || found.stages.iter().map(|(name, _)| name.as_str());
    let id = found.stages.iter().find(|(name, _)| name == stage).map(|(_, id)| *id);
    id.ok_or_else(|| Failure::unknown("stage", stage, stages()))
}

fn find_port<'a>(plan: &'a Plan, id: NodeId, stage: &str, port: Option<&str>) -> Result<&'a str, Failure> {
    let outputs = &plan.nodes[id].outputs;
    let names = || outputs.iter().map(|(name, _)| name.as_str());
    match port {
        Some(port) => names()
            .find(|name| *name == port)
            .ok_or_else(|| Failure::unknown(&format!("output of `{stage}` named"), port, names())),
        None => match outputs.as_slice() {
            [(only, _)] => Ok(only),
            _ => {
                let choices: Vec<String> = names().map(|name| format!("`{stage}.{name}`")).collect();
                Err(Failure::usage(format!("`{stage}` has {} outputs", choices.len()))
                    .with_help(format!("name one of {}", choices.join(", "))))
            }
        },
    }
}

fn by_ending(path: &Path) -> Option<ExportFormat> {
    match path.extension()?.to_str()? {
        "csv" => Some(ExportFormat::Csv),
        "parquet" => Some(ExportFormat::Parquet),
        "json" => Some(ExportFormat::Json),
        _ => None,
    }
}

fn format_of(format: Option<ExportFormat>) -> Format {
    match format {
        None | Some(ExportFormat::Csv) => Format::Csv,
        Some(ExportFormat::Parquet) => Format::Parquet,
        Some(ExportFormat::Json) => Format::Json,
    }
}

fn pretty(artifact: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(artifact).map_err(|error| Failure::environment(error.to_string()))
}

fn show(table: &Table) -> Result<(), Failure> {
    let schema = table.schema();
    let numeric =
        |kind: &str| kind.starts_with("int") || kind.starts_with("uint") || matches!(kind, "double" | "float");
    let columns = schema
        .iter()
        .map(|column| if numeric(&column.dtype) { Column::right(&column.name) } else { Column::left(&column.name) });
    let mut text = TextTable::new(columns);
    for row in stagewright_frame::head(table, HEAD)? {
        text.row(row.iter().map(|cell| cell.as_deref().unwrap_or("null")));
    }
    print!("{}", text.render(terminal::width(), terminal::colour_out()));
    let rows = table.rows();
    if rows > HEAD {
        println!("… {} rows in all; `--output FILE` writes them", plain(&number::count(rows as u64)));
    }
    Ok(())
}

fn list(files: &Files) {
    let mut text = TextTable::new([Column::left("file"), Column::right("size")]);
    for (name, bytes) in files.iter() {
        text.row([name.to_owned(), plain(&number::bytes(bytes.len() as u64))]);
    }
    print!("{}", text.render(terminal::width(), terminal::colour_out()));
    println!("`--output FOLDER` writes them");
}

/// Writes files into a folder that is not there yet: beside its place, and then renamed, so that it is never half-written.
fn write_folder(files: &Files, folder: &Path) -> Result<(), Failure> {
    if folder.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("`{}` is there already", folder.display()))
            .with_help("name a folder that is not there, or remove this one first"));
    }
    let parent = parent(folder)?;
    let whole = tempfile::Builder::new().prefix(".stagewright-").tempdir_in(parent);
    let whole = whole.map_err(|error| cannot_write(folder, &error))?;
    for (name, bytes) in files.iter() {
        let path = whole.path().join(name);
        fs::write(&path, bytes).map_err(|error| cannot_write(&folder.join(name), &error))?;
    }
    let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(whole.path(), mode).map_err(|error| cannot_write(folder, &error))?;
    fs::rename(whole.path(), folder).map_err(|error| cannot_write(folder, &error))?;
    // What is gone from its place is not removed.
    let _ = whole.keep();
    Ok(())
}

/// The folder that something is to be written to.
fn parent(path: &Path) -> Result<&Path, Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder `{}` to write to", folder.display())));
    }
    Ok(folder)
}

/// Writes a file beside its place and then renames it, so that it is never half-written.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut fs::File) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut file = tempfile::NamedTempFile::new_in(parent(path)?).map_err(|error| cannot_write(path, &error))?;
    write(file.as_file_mut())?;
    // Temporary files are private; a result is as readable as any file that the person writes.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(|error| cannot_write(path, &error))?;
    file.persist(path).map_err(|error| cannot_write(path, &error.error))?;
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::environment(format!("cannot write `{}`: {error}", path.display()))
}
