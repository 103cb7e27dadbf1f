//! Exploring and selecting: what the stages compute, against references from pandas 2.2, scipy 1.14 and scikit-learn
//! 1.6, what they warn of, what they refuse, and what they keep to themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod golden;
mod selection;

use common::purchases;
use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{FigureKind, ParamError, PersonalColumns, Stage, StageError, StageType, X};
use stagewright_features::{Correlation, Crosstab, Describe, Histogram, Select, Top};
use stagewright_frame::testkit::{frame, table};

fn run<S: Stage>(params: Value, input: &DataFrame) -> Done {
    Trial::new::<S>(params).input("table", table(input.clone())).run().unwrap()
}

fn error<S: Stage>(params: Value, input: &DataFrame) -> StageError {
    Trial::new::<S>(params).input("table", table(input.clone())).run().unwrap_err()
}

fn refused<S: Stage>(params: Value) -> ParamError {
    Trial::new::<S>(params).check().unwrap_err()
}

fn floats(done: &Done, port: &str, name: &str) -> Vec<Option<f64>> {
    frame(&done.table(port)).column(name).unwrap().f64().unwrap().iter().collect()
}

fn ints(done: &Done, port: &str, name: &str) -> Vec<Option<i64>> {
    frame(&done.table(port)).column(name).unwrap().i64().unwrap().iter().collect()
}

fn texts(done: &Done, port: &str, name: &str) -> Vec<String> {
    let column = frame(&done.table(port)).column(name).unwrap().clone();
    column.str().unwrap().iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

fn metric(done: &Done, name: &str) -> Option<f64> {
    done.metrics("metrics").values[name].value
}

fn close(found: &[Option<f64>], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        let found = found.unwrap();
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} {expected}");
    }
}

/// The bars of a figure: their names and heights.
fn bars(done: &Done) -> Vec<(String, f64)> {
    let figure = done.figure("figure");
    assert_eq!((figure.kind, figure.series.len()), (FigureKind::Bar, 1));
    let name = |x: &X| match x {
        X::Name(name) => name.clone(),
        X::Number(number) => number.to_string(),
    };
    figure.series[0].points.iter().map(|point| (name(&point.x), point.y.unwrap())).collect()
}

/// Purchases without some prices and ages.
fn with_holes() -> DataFrame {
    let mut holes = purchases();
    let without = |name: &str, rows: &[usize]| {
        let values = holes.column(name).unwrap().cast(&DataType::Float64).unwrap();
        let values: Vec<Option<f64>> = values.f64().unwrap().iter().collect();
        let kept = values.into_iter().enumerate().map(|(row, value)| value.filter(|_| !rows.contains(&row)));
        Column::new(name.into(), kept.collect::<Vec<_>>())
    };
    let (price, age) = (without("sale_price", &[0, 5, 9]), without("age", &[5, 20]));
    holes.with_column(price).unwrap();
    holes.with_column(age).unwrap();
    holes
}

