//! A plugin in Rust: two stage types and one line.

use polars_arrow::array::Utf8ViewArray;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_plugin::{
    Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, Table, TableColumn,
    export_plugin, polars_arrow,
};

/// Write a text column in upper case.
///
/// Beside the column that it is made of.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Upper {
    /// The column to read: text.
    column: String,
    /// The name of the column to write.
    #[serde(default = "shouted")]
    into: String,
}

fn shouted() -> String {
    "shouted".to_owned()
}

impl Stage for Upper {
    const TYPE: &'static str = "shout.upper";
    const EXAMPLE: &'static str = "inputs: { table: users }\nwith: { column: name }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with a text column."),
            Port::output("table", Kind::Table, "The table with one more column."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.into.is_empty() {
            return Err(ParamError::new("into", "the new column needs a name").with_help("leave it out for `shouted`"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let mut columns = inputs.get("table").cloned().unwrap_or_default();
        if columns.contains(&self.column) {
            columns.insert(self.into.clone());
        }
        PersonalColumns::from([("table".to_owned(), columns)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let column = table.columns().iter().find(|column| column.name == self.column);
        let column = column.ok_or_else(|| StageError::data(format!("there is no column `{}`", self.column)))?;
        let mut chunks = Vec::new();
        for chunk in &column.chunks {
            context.check_cancelled()?;
            let Some(text) = chunk.as_any().downcast_ref::<Utf8ViewArray>() else {
                return Err(StageError::data(format!("column `{}` is no text", self.column)));
            };
            let upper = text.iter().map(|text| text.map(str::to_uppercase));
            chunks.push(Utf8ViewArray::from_slice(upper.collect::<Vec<_>>()).boxed());
        }
        let mut columns = table.columns().to_vec();
        columns.push(TableColumn { name: self.into.clone(), dtype: column.dtype.clone(), chunks });
        let mut out = Table::new(columns)?;
        if table.is_personal(&self.column) {
            out.mark_personal([self.into.as_str()]);
        }
        context.progress(1, 1);
        context.put("table", out)
    }
}

/// Throw dice.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dice {
    /// How many.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 9))]
    count: u32,
}

fn two() -> u32 {
    2
}

impl Stage for Dice {
    const TYPE: &'static str = "shout.dice";
    const EXAMPLE: &'static str = "with: { count: 3 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![Port::output("metrics", Kind::Metrics, "`sum`: the eyes of all dice.")]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        use rand::Rng;
        // More than the schema allows: a bug for the tests.
        assert!(self.count <= 9, "too many dice: {}", self.count);
        let mut rng = context.rng("dice");
        let sum: u32 = (0..self.count).map(|_| rng.random_range(1..=6u32)).sum();
        context.warn(format!("threw {sum}"));
        let mut metrics = Metrics::new();
        metrics.insert("sum", Some(f64::from(sum)), Goal::Describe)?;
        context.put("metrics", metrics)
    }
}

export_plugin!("shout", [Upper, Dice]);
