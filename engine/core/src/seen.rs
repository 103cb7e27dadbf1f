//! Whether metrics were computed on what a model had learned from.

use std::collections::BTreeSet;

use stagewright_contract::Kind;

use crate::{NodeId, Plan};

/// An output of a node.
type Edge<'a> = (NodeId, &'a str);

/// Why the metrics of a node are no test of anything new: what was tested on is what was learned from, port by port.
/// `None` where no such path is in the plan; that rows are split honestly cannot be told from a plan.
///
/// A model is tested on what it was applied to, so every stage before the metrics that takes a model is looked at; and
/// recommendations are tested on the other tables that the metrics are computed from.
pub fn seen_in_training(plan: &Plan, metrics: NodeId) -> Option<String> {
    let describe = |edge: Edge<'_>, by: NodeId| {
        let (node, port) = edge;
        format!("`{}` learned from `{}.{port}`, which it is tested on", plan.nodes[by].stage, plan.nodes[node].stage)
    };
    for id in before(plan, metrics) {
        let inputs = &plan.nodes[id].inputs;
        for model in inputs.iter().filter(|input| input.kind == Kind::Model) {
            let learned = edges_before(plan, model.node);
            let tested = inputs.iter().filter(|input| input.kind == Kind::Table);
            if let Some(input) = tested.into_iter().find(|input| learned.contains(&(input.node, input.from.as_str()))) {
                return Some(describe((input.node, &input.from), model.node));
            }
        }
    }
    let inputs = &plan.nodes[metrics].inputs;
    let truth = inputs.iter().find(|input| input.port == "test")?;
    let answers = inputs.iter().find(|input| input.port == "recommendations")?;
    edges_before(plan, answers.node)
        .contains(&(truth.node, truth.from.as_str()))
        .then(|| describe((truth.node, &truth.from), answers.node))
}

/// The node and all that it depends on.
fn before(plan: &Plan, id: NodeId) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::from([id]);
    let mut waiting = vec![id];
    while let Some(id) = waiting.pop() {
        waiting.extend(plan.nodes[id].inputs.iter().map(|input| input.node).filter(|input| found.insert(*input)));
    }
    found
}

/// All outputs that the node depends on.
fn edges_before(plan: &Plan, id: NodeId) -> BTreeSet<Edge<'_>> {
    let edges = |id: NodeId| plan.nodes[id].inputs.iter().map(|input| (input.node, input.from.as_str()));
    before(plan, id).into_iter().flat_map(edges).collect()
}
