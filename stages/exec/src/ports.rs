//! The ports that a stage declares: in which files they are, and what those hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns};
use stagewright_frame::nearest;

/// An output as a workflow declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written")]
#[schemars(inline)]
pub(crate) struct Output {
    pub(crate) kind: OutputKind,
    /// The file; where it is not said, it follows from the name and the kind.
    pub(crate) file: Option<String>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) types: BTreeMap<String, ColumnType>,
    pub(crate) personal: Vec<String>,
}

/// How an output may be written down.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[allow(clippy::large_enum_variant, reason = "it is read and taken apart at once, a few times a workflow")]
enum Written {
    /// A kind (`table`, `metrics`, `model`, `figure`), or the file that a table is in.
    Short(String),
    /// All that there is to say.
    Full(Full),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Full {
    /// What it is.
    #[serde(default)]
    kind: OutputKind,
    /// The file, whose ending says the format.
    #[serde(default)]
    file: Option<String>,
    /// The columns that the table must have, and no others.
    #[serde(default)]
    columns: Option<Vec<String>>,
    /// The types of columns of a CSV or JSON file, as for `ingest.csv`; those of others are found from the values.
    #[serde(default)]
    types: BTreeMap<String, ColumnType>,
    /// Columns with personal data, besides those that bear the name of a personal column of an input.
    #[serde(default)]
    personal: Vec<String>,
}

/// The kind of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum OutputKind {
    #[default]
    Table,
    Metrics,
    Model,
    Figure,
}

impl From<OutputKind> for Kind {
    fn from(kind: OutputKind) -> Self {
        match kind {
            OutputKind::Table => Self::Table,
            OutputKind::Metrics => Self::Metrics,
            OutputKind::Model => Self::Model,
            OutputKind::Figure => Self::Figure,
        }
    }
}

/// The type of a column, in the words of `ingest.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum ColumnType {
    Bool,
    Int64,
    Float64,
    Date32,
    Timestamp,
    String,
}

impl From<Written> for Output {
    fn from(written: Written) -> Self {
        let (kind, file, columns, types, personal) = match written {
            Written::Full(Full { kind, file, columns, types, personal }) => (kind, file, columns, types, personal),
            Written::Short(text) => match OutputKind::deserialize(serde_json::Value::from(text.as_str())) {
                Ok(kind) => (kind, None, None, BTreeMap::new(), Vec::new()),
                Err(_) => (OutputKind::Table, Some(text), None, BTreeMap::new(), Vec::new()),
            },
        };
        Self { kind, file, columns, types, personal }
    }
}

impl Output {
    /// Its file, in the folder of the command.
    pub(crate) fn file(&self, port: &str) -> String {
        self.file.clone().unwrap_or_else(|| default_file("outputs", port, self.kind.into()))
    }

    /// Whether it can be: path is where it stands in the parameters.
    pub(crate) fn check(&self, port: &str, path: &str) -> Result<(), ParamError> {
        check_name(port, path)?;
        let format = check_file(&self.file(port), self.kind.into(), path)?;
        if self.kind != OutputKind::Table && (self.columns.is_some() || !self.personal.is_empty()) {
            return Err(ParamError::new(path, format!("output `{port}` is no table, and has no columns")));
        }
        if !self.types.is_empty() && !matches!(format, Format::Csv | Format::Json) {
            return Err(ParamError::new(format!("{path}/types"), "the file says the types of its columns itself")
                .with_help("`types` is for CSV and JSON files"));
        }
        Ok(())
    }
}

/// Which columns of the outputs may be personal: those of any input, and those that are declared.
pub(crate) fn personal(outputs: &BTreeMap<String, Output>, inputs: &PersonalColumns) -> PersonalColumns {
    let all: BTreeSet<String> = inputs.values().flatten().cloned().collect();
    let tables = outputs.iter().filter(|(_, output)| output.kind == OutputKind::Table);
    tables.map(|(port, output)| (port.clone(), all.iter().chain(&output.personal).cloned().collect())).collect()
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Arrow,
    Parquet,
    Csv,
    Json,
}

impl Format {
    /// The format that the ending of a file's name says.
    pub(crate) fn of(file: &str) -> Option<Self> {
        Some(match Path::new(file).extension()?.to_str()? {
            "arrow" | "ipc" | "feather" => Self::Arrow,
            "parquet" => Self::Parquet,
            "csv" => Self::Csv,
            "json" | "jsonl" => Self::Json,
            _ => return None,
        })
    }
}

/// The file of a port that does not say.
pub(crate) fn default_file(folder: &str, port: &str, kind: Kind) -> String {
    let ending = if kind == Kind::Table { "arrow" } else { "json" };
    format!("{folder}/{port}.{ending}")
}

/// Whether an input can be handed to a program.
pub(crate) fn check_input(port: &str, kind: Kind) -> Result<(), ParamError> {
    if kind == Kind::Files {
        return Err(ParamError::new("", format!("input `{port}` is a set of files, which no program is given yet"))
            .with_help("connect a table, metrics, a model or a figure"));
    }
    check_name(port, "")
}

/// A port's name is part of the names of files and of references.
pub(crate) fn check_name(port: &str, path: &str) -> Result<(), ParamError> {
    let good = !port.is_empty() && port.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if good {
        return Ok(());
    }
    Err(ParamError::new(path, format!("`{port}` is no name of a port")).with_help("letters, digits, `_` and `-`"))
}

/// The format of the file of a port, if it can be one.
pub(crate) fn check_file(file: &str, kind: Kind, path: &str) -> Result<Format, ParamError> {
    if Path::new(file).components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(ParamError::new(path, format!("`{file}` is no file in the folder of the command"))
            .with_help("a relative path without `..`"));
    }
    const KINDS: [&str; 4] = ["table", "metrics", "model", "figure"];
    let Some(format) = Format::of(file) else {
        let near = nearest(file, KINDS).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        return Err(ParamError::new(path, format!("`{file}` is neither a kind nor a file of a known format"))
            .with_help(format!(
                "{near}a kind is one of table, metrics, model, figure; a file ends with .arrow, .parquet, .csv or .json"
            )));
    };
    if kind != Kind::Table && format != Format::Json {
        return Err(
            ParamError::new(path, format!("{kind} are JSON, and `{file}` is not")).with_help("end it with .json")
        );
    }
    Ok(format)
}
