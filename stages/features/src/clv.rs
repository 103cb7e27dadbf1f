mod bfgs;
mod bg_nbd;
mod gamma_gamma;

use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{polars_error, require, to_frame, to_table};

use self::bg_nbd::{BgNbd, Customer};
use self::gamma_gamma::{GammaGamma, Spender};
use crate::keys::{Keys, finite, rows_have};
use crate::names;
use crate::time::{DAY, moments, parse_moment};

/// Estimate each customer's lifetime value from past purchases, by BG/NBD and Gamma-Gamma.
///
/// The input has one row per purchased item; all that a user buys on a day (of UTC, or of the column's local time) is
/// one purchase. Per user, `frequency` is the number of purchases after the first, `recency` the days from the first to
/// the last, `tenure` the days from the first to `now`, and `monetary_value` the mean value of the purchases after the
/// first. The BG/NBD model (Fader, Hardie & Lee, "Counting Your Customers" the Easy Way, 2005) says how often customers
/// buy while they do, and after which purchase they leave; the Gamma-Gamma model (Fader & Hardie, The Gamma-Gamma Model
/// of Monetary Value, 2013) says what a purchase is worth, which it takes to be independent of how many there are (the
/// metric `frequency_value_correlation` should be near 0). Both are fitted by maximum likelihood. `clv` is the sum over
/// steps of 30 days up to `horizon` of the purchases to expect in the step, times the value to expect of one, over `(1 +
/// discount_rate) ^ (days / 30)` at the end of the step. It is as large as `price` says: for profit, give the margin.
///
/// A user who never bought again has no mean value and is expected to spend as all do. A user whose mean value is not
/// above 0 has null values, and takes no part in the second model. That model needs values that differ: where all
/// means are the same, they are the expectation, and its parameters are null. If nobody bought twice there is nothing
/// to learn from, which is an error. Rows without a user or a time, and purchases after `now`, are left out with a
/// warning; a row without a price adds no money.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clv {
    /// The column that says who bought.
    #[serde(default = "names::user_id")]
    pub user: String,
    /// The column with the date or timestamp of the purchase.
    #[serde(default = "names::created_at")]
    pub time: String,
    /// The column with the price paid for the item, or what it earned.
    #[serde(default = "names::sale_price")]
    pub price: String,
    /// The moment to look ahead from, `2024-01-31` or `2024-01-31T18:00:00`, of which the day counts; without it, the
    /// latest purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// How many days to look ahead.
    #[serde(default = "a_year")]
    #[schemars(range(min = 1, max = 36_500))]
    pub horizon: u32,
    /// By how much money loses value in 30 days: 0.01 is 1 %, which is 12.9 % in a year.
    #[serde(default = "one_percent")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub discount_rate: f64,
}

fn a_year() -> u32 {
    365
}

fn one_percent() -> f64 {
    0.01
}

/// The days of a step to which one discount applies.
const STEP: u32 = 30;

const OUTPUT: [&str; 8] = [
    "frequency",
    "recency",
    "tenure",
    "monetary_value",
    "probability_alive",
    "expected_purchases",
    "expected_value",
    "clv",
];