#[test]
fn a_table_is_described() {
    // p.describe(), p.nunique(), p.gender.describe(), p.created_at.min() and .max()
    let done = run::<Describe>(json!({}), &purchases());
    let names = ["user_id", "order_id", "product_id", "sale_price", "num_of_item", "age", "gender", "created_at"];
    assert_eq!(texts(&done, "table", "column"), names);
    let types = ["int64", "int64", "int64", "double", "int64", "int64", "string", "timestamp[us]"];
    assert_eq!(texts(&done, "table", "type"), types);
    assert_eq!(ints(&done, "table", "rows"), [Some(24); 8]);
    assert_eq!(ints(&done, "table", "nulls"), [Some(0); 8]);
    assert_eq!(floats(&done, "table", "null_share"), [Some(0.0); 8]);
    assert_eq!(ints(&done, "table", "distinct"), [8, 16, 4, 12, 2, 8, 2, 16].map(Some));
    let price_and_age = |name: &str| [3, 5].map(|row| floats(&done, "table", name)[row]);
    close(&price_and_age("mean"), &[11.46875, 34.875]);
    close(&price_and_age("std"), &[6.065454793156577, 14.447242854155824]);
    assert_eq!(price_and_age("min"), [3.0, 19.0].map(Some));
    assert_eq!(price_and_age("q25"), [7.1875, 22.0].map(Some));
    assert_eq!(price_and_age("median"), [10.0, 31.0].map(Some));
    assert_eq!(price_and_age("q75"), [19.625, 46.5].map(Some));
    assert_eq!(price_and_age("max"), [20.5, 60.0].map(Some));
    assert_eq!(texts(&done, "table", "top")[5..], ["-", "F", "-"], "F and M are equally frequent");
    assert_eq!(ints(&done, "table", "top_count")[5..], [None, Some(12), None]);
    assert_eq!(texts(&done, "table", "earliest")[6..], ["-", "2024-01-01 12:00:00"]);
    assert_eq!(texts(&done, "table", "latest")[6..], ["-", "2024-01-31 12:00:00"]);
    // pd.concat([p, p.iloc[:3]]).duplicated().sum(): the rows of order 18 are equal, too
    let more = purchases().vstack(&purchases().head(Some(3))).unwrap();
    let done = run::<Describe>(json!({ "columns": ["gender", "age"] }), &more);
    assert_eq!(texts(&done, "table", "column"), ["gender", "age"]);
    assert_eq!(texts(&done, "table", "type"), ["string", "int64"]);
    let metrics = ["rows", "duplicate_rows", "columns", "nulls"].map(|name| metric(&done, name));
    assert_eq!(metrics, [27.0, 4.0, 8.0, 0.0].map(Some));
    assert_eq!(done.warnings, [""; 0]);
}

#[test]
fn missing_and_infinite_numbers_are_counted_apart() {
    let input = df!(
        "x" => [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(3.0), Some(-0.0), Some(0.0)],
        "big" => [i64::MAX, i64::MAX - 1, i64::MAX - 2, 0, 0, 0, 0],
        "flag" => [Some(true), None, Some(false), Some(true), None, None, None],
        "nothing" => [None::<i64>; 7],
    )
    .unwrap();
    let done = run::<Describe>(json!({}), &input);
    assert_eq!(ints(&done, "table", "nulls"), [2, 0, 4, 7].map(Some));
    assert_eq!(floats(&done, "table", "null_share")[2..], [Some(4.0 / 7.0), Some(1.0)]);
    assert_eq!(ints(&done, "table", "distinct"), [4, 4, 2, 0].map(Some), "0, 1, 3 and infinity; three near 2^63 and 0");
    assert_eq!(floats(&done, "table", "mean")[0], Some(1.0));
    assert_eq!(texts(&done, "table", "top"), ["-", "-", "true", "-"]);
    assert_eq!(done.warnings, ["1 row has an infinite value in column `x`: left out of its statistics"]);

    let empty = run::<Describe>(json!({}), &input.head(Some(0)));
    assert_eq!(floats(&empty, "table", "null_share"), [None; 4]);
    assert_eq!(metric(&empty, "duplicate_rows"), Some(0.0));
}

#[test]
fn moments_of_every_kind_are_described() {
    let cast = |name: &str, values: Vec<Option<i64>>, dtype: DataType| {
        Column::new(name.into(), values).cast(&DataType::Int64).unwrap().cast(&dtype).unwrap()
    };
    let micros = |of: i64| Some(of * 1_000_000);
    let day = Column::new("day".into(), [Some(19_723i32), None, Some(19_725)]).cast(&DataType::Date).unwrap();
    let columns = vec![
        day,
        cast("at", vec![micros(90), None, micros(30)], DataType::Datetime(TimeUnit::Microseconds, None)),
        cast("took", vec![micros(90), None, micros(30)], DataType::Duration(TimeUnit::Microseconds)),
        cast("time", vec![Some(3_600_000_000_000), None, Some(0)], DataType::Time),
    ];
    let done = run::<Describe>(json!({}), &DataFrame::new(3, columns).unwrap());
    assert_eq!(texts(&done, "table", "earliest"), ["2024-01-01", "1970-01-01 00:00:30", "30s", "00:00:00"]);
    assert_eq!(texts(&done, "table", "latest"), ["2024-01-03", "1970-01-01 00:01:30", "1m 30s", "01:00:00"]);
    assert_eq!(ints(&done, "table", "distinct"), [Some(2); 4]);
    assert_eq!(metric(&done, "duplicate_rows"), Some(0.0));
}

