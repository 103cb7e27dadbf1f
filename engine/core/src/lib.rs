//! From the text of a workflow to a plan that is known to be sound, to the key of each stage, to the order in which
//! stages execute. Pure: it reads no file, knows no stage type and runs nothing.
//!
//! `text` → [`Workflow::parse`] → [`Workflow::plan`] → [`Plan`] → [`Schedule`] and [`key`].

#![forbid(unsafe_code)]

mod compare;
pub mod diagnostic;
mod duration;
pub mod explain;
mod interpolate;
pub mod key;
pub mod node;
mod overlay;
mod path;
pub mod plan;
mod plugins;
mod privacy;
mod registry;
mod resolve;
pub mod schedule;
pub mod schema;
mod secrets;
mod seen;
mod spec;
mod sweep;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod testing;
mod validate;
mod variants;
mod yaml;

pub use compare::{CompareSpec, Correction, MetricRef};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use node::{Node, SourceText, Sources, Span, Value};
pub use plan::{NodeId, Plan, PlanNode, PlannedSource, PlannedVariant};
pub use plugins::PluginSpec;
pub use registry::Registry;
pub use schedule::Schedule;
pub use seen::seen_in_training;
pub use spec::{Resources, VariantName, Workflow};
pub use yaml::MAX_TEXT;

/// The name of the variant that is the workflow itself.
pub const BASE: &str = "base";
