//! What a run took of the machine, and what it saved.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use stagewright_core::Plan;
use stagewright_report::{Chain, Energy, Work};
use stagewright_runtime::RunOutcome;

/// Where Linux says how much energy the processor packages have taken.
const POWERCAP: &str = "/sys/class/powercap";
/// What is taken for one busy core where the machine does not measure: about what a server's processor has for each of its
/// cores.
const WATTS: f64 = 12.0;
/// In what `/proc` counts processor time: hundredths of a second on every Linux.
const TICKS: f64 = 100.0;

/// Reads what a machine measures at the beginning of a run.
pub(crate) struct Meter {
    cpu: Option<f64>,
    energy: BTreeMap<PathBuf, u64>,
}

/// What was used since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    cpu_seconds: Option<f64>,
    /// What the processor packages took, all programs together.
    joules: Option<f64>,
}

impl Meter {
    /// Begins.
    pub(crate) fn start() -> Self {
        Self { cpu: cpu_seconds(), energy: packages() }
    }

    /// What was used since it began.
    pub(crate) fn used(&self) -> Used {
        let now = packages();
        let spent: Option<Vec<f64>> = self
            .energy
            .iter()
            .map(|(package, before)| {
                let now = *now.get(package)?;
                // The counter begins anew when it is full.
                let whole = if now < *before { read(package.join("max_energy_range_uj"))? } else { 0 };
                Some((now + whole).checked_sub(*before)? as f64 / 1e6)
            })
            .collect();
        Used {
            cpu_seconds: self.cpu.and_then(|before| Some((cpu_seconds()? - before).max(0.0))),
            joules: spent.filter(|packages| !packages.is_empty()).map(|packages| packages.iter().sum()),
        }
    }
}

/// How long this process and those that it waited for kept cores busy; `None` where the system does not say it in Linux's
/// way.
fn cpu_seconds() -> Option<f64> {
    busy(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn busy(stat: &str) -> Option<f64> {
    // The name of the program stands in parentheses and may hold any; user, system, and both of the children follow.
    let fields = stat.rsplit_once(") ")?.1.split(' ');
    let ticks: Vec<u64> = fields.skip(11).take(4).map(str::parse).collect::<Result<_, _>>().ok()?;
    (ticks.len() == 4).then(|| ticks.iter().sum::<u64>() as f64 / TICKS)
}

/// The counters of the processor packages that may be read, in microjoules. What is inside a package has a second colon in
/// its name and is part of the package's.
fn packages() -> BTreeMap<PathBuf, u64> {
    let folders = fs::read_dir(POWERCAP).into_iter().flatten().flatten().map(|entry| entry.path());
    let package = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_prefix("intel-rapl:").is_some_and(|rest| !rest.contains(':'))
    };
    folders.filter(package).filter_map(|path| Some((path.clone(), read(path.join("energy_uj"))?))).collect()
}

fn read(path: PathBuf) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What the run took and saved.
pub(super) fn work(plan: &Plan, outcome: &RunOutcome, used: Used) -> Work {
    let work = outcome.work(plan);
    Work {
        spent_seconds: Some(work.spent),
        cached_seconds: Some(work.cached),
        shared_seconds: Some(work.shared),
        cpu_seconds: used.cpu_seconds,
        energy: energy(used),
    }
}

fn energy(used: Used) -> Option<Energy> {
    if let Some(joules) = used.joules {
        let how = "Energy is what the machine's processor packages took while the run lasted, other programs included (RAPL).";
        return Some(Energy { joules, how: how.to_owned() });
    }
    let seconds = used.cpu_seconds?;
    let how = format!(
        "Energy is an estimate, since the machine's counters cannot be read: processor time at {WATTS} W for a busy core."
    );
    Some(Energy { joules: seconds * WATTS, how })
}

/// The stages whose end the run had to wait for: of all chains in which each stage needs the one before, the one whose
/// executions took longest.
pub(super) fn longest_chain(plan: &Plan, outcome: &RunOutcome) -> Option<Chain> {
    let mut until: Vec<(f64, Option<usize>)> = Vec::with_capacity(plan.nodes.len());
    for (node, result) in plan.nodes.iter().zip(&outcome.nodes) {
        let before = node.inputs.iter().filter_map(|input| Some((until.get(input.node)?.0, input.node)));
        let (seconds, before) = before.max_by(|a, b| a.0.total_cmp(&b.0)).map_or((0.0, None), |(s, at)| (s, Some(at)));
        until.push((seconds + result.seconds, before));
    }
    let last = (0..until.len()).max_by(|a, b| until[*a].0.total_cmp(&until[*b].0))?;
    let seconds = until[last].0;
    let mut stages = Vec::new();
    let mut at = Some(last);
    while let Some(id) = at {
        if outcome.nodes[id].seconds > 0.0 {
            stages.push(plan.nodes[id].stage.clone());
        }
        at = until[id].1;
    }
    stages.reverse();
    (seconds > 0.0).then_some(Chain { stages, seconds })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn processor_time_is_that_of_the_process_and_its_children() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 30 20 20 0 1 0 100 1000 10 18446744073709551615";
        assert_eq!(busy(stat), Some(3.5));
        assert_eq!(busy("7 (a) S 1"), None);
        assert_eq!(busy(""), None);
    }

    #[test]
    fn an_estimate_says_that_it_is_one() {
        let estimated = energy(Used { cpu_seconds: Some(10.0), joules: None }).unwrap();
        assert_eq!(estimated.joules, 120.0);
        assert!(estimated.how.contains("estimate") && estimated.how.contains("12 W"));
        let measured = energy(Used { cpu_seconds: Some(10.0), joules: Some(55.5) }).unwrap();
        assert_eq!(measured.joules, 55.5);
        assert!(measured.how.contains("RAPL"));
        assert_eq!(energy(Used::default()), None);
    }
}
