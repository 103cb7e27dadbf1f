use polars::prelude::{BooleanChunked, DataFrame, DataType, NewChunkedArray};
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{column, polars_error, require, to_frame, to_table};

use crate::keys::{Keys, rows_have};
use crate::names;
use crate::time::{ascending_bits, instants, is_moment, parse_moment};

/// Split a table into a training and a test part.
///
/// Every row goes to one of the two parts and keeps its place among its fellows. `random` draws `ceil(n × test_size)`
/// of the n rows for the test, as scikit-learn's `train_test_split` (the rows drawn differ from scikit-learn's). `time`
/// takes the rows at `cutoff` or later for the test; with `test_size` instead, the cutoff is the time of the `ceil(n ×
/// test_size)`-th latest of the n rows with a time, so that rows of equal time stay together and the test part may be
/// larger. `last_order` takes for the test every user's last order (the one with the latest time; of several, the one
/// with the largest order id; an order without a time counts as the earliest), unless the user has fewer than
/// `min_orders` orders. `user` draws `ceil(n × test_size)` of the n users, as scikit-learn's `GroupShuffleSplit`, and
/// takes all their rows for the test, to judge how a model does on people whom it has not seen. Rows without a time
/// under `time`, and rows without a user (or an order) under `last_order` and `user`, go to training with a warning. To
/// judge recommendations of future purchases, use `time` or `last_order`: a random split
/// lets the future into the training.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// How the test rows are chosen: `random`, `last_order`, `time` or `user`.
    #[serde(default)]
    pub method: Method,
    /// The share of rows (with `user`, of users) to test with, between 0 and 1 exclusive; 0.2 with `random` and `user`
    /// unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_size: Option<f64>,
    /// With `time`, where the test begins: `2024-01-31` or `2024-01-31T18:00:00`, or a number where the time is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<Cutoff>,
    /// With `last_order` and `user`, the column that says who bought.
    #[serde(default = "names::user_id")]
    pub user: String,
    /// With `last_order`, the column that says which order the row belongs to.
    #[serde(default = "names::order_id")]
    pub order: String,
    /// With `last_order` and `time`, the column that says when: a date, a timestamp, or a number such as an order
    /// number.
    #[serde(default = "names::created_at")]
    pub time: String,
    /// With `last_order`, users with fewer orders than this stay wholly in training.
    #[serde(default = "two")]
    #[schemars(range(min = 1))]
    pub min_orders: usize,
}

/// How test rows are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Drawn at random.
    #[default]
    Random,
    /// The last order of every user.
    LastOrder,
    /// Everything from some moment on.
    Time,
    /// All rows of users drawn at random.
    User,
}

/// Where the test begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cutoff {
    /// In a numeric column.
    Number(f64),
    /// In a column of dates or timestamps.
    Moment(String),
}

fn two() -> usize {
    2
}

impl Stage for Split {
    const TYPE: &'static str = "features.split";
    const EXAMPLE: &'static str =
        "inputs: { table: purchases }\nwith: { method: time, time: created_at, cutoff: \"2024-01-01\" }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table; `last_order`, `time` and `user` need their columns."),
            Port::output("train", Kind::Table, "The rows to learn from, in the order of the input."),
            Port::output("test", Kind::Table, "The rows to test with, in the order of the input."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.test_size.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return Err(ParamError::new("test_size", "the share of rows must lie between 0 and 1, exclusive"));
        }
        if let Some(Cutoff::Moment(text)) = &self.cutoff {
            parse_moment("cutoff", text)?;
        }
        let only = |param: &str, fit: &str| {
            let message = format!("`{param}` has no meaning for the chosen `method`");
            Err(ParamError::new(param, message).with_help(format!("leave it out, or use {fit}")))
        };
        match self.method {
            Method::Random | Method::LastOrder | Method::User if self.cutoff.is_some() => {
                only("cutoff", "`method: time`")
            }
            Method::LastOrder if self.test_size.is_some() => only("test_size", "another `method`"),
            Method::Time if self.cutoff.is_some() == self.test_size.is_some() => {
                Err(ParamError::new("cutoff", "`method: time` needs either `cutoff` or `test_size`").with_help(
                    "`cutoff: \"2024-01-31\"` names the moment, `test_size: 0.2` the share of the latest rows",
                ))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let test = match self.method {
            Method::Random => self.random(context, frame.height()),
            Method::LastOrder => self.last_order(context, &frame)?,
            Method::Time => self.time(context, &frame)?,
            Method::User => self.users(context, &frame)?,
        };
        for (port, wanted) in [("train", false), ("test", true)] {
            let mask = BooleanChunked::from_iter_values(port.into(), test.iter().map(|&test| test == wanted));
            let part = frame.filter(&mask).map_err(|error| polars_error("splitting the table", &error))?;
            if part.height() == 0 {
                context.warn(format!("no rows are left for `{port}`"));
            }
            context.put(port, to_table(part)?)?;
        }
        Ok(())
    }
}

