use polars::prelude::df;
use serde_json::json;
use stagewright_clean::{Bin, Fill, Outliers};

use super::*;

// Expected bins: pandas.cut([-1, 0, 1, 9, 9.5, 20, 21, None], [0, 9, 20], labels=["low", "high"], …), pandas 3.1.1.
#[test]
fn bins_as_pandas() {
    let data =
        df!("x" => [Some(-1.0), Some(0.0), Some(1.0), Some(9.0), Some(9.5), Some(20.0), Some(21.0), None]).unwrap();
    let bins = |extra: Value| {
        let mut params = json!({ "column": "x", "edges": [0, 9, 20], "labels": ["low", "high"] });
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        values(&run::<Bin>(params, data.clone()), "x_bin")
    };
    assert_eq!(bins(json!({})), "null null low low high high null null");
    assert_eq!(bins(json!({ "include_lowest": true })), "null low low low high high null null");
    assert_eq!(bins(json!({ "right": false })), "null low low high high null null null");
    assert_eq!(bins(json!({ "right": false, "include_lowest": true })), "null low low high high null null null");
}

#[test]
fn bins_are_named_by_their_edges() {
    let data = df!("x" => [0i64, 9, 10], "n" => [f64::NAN, f64::INFINITY, 0.5]).unwrap();
    let label = |params: Value| {
        let done = run::<Bin>(params, data.clone());
        (names(&done).join(" "), values(&done, "b"))
    };
    let named = label(json!({ "column": "x", "edges": [0, 9, 20.5], "include_lowest": true, "into": "b" }));
    assert_eq!(named, ("x n b".to_owned(), "[0, 9] [0, 9] (9, 20.5]".to_owned()));
    let named = label(json!({ "column": "n", "edges": [0, 1e20], "right": false, "into": "b" }));
    assert_eq!(named.1, "null null [0, 1e20)");
}

#[test]
fn bins_carry_marks() {
    let data = df!("age" => [17i64, 40], "id" => [1i64, 2]).unwrap();
    let params = json!({ "column": "age", "edges": [0, 18, 99], "into": "group" });
    assert_eq!(personal(&run::<Bin>(params.clone(), marked(data.clone(), &["age"]))), ["age", "group"]);
    assert_eq!(personal(&run::<Bin>(params, marked(data, &["id"]))), ["id"]);
}

#[test]
fn bins_refuse() {
    let refuse = |edges: Value| refused::<Bin>(json!({ "column": "x", "edges": edges }));
    assert_eq!(refuse(json!([0, 9, 9])), "edges/2: the edges must ascend, but 9 follows 9");
    assert_eq!(refuse(json!([1])), "edges: at least two edges are needed");
    assert_eq!(
        refused::<Bin>(json!({ "column": "x", "edges": [0, 1, 2], "labels": ["a"] })),
        "labels: 3 edges make 2 bins, but there are 1 labels"
    );
    let error = fails::<Bin>(json!({ "column": "x", "edges": [0, 1] }), df!("x" => ["a"]).unwrap());
    assert!(error.0.starts_with("column `x` is str"), "{error:?}");
}

// Expected values: pandas.Series([1, None, 2, 2, 7, None, 4]).mean() and so on.
#[test]
fn fills_from_the_column() {
    let data = df!("x" => [Some(1i64), None, Some(2), Some(2), Some(7), None, Some(4)]).unwrap();
    let fill = |strategy: &str| run::<Fill>(json!({ "strategy": { "x": strategy } }), data.clone());
    assert_eq!(values(&fill("mean"), "x"), "1.0 3.2 2.0 2.0 7.0 3.2 4.0");
    assert_eq!(values(&fill("median"), "x"), "1.0 2.0 2.0 2.0 7.0 2.0 4.0");
    assert_eq!(values(&fill("most_frequent"), "x"), "1 2 2 2 7 2 4");
    assert_eq!(values(&fill("forward"), "x"), "1 1 2 2 7 7 4");
    assert_eq!(values(&fill("zero"), "x"), "1 0 2 2 7 0 4");
    assert_eq!(types(&fill("mean")), ["double"]);
    assert_eq!(types(&fill("zero")), ["int64"]);
}

#[test]
fn fills_edge_cases() {
    // Of equally frequent values the smallest.
    let data = df!("x" => [Some("b"), Some("a"), None, Some("b"), Some("a")]).unwrap();
    assert_eq!(values(&run::<Fill>(json!({ "strategy": { "x": "most_frequent" } }), data), "x"), "b a a b a");
    let data = df!("x" => [None, Some(f64::NAN), Some(3.0), Some(f64::NAN)]).unwrap();
    let done = run::<Fill>(json!({ "strategy": { "x": "forward" } }), data.clone());
    assert_eq!(values(&done, "x"), "null null 3.0 3.0");
    assert_eq!(done.warnings, ["2 gaps in column `x` could not be filled: it has no value above them"]);
    let done = run::<Fill>(json!({ "strategy": { "x": "mean" } }), data.head(Some(2)));
    assert_eq!(values(&done, "x"), "null null");
    assert_eq!(done.warnings, ["2 gaps in column `x` could not be filled: it holds no value"]);
}

