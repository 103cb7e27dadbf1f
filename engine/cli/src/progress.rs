//! What a person sees while a run goes on: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stagewright_core::{NodeId, Plan};
use stagewright_report::number::{self, plain};
use stagewright_runtime::{NodeOutcome, NodeStatus, RunEvent};

/// Above this many stages, those that were cached are counted and not listed.
const MANY: usize = 60;

/// Follows a run.
pub(crate) struct Progress<'a> {
    plan: &'a Plan,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    stages: HashMap<NodeId, ProgressBar>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(plan.nodes.len() as u64));
            total.set_style(style("{bar:24} {pos}/{len} stages  {elapsed}"));
            Bars { all, total, stages: HashMap::new() }
        });
        Self { plan, bars }
    }

    /// Takes note of an event.
    pub(crate) fn observe(&mut self, event: &RunEvent<'_>) {
        match event {
            RunEvent::Began(_) => {}
            RunEvent::Started(id) => {
                let name = self.name(*id);
                if let Some(bars) = &mut self.bars {
                    let bar = bars.all.insert_before(&bars.total, ProgressBar::new_spinner());
                    bar.set_style(style("{spinner} {msg}  {elapsed}"));
                    bar.set_message(name);
                    bar.enable_steady_tick(Duration::from_millis(120));
                    bars.stages.insert(*id, bar);
                }
            }
            RunEvent::Progress(id, done, total) => {
                let bar = self.bars.as_ref().and_then(|bars| bars.stages.get(id));
                if let Some(bar) = bar {
                    bar.set_style(style("{bar:24} {msg}  {percent}%  {elapsed}"));
                    bar.set_length(*total);
                    bar.set_position(*done);
                }
            }
            RunEvent::Finished(id, outcome) => self.finished(*id, outcome),
            RunEvent::Elsewhere(id, process) => {
                let who = match process {
                    // A try that took too long goes on until it notices.
                    Some(process) if *process == std::process::id() => "its last try has not ended yet".to_owned(),
                    Some(process) => format!("another run computes it (process {process})"),
                    None => "another run computes it".to_owned(),
                };
                self.line(&format!("  waiting  {}: {who}", self.name(*id)));
                self.remove(*id);
            }
            RunEvent::Retrying(id, error) => self.line(&format!(" retrying  {}: {error}", self.name(*id))),
            RunEvent::Damaged(what) => self.line(&format!("  damaged  {what}: it is computed again")),
            RunEvent::Interrupted(executing) => {
                let wait = match executing {
                    0 => String::new(),
                    1 => ": waiting for the stage at work".to_owned(),
                    count => format!(": waiting for {count} stages at work"),
                };
                self.line(&format!("interrupted{wait}; press Ctrl-C again to kill"));
            }
        }
    }

    /// Takes the bars away.
    pub(crate) fn end(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.total.finish_and_clear();
            // The terminal may be gone; there is nobody to tell then.
            let _ = bars.all.clear();
        }
    }

    fn finished(&mut self, id: NodeId, outcome: &NodeOutcome) {
        self.remove(id);
        if let Some(bars) = &self.bars {
            bars.total.inc(1);
        }
        let name = name(self.plan, id);
        let quiet = matches!(outcome.status, NodeStatus::Cached | NodeStatus::Shared) && !lists_cached(self.plan);
        if !quiet {
            self.line(&line(&name, outcome.status, outcome));
        }
        for warning in &outcome.warnings {
            self.line(&format!("  warning  {name}: {warning}"));
        }
        if let Some(error) = &outcome.error {
            self.line(&format!("    error  {name}: {error}"));
            if let Some(help) = &error.help {
                self.line(&format!("     help  {}", help.replace('\n', "\n           ")));
            }
        }
    }

    fn remove(&mut self, id: NodeId) {
        if let Some(bars) = &mut self.bars
            && let Some(bar) = bars.stages.remove(&id)
        {
            bar.finish_and_clear();
            bars.all.remove(&bar);
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn name(&self, id: NodeId) -> String {
        name(self.plan, id)
    }
}

/// The lines that a run which finds nothing changed says about the stages.
pub(crate) fn cached_lines(plan: &Plan, nodes: &[NodeOutcome]) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, outcome) in nodes.iter().enumerate() {
        let name = name(plan, id);
        if lists_cached(plan) {
            let status = if outcome.status == NodeStatus::Skipped { NodeStatus::Skipped } else { NodeStatus::Cached };
            lines.push(line(&name, status, outcome));
        }
        lines.extend(outcome.warnings.iter().map(|warning| format!("  warning  {name}: {warning}")));
    }
    lines
}

fn lists_cached(plan: &Plan) -> bool {
    plan.nodes.len() <= MANY
}

fn name(plan: &Plan, id: NodeId) -> String {
    let node = &plan.nodes[id];
    if plan.is_of_base(node) { node.stage.clone() } else { format!("{} ({})", node.stage, node.variant) }
}

fn line(name: &str, status: NodeStatus, outcome: &NodeOutcome) -> String {
    let rows = outcome.outputs.values().filter_map(|output| output.rows).max();
    let rows = rows.map_or(String::new(), |rows| format!("  {} rows", plain(&number::count(rows))));
    let seconds = match status {
        NodeStatus::Executed | NodeStatus::Failed => format!("  {}", plain(&number::seconds(outcome.seconds))),
        _ => String::new(),
    };
    let reason = outcome.reason.as_ref().map_or(String::new(), |reason| format!("  {reason}"));
    format!("{:>9}  {name}{seconds}{rows}{reason}", status.name())
}

fn style(template: &str) -> ProgressStyle {
    // The templates are literals above: one that does not parse falls back to the default bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