#[test]
fn nothing_is_told_of_personal_values() {
    let mut input = table(purchases());
    input.mark_personal(["age", "gender", "created_at"]);
    let done = Trial::new::<Describe>(json!({})).input("table", input).run().unwrap();
    let told = frame(&done.table("table"));
    assert_eq!(ints(&done, "table", "distinct")[5..], [8, 2, 16].map(Some));
    for name in ["mean", "std", "min", "q25", "median", "q75", "max", "earliest", "latest", "top", "top_count"] {
        assert_eq!(told.column(name).unwrap().slice(5, 3).null_count(), 3, "{name}");
    }
    assert!(told.column("mean").unwrap().slice(0, 5).null_count() == 0);
    assert_eq!(done.table("table").personal().count(), 0);
}

#[test]
fn columns_are_correlated() {
    // p[["sale_price", "age", "num_of_item"]].corr(), .corr("spearman"), scipy.stats.pearsonr and spearmanr
    let columns = ["sale_price", "age", "num_of_item"];
    let done = run::<Correlation>(json!({ "columns": columns }), &purchases());
    let pearson = [-0.4859135128897826, -0.16002278041856283, 0.1749886078833325];
    close(&floats(&done, "table", "correlation")[1..3], &pearson[..2]);
    let found = floats(&done, "table", "correlation");
    assert_eq!((found[0], found[4], found[8]), (Some(1.0), Some(1.0), Some(1.0)));
    close(&[found[5], found[7], found[3]], &[pearson[2], pearson[2], pearson[0]]);
    assert_eq!(texts(&done, "table", "column")[..4], ["sale_price", "sale_price", "sale_price", "age"]);
    assert_eq!(texts(&done, "table", "other")[..4], ["sale_price", "age", "num_of_item", "sale_price"]);
    close(&floats(&done, "table", "p_value")[1..2], &[0.01606942784232359]);
    close(&[metric(&done, "strongest")], &pearson[..1]);
    let figure = done.figure("figure");
    assert_eq!(figure.kind, FigureKind::Heatmap);
    assert_eq!(figure.series.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), columns);
    assert_eq!(figure.series[1].points[2].y, found[5]);

    let ranked = run::<Correlation>(json!({ "columns": columns, "method": "spearman" }), &purchases());
    let found = floats(&ranked, "table", "correlation");
    close(&[found[1], found[2], found[5]], &[-0.4223307550833327, -0.12852946661581638, 0.2060104810498419]);
    close(&floats(&ranked, "table", "p_value")[1..2], &[0.03979579382013007]);
}

#[test]
fn correlations_are_of_the_rows_that_have_both() {
    // q = p.copy(); q.loc[[0, 5, 9], "sale_price"] = nan; q.loc[[5, 20], "age"] = nan; q.corr(), q.corr("spearman")
    let columns = ["sale_price", "age", "num_of_item"];
    let done = run::<Correlation>(json!({ "columns": columns }), &with_holes());
    let found = floats(&done, "table", "correlation");
    close(&[found[1], found[2], found[5]], &[-0.43221127927419906, -0.0709673450175014, 0.16854922005412892]);
    close(&floats(&done, "table", "p_value")[1..2], &[0.05701987806682369]);
    assert_eq!(ints(&done, "table", "rows")[..3], [21, 20, 21].map(Some));
    let ranked = run::<Correlation>(json!({ "columns": columns, "method": "spearman" }), &with_holes());
    let found = floats(&ranked, "table", "correlation");
    close(&[found[1], found[2], found[5]], &[-0.3203815335724701, -0.0754378320906602, 0.20920291978248728]);
}

