//! The exploration of the published campaign system over its customers' data: the United Kingdom against the golden
//! values measured by running its script (`shared/golden/campaign_uk.json`), France against pandas 2.2.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::Done;
use stagewright_features::{Correlation, Crosstab, Describe, Histogram, Top};

use crate::{floats, ints, metric, run, texts};

fn csv(shared: &Path, name: &str) -> LazyFrame {
    let path = shared.join(format!("data/thelook/{name}.csv.gz"));
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(unpacked.status.success());
    CsvReader::new(Cursor::new(unpacked.stdout)).finish().unwrap().lazy()
}

/// The tables that the published script explores.
struct Country {
    /// A row per item of these customers, whether or not its product is known.
    items: DataFrame,
    /// A row per item with its order, product and customer.
    joined: DataFrame,
    /// A row per order.
    orders: DataFrame,
}

impl Country {
    /// Steps 1 to 3 of the published script.
    fn read(shared: &Path, country: &str) -> Self {
        let users = csv(shared, "users").filter(col("country").eq(lit(country)));
        let users = users.select([col("id").alias("user"), col("age"), col("gender")]);
        let products = csv(shared, "products").drop_nulls(Some(by_name(["brand", "name"], true, false)));
        let columns = ["category", "brand", "retail_price", "department"];
        let products =
            products.select([col("id").alias("product")].into_iter().chain(columns.map(col)).collect::<Vec<_>>());
        let inner = || JoinArgs::new(JoinType::Inner);
        let items = csv(shared, "order_items").join(users.clone(), [col("user_id")], [col("user")], inner());
        let facts = csv(shared, "orders").select([col("order_id"), col("num_of_item")]);
        let joined = items.clone().join(facts, [col("order_id")], [col("order_id")], inner()).join(
            products,
            [col("product_id")],
            [col("product")],
            inner(),
        );
        let orders = csv(shared, "orders").select([col("user_id"), col("num_of_item")]);
        let orders = orders.join(users, [col("user_id")], [col("user")], inner());
        let collect = |frame: LazyFrame| frame.collect().unwrap();
        Self { items: collect(items), joined: collect(joined), orders: collect(orders) }
    }

    fn mean_prices(&self) -> Done {
        let edges = [0, 9, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200];
        let params = json!({ "column": "sale_price", "per": "user_id", "agg": "mean", "bins": edges });
        run::<Histogram>(params, &self.items)
    }

    fn ages(&self) -> Done {
        let labels = ["under 20", "20-30", "30-40", "40-50", "50-60", "over 60"];
        let params = json!({ "column": "age", "bins": [0, 19, 30, 40, 50, 60, 200], "labels": labels });
        run::<Histogram>(params, &self.joined)
    }

    fn orders_per_user(&self) -> Done {
        let params = json!({ "column": "order_id", "per": "user_id", "agg": "n_unique", "bins": "values" });
        run::<Histogram>(params, &self.joined)
    }

    fn items_per_order(&self) -> Done {
        run::<Histogram>(json!({ "column": "num_of_item", "bins": "values" }), &self.orders)
    }
}

fn shared() -> Option<PathBuf> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if shared.join("golden/campaign_uk.json").exists() && shared.join("data/thelook").exists() {
        return Some(shared);
    }
    println!("skipped: there are no golden values and data at {}", shared.display());
    None
}

fn counts(done: &Done) -> Vec<i64> {
    ints(done, "table", "count").into_iter().flatten().collect()
}

/// Names and counts as the golden file has them, in any order.
fn named(done: &Done) -> Value {
    json!(texts(done, "table", "bin").into_iter().zip(counts(done)).collect::<BTreeMap<_, _>>())
}

