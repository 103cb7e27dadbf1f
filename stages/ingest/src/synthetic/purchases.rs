//! The orders of a made-up shop: who buys what, when, and what becomes of it.

use polars::chunked_array::builder::StringChunkedBuilder;
use polars::prelude::{Column, DataFrame, IntoColumn};
use rand::Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use stagewright_contract::{StageContext, StageError};

use super::catalogue::{Catalogue, Shelf};
use super::lists::BRANDS;
use super::people::People;
use super::{Stamps, Time, cumulated, frame, pick};

/// How many styles each department has.
const STYLES: usize = 10;
/// The weights of a style's preferred categories, the first most of all.
const CATEGORY_WEIGHTS: [f64; 3] = [0.55, 0.3, 0.15];
/// How likely a new purchase is of one's own department, and of a preferred category.
const OWN_DEPARTMENT: f64 = 0.93;
const PREFERRED_CATEGORY: f64 = 0.8;
/// How many products one looks at before buying one regardless.
const LOOKS: usize = 8;

/// What a group of users likes.
struct Style {
    categories: [usize; 3],
    brands: [u8; 4],
    /// The logarithm of the price level.
    level: f32,
}

/// What one user likes.
struct Taste<'a> {
    style: &'a Style,
    department: usize,
    /// A brand of their own, besides those of the style.
    brand: u8,
    level: f32,
    /// How likely a purchase is of something bought before.
    loyalty: f64,
}

/// A product that a user has bought.
struct Bought {
    product: u32,
    times: u32,
    last_order: usize,
}

/// What became of an order, with the times in seconds.
#[derive(Clone, Copy)]
struct Fate {
    status: &'static str,
    shipped: Option<i64>,
    delivered: Option<i64>,
    returned: Option<i64>,
}

/// Draws orders and their items.
pub(super) fn draw(
    people: &People,
    catalogue: &Catalogue,
    orders_per_user: f64,
    time: Time,
    context: &StageContext,
) -> Result<(DataFrame, DataFrame), StageError> {
    let mut rng = context.rng("purchases");
    let styles = [0, 1].map(|department| draw_styles(catalogue, department, &mut rng));
    let users = people.men.len();
    let expected =
        if catalogue.products.is_empty() { 0 } else { ((users as f64 * orders_per_user * 1.02) as usize).min(1 << 27) };
    let mut orders = Orders::new(expected);
    let mut items = Items::new(expected + expected / 2);
    let mut bought = Vec::new();
    let mut basket = Vec::new();
    for (index, (man, joined)) in people.men.iter().zip(&people.joined).enumerate() {
        if index % 10_000 == 0 {
            context.check_cancelled()?;
            context.progress(index as u64, users as u64);
        }
        let user = index as i64 + 1;
        let taste = draw_taste(&styles, *man, &mut rng);
        let times = draw_times(orders_per_user, *joined, time, &mut rng);
        bought.clear();
        for (number, created) in times.into_iter().enumerate() {
            basket.clear();
            let size = draw_size(&mut rng);
            for _ in 0..size {
                // Nothing twice in one basket, and better a smaller basket than no end of looking.
                let found = (0..4)
                    .filter_map(|_| choose(catalogue, &taste, &bought, number, &mut rng))
                    .find(|product| !basket.contains(product));
                basket.extend(found);
            }
            if basket.is_empty() {
                continue;
            }
            for product in &basket {
                remember(&mut bought, *product, number);
            }
            let fate = draw_fate(created, time, &mut rng);
            let order = orders.push(user, *man, created, fate, basket.len());
            for product in &basket {
                let price = catalogue.products.get(*product as usize).map_or(0.0, |product| product.price);
                items.push(order, user, *product, price, created, fate, &mut rng);
            }
        }
    }
    Ok((orders.finish()?, items.finish()?))
}

fn draw_styles(catalogue: &Catalogue, department: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<Style> {
    let demand = catalogue.demand.get(department).map_or(&[][..], Vec::as_slice);
    let total = demand.last().copied().unwrap_or_default();
    (0..STYLES)
        .map(|_| Style {
            categories: std::array::from_fn(|_| pick(demand, rng.random::<f64>() * total)),
            brands: std::array::from_fn(|_| rng.random_range(0..BRANDS.len() as u8)),
            level: 0.35 * normal(rng),
        })
        .collect()
}

fn draw_taste<'a>(styles: &'a [Vec<Style>; 2], man: bool, rng: &mut Xoshiro256PlusPlus) -> Taste<'a> {
    let department = usize::from(man);
    let [women, men] = styles;
    let styles = if man { men } else { women };
    let at = rng.random_range(0..STYLES);
    let style = styles.get(at).unwrap_or(const { &Style { categories: [0; 3], brands: [0; 4], level: 0.0 } });
    Taste {
        style,
        department,
        brand: rng.random_range(0..BRANDS.len() as u8),
        level: style.level + 0.25 * normal(rng),
        loyalty: 0.25 + 0.55 * rng.random::<f64>(),
    }
}

