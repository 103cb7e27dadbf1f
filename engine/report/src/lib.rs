//! What a run looks like to a reader: figures, the HTML report and tables for the terminal.
//!
//! Data in, text out: nothing here reads a file, a clock or the environment, and the same data always gives the same
//! bytes. Whoever writes a report fills [`Report`] and calls [`html`]; the page needs no network, and its script only helps.
//!
//! ```
//! use stagewright_report::{Edge, Graph, Node, State};
//!
//! let graph = Graph {
//!     nodes: vec![Node::new("users", "users").detail("ingest.csv").state(State::Cached), Node::new("kmeans", "kmeans")],
//!     edges: vec![Edge::new("users", "kmeans")],
//! };
//! assert!(graph.to_mermaid().starts_with("flowchart TD"));
//! ```

mod chart;
mod comparison;
mod graph;
mod html;
pub mod number;
mod overlay;
mod report;
pub mod table;
pub mod text;

pub use comparison::{
    Cell, Comparison, Conclusion, Goal, Row, Verdict, comparison_junit, comparison_markdown, comparison_text,
};
pub use graph::{Edge, Graph, Node, State};
pub use html::html;
pub use overlay::overlay;
pub use report::{
    Chain, Change, ChartGroup, Check, Column, DataSheet, Energy, Feature, ModelCard, Output, Panel, Parameter, Report,
    Source, StageRow, Status, TablePreview, Variant, Version, Work,
};
