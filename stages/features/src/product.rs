use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, personal_among};
use stagewright_frame::{column, polars_error, require, to_frame, to_table};

use crate::keys::{Keys, Mean, distinct, finite};
use crate::names;
use crate::time::moments;

/// Sum up each product's sales: purchases, buyers, orders, revenue, and how often its buyers come back to it.
///
/// The input has one row per purchased item. Per product, `purchases` counts the rows, `buyers` the distinct users,
/// `orders` the distinct orders; `revenue` is the sum of the prices and `mean_price` their mean (null where no price is
/// known). `repeat_rate` is the share of its buyers, 0 to 1, who bought it in at least two distinct orders (null
/// without buyers). With `time`, `first_purchase` and `last_purchase` hold the earliest and the latest time. A row
/// without a product is left out with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The column that says what was bought.
    #[serde(default = "names::product_id")]
    pub product: String,
    /// The column that says who bought.
    #[serde(default = "names::user_id")]
    pub user: String,
    /// The column that says which order the item belongs to.
    #[serde(default = "names::order_id")]
    pub order: String,
    /// The column with the price paid for the item.
    #[serde(default = "names::sale_price")]
    pub price: String,
    /// The column with the date or timestamp of the purchase; without it there are no first and last purchases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

const FIRST: &str = "first_purchase";
const LAST: &str = "last_purchase";
const OUTPUT: [&str; 8] = ["purchases", "buyers", "orders", "revenue", "mean_price", "repeat_rate", FIRST, LAST];

impl Stage for Product {
    const TYPE: &'static str = "features.product";
    const EXAMPLE: &'static str = "inputs: { table: purchases }\nwith: { price: sale_price, time: created_at }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "One row per purchased item, with its product, user, order and price."),
            Port::output(
                "table",
                Kind::Table,
                "One row per product, ascending: the product, `purchases`, `buyers`, `orders` (int64), `revenue`, \
                 `mean_price`, `repeat_rate` (double); with `time`, `first_purchase` and `last_purchase`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if OUTPUT.contains(&self.product.as_str()) {
            return Err(ParamError::new("product", format!("`{}` is the name of a feature", self.product))
                .with_help("rename the column with `clean.rename`"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let mut personal = personal_among(inputs, OUTPUT.into_iter().chain([self.product.as_str()]));
        let from_personal = |name: &str| !personal_among(inputs, [name]).is_empty();
        if from_personal(&self.price) {
            personal.extend(["revenue", "mean_price"].map(str::to_owned));
        }
        if self.time.as_ref().is_some_and(|time| from_personal(time)) {
            personal.extend([FIRST, LAST].map(str::to_owned));
        }
        PersonalColumns::from([("table".to_owned(), personal)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let named = [&self.product, &self.user, &self.order, &self.price];
        require(&frame, named.into_iter().chain(&self.time).map(String::as_str))?;
        let products = Keys::of(&frame, &self.product)?;
        products.warn_nulls(context, "left out");
        let users = Keys::of(&frame, &self.user)?;
        let orders = Keys::of(&frame, &self.order)?;

        let prices = finite(&frame, &self.price)?;
        let mut purchases = vec![0i64; products.len()];
        let mut price = vec![Mean::default(); products.len()];
        for (row, product) in products.rows() {
            purchases[product] += 1;
            price[product].add(prices[row]);
        }

        let mut order_count = vec![0i64; products.len()];
        for (product, _) in distinct(products.rows().filter_map(|(row, p)| orders.of_row[row].map(|order| (p, order))))
        {
            order_count[product] += 1;
        }
        let mut buyers = vec![0i64; products.len()];
        let mut repeaters = vec![0i64; products.len()];
        let bought = distinct(
            products.rows().filter_map(|(row, p)| users.of_row[row].map(|user| (p, user, orders.of_row[row]))),
        );
        for orders in bought.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let product = orders[0].0;
            buyers[product] += 1;
            repeaters[product] += i64::from(orders.iter().filter(|(_, _, order)| order.is_some()).count() >= 2);
        }
        let repeat_rate: Vec<Option<f64>> = repeaters
            .iter()
            .zip(&buyers)
            .map(|(&repeaters, &buyers)| (buyers > 0).then(|| repeaters as f64 / buyers as f64))
            .collect();

        let revenue: Vec<f64> = price.iter().map(|price| price.sum()).collect();
        let mean_price: Vec<Option<f64>> = price.into_iter().map(Mean::value).collect();
        let mut columns = vec![
            products.values.clone(),
            Column::new("purchases".into(), purchases),
            Column::new("buyers".into(), buyers),
            Column::new("orders".into(), order_count),
            Column::new("revenue".into(), revenue),
            Column::new("mean_price".into(), mean_price),
            Column::new("repeat_rate".into(), repeat_rate),
        ];
        if let Some(time) = &self.time {
            columns.extend(first_and_last(&frame, time, &products)?);
        }
        let out =
            DataFrame::new(products.len(), columns).map_err(|error| polars_error("collecting features", &error))?;

        let mut out = to_table(out)?;
        if table.is_personal(&self.price) {
            out.mark_personal(["revenue", "mean_price"]);
        }
        if self.time.as_ref().is_some_and(|time| table.is_personal(time)) {
            out.mark_personal([FIRST, LAST]);
        }
        context.put("table", out)
    }
}

fn first_and_last(frame: &DataFrame, time: &str, products: &Keys) -> Result<[Column; 2], StageError> {
    let times = moments(frame, time)?;
    let mut first: Vec<Option<usize>> = vec![None; products.len()];
    let mut last = first.clone();
    for (row, product) in products.rows().filter(|(row, _)| times[*row].is_some()) {
        if first[product].is_none_or(|first| times[row] < times[first]) {
            first[product] = Some(row);
        }
        if last[product].is_none_or(|last| times[row] > times[last]) {
            last[product] = Some(row);
        }
    }
    let times = column(frame, time)?;
    let pick = |rows: Vec<Option<usize>>, name: &str| {
        let rows: IdxCa = rows.into_iter().map(|row| row.map(|row| row as IdxSize)).collect();
        times
            .take(&rows)
            .map(|column| column.with_name(name.into()))
            .map_err(|error| polars_error(&format!("picking from column `{time}`"), &error))
    };
    Ok([pick(first, FIRST)?, pick(last, LAST)?])
}
