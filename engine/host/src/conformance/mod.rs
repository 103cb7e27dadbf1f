//! The conformance kit: runs every stage type of a plugin over made-up inputs, in a worker and as a library, and says
//! where it does not keep the rules of the boundary.
//!
//! It knows nothing of what a stage type is for. Where ports have examples, inputs and parameters are those of the examples.
//! Else parameters are made from the JSON Schema: a text that must be given is taken for the name of a column, and tables
//! have a column for each text among the parameters. Of which type is found by trying.

mod made;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use made::{Example, Material, Rows, TYPES, Type, has_examples, inputs, params, texts};
use polars_arrow::array::{Float32Array, Float64Array};
use serde_json::Value;
use stagewright_contract::testkit::Done;
use stagewright_contract::{Artifact, ErrorKind, Monitor, StageContext, StageError, StageType};

use crate::check::{Checked, Code, Refused};
use crate::plugin::{Isolation, Plugin};
use crate::worker::Launcher;

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
        let Ok(example) = kit.example(stage_type) else { continue };
        let network = worker.manifest().stages.iter().any(|stage| stage.name == stage_type.name() && stage.network);
        if let Some(why) = out_of_reach(stage_type, example.as_ref(), network) {
            kit.record(Some(stage_type.name()), "it succeeds over a small table", Outcome::Skipped(why));
            continue;
        }
        let suitable = kit.in_worker(stage_type, example);
        usable.extend(suitable.map(|suitable| (stage_type.name().to_owned(), suitable)));
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

/// Parameters and inputs with which a stage succeeds, and what it puts out.
struct Suitable {
    params: Value,
    material: Material,
    bytes: Vec<u8>,
}