#[test]
fn fills_with_constants() {
    let data = df!(
        "i" => [None, Some(1i64)], "f" => [Some(f64::NAN), None], "s" => [None, Some("x")], "b" => [None, Some(true)]
    )
    .unwrap();
    let done =
        run::<Fill>(json!({ "values": { "i": 7, "f": 1, "s": "none", "b": false } }), marked(data.clone(), &["s"]));
    assert_eq!(values(&done, "i"), "7 1");
    assert_eq!(values(&done, "f"), "1.0 1.0");
    assert_eq!(values(&done, "s"), "none x");
    assert_eq!(values(&done, "b"), "false true");
    assert_eq!(personal(&done), ["s"]);
    assert_eq!(types(&done), ["int64", "double", "string", "bool"]);
    for (column, value) in [("i", json!(0.5)), ("i", json!("x")), ("s", json!(0)), ("b", json!(1)), ("f", json!("0"))] {
        let error = fails::<Fill>(json!({ "values": { column: value } }), data.clone());
        assert!(
            error.0.starts_with(&format!("column `{column}` is ")) && error.0.ends_with("is no value of"),
            "{error:?}"
        );
    }
    let error = fails::<Fill>(json!({ "strategy": { "s": "mean" } }), data);
    assert_eq!(error.0, "column `s` is string, a number is needed");
    assert!(refused::<Fill>(json!({})).contains("nothing says which columns to fill"));
    assert_eq!(
        refused::<Fill>(json!({ "values": { "x": 1 }, "strategy": { "x": "mean" } })),
        "strategy/x: `x` is filled by `values` already"
    );
}

const X: [f64; 20] =
    [10., 12., 12., 13., 12., 11., 14., 13., 15., 102., 12., 14., 13., 12., 11., -40., 13., 14., 12., 10.];

fn outliers(method: &str, k: Option<f64>, action: &str) -> Done {
    let mut params = json!({ "columns": ["x"], "method": method, "action": action });
    if let Some(k) = k {
        params["k"] = json!(k);
    }
    let rows: Vec<i64> = (0..20).collect();
    run::<Outliers>(params, df!("x" => X, "row" => rows).unwrap())
}

// Expected values: numpy.quantile(x, [.25, .75]) = [11.75, 13.25], so the fences are 9.5 and 15.5;
// x.mean() = 14.25, x.std() = 23.1708…; |z| > 3 in row 9, |z| > 2 in rows 9 and 15.
#[test]
fn outliers_as_numpy() {
    let gone = |done: &Done| {
        let rows = values(done, "row");
        let kept: Vec<usize> = rows.split(' ').map(|row| row.parse().unwrap()).collect();
        (0..20).filter(|row| !kept.contains(row)).collect::<Vec<usize>>()
    };
    assert_eq!(gone(&outliers("iqr", None, "drop")), [9, 15]);
    assert_eq!(gone(&outliers("zscore", None, "drop")), [9]);
    assert_eq!(gone(&outliers("zscore", Some(2.0), "drop")), [9, 15]);
    let clipped = frame(&outliers("iqr", None, "clip").table("table"));
    let clipped = clipped.column("x").unwrap().f64().unwrap().clone();
    assert_eq!((clipped.get(9), clipped.get(15), clipped.get(0)), (Some(15.5), Some(9.5), Some(10.0)));
    let nulled = frame(&outliers("iqr", None, "set_null").table("table"));
    assert_eq!(nulled.column("x").unwrap().null_count(), 2);
    let clipped = frame(&outliers("zscore", None, "clip").table("table"));
    let highest = clipped.column("x").unwrap().f64().unwrap().get(9).unwrap();
    assert!((highest - 83.762_498_876_101_42).abs() < 1e-9);
}

#[test]
fn outliers_are_marked() {
    let data = df!(
        "x" => [Some(1i64), Some(2), Some(3), Some(2), Some(900), None], "y" => [-5e5, 0.0, 0.1, f64::NAN, 0.2, 0.1]
    )
    .unwrap();
    let params = json!({ "columns": ["x", "y"], "method": "iqr", "action": "mark" });
    let done = run::<Outliers>(params.clone(), marked(data.clone(), &["y"]));
    assert_eq!(values(&done, "is_outlier"), "true false false false true false");
    assert_eq!(personal(&done), ["is_outlier", "y"]);
    assert_eq!(types(&done), ["int64", "double", "bool"]);
    let params = json!({ "columns": ["x"], "method": "iqr", "action": "mark" });
    assert_eq!(personal(&run::<Outliers>(params, marked(data, &["y"]))), ["y"]);
}

#[test]
fn outliers_edge_cases() {
    let mark = |x: &[f64], method: &str| {
        let params = json!({ "columns": ["x"], "method": method, "action": "mark", "k": 0.5 });
        values(&run::<Outliers>(params, df!("x" => x).unwrap()), "is_outlier")
    };
    for method in ["iqr", "zscore"] {
        assert_eq!(mark(&[0.1; 7], method), "false false false false false false false");
        assert_eq!(mark(&[0.1, 0.1, f64::INFINITY, f64::NAN], method), "false false true false");
        assert_eq!(mark(&[f64::NAN], method), "false");
        assert_eq!(mark(&[], method), "");
    }
    let text = df!("x" => ["a"]).unwrap();
    let error = fails::<Outliers>(json!({ "columns": ["x"], "method": "iqr", "action": "drop" }), text);
    assert!(error.0.starts_with("column `x` is str"), "{error:?}");
    assert_eq!(
        refused::<Outliers>(json!({ "columns": ["x"], "method": "iqr", "action": "drop", "k": 0 })),
        "k: `k` must be above 0"
    );
}
