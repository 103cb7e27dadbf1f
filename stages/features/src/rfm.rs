use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, personal_among};
use stagewright_frame::{polars_error, require, to_frame, to_table};

use crate::keys::{Keys, distinct, finite, rows_have};
use crate::names;
use crate::time::{DAY, moments, parse_moment};

/// Score each user by recency, frequency and monetary value.
///
/// Recency is the time from the user's last purchase to `now` in days (a fraction of a day counts), frequency the
/// number of distinct orders, monetary the sum of the prices. Each gets a score from 1 (worst) to `bins` (best), and
/// `rfm_score` is the three digits in that order, such as `545` (Hughes, Strategic Database Marketing, 1994). A score
/// is `1 + floor(bins × w / n)`, where `w` of the `n` users are strictly worse: with five bins a quintile where values
/// differ, and users with equal values always have equal scores. Purchases after `now` are left out with a warning, so
/// that an earlier `now` gives the scores as they were then; so are rows without a user or without a time. A row
/// without a price adds no money, a row without an order adds no order.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rfm {
    /// The column that says who bought.
    #[serde(default = "names::user_id")]
    pub user: String,
    /// The column that says which order the item belongs to.
    #[serde(default = "names::order_id")]
    pub order: String,
    /// The column with the price paid for the item.
    #[serde(default = "names::sale_price")]
    pub price: String,
    /// The column with the date or timestamp of the purchase.
    #[serde(default = "names::created_at")]
    pub time: String,
    /// The moment to score at, `2024-01-31` or `2024-01-31T18:00:00`; without it, the latest purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// How many scores there are, 2 to 9.
    #[serde(default = "five")]
    #[schemars(range(min = 2, max = 9))]
    pub bins: usize,
}

fn five() -> usize {
    5
}

const OUTPUT: [&str; 7] = ["recency", "frequency", "monetary", "r_score", "f_score", "m_score", "rfm_score"];

