use polars::prelude::{Column, IntoColumn, NewChunkedArray, StringChunked};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{numbers, polars_error, to_frame};

use crate::table::{no_repeats, number, put_frame, table_ports, through};

/// Put the numbers of a column into bins.
///
/// As `pandas.cut`: the edges `[0, 9, 20]` make the bins `(0, 9]` and `(9, 20]`, each without its lower edge and with
/// its upper one; `right: false` turns that around. Numbers outside all bins, and missing ones, have no bin: null. The
/// bin of a personal column is personal.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The column with the numbers.
    pub column: String,
    /// The edges of the bins, ascending, in the unit of the column.
    #[schemars(length(min = 2))]
    pub edges: Vec<f64>,
    /// The names of the bins, one fewer than edges; such as `(0, 9]` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub labels: Option<Vec<String>>,
    /// The column to hold the name of the bin; the name of the column followed by `_bin` unless given. An existing
    /// column of that name is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub into: Option<String>,
    /// Whether a bin holds its upper edge and not its lower one.
    #[serde(default = "yes")]
    pub right: bool,
    /// Whether the first bin holds its lower edge as well, where `right` is true.
    #[serde(default)]
    pub include_lowest: bool,
}

fn yes() -> bool {
    true
}

impl Stage for Bin {
    const TYPE: &'static str = "clean.bin";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { column: age, edges: [0, 19, 30, 40, 50, 60, 200], into: age_group }";

    fn ports() -> Vec<Port> {
        table_ports("A table with a column of numbers.", "The same rows with the column of bins (string).")
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.edges.len() < 2 {
            return Err(ParamError::new("edges", "at least two edges are needed"));
        }
        for (index, pair) in self.edges.windows(2).enumerate() {
            if let [lower, upper] = pair
                && !(lower.is_finite() && upper.is_finite() && lower < upper)
            {
                return Err(ParamError::new(
                    format!("edges/{}", index + 1),
                    format!("the edges must ascend, but {} follows {}", number(*upper), number(*lower)),
                ));
            }
        }
        if let Some(labels) = &self.labels {
            let bins = self.edges.len() - 1;
            if labels.len() != bins {
                return Err(ParamError::new(
                    "labels",
                    format!("{} edges make {bins} bins, but there are {} labels", self.edges.len(), labels.len()),
                ));
            }
            no_repeats("labels", labels)?;
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |personal| {
            if personal.contains(&self.column) {
                personal.insert(self.into());
            }
        })
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let mut frame = to_frame(&table)?;
        let labels = self.labels.clone().unwrap_or_else(|| self.intervals());
        let bins = numbers(&frame, &self.column)?.into_iter().map(|value| {
            value.and_then(|value| self.bin_of(value)).and_then(|bin| labels.get(bin)).map(String::as_str)
        });
        let into = self.into();
        let column: Column = StringChunked::from_iter_options(into.as_str().into(), bins).into_column();
        frame.with_column(column).map_err(|error| polars_error(&format!("adding column `{into}`"), &error))?;
        let personal = table.is_personal(&self.column).then_some(into.as_str());
        put_frame(context, frame, personal)
    }
}

impl Bin {
    /// The column that holds the name of the bin.
    fn into(&self) -> String {
        self.into.clone().unwrap_or_else(|| format!("{}_bin", self.column))
    }

    fn bin_of(&self, value: f64) -> Option<usize> {
        let (lowest, highest) = (self.edges.first()?, self.edges.last()?);
        if self.right && self.include_lowest && value == *lowest {
            return Some(0);
        }
        let inside =
            if self.right { *lowest < value && value <= *highest } else { *lowest <= value && value < *highest };
        let before = self.edges.partition_point(|edge| if self.right { *edge < value } else { *edge <= value });
        inside.then(|| before.saturating_sub(1))
    }

    /// The names of the bins that have none.
    fn intervals(&self) -> Vec<String> {
        let (open, close) = if self.right { ('(', ']') } else { ('[', ')') };
        let pairs = self.edges.iter().zip(self.edges.iter().skip(1));
        pairs
            .enumerate()
            .map(|(bin, (lower, upper))| {
                let open = if bin == 0 && self.include_lowest { '[' } else { open };
                format!("{open}{}, {}{close}", number(*lower), number(*upper))
            })
            .collect()
    }
}