impl Split {
    fn random(&self, context: &StageContext, rows: usize) -> Vec<bool> {
        let mut test = vec![false; rows];
        let drawn = index::sample(&mut context.rng("split"), rows, share(rows, self.test_size.unwrap_or(0.2)));
        for row in drawn {
            test[row] = true;
        }
        test
    }

    fn users(&self, context: &StageContext, frame: &DataFrame) -> Result<Vec<bool>, StageError> {
        let users = Keys::of(frame, &self.user)?;
        users.warn_nulls(context, "put into training");
        let mut drawn = vec![false; users.len()];
        let wanted = share(users.len(), self.test_size.unwrap_or(0.2));
        for user in index::sample(&mut context.rng("split"), users.len(), wanted) {
            drawn[user] = true;
        }
        let mut test = vec![false; frame.height()];
        for (row, user) in users.rows() {
            test[row] = drawn[user];
        }
        Ok(test)
    }

    fn last_order(&self, context: &StageContext, frame: &DataFrame) -> Result<Vec<bool>, StageError> {
        require(frame, [&self.user, &self.order, &self.time].map(String::as_str))?;
        let users = Keys::of(frame, &self.user)?;
        users.warn_nulls(context, "put into training");
        let orders = Keys::of(frame, &self.order)?;
        orders.warn_nulls(context, "put into training");
        let times = instants(frame, "time", &self.time)?;
        self.warn_unknown(context, &times, "their orders count as the earliest unless another row tells");

        // Order positions ascend with the order id, and an unknown time comes before every known one.
        let mut bought: Vec<(usize, u32, Option<i64>)> =
            users.rows().filter_map(|(row, user)| orders.of_row[row].map(|order| (user, order, times[row]))).collect();
        bought.sort_unstable();
        let mut last: Vec<Option<u32>> = vec![None; users.len()];
        for of_user in bought.chunk_by(|a, b| a.0 == b.0) {
            let latest_of_order = of_user.chunk_by(|a, b| a.1 == b.1).filter_map(|rows| rows.last());
            if latest_of_order.clone().count() >= self.min_orders {
                last[of_user[0].0] =
                    latest_of_order.max_by_key(|(_, order, time)| (*time, *order)).map(|order| order.1);
            }
        }
        let mut test = vec![false; frame.height()];
        for (row, user) in users.rows() {
            test[row] = orders.of_row[row].is_some() && orders.of_row[row] == last[user];
        }
        Ok(test)
    }

    fn time(&self, context: &StageContext, frame: &DataFrame) -> Result<Vec<bool>, StageError> {
        let times = instants(frame, "time", &self.time)?;
        self.warn_unknown(context, &times, "put into training");
        let cutoff = match (&self.cutoff, self.test_size) {
            (Some(cutoff), _) => Some(self.instant(cutoff, column(frame, &self.time)?.dtype())?),
            (None, test_size) => {
                let mut ascending: Vec<i64> = times.iter().flatten().copied().collect();
                ascending.sort_unstable();
                let wanted = share(ascending.len(), test_size.unwrap_or(0.2));
                ascending.get(ascending.len() - wanted).copied()
            }
        };
        Ok(times.iter().map(|time| time.is_some() && cutoff.is_some() && *time >= cutoff).collect())
    }

    fn warn_unknown(&self, context: &StageContext, times: &[Option<i64>], fate: &str) {
        let unknown = times.iter().filter(|time| time.is_none()).count();
        if unknown > 0 {
            context.warn(format!("{} no `{}`: {fate}", rows_have(unknown), self.time));
        }
    }

    fn instant(&self, cutoff: &Cutoff, dtype: &DataType) -> Result<i64, StageError> {
        match cutoff {
            Cutoff::Number(number) if !is_moment(dtype) => Ok(ascending_bits(*number)),
            Cutoff::Moment(text) if is_moment(dtype) => {
                parse_moment("cutoff", text).map_err(|error| StageError::data(error.to_string()))
            }
            Cutoff::Number(_) => {
                Err(StageError::data(format!("`cutoff` is a number, but column `{}` is {dtype}", self.time))
                    .with_help("write the cutoff as `2024-01-31` or as `2024-01-31T18:00:00`"))
            }
            Cutoff::Moment(_) => {
                Err(StageError::data(format!("`cutoff` is a moment, but column `{}` is {dtype}", self.time))
                    .with_help("write the cutoff as a number, or cast the column with `clean.cast`"))
            }
        }
    }
}

/// `ceil(rows × share)`.
fn share(rows: usize, share: f64) -> usize {
    ((rows as f64 * share).ceil() as usize).min(rows)
}
