//! What every clustering stage type shares: its features are read, checked and scaled in one way.

use polars::prelude::DataFrame;
use stagewright_contract::{ParamError, PersonalColumns, StageContext, StageError};
use stagewright_frame::{numbers, require, to_frame};

use crate::clusters::SIZE;
use crate::matrix::{Matrix, standardize};

/// Squares of larger values, summed over rows and features, might leave the range of numbers.
const LARGEST: f64 = 1e100;

/// The parameters that say what is clustered.
pub(crate) struct Features<'a> {
    pub(crate) columns: &'a [String],
    pub(crate) standardize: bool,
    /// The column that receives the cluster.
    pub(crate) into: &'a str,
}

/// A table to cluster.
pub(crate) struct Data {
    /// The table itself.
    pub(crate) frame: DataFrame,
    /// The features in their own units.
    pub(crate) columns: Vec<Vec<f64>>,
    /// The features as distances are measured between them.
    pub(crate) matrix: Matrix,
}

impl Features<'_> {
    /// `others` are the columns that the output `centers` has besides the features and the cluster.
    pub(crate) fn check(&self, others: &[&str]) -> Result<(), ParamError> {
        if self.columns.is_empty() {
            return Err(ParamError::new("columns", "no column to cluster by is named"));
        }
        let is_other = |name: &str| name == SIZE || others.contains(&name);
        for (index, name) in self.columns.iter().enumerate() {
            let path = format!("columns/{index}");
            if self.columns[..index].contains(name) {
                return Err(ParamError::new(path, format!("`{name}` is named twice")));
            }
            if name == self.into || is_other(name) {
                return Err(ParamError::new(path, format!("`{name}` is another column of the output `centers`"))
                    .with_help("rename the feature with `clean.rename`"));
            }
        }
        if is_other(self.into) {
            let message = format!("`{}` is another column of the output `centers`", self.into);
            return Err(ParamError::new("into", message));
        }
        Ok(())
    }

    /// The rows of the input `table` are all there in the output `table`; `centers` has means of the features alone,
    /// and the other tables no column of the input.
    pub(crate) fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let table = inputs.get("table").cloned().unwrap_or_default();
        let centers = table.iter().filter(|name| self.columns.contains(name)).cloned().collect();
        [("table".to_owned(), table), ("centers".to_owned(), centers)].into()
    }

    pub(crate) fn read(&self, context: &StageContext) -> Result<Data, StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        require(&frame, self.columns.iter().map(String::as_str))?;
        if frame.get_column_index(self.into).is_some() {
            return Err(StageError::data(format!("there is a column `{}` already", self.into))
                .with_help("name another column in `into`"));
        }
        if frame.height() == 0 {
            return Err(StageError::data("there are no rows to cluster")
                .with_help("look at the stage that the table comes from"));
        }
        let columns = self.columns.iter().map(|name| self.feature(&frame, name)).collect::<Result<Vec<_>, _>>()?;
        let matrix = if self.standardize {
            Matrix::of_columns(&columns.iter().map(|column| standardize(column)).collect::<Vec<_>>())
        } else {
            Matrix::of_columns(&columns)
        };
        Ok(Data { frame, columns, matrix })
    }

    fn feature(&self, frame: &DataFrame, name: &str) -> Result<Vec<f64>, StageError> {
        let values = numbers(frame, name)?;
        let rows = values.len();
        let values: Vec<f64> = values.into_iter().flatten().filter(|value| value.is_finite()).collect();
        if values.len() < rows {
            return Err(StageError::data(format!(
                "{} of {rows} rows have no finite number in column `{name}`, every row needs one",
                rows - values.len()
            ))
            .with_help(
                "fill them with `clean.fill`, or leave those rows out with `clean.drop_nulls` or `clean.filter`",
            ));
        }
        if !self.standardize && values.iter().any(|value| value.abs() > LARGEST) {
            return Err(StageError::data(format!("column `{name}` has a value beyond 1e100, too large to square"))
                .with_help("set `standardize: true`, or scale the column"));
        }
        Ok(values)
    }
}