impl Stage for Clv {
    const TYPE: &'static str = "features.clv";
    const EXAMPLE: &'static str = "inputs: { table: purchases }\nwith: { time: created_at, price: sale_price, horizon: 180, discount_rate: 0.01 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "One row per purchased item, with its user, time and price."),
            Port::output(
                "table",
                Kind::Table,
                "One row per user, ascending: the user, `frequency` (int64), `recency` and `tenure` (double, days), \
                 `monetary_value` (double), `probability_alive` (double, 0 to 1), `expected_purchases` (double, within \
                 `horizon`), `expected_value` (double, of a purchase), `clv` (double).",
            ),
            Port::output(
                "parameters",
                Kind::Table,
                "What was fitted: `model` (string: bg_nbd, gamma_gamma), `parameter` (string: r, alpha, a, b; p, q, v), \
                 `value` (double; time in days).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`users`, `repeat_buyers`, `log_likelihood` of the first model, `value_log_likelihood` of the second, \
                 `frequency_value_correlation`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if OUTPUT.contains(&self.user.as_str()) {
            return Err(ParamError::new("user", format!("`{}` is the name of a feature", self.user))
                .with_help("rename the column with `clean.rename`"));
        }
        if !(self.discount_rate >= 0.0 && self.discount_rate.is_finite()) {
            return Err(ParamError::new("discount_rate", "it must not be below 0"));
        }
        self.now.as_deref().map_or(Ok(()), |now| parse_moment("now", now).map(drop))
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let known = |name: &str| inputs.get("table").is_some_and(|names| names.contains(name));
        let kept = std::iter::once(self.user.as_str()).chain(OUTPUT).filter(|name| known(name));
        let columns = kept.chain(self.derived(&known)).map(str::to_owned).collect();
        PersonalColumns::from([("table".to_owned(), columns)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        require(&frame, [&self.user, &self.time, &self.price].map(String::as_str))?;
        let users = Keys::of(&frame, &self.user)?;
        users.warn_nulls(context, "left out");
        let found = self.customers(context, &frame, &users)?;
        context.check_cancelled()?;

        let customers: Vec<Customer> = found.iter().map(|(_, customer, _)| *customer).collect();
        let repeated = customers.iter().filter(|customer| customer.frequency > 0).count();
        if repeated == 0 {
            return Err(StageError::data(format!(
                "nobody bought on two days, so there is no telling how often they will ({} users)",
                customers.len()
            ))
            .with_help("look at a longer time, or at fewer conditions on what counts as a purchase"));
        }
        let buying = BgNbd::fit(&customers);
        if !buying.determined {
            context.warn(
                "the purchases do not determine the parameters of BG/NBD: expectations hold, parameters say little",
            );
        }
        let buying = buying.model;
        context.check_cancelled()?;

        let spenders: Vec<Option<Spender>> = found
            .iter()
            .map(|(_, customer, value)| value.map(|value| Spender { frequency: customer.frequency, value }))
            .collect();
        let worth = self.worth(context, &spenders);
        let outlook: Vec<Outlook> = customers
            .par_iter()
            .zip(&spenders)
            .map(|(customer, spender)| {
                let unknown = customer.frequency > 0 && spender.is_none_or(|spender| spender.value <= 0.0);
                let value = if unknown { None } else { worth.expected(*spender) };
                self.outlook(&buying, customer, value)
            })
            .collect();

        let present: Vec<IdxSize> = found.iter().map(|(user, ..)| *user as IdxSize).collect();
        let collect = |error| polars_error("collecting features", &error);
        let columns = vec![
            users.values.take(&IdxCa::from_vec("present".into(), present)).map_err(collect)?,
            integers("frequency", customers.iter().map(|customer| i64::from(customer.frequency))),
            reals("recency", customers.iter().map(|customer| Some(customer.recency))),
            reals("tenure", customers.iter().map(|customer| Some(customer.tenure))),
            reals("monetary_value", found.iter().map(|(.., value)| *value)),
            reals("probability_alive", outlook.iter().map(|outlook| known(outlook.alive))),
            reals("expected_purchases", outlook.iter().map(|outlook| known(outlook.purchases))),
            reals("expected_value", outlook.iter().map(|outlook| outlook.value)),
            reals("clv", outlook.iter().map(|outlook| outlook.clv)),
        ];
        let mut out = to_table(DataFrame::new(found.len(), columns).map_err(collect)?)?;
        out.mark_personal(self.derived(&|name| table.is_personal(name)));
        context.put("table", out)?;
        context.put("parameters", parameters(&buying, &worth)?)?;

        let mut metrics = Metrics::new();
        metrics.insert("users", Some(customers.len() as f64), Goal::Describe)?;
        metrics.insert("repeat_buyers", Some(repeated as f64), Goal::Describe)?;
        metrics.insert("log_likelihood", known(buying.log_likelihood(&customers)), Goal::Describe)?;
        let likelihood = match &worth {
            Worth::Varies(model, spenders) => known(model.log_likelihood(spenders)),
            Worth::Same(_) => None,
        };
        metrics.insert("value_log_likelihood", likelihood, Goal::Describe)?;
        let spenders: Vec<Spender> = spenders.into_iter().flatten().collect();
        metrics.insert("frequency_value_correlation", correlation(&spenders), Goal::Describe)?;
        context.put("metrics", metrics)
    }
}

/// What is to be expected of a customer.
struct Outlook {
    alive: f64,
    purchases: f64,
    value: Option<f64>,
    clv: Option<f64>,
}

/// What purchases are worth.
enum Worth {
    /// It varies between customers as this model says, learned from these.
    Varies(GammaGamma, Vec<Spender>),
    /// It is the same for all, if it is known.
    Same(Option<f64>),
}

impl Worth {
    fn expected(&self, spender: Option<Spender>) -> Option<f64> {
        match self {
            Self::Varies(model, _) => model.expected(spender).and_then(known),
            Self::Same(value) => *value,
        }
    }
}

impl Clv {
    /// The columns that are made of personal ones.
    fn derived(&self, personal: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
        let from_time = personal(&self.time);
        let from_price = personal(&self.price);
        let of_price = |name: &str| ["monetary_value", "expected_value", "clv"].contains(&name);
        OUTPUT
            .into_iter()
            .filter(|name| from_time && *name != "expected_value" || from_price && of_price(name))
            .collect()
    }

