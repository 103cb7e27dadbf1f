use polars::prelude::BooleanChunked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{column, to_frame};

use crate::table::{missing, no_repeats, put_frame, rows, table_ports};

/// Leave out rows in which values are missing.
///
/// A row stays when none of the named columns is null in it; NaN counts as null. The rows keep their order.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropNulls {
    /// The columns to look at; all of them unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
}

impl Stage for DropNulls {
    const TYPE: &'static str = "clean.drop_nulls";
    const EXAMPLE: &'static str = "inputs: { table: products }\nwith: { columns: [brand, name] }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The rows without missing values, in their order.")
    }

    fn check(&self) -> Result<(), ParamError> {
        no_repeats("columns", self.columns.as_deref().unwrap_or_default())
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let looked_at = match &self.columns {
            Some(names) => names.iter().map(|name| column(&frame, name)).collect::<Result<Vec<_>, _>>()?,
            None => frame.columns().iter().collect(),
        };
        let mut any: Option<BooleanChunked> = None;
        for column in looked_at {
            let missing = missing(column)?;
            any = Some(match any {
                Some(any) => &any | &missing,
                None => missing,
            });
        }
        match any {
            Some(any) if any.any() => put_frame(context, rows(&frame, &!&any)?, []),
            _ => context.put("table", table),
        }
    }
}
