//! Small things about tables that the stage types share.

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use stagewright_contract::{PersonalColumns, StageContext, StageError, Table, Task};
use stagewright_frame::{polars_error, to_frame, to_table};

use crate::features::floats;
use crate::target::{Classes, Label, Target};

/// A table of columns of equal length.
pub(crate) fn of_columns(columns: Vec<Column>) -> Result<Table, StageError> {
    to_table(DataFrame::new_infer_height(columns).map_err(|error| polars_error("collecting the results", &error))?)
}

/// Some rows of a frame, in this order.
pub(crate) fn take(frame: &DataFrame, rows: &[usize]) -> Result<DataFrame, StageError> {
    let rows = IdxCa::from_vec("rows".into(), rows.iter().map(|&row| row as IdxSize).collect());
    frame.take(&rows).map_err(|error| polars_error("selecting rows", &error))
}

/// The frame with more columns, whose names must not be taken. `params` are the parameters that name them.
pub(crate) fn with_columns(frame: &DataFrame, columns: &[Column], params: &str) -> Result<Table, StageError> {
    for column in columns {
        if frame.get_column_index(column.name()).is_some() {
            return Err(StageError::data(format!("there is a column `{}` already", column.name()))
                .with_help(format!("name another column in {params}")));
        }
    }
    to_table(frame.hstack(columns).map_err(|error| polars_error("adding columns", &error))?)
}

/// Probabilities beside what is true.
pub(crate) struct Judged {
    /// The table.
    pub(crate) frame: DataFrame,
    /// The probability in each row of the table; NaN where there is none.
    pub(crate) probabilities: Vec<f64>,
    /// (probability, truth) of the rows that have both.
    pub(crate) pairs: Vec<(f64, f64)>,
    /// What 0 and 1 stand for.
    pub(crate) classes: Classes,
}

impl Judged {
    /// Reads them. The classes are those of a model, or else are found in the target.
    ///
    /// # Errors
    /// When a column is not there or holds something else, or not both classes occur.
    pub(crate) fn read(
        context: &StageContext,
        table: &Table,
        probability: &str,
        target: &str,
        positive: Option<&Label>,
        classes: Option<&Classes>,
    ) -> Result<Self, StageError> {
        let frame = to_frame(table)?;
        let probabilities = floats(&frame, probability)?;
        let outside = probabilities.iter().filter(|p| !p.is_nan() && !(0.0..=1.0).contains(*p)).count();
        if outside > 0 {
            return Err(StageError::data(format!(
                "{outside} of {} rows have a value in column `{probability}` outside 0 to 1, probabilities are needed",
                probabilities.len()
            ))
            .with_help("name the column with the probability of the positive class in `probability`"));
        }
        let target_values = match classes {
            Some(_) => Target::read_as(&frame, target, classes)?,
            None => Target::read(&frame, target, Task::Classification, positive)?,
        };
        let classes = target_values.classes.clone().unwrap_or_else(Classes::boolean);
        if table.is_personal(target) && matches!(classes.positive, Label::Text(_)) {
            return Err(StageError::data(format!(
                "column `{target}` is personal text, and the model would keep its values"
            ))
            .with_help("make booleans of it with `clean.derive`"));
        }
        let pairs: Vec<(f64, f64)> = probabilities
            .iter()
            .zip(&target_values.values)
            .filter(|(p, y)| !p.is_nan() && !y.is_nan())
            .map(|(p, y)| (*p, *y))
            .collect();
        if pairs.len() < probabilities.len() {
            context.warn(format!(
                "{} of {} rows have no `{probability}` or no `{target}`: left out",
                probabilities.len() - pairs.len(),
                probabilities.len()
            ));
        }
        let positives = pairs.iter().filter(|(_, y)| *y == 1.0).count();
        if positives == 0 || positives == pairs.len() {
            return Err(StageError::data(format!(
                "column `{target}` does not have both classes in the rows with a probability"
            ))
            .with_help("look at the stage that the table comes from"));
        }
        Ok(Self { frame, probabilities, pairs, classes })
    }
}

/// Those of our own columns that bear the name of a personal column of an input, which marks them when they are put
/// out.
pub(crate) fn named(inputs: &PersonalColumns, ours: &[&str]) -> BTreeSet<String> {
    inputs.values().flatten().filter(|name| ours.contains(&name.as_str())).cloned().collect()
}
