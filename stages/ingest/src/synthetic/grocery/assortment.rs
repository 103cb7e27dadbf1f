//! The products of a made-up grocery.

use polars::chunked_array::builder::StringChunkedBuilder;
use polars::prelude::{Column, DataFrame, IntoColumn};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use stagewright_contract::StageError;

use super::super::{cumulated, frame, ids, pick};
use super::lists::{Category, DEPARTMENTS, MAKERS, SIZES};

/// What there is to buy.
pub(super) struct Assortment {
    pub(super) products: Vec<Product>,
    /// The shelf of each category.
    pub(super) shelves: Vec<Shelf>,
}

pub(super) struct Product {
    /// Its shelf.
    pub(super) shelf: usize,
    pub(super) kind: &'static str,
    pub(super) maker: usize,
    pub(super) size: &'static str,
    /// How much a buyer tends to buy it again.
    pub(super) again: f64,
    pub(super) price: f64,
}

/// The products of one category, and running sums of their popularity.
pub(super) struct Shelf {
    pub(super) department: usize,
    pub(super) category: &'static Category,
    pub(super) products: Vec<u32>,
    pub(super) popularity: Vec<f64>,
}

/// The exponent of Zipf's law.
const ZIPF: f64 = 0.9;

impl Assortment {
    /// Draws the products. A category that sells more holds more of them, but not in proportion.
    pub(super) fn draw(count: u32, rng: &mut Xoshiro256PlusPlus) -> Self {
        let mut shelves: Vec<Shelf> = Vec::new();
        for (department, listed) in DEPARTMENTS.iter().enumerate() {
            shelves.extend(listed.categories.iter().map(|category| Shelf {
                department,
                category,
                products: Vec::new(),
                popularity: Vec::new(),
            }));
        }
        let shares = cumulated(shelves.iter().map(|shelf| shelf.category.share.sqrt()));
        let whole = shares.last().copied().unwrap_or_default();
        let mut products = Vec::with_capacity(count as usize);
        for number in 0..count {
            let at = pick(&shares, rng.random::<f64>() * whole);
            let Some(shelf) = shelves.get_mut(at) else { continue };
            shelf.products.push(number);
            let category = shelf.category;
            let maker = if rng.random_bool(0.25) { 0 } else { rng.random_range(1..MAKERS.len()) };
            let (spread, spread_again): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            let level = if maker == 0 { 0.8 } else { 1.0 };
            products.push(Product {
                shelf: at,
                kind: any(category.types, rng),
                maker,
                size: any(&SIZES, rng),
                again: category.again * (0.5 * spread_again).exp(),
                price: (category.price * level * (0.3 * spread).exp()).max(0.25),
            });
        }
        for shelf in &mut shelves {
            // A product's number says nothing about its popularity.
            shelf.products.shuffle(rng);
            shelf.popularity = cumulated((1..=shelf.products.len()).map(|rank| (rank as f64).powf(-ZIPF)));
        }
        Self { products, shelves }
    }

    /// The department of a product.
    pub(super) fn department(&self, product: &Product) -> usize {
        self.shelves.get(product.shelf).map_or(0, |shelf| shelf.department)
    }

    pub(super) fn table(&self) -> Result<DataFrame, StageError> {
        let rows = self.products.len();
        let text = |name: &str| StringChunkedBuilder::new(name.into(), rows);
        let (mut departments, mut brands, mut categories) =
            (text("department"), text("brand"), text("product_category"));
        let (mut kinds, mut sizes) = (text("product_type"), text("package_size"));
        for product in &self.products {
            departments.append_option(DEPARTMENTS.get(self.department(product)).map(|department| department.name));
            brands.append_value(if product.maker == 0 { "Private" } else { "National" });
            categories.append_option(self.shelves.get(product.shelf).map(|shelf| shelf.category.name));
            kinds.append_value(product.kind.to_uppercase());
            sizes.append_value(product.size);
        }
        let makers: Vec<i64> = self.products.iter().map(|product| product.maker as i64 + 1).collect();
        frame(
            "products",
            rows,
            vec![
                ids("product_id", rows),
                Column::new("manufacturer_id".into(), makers),
                departments.finish().into_column(),
                brands.finish().into_column(),
                categories.finish().into_column(),
                kinds.finish().into_column(),
                sizes.finish().into_column(),
            ],
        )
    }
}

/// One of a list, which is not empty.
pub(super) fn any(list: &[&'static str], rng: &mut Xoshiro256PlusPlus) -> &'static str {
    list.get(rng.random_range(0..list.len().max(1))).copied().unwrap_or_default()
}