#[test]
fn a_constant_column_has_no_correlation() {
    let input = df!("x" => [1.0, 2.0, 3.0], "c" => [0.1, 0.1, 0.1], "name" => ["a", "b", "c"]).unwrap();
    let done = run::<Correlation>(json!({}), &input);
    assert_eq!(floats(&done, "table", "correlation"), [Some(1.0), None, None, None]);
    assert_eq!(floats(&done, "table", "p_value"), [Some(0.0), None, None, None]);
    assert_eq!(metric(&done, "strongest"), None);
    assert_eq!(done.figure("figure").series[0].points[1].y, None);

    let none = error::<Correlation>(json!({}), &input.select(["name"]).unwrap());
    assert_eq!(none.message, "there is no numeric column to correlate");
    let text = error::<Correlation>(json!({ "columns": ["x", "name"] }), &input);
    assert_eq!(text.message, "column `name` is str, a number is needed");
    let same = refused::<Correlation>(json!({ "columns": ["x", "x"] }));
    assert_eq!(same.to_string(), "columns/1: `x` is named twice");
}

#[test]
fn numbers_are_counted_by_bins() {
    // pd.cut(p.sale_price, [3, 7, 10, 20]).value_counts(sort=False)
    let done = run::<Histogram>(json!({ "column": "sale_price", "bins": [3, 7, 10, 20] }), &purchases());
    assert_eq!(texts(&done, "table", "bin"), ["(3, 7]", "(7, 10]", "(10, 20]"]);
    assert_eq!(ints(&done, "table", "count"), [4, 7, 9].map(Some));
    close(&floats(&done, "table", "share"), &[4.0 / 24.0, 7.0 / 24.0, 9.0 / 24.0]);
    assert_eq!(floats(&done, "table", "lower"), [3.0, 7.0, 10.0].map(Some));
    assert_eq!(done.warnings, ["4 of 24 values lie outside the bins: not counted"]);
    let metrics = ["values", "missing", "outside", "mean", "median"].map(|name| metric(&done, name));
    assert_eq!(metrics, [24.0, 0.0, 4.0, 11.46875, 10.0].map(Some));
    let bar = |name: &str, count| (name.to_owned(), count);
    assert_eq!(bars(&done), [bar("(3, 7]", 4.0), bar("(7, 10]", 7.0), bar("(10, 20]", 9.0)]);

    let params =
        json!({ "column": "sale_price", "bins": [3, 7, 30], "labels": ["low", "high"], "include_lowest": true });
    let named = run::<Histogram>(params, &with_holes());
    assert_eq!(texts(&named, "table", "bin"), ["low", "high"]);
    assert_eq!(ints(&named, "table", "count"), [6, 15].map(Some));
    assert_eq!(named.warnings, ["3 rows have no `sale_price`: not counted"]);

    // pd.cut(p.sale_price, 5).value_counts(sort=False)
    let equal = run::<Histogram>(json!({ "column": "sale_price", "bins": 5 }), &purchases());
    assert_eq!(ints(&equal, "table", "count"), [3, 10, 4, 0, 7].map(Some));
    assert_eq!(texts(&equal, "table", "bin")[..2], ["[3, 6.5]", "(6.5, 10]"]);

    let each = run::<Histogram>(json!({ "column": "num_of_item", "bins": "values" }), &purchases());
    assert_eq!(texts(&each, "table", "bin"), ["1", "2"]);
    assert_eq!(ints(&each, "table", "count"), [8, 16].map(Some));
}

