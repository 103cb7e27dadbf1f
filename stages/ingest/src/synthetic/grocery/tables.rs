//! The same purchases in two shapes.

use polars::chunked_array::builder::StringChunkedBuilder;
use polars::prelude::{Column, DataFrame, Float64Chunked, Int32Chunked, Int64Chunked, IntoColumn, NewChunkedArray};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use stagewright_contract::StageError;

use super::super::{Stamps, Time, frame};
use super::assortment::{Assortment, Product};
use super::lists::{DEPARTMENTS, MAKERS};
use super::visits::{Item, Visit};

const DAY: i64 = 86_400;

/// An item in its order.
struct Line<'a> {
    /// The number of the order, from 1.
    order: i64,
    visit: &'a Visit,
    /// The place of the item in the order, from 1.
    place: i64,
    item: &'a Item,
    product: &'a Product,
}

fn lines<'a>(visits: &'a [Visit], assortment: &'a Assortment) -> impl Iterator<Item = Line<'a>> {
    let of_visit = move |(order, visit): (i64, &'a Visit)| {
        (1i64..).zip(&visit.items).filter_map(move |(place, item)| {
            let product = assortment.products.get(item.product as usize)?;
            Some(Line { order, visit, place, item, product })
        })
    };
    (1i64..).zip(visits).flat_map(of_visit)
}

/// A household and a product are numbered from 1.
fn household(line: &Line<'_>) -> i64 {
    i64::from(line.visit.household) + 1
}

fn product_id(line: &Line<'_>) -> i64 {
    i64::from(line.item.product) + 1
}

/// Instacart's shape.
pub(super) fn orders(visits: &[Visit], assortment: &Assortment) -> Result<DataFrame, StageError> {
    let lines: Vec<Line<'_>> = lines(visits, assortment).collect();
    let long = |name: &str, value: fn(&Line<'_>) -> i64| {
        Int64Chunked::from_iter_values(name.into(), lines.iter().map(value)).into_column()
    };
    let short = |name: &str, value: fn(&Line<'_>) -> i32| {
        Int32Chunked::from_iter_values(name.into(), lines.iter().map(value)).into_column()
    };
    let since = lines.iter().map(|line| line.visit.days_since.map(|days| days as f64));
    let mut departments = StringChunkedBuilder::new("department".into(), lines.len());
    let mut names = StringChunkedBuilder::new("product_name".into(), lines.len());
    for line in &lines {
        let product = line.product;
        departments.append_option(DEPARTMENTS.get(assortment.department(product)).map(|department| department.name));
        let maker = MAKERS.get(product.maker).copied().unwrap_or_default();
        names.append_value(format!("{maker} {}, {}", product.kind, product.size));
    }
    let department_ids = lines.iter().map(|line| assortment.department(line.product) as i64 + 1);
    let columns = vec![
        long("order_id", |line| line.order),
        long("user_id", household),
        long("order_number", |line| i64::from(line.visit.number)),
        // 1970-01-01 was a Thursday.
        short("order_dow", |line| (line.visit.at.div_euclid(DAY) + 3).rem_euclid(7) as i32),
        short("order_hour_of_day", |line| (line.visit.at.rem_euclid(DAY) / 3600) as i32),
        Float64Chunked::from_iter_options("days_since_prior_order".into(), since).into_column(),
        long("product_id", product_id),
        long("add_to_cart_order", |line| line.place),
        long("reordered", |line| i64::from(line.item.reordered)),
        Int64Chunked::from_iter_values("department_id".into(), department_ids).into_column(),
        departments.finish().into_column(),
        names.finish().into_column(),
    ];
    frame("orders", lines.len(), columns)
}

/// The shape of the Complete Journey.
pub(super) fn transactions(
    visits: &[Visit],
    assortment: &Assortment,
    time: Time,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<DataFrame, StageError> {
    let lines: Vec<Line<'_>> = lines(visits, assortment).collect();
    let long = |name: &str, value: &dyn Fn(&Line<'_>) -> i64| {
        Int64Chunked::from_iter_values(name.into(), lines.iter().map(value)).into_column()
    };
    let mut at = Stamps::local("transaction_timestamp", lines.len());
    let mut quantities = Vec::with_capacity(lines.len());
    let [mut sales, mut retail, mut coupon, mut matched] = [(); 4].map(|()| Vec::with_capacity(lines.len()));
    for line in &lines {
        at.push(Some(line.visit.at));
        let quantity = match rng.random::<f64>() {
            x if x < 0.80 => 1i64,
            x if x < 0.94 => 2,
            x if x < 0.98 => 3,
            _ => 4,
        };
        let full = line.product.price * quantity as f64;
        // A third is on sale, one in seventy has a coupon, one in seven of which the grocery doubles.
        let reduced = if rng.random_bool(0.33) { full * rng.random_range(0.05..0.4) } else { 0.0 };
        let by_coupon = if rng.random_bool(0.014) { 0.5f64.min(full - reduced) } else { 0.0 };
        let doubled = if rng.random_bool(0.15) { by_coupon.min(full - reduced - by_coupon) } else { 0.0 };
        quantities.push(quantity);
        sales.push(cents(full - reduced));
        retail.push(cents(reduced));
        coupon.push(cents(by_coupon));
        matched.push(cents(doubled));
    }
    let columns = vec![
        long("household_id", &household),
        // Everybody has a store of their own choice among forty.
        long("store_id", &|line| i64::from(line.visit.household.wrapping_mul(2_654_435_761) >> 16) % 40 + 301),
        long("basket_id", &|line| line.order),
        long("product_id", &product_id),
        Column::new("quantity".into(), quantities),
        Column::new("sales_value".into(), sales),
        Column::new("retail_disc".into(), retail),
        Column::new("coupon_disc".into(), coupon),
        Column::new("coupon_match_disc".into(), matched),
        long("week", &|line| (line.visit.at - time.start) / (7 * DAY) + 1),
        at.finish(),
    ];
    frame("transactions", lines.len(), columns)
}

fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round() / 100.0
}