/// When a user orders: a Poisson process since they joined, with a rate of their own.
fn draw_times(orders_per_user: f64, joined: i64, time: Time, rng: &mut Xoshiro256PlusPlus) -> Vec<i64> {
    let rate = Gamma::new(1.5, 1.0 / 1.5).map_or(1.0, |gamma| gamma.sample(rng));
    // Users join evenly over the time, so they are there for half of it on average.
    let share = (time.end - joined) as f64 / (time.end - time.start) as f64;
    let count = Poisson::new(2.0 * orders_per_user * rate * share).map_or(0.0, |poisson| poisson.sample(rng));
    let mut times: Vec<i64> = (0..count as usize).map(|_| rng.random_range(joined..time.end)).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// TheLook's shares of orders with one to four items.
fn draw_size(rng: &mut Xoshiro256PlusPlus) -> usize {
    match rng.random::<f64>() {
        x if x < 0.70 => 1,
        x if x < 0.90 => 2,
        x if x < 0.95 => 3,
        _ => 4,
    }
}

/// The next product: one bought before, or a new one to one's taste.
fn choose(
    catalogue: &Catalogue,
    taste: &Taste,
    bought: &[Bought],
    number: usize,
    rng: &mut Xoshiro256PlusPlus,
) -> Option<u32> {
    if !bought.is_empty() && rng.random_bool(taste.loyalty) {
        let weights = cumulated(bought.iter().map(|bought| {
            let again = catalogue.products.get(bought.product as usize).map_or(0.0, |product| product.again);
            f64::from(again) * f64::from(bought.times) * 0.8f64.powi((number - bought.last_order).min(40) as i32)
        }));
        let at = pick(&weights, rng.random::<f64>() * weights.last().copied().unwrap_or_default());
        return bought.get(at).map(|bought| bought.product);
    }
    let mut last = None;
    for _ in 0..LOOKS {
        let Some(shelf) = draw_shelf(catalogue, taste, rng) else { continue };
        let at = pick(&shelf.popularity, rng.random::<f64>() * shelf.popularity.last().copied().unwrap_or_default());
        let Some(number) = shelf.products.get(at) else { continue };
        let Some(product) = catalogue.products.get(*number as usize) else { continue };
        last = Some(*number);
        let known = taste.brand == product.brand || taste.style.brands.contains(&product.brand);
        let away = f64::from(product.level - taste.level) / 0.5;
        let liking = if known { 1.0 } else { 0.25 } * (-0.5 * away * away).exp();
        if rng.random::<f64>() < liking {
            break;
        }
    }
    last
}

/// A category with products: a preferred one, or any of the department by its demand.
fn draw_shelf<'a>(catalogue: &'a Catalogue, taste: &Taste, rng: &mut Xoshiro256PlusPlus) -> Option<&'a Shelf> {
    let own = rng.random_bool(OWN_DEPARTMENT);
    let department = if own { taste.department } else { 1 - taste.department };
    let shelves = catalogue.shelves.get(department)?;
    let demand = catalogue.demand.get(department)?;
    let at = if own && rng.random_bool(PREFERRED_CATEGORY) {
        let at = pick(&[CATEGORY_WEIGHTS[0], CATEGORY_WEIGHTS[0] + CATEGORY_WEIGHTS[1], 1.0], rng.random());
        *taste.style.categories.get(at)?
    } else {
        pick(demand, rng.random::<f64>() * demand.last()?)
    };
    shelves.get(at).filter(|shelf| !shelf.products.is_empty())
}

fn remember(bought: &mut Vec<Bought>, product: u32, number: usize) {
    match bought.iter_mut().find(|bought| bought.product == product) {
        Some(bought) => {
            bought.times += 1;
            bought.last_order = number;
        }
        None => bought.push(Bought { product, times: 1, last_order: number }),
    }
}

/// TheLook's shares of statuses; what would happen after the end has not happened.
fn draw_fate(created: i64, time: Time, rng: &mut Xoshiro256PlusPlus) -> Fate {
    const HOUR: i64 = 3600;
    let nothing = |status| Fate { status, shipped: None, delivered: None, returned: None };
    let draw = rng.random::<f64>();
    let shipped = created + rng.random_range(2 * HOUR..72 * HOUR);
    let delivered = shipped + rng.random_range(12 * HOUR..120 * HOUR);
    let returned = delivered + rng.random_range(12 * HOUR..120 * HOUR);
    match draw {
        x if x < 0.15 => nothing("Cancelled"),
        x if x < 0.35 || shipped >= time.end => nothing("Processing"),
        x if x < 0.65 || delivered >= time.end => Fate { shipped: Some(shipped), ..nothing("Shipped") },
        x if x < 0.90 || returned >= time.end => {
            Fate { shipped: Some(shipped), delivered: Some(delivered), ..nothing("Complete") }
        }
        _ => Fate { status: "Returned", shipped: Some(shipped), delivered: Some(delivered), returned: Some(returned) },
    }
}