#[test]
fn users_are_counted_by_bins() {
    // pd.cut(p.groupby("user_id").sale_price.mean(), [0, 9, 12, 15]).value_counts(sort=False)
    let params = json!({ "column": "sale_price", "per": "user_id", "agg": "mean", "bins": [0, 9, 12, 15] });
    let done = run::<Histogram>(params, &purchases());
    assert_eq!(ints(&done, "table", "count"), [4, 0, 3].map(Some));
    assert_eq!(done.warnings, ["1 of 8 values lie outside the bins: not counted"]);
    close(&[metric(&done, "mean"), metric(&done, "std")], &[10.716145833333334, 4.311931143468307]);
    assert_eq!(done.figure("figure").title, "Distribution of mean sale_price per user_id");

    // p.groupby("user_id").sale_price.agg(…).value_counts().sort_index()
    for (agg, bins, expected) in [
        ("sum", vec!["6", "18", "24.25", "25", "40.5", "41.25", "57.5", "62.75"], vec![1; 8]),
        ("min", vec!["3", "3.25", "7", "7.5", "10", "10.5"], vec![1, 1, 3, 1, 1, 1]),
        ("max", vec!["3", "10", "11", "20", "20.25", "20.5"], vec![1, 2, 1, 2, 1, 1]),
        ("first", vec!["3", "7", "10", "10.5", "20", "20.5"], vec![1, 2, 1, 2, 1, 1]),
        ("count", vec!["2", "3", "4"], vec![2, 4, 2]),
        ("n_unique", vec!["1", "2", "3", "4"], vec![1, 3, 3, 1]),
    ] {
        let params = json!({ "column": "sale_price", "per": "user_id", "agg": agg, "bins": "values" });
        let done = run::<Histogram>(params, &purchases());
        assert_eq!(texts(&done, "table", "bin"), bins, "{agg}");
        assert_eq!(ints(&done, "table", "count"), expected.into_iter().map(Some).collect::<Vec<_>>(), "{agg}");
    }

    let input =
        df!("who" => [Some("a"), Some("b"), None, Some("b")], "x" => [Some(1.0), None, Some(2.0), None]).unwrap();
    let of = |agg: &str| run::<Histogram>(json!({ "column": "x", "per": "who", "agg": agg, "bins": "values" }), &input);
    let mean = of("mean");
    assert_eq!(ints(&mean, "table", "count"), [Some(1)]);
    assert_eq!(mean.warnings, ["1 row has no `who`: left out", "1 of 2 distinct `who` have no `x`: not counted"]);
    assert_eq!(texts(&of("sum"), "table", "bin"), ["0", "1"]);
    assert_eq!(texts(&of("n_unique"), "table", "bin"), ["0", "1"]);
}

#[test]
fn histogram_params_are_checked() {
    for (params, expected) in [
        (json!({ "column": "x", "bins": [1, 3, 2] }), "bins/2: the edges must ascend, but 2 follows 3"),
        (json!({ "column": "x", "bins": [1] }), "bins: 2 to 201 edges are needed"),
        (json!({ "column": "x", "bins": 0 }), "bins: there can be 1 to 200 bins"),
        (
            json!({ "column": "x", "bins": [0, 1], "labels": ["a", "b"] }),
            "labels: 2 edges make 1 bins, but there are 2 labels",
        ),
        (json!({ "column": "x", "bins": [0, 1, 2], "labels": ["a", "a"] }), "labels/1: `a` is named twice"),
        (json!({ "column": "x", "labels": ["a"] }), "labels: only bins with given edges can be named"),
        (json!({ "column": "x", "per": "u" }), "agg: `per` needs `agg`"),
        (json!({ "column": "x", "agg": "mean" }), "per: `agg` needs `per`"),
    ] {
        assert_eq!(refused::<Histogram>(params).to_string(), expected);
    }
    let many = df!("x" => (0..300i64).collect::<Vec<_>>()).unwrap();
    let error = error::<Histogram>(json!({ "column": "x", "bins": "values" }), &many);
    assert_eq!(error.message, "there are 300 distinct values, `bins: values` shows up to 200");
}

