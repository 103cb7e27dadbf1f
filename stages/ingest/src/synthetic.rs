//! `ingest.synthetic`.

mod catalogue;
pub(crate) mod email_test;
pub(crate) mod grocery;
mod lists;
mod people;
mod purchases;

use polars::chunked_array::builder::PrimitiveChunkedBuilder;
use polars::prelude::{
    ChunkedBuilder, Column, DataFrame, Int64Chunked, Int64Type, IntoColumn, NewChunkedArray, TimeUnit, TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{nearest, polars_error, to_table};

use self::catalogue::Catalogue;
use self::lists::COUNTRIES;
use crate::values;

/// Make up a clothing shop: users, products, orders and order items with the columns of TheLook e-commerce.
///
/// Unlike TheLook, which draws products at random, the purchases hold structure that a recommender can find. Products
/// have a popularity that falls with their rank as in Zipf's law. Each user has a style, shared with others, of
/// preferred categories and brands, a price level, and a department that is mostly that of their gender; new purchases
/// follow these, so users with a style buy the same things. Each user also buys again what they bought before: more
/// likely so for some users and for some categories (socks rather than coats), for what they bought often and for what
/// they bought lately. How much a user buys varies as a gamma distribution of shape 1.5 around the mean; users join
/// evenly over the time, so about three in ten have bought nothing yet. Orders have TheLook's shares of statuses and
/// sizes; what would be shipped, delivered or returned after the end has not been yet. Prices are in US dollars, and
/// `sale_price` is the product's `retail_price`. The address, name and e-mail (at example.com) columns are personal.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Synthetic {
    /// The number of users.
    #[serde(default = "default_users")]
    #[schemars(range(min = 0, max = 100_000_000))]
    users: u32,
    /// The number of products.
    #[serde(default = "default_products")]
    #[schemars(range(min = 0, max = 10_000_000))]
    products: u32,
    /// The mean number of orders per user, over all users.
    #[serde(default = "default_orders_per_user")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    orders_per_user: f64,
    /// The day before which everything happens, such as `2024-01-01`.
    #[serde(default = "default_end")]
    end: String,
    /// Over how many days before `end` users join and buy.
    #[serde(default = "default_days")]
    #[schemars(range(min = 1, max = 36_500))]
    days: u32,
    /// Draw users from these countries only, in the same proportions; from all twelve when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    countries: Option<Vec<String>>,
}

fn default_users() -> u32 {
    2000
}

fn default_products() -> u32 {
    500
}

fn default_orders_per_user() -> f64 {
    5.0
}

fn default_end() -> String {
    "2024-01-01".to_owned()
}

fn default_days() -> u32 {
    730
}

impl Stage for Synthetic {
    const TYPE: &'static str = "ingest.synthetic";
    const EXAMPLE: &'static str = "with: { users: 5000, products: 800, orders_per_user: 6 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::output(
                "users",
                Kind::Table,
                "One row per user: id, first_name, last_name, email, age (12 to 70), gender (F, M), state, \
                 street_address, postal_code, city (1 % null), country, latitude, longitude (degrees), \
                 traffic_source, created_at.",
            ),
            Port::output(
                "orders",
                Kind::Table,
                "One row per order: order_id, user_id, status, gender, created_at, returned_at, shipped_at, \
                 delivered_at, num_of_item.",
            ),
            Port::output(
                "order_items",
                Kind::Table,
                "One row per item: id, order_id, user_id, product_id, inventory_item_id, status, created_at, \
                 shipped_at, delivered_at, returned_at (those of the order), sale_price (US dollars).",
            ),
            Port::output(
                "products",
                Kind::Table,
                "One row per product: id, cost, category, name, brand (about 1 in 1000 null), retail_price (US \
                 dollars), department (Men, Women), sku, distribution_center_id.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        let Some(end) = values::date32(&self.end) else {
            return Err(ParamError::new("end", format!("`{}` is not a date like `2024-01-01`", self.end)));
        };
        if self.days == 0 {
            return Err(ParamError::new("days", "there is no time to buy anything in 0 days"));
        }
        if i64::from(end) - i64::from(self.days) < FIRST_DAY {
            return Err(ParamError::new("days", "the time would begin before the year 1"));
        }
        let names = || COUNTRIES.iter().map(|country| country.name);
        for (index, wanted) in self.countries.iter().flatten().enumerate() {
            if names().all(|name| name != wanted) {
                let error = ParamError::new(format!("countries/{index}"), format!("there is no country `{wanted}`"));
                return Err(match nearest(wanted, names()) {
                    Some(near) => error.with_help(format!("did you mean `{near}`?")),
                    None => error.with_help(format!("the countries are: {}", names().collect::<Vec<_>>().join(", "))),
                });
            }
        }
        Ok(())
    }

    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::from([("users".to_owned(), people::PERSONAL.map(str::to_owned).into())])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let end = i64::from(values::date32(&self.end).unwrap_or_default()) * 86_400;
        let time = Time { start: end - i64::from(self.days) * 86_400, end };

        let (catalogue, products) = Catalogue::draw(self.products, &mut context.rng("products"))?;
        context.put("products", to_table(products)?)?;
        context.check_cancelled()?;

        let (people, users) = people::draw(self.users, self.countries.as_deref(), time, &mut context.rng("users"))?;
        let mut users = to_table(users)?;
        users.mark_personal(people::PERSONAL);
        context.put("users", users)?;
        context.check_cancelled()?;

        let (orders, items) = purchases::draw(&people, &catalogue, self.orders_per_user, time, context)?;
        context.put("orders", to_table(orders)?)?;
        context.put("order_items", to_table(items)?)
    }
}

/// 0001-01-01 in days since 1970-01-01.
const FIRST_DAY: i64 = -719_162;

/// When things happen: from `start` up to, not including, `end`, in seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy)]
struct Time {
    start: i64,
    end: i64,
}

/// Timestamps of which some may be null.
struct Stamps {
    microseconds: PrimitiveChunkedBuilder<Int64Type>,
    zone: Option<TimeZone>,
}

impl Stamps {
    /// In UTC.
    fn new(name: &str, capacity: usize) -> Self {
        Self { zone: Some(TimeZone::UTC), ..Self::local(name, capacity) }
    }

    /// In the time of the place, whatever its zone.
    fn local(name: &str, capacity: usize) -> Self {
        Self { microseconds: PrimitiveChunkedBuilder::new(name.into(), capacity), zone: None }
    }

    fn push(&mut self, seconds: Option<i64>) {
        self.microseconds.append_option(seconds.map(|seconds| seconds * 1_000_000));
    }

    fn finish(self) -> Column {
        self.microseconds.finish().into_datetime(TimeUnit::Microseconds, self.zone).into_column()
    }
}

fn ids(name: &str, rows: usize) -> Column {
    Int64Chunked::from_iter_values(name.into(), (1..).take(rows)).into_column()
}

fn frame(name: &str, rows: usize, columns: Vec<Column>) -> Result<DataFrame, StageError> {
    DataFrame::new(rows, columns).map_err(|error| polars_error(&format!("making {name}"), &error))
}

/// The index of the first cumulative weight above `at`, which is between 0 and the last.
fn pick(cumulative: &[f64], at: f64) -> usize {
    cumulative.partition_point(|weight| *weight <= at).min(cumulative.len().saturating_sub(1))
}

/// Running sums of weights.
fn cumulated(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    weights
        .into_iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests;