/// Why the kit cannot run a stage type at all, if it cannot.
fn out_of_reach(stage_type: &StageType, example: Option<&Example>, network: bool) -> Option<String> {
    if network {
        return Some("it opens connections, which the kit does not".to_owned());
    }
    let configured = stage_type.configure(&example?.with).ok()?;
    if let Some(source) = configured.sources().iter().find(|source| !source.optional) {
        return Some(format!("it reads files (`{}`), of which the kit has none", source.pattern));
    }
    let secrets = configured.secrets();
    secrets.first().map(|secret| format!("it takes a secret (`{}`), and the kit knows none", secret.name))
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
        material: &Material,
        rows: Rows,
        chunks: usize,
    ) -> Result<Done, StageError> {
        run(stage_type, params, material, rows, chunks, self.limit)
    }

    /// Reads the example of a stage type, which is to hold.
    fn example(&mut self, stage_type: &StageType) -> Result<Option<Example>, ()> {
        let found = Example::of(stage_type.descriptor()).and_then(|example| {
            let configured = example.as_ref().map(|example| stage_type.configure(&example.with));
            configured.transpose().map_err(|error| error.to_string())?;
            Ok(example)
        });
        let outcome = match &found {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => Outcome::Passed,
            Err(why) => Outcome::Failed(why.clone()),
        };
        self.record(Some(stage_type.name()), "its example holds", outcome);
        found.map_err(drop)
    }

    fn in_worker(&mut self, stage_type: &StageType, example: Option<Example>) -> Option<Suitable> {
        let name = Some(stage_type.name());
        let descriptor = stage_type.descriptor();
        let (params, materials) = match example {
            Some(example) if has_examples(descriptor) => (example.with, vec![Material::Examples]),
            _ => {
                let params = params(&descriptor.params);
                let materials = combinations(&params);
                (params, materials)
            }
        };
        let mut last = None;
        let mut found = None;
        for material in materials {
            match self.run(stage_type, &params, &material, Rows::Few, 1) {
                Ok(done) => {
                    found = Some((material, done));
                    break;
                }
                Err(error) if error.kind == ErrorKind::Bug => {
                    self.record(name, "it keeps the rules over a small table", Outcome::Failed(said(&error)));
                    return None;
                }
                Err(error) => last = Some((material, error)),
            }
        }
        let without = self.run(stage_type, &params, &Material::MadeUp(Vec::new()), Rows::Few, 1).map(drop);
        self.record(name, "columns that are missing are an error", rules(without));
        let Some((material, done)) = found else {
            let outcome = match last {
                None => Outcome::Skipped("nothing was tried".to_owned()),
                Some((Material::Examples, error)) => Outcome::Failed(said(&error)),
                Some((Material::MadeUp(_), error)) => Outcome::Skipped(format!(
                    "none that was made up suits it: give its inputs an `example`; it said: {}",
                    said(&error)
                )),
            };
            self.record(name, "it succeeds over a small table", outcome);
            return None;
        };
        self.record(name, "it succeeds over a small table", finite(&done));
        let bytes = done.bytes();
        let again = self.run(stage_type, &params, &material, Rows::Few, 1).map(|done| done.bytes());
        self.record(name, "equal inputs give equal bytes", equal(again, &bytes));
        let chunked = self.run(stage_type, &params, &material, Rows::Few, 5).map(|done| done.bytes());
        self.record(name, "record batches make no difference", equal(chunked, &bytes));
        let empty = self.run(stage_type, &params, &material, Rows::None, 1).map(|done| drop(done.bytes()));
        self.record(name, "an empty table is a result or an error", rules(empty));
        let huge = self.run(stage_type, &params, &material, Rows::Many, 1).map(|done| drop(done.bytes()));
        self.record(name, "a table of 1,000,000 rows is a result or an error", rules(huge));
        self.record(name, "it ends soon when the run is cancelled", cancelled(stage_type, &params, &material));
        Some(Suitable { params, material, bytes })
    }

    fn as_library(&mut self, stage_type: &StageType, suitable: &Suitable) {
        let name = Some(stage_type.name());
        let Suitable { params, material, bytes } = suitable;
        let limit = self.limit;
        let call = || run(stage_type, params, material, Rows::Few, 1, limit).map(|done| done.bytes());
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

/// Tables that may suit parameters: with a column of each type for each text among them.
fn combinations(params: &Value) -> Vec<Material> {
    let mut names: Vec<String> = texts(params).into_iter().collect();
    names.truncate(MAX_TRIED as usize);
    let kind = |combination: usize, place: u32| -> Type {
        let index = combination / TYPES.len().pow(place) % TYPES.len();
        TYPES.get(index).copied().unwrap_or(Type::Text)
    };
    (0..TYPES.len().pow(names.len() as u32))
        .map(|combination| {
            Material::MadeUp((0..).zip(&names).map(|(place, name)| (name.clone(), kind(combination, place))).collect())
        })
        .collect()
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

fn cancelled(stage_type: &StageType, params: &Value, material: &Material) -> Outcome {
    let configured = match stage_type.configure(params) {
        Ok(configured) => configured,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let monitor = Arc::new(Monitor::default());
    let inputs = match inputs(stage_type.descriptor(), material, Rows::Many, 1) {
        Ok(inputs) => inputs,
        Err(why) => return Outcome::Failed(why),
    };
    // Handing the tables over is the host's own time: they are written once and read once.
    let began = Instant::now();
    for artifact in inputs.values() {
        if let Err(error) = artifact.encode(&mut std::io::sink()) {
            return Outcome::Failed(error.to_string());
        }
    }
    let patience = PATIENCE + 2 * began.elapsed();
    let mut context = StageContext::new(inputs, BTreeMap::new(), 42, Arc::clone(&monitor));
    monitor.cancel();
    let began = Instant::now();
    let ran = configured.run(&mut context);
    match ran {
        _ if began.elapsed() > patience => Outcome::Failed(format!("it took {:.1?}", began.elapsed())),
        Err(error) if error.kind == ErrorKind::Bug => Outcome::Failed(said(&error)),
        _ => Outcome::Passed,
    }
}

fn run(
    stage_type: &StageType,
    params: &Value,
    material: &Material,
    rows: Rows,
    chunks: usize,
    limit: Duration,
) -> Result<Done, StageError> {
    let configured = stage_type.configure(params).map_err(|error| StageError::data(error.to_string()))?;
    let monitor = Arc::new(Monitor::default());
    let inputs = inputs(stage_type.descriptor(), material, rows, chunks).map_err(StageError::data)?;
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

/// The memory of this process of its own, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default();
    kib << 10
}