#[test]
fn the_united_kingdom_is_as_published() {
    let Some(shared) = shared() else { return };
    let golden: Value =
        serde_json::from_slice(&std::fs::read(shared.join("golden/campaign_uk.json")).unwrap()).unwrap();
    let uk = Country::read(&shared, "United Kingdom");
    assert_eq!(uk.joined.height() as u64, golden["rows"]["joined"].as_u64().unwrap());

    let prices = uk.mean_prices();
    assert_eq!(metric(&prices, "outside"), golden["avg_order_value_outside_bins"].as_f64());
    assert_eq!(prices.warnings, ["71 of 3666 values lie outside the bins: not counted"]);
    // pd.cut(items.groupby("user_id").sale_price.mean(), [0, 9, 20, …, 100, 200]).value_counts(sort=False)
    assert_eq!(counts(&prices), [53, 383, 606, 564, 497, 380, 283, 196, 137, 117, 379]);
    assert_eq!(named(&uk.ages()), golden["age_groups_rows"]);
    assert_eq!(named(&uk.orders_per_user()), golden["orders_per_user"]);
    assert_eq!(named(&uk.items_per_order()), golden["items_per_order"]);

    // joined.brand.value_counts(), equal ones ascending
    let brands = run::<Top>(json!({ "column": "brand" }), &uk.joined);
    let expected = [
        "Allegra K",
        "Calvin Klein",
        "Carhartt",
        "Hanes",
        "Volcom",
        "Quiksilver",
        "Levi's",
        "Hurley",
        "Nautica",
        "Tommy Hilfiger",
    ];
    assert_eq!(texts(&brands, "table", "brand"), expected);
    assert_eq!(counts(&brands), [307, 144, 102, 97, 97, 78, 74, 71, 68, 68]);
    assert_eq!(metric(&brands, "distinct"), Some(1575.0));

    // scipy.stats.chi2_contingency(pd.crosstab(department, category), correction=False)
    let tab = run::<Crosstab>(json!({ "rows": "department", "columns": "category" }), &uk.joined);
    assert!((metric(&tab, "chi2").unwrap() / 3477.916630620181 - 1.0).abs() < 1e-12);
    assert_eq!(metric(&tab, "p_value"), Some(0.0));
    let tab = run::<Crosstab>(json!({ "rows": "gender", "columns": "num_of_item" }), &uk.joined);
    assert!((metric(&tab, "p_value").unwrap() / 0.000977581052773303 - 1.0).abs() < 1e-10);

    // joined.describe(), joined.retail_price.nunique()
    let described = run::<Describe>(json!({ "columns": ["sale_price", "retail_price", "brand"] }), &uk.joined);
    let price = ["mean", "std", "min", "q25", "median", "q75", "max"].map(|name| floats(&described, "table", name)[0]);
    let expected = [58.27356883619647, 63.000160346178504, 1.5, 24.0, 39.95, 69.16, 999.0];
    for (found, expected) in price.into_iter().zip(expected) {
        assert!((found.unwrap() / expected - 1.0).abs() < 1e-12, "{found:?} {expected}");
    }
    assert_eq!(ints(&described, "table", "distinct"), [1839, 1839, 1575].map(Some));
    assert_eq!(metric(&described, "duplicate_rows"), Some(0.0));
}

#[test]
fn another_country_is_as_in_pandas() {
    let Some(shared) = shared() else { return };
    let france = Country::read(&shared, "France");
    assert_eq!((france.items.height(), france.joined.height()), (8434, 8431));
    let prices = france.mean_prices();
    assert_eq!(counts(&prices), [61, 385, 515, 595, 509, 412, 284, 210, 152, 109, 404]);
    assert_eq!(metric(&prices, "outside"), Some(87.0));
    assert!((metric(&prices, "mean").unwrap() / 60.508701034558 - 1.0).abs() < 1e-12);
    assert_eq!(counts(&france.ages()), [1215, 1660, 1321, 1351, 1422, 1462]);
    assert_eq!(counts(&france.orders_per_user()), [2341, 929, 229, 224]);
    assert_eq!(counts(&france.items_per_order()), [4028, 1161, 288, 305]);
    let categories = run::<Top>(json!({ "column": "category", "n": 5 }), &france.joined);
    let expected = ["Intimates", "Fashion Hoodies & Sweatshirts", "Jeans", "Sleep & Lounge", "Swim"];
    assert_eq!(texts(&categories, "table", "category"), expected);
    assert_eq!(counts(&categories), [656, 598, 576, 535, 534]);
    // joined[["sale_price", "age", "num_of_item"]].corr()
    let params = json!({ "columns": ["sale_price", "age", "num_of_item"] });
    let found = floats(&run::<Correlation>(params, &france.joined), "table", "correlation");
    for (found, expected) in
        [(found[1], -0.0077530783987363365), (found[2], 0.007130930027160181), (found[5], -0.013875543101445257)]
    {
        assert!((found.unwrap() / expected - 1.0).abs() < 1e-10, "{found:?} {expected}");
    }
}
