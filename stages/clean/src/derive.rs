use std::collections::BTreeMap;

use polars::prelude::BooleanChunked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, roots, to_frame};

use crate::sql::{evaluate, parse};
use crate::table::{count, null_where, put_frame, table_ports, through};

/// Compute new columns from the columns of a table.
///
/// Each new column is a SQL expression over the columns of the input: arithmetic, `CASE`, `COALESCE`, `CAST`, functions
/// of text and of time, aggregates over all rows and, with `OVER (PARTITION BY …)`, over groups; subqueries and patterns
/// of columns are refused. No expression sees another's result: chain two stages for that. `/` divides without rounding
/// (`//` rounds down); whole numbers beyond 64 bits wrap around, so cast to `DOUBLE` where they may arise. What is not a
/// finite number, such as a division by zero, is null, with a warning that counts them. A new column is personal when
/// any column that its expression names is. New columns follow the others in the order of their names; one that is named
/// as an existing column takes its place.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// For each new column the SQL expression that computes it.
    #[schemars(extend("minProperties" = 1))]
    pub columns: BTreeMap<String, String>,
}

impl Stage for Derive {
    const TYPE: &'static str = "clean.derive";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: { price_range: \"total / orders\", adult: \"age >= 18\" } }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The same rows with the new columns.")
    }

    fn check(&self) -> Result<(), ParamError> {
        for (name, text) in &self.columns {
            parse(text).map(drop).map_err(|error| {
                ParamError::new(format!("columns/{name}"), format!("the expression cannot be read: {error}"))
                    .with_help("write SQL, as in `total / orders`; text stands in single quotes")
            })?;
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |personal| {
            let from_personal = |text: &String| {
                parse(text).is_ok_and(|parsed| roots(&parsed).iter().any(|root| personal.contains(root)))
            };
            let made: Vec<String> =
                self.columns.iter().filter(|(_, text)| from_personal(text)).map(|(name, _)| name.clone()).collect();
            personal.extend(made);
        })
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let input = to_frame(&table)?;
        let mut frame = input.clone();
        let mut personal = Vec::new();
        for (done, (name, text)) in self.columns.iter().enumerate() {
            context.check_cancelled()?;
            context.progress(done as u64, self.columns.len() as u64);
            let derived = evaluate(&table, &input, name, text)?;
            let mut column = derived.column;
            if column.dtype().is_float() {
                let finite =
                    column.is_finite().map_err(|error| polars_error(&format!("computing `{name}`"), &error))?;
                let undefined: BooleanChunked = !&finite;
                if let Some(rows @ 1..) = undefined.sum() {
                    context.warn(format!(
                        "`{name}` is undefined or infinite in {}, and null there",
                        count(rows as usize, "row")
                    ));
                    column = null_where(&column, &undefined)?;
                }
            }
            if derived.personal {
                personal.push(name.as_str());
            }
            frame.with_column(column).map_err(|error| polars_error(&format!("adding column `{name}`"), &error))?;
        }
        put_frame(context, frame, personal)
    }
}