#[test]
fn categories_are_ranked_by_count() {
    let done = run::<Top>(json!({ "column": "product_id", "n": 3 }), &purchases());
    assert_eq!(done.table("table").names().collect::<Vec<_>>(), ["rank", "product_id", "count", "share"]);
    assert_eq!(ints(&done, "table", "rank"), [1, 2, 3].map(Some));
    assert_eq!(ints(&done, "table", "product_id"), [101, 102, 103].map(Some));
    assert_eq!(ints(&done, "table", "count"), [8, 7, 6].map(Some));
    close(&floats(&done, "table", "share"), &[8.0 / 24.0, 7.0 / 24.0, 0.25]);
    assert_eq!(metric(&done, "distinct"), Some(4.0));
    close(&[metric(&done, "covered")], &[21.0 / 24.0]);
    assert_eq!(bars(&done)[0], ("101".to_owned(), 8.0));

    let input = df!("x" => [Some("b"), Some("a"), None, Some("c"), Some("a"), Some("b")]).unwrap();
    let ties = run::<Top>(json!({ "column": "x", "n": 1 }), &input);
    assert_eq!(texts(&ties, "table", "x"), ["a"], "equally frequent ones ascend");
    assert_eq!((metric(&ties, "rows"), metric(&ties, "missing")), (Some(5.0), Some(1.0)));

    let fractions = error::<Top>(json!({ "column": "sale_price" }), &purchases());
    assert_eq!(fractions.message, "column `sale_price` is f64, categories are needed");
    let taken = refused::<Top>(json!({ "column": "count" }));
    assert_eq!(taken.to_string(), "column: `count` is another column of the output");
}

#[test]
fn two_columns_are_counted_together() {
    // ct = pd.crosstab(p.gender, p.product_id); scipy.stats.chi2_contingency(ct, correction=False)
    let done = run::<Crosstab>(json!({ "rows": "gender", "columns": "product_id" }), &purchases());
    assert_eq!(texts(&done, "table", "gender"), ["F", "F", "F", "F", "M", "M", "M", "M"]);
    assert_eq!(ints(&done, "table", "product_id"), [101, 102, 103, 104, 101, 102, 103, 104].map(Some));
    assert_eq!(ints(&done, "table", "count"), [3, 4, 2, 3, 5, 3, 4, 0].map(Some));
    close(&floats(&done, "table", "row_share")[..2], &[0.25, 4.0 / 12.0]);
    close(&floats(&done, "table", "column_share")[..2], &[0.375, 4.0 / 7.0]);
    assert_eq!(floats(&done, "table", "expected")[4..], [4.0, 3.5, 3.0, 1.5].map(Some));
    close(
        &["chi2", "dof", "p_value", "cramers_v"].map(|name| metric(&done, name)),
        &[4.309523809523809, 3.0, 0.22992267884008513, 0.4237493269180401],
    );
    assert_eq!(done.warnings, ["in 8 of 8 cells fewer than 5 rows are expected: the p-value is rough"]);
    let figure = done.figure("figure");
    assert_eq!((figure.kind, figure.series.len()), (FigureKind::Bar, 2));
    assert_eq!((figure.series[1].name.as_str(), figure.series[1].points[2].y), ("gender M", Some(4.0)));

    // ct[[101, 102]]
    let params = json!({ "rows": "gender", "columns": "product_id", "max_columns": 2, "show": "row_share" });
    let top = run::<Crosstab>(params, &purchases());
    assert_eq!(ints(&top, "table", "count"), [3, 4, 5, 3].map(Some));
    close(
        &["chi2", "dof", "p_value", "cramers_v", "rows", "left_out"].map(|name| metric(&top, name)),
        &[0.578762755102041, 1.0, 0.4467976904477863, 0.19642857142857145, 15.0, 9.0],
    );
    assert_eq!(top.warnings[0], "9 rows have a less frequent category: left out");
    assert_eq!(top.figure("figure").series[0].points[0].y, Some(3.0 / 7.0));

    let heat = run::<Crosstab>(json!({ "rows": "user_id", "columns": "product_id" }), &purchases());
    assert_eq!((heat.figure("figure").kind, heat.figure("figure").series.len()), (FigureKind::Heatmap, 8));
}

