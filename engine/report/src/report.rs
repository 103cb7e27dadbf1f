//! What a report is made of.

use serde::Serialize;

use stagewright_contract::Figure;

use crate::{Comparison, Graph, State};

/// All that one run has to tell.
///
/// Nobody but the caller can know a secret or a personal value, so a report must not be given any; a
/// [`TablePreview`] drops the values of columns that are said to be personal.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The workflow's name.
    pub workflow: String,
    /// What it is for.
    pub description: Option<String>,
    /// The run's id.
    pub run: String,
    /// How it ended.
    pub status: Status,
    /// When it began, as it is to be read.
    pub started: String,
    /// How long it took.
    pub seconds: Option<f64>,
    /// The command line, as it could be typed again.
    pub command: String,
    /// Why it ended, where no stage is to blame.
    pub problem: Option<String>,
    /// The variants side by side.
    pub comparisons: Vec<Comparison>,
    /// What each variant is.
    pub variants: Vec<Variant>,
    /// Figures, those that belong beside each other together.
    pub charts: Vec<ChartGroup>,
    /// First rows of tables.
    pub tables: Vec<TablePreview>,
    /// The stages and what flows between them.
    pub graph: Graph,
    /// The same stages as rows.
    pub stages: Vec<StageRow>,
    /// What was expected of the data, and whether it held.
    pub checks: Vec<Check>,
    /// The stages whose end the run had to wait for, one after the other.
    pub longest_chain: Option<Chain>,
    /// What was learned.
    pub models: Vec<ModelCard>,
    /// The tables that came from outside.
    pub sheets: Vec<DataSheet>,
    /// What the run took of the machine, and what it saved.
    pub work: Work,
    /// The files that were read.
    pub sources: Vec<Source>,
    /// The workflow's parameters as they were used.
    pub parameters: Vec<Parameter>,
    /// What all randomness came from.
    pub seed: Option<u64>,
    /// What it was run with.
    pub versions: Vec<Version>,
    /// What came out.
    pub outputs: Vec<Output>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every stage is done.
    #[default]
    Succeeded,
    /// A stage failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A variant and how it differs from the workflow as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it changes; nothing for the workflow as it is written.
    pub changes: Vec<Change>,
}

/// One thing that a variant changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What, such as `segment.with.k`.
    pub path: String,
    /// To which value.
    pub value: String,
}

/// Figures that belong beside each other: what variants have of the same stage and port.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChartGroup {
    /// What they have in common, such as the stage; not shown where there is only one.
    pub title: String,
    /// The figures.
    pub panels: Vec<Panel>,
}

/// A figure and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    /// The variants that have it; none where it is all variants' or several are drawn in it.
    pub variants: Vec<String>,
    /// The figure.
    pub figure: Figure,
}

impl From<Figure> for ChartGroup {
    fn from(figure: Figure) -> Self {
        Self { title: String::new(), panels: vec![Panel { variants: Vec::new(), figure }] }
    }
}

/// Stages that each needed the one before, and how long they took together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chain {
    /// The stages in the order in which they ran.
    pub stages: Vec<String>,
    /// How long they took together.
    pub seconds: f64,
}

/// A model: what it is, what it learned from, and how good it was found to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelCard {
    /// The stage that it came from.
    pub stage: String,
    /// The variants that have it; none where all have.
    pub variants: Vec<String>,
    /// The stage type that learned it.
    pub learned_by: String,
    /// What it predicts, in words: `the probability of a class`.
    pub task: String,
    /// The column that it predicts.
    pub target: String,
    /// What it learned from, such as `split.train`.
    pub trained_on: Option<String>,
    /// How many rows it learned from.
    pub rows: u64,
    /// The columns that it reads.
    pub features: Vec<Feature>,
    /// The parameters of the stage.
    pub parameters: Vec<Parameter>,
    /// What was measured of it.
    pub metrics: Vec<Parameter>,
    /// What the stage warned of.
    pub warnings: Vec<String>,
    /// The digest of its bytes.
    pub digest: String,
}

