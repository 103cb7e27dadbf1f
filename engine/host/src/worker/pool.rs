//! The workers of one library: as many as run at once, kept warm.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use stagewright_contract::{Artifact, Kind, StageContext};

use super::client::{Launcher, Worker};
use super::process::Death;
use super::protocol::{Access, FromWorker, RunStage, ToWorker};
use super::transfer;
use crate::call::Watch;
use crate::check::{Checked, Code, Refused};
use crate::failure::Failure;
use crate::manifest::{Answer, Manifest, Question, StageManifest};
use crate::plugin::{ContextWatch, without_secrets};

/// How long a stage may take to end once the run was cancelled.
const GRACE: Duration = Duration::from_secs(2);
/// How long answering a question of the plan may take.
const PLAN: Duration = Duration::from_secs(10);

/// Starts workers and keeps those that are idle.
pub(crate) struct Pool {
    launcher: Launcher,
    checked: Checked,
    idle: Mutex<Vec<Worker>>,
}

/// A stage to be run in a worker.
pub(crate) struct Work<'a> {
    pub(crate) stage: &'a StageManifest,
    pub(crate) params: &'a Value,
    pub(crate) outputs: &'a BTreeMap<String, Kind>,
    pub(crate) sources: &'a BTreeMap<String, Vec<PathBuf>>,
    pub(crate) secrets: &'a BTreeMap<String, String>,
}

impl Pool {
    pub(crate) fn new(launcher: Launcher, checked: Checked) -> Self {
        Self { launcher, checked, idle: Mutex::default() }
    }

    /// The manifest, and which limits a worker keeps.
    ///
    /// # Errors
    /// When the library cannot be loaded.
    pub(crate) fn describe(&self) -> Result<(Manifest, Vec<String>), Refused> {
        let worker = self.take(&Access::default())?;
        let said = (worker.manifest.clone(), worker.limits.clone());
        self.keep(worker);
        Ok(said)
    }

    /// Asks a stage about itself.
    ///
    /// # Errors
    /// The parameter that is to blame, or how the plugin broke.
    pub(crate) fn plan(&self, stage: &str, params: &Value, question: &Question) -> Result<Option<Answer>, Failure> {
        let began = Instant::now();
        let message = ToWorker::Plan { stage: stage.to_owned(), params: params.clone(), question: question.clone() };
        self.ask(&Access::default(), &|text| text, |worker| {
            let said = worker.process.say(&message, &[]).map_err(|_| worker.process.end());
            said.and_then(|()| {
                worker.process.answer(&mut |_| {}, &mut |_| {
                    let late = || Failure::bug(format!("the plugin's `plan` took longer than {} s", PLAN.as_secs()));
                    (began.elapsed() > PLAN).then(late)
                })
            })
        })
        .and_then(|answer| match answer {
            FromWorker::Planned(planned) => planned,
            _ => Err(Failure::bug("the plugin's worker answered something else")),
        })
    }