    /// Every user with a purchase, as the models see one, with the mean value of the purchases after the first.
    fn customers(
        &self,
        context: &StageContext,
        frame: &DataFrame,
        users: &Keys,
    ) -> Result<Vec<(usize, Customer, Option<f64>)>, StageError> {
        let times = moments(frame, &self.time)?;
        let prices = finite(frame, &self.price)?;
        let day = |moment: i64| moment.div_euclid(DAY);
        let now = match &self.now {
            Some(now) => parse_moment("now", now).map_err(|error| StageError::data(error.to_string()))?,
            None => users.rows().filter_map(|(row, _)| times[row]).max().unwrap_or(0),
        };
        let now = day(now);
        let (mut timeless, mut later) = (0, 0);
        let mut rows: Vec<(usize, i64, f64)> = Vec::with_capacity(frame.height());
        for (row, user) in users.rows() {
            match times[row].map(day) {
                None => timeless += 1,
                Some(day) if day > now => later += 1,
                Some(day) => rows.push((user, day, prices[row].unwrap_or(0.0))),
            }
        }
        if timeless > 0 {
            context.warn(format!("{} no `{}`: left out", rows_have(timeless), self.time));
        }
        if later > 0 {
            context.warn(format!("{} a `{}` after `now`: left out", rows_have(later), self.time));
        }
        // By price, too, so that the sum of a day does not depend on the order of its rows.
        rows.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        let customer = |rows: &[(usize, i64, f64)]| {
            let (user, first, _) = rows[0];
            let last = rows[rows.len() - 1].1;
            let again = rows.partition_point(|row| row.1 == first);
            let frequency = rows[again..].chunk_by(|a, b| a.1 == b.1).count() as u32;
            let spent: f64 = rows[again..].iter().map(|row| row.2).sum();
            let customer = Customer {
                frequency,
                recency: last.saturating_sub(first) as f64,
                tenure: now.saturating_sub(first) as f64,
            };
            let value = if frequency > 0 { known(spent / f64::from(frequency)) } else { None };
            (user, customer, value)
        };
        Ok(rows.chunk_by(|a, b| a.0 == b.0).map(customer).collect())
    }

