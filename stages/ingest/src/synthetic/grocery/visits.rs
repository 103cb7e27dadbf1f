//! Who comes when and what they take home.

use rand::Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use stagewright_contract::{StageContext, StageError};

use super::super::{Time, cumulated, pick};
use super::Grocery;
use super::assortment::Assortment;
use super::lists::{DEPARTMENTS, STYLES};

/// An order of a household.
pub(super) struct Visit {
    /// In seconds since 1970-01-01 00:00 UTC.
    pub(super) at: i64,
    /// From 0.
    pub(super) household: u32,
    /// Among the household's orders, from 1.
    pub(super) number: u32,
    /// Whole days since the household's order before.
    pub(super) days_since: Option<i64>,
    pub(super) items: Vec<Item>,
}

/// An item of an order.
pub(super) struct Item {
    /// From 0.
    pub(super) product: u32,
    /// Whether an earlier order of the household held the product.
    pub(super) reordered: bool,
}

/// What a household is like.
struct Household {
    /// How often it falls back on a habit.
    habit: f64,
    /// How readily it buys again, by department.
    again: Vec<f64>,
    /// Running sums of its liking for the categories.
    tastes: Vec<f64>,
    /// How many products it buys at a time, on average.
    basket: f64,
}

/// A product that a household has bought.
struct Bought {
    product: u32,
    times: u32,
    /// When last, in seconds, and in which order.
    last: i64,
    order: u32,
}

const DAY: i64 = 86_400;

/// How often to look for a product that is not in the basket yet.
const LOOKS: usize = 12;

/// Draws all orders, by time.
pub(super) fn draw(
    grocery: &Grocery,
    assortment: &Assortment,
    time: Time,
    context: &StageContext,
) -> Result<Vec<Visit>, StageError> {
    let mut rng = context.rng("visits");
    let mut visits = Vec::new();
    if assortment.products.is_empty() {
        return Ok(visits);
    }
    for number in 0..grocery.households {
        if number % 64 == 0 {
            context.check_cancelled()?;
            context.progress(u64::from(number), u64::from(grocery.households));
        }
        let household = draw_household(assortment, grocery.basket_size, &mut rng);
        let times = draw_times(grocery.orders_per_household, time, &mut rng);
        shop(&household, number, &times, assortment, &mut visits, &mut rng);
    }
    visits.sort_unstable_by_key(|visit| (visit.at, visit.household));
    Ok(visits)
}

fn draw_household(assortment: &Assortment, basket: f64, rng: &mut Xoshiro256PlusPlus) -> Household {
    let style = STYLES.get(rng.random_range(0..STYLES.len())).copied().unwrap_or_default();
    let tastes = cumulated(assortment.shelves.iter().map(|shelf| {
        let rare = matches!(DEPARTMENTS.get(shelf.department).map(|d| d.name), Some("BABY" | "PETS"));
        let liking = match (style.contains(&shelf.category.name), rare) {
            (true, _) => 4.0,
            (false, true) => 0.05,
            (false, false) => 1.0,
        };
        let empty = if shelf.products.is_empty() { 0.0 } else { 1.0 };
        empty * shelf.category.share * liking * (0.6 * normal(rng)).exp()
    }));
    Household {
        // Between 7 % and 93 % for nineteen of twenty households.
        habit: 1.0 / (1.0 + (-(0.3 + 1.3 * normal(rng))).exp()),
        again: DEPARTMENTS.iter().map(|_| (0.8 * normal(rng)).exp()).collect(),
        tastes,
        basket: basket * (0.4 * normal(rng) - 0.08).exp(),
    }
}

/// When a household comes: evenly over the time at a rate of its own, in the hours and on the days when people shop.
fn draw_times(mean: f64, time: Time, rng: &mut Xoshiro256PlusPlus) -> Vec<i64> {
    let rate = Gamma::new(2.0, 0.5).map_or(1.0, |gamma| gamma.sample(rng));
    let count = Poisson::new(mean * rate).map_or(0.0, |poisson| poisson.sample(rng));
    let days = (time.end - time.start) / DAY;
    let mut times: Vec<i64> = (0..count as usize)
        .map(|_| {
            let day = time.start + DAY * rng.random_range(0..days.max(1));
            // Most come around five in the afternoon, nobody in the night.
            let hour = (17.0 + 3.5 * normal(rng)).clamp(7.0, 22.9);
            day + (hour * 3600.0) as i64
        })
        .collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// A household's orders, in order.
fn shop(
    household: &Household,
    number: u32,
    times: &[i64],
    assortment: &Assortment,
    visits: &mut Vec<Visit>,
    rng: &mut Xoshiro256PlusPlus,
) {
    let mut bought: Vec<Bought> = Vec::new();
    // Where in `bought` each product is.
    let mut known: std::collections::HashMap<u32, usize> = std::collections::HashMap::new();
    let mut before: Option<i64> = None;
    for (order, at) in (1u32..).zip(times.iter().copied()) {
        let habits = cumulated(bought.iter().map(|bought| pull(household, bought, order, at, assortment)));
        let size = 1 + Poisson::new((household.basket - 1.0).max(0.01)).map_or(0.0, |p| p.sample(rng)) as usize;
        let mut basket: Vec<u32> = Vec::with_capacity(size);
        for _ in 0..size {
            let habit = habits.last().is_some_and(|whole| *whole > 0.0) && rng.random_bool(household.habit);
            let product = (0..LOOKS).find_map(|_| {
                let product = if habit { again(&habits, &bought, rng) } else { try_out(household, assortment, rng) };
                product.filter(|product| !basket.contains(product))
            });
            basket.extend(product);
        }
        let items = basket.iter().map(|product| Item { product: *product, reordered: known.contains_key(product) });
        let days_since = before.map(|before| at.div_euclid(DAY) - before.div_euclid(DAY));
        visits.push(Visit { at, household: number, number: order, days_since, items: items.collect() });
        for product in basket {
            match known.get(&product).and_then(|place| bought.get_mut(*place)) {
                Some(bought) => {
                    bought.times += 1;
                    bought.last = at;
                    bought.order = order;
                }
                None => {
                    known.insert(product, bought.len());
                    bought.push(Bought { product, times: 1, last: at, order });
                }
            }
        }
        before = Some(at);
    }
}

/// How much a product pulls its buyer, on the occasion of an order.
fn pull(household: &Household, bought: &Bought, order: u32, at: i64, assortment: &Assortment) -> f64 {
    let Some(product) = assortment.products.get(bought.product as usize) else { return 0.0 };
    let Some(shelf) = assortment.shelves.get(product.shelf) else { return 0.0 };
    let again = product.again * household.again.get(shelf.department).copied().unwrap_or(1.0);
    let days = (at - bought.last) as f64 / DAY as f64;
    let used_up = 1.0 - (-days / shelf.category.days).exp();
    let ago = (order - bought.order - 1).min(60);
    again * f64::from(bought.times) * used_up * 0.93f64.powi(ago as i32)
}

fn again(habits: &[f64], bought: &[Bought], rng: &mut Xoshiro256PlusPlus) -> Option<u32> {
    bought.get(pick(habits, rng.random::<f64>() * habits.last()?)).map(|bought| bought.product)
}

fn try_out(household: &Household, assortment: &Assortment, rng: &mut Xoshiro256PlusPlus) -> Option<u32> {
    let tastes = &household.tastes;
    let shelf = assortment.shelves.get(pick(tastes, rng.random::<f64>() * tastes.last()?))?;
    shelf.products.get(pick(&shelf.popularity, rng.random::<f64>() * shelf.popularity.last()?)).copied()
}

fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    rng.sample(StandardNormal)
}
