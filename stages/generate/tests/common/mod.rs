//! A shop with a few products and what it recommends.

#![allow(dead_code, reason = "each test file uses some of it")]

use polars::prelude::{DataFrame, df};

/// Names, categories and prices.
pub(crate) const PRODUCTS: [(&str, &str, f64); 8] = [
    ("Greek Olive Oil", "Oils & Vinegars", 7.5),
    ("Wholemeal Bread", "Bakery", 2.2),
    ("Ground Coffee", "Hot Drinks", 5.0),
    ("Orange Juice", "Juices", 1.95),
    ("Basmati Rice", "Rice & Pasta", 3.4),
    ("Cherry Tomatoes", "Vegetables", 1.6),
    ("Mature Cheddar", "Dairy", 4.25),
    ("Almond Butter", "Spreads", 6.1),
];

const REASONS: [Option<&str>; 5] = [
    Some("bought 6 times, last 9 days ago"),
    None,
    Some("often bought with Basmati Rice"),
    Some("because you bought Ground Coffee"),
    Some("popular with customers like you"),
];

/// Lists of one to five products for users 1 to 20.
pub(crate) fn recommendations() -> DataFrame {
    let (mut user, mut product, mut rank, mut reason) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for u in 1..=20_i64 {
        for r in 0..(u % 5) + 1 {
            user.push(u);
            product.push(format!("p{}", (u * 3 + r * 5) % 8));
            rank.push(r + 1);
            reason.push(REASONS[((u + r) % 5) as usize]);
        }
    }
    df!["user_id" => user, "product_id" => product, "rank" => rank, "reason" => reason].unwrap()
}

pub(crate) fn catalogue() -> DataFrame {
    df![
        "id" => (0..8).map(|i| format!("p{i}")).collect::<Vec<_>>(),
        "name" => PRODUCTS.map(|product| product.0).to_vec(),
        "category" => PRODUCTS.map(|product| product.1).to_vec(),
        "price" => PRODUCTS.map(|product| product.2).to_vec(),
    ]
    .unwrap()
}

pub(crate) fn users() -> DataFrame {
    df![
        "user_id" => (1..=20_i64).collect::<Vec<_>>(),
        "segment" => (1..=20_i64).map(|u| if u % 2 == 0 { "regular" } else { "occasional" }).collect::<Vec<_>>(),
        "first_name" => (1..=20_i64).map(|u| format!("Name{u}")).collect::<Vec<_>>(),
    ]
    .unwrap()
}
