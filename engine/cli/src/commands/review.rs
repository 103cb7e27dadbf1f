//! Deciding about messages: in the terminal, or with a form in a spreadsheet.

mod session;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stagewright_contract::{Artifact, StageError};
use stagewright_core::{NodeId, Plan};
use stagewright_generate::decisions::{self, Decision, Message, Verdict};
use stagewright_runtime::preview;

use crate::args::{Global, ReviewArgs, ReviewCommand, ReviewExportArgs, ReviewImportArgs, WorkflowArgs};
use crate::commands::get;
use crate::failure::Failure;
use crate::load::Loaded;

/// The type of the stages that are meant.
const TYPE: &str = "generate.review";

pub(crate) fn run(args: &ReviewArgs, global: &Global) -> Result<ExitCode, Failure> {
    match &args.command {
        Some(ReviewCommand::Export(args)) => export(args, global),
        Some(ReviewCommand::Import(args)) => import(args, global),
        None => {
            if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
                return Err(Failure::usage("there is no terminal to ask for decisions in").with_help(
                    "write a form with `stagewright review export WORKFLOW STAGE --output FILE.csv`, and read it \
                     back with \
                     `stagewright review import WORKFLOW STAGE FILE.csv`",
                ));
            }
            let workflow = args.workflow.clone().unwrap_or_else(|| PathBuf::from("workflow.yaml"));
            let desk = Desk::open(&workflow, args.stage.as_deref(), &args.variant, global)?;
            session::hold(&desk, args.reviewer.clone().unwrap_or_else(reviewer))
        }
    }
}

/// Who sits at the terminal, as far as the system knows.
fn reviewer() -> String {
    ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok()).next().unwrap_or_default()
}

