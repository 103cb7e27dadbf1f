use polars::prelude::df;
use serde_json::json;
use stagewright_clean::Join;

use super::*;

fn trial(params: Value, left: impl Into<TableOf>, right: impl Into<TableOf>) -> Trial {
    Trial::new::<Join>(params).input("left", left.into().0).input("right", right.into().0)
}

fn join(params: Value, left: impl Into<TableOf>, right: impl Into<TableOf>) -> Done {
    trial(params, left, right).run().unwrap_or_else(|error| panic!("{error}"))
}

fn left() -> DataFrame {
    df!("k" => [Some(2i64), Some(1), Some(3), Some(1), None], "a" => [10i64, 20, 30, 40, 50]).unwrap()
}

fn right() -> DataFrame {
    df!("k" => [Some(1i64), Some(1), Some(2), Some(4), None], "a" => [5i64, 6, 7, 8, 9]).unwrap()
}

// Expected rows: pandas.merge with suffixes ("", "_right") without the null keys, which pandas would match.
#[test]
fn every_way_in_order() {
    let how = |how: &str| {
        let done = join(json!({ "on": ["k"], "how": how }), left(), right());
        names(&done).iter().map(|name| format!("{name}: {}", values(&done, name))).collect::<Vec<_>>()
    };
    assert_eq!(how("inner"), ["k: 2 1 1 1 1", "a: 10 20 20 40 40", "a_right: 7 5 6 5 6"]);
    assert_eq!(how("left"), ["k: 2 1 1 3 1 1 null", "a: 10 20 20 30 40 40 50", "a_right: 7 5 6 null 5 6 null"]);
    assert_eq!(
        how("full"),
        ["k: 2 1 1 3 1 1 null 4 null", "a: 10 20 20 30 40 40 50 null null", "a_right: 7 5 6 null 5 6 null 8 9"]
    );
    assert_eq!(how("semi"), ["k: 2 1 1", "a: 10 20 40"]);
    assert_eq!(how("anti"), ["k: 3 null", "a: 30 50"]);
}

#[test]
fn keys_with_other_names_and_several_keys() {
    let right = df!("id" => [1i64, 2], "k" => ["x", "y"], "b" => [0.5, 1.5]).unwrap();
    let done = join(json!({ "left_on": ["k"], "right_on": ["id"], "suffix": "_p" }), left(), right);
    assert_eq!(names(&done), ["k", "a", "k_p", "b"]);
    assert_eq!(values(&done, "k_p"), "y x x");
    let people = df!("city" => ["A", "A", "B"], "year" => [1i64, 2, 1], "n" => [1i64, 2, 3]).unwrap();
    let events = df!("y" => [1i64, 1, 2], "c" => ["B", "A", "B"], "m" => [7i64, 8, 9]).unwrap();
    for (how, n, m) in [("inner", "1 3", "8 7"), ("left", "1 2 3", "8 null 7"), ("full", "1 2 3 null", "8 null 7 9")] {
        let params = json!({ "left_on": ["city", "year"], "right_on": ["c", "y"], "how": how });
        let done = join(params, people.clone(), events.clone());
        assert_eq!((values(&done, "n").as_str(), values(&done, "m").as_str()), (n, m), "{how}");
        assert_eq!(names(&done), ["city", "year", "n", "m"]);
    }
}

