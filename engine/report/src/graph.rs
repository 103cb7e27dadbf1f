//! The stages of a workflow as a graph, written as DOT, Mermaid or SVG.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::text::clean;

mod layout;
mod svg;

/// Stages and what flows between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The stages; their order breaks ties in the drawing.
    pub nodes: Vec<Node>,
    /// The connections. One that names an unknown node is left out.
    pub edges: Vec<Edge>,
}

/// A stage in a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What edges call it; unique.
    pub id: String,
    /// Its name.
    pub label: String,
    /// Its stage type.
    pub detail: String,
    /// What became of it, if it was run.
    pub state: Option<State>,
    /// The variant that it belongs to, if not to all.
    pub group: Option<String>,
}

/// A connection between two stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The id of the stage that it comes from.
    pub from: String,
    /// The id of the stage that it goes to.
    pub to: String,
    /// What flows, such as a port's name.
    pub label: Option<String>,
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was executed in this run.
    Executed,
    /// Its outputs were in the store.
    Cached,
    /// Another variant of this run has the same stage; it was executed once for both.
    Shared,
    /// It failed.
    Failed,
    /// It was not executed because a stage before it failed.
    Skipped,
    /// It was stopped, or never reached, because the run was stopped.
    Cancelled,
    /// It has not been executed yet.
    Pending,
}

impl State {
    /// Every state, in the order of legends.
    pub const ALL: [Self; 7] =
        [Self::Executed, Self::Cached, Self::Shared, Self::Failed, Self::Skipped, Self::Cancelled, Self::Pending];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Cached => "cached",
            Self::Shared => "shared",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Pending => "pending",
        }
    }
}

impl Node {
    /// A node that has nothing but an id and a name.
    pub fn new(id: impl Into<String>, label: impl Into<String>) -> Self {
        Self { id: id.into(), label: label.into(), detail: String::new(), state: None, group: None }
    }

    /// Says the stage type.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Says what became of it.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Says which variant it belongs to.
    #[must_use]
    pub fn group(mut self, variant: impl Into<String>) -> Self {
        self.group = Some(variant.into());
        self
    }
}

impl Edge {
    /// A connection without a label.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), label: None }
    }

    /// Says what flows.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

