//! The conformance kit: runs every stage type of a plugin over made-up inputs, in a worker and as a library, and says
//! where it does not keep the rules of the boundary.
//!
//! It knows nothing of what a stage type is for. Parameters are made from the JSON Schema: a text that must be given is
//! taken for the name of a column, and tables have a column for each text among the parameters. Of which type is found
//! by trying.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use polars_arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, Utf8ViewArray};
use serde_json::{Value, json};
use stagewright_contract::testkit::Done;
use stagewright_contract::{
    Artifact, Direction, ErrorKind, Figure, FigureKind, Files, Goal, Kind, Metrics, Model, Monitor, Series,
    StageContext, StageDescriptor, StageError, StageType, Table, TableColumn, Task,
};

use crate::check::{Checked, Code, Refused};
use crate::plugin::{Isolation, Plugin};
use crate::worker::Launcher;

/// Rows of the table by which types are found.
const FEW: usize = 12;
/// Rows of the huge table.
const MANY: usize = 1_000_000;
/// How often a stage is called to see whether its memory grows.
const CALLS: usize = 1_000;
/// How much it may grow meanwhile, in bytes.
const GROWTH: u64 = 8 << 20;
/// How soon a stage must end once it was asked to.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// The most columns whose types are tried.
const MAX_TRIED: u32 = 4;

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is kept, as far as was seen.
    Passed,
    /// It is not; how that showed.
    Failed(String),
    /// It could not be checked; why.
    Skipped(String),
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The stage type, or nothing for the plugin as a whole.
    pub stage: Option<String>,
    /// What was checked.
    pub what: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// The type of a made-up column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Integer,
    Flag,
}

const TYPES: [Type; 4] = [Type::Text, Type::Number, Type::Integer, Type::Flag];

/// Checks a plugin, and tells of each check as it is made. No call may take longer than `limit`.
///
/// # Errors
/// When the plugin is refused: then there is nothing to check.
pub fn conformance(
    checked: &Checked,
    launcher: &Launcher,
    limit: Duration,
    tell: &mut dyn FnMut(&Check),
) -> Result<Vec<Check>, Refused> {
    let worker = Plugin::start(checked.clone(), Isolation::Process, launcher, None)?;
    let mut kit = Kit { checks: Vec::new(), limit, tell };
    kit.record(None, "it is for this machine and version, and its manifest is sound", Outcome::Passed);
    let types = worker.stage_types();
    let mut usable = Vec::new();
    for stage_type in &types {
        usable.extend(kit.in_worker(stage_type).map(|trial| (stage_type.name().to_owned(), trial)));
    }
    // Only now, for a plugin that crashes takes this program along.
    if checked.code != Code::Library {
        let why = "an executable always runs in a process of its own".to_owned();
        kit.record(None, "it behaves alike as a library", Outcome::Skipped(why));
    } else if kit.checks.iter().all(|check| !matches!(check.outcome, Outcome::Failed(_))) {
        let library = Plugin::start(checked.clone(), Isolation::InProcess, launcher, None)?;
        for stage_type in library.stage_types() {
            if let Some((_, trial)) = usable.iter().find(|(name, _)| name == stage_type.name()) {
                kit.as_library(&stage_type, trial);
            }
        }
    }
    Ok(kit.checks)
}

/// Parameters and types of columns with which a stage succeeds, and what it puts out.
struct Suitable {
    params: Value,
    columns: Vec<(String, Type)>,
    bytes: Vec<u8>,
}

struct Kit<'a> {
    checks: Vec<Check>,
    limit: Duration,
    tell: &'a mut dyn FnMut(&Check),
}

