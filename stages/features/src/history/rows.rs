//! The rows of purchases, read for looking back.

use polars::prelude::DataFrame;
use stagewright_contract::{StageContext, StageError};
use stagewright_frame::{Ids, numbers};

use super::History;
use crate::keys::rows_have;
use crate::time::instants;

/// One entry per row of a table. What is a number here only compares as its column does.
pub(super) struct Rows {
    /// The order of a row, if its user and number are known.
    pub(super) order: Vec<Option<Order>>,
    /// When that order began and was over, if any of its rows has a time; (1, 0), which is before everything and
    /// after everything, where time does not count.
    pub(super) lasted: Vec<Option<Lasted>>,
    pub(super) product: Vec<Option<u32>>,
    pub(super) department: Vec<Option<u32>>,
    pub(super) reordered: Vec<Option<bool>>,
    /// The rows that have an order, by user and number.
    pub(super) ascending: Vec<u32>,
}

/// Whose order, and which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    pub(super) user: u32,
    pub(super) number: i64,
}

/// From when to when an order lasted.
#[derive(Clone, Copy)]
pub(super) struct Lasted {
    pub(super) began: i64,
    pub(super) over: i64,
}

/// Where time does not count, every order is over before any begins.
const TIMELESS: Lasted = Lasted { began: 1, over: 0 };

impl Rows {
    pub(super) fn read(
        stage: &History,
        frame: &DataFrame,
        users: &Ids,
        products: &Ids,
        departments: &Ids,
    ) -> Result<Self, StageError> {
        let numbers = instants(frame, "number", &stage.number)?;
        let users = users.codes(frame)?;
        let order: Vec<Option<Order>> = users
            .into_iter()
            .zip(numbers)
            .map(|(user, number)| user.zip(number).map(|(user, number)| Order { user, number }))
            .collect();
        let mut ascending: Vec<(Order, u32)> =
            order.iter().zip(0..).filter_map(|(order, row)| order.map(|order| (order, row))).collect();
        ascending.sort_unstable();
        let lasted = match &stage.time {
            None => vec![Some(TIMELESS); order.len()],
            Some(time) => lasted(&ascending, &instants(frame, "time", time)?),
        };
        Ok(Self {
            lasted,
            product: products.codes(frame)?,
            department: departments.codes(frame)?,
            reordered: yes_or_no(frame, &stage.reordered)?,
            ascending: ascending.into_iter().map(|(_, row)| row).collect(),
            order,
        })
    }

    /// Says which rows of the table at `port` go without a history.
    pub(super) fn warn(&self, stage: &History, context: &StageContext, port: &str) {
        let nameless = self.order.len() - self.ascending.len();
        if nameless > 0 {
            context.warn(format!(
                "{} no `{}` or no `{}` in `{port}`: without features, and nobody's history",
                rows_have(nameless),
                stage.user,
                stage.number
            ));
        }
        let timeless = self.order.iter().zip(&self.lasted).filter(|(o, lasted)| o.is_some() && lasted.is_none());
        let timeless = timeless.count();
        if let Some(time) = &stage.time
            && timeless > 0
        {
            context.warn(format!(
                "{} no `{time}` for the order in `{port}`: it is neither after nor before those of others",
                rows_have(timeless)
            ));
        }
    }
}

/// From when to when the order of each row lasted.
fn lasted(ascending: &[(Order, u32)], times: &[Option<i64>]) -> Vec<Option<Lasted>> {
    let mut lasted = vec![None; times.len()];
    for order in ascending.chunk_by(|a, b| a.0 == b.0) {
        let known = || order.iter().filter_map(|(_, row)| times[*row as usize]);
        if let (Some(began), Some(over)) = (known().min(), known().max()) {
            for (_, row) in order {
                lasted[*row as usize] = Some(Lasted { began, over });
            }
        }
    }
    lasted
}

/// A column of 0 and 1 or of truth values.
fn yes_or_no(frame: &DataFrame, name: &str) -> Result<Vec<Option<bool>>, StageError> {
    let values = numbers(frame, name)?;
    let others = values.iter().flatten().filter(|value| **value != 0.0 && **value != 1.0).count();
    if others > 0 {
        return Err(StageError::data(format!(
            "{} neither 0 nor 1 in column `{name}`, which says whether the product was bought before",
            rows_have(others)
        ))
        .with_help("name another column in `reordered`, or make it with `clean.derive`"));
    }
    Ok(values.into_iter().map(|value| value.map(|value| value == 1.0)).collect())
}
