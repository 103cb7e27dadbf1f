//! The published campaign system's clusterings of the customers of its country, against the golden values measured by
//! running its script with scikit-learn and scipy (`shared/golden/campaign_uk.json`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::{frame, table};
use stagewright_segment::{Hierarchical, Kmeans, Profile, Spectral};

const FEATURES: [&str; 4] = ["total_user_spent", "age", "order_frequency", "num_of_item"];

fn csv(shared: &Path, name: &str) -> LazyFrame {
    let path = shared.join(format!("data/thelook/{name}.csv.gz"));
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(unpacked.status.success());
    CsvReader::new(Cursor::new(unpacked.stdout)).finish().unwrap().lazy()
}

/// The tables of the shop.
struct Shop {
    users: LazyFrame,
    /// Items with their orders, those of products that have no brand or name left out.
    items: LazyFrame,
}

fn inner() -> JoinArgs {
    JoinArgs::new(JoinType::Inner)
}

impl Shop {
    fn of(shared: &Path) -> Self {
        let products = csv(shared, "products").drop_nulls(Some(by_name(["brand", "name"], true, false)));
        let orders = csv(shared, "orders").select([col("order_id"), col("num_of_item")]);
        let items = csv(shared, "order_items")
            .join(orders, [col("order_id")], [col("order_id")], inner())
            .join(products.select([col("id").alias("product")]), [col("product_id")], [col("product")], inner())
            .select([col("order_id"), col("user_id"), col("num_of_item"), col("sale_price")])
            .collect()
            .unwrap();
        Self { users: csv(shared, "users").select([col("id"), col("age"), col("country")]), items: items.lazy() }
    }

    /// Loading, joining and summing up as in steps 1 to 5 of the published script.
    fn customers(&self, country: &str) -> DataFrame {
        let users = self.users.clone().filter(col("country").eq(lit(country)));
        let items = self
            .items
            .clone()
            .join(users.select([col("id").alias("user"), col("age")]), [col("user_id")], [col("user")], inner())
            .sort(["user_id"], SortMultipleOptions::default().with_maintain_order(true))
            .collect()
            .unwrap();
        let spent = totals(&items);
        let mut customers = items
            .lazy()
            .group_by([col("user_id"), col("order_id")])
            .agg([col("age").mean(), col("num_of_item").mean()])
            .group_by([col("user_id")])
            .agg([
                col("age").mean(),
                col("order_id").count().cast(DataType::Int64).alias("order_frequency"),
                col("num_of_item").sum(),
            ])
            .sort(["user_id"], SortMultipleOptions::default())
            .collect()
            .unwrap();
        customers.with_column(Column::new("total_user_spent".into(), spent)).unwrap();
        customers
    }
}

/// What each user spent, added up as pandas does (Kahan): where customers are equally far apart but for rounding, a
/// tree of merges hangs on the last bit.
fn totals(items: &DataFrame) -> Vec<f64> {
    let users = items.column("user_id").unwrap().cast(&DataType::Int64).unwrap();
    let prices = items.column("sale_price").unwrap().f64().unwrap();
    let mut totals: Vec<(i64, f64, f64)> = Vec::new();
    for (user, price) in users.i64().unwrap().iter().flatten().zip(prices.iter().flatten()) {
        if totals.last().is_none_or(|last| last.0 != user) {
            totals.push((user, 0.0, 0.0));
        }
        let (_, sum, lost) = totals.last_mut().unwrap();
        let price = price - *lost;
        let next = *sum + price;
        *lost = next - *sum - price;
        *sum = next;
    }
    totals.into_iter().map(|(_, sum, _)| sum).collect()
}

/// The golden values and the shop, where they are; read once.
fn shared() -> Option<&'static (Value, Shop)> {
    static SHARED: OnceLock<Option<(Value, Shop)>> = OnceLock::new();
    let read = || {
        let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let Ok(golden) = std::fs::read(shared.join("golden/campaign_uk.json")) else {
            println!("skipped: there are no golden values at {}", shared.display());
            return None;
        };
        Some((serde_json::from_slice(&golden).unwrap(), Shop::of(&shared)))
    };
    SHARED.get_or_init(read).as_ref()
}

fn numbers(done: &Done, port: &str, name: &str) -> Vec<f64> {
    let column = frame(&done.table(port)).column(name).unwrap().cast(&DataType::Float64).unwrap();
    column.f64().unwrap().iter().flatten().collect()
}

/// The means of the features of a cluster, and its size.
fn profile(done: &Done, cluster: usize) -> impl Fn(&str) -> f64 {
    let profile = Trial::new::<Profile>(json!({})).input("table", done.table("table")).run().unwrap();
    let profile = frame(&profile.table("table"));
    move |name| profile.column(name).unwrap().get(cluster).unwrap().extract::<f64>().unwrap()
}

