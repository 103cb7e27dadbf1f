//! Stage types of your own, in Rust, without touching or rebuilding Stagewright.
//!
//! A stage type is written as those that are built in are: a struct whose fields are its parameters, with an
//! implementation of [`Stage`]. One line makes a library of it:
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use stagewright_plugin::{Kind, Port, Stage, StageContext, StageError, export_plugin};
//!
//! /// Keep the first rows of a table.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Head {
//!     /// How many rows to keep.
//!     rows: usize,
//! }
//!
//! impl Stage for Head {
//!     const TYPE: &'static str = "mine.head";
//!     const EXAMPLE: &'static str = "inputs: { table: users }\nwith: { rows: 10 }";
//!
//!     fn ports() -> Vec<Port> {
//!         vec![
//!             Port::input("table", Kind::Table, "Any table."),
//!             Port::output("table", Kind::Table, "Its first rows."),
//!         ]
//!     }
//!
//!     fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
//!         let table = context.table("table")?;
//!         context.put("table", table.slice(0, self.rows))
//!     }
//! }
//!
//! export_plugin!("mine", [Head]);
//! ```
//!
//! The crate's `Cargo.toml` says `crate-type = ["cdylib"]`, and depends on `serde` and `schemars` besides this crate.
//! `stagewright plugin new NAME --lang rust` writes such a project, and `stagewright plugin check PATH` tries it out.
//!
//! What crosses the boundary is C and Arrow: the compiler's version and the versions of all crates may differ from
//! those that Stagewright was built with. A panic fails the stage, for which the crate must be compiled with
//! `panic = "unwind"`, the default. [`StageContext::ledger`] lives no longer than the stage does.

pub use polars_arrow;
pub use stagewright_contract::*;
pub use stagewright_host::export_plugin;
