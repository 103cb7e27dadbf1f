use std::process::ExitCode;

use stagewright_core::Plan;
use stagewright_report::{Edge, Graph, Node};

use crate::args::{Global, GraphArgs, GraphFormat};
use crate::failure::Failure;
use crate::load::Loaded;

pub(crate) fn run(args: &GraphArgs, _: &Global) -> Result<ExitCode, Failure> {
    let plan = Loaded::read(&args.workflow)?.plan(&args.variant)?;
    let graph = graph(&plan);
    match args.format {
        GraphFormat::Dot => print!("{}", graph.to_dot()),
        GraphFormat::Mermaid => print!("{}", graph.to_mermaid()),
        GraphFormat::Svg => print!("{}", graph.to_svg()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan as a graph; what only some variants have is grouped by the first that has it.
pub(crate) fn graph(plan: &Plan) -> Graph {
    let nodes = plan
        .nodes
        .iter()
        .enumerate()
        .map(|(id, node)| {
            let drawn = Node::new(id.to_string(), &node.stage).detail(node.stage_type.name());
            if plan.is_of_base(node) { drawn } else { drawn.group(&node.variant) }
        })
        .collect();
    let edges = plan
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(id, node)| node.inputs.iter().map(move |input| (id, input)))
        .map(|(id, input)| {
            let edge = Edge::new(input.node.to_string(), id.to_string());
            let several = plan.nodes[input.node].outputs.len() > 1;
            if several { edge.label(&input.from) } else { edge }
        })
        .collect();
    Graph { nodes, edges }
}
