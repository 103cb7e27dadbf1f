//! How fast the best ten products of many users are found by factors: 100,000 users × 29,000 products × 64 factors.
//!
//! ```sh
//! RAYON_NUM_THREADS=2 cargo run -p stagewright-recommend --example top_scale \
//!     --config 'profile.dev.package.stagewright-recommend.opt-level=3'
//! ```
//!
//! The dot products are of 64-bit floats and go through faer; a user's are searched while they are in the cache, so that
//! the memory is that of the factors and the lists. Prints the seconds and a sum of the lists, to compare with.

use std::time::Instant;

use stagewright_recommend::Factors;

fn main() {
    let count = |place: usize, otherwise: usize| {
        std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (users, products, width) = (count(1, 100_000), count(2, 29_000), count(3, 64));
    // A linear congruential generator, which any language can repeat; the upper bits, between -0.5 and 0.5.
    let mut state = 1_u64;
    let mut vectors = |count: usize| Factors {
        width,
        values: (0..count * width)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f64 / f64::from(1_u32 << 24) - 0.5
            })
            .collect(),
    };
    let (users, products) = (vectors(users), vectors(products));
    let targets: Vec<u32> = (0..).take(users.values.len() / width).collect();
    let start = Instant::now();
    let lists = Factors::top(&users, &products, &targets, 10, |_| &[]);
    let seconds = start.elapsed().as_secs_f64();
    let sum: f64 = lists.iter().flatten().map(|(_, score)| score).sum();
    println!(
        "{} users × {} products: {seconds:.2} s, scores sum to {sum:.6}",
        lists.len(),
        products.values.len() / width
    );
}
