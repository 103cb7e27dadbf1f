//! The time of purchases: timestamps, dates, or integers in a unit of their own.

use polars::prelude::{DataFrame, DataType, TimeUnit};
use stagewright_contract::StageError;
use stagewright_frame::{column, polars_error};

/// The times in a column.
pub(crate) struct Times {
    /// The time in each row, in ticks of the column's unit.
    pub(crate) ticks: Vec<Option<i64>>,
    /// How many ticks a day has; `None` for integers, whose unit nobody knows.
    pub(crate) per_day: Option<i64>,
}

impl Times {
    /// Reads them.
    ///
    /// # Errors
    /// When there is no such column or it holds something else.
    pub(crate) fn read(frame: &DataFrame, name: &str) -> Result<Self, StageError> {
        let column = column(frame, name)?;
        let per_day = match column.dtype() {
            DataType::Date => Some(1),
            DataType::Datetime(TimeUnit::Milliseconds, _) => Some(86_400_000),
            DataType::Datetime(TimeUnit::Microseconds, _) => Some(86_400_000_000),
            DataType::Datetime(TimeUnit::Nanoseconds, _) => Some(86_400_000_000_000),
            dtype if dtype.is_integer() => None,
            dtype => {
                let message = format!("column `{name}` is {dtype}, a timestamp, date or integer is needed");
                return Err(StageError::data(message).with_help("cast it with `clean.cast`, or name another column"));
            }
        };
        let reading = |error| polars_error(&format!("reading column `{name}`"), &error);
        let column = column.strict_cast(&DataType::Int64).map_err(reading)?;
        Ok(Self { ticks: column.i64().map_err(reading)?.iter().collect(), per_day })
    }

    /// The whole days from `earlier` to `later`.
    pub(crate) fn days(&self, earlier: i64, later: i64) -> Option<u32> {
        let days = later.saturating_sub(earlier) / self.per_day?;
        Some(u32::try_from(days).unwrap_or(u32::MAX))
    }
}
