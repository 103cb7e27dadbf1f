//! Where personal data go: from the ingest stage that marks a column to every stage that may see it, before anything
//! executes. A workflow that would disclose a personal column is a mistake like any other.

use std::collections::BTreeSet;
use std::sync::Arc;

use stagewright_contract::{ConfiguredStage, PersonalColumns};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::{InputSpec, StageSpec};

/// A connection: as written, the stage it comes from, and which of that stage's outputs.
pub(crate) type Connection<'a> = (&'a InputSpec, usize, String);

/// The columns that may be personal at every output of the stages of a variant, as far as it was followed.
pub(crate) struct Flow {
    stages: Vec<Followed>,
}

/// A stage as far as it was followed: its inputs as (port, where from, which output), and its outputs.
type Followed = (Vec<(String, usize, String)>, PersonalColumns);

impl Flow {
    pub(crate) fn new(stages: usize) -> Self {
        Self { stages: (0..stages).map(|_| (Vec::new(), PersonalColumns::new())).collect() }
    }

    fn at(&self, stage: usize, port: &str) -> Option<&BTreeSet<String>> {
        self.stages.get(stage)?.1.get(port)
    }

    /// Follows the columns through a stage whose inputs were followed before; gives those of its outputs.
    pub(crate) fn through(
        &mut self,
        stage: usize,
        configured: &dyn ConfiguredStage,
        connections: &[Connection<'_>],
    ) -> PersonalColumns {
        let inputs = self.inputs(connections);
        let outputs = configured.personal(&inputs);
        self.follow(stage, connections, outputs.clone());
        outputs
    }

    /// Takes note of the columns at the outputs of a stage that was followed in another variant.
    pub(crate) fn follow(&mut self, stage: usize, connections: &[Connection<'_>], outputs: PersonalColumns) {
        let from = connections.iter().map(|(input, from, port)| (input.port.clone(), *from, port.clone())).collect();
        self.stages[stage] = (from, outputs);
    }

    fn inputs(&self, connections: &[Connection<'_>]) -> PersonalColumns {
        connections
            .iter()
            .filter_map(|(input, from, port)| Some((input.port.clone(), self.at(*from, port)?.clone())))
            .filter(|(_, columns)| !columns.is_empty())
            .collect()
    }

    /// The stages that a personal column came through on its way to an output, from the one that marked it. Where a
    /// stage renamed or made it, the way goes on with a personal column that it was made from.
    fn path(&self, stage: usize, column: &str) -> Vec<usize> {
        let mut path = vec![stage];
        let (mut stage, mut column) = (stage, column.to_owned());
        // Each step goes against the flow in a graph without cycles.
        while let Some((inputs, _)) = self.stages.get(stage) {
            let arriving = |(_, from, port): &(String, usize, String)| self.at(*from, port).map(|set| (*from, set));
            let same = inputs.iter().filter_map(arriving).find(|(_, set)| set.contains(&column));
            let any = || inputs.iter().filter_map(arriving).find(|(_, set)| !set.is_empty());
            let Some((from, set)) = same.or_else(any) else { break };
            if !set.contains(&column) {
                column = set.first().cloned().unwrap_or_default();
            }
            path.push(from);
            stage = from;
        }
        path.reverse();
        path
    }
}

/// Reports every personal column that a stage would disclose.
pub(crate) fn check(
    flow: &Flow,
    stages: &[Arc<StageSpec>],
    stage: usize,
    configured: &dyn ConfiguredStage,
    connections: &[Connection<'_>],
    diagnostics: &mut Diagnostics,
) {
    for disclosure in configured.discloses() {
        for (input, from, port) in connections.iter().filter(|(input, ..)| input.port == disclosure.port) {
            let disclosed = |column: &&String| disclosure.columns.as_ref().is_none_or(|some| some.contains(*column));
            let columns: Vec<&String> = flow.at(*from, port).into_iter().flatten().filter(disclosed).collect();
            let Some(first) = columns.first() else { continue };
            let name = |index: usize| format!("`{}`", stages[index].name);
            let way: Vec<String> = flow.path(*from, first).into_iter().chain([stage]).map(name).collect();
            let listed = columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
            let noun = if columns.len() == 1 { "column" } else { "columns" };
            diagnostics.push(
                Diagnostic::new(
                    input.span,
                    format!("the personal {noun} {listed} would get into {}", disclosure.to),
                    format!("`{first}` comes from {}", way.join(" → ")),
                )
                .with_help(disclosure.help.clone()),
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