fn export(args: &ReviewExportArgs, global: &Global) -> Result<ExitCode, Failure> {
    let desk = Desk::open(&args.workflow, Some(&args.stage), &args.variant, global)?;
    let decided = desk.decisions()?;
    let pending = desk.pending(&decided);
    let form = decisions::form(pending.iter().copied());
    match &args.output {
        None => print!("{form}"),
        Some(path) => {
            write(path, &form)?;
            println!("wrote {} to `{}`", count(pending.len(), "pending message"), path.display());
            if !desk.personal.is_empty() {
                eprintln!("note: `{}` holds personal columns: {}", path.display(), desk.personal.join(", "));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn import(args: &ReviewImportArgs, global: &Global) -> Result<ExitCode, Failure> {
    let desk = Desk::open(&args.workflow, Some(&args.stage), &args.variant, global)?;
    let name = args.file.display().to_string();
    let bytes = fs::read(&args.file).map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
    let new = decisions::read(&name, &bytes).map_err(refused)?;
    for decision in &new {
        let at = |error: StageError| refused(error.at(format!("{name}:{}", decision.line)));
        let message = desk.messages.iter().find(|message| message.id == decision.message_id).ok_or_else(|| {
            let error = StageError::data(format!("there is no message `{}` in `{}`", decision.message_id, desk.stage));
            at(error.with_help("its text may have been written anew since the form was: export it again"))
        })?;
        decisions::fits(decision, message).map_err(at)?;
    }
    let tally = |verdict: Verdict| new.iter().filter(|decision| decision.verdict == verdict).count();
    let counts = format!(
        "{} approved, {} edited, {} rejected",
        tally(Verdict::Approve),
        tally(Verdict::Edit),
        tally(Verdict::Reject)
    );
    let imported = new.len();
    let (all, replaced) = decisions::merge(desk.decisions()?, new);
    desk.write(&all)?;
    println!("imported {}: {counts}", count(imported, "decision"));
    if replaced > 0 {
        println!("{} of them replaced an earlier one", replaced);
    }
    desk.close(&all);
    Ok(ExitCode::SUCCESS)
}

/// A form that cannot be used is the mistake of the command line, not of a stage.
fn refused(error: StageError) -> Failure {
    let failure = Failure::usage(error.to_string());
    match error.help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

/// A stage of reviews with its messages and where its decisions are kept.
pub(crate) struct Desk {
    workflow: PathBuf,
    stage: String,
    messages: Vec<Message>,
    /// The personal columns among those that a form shows.
    personal: Vec<String>,
    file: PathBuf,
}

impl Desk {
    /// Finds the stage, and reads the messages that are connected to it.
    fn open(workflow: &Path, stage: Option<&str>, variant: &str, global: &Global) -> Result<Self, Failure> {
        let args = WorkflowArgs { workflow: workflow.to_owned(), set: Vec::new(), params: Vec::new() };
        let loaded = Loaded::read(&args)?;
        let plan = loaded.plan(&[])?;
        let (stage, id) = find(&plan, variant, stage)?;
        let node = &plan.nodes[id];
        let source = node.sources.iter().find(|source| source.param == "decisions");
        let input = node.inputs.iter().find(|input| input.port == "messages");
        let (Some(source), Some(input)) = (source, input) else {
            return Err(Failure::usage(format!("`{stage}` has no messages or no file of decisions")));
        };
        let store = loaded.store(global)?;
        let previews = preview(&plan, &store, None)?;
        let producer = &plan.nodes[input.node].stage;
        let manifest = previews[input.node].manifest.as_ref();
        let output = manifest.and_then(|manifest| manifest.outputs.get(&input.from)).ok_or_else(|| {
            Failure::usage(format!("`{producer}` is not in the store: {}", previews[input.node].reason))
                .with_help(format!("execute it first: `stagewright run {}`", workflow.display()))
        })?;
        let artifact = store.read(output.kind, output.digest).map_err(|error| {
            Failure::environment(error.to_string()).with_help("run again: the stage is computed again")
        })?;
        let Artifact::Table(table) = artifact else {
            return Err(Failure::usage(format!("what `{producer}` puts out is no table of messages")));
        };
        let first = table.names().next().map(str::to_owned);
        let shown = |name: &&str| Some(*name) == first.as_deref() || matches!(*name, "subject" | "text");
        let personal = table.personal().filter(shown).map(str::to_owned).collect();
        let messages = decisions::messages(&table)?;
        Ok(Self { workflow: workflow.to_owned(), stage, messages, personal, file: source.base.join(&source.pattern) })
    }

    /// The decisions so far.
    pub(crate) fn decisions(&self) -> Result<Vec<Decision>, Failure> {
        match fs::read(&self.file) {
            Ok(bytes) => Ok(decisions::read(&self.file.display().to_string(), &bytes).map_err(refused)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Failure::environment(format!("cannot read `{}`: {error}", self.file.display()))),
        }
    }

    /// The messages without a decision.
    pub(crate) fn pending(&self, decided: &[Decision]) -> Vec<&Message> {
        let known: std::collections::BTreeSet<&str> =
            decided.iter().map(|decision| decision.message_id.as_str()).collect();
        self.messages.iter().filter(|message| !known.contains(message.id.as_str())).collect()
    }

    /// Writes the file of decisions in one step.
    pub(crate) fn write(&self, decisions: &[Decision]) -> Result<(), Failure> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| Failure::environment(format!("cannot make `{}`: {error}", folder.display())))?;
        }
        write(&self.file, &decisions::write(decisions))
    }

    /// Says what is left to do.
    pub(crate) fn close(&self, decided: &[Decision]) {
        println!(
            "{} pending; the decisions are in `{}`, and `stagewright run {}` goes on with them",
            match self.pending(decided).len() {
                1 => "1 message is".to_owned(),
                many => format!("{many} messages are"),
            },
            self.file.display(),
            self.workflow.display()
        );
    }
}

/// The stage of this name, or the only one of the type.
fn find(plan: &Plan, variant: &str, stage: Option<&str>) -> Result<(String, NodeId), Failure> {
    if let Some(stage) = stage {
        let id = get::find_stage(plan, variant, stage)?;
        let found = plan.nodes[id].stage_type.name();
        if found != TYPE {
            return Err(Failure::usage(format!("`{stage}` is a stage of type `{found}`, not `{TYPE}`")));
        }
        return Ok((stage.to_owned(), id));
    }
    let planned = plan.variant(variant);
    let stages: Vec<&(String, NodeId)> = planned
        .iter()
        .flat_map(|planned| &planned.stages)
        .filter(|(_, id)| plan.nodes[*id].stage_type.name() == TYPE)
        .collect();
    match stages.as_slice() {
        [(name, id)] => Ok((name.clone(), *id)),
        [] => Err(Failure::usage(format!("there is no stage of type `{TYPE}`"))
            .with_help("connect one to the messages: `stagewright stages generate.review` shows how")),
        several => {
            let names: Vec<String> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(Failure::usage(format!("there are {} stages of type `{TYPE}`", several.len()))
                .with_help(format!("name one of {}", names.join(", "))))
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    get::replace(path, |file| {
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| Failure::environment(format!("cannot write `{}`: {error}", path.display())))
    })
}

fn count(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}
