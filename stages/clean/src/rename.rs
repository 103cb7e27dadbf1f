use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, PersonalColumns, Port, Stage, StageContext, StageError, Table};
use stagewright_frame::{require, to_frame};

use crate::table::{table_ports, through};

/// Give columns other names.
///
/// All columns keep their place, their values and their personal marks; two columns may swap names.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// For each column to rename its new name.
    #[schemars(extend("minProperties" = 1))]
    pub columns: BTreeMap<String, String>,
}

impl Stage for Rename {
    const TYPE: &'static str = "clean.rename";
    const EXAMPLE: &'static str =
        "inputs: { table: products }\nwith: { columns: { id: product_id, name: product_name } }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The same table with the new names.")
    }

    fn check(&self) -> Result<(), ParamError> {
        let mut taken = BTreeMap::new();
        for (old, new) in &self.columns {
            let path = format!("columns/{old}");
            if new.is_empty() {
                return Err(ParamError::new(path, "a column needs a name"));
            }
            if let Some(other) = taken.insert(new, old) {
                return Err(ParamError::new(path, format!("`{other}` and `{old}` would both be named `{new}`")));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |personal| {
            let renamed = personal.iter().map(|name| self.columns.get(name).unwrap_or(name).clone()).collect();
            // A column that takes the name of a personal one is taken for personal, too.
            personal.retain(|name| self.columns.values().any(|new| new == name));
            let kept = std::mem::replace(personal, renamed);
            personal.extend(kept);
        })
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        require(&to_frame(&table)?, self.columns.keys().map(String::as_str))?;
        let mut columns = table.columns().to_vec();
        let mut names = BTreeSet::new();
        let mut personal = Vec::new();
        for column in &mut columns {
            let is_personal = table.is_personal(&column.name);
            if let Some(new) = self.columns.get(&column.name) {
                column.name.clone_from(new);
            }
            if !names.insert(column.name.clone()) {
                return Err(StageError::data(format!("there would be two columns named `{}`", column.name))
                    .with_help("choose another name, rename the other column too, or drop it before"));
            }
            if is_personal {
                personal.push(column.name.clone());
            }
        }
        let mut renamed = Table::new(columns)?;
        renamed.mark_personal(personal.iter().map(String::as_str));
        context.put("table", renamed)
    }
}
