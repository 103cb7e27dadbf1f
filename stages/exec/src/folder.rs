//! The folder that a command runs in: inputs written there, outputs read back.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::DataType;
use serde_json::json;
use stagewright_contract::{Artifact, Bytes, Digest, Kind, Monitor, SourceFile, StageContext, StageError, Table};
use stagewright_frame::{nearest, to_frame, write};
use stagewright_host::{ScratchFolder, read_table};

use crate::metrics;
use crate::ports::{Format, Output, OutputKind};

/// The most files of a folder that a message lists.
const LISTED: usize = 12;

/// A temporary folder, removed with this.
pub(crate) struct Folder(ScratchFolder);

impl Folder {
    /// Makes one, where the system keeps what is temporary (`TMPDIR`), for this user alone.
    pub(crate) fn new() -> Result<Self, StageError> {
        let made = ScratchFolder::new();
        made.map(Self).map_err(|error| StageError::environment(format!("no scratch folder can be made: {error}")))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file, with the folders on the way to it made.
    fn place(&self, file: &str) -> io::Result<PathBuf> {
        let path = self.path().join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(path)
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StageError> {
        self.place(file).and_then(|path| fs::write(path, bytes)).map_err(|error| cannot_write(file, &error))
    }

    /// Makes the folder of a file that the command is to write.
    pub(crate) fn expect(&self, file: &str) -> Result<(), StageError> {
        self.place(file).map(drop).map_err(|error| cannot_write(file, &error))
    }

    /// Puts an input into its file. What lies at rest in the same format is linked to, not copied.
    pub(crate) fn put(&self, context: &StageContext, port: &str, file: &str) -> Result<(), StageError> {
        let Some(artifact) = context.inputs().get(port) else { return Ok(()) };
        let failed = |error: io::Error| cannot_write(file, &error);
        let path = self.place(file).map_err(failed)?;
        let format = Format::of(file);
        if let Artifact::Table(table) = artifact
            && let Some(format) = format.and_then(other_format)
        {
            let mut writer = BufWriter::new(File::create(&path).map_err(failed)?);
            write(table, format, &mut writer)?;
            return writer.flush().map_err(failed);
        }
        if let Some(at_rest) = context.file(port) {
            return std::os::unix::fs::symlink(at_rest, &path).map_err(failed);
        }
        let mut writer = BufWriter::new(File::create(&path).map_err(failed)?);
        artifact.encode(&mut writer).and_then(|()| writer.flush()).map_err(failed)
    }

    /// Reads an output from its file.
    pub(crate) fn get(&self, port: &str, output: &Output) -> Result<Artifact, StageError> {
        let file = output.file(port);
        let path = self.path().join(&file);
        // A link would name a file that is none of the command's.
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(self.missing(port, &file));
        }
        let unreadable = |error: &dyn std::fmt::Display| {
            StageError::data(format!("output `{port}` cannot be used: {error}")).at(&*file)
        };
        if output.kind != OutputKind::Table {
            let bytes = fs::read(&path).map_err(|error| unreadable(&error))?;
            let decoded = match output.kind {
                OutputKind::Metrics => metrics::parse(&bytes).map(Artifact::from),
                kind => Artifact::decode(Kind::from(kind), Bytes::new(bytes)).map_err(|error| error.to_string()),
            };
            return decoded.map_err(|error| unreadable(&error));
        }
        let mut table = match Format::of(&file) {
            Some(Format::Arrow) => {
                let mut opened = File::open(&path).map_err(|error| unreadable(&error))?;
                let table = read_table(&mut opened).map_err(|error| {
                    unreadable(&error).with_help(
                        "write the file format of Arrow IPC (not the stream), uncompressed, without dictionaries or \
                         nested types",
                    )
                })?;
                Arc::new(table)
            }
            // What the reader advises is for parameters that there are not here.
            Some(format) => ingest(format, &path, &file, output)
                .map_err(|error| error.with_help(format!("the command wrote this file as its output `{port}`")))?,
            None => return Err(unreadable(&"its format is not known")),
        };
        check(&table, port, output)?;
        if !output.personal.is_empty() {
            Arc::make_mut(&mut table).mark_personal(output.personal.iter().map(String::as_str));
        }
        Ok(table.into())
    }

    /// The command did not write an output.
    fn missing(&self, port: &str, file: &str) -> StageError {
        let mut files = Vec::new();
        list(self.path(), self.path(), &mut files);
        files.sort();
        let wanted = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        let name = |file: &String| Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names: Vec<String> = files.iter().map(name).collect();
        let near = nearest(&wanted, names.iter().map(String::as_str));
        let help = match near.and_then(|near| files.get(names.iter().position(|name| name == near)?)) {
            Some(near) => format!("it wrote `{near}`: was that meant?"),
            None if files.is_empty() => "it wrote no file into its folder".to_owned(),
            None => {
                let more = if files.len() > LISTED { ", …" } else { "" };
                let listed: Vec<String> = files.iter().take(LISTED).map(|file| format!("`{file}`")).collect();
                format!("its folder holds {}{more}", listed.join(", "))
            }
        };
        StageError::data(format!("the command did not write its output `{port}`: there is no file `{file}`"))
            .with_help(format!("`{{outputs.{port}}}` in the command stands for it; {help}"))
    }
}

fn cannot_write(file: &str, error: &io::Error) -> StageError {
    StageError::environment(format!("`{file}` cannot be written into the scratch folder: {error}"))
}

/// The format that `frame` writes; nothing for the one that tables are at rest in.
fn other_format(format: Format) -> Option<stagewright_frame::Format> {
    match format {
        Format::Arrow => None,
        Format::Parquet => Some(stagewright_frame::Format::Parquet),
        Format::Csv => Some(stagewright_frame::Format::Csv),
        Format::Json => Some(stagewright_frame::Format::Json),
    }
}

/// Reads a table as the stage type of its format does.
fn ingest(format: Format, path: &Path, file: &str, output: &Output) -> Result<Arc<Table>, StageError> {
    let (name, mut params) = match format {
        Format::Parquet => ("ingest.parquet", json!({ "path": file })),
        Format::Csv => ("ingest.csv", json!({ "path": file, "types": output.types })),
        Format::Arrow | Format::Json => ("ingest.json", json!({ "path": file, "types": output.types })),
    };
    params["personal"] = json!(output.personal);
    let stage_type = stagewright_ingest::stage_types().into_iter().find(|stage_type| stage_type.name() == name);
    let configured = stage_type.and_then(|stage_type| stage_type.configure(&params).ok());
    let Some(configured) = configured else { return Err(StageError::bug(format!("`{name}` cannot be used"))) };
    let size = path.metadata().map_or(0, |metadata| metadata.len());
    let source = SourceFile { path: path.to_owned(), name: file.to_owned(), size, digest: Digest::of(file.as_bytes()) };
    let mut context = StageContext::new(
        Default::default(),
        [("path".to_owned(), vec![source])].into(),
        0,
        Arc::new(Monitor::default()),
    );
    configured.run(&mut context)?;
    match context.into_outputs().remove("table") {
        Some(Artifact::Table(table)) => Ok(table),
        _ => Err(StageError::bug(format!("`{name}` gave no table"))),
    }
}

/// The columns are those that are declared, and numbers are numbers.
pub(crate) fn check(table: &Table, port: &str, output: &Output) -> Result<(), StageError> {
    let names: BTreeSet<&str> = table.names().collect();
    let declared = output.columns.iter().flatten().chain(&output.personal);
    if let Some(missing) = declared.map(String::as_str).find(|name| !names.contains(name)) {
        let error = StageError::data(format!("output `{port}` has no column `{missing}`"));
        let listed = || names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(error.with_help(match nearest(missing, names.iter().copied()) {
            Some(near) => format!("it has `{near}`: was that meant?"),
            None => format!("its columns are {}", listed()),
        }));
    }
    if let Some(columns) = &output.columns
        && let Some(other) = names.iter().find(|name| !columns.iter().any(|column| column == **name))
    {
        let error = StageError::data(format!("output `{port}` has a column `{other}` that is not declared"));
        return Err(error.with_help("add it to `columns` of the output, or leave it out"));
    }
    for column in to_frame(table)?.columns() {
        if !matches!(column.dtype(), DataType::Float32 | DataType::Float64) {
            continue;
        }
        let finite = column.cast(&DataType::Float64).ok().and_then(|column| {
            let values = column.f64().ok()?;
            values.iter().position(|value| value.is_some_and(|value| !value.is_finite()))
        });
        if let Some(row) = finite {
            let name = column.name();
            let message = format!("column `{name}` of output `{port}` is NaN or infinite in row {}", row + 1);
            return Err(StageError::data(message).with_help("a value that is not defined is null"));
        }
    }
    Ok(())
}

/// The files below a folder, but those that are links.
fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(root, &path, files),
            Ok(kind) if kind.is_file() => {
                files.extend(path.strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned()));
            }
            _ => {}
        }
    }
    files.retain(|file| file != "params.json");
}