impl Stage for Rfm {
    const TYPE: &'static str = "features.rfm";
    const EXAMPLE: &'static str =
        "inputs: { table: purchases }\nwith: { time: created_at, now: \"2024-01-31\", bins: 5 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "One row per purchased item, with its user, order, price and time."),
            Port::output(
                "table",
                Kind::Table,
                "One row per user, ascending: the user, `recency` (double, days), `frequency` (int64), `monetary` \
                 (double), `r_score`, `f_score`, `m_score` (int64, 1 is worst), `rfm_score` (string).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if OUTPUT.contains(&self.user.as_str()) {
            return Err(ParamError::new("user", format!("`{}` is the name of a feature", self.user))
                .with_help("rename the column with `clean.rename`"));
        }
        self.now.as_deref().map_or(Ok(()), |now| parse_moment("now", now).map(drop))
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let features = ["recency", "frequency", "monetary", "r_score", "f_score", "m_score", "rfm_score"];
        let mut personal = personal_among(inputs, features.into_iter().chain([self.user.as_str()]));
        let derived = [(&self.time, "recency"), (&self.price, "monetary")];
        let from_personal = |name: &str| !personal_among(inputs, [name]).is_empty();
        personal.extend(derived.into_iter().filter(|(from, _)| from_personal(from)).map(|(_, to)| to.to_owned()));
        PersonalColumns::from([("table".to_owned(), personal)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        require(&frame, [&self.user, &self.order, &self.price, &self.time].map(String::as_str))?;
        let times = moments(&frame, &self.time)?;
        let prices = finite(&frame, &self.price)?;
        let orders = Keys::of(&frame, &self.order)?;
        let users = Keys::of(&frame, &self.user)?;
        users.warn_nulls(context, "left out");
        let now = match &self.now {
            Some(now) => parse_moment("now", now).map_err(|error| StageError::data(error.to_string()))?,
            None => users.rows().filter_map(|(row, _)| times[row]).max().unwrap_or(0),
        };

        let mut last: Vec<Option<i64>> = vec![None; users.len()];
        let mut money = vec![0.0; users.len()];
        let mut ordered = Vec::new();
        let (mut timeless, mut later) = (0, 0);
        for (row, user) in users.rows() {
            match times[row] {
                None => timeless += 1,
                Some(time) if time > now => later += 1,
                Some(time) => {
                    last[user] = last[user].max(Some(time));
                    money[user] += prices[row].unwrap_or(0.0);
                    ordered.extend(orders.of_row[row].map(|order| (user, order)));
                }
            }
        }
        if timeless > 0 {
            context.warn(format!("{} no `{}`: left out", rows_have(timeless), self.time));
        }
        if later > 0 {
            context.warn(format!("{} a `{}` after `now`: left out", rows_have(later), self.time));
        }
        let mut frequency = vec![0i64; users.len()];
        for (user, _) in distinct(ordered.into_iter()) {
            frequency[user] += 1;
        }

        let present: Vec<usize> = (0..users.len()).filter(|&user| last[user].is_some()).collect();
        let last: Vec<i64> = last.into_iter().flatten().collect();
        let frequency: Vec<i64> = present.iter().map(|&user| frequency[user]).collect();
        let money: Vec<f64> = present.iter().map(|&user| money[user]).collect();
        let recency: Vec<f64> = last.iter().map(|last| now.saturating_sub(*last) as f64 / DAY as f64).collect();
        // The later the last purchase, the better.
        let r = scores(&last, self.bins, i64::cmp);
        let f = scores(&frequency, self.bins, i64::cmp);
        let m = scores(&money, self.bins, f64::total_cmp);
        let combined: Vec<String> = (0..last.len()).map(|at| format!("{}{}{}", r[at], f[at], m[at])).collect();

        let present: Vec<IdxSize> = present.into_iter().map(|user| user as IdxSize).collect();
        let collect = |error| polars_error("collecting features", &error);
        let users = users.values.take(&IdxCa::from_vec("present".into(), present)).map_err(collect)?;
        let columns = vec![
            users,
            Column::new("recency".into(), recency),
            Column::new("frequency".into(), frequency),
            Column::new("monetary".into(), money),
            Column::new("r_score".into(), r),
            Column::new("f_score".into(), f),
            Column::new("m_score".into(), m),
            Column::new("rfm_score".into(), combined),
        ];
        let out = DataFrame::new(last.len(), columns).map_err(collect)?;
        let mut out = to_table(out)?;
        if table.is_personal(&self.time) {
            out.mark_personal(["recency"]);
        }
        if table.is_personal(&self.price) {
            out.mark_personal(["monetary"]);
        }
        context.put("table", out)
    }
}

/// `1 + floor(bins × w / n)`, where `w` of the `n` values are strictly less.
fn scores<T: Copy>(values: &[T], bins: usize, compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<i64> {
    let mut ascending = values.to_vec();
    ascending.sort_by(&compare);
    let score = |value: &T| {
        let worse = ascending.partition_point(|other| compare(other, value).is_lt());
        1 + (bins * worse / ascending.len().max(1)) as i64
    };
    values.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::scores;

    #[test]
    fn equal_values_have_equal_scores() {
        // 1 + np.floor(5 * (pandas.Series(v).rank(method="min") - 1) / len(v))
        assert_eq!(scores(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 5, i32::cmp), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
        assert_eq!(scores(&[1, 1, 1, 1, 1, 1, 2, 2, 3, 9], 5, i32::cmp), [1, 1, 1, 1, 1, 1, 4, 4, 5, 5]);
        assert_eq!(scores(&[7, 7, 7], 5, i32::cmp), [1, 1, 1]);
        assert_eq!(scores(&[2, 1], 5, i32::cmp), [3, 1]);
        assert_eq!(scores(&[] as &[i32], 5, i32::cmp), [] as [i64; 0]);
    }
}