/// A column that a model reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feature {
    /// The column, and whether its values are about a person.
    #[serde(flatten)]
    pub column: Column,
    /// Least and largest value that it was learned from; `None` where there was none, and where the column is personal.
    pub range: Option<(f64, f64)>,
}

/// A table that came from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSheet {
    /// The stage and port that it came from.
    pub name: String,
    /// The stage type that read it.
    pub uses: String,
    /// The files; none where it was made up.
    pub files: Vec<Source>,
    /// How many rows it has.
    pub rows: u64,
    /// Its columns, and how many values of each are missing.
    pub columns: Vec<(Column, u64)>,
}

/// What a run took of the machine, and what it saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// How long the executions of this run took together.
    pub spent_seconds: Option<f64>,
    /// How long the executions took that the run did without, since their outputs were in the store.
    pub cached_seconds: Option<f64>,
    /// How long the executions would have taken that variants had in common with others.
    pub shared_seconds: Option<f64>,
    /// How long processor cores were busy with it, all together.
    pub cpu_seconds: Option<f64>,
    /// The energy that it took.
    pub energy: Option<Energy>,
}

/// An amount of energy and how it is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Energy {
    /// In joules.
    pub joules: f64,
    /// Where the number is from, as a sentence.
    pub how: String,
}

/// The first rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablePreview {
    /// The stage that it came from.
    pub stage: String,
    /// The port.
    pub port: String,
    /// The variant, if not all have the same.
    pub variant: Option<String>,
    /// How many rows the whole table has.
    pub rows: u64,
    columns: Vec<Column>,
    head: Vec<Vec<Option<String>>>,
}

/// A column of a previewed table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, by Arrow's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether its values are about a person and must not be shown.
    pub personal: bool,
}

impl TablePreview {
    /// A preview from the first rows, which hold a text for each column and `None` for null. Whatever stands in a
    /// personal column is dropped here, so that neither a page nor its data can hold it.
    pub fn new(
        stage: impl Into<String>,
        port: impl Into<String>,
        rows: u64,
        columns: Vec<Column>,
        head: Vec<Vec<Option<String>>>,
    ) -> Self {
        let head = head
            .into_iter()
            .map(|row| {
                let mut row = row.into_iter();
                columns.iter().map(|column| row.next().flatten().filter(|_| !column.personal)).collect()
            })
            .collect();
        Self { stage: stage.into(), port: port.into(), variant: None, rows, columns, head }
    }

    /// Says which variant it belongs to.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The first rows: an entry for each column, `None` for null and for all that is personal.
    pub fn head(&self) -> &[Vec<Option<String>>] {
        &self.head
    }
}

/// A stage in the table of stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageRow {
    /// Its name.
    pub stage: String,
    /// The variant, if not all have the same.
    pub variant: Option<String>,
    /// Its stage type.
    pub uses: String,
    /// What became of it.
    pub state: State,
    /// How long its execution took.
    pub seconds: Option<f64>,
    /// How many rows its tables have together.
    pub rows: Option<u64>,
    /// Its stage key, or as much of it as tells it from others.
    pub key: Option<String>,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Something that was expected of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The stage that checked it.
    pub stage: String,
    /// The variant, if not all have the same.
    pub variant: Option<String>,
    /// What was expected, in words.
    pub expectation: String,
    /// The column it is about, if it is about one.
    pub column: Option<String>,
    /// Whether it held.
    pub passed: bool,
    /// How many rows were against it.
    pub failing: Option<u64>,
    /// How many rows were looked at.
    pub rows: Option<u64>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its path, as the workflow names it.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The digest of its content.
    pub digest: String,
}

/// A parameter of the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value as it would be written.
    pub value: String,
}

/// The version of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Of what.
    pub of: String,
    /// Which.
    pub version: String,
}

/// An artifact that came out of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The stage that it came from.
    pub stage: String,
    /// The port.
    pub port: String,
    /// The variant, if not all have the same.
    pub variant: Option<String>,
    /// Its kind, such as `table`.
    pub kind: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The digest of its bytes.
    pub digest: String,
    /// Names and sizes in bytes of its files, where it is a set of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, u64)>,
}