impl Graph {
    /// Graphviz DOT.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from(
            "digraph stagewright {\n  rankdir=TB;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n",
        );
        for (at, (group, members)) in self.groups().into_iter().enumerate() {
            let indent = if group.is_some() { "    " } else { "  " };
            if let Some(group) = group {
                dot += &format!("  subgraph cluster_{at} {{\n    label={};\n", dot_text(group));
            }
            for node in members.into_iter().filter_map(|member| self.nodes.get(member)) {
                let label = match node.detail.as_str() {
                    "" => dot_text(&node.label),
                    detail => format!("\"{}\\n{}\"", dot_escape(&node.label), dot_escape(detail)),
                };
                let state = node.state.map_or("", dot_style);
                dot += &format!("{indent}{} [label={label}{state}];\n", dot_text(&node.id));
            }
            if group.is_some() {
                dot += "  }\n";
            }
        }
        let ends = self.ends();
        for (edge, _) in self.edges.iter().zip(&ends).filter(|(_, ends)| ends.is_some()) {
            let label = edge.label.as_deref().map(|label| format!(" [label={}]", dot_text(label))).unwrap_or_default();
            dot += &format!("  {} -> {}{label};\n", dot_text(&edge.from), dot_text(&edge.to));
        }
        dot + "}\n"
    }

    /// A Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        let mut mermaid = String::from("flowchart TD\n");
        for (at, (group, members)) in self.groups().into_iter().enumerate() {
            let indent = if group.is_some() { "    " } else { "  " };
            if let Some(group) = group {
                mermaid += &format!("  subgraph g{at}[\"{}\"]\n", mermaid_escape(group));
            }
            for (member, node) in members.into_iter().filter_map(|member| Some((member, self.nodes.get(member)?))) {
                let detail = match node.detail.as_str() {
                    "" => String::new(),
                    detail => format!("<br/>{}", mermaid_escape(detail)),
                };
                let state = node.state.map(|state| format!(":::{}", state.name())).unwrap_or_default();
                mermaid += &format!("{indent}n{member}[\"{}{detail}\"]{state}\n", mermaid_escape(&node.label));
            }
            if group.is_some() {
                mermaid += "  end\n";
            }
        }
        for (edge, ends) in self.edges.iter().zip(self.ends()) {
            let Some((from, to)) = ends else { continue };
            let label =
                edge.label.as_deref().map(|label| format!("|\"{}\"|", mermaid_escape(label))).unwrap_or_default();
            mermaid += &format!("  n{from} -->{label} n{to}\n");
        }
        for state in self.states() {
            mermaid += &format!("  classDef {} {}\n", state.name(), mermaid_style(state));
        }
        mermaid
    }

    /// A drawing that stands alone as a file.
    pub fn to_svg(&self) -> String {
        svg::draw(self, svg::Place::File)
    }

    /// The same drawing as an element of an HTML page, whose custom properties `--ink`, `--muted`, `--surface`,
    /// `--line`, `--accent` and `--bad` it takes its colours from.
    pub fn to_inline_svg(&self) -> String {
        svg::draw(self, svg::Place::Page)
    }

    /// The indices of the nodes that each edge joins; `None` for an edge to nowhere.
    fn ends(&self) -> Vec<Option<(usize, usize)>> {
        let mut index = HashMap::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            index.entry(node.id.as_str()).or_insert(at);
        }
        let find = |id: &str| index.get(id).copied();
        self.edges.iter().map(|edge| Some((find(&edge.from)?, find(&edge.to)?))).collect()
    }

    /// The nodes of no group, then those of each group in the order of its first node.
    fn groups(&self) -> Vec<(Option<&str>, Vec<usize>)> {
        let mut groups: Vec<(Option<&str>, Vec<usize>)> = vec![(None, Vec::new())];
        let mut index: BTreeMap<Option<&str>, usize> = BTreeMap::from([(None, 0)]);
        for (at, node) in self.nodes.iter().enumerate() {
            let group = node.group.as_deref();
            let slot = *index.entry(group).or_insert_with(|| {
                groups.push((group, Vec::new()));
                groups.len() - 1
            });
            groups[slot].1.push(at);
        }
        groups
    }

    /// The states that occur.
    fn states(&self) -> Vec<State> {
        State::ALL.into_iter().filter(|state| self.nodes.iter().any(|node| node.state == Some(*state))).collect()
    }

    /// One sentence on what the graph holds.
    fn summary(&self) -> String {
        let states: Vec<String> = self
            .states()
            .into_iter()
            .map(|state| {
                let number = self.nodes.iter().filter(|node| node.state == Some(state)).count();
                format!("{number} {}", state.name())
            })
            .collect();
        let stages = format!("Graph of {} stage{}", self.nodes.len(), if self.nodes.len() == 1 { "" } else { "s" });
        if states.is_empty() { stages } else { format!("{stages}: {}", states.join(", ")) }
    }
}

fn dot_text(text: &str) -> String {
    format!("\"{}\"", dot_escape(text))
}

/// DOT knows backslash escapes, and HTML entities even in plain strings.
fn dot_escape(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;")
}

const fn dot_style(state: State) -> &'static str {
    match state {
        State::Executed => ", style=\"rounded,filled\", fillcolor=\"#d5ece7\"",
        State::Cached => ", style=rounded",
        State::Shared => ", style=rounded, peripheries=2",
        State::Failed => ", style=rounded, color=\"#b3261e\", penwidth=3",
        State::Skipped | State::Cancelled | State::Pending => ", style=\"rounded,dashed\"",
    }
}

/// Everything that could mean something to Mermaid (it rewrites `#…;`, directives and styles anywhere in the text, also
/// inside quotes) becomes a character code.
fn mermaid_escape(text: &str) -> String {
    clean(text)
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || !c.is_ascii() || " -_./,()+@".contains(c) => c.to_string(),
            c => format!("#{};", u32::from(c)),
        })
        .collect()
}

const fn mermaid_style(state: State) -> &'static str {
    match state {
        State::Executed => "fill:#d5ece7,stroke:#0b6b5d,color:#12211e",
        State::Cached => "fill:#f3f3f0,stroke:#6b6f6c,color:#1d211f",
        State::Shared => "fill:#f3f3f0,stroke:#6b6f6c,stroke-width:3px,color:#1d211f",
        State::Failed => "fill:#fbe4e1,stroke:#b3261e,stroke-width:3px,color:#410e0b",
        State::Skipped | State::Cancelled | State::Pending => {
            "fill:#ffffff,stroke:#6b6f6c,stroke-dasharray:5 3,color:#55595a"
        }
    }
}

#[cfg(test)]
mod tests;