impl Kit<'_> {
    fn record(&mut self, stage: Option<&str>, what: &'static str, outcome: Outcome) {
        let check = Check { stage: stage.map(str::to_owned), what, outcome };
        (self.tell)(&check);
        self.checks.push(check);
    }

    fn run(
        &self,
        stage_type: &StageType,
        params: &Value,
        columns: &[(String, Type)],
        rows: usize,
        chunks: usize,
    ) -> Result<Done, StageError> {
        run(stage_type, params, columns, rows, chunks, self.limit)
    }

    fn in_worker(&mut self, stage_type: &StageType) -> Option<Suitable> {
        let name = Some(stage_type.name());
        let descriptor = stage_type.descriptor();
        let params = params(&descriptor.params);
        let mut names: Vec<String> = texts(&params).into_iter().collect();
        names.truncate(MAX_TRIED as usize);
        let mut last = None;
        let mut found = None;
        for combination in 0..TYPES.len().pow(names.len() as u32) {
            let columns: Vec<(String, Type)> = (0..)
                .zip(&names)
                .map(|(place, name)| (name.clone(), TYPES[combination / TYPES.len().pow(place) % TYPES.len()]))
                .collect();
            match self.run(stage_type, &params, &columns, FEW, 1) {
                Ok(done) => {
                    found = Some((columns, done));
                    break;
                }
                Err(error) if error.kind == ErrorKind::Bug => {
                    self.record(name, "it keeps the rules over a small table", Outcome::Failed(said(&error)));
                    return None;
                }
                Err(error) => last = Some(error),
            }
        }
        let without = self.run(stage_type, &params, &[], FEW, 1).map(drop);
        self.record(name, "columns that are missing are an error", rules(without));
        let Some((columns, done)) = found else {
            let why = last.map_or_else(|| "nothing was tried".to_owned(), |error| said(&error));
            self.record(
                name,
                "it succeeds over a made-up table",
                Outcome::Skipped(format!("none suits it; it said: {why}")),
            );
            return None;
        };
        self.record(name, "it succeeds over a made-up table", finite(&done));
        let bytes = done.bytes();
        let again = self.run(stage_type, &params, &columns, FEW, 1).map(|done| done.bytes());
        self.record(name, "equal inputs give equal bytes", equal(again, &bytes));
        let chunked = self.run(stage_type, &params, &columns, FEW, 5).map(|done| done.bytes());
        self.record(name, "record batches make no difference", equal(chunked, &bytes));
        let empty = self.run(stage_type, &params, &columns, 0, 1).map(|done| drop(done.bytes()));
        self.record(name, "an empty table is a result or an error", rules(empty));
        let huge = self.run(stage_type, &params, &columns, MANY, 1).map(|done| drop(done.bytes()));
        self.record(name, "a table of 1,000,000 rows is a result or an error", rules(huge));
        self.record(name, "it ends soon when the run is cancelled", cancelled(stage_type, &params, &columns));
        Some(Suitable { params, columns, bytes })
    }

    fn as_library(&mut self, stage_type: &StageType, suitable: &Suitable) {
        let name = Some(stage_type.name());
        let Suitable { params, columns, bytes } = suitable;
        let limit = self.limit;
        let call = || run(stage_type, params, columns, FEW, 1, limit).map(|done| done.bytes());
        self.record(name, "as a library it gives the same bytes as in a worker", equal(call(), bytes));
        let mut before = 0;
        for index in 0..CALLS {
            if let Err(error) = call() {
                self.record(name, "its memory does not grow over 1,000 calls", Outcome::Failed(said(&error)));
                return;
            }
            // What is allocated once, and the allocator's own habits, are behind it by then.
            if index == CALLS / 10 {
                before = memory();
            }
        }
        let grown = memory().saturating_sub(before);
        let outcome =
            if grown > GROWTH { Outcome::Failed(format!("it grew by {} MiB", grown >> 20)) } else { Outcome::Passed };
        self.record(name, "its memory does not grow over 1,000 calls", outcome);
    }
}

/// A result and an error for people are both within the rules; a bug is not.
fn rules(ran: Result<(), StageError>) -> Outcome {
    match ran {
        Err(error) if error.kind == ErrorKind::Bug => Outcome::Failed(said(&error)),
        _ => Outcome::Passed,
    }
}

fn equal(ran: Result<Vec<u8>, StageError>, bytes: &[u8]) -> Outcome {
    match ran {
        Ok(again) if again == bytes => Outcome::Passed,
        Ok(_) => Outcome::Failed("the outputs differ".to_owned()),
        Err(error) => Outcome::Failed(said(&error)),
    }
}

fn said(error: &StageError) -> String {
    match &error.help {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    }
}

/// Numbers in outputs must be finite; a value that is not defined is null.
fn finite(done: &Done) -> Outcome {
    for (port, artifact) in &done.outputs {
        let Artifact::Table(table) = artifact else { continue };
        for column in table.columns() {
            let broken = column.chunks.iter().any(|chunk| {
                let any = chunk.as_any();
                let double = any.downcast_ref::<Float64Array>();
                let single = any.downcast_ref::<Float32Array>();
                double.is_some_and(|values| values.iter().flatten().any(|value| !value.is_finite()))
                    || single.is_some_and(|values| values.iter().flatten().any(|value| !value.is_finite()))
            });
            if broken {
                let column = &column.name;
                return Outcome::Failed(format!("column `{column}` of `{port}` holds NaN or infinity, and not null"));
            }
        }
    }
    Outcome::Passed
}

fn cancelled(stage_type: &StageType, params: &Value, columns: &[(String, Type)]) -> Outcome {
    let configured = match stage_type.configure(params) {
        Ok(configured) => configured,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let monitor = Arc::new(Monitor::default());
    let inputs = inputs(stage_type.descriptor(), columns, MANY, 1);
    let mut context = StageContext::new(inputs, BTreeMap::new(), 42, Arc::clone(&monitor));
    monitor.cancel();
    let began = Instant::now();
    let ran = configured.run(&mut context);
    match ran {
        _ if began.elapsed() > PATIENCE => Outcome::Failed(format!("it took {:.1?}", began.elapsed())),
        Err(error) if error.kind == ErrorKind::Bug => Outcome::Failed(said(&error)),
        _ => Outcome::Passed,
    }
}

fn run(
    stage_type: &StageType,
    params: &Value,
    columns: &[(String, Type)],
    rows: usize,
    chunks: usize,
    limit: Duration,
) -> Result<Done, StageError> {
    let configured = stage_type.configure(params).map_err(|error| StageError::data(error.to_string()))?;
    let monitor = Arc::new(Monitor::default());
    let inputs = inputs(stage_type.descriptor(), columns, rows, chunks);
    let mut context = StageContext::new(inputs, BTreeMap::new(), 42, Arc::clone(&monitor));
    let (done, ended) = mpsc::channel::<()>();
    let watched = Arc::clone(&monitor);
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            watched.abandon();
        }
    });
    let ran = configured.run(&mut context);
    drop(done);
    let _ = watch.join();
    if monitor.is_abandoned() {
        return Err(StageError::bug(format!("it took longer than {} s", limit.as_secs())));
    }
    ran.map(|()| Done { outputs: context.into_outputs(), warnings: monitor.warnings() })
}