#[test]
fn campaign_customers_fall_into_the_golden_clusters() {
    let Some((golden, shop)) = shared() else { return };
    let customers = table(shop.customers("United Kingdom"));
    assert_eq!(customers.rows() as u64, golden["rows"]["joined_users"].as_u64().unwrap());
    let silhouette = |method: &str, k: usize| golden["silhouette"][method][k.to_string()].as_f64().unwrap();

    let done = Trial::new::<Kmeans>(json!({ "columns": FEATURES, "k": 2 })).input("table", customers.clone());
    let done = done.run().unwrap();
    let wcss = numbers(&done, "elbow", "wcss");
    let expected = golden["wcss"].as_array().unwrap();
    assert_eq!(wcss.len(), expected.len());
    for (k, (wcss, expected)) in (1..).zip(wcss.iter().zip(expected)) {
        assert!(*wcss <= expected.as_f64().unwrap() * 1.005, "k = {k}: {wcss} {expected}");
    }
    let found = numbers(&done, "silhouettes", "silhouette")[0];
    assert!((found - silhouette("kmeans", 2)).abs() < 1e-6, "{found}");
    for cluster in 0..2 {
        let at = profile(&done, cluster);
        let golden = |what: &str| &golden[what][cluster.to_string()];
        let expected = golden("kmeans_sizes").as_f64().unwrap();
        assert!((at("size") - expected).abs() <= 5.0, "size of {cluster}: {}", at("size"));
        for feature in FEATURES {
            let expected = golden("kmeans_profile")[feature].as_f64().unwrap();
            assert!((at(feature) / expected - 1.0).abs() < 0.01, "{feature} of {cluster}: {}", at(feature));
        }
    }

    let params = json!({ "columns": FEATURES, "k": 2, "k_max": 5 });
    let done = Trial::new::<Hierarchical>(params.clone()).input("table", customers.clone()).run().unwrap();
    for (k, found) in (2..).zip(numbers(&done, "silhouettes", "silhouette")) {
        assert!((found - silhouette("ward", k)).abs() < 1e-6, "Ward, k = {k}: {found}");
    }
    // Its clusters are numbered from 1, the smaller one first.
    for (cluster, theirs) in [(0, "2"), (1, "1")] {
        let at = profile(&done, cluster);
        assert_eq!(at("size"), golden["ward_sizes"][theirs].as_f64().unwrap());
        for feature in FEATURES {
            let expected = golden["ward_profile"][theirs][feature].as_f64().unwrap();
            assert!((at(feature) / expected - 1.0).abs() < 1e-9, "{feature} of {cluster}: {}", at(feature));
        }
    }

    let done = Trial::new::<Spectral>(params).input("table", customers).run().unwrap();
    for (k, found) in (2..).zip(numbers(&done, "silhouettes", "silhouette")) {
        println!("spectral, United Kingdom, k = {k}: {found}, theirs {}", silhouette("spectral", k));
        assert!((found - silhouette("spectral", k)).abs() < 0.02, "spectral, k = {k}: {found}");
    }
    for (cluster, theirs) in [(0, "1"), (1, "0")] {
        let expected = golden["spectral_sizes"][theirs].as_f64().unwrap();
        let size = profile(&done, cluster)("size");
        assert!((size / expected - 1.0).abs() < 0.03, "{size} {expected}");
    }
}

const WARD: [(&str, [f64; 5], [f64; 4]); 8] = [
    (
        "Australia",
        [592.0, 393.0, 300.0, 295.0, 164.0],
        [0.5339070775149105, 0.3035038606031892, 0.27612843941389803, 0.3032076356770328],
    ),
    (
        "Belgium",
        [330.0, 212.0, 173.0, 153.0, 116.0],
        [0.5281536841351663, 0.31321019147805235, 0.2873340736530981, 0.30691873273503933],
    ),
    (
        "France",
        [1084.0, 877.0, 625.0, 569.0, 568.0],
        [0.4923934231303283, 0.30763959977058536, 0.27570005115743323, 0.27969346824326374],
    ),
    (
        "Germany",
        [1206.0, 603.0, 600.0, 443.0, 376.0],
        [0.5057790908934147, 0.2912445210989964, 0.27249650167348344, 0.2745494722814847],
    ),
    (
        "Japan",
        [549.0, 521.0, 304.0, 302.0, 278.0],
        [0.488353762693339, 0.2822187128686285, 0.28494143815612416, 0.29881359459798446],
    ),
    (
        "Poland",
        [80.0, 59.0, 23.0, 15.0, 4.0],
        [0.47294651099487883, 0.3276536241208807, 0.32370127949497746, 0.3360829903844817],
    ),
    (
        "South Korea",
        [1193.0, 985.0, 934.0, 595.0, 508.0],
        [0.4964448545117563, 0.3231851010207182, 0.28013293249140375, 0.28969072265114476],
    ),
    (
        "Spain",
        [1092.0, 926.0, 743.0, 492.0, 39.0],
        [0.4994991766697852, 0.24001849539981224, 0.28138903895951317, 0.28858367817614466],
    ),
];

/// The same in other countries: `linkage(x, "ward")`, `fcluster(…, k, "maxclust")` and `silhouette_score` for k from 2
/// to 5, computed with scipy 1.14 and scikit-learn 1.6.
#[test]
fn ward_is_that_of_scipy_in_every_country() {
    let Some((_, shop)) = shared() else { return };
    for (country, sizes, silhouettes) in WARD {
        let params = json!({ "columns": FEATURES, "k": 5, "k_max": 5 });
        let done = Trial::new::<Hierarchical>(params).input("table", table(shop.customers(country))).run().unwrap();
        assert_eq!(numbers(&done, "centers", "size"), sizes, "{country}");
        for (found, expected) in numbers(&done, "silhouettes", "silhouette").iter().zip(silhouettes) {
            assert!((found - expected).abs() < 1e-6, "{country}: {found} {expected}");
        }
    }
}

#[test]
fn spectral_clusters_of_france_are_as_good_as_those_of_scikit_learn() {
    let Some((_, shop)) = shared() else { return };
    let params = json!({ "columns": FEATURES, "k": 2, "k_max": 5 });
    let done = Trial::new::<Spectral>(params).input("table", table(shop.customers("France"))).run().unwrap();
    // SpectralClustering(k, affinity="nearest_neighbors", random_state=42)
    let expected = [0.33533115397432167, 0.1092824398300393, 0.14354994838608434, 0.20981013326884532];
    for (found, expected) in numbers(&done, "silhouettes", "silhouette").iter().zip(expected) {
        println!("spectral, France: {found}, theirs {expected}");
        assert!((found - expected).abs() < 0.02, "{found} {expected}");
    }
}
