use polars::prelude::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::to_frame;

use crate::sql::{evaluate, parse};
use crate::table::{put_frame, rows, table_ports, type_name};

/// Keep the rows for which a condition holds.
///
/// The condition is a SQL expression over the columns of the table that is true or false for each row; where it is null
/// (as is every comparison with null) the row is left out. Text stands in single quotes, names of columns that are not
/// plain words in double quotes. NaN compares as larger than every number. Subqueries and patterns of columns are
/// refused. The rows keep their order.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The SQL condition, such as `age BETWEEN 18 AND 30 AND country = 'France'`.
    #[serde(rename = "where")]
    pub condition: String,
}

impl Stage for Filter {
    const TYPE: &'static str = "clean.filter";
    const EXAMPLE: &'static str = "inputs: { table: users }\nwith: { where: \"country = 'United Kingdom'\" }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The rows for which the condition holds, in their order.")
    }

    fn check(&self) -> Result<(), ParamError> {
        parse(&self.condition).map(drop).map_err(|error| {
            ParamError::new("where", format!("the condition cannot be read: {error}"))
                .with_help("write SQL, as in `age > 18 AND country = 'France'`; text stands in single quotes")
        })
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let holds = evaluate(&table, &frame, "where", &self.condition)?.column;
        if holds.dtype() != &DataType::Boolean {
            return Err(StageError::data(format!(
                "`{}` is {}, a condition that is true or false is needed",
                self.condition,
                type_name(holds.dtype())
            ))
            .with_help("compare it with something, as in `age > 18`"));
        }
        let mask = holds.as_materialized_series().bool().cloned().unwrap_or_default();
        put_frame(context, rows(&frame, &mask)?, [])
    }
}
