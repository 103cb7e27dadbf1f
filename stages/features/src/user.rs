use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, personal_among};
use stagewright_frame::{column, polars_error, require, to_frame, to_table};

use crate::keys::{Keys, Mean, finite};
use crate::names;
use crate::sum::Sum;

/// Sum up each user's purchases: money spent, number of orders and of items.
///
/// The input has one row per item of an order. Per user, `total_user_spent` is the sum of the prices,
/// `order_frequency` the number of distinct orders, and `num_of_item` the sum over those orders of the number of items
/// that each row of the order states (the mean within the order, should its rows differ). Columns in `carry` are taken
/// to say the same in every row of a user: numbers are averaged, of anything else the first value that is not null is
/// taken. Null counts as nothing: a row without a price adds no money, a row without an order adds no order, and a row
/// without a user is left out with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The column that says who bought.
    #[serde(default = "names::user_id")]
    pub user: String,
    /// The column that says which order the item belongs to.
    #[serde(default = "names::order_id")]
    pub order: String,
    /// The column with the price paid for the item.
    #[serde(default = "names::sale_price")]
    pub price: String,
    /// The column with the number of items in the order.
    #[serde(default = "names::num_of_item")]
    pub items: String,
    /// Columns about the user to carry along.
    #[serde(default = "age")]
    pub carry: Vec<String>,
}

fn age() -> Vec<String> {
    vec!["age".to_owned()]
}

const TOTAL: &str = "total_user_spent";
const FREQUENCY: &str = "order_frequency";
const ITEMS: &str = "num_of_item";

impl Stage for User {
    const TYPE: &'static str = "features.user";
    const EXAMPLE: &'static str = "inputs: { table: purchases }\nwith: { price: sale_price, carry: [age, gender] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "One row per item of an order, with its user, order and price."),
            Port::output(
                "table",
                Kind::Table,
                "One row per user, ascending: the user, `total_user_spent` (double), the carried columns, \
                 `order_frequency` (int64), `num_of_item` (double).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if [TOTAL, FREQUENCY, ITEMS].contains(&self.user.as_str()) {
            return Err(ParamError::new("user", format!("`{}` is the name of a feature", self.user))
                .with_help("rename the column with `clean.rename`"));
        }
        for (index, name) in self.carry.iter().enumerate() {
            let path = format!("carry/{index}");
            if [&self.user, TOTAL, FREQUENCY, ITEMS].contains(&name.as_str()) {
                return Err(ParamError::new(path, format!("`{name}` is in the output already")));
            }
            if self.carry[..index].contains(name) {
                return Err(ParamError::new(path, format!("`{name}` is carried twice")));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let carried = self.carry.iter().map(String::as_str);
        let mut personal =
            personal_among(inputs, [self.user.as_str(), TOTAL, FREQUENCY, ITEMS].into_iter().chain(carried));
        let derived = [(&self.price, TOTAL), (&self.items, ITEMS)];
        let from_personal = |name: &str| !personal_among(inputs, [name]).is_empty();
        personal.extend(derived.into_iter().filter(|(from, _)| from_personal(from)).map(|(_, to)| to.to_owned()));
        PersonalColumns::from([("table".to_owned(), personal)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let named = [&self.user, &self.order, &self.price, &self.items];
        require(&frame, named.into_iter().chain(&self.carry).map(String::as_str))?;
        let users = Keys::of(&frame, &self.user)?;
        users.warn_nulls(context, "left out");
        let orders = Keys::of(&frame, &self.order)?;

        let prices = finite(&frame, &self.price)?;
        let mut total = vec![Sum::default(); users.len()];
        for (row, user) in users.rows() {
            total[user].add(prices[row].unwrap_or(0.0));
        }
        let total: Vec<f64> = total.into_iter().map(Sum::value).collect();

        let items = finite(&frame, &self.items)?;
        let mut rows: Vec<(usize, u32, usize)> =
            users.rows().filter_map(|(row, user)| orders.of_row[row].map(|order| (user, order, row))).collect();
        rows.sort_unstable();
        let mut frequency = vec![0i64; users.len()];
        let mut item_count = vec![Sum::default(); users.len()];
        for order in rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let user = order[0].0;
            frequency[user] += 1;
            let mut mean = Mean::default();
            order.iter().for_each(|&(_, _, row)| mean.add(items[row]));
            item_count[user].add(mean.value().unwrap_or(0.0));
        }
        let item_count: Vec<f64> = item_count.into_iter().map(Sum::value).collect();

        let mut columns = vec![users.values.clone(), Column::new(TOTAL.into(), total)];
        for name in &self.carry {
            columns.push(carried(&frame, name, &users)?);
        }
        columns.push(Column::new(FREQUENCY.into(), frequency));
        columns.push(Column::new(ITEMS.into(), item_count));
        let out = DataFrame::new(users.len(), columns).map_err(|error| polars_error("collecting features", &error))?;

        let mut out = to_table(out)?;
        let derived = [(&self.price, TOTAL), (&self.items, ITEMS)];
        out.mark_personal(derived.into_iter().filter(|(from, _)| table.is_personal(from)).map(|(_, to)| to));
        context.put("table", out)
    }
}

fn carried(frame: &DataFrame, name: &str, users: &Keys) -> Result<Column, StageError> {
    let values = column(frame, name)?;
    if values.dtype().is_primitive_numeric() {
        let values = finite(frame, name)?;
        let mut means = vec![Mean::default(); users.len()];
        for (row, user) in users.rows() {
            means[user].add(values[row]);
        }
        let means: Vec<Option<f64>> = means.into_iter().map(Mean::value).collect();
        return Ok(Column::new(name.into(), means));
    }
    let known = values.is_not_null();
    let mut first: Vec<Option<IdxSize>> = vec![None; users.len()];
    for (row, user) in users.rows() {
        if first[user].is_none() && known.get(row) == Some(true) {
            first[user] = Some(row as IdxSize);
        }
    }
    values
        .take(&first.into_iter().collect::<IdxCa>())
        .map_err(|error| polars_error(&format!("carrying column `{name}`"), &error))
}