    fn worth(&self, context: &StageContext, spenders: &[Option<Spender>]) -> Worth {
        let (able, unable): (Vec<Spender>, Vec<Spender>) =
            spenders.iter().flatten().partition(|spender| spender.value > 0.0);
        if !unable.is_empty() {
            context.warn(format!(
                "{} a mean `{}` that is not above 0: their value is null",
                if unable.len() == 1 { "1 user has".to_owned() } else { format!("{} users have", unable.len()) },
                self.price
            ));
        }
        let first = able.first().map(|spender| spender.value);
        // Sums of equal prices may differ in their last digits.
        let same = |spender: &Spender| first.is_some_and(|first| (spender.value / first - 1.0).abs() < 1e-9);
        if able.iter().all(same) {
            context.warn("all who bought again spend the same: it is the value to expect of every purchase");
            return Worth::Same(first);
        }
        let fit = GammaGamma::fit(&able);
        if !fit.determined {
            context.warn(
                "the values do not determine the parameters of Gamma-Gamma: expectations hold, parameters say little",
            );
        } else if fit.model.q <= 1.0 {
            context.warn("values vary so much that they have no mean (q ≤ 1): users who bought once have no value");
        }
        Worth::Varies(fit.model, able)
    }

    fn outlook(&self, buying: &BgNbd, customer: &Customer, value: Option<f64>) -> Outlook {
        let (mut day, mut purchases, mut discounted) = (0, 0.0, 0.0);
        while day < self.horizon {
            day = (day + STEP).min(self.horizon);
            let by_then = buying.expected(customer, f64::from(day));
            let months = f64::from(day) / f64::from(STEP);
            discounted += (by_then - purchases) / (1.0 + self.discount_rate).powf(months);
            purchases = by_then;
        }
        Outlook {
            alive: buying.alive(customer),
            purchases,
            value,
            clv: value.and_then(|value| known(value * discounted)),
        }
    }
}

fn integers(name: &str, values: impl Iterator<Item = i64>) -> Column {
    Column::new(name.into(), values.collect::<Vec<i64>>())
}

fn reals(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<Option<f64>>>())
}

/// The number, if it is one.
fn known(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn parameters(buying: &BgNbd, worth: &Worth) -> Result<stagewright_contract::Table, StageError> {
    let values = match worth {
        Worth::Varies(model, _) => [model.p, model.q, model.v].map(known),
        Worth::Same(_) => [None; 3],
    };
    let mut all = [buying.r, buying.alpha, buying.a, buying.b].map(known).to_vec();
    all.extend(values);
    let models: Vec<&str> = std::iter::repeat_n("bg_nbd", 4).chain(std::iter::repeat_n("gamma_gamma", 3)).collect();
    let columns = vec![
        Column::new("model".into(), models),
        Column::new("parameter".into(), ["r", "alpha", "a", "b", "p", "q", "v"]),
        Column::new("value".into(), all),
    ];
    to_table(DataFrame::new(7, columns).map_err(|error| polars_error("collecting parameters", &error))?)
}

/// Pearson's correlation of how often with how much, if both vary.
fn correlation(spenders: &[Spender]) -> Option<f64> {
    let pairs = || spenders.iter().map(|spender| (f64::from(spender.frequency), spender.value));
    let count = spenders.len() as f64;
    let (sum_x, sum_y) = pairs().fold((0.0, 0.0), |(x, y), pair| (x + pair.0, y + pair.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (xx, yy, xy) = pairs().fold((0.0, 0.0, 0.0), |(xx, yy, xy), (x, y)| {
        let (x, y) = (x - mean_x, y - mean_y);
        (xx + x * x, yy + y * y, xy + x * y)
    });
    // What rounding leaves of a constant does not vary.
    let varies = |square: f64, mean: f64| square > 1e-20 * count * mean * mean;
    (varies(xx, mean_x) && varies(yy, mean_y)).then(|| xy / (xx.sqrt() * yy.sqrt())).and_then(known)
}

#[cfg(test)]
mod tests;
