use polars::prelude::UniqueKeepStrategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, require, to_frame};

use crate::table::{no_repeats, put_frame, table_ports};

/// Which of several equal rows stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
}

/// Keep one of several rows that are equal.
///
/// Rows are equal when they hold the same values in the named columns; a null equals a null. The rows that stay keep
/// their order.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropDuplicates {
    /// The columns to compare; all of them unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Which of the equal rows stays.
    #[serde(default)]
    pub keep: Keep,
}

impl Stage for DropDuplicates {
    const TYPE: &'static str = "clean.drop_duplicates";
    const EXAMPLE: &'static str = "inputs: { table: orders }\nwith: { columns: [order_id], keep: last }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "One of each set of equal rows, in their order.")
    }

    fn check(&self) -> Result<(), ParamError> {
        no_repeats("columns", self.columns.as_deref().unwrap_or_default())
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let frame = to_frame(&*context.table("table")?)?;
        require(&frame, self.columns.iter().flatten().map(String::as_str))?;
        let keep = match self.keep {
            Keep::First => UniqueKeepStrategy::First,
            Keep::Last => UniqueKeepStrategy::Last,
        };
        let unique = frame
            .unique_stable(self.columns.as_deref(), keep, None)
            .map_err(|error| polars_error("comparing rows", &error))?;
        put_frame(context, unique, [])
    }
}