/// Something for every input.
fn inputs(
    descriptor: &StageDescriptor,
    columns: &[(String, Type)],
    rows: usize,
    chunks: usize,
) -> BTreeMap<String, Artifact> {
    descriptor
        .ports
        .iter()
        .filter(|port| port.direction == Direction::Input)
        .filter_map(|port| {
            let artifact = match port.kind {
                Kind::Table => table(columns, rows, chunks)?.into(),
                Kind::Metrics => {
                    let mut metrics = Metrics::new();
                    metrics.insert("share", Some(0.25), Goal::Maximize).ok()?;
                    metrics.into()
                }
                Kind::Model => Model {
                    learned_by: "model.linear".to_owned(),
                    task: Task::Regression,
                    features: Vec::new(),
                    target: "y".to_owned(),
                    rows: 1,
                    state: json!({}),
                }
                .into(),
                Kind::Figure => {
                    Figure::new(FigureKind::Bar, "A figure", "x", "y").with(Series::new("all", [(1.0, 2.0)])).into()
                }
                Kind::Files => {
                    let mut files = Files::new();
                    files.insert("a.csv", *b"id\n1\n").ok()?;
                    files.into()
                }
            };
            Some((port.name.clone(), artifact))
        })
        .collect()
}

/// A table with a few nulls, in so many record batches.
fn table(columns: &[(String, Type)], rows: usize, chunks: usize) -> Option<Table> {
    let mut made = vec![("row_of_the_kit".to_owned(), Type::Integer)];
    made.extend_from_slice(columns);
    let columns = made.into_iter().enumerate().map(|(place, (name, kind))| {
        let whole = values(kind, rows, place);
        let size = rows.div_ceil(chunks).max(1);
        let mut pieces: Vec<ArrayRef> =
            (0..rows).step_by(size).map(|start| whole.sliced(start, size.min(rows - start))).collect();
        if pieces.is_empty() {
            pieces.push(whole.clone());
        }
        TableColumn { name, dtype: whole.dtype().clone(), chunks: pieces }
    });
    Table::new(columns.collect()).ok()
}

fn values(kind: Type, rows: usize, place: usize) -> ArrayRef {
    // Every eleventh value is null, except in the first column.
    let there = |row: usize| place == 0 || row % 11 != 10;
    match kind {
        Type::Text => {
            let texts = ["north", "south", "a place whose name is longer than a view", "Zürich"];
            Utf8ViewArray::from_slice((0..rows).map(|row| there(row).then(|| texts[row % 4])).collect::<Vec<_>>())
                .boxed()
        }
        Type::Number => {
            (0..rows).map(|row| there(row).then_some((row % 97) as f64 * 0.5)).collect::<Float64Array>().boxed()
        }
        Type::Integer => (0..rows).map(|row| there(row).then_some((row % 1009) as i64)).collect::<Int64Array>().boxed(),
        Type::Flag => (0..rows).map(|row| there(row).then_some(row / 4 % 2 == 0)).collect::<BooleanArray>().boxed(),
    }
}

/// Parameters that the schema accepts, as far as can be told: those that must be given, and the defaults of others.
fn params(schema: &Value) -> Value {
    let required: BTreeSet<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let made = properties.into_iter().flatten().filter_map(|(name, schema)| {
        let value = match schema.get("default") {
            Some(default) => default.clone(),
            None if required.contains(name.as_str()) => parameter(name, schema),
            None => return None,
        };
        Some((name.clone(), value))
    });
    Value::Object(made.collect())
}

fn parameter(name: &str, schema: &Value) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema.get("enum").and_then(|values| values.get(0))) {
        return value.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("integer" | "number") => {
            schema.get("minimum").or_else(|| schema.get("maximum")).cloned().unwrap_or_else(|| json!(1))
        }
        Some("boolean") => json!(true),
        Some("array") => json!([parameter(name, schema.get("items").unwrap_or(&Value::Null))]),
        Some("object") => params(schema),
        _ => json!(name),
    }
}

/// All texts among some parameters, which may name columns.
fn texts(params: &Value) -> BTreeSet<String> {
    match params {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(entries) => entries.values().flat_map(texts).collect(),
        _ => BTreeSet::new(),
    }
}

/// The memory of this process of its own, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default();
    kib << 10
}
