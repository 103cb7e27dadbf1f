//! `ingest.synthetic_grocery`.

mod assortment;
mod lists;
mod tables;
mod visits;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::to_table;

use self::assortment::Assortment;
use super::{FIRST_DAY, Time};
use crate::values;

/// Make up a grocery: households that buy again what they are used to, as orders in the shape of Instacart's table and
/// as transactions in that of the Complete Journey.
///
/// `orders` and `transactions` say the same in two ways, row by row: row n of both is the same item. Households come at
/// a rhythm of their own (the number of their visits varies as a gamma distribution of shape 2 around the mean) and
/// fill baskets of a size of their own. For each item a household falls back on a habit, with a probability of its own,
/// or tries something. A habit is a product that the household has bought, the more likely the more often that was, the
/// more the package is used up (milk lasts days, spices months), the fewer visits ago, and the more the product, its
/// category, and the household in that department invite buying again. Trying follows the household's tastes in
/// categories, which are those of one of eight styles with deviations of its own, and within a category the popularity
/// of the products, which falls with their rank as in Zipf's law. So what was bought before, by whom and in which
/// department tells what is bought again; the day, the hour and the department alone tell little. There are about
/// `households × orders_per_household × basket_size` rows, fewer where few products are left to fill a basket. Order
/// numbers and ids grow with time.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grocery {
    /// The number of households.
    #[serde(default = "default_households")]
    #[schemars(range(min = 0, max = 10_000_000))]
    households: u32,
    /// The number of products.
    #[serde(default = "default_products")]
    #[schemars(range(min = 0, max = 1_000_000))]
    products: u32,
    /// The mean number of orders of a household.
    #[serde(default = "default_orders")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    orders_per_household: f64,
    /// The mean number of different products in an order.
    #[serde(default = "default_basket")]
    #[schemars(range(min = 1.0, max = 200.0))]
    basket_size: f64,
    /// The day before which everything happens, such as `2024-01-01`.
    #[serde(default = "super::default_end")]
    end: String,
    /// Over how many days before `end` the households buy.
    #[serde(default = "default_days")]
    #[schemars(range(min = 1, max = 36_500))]
    days: u32,
}

fn default_households() -> u32 {
    800
}

fn default_products() -> u32 {
    1500
}

fn default_orders() -> f64 {
    12.0
}

fn default_basket() -> f64 {
    6.5
}

fn default_days() -> u32 {
    365
}

impl Stage for Grocery {
    const TYPE: &'static str = "ingest.synthetic_grocery";
    const EXAMPLE: &'static str = "with: { households: 2000, orders_per_household: 20 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::output(
                "orders",
                Kind::Table,
                "One row per item: order_id, user_id, order_number (from 1), order_dow (0 is Monday), \
                 order_hour_of_day, days_since_prior_order (whole days, null in the first order), product_id, \
                 add_to_cart_order (from 1), reordered (1 where the user bought the product in an earlier order, or \
                 0), department_id, department, product_name.",
            ),
            Port::output(
                "transactions",
                Kind::Table,
                "One row per item: household_id, store_id, basket_id, product_id, quantity, sales_value, \
                 retail_disc, coupon_disc, coupon_match_disc (US dollars), week (from 1), transaction_timestamp.",
            ),
            Port::output(
                "products",
                Kind::Table,
                "One row per product: product_id, manufacturer_id, department, brand (National, Private), \
                 product_category, product_type, package_size.",
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
        Ok(())
    }

    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::new()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let end = i64::from(values::date32(&self.end).unwrap_or_default()) * 86_400;
        let time = Time { start: end - i64::from(self.days) * 86_400, end };
        let assortment = Assortment::draw(self.products, &mut context.rng("products"));
        context.put("products", to_table(assortment.table()?)?)?;
        context.check_cancelled()?;

        let visits = visits::draw(self, &assortment, time, context)?;
        context.put("orders", to_table(tables::orders(&visits, &assortment)?)?)?;
        context.check_cancelled()?;
        let transactions = tables::transactions(&visits, &assortment, time, &mut context.rng("prices"))?;
        context.put("transactions", to_table(transactions)?)
    }
}

#[cfg(test)]
mod tests;