fn normal(rng: &mut Xoshiro256PlusPlus) -> f32 {
    rng.sample(StandardNormal)
}

/// Orders becoming a table.
struct Orders {
    users: Vec<i64>,
    statuses: StringChunkedBuilder,
    genders: StringChunkedBuilder,
    created: Stamps,
    returned: Stamps,
    shipped: Stamps,
    delivered: Stamps,
    sizes: Vec<i64>,
}

impl Orders {
    fn new(capacity: usize) -> Self {
        Self {
            users: Vec::with_capacity(capacity),
            statuses: StringChunkedBuilder::new("status".into(), capacity),
            genders: StringChunkedBuilder::new("gender".into(), capacity),
            created: Stamps::new("created_at", capacity),
            returned: Stamps::new("returned_at", capacity),
            shipped: Stamps::new("shipped_at", capacity),
            delivered: Stamps::new("delivered_at", capacity),
            sizes: Vec::with_capacity(capacity),
        }
    }

    /// Adds an order; its id.
    fn push(&mut self, user: i64, man: bool, created: i64, fate: Fate, size: usize) -> i64 {
        self.users.push(user);
        self.statuses.append_value(fate.status);
        self.genders.append_value(if man { "M" } else { "F" });
        self.created.push(Some(created));
        self.returned.push(fate.returned);
        self.shipped.push(fate.shipped);
        self.delivered.push(fate.delivered);
        self.sizes.push(size as i64);
        self.users.len() as i64
    }

    fn finish(self) -> Result<DataFrame, StageError> {
        let rows = self.users.len();
        frame(
            "orders",
            rows,
            vec![
                super::ids("order_id", rows),
                Column::new("user_id".into(), self.users),
                self.statuses.finish().into_column(),
                self.genders.finish().into_column(),
                self.created.finish(),
                self.returned.finish(),
                self.shipped.finish(),
                self.delivered.finish(),
                Column::new("num_of_item".into(), self.sizes),
            ],
        )
    }
}

/// Order items becoming a table.
struct Items {
    orders: Vec<i64>,
    users: Vec<i64>,
    products: Vec<i64>,
    inventory: Vec<i64>,
    statuses: StringChunkedBuilder,
    created: Stamps,
    shipped: Stamps,
    delivered: Stamps,
    returned: Stamps,
    prices: Vec<f64>,
}

impl Items {
    fn new(capacity: usize) -> Self {
        Self {
            orders: Vec::with_capacity(capacity),
            users: Vec::with_capacity(capacity),
            products: Vec::with_capacity(capacity),
            inventory: Vec::with_capacity(capacity),
            statuses: StringChunkedBuilder::new("status".into(), capacity),
            created: Stamps::new("created_at", capacity),
            shipped: Stamps::new("shipped_at", capacity),
            delivered: Stamps::new("delivered_at", capacity),
            returned: Stamps::new("returned_at", capacity),
            prices: Vec::with_capacity(capacity),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "they are the columns")]
    fn push(
        &mut self,
        order: i64,
        user: i64,
        product: u32,
        price: f64,
        created: i64,
        fate: Fate,
        rng: &mut Xoshiro256PlusPlus,
    ) {
        self.orders.push(order);
        self.users.push(user);
        self.products.push(i64::from(product) + 1);
        // The stock holds more pieces than were sold, as TheLook's does.
        self.inventory.push(self.inventory.last().copied().unwrap_or_default() + rng.random_range(1..=4));
        self.statuses.append_value(fate.status);
        self.created.push(Some(created));
        self.shipped.push(fate.shipped);
        self.delivered.push(fate.delivered);
        self.returned.push(fate.returned);
        self.prices.push(price);
    }

    fn finish(self) -> Result<DataFrame, StageError> {
        let rows = self.orders.len();
        frame(
            "order items",
            rows,
            vec![
                super::ids("id", rows),
                Column::new("order_id".into(), self.orders),
                Column::new("user_id".into(), self.users),
                Column::new("product_id".into(), self.products),
                Column::new("inventory_item_id".into(), self.inventory),
                self.statuses.finish().into_column(),
                self.created.finish(),
                self.shipped.finish(),
                self.delivered.finish(),
                self.returned.finish(),
                Column::new("sale_price".into(), self.prices),
            ],
        )
    }
}
