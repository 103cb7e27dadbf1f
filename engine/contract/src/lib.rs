//! The contract between Stagewright and a stage: everything the author of a stage type needs, and nothing else.
//!
//! A stage type is a struct whose fields are its parameters, with an implementation of [`Stage`]. It reads top to
//! bottom: parameters, ports, run.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use stagewright_contract::{Kind, Port, Stage, StageContext, StageError};
//!
//! /// Keep the first rows of a table.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Head {
//!     /// How many rows to keep.
//!     #[serde(default = "five")]
//!     #[schemars(range(min = 1))]
//!     rows: usize,
//! }
//!
//! fn five() -> usize { 5 }
//!
//! impl Stage for Head {
//!     const TYPE: &'static str = "example.head";
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
//! ```

mod artifact;
mod context;
mod descriptor;
mod digest;
mod error;
mod figure;
mod files;
mod ledger;
mod metrics;
mod model;
mod privacy;
mod source;
mod stage;
mod table;
pub mod testkit;

pub use artifact::{Artifact, Bytes, DecodeError, Encoded, Kind};
pub use context::{Monitor, StageContext, Upstream};
pub use descriptor::{Direction, Port, StageDescriptor};
pub use digest::Digest;
pub use error::{ErrorKind, StageError};
pub use figure::{Figure, FigureKind, Point, Series, X};
pub use files::Files;
pub use ledger::{Ledger, MemoryLedger};
pub use metrics::{Goal, Metric, Metrics, Sample, UnitsTable};
pub use model::{Model, ModelFeature, Task};
pub use privacy::{Disclosure, PersonalColumns, Secret, SecretUse, SecretValue, personal_among};
pub use source::{Source, SourceFile};
pub use stage::{Budget, ConfiguredStage, ParamError, Stage, StageType, stage_seed};
pub use table::{ColumnInfo, Table, TableColumn};

/// The version of this contract. It is part of every stage key: a change to what a stage sees or to how artifacts are
/// encoded raises it.
///
/// History: 1 – the first.
pub const CONTRACT_VERSION: u32 = 1;
