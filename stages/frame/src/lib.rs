//! The bridge between the contract's `Table` and polars' `DataFrame`, and what every stage crate says in the same
//! words: a missing column, a column of the wrong type, an error of polars.

mod columns;
mod convert;
mod diff;
mod export;
mod find;
mod ids;
mod sql;
#[cfg(feature = "testkit")]
pub mod testkit;
mod units;

pub use columns::{column, nearest, numbers, require};
pub use convert::{to_frame, to_table};
pub use diff::{CellDiff, ColumnDiff, TableDiff, diff};
pub use export::{Format, head, write};
pub use find::columns_with;
pub use ids::Ids;
pub use sql::{expression, roots};
pub use units::{clusters, values};

use polars::error::PolarsError;
use stagewright_contract::StageError;

/// An error of polars as a stage's: the data does not allow what was asked. `doing` says what that was, as in
/// ``filtering by `age > 18` ``.
pub fn polars_error(doing: &str, error: &PolarsError) -> StageError {
    let text = error.to_string();
    // Polars appends the whole plan after a blank line; the first paragraph is what happened.
    let first = text.split("\n\n").next().unwrap_or(&text).replace('\n', " ");
    match error {
        PolarsError::IO { .. } => StageError::environment(format!("{doing}: {first}")),
        _ => StageError::data(format!("{doing}: {first}")),
    }
}
