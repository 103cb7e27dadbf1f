use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, require, to_frame, to_table};

use crate::keys::finite;

/// Scale columns to mean 0 and standard deviation 1.
///
/// Each value becomes `(x - mean) / std` as a double, with the population standard deviation of its column (divided by
/// n, as scikit-learn's `StandardScaler`); a constant column becomes 0. Null and NaN take no part and become null. The
/// other columns pass through.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The numeric columns to scale.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// What to append to the names of the scaled columns, to keep the originals beside them; without it they are
    /// replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub suffix: Option<String>,
}

impl Stage for Scale {
    const TYPE: &'static str = "features.scale";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [total_user_spent, age], suffix: _scaled }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`."),
            Port::output("table", Kind::Table, "The same rows and columns, the scaled ones as double."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.columns.is_empty() {
            return Err(ParamError::new("columns", "no column to scale is named"));
        }
        for (index, name) in self.columns.iter().enumerate() {
            if self.columns[..index].contains(name) {
                return Err(ParamError::new(format!("columns/{index}"), format!("`{name}` is named twice")));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let mut personal = inputs.get("table").cloned().unwrap_or_default();
        if let Some(suffix) = &self.suffix {
            let scaled = self.columns.iter().filter(|name| personal.contains(*name));
            let scaled: Vec<String> = scaled.map(|name| format!("{name}{suffix}")).collect();
            personal.extend(scaled);
        }
        PersonalColumns::from([("table".to_owned(), personal)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let mut frame = to_frame(&table)?;
        require(&frame, self.columns.iter().map(String::as_str))?;
        let mut renamed = Vec::new();
        for name in &self.columns {
            let scaled = standardize(&finite(&frame, name)?);
            let to = match &self.suffix {
                None => name.clone(),
                Some(suffix) => format!("{name}{suffix}"),
            };
            if to != *name && frame.get_column_index(&to).is_some() {
                return Err(StageError::data(format!("there is a column `{to}` already"))
                    .with_help("choose another `suffix`, or leave it out to replace the columns"));
            }
            frame
                .with_column(Column::new(to.as_str().into(), scaled))
                .map_err(|error| polars_error(&format!("adding column `{to}`"), &error))?;
            if table.is_personal(name) {
                renamed.push(to);
            }
        }
        let mut out = to_table(frame)?;
        out.mark_personal(renamed.iter().map(String::as_str));
        context.put("table", out)
    }
}

fn standardize(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let lowest = known.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if lowest >= highest {
        return values.iter().map(|value| value.map(|_| 0.0)).collect();
    }
    // Measured in the power of two below the largest, which is exact, squares of very large and very small values stay
    // in range: the number without its mantissa.
    let largest = lowest.abs().max(highest.abs());
    let unit = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
    let count = known.len() as f64;
    let mean = sum(known.iter().map(|value| value / unit)) / count;
    let variance = sum(known.iter().map(|value| (value / unit - mean).powi(2))) / count;
    let std = variance.sqrt();
    values.iter().map(|value| value.map(|value| (value / unit - mean) / std)).collect()
}

/// Sums in blocks, so that many small values are not lost beside a large sum.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut block) = (0.0, 0.0);
    for (index, value) in values.enumerate() {
        if index.is_multiple_of(1024) {
            total += block;
            block = 0.0;
        }
        block += value;
    }
    total + block
}
