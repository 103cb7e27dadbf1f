//! What a history of purchases says about whether a person buys a product again soon.

use crate::logistic::Features;

/// That a person bought a product in an order, at a time. The derived order puts what a person bought of a product
/// together, the earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Purchase {
    pub(crate) user: u32,
    pub(crate) product: u32,
    pub(crate) time: i64,
}

/// The time of each order, once.
pub(crate) struct Orders {
    /// User and time, ascending.
    pub(crate) times: Vec<(u32, i64)>,
}

/// How time is measured.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Ticks per unit: per day, or 1.
    pub(crate) unit: f64,
    /// How far ahead is looked, in units.
    pub(crate) horizon: f64,
}

impl Clock {
    fn age(self, now: i64, then: i64) -> f64 {
        (now.saturating_sub(then)) as f64 / self.unit
    }

    /// The time that lies `horizons` before another.
    pub(crate) fn before(self, now: i64, horizons: usize) -> i64 {
        now.saturating_sub((self.unit * self.horizon * horizons as f64) as i64)
    }
}

/// A person and a product that they bought before some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) user: u32,
    pub(crate) product: u32,
    /// In how many orders.
    pub(crate) orders: u32,
    /// When first and last, in ticks.
    first: i64,
    pub(crate) last: i64,
    /// The orders with the product, each halved with every half horizon of its age.
    short: f64,
    /// The same, halved with every two horizons.
    pub(crate) long: f64,
    /// Whether it was bought within the last horizon.
    recent: bool,
    /// Whether it is bought within the next.
    pub(crate) again: bool,
}

/// All pairs at a moment, and what is known about the products.
pub(crate) struct History {
    now: i64,
    clock: Clock,
    /// By user, then product.
    pub(crate) pairs: Vec<Pair>,
    products: Vec<Product>,
    /// By user: the decayed number of orders, as `Pair::long`.
    orders: Vec<f64>,
}

/// A product at a moment.
#[derive(Clone, Copy)]
struct Product {
    /// The usual time between two purchases by the same person, in units.
    gap: f64,
    /// ln of the share of its buyers who bought it again within a horizon.
    again: f64,
    /// ln of the share of its buyers who bought it more than once.
    often: f64,
    /// The share of its buyers' orders that contain it.
    share: f64,
}

/// How many buyers' worth a product's own figures count less than the average of all products.
const PRIOR: f64 = 10.0;

impl History {
    /// What was known at `now`. `purchases` are sorted; those after `now` count for `Pair::again` alone.
    pub(crate) fn at(
        now: i64,
        clock: Clock,
        purchases: &[Purchase],
        orders: &Orders,
        users: usize,
        products: usize,
    ) -> Self {
        let next = clock.before(now, 1);
        let end = now.saturating_add(now.saturating_sub(next));
        let mut pairs = Vec::new();
        for rows in purchases.chunk_by(|a, b| (a.user, a.product) == (b.user, b.product)) {
            let known = rows.partition_point(|row| row.time <= now);
            let (known, after) = rows.split_at_checked(known).unwrap_or((rows, &[]));
            let (Some(first), Some(last)) = (known.first(), known.last()) else { continue };
            let mut pair = Pair {
                user: first.user,
                product: first.product,
                orders: u32::try_from(known.len()).unwrap_or(u32::MAX),
                first: first.time,
                last: last.time,
                short: 0.0,
                long: 0.0,
                recent: last.time > next,
                again: after.first().is_some_and(|row| row.time <= end),
            };
            for row in known {
                let age = clock.age(now, row.time) / clock.horizon;
                pair.short += (-2.0 * age).exp2();
                pair.long += (-0.5 * age).exp2();
            }
            pairs.push(pair);
        }
        let mut decayed = vec![0.0; users];
        for (user, time) in &orders.times {
            if *time <= now
                && let Some(sum) = decayed.get_mut(*user as usize)
            {
                *sum += (-0.5 * clock.age(now, *time) / clock.horizon).exp2();
            }
        }
        let products = about_products(next, clock, &pairs, &decayed, products);
        Self { now, clock, pairs, products, orders: decayed }
    }

    /// The pair as numbers.
    pub(crate) fn features(&self, pair: &Pair) -> Option<Features> {
        let product = self.products.get(pair.product as usize)?;
        let last = self.clock.age(self.now, pair.last);
        // The person's own time between purchases, with one of the product's usual ones added.
        let gap = (self.clock.age(pair.last, pair.first) + product.gap) / f64::from(pair.orders);
        Some([
            f64::from(pair.orders).ln(),
            (pair.short + 1e-3).ln(),
            (pair.long + 1e-3).ln(),
            last.ln_1p(),
            (last / gap.max(1.0) + 0.05).ln(),
            product.again,
            product.often,
        ])
    }

    /// The share of the person's orders that contain the product, both decayed, after as many more orders as `PRIOR`
    /// that contain it as often as those of its other buyers do.
    pub(crate) fn share(&self, pair: &Pair) -> f64 {
        let usual = self.products.get(pair.product as usize).map_or(0.0, |product| product.share);
        let orders = self.orders.get(pair.user as usize).copied().unwrap_or_default();
        (pair.long + PRIOR * usual) / (orders + PRIOR)
    }
}

#[derive(Clone, Copy, Default)]
struct Sums {
    span: f64,
    gaps: f64,
    buyers: f64,
    repeated: f64,
    earlier: f64,
    again: f64,
    contained: f64,
    orders: f64,
}

fn about_products(next: i64, clock: Clock, pairs: &[Pair], orders: &[f64], products: usize) -> Vec<Product> {
    let mut of_products = vec![Sums::default(); products];
    let mut all = Sums::default();
    for pair in pairs {
        if let Some(of_product) = of_products.get_mut(pair.product as usize) {
            for sums in [of_product, &mut all] {
                sums.span += clock.age(pair.last, pair.first);
                sums.gaps += f64::from(pair.orders - 1);
                sums.buyers += 1.0;
                sums.repeated += f64::from(u8::from(pair.orders > 1));
                if pair.first <= next {
                    sums.earlier += 1.0;
                    sums.again += f64::from(u8::from(pair.recent));
                }
                sums.contained += pair.long;
                sums.orders += orders.get(pair.user as usize).copied().unwrap_or_default();
            }
        }
    }
    // Where nothing is known of any product, the usual is once a horizon, for half of the buyers.
    let usual = |part: f64, whole: f64, otherwise: f64| if whole > 0.0 { part / whole } else { otherwise };
    let gap = usual(all.span, all.gaps, clock.horizon);
    let again = usual(all.again, all.earlier, 0.5).max(1e-6);
    let often = usual(all.repeated, all.buyers, 0.5).max(1e-6);
    let share = usual(all.contained, all.orders, 0.0);
    let smooth = |part: f64, whole: f64, usual: f64| (part + PRIOR * usual) / (whole + PRIOR);
    of_products
        .into_iter()
        .map(|sums| Product {
            gap: smooth(sums.span, sums.gaps, gap),
            again: smooth(sums.again, sums.earlier, again).ln(),
            often: smooth(sums.repeated, sums.buyers, often).ln(),
            share: smooth(sums.contained, sums.orders, share),
        })
        .collect()
}
