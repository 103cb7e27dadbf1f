//! The published campaign system's k-means on the customers of its country, against the golden values measured by
//! running its script with scikit-learn (`shared/golden/campaign_uk.json`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::{frame, table};
use stagewright_segment::{Kmeans, Profile};

const FEATURES: [&str; 4] = ["total_user_spent", "age", "order_frequency", "num_of_item"];

fn csv(shared: &Path, name: &str) -> LazyFrame {
    let path = shared.join(format!("data/thelook/{name}.csv.gz"));
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(unpacked.status.success());
    CsvReader::new(Cursor::new(unpacked.stdout)).finish().unwrap().lazy()
}

/// Loading, joining and summing up as in steps 1 to 5 of the published script.
fn customers(shared: &Path) -> DataFrame {
    let users = csv(shared, "users").filter(col("country").eq(lit("United Kingdom")));
    let products = csv(shared, "products").drop_nulls(Some(by_name(["brand", "name"], true, false)));
    let inner = || JoinArgs::new(JoinType::Inner);
    let items = csv(shared, "order_items")
        .join(
            csv(shared, "orders").select([col("order_id"), col("num_of_item")]),
            [col("order_id")],
            [col("order_id")],
            inner(),
        )
        .join(products.select([col("id").alias("product")]), [col("product_id")], [col("product")], inner())
        .join(users.select([col("id").alias("user"), col("age")]), [col("user_id")], [col("user")], inner());
    items
        .group_by([col("user_id"), col("order_id")])
        .agg([col("sale_price").sum(), col("age").mean(), col("num_of_item").mean()])
        .group_by([col("user_id")])
        .agg([
            col("sale_price").sum().alias("total_user_spent"),
            col("age").mean(),
            col("order_id").count().cast(DataType::Int64).alias("order_frequency"),
            col("num_of_item").sum(),
        ])
        .sort(["user_id"], SortMultipleOptions::default())
        .collect()
        .unwrap()
}

#[test]
fn campaign_customers_fall_into_the_golden_clusters() {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let Ok(golden) = std::fs::read(shared.join("golden/campaign_uk.json")) else {
        println!("skipped: there are no golden values at {}", shared.display());
        return;
    };
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let customers = customers(&shared);
    assert_eq!(customers.height() as u64, golden["rows"]["joined_users"].as_u64().unwrap());

    let done =
        Trial::new::<Kmeans>(json!({ "columns": FEATURES, "k": 2 })).input("table", table(customers)).run().unwrap();
    let numbers = |port: &str, name: &str| -> Vec<f64> {
        frame(&done.table(port)).column(name).unwrap().f64().unwrap().iter().flatten().collect()
    };
    let wcss = numbers("elbow", "wcss");
    let expected = golden["wcss"].as_array().unwrap();
    assert_eq!(wcss.len(), expected.len());
    for (k, (wcss, expected)) in (1..).zip(wcss.iter().zip(expected)) {
        assert!(*wcss <= expected.as_f64().unwrap() * 1.005, "k = {k}: {wcss} {expected}");
    }
    let silhouette = numbers("silhouettes", "silhouette")[0];
    assert!((silhouette - golden["silhouette"]["kmeans"]["2"].as_f64().unwrap()).abs() < 1e-6, "{silhouette}");

    let profile = Trial::new::<Profile>(json!({})).input("table", done.table("table")).run().unwrap();
    let profile = frame(&profile.table("table"));
    for cluster in 0..2 {
        let at = |name: &str| profile.column(name).unwrap().get(cluster).unwrap().extract::<f64>().unwrap();
        let golden = |what: &str| &golden[what][cluster.to_string()];
        let expected = golden("kmeans_sizes").as_f64().unwrap();
        assert!((at("size") - expected).abs() <= 5.0, "size of {cluster}: {}", at("size"));
        for feature in FEATURES {
            let expected = golden("kmeans_profile")[feature].as_f64().unwrap();
            assert!((at(feature) / expected - 1.0).abs() < 0.01, "{feature} of {cluster}: {}", at(feature));
        }
    }
}