#[test]
fn rows_without_a_category_are_left_out_of_a_crosstab() {
    let input = df!("a" => [Some("x"), Some("x"), None], "b" => [Some(1i64), None, Some(2)]).unwrap();
    let done = run::<Crosstab>(json!({ "rows": "a", "columns": "b" }), &input);
    assert_eq!(done.warnings, ["2 rows have no `a` or no `b`: left out"]);
    assert_eq!((ints(&done, "table", "b"), metric(&done, "p_value")), (vec![Some(1)], Some(1.0)));
    assert_eq!(metric(&done, "cramers_v"), None);
    let same = refused::<Crosstab>(json!({ "rows": "a", "columns": "a" }));
    assert_eq!(same.to_string(), "columns: `a` is `rows` already");
    let many = df!("a" => (0..400i64).collect::<Vec<_>>(), "b" => (0..400i64).collect::<Vec<_>>()).unwrap();
    let error = error::<Crosstab>(json!({ "rows": "a", "columns": "b" }), &many);
    assert_eq!(error.message, "400 categories of `a` by 400 of `b` are 160000 cells, more than 100000");
}

/// What a stage discloses, and which output columns may be personal when these of its input are.
fn privacy<S: Stage>(params: Value, personal: &[&str]) -> (Vec<String>, PersonalColumns) {
    let stage = StageType::of::<S>("test").configure(&params).unwrap();
    let shown = stage.discloses();
    assert!(shown.iter().all(|shown| (shown.port, shown.to) == ("table", "the report")));
    let inputs = [("table".to_owned(), personal.iter().map(|name| (*name).to_owned()).collect())].into();
    (shown.into_iter().filter_map(|shown| shown.columns).flatten().collect(), stage.personal(&inputs))
}

#[test]
fn values_that_are_shown_are_disclosed() {
    let none = |port: &str| PersonalColumns::from([(port.to_owned(), [].into())]);
    let personal = ["email", "age", "top"];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let marked = PersonalColumns::from([("table".to_owned(), ["top".to_owned()].into())]);
    assert_eq!(privacy::<Describe>(json!({}), &personal), (vec![], marked));
    assert_eq!(privacy::<Correlation>(json!({}), &personal), (vec![], none("table")));
    let params = json!({ "columns": ["age", "price"] });
    assert_eq!(privacy::<Correlation>(params, &personal), (names(&["age", "price"]), none("table")));
    assert_eq!(privacy::<Histogram>(json!({ "column": "age" }), &personal), (names(&["age"]), none("table")));
    let params = json!({ "column": "email", "per": "email", "agg": "n_unique" });
    assert_eq!(privacy::<Histogram>(params, &personal), (vec![], none("table")), "counts tell no values");
    let params = json!({ "column": "age", "per": "email", "agg": "max" });
    assert_eq!(privacy::<Histogram>(params, &personal).0, ["age"]);
    let top = privacy::<Top>(json!({ "column": "email" }), &personal);
    assert_eq!((top.0, top.1["table"].len()), (names(&["email"]), 1));
    let crosstab = privacy::<Crosstab>(json!({ "rows": "age", "columns": "city" }), &personal);
    assert_eq!((crosstab.0, crosstab.1["table"].len()), (names(&["age", "city"]), 1));
    let select = privacy::<Select>(json!({ "target": "y", "keep": ["age"] }), &personal);
    assert_eq!(select.0, names(&[]));
    assert_eq!(select.1["table"].iter().collect::<Vec<_>>(), ["age"]);
    assert_eq!(select.1["scores"].len(), 0);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let input = selection::sample();
    let bytes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            [
                run::<Describe>(json!({}), &input).bytes(),
                run::<Correlation>(json!({ "method": "spearman" }), &input).bytes(),
                run::<Select>(json!({ "target": "y", "max_correlation": 0.9 }), &input).bytes(),
            ]
        })
    };
    assert_eq!(bytes(1), bytes(4));
}