/// On tables large enough that polars splits the work, the order is still that of a nested loop.
#[test]
fn order_of_many_rows() {
    let keys = |n: i64, step: i64| (0..n).map(|i| i * step % 997).collect::<Vec<i64>>();
    let (left_keys, right_keys) = (keys(20_000, 7919), keys(3_000, 31));
    let left = df!("k" => &left_keys, "l" => (0..20_000i64).collect::<Vec<_>>()).unwrap();
    let right = df!("k" => &right_keys, "r" => (0..3_000i64).collect::<Vec<_>>()).unwrap();
    let mut partners = vec![Vec::new(); 997];
    right_keys.iter().enumerate().for_each(|(row, key)| partners[*key as usize].push(row as i64));
    let expected: Vec<(i64, i64)> = left_keys
        .iter()
        .enumerate()
        .flat_map(|(row, key)| partners[*key as usize].iter().map(move |partner| (row as i64, *partner)))
        .collect();
    for how in ["inner", "left", "full"] {
        let done = frame(&join(json!({ "on": ["k"], "how": how }), left.clone(), right.clone()).table("table"));
        let column = |name: &str| done.column(name).unwrap().i64().unwrap().iter().flatten().collect::<Vec<_>>();
        let found: Vec<(i64, i64)> = column("l").into_iter().zip(column("r")).collect();
        assert!(found == expected, "{how}");
    }
    let semi = frame(&join(json!({ "on": ["k"], "how": "semi" }), left, right).table("table"));
    let rows: Vec<i64> = semi.column("l").unwrap().i64().unwrap().iter().flatten().collect();
    assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn marks_follow() {
    let left = df!("uid" => [1i64, 2], "name" => ["x", "y"], "n" => [1i64, 2]).unwrap();
    let right = df!("id" => [1i64, 3], "name" => ["anna", "bo"], "city" => ["P", "L"]).unwrap();
    let params = |how: &str| json!({ "left_on": ["uid"], "right_on": ["id"], "how": how });
    for how in ["inner", "left", "full"] {
        let done = join(params(how), left.clone(), marked(right.clone(), &["id", "name"]));
        // `name` is marked for bearing the name of a personal column; `uid` holds the values of `id`.
        assert_eq!(personal(&done), ["name", "name_right", "uid"], "{how}");
    }
    let done = join(params("inner"), marked(left.clone(), &["name"]), right.clone());
    assert_eq!(personal(&done), ["name"]);
    let done = join(params("semi"), left, marked(right, &["id", "city"]));
    assert_eq!(names(&done), ["uid", "name", "n"]);
    assert_eq!(personal(&done), ["uid"]);
}

#[test]
fn validation() {
    let message = |validate: &str, left: TableOf, right: TableOf| {
        failure(trial(json!({ "on": ["k"], "validate": validate }), left.0, right.0)).0
    };
    assert_eq!(
        message("one_to_many", left().into(), right().into()),
        "the join is not one_to_many: 1 of 5 rows in `left` repeats a key (`k`) of an earlier row, such as `1`"
    );
    assert_eq!(
        message("many_to_one", left().into(), marked(right(), &["k"]).into()),
        "the join is not many_to_one: 1 of 5 rows in `right` repeats a key (`k`) of an earlier row"
    );
    assert!(message("one_to_one", left().into(), right().into()).contains("in `left`"));
    // Repeated nulls match nothing.
    let nulls = df!("k" => [None, None, Some(1i64)]).unwrap();
    join(json!({ "on": ["k"], "validate": "one_to_one" }), nulls.clone(), nulls);
}

#[test]
fn refuses() {
    assert_eq!(refused::<Join>(json!({})), ": the keys are not named");
    assert_eq!(refused::<Join>(json!({ "left_on": ["a"] })), "left_on: `left_on` needs `right_on`");
    assert_eq!(
        refused::<Join>(json!({ "left_on": ["a"], "right_on": ["b", "c"] })),
        "right_on: 1 key on the left, but 2 on the right"
    );
    assert_eq!(
        refused::<Join>(json!({ "on": ["a"], "left_on": ["a"], "right_on": ["b"] })),
        "on: `on` excludes `left_on` and `right_on`"
    );
    assert_eq!(refused::<Join>(json!({ "on": ["a", "a"] })), "on/1: `a` is named twice");
    let error = failure(trial(json!({ "on": ["k"] }), left(), df!("k" => ["1"]).unwrap()));
    assert_eq!(error.0, "key `k` of `left` is int64, key `k` of `right` is string");
    let error = failure(trial(json!({ "on": ["k"] }), left(), df!("kk" => [1i64]).unwrap()));
    assert_eq!(error.0, "input `right`: there is no column `k`");
    let clash = df!("k" => [1i64], "a" => [1i64], "a_right" => [2i64]).unwrap();
    let error = failure(trial(json!({ "on": ["k"] }), left(), clash));
    assert_eq!(error.0, "there would be two columns named `a_right`");
}