    /// Runs a stage.
    ///
    /// # Errors
    /// The stage's own, or how the plugin broke.
    pub(crate) fn run(&self, work: &Work<'_>, context: &StageContext) -> Result<BTreeMap<String, Artifact>, Failure> {
        let passed_on = |port: &str, error: std::io::Error| {
            Failure::environment(format!("input `{port}` cannot be passed to the plugin: {error}"))
        };
        let mut inputs = Vec::new();
        let mut files = Vec::new();
        for (port, artifact) in context.inputs() {
            let file = match context.file(port) {
                Some(path) => File::open(path),
                None => transfer::written(port, artifact),
            };
            files.push(file.map_err(|error| passed_on(port, error))?);
            inputs.push((port.clone(), artifact.kind()));
        }
        let access = Access { network: work.stage.network, read: work.sources.values().flatten().cloned().collect() };
        let limit = context.memory().unwrap_or_else(most_of_the_machine);
        let mut outputs = Vec::new();
        let clean = |text| without_secrets(text, context);
        let answer = self.ask(&access, &clean, |worker| {
            // Written anew by a second attempt.
            outputs.clear();
            for port in work.outputs.keys() {
                outputs.push(transfer::memory_file(port).map_err(|error| {
                    Death::Stopped(Failure::environment(format!("no memory for output `{port}`: {error}")))
                })?);
            }
            let message = ToWorker::Run(Box::new(RunStage {
                run: worker.runs,
                stage: work.stage.name.clone(),
                params: work.params.clone(),
                seed: context.seed(),
                string_views: work.stage.string_views,
                inputs: inputs.clone(),
                outputs: work.outputs.iter().map(|(port, kind)| (port.clone(), *kind)).collect(),
                sources: work.sources.clone(),
                secrets: work.secrets.clone(),
            }));
            let passed: Vec<_> = files.iter().chain(&outputs).map(AsFd::as_fd).collect();
            worker.process.say(&message, &passed).map_err(|_| worker.process.end())?;
            let watch = ContextWatch(context);
            let run = worker.runs;
            let mut told: Option<Instant> = None;
            worker.process.answer(
                &mut |message| match message {
                    FromWorker::Log { level, message } => watch.log(level, &message),
                    FromWorker::Progress { done, total } => watch.progress(done, total),
                    _ => {}
                },
                &mut |process| {
                    let used = match &self.checked.code {
                        Code::Library => process.memory(),
                        Code::Executable(_) => process.group_memory(),
                    };
                    if used > limit {
                        return Some(too_much("the plugin", used, limit, context.memory().is_some()));
                    }
                    let monitor = context.monitor();
                    if !monitor.is_cancelled() {
                        return None;
                    }
                    let since = *told.get_or_insert_with(|| {
                        let _ = process.say(&ToWorker::Cancel { run }, &[]);
                        Instant::now()
                    });
                    let patience = if monitor.is_abandoned() { GRACE / 8 } else { GRACE };
                    (since.elapsed() > patience).then(|| Failure::from(&stagewright_contract::StageError::cancelled()))
                },
            )
        })?;
        match answer {
            FromWorker::Ran(ran) => ran.map_err(|mut failure| {
                // Message and help are the runtime's to clean.
                failure.location = failure.location.map(clean);
                failure
            })?,
            _ => return Err(Failure::bug("the plugin's worker answered something else")),
        }
        let mut artifacts = BTreeMap::new();
        for ((port, kind), file) in work.outputs.iter().zip(&mut outputs) {
            let artifact = transfer::read(*kind, file).map_err(|error| {
                Failure::bug(format!("output `{port}` is not a {kind} that can be used: {error}"))
                    .with_help("this is a bug in the plugin: `stagewright plugin check` finds such")
            })?;
            artifacts.insert(port.clone(), artifact);
        }
        Ok(artifacts)
    }

    /// Has a worker do something; `clean` strikes out of what it printed what must not be logged. One that breaks is not used again. If it had run other stages before, a thread that
    /// one of those left behind may be what broke it: a new worker tries again, so that no stage pays for another.
    fn ask(
        &self,
        access: &Access,
        clean: &dyn Fn(String) -> String,
        mut body: impl FnMut(&mut Worker) -> Result<FromWorker, Death>,
    ) -> Result<FromWorker, Failure> {
        loop {
            let mut worker = self.take(access).map_err(|refused| {
                let failure = Failure::environment(refused.to_string());
                match refused.help {
                    Some(help) => failure.with_help(help),
                    None => failure,
                }
            })?;
            let used = worker.runs > 0;
            worker.runs += 1;
            worker.process.take_log();
            match body(&mut worker) {
                Ok(answer) => {
                    let printed = clean(worker.process.take_log());
                    if !printed.is_empty() {
                        tracing::debug!(plugin = worker.manifest.name, printed, "printed");
                    }
                    self.keep(worker);
                    return Ok(answer);
                }
                Err(Death::Ended(_)) if used => {}
                Err(death) => return Err(worker.explain(death)),
            }
        }
    }

    fn take(&self, access: &Access) -> Result<Worker, Refused> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = idle.iter().position(|worker| worker.access == *access) {
            return Ok(idle.swap_remove(index));
        }
        drop(idle);
        let worker = Worker::start(&self.launcher, &self.checked, access)?;
        tracing::debug!(plugin = worker.manifest.name, limits = ?worker.limits, "worker started");
        Ok(worker)
    }

    fn keep(&self, worker: Worker) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(worker);
        let most = std::thread::available_parallelism().map_or(1, NonZero::get);
        if idle.len() > most {
            idle.remove(0);
        }
    }
}

/// What a stage may use that declares nothing: three quarters of what the machine has.
pub(super) fn most_of_the_machine() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|total| total.trim().trim_end_matches(" kB").trim().parse().ok());
    kib.map_or(u64::MAX, |kib| (kib << 10) / 4 * 3)
}

pub(super) fn too_much(who: &str, used: u64, limit: u64, declared: bool) -> Failure {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let failure =
        Failure::environment(format!("{who} used {} MiB of memory, and may use {} MiB", mib(used), mib(limit)));
    failure.with_help(if declared {
        "raise `resources: { memory: … }` of the stage, or give it less to do"
    } else {
        "that is three quarters of this machine: declare `resources: { memory: … }`, or give the stage less to do"
    })
}
