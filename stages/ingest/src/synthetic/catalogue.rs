//! The products of a made-up shop.

use std::fmt::Write;

use polars::chunked_array::builder::StringChunkedBuilder;
use polars::prelude::{Column, DataFrame, IntoColumn};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use stagewright_contract::StageError;

use super::lists::{ADJECTIVES, BRANDS, CATEGORIES, Category, DEPARTMENTS};
use super::{cumulated, frame, ids, pick};

/// What purchases need to know about the products.
pub(super) struct Catalogue {
    pub(super) products: Vec<Product>,
    /// The products of each category of each department.
    pub(super) shelves: [Vec<Shelf>; 2],
    /// Running sums of the popularity of each department's categories.
    pub(super) demand: [Vec<f64>; 2],
}

#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) brand: u8,
    /// The natural logarithm of its price over what its category costs at the middle price level.
    pub(super) level: f32,
    /// How much a buyer tends to buy it again.
    pub(super) again: f32,
    pub(super) price: f64,
}

/// The products of one category, and running sums of their popularity.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) products: Vec<u32>,
    pub(super) popularity: Vec<f64>,
}

/// The exponent of Zipf's law.
const ZIPF: f64 = 0.6;

impl Catalogue {
    /// Draws the products; also as a table.
    pub(super) fn draw(count: u32, rng: &mut Xoshiro256PlusPlus) -> Result<(Self, DataFrame), StageError> {
        let rows = count as usize;
        let mut ranks: Vec<u32> = (0..count).collect();
        ranks.shuffle(rng);
        let shares = CATEGORIES.map(|categories| cumulated(categories.iter().map(|category| category.share)));

        let mut products = Vec::with_capacity(rows);
        let mut weights = CATEGORIES.map(|categories| vec![Vec::new(); categories.len()]);
        let mut shelves = CATEGORIES.map(|categories| categories.iter().map(|_| Shelf::default()).collect::<Vec<_>>());
        let text = |name: &str| StringChunkedBuilder::new(name.into(), rows);
        let (mut names, mut brands, mut categories) = (text("name"), text("brand"), text("category"));
        let (mut departments, mut skus) = (text("department"), text("sku"));
        let (mut costs, mut prices, mut centers) = (Vec::new(), Vec::new(), Vec::new());
        let mut written = String::new();
        for (product, rank) in (0..count).zip(ranks) {
            let department = usize::from(rng.random_bool(0.45));
            let (Some(shares), Some(listed)) = (shares.get(department), CATEGORIES.get(department)) else { continue };
            let at = pick(shares, rng.random::<f64>() * shares.last().copied().unwrap_or_default());
            let Some(category) = listed.get(at) else { continue };
            let brand = draw_brand(at + department * 31, rng);
            let (brand_name, level) = BRANDS.get(brand).copied().unwrap_or_default();
            let price = draw_price(category, level, rng);

            let adjective = ADJECTIVES.get(rng.random_range(0..ADJECTIVES.len())).copied().unwrap_or_default();
            let whose = DEPARTMENTS.get(department).copied().unwrap_or_default();
            written.clear();
            let _ = write!(written, "{brand_name} {whose}'s {adjective} {}", category.noun);
            // TheLook lacks 24 brands and 2 names of 29,120.
            names.append_option((!rng.random_bool(0.0001)).then_some(&written));
            brands.append_option((!rng.random_bool(0.001)).then_some(brand_name));
            categories.append_value(category.name);
            departments.append_value(whose);
            written.clear();
            let _ = write!(written, "{:016X}{:016X}", rng.random::<u64>(), rng.random::<u64>());
            skus.append_value(&written);
            costs.push((price * rng.random_range(0.35..0.65) * 1e4).round() / 1e4);
            prices.push(price);
            centers.push(rng.random_range(1..=10i64));

            products.push(Product {
                brand: brand as u8,
                level: (price / category.price).ln() as f32,
                again: category.again as f32,
                price,
            });
            if let Some(shelf) = shelves.get_mut(department).and_then(|shelves| shelves.get_mut(at)) {
                shelf.products.push(product);
            }
            if let Some(weights) = weights.get_mut(department).and_then(|weights| weights.get_mut(at)) {
                weights.push((f64::from(rank) + 1.0).powf(-ZIPF));
            }
        }
        let mut demand = [Vec::new(), Vec::new()];
        for ((shelves, weights), demand) in shelves.iter_mut().zip(weights).zip(&mut demand) {
            for (shelf, weights) in shelves.iter_mut().zip(weights) {
                shelf.popularity = cumulated(weights);
            }
            *demand = cumulated(shelves.iter().map(|shelf| shelf.popularity.last().copied().unwrap_or_default()));
        }
        let table = frame(
            "products",
            rows,
            vec![
                ids("id", rows),
                Column::new("cost".into(), costs),
                categories.finish().into_column(),
                names.finish().into_column(),
                brands.finish().into_column(),
                Column::new("retail_price".into(), prices),
                departments.finish().into_column(),
                skus.finish().into_column(),
                Column::new("distribution_center_id".into(), centers),
            ],
        )?;
        Ok((Self { products, shelves, demand }, table))
    }
}

/// Whether a brand makes a category: each makes about a third of them, always the same ones.
fn makes(brand: usize, category: usize) -> bool {
    let mixed = (brand as u32 * 31 + category as u32 * 17 + 7).wrapping_mul(2_654_435_761);
    (mixed >> 16).is_multiple_of(3)
}

/// A brand that makes the category, the better known ones more often.
fn draw_brand(category: usize, rng: &mut Xoshiro256PlusPlus) -> usize {
    let known = |brand: usize| if makes(brand, category) { 1.0 / (brand as f64 + 4.0) } else { 0.0 };
    let weights = cumulated((0..BRANDS.len()).map(known));
    pick(&weights, rng.random::<f64>() * weights.last().copied().unwrap_or_default())
}

/// A price in US dollars: that of the category at the brand's level, with a spread.
fn draw_price(category: &Category, level: f64, rng: &mut Xoshiro256PlusPlus) -> f64 {
    let spread: f64 = rng.sample(StandardNormal);
    ((category.price * level * (0.3 * spread).exp()).max(2.0) * 100.0).round() / 100.0
}
