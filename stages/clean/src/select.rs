use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, require, to_frame};

use crate::table::{no_repeats, put_frame, table_ports, through};

/// Keep some columns of a table, or leave some out.
///
/// Either `columns` names the columns to keep, which also sets their order, or `drop` names those to leave out, and the
/// others keep their order. Every name must be there. The values are shared, not copied.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The columns to keep, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// The columns to leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub drop: Option<Vec<String>>,
}

impl Stage for Select {
    const TYPE: &'static str = "clean.select";
    const EXAMPLE: &'static str = "inputs: { table: orders }\nwith: { columns: [order_id, user_id, sale_price] }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The same rows with the chosen columns.")
    }

    fn check(&self) -> Result<(), ParamError> {
        match (&self.columns, &self.drop) {
            (Some(columns), None) => no_repeats("columns", columns),
            (None, Some(drop)) => no_repeats("drop", drop),
            (None, None) => Err(ParamError::new("", "either `columns` or `drop` is needed")),
            (Some(_), Some(_)) => Err(ParamError::new("drop", "`columns` and `drop` exclude each other")
                .with_help("`columns` alone already leaves out every other column")),
        }
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |personal| {
            if let Some(columns) = &self.columns {
                personal.retain(|name| columns.contains(name));
            }
            personal.retain(|name| !self.drop.iter().flatten().any(|dropped| dropped == name));
        })
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let frame = to_frame(&*context.table("table")?)?;
        let named = self.columns.iter().chain(&self.drop).flatten();
        require(&frame, named.map(String::as_str))?;
        let kept: Vec<&str> = match &self.columns {
            Some(columns) => columns.iter().map(String::as_str).collect(),
            None => {
                let dropped = |name: &str| self.drop.iter().flatten().any(|drop| drop == name);
                frame.columns().iter().map(|column| column.name().as_str()).filter(|name| !dropped(name)).collect()
            }
        };
        if kept.is_empty() {
            return Err(StageError::data("`drop` names every column, so that none is left")
                .with_help("leave at least one column out of `drop`"));
        }
        let frame = frame.select(kept).map_err(|error| polars_error("choosing columns", &error))?;
        put_frame(context, frame, [])
    }
}
