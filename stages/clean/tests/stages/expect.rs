use std::sync::Arc;

use polars::prelude::{DataType, df};
use serde_json::json;
use stagewright_clean::Expect;
use stagewright_contract::Artifact;

use super::*;

fn orders() -> DataFrame {
    let mut data = df!(
        "id" => [1i64, 2, 2, 4, 2],
        "user" => [Some(1i64), Some(9), None, Some(8), Some(9)],
        "age" => [Some(-1.0), Some(30.0), Some(f64::NAN), Some(200.0), None],
        "status" => [Some("done"), Some("lost"), None, Some("gone"), Some("lost")],
        "day" => ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2023-12-31"]
    )
    .unwrap();
    let day = data.column("day").unwrap().strict_cast(&DataType::Date).unwrap();
    data.with_column(day).unwrap();
    data
}

fn users() -> DataFrame {
    df!("id" => [1i64, 2, 3]).unwrap()
}

fn checks(severity: &str) -> Value {
    let mut checks = json!([
        { "check": "not_null", "columns": ["id", "age"] },
        { "check": "unique", "column": "id" },
        { "check": "unique", "columns": ["user", "status"] },
        { "check": "between", "column": "age", "min": 0, "max": 120 },
        { "check": "between", "column": "day", "min": "2024-01-01" },
        { "check": "in_set", "column": "status", "values": ["done", "sent"] },
        { "check": "foreign_key", "column": "user", "references": "id" },
        { "check": "row_count", "min": 6 },
    ]);
    for check in checks.as_array_mut().unwrap() {
        check["severity"] = json!(severity);
    }
    json!({ "checks": checks })
}

#[test]
fn reports_every_check() {
    let table = Arc::new(marked(orders(), &["status"]));
    let done =
        Trial::new::<Expect>(checks("warn")).input("table", Arc::clone(&table)).input("parent", self::table(users()));
    let done = done.run().unwrap();
    let Some(Artifact::Table(passed)) = done.outputs.get("table") else { panic!("no table") };
    assert!(Arc::ptr_eq(passed, &table), "the table is shared");
    let report = frame(&done.table("report"));
    let columns: Vec<&str> = report.get_column_names().into_iter().map(|name| name.as_str()).collect();
    assert_eq!(columns, ["check", "column", "severity", "passed", "checked", "failed", "sample"]);
    assert_eq!(texts(&report, "check"), "not_null not_null unique unique between between in_set foreign_key row_count");
    assert_eq!(texts(&report, "column"), "id age id user, status age day status user null");
    assert_eq!(texts(&report, "passed"), "true false false false false false false false false");
    assert_eq!(texts(&report, "checked"), "5 5 5 4 3 5 4 4 5");
    assert_eq!(texts(&report, "failed"), "0 2 2 1 2 1 3 3 1");
    // `status` is personal, so neither it nor a combination with it is shown.
    assert_eq!(texts(&report, "sample"), "null null 2 null -1.0, 200.0 2023-12-31 null 9, 8 null");
    assert_eq!(
        done.warnings,
        [
            "`age` is null in 2 of 5 rows",
            "`id` repeats an earlier value in 2 of 5 rows (such as `2`)",
            "`user, status` repeats an earlier value in 1 of 4 rows",
            "`age` is not between 0 and 120 in 2 of 3 rows (such as `-1.0`, `200.0`)",
            "`day` is below 2024-01-01 in 1 of 5 rows (such as `2023-12-31`)",
            "`status` is not among the allowed values in 3 of 4 rows",
            "`user` is not in `id` of `parent` in 3 of 4 rows (such as `9`, `8`)",
            "the table has 5 rows, expected at least 6",
        ]
    );
}

#[test]
fn fails_with_every_failed_check() {
    let trial = Trial::new::<Expect>(checks("error"))
        .input("table", self::table(orders()))
        .input("parent", self::table(users()));
    let (message, help) = failure(trial);
    assert!(message.starts_with("8 of 9 checks failed: `age` is null in 2 of 5 rows; `id` repeats"), "{message}");
    assert!(message.ends_with("; the table has 5 rows, expected at least 6"), "{message}");
    assert!(
        message.contains("`status` is not among the allowed values in 3 of 4 rows (such as `lost`, `gone`)"),
        "{message}"
    );
    assert!(help.contains("severity: warn"));
}

#[test]
fn a_foreign_key_to_a_personal_column_is_not_shown() {
    let params = json!({ "checks": [{ "check": "foreign_key", "column": "user", "references": "id" }] });
    let trial = Trial::new::<Expect>(params.clone()).input("table", self::table(orders()));
    let (message, help) = failure(trial.input("parent", marked(users(), &["id"])));
    assert_eq!(message, "1 of 1 check failed: `user` is not in `id` of `parent` in 3 of 4 rows");
    assert!(help.contains("mend"));
    assert_eq!(fails::<Expect>(params.clone(), orders()).0, "check `foreign_key` on `user` needs input `parent`");
    let trial = Trial::new::<Expect>(params).input("table", self::table(orders()));
    let (message, _) = failure(trial.input("parent", self::table(df!("id" => ["1"]).unwrap())));
    assert_eq!(message, "column `user` is int64, column `id` of `parent` is string");
}

#[test]
fn samples_are_few_and_short() {
    let long = "x".repeat(100);
    let values: Vec<String> = (0..20).map(|i| format!("{i}-{long}")).collect();
    let params = json!({ "checks": [{ "check": "in_set", "column": "v", "values": ["a"], "severity": "warn" }] });
    let done = run::<Expect>(params, df!("v" => values).unwrap());
    let sample = texts(&frame(&done.table("report")), "sample");
    assert_eq!(sample.split(", ").count(), 5);
    assert!(sample.split(", ").all(|value| value.chars().count() == 41 && value.ends_with('…')), "{sample}");
}

#[test]
fn bounds_of_every_kind() {
    let passes = |column: &str, extra: Value| {
        let mut check = json!({ "check": "between", "column": column, "severity": "warn" });
        check.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let done = run::<Expect>(json!({ "checks": [check] }), orders());
        done.warnings.is_empty()
    };
    assert!(passes("id", json!({ "min": 1, "max": 4 })));
    assert!(passes("id", json!({ "min": 0.5, "max": 4.5 })));
    assert!(!passes("id", json!({ "min": 1.5 })));
    assert!(!passes("id", json!({ "max": 3.999 })));
    assert!(passes("day", json!({ "min": "2023-12-31", "max": "2024-01-04" })));
    assert!(passes("age", json!({ "min": -1, "max": 200 })));
    let refuse = |column: &str, min: Value| {
        let check = json!({ "check": "between", "column": column, "min": min });
        fails::<Expect>(json!({ "checks": [check] }), orders()).0
    };
    assert_eq!(refuse("status", json!(3)), "column `status` is string, which cannot be compared with `3`");
    assert_eq!(
        refuse("day", json!("31/12/2024")),
        "column `day` is date32, which cannot be compared with `31/12/2024`"
    );
}

#[test]
fn checks_take_only_their_own_parameters() {
    let refuse = |check: Value| refused::<Expect>(json!({ "checks": [{ "check": "row_count", "min": 1 }, check] }));
    assert_eq!(
        refuse(json!({ "check": "between", "column": "a" })),
        "checks/1/check: check `between` needs `min` or `max`"
    );
    assert_eq!(refuse(json!({ "check": "between", "min": 1 })), "checks/1/check: check `between` needs `column`");
    assert_eq!(
        refuse(json!({ "check": "unique", "column": "a", "min": 1 })),
        "checks/1/min: check `unique` has no `min`"
    );
    assert_eq!(refuse(json!({ "check": "not_null" })), "checks/1/check: check `not_null` needs `column` or `columns`");
    assert_eq!(
        refuse(json!({ "check": "not_null", "column": "a", "columns": ["b"] })),
        "checks/1/columns: `column` and `columns` exclude each other"
    );
    assert_eq!(
        refuse(json!({ "check": "between", "column": "a", "min": 5, "max": 1 })),
        "checks/1/max: `max` (1) is below `min` (5)"
    );
    assert_eq!(
        refuse(json!({ "check": "row_count", "min": 1.5 })),
        "checks/1/min: `min` must be a number of rows, not `1.5`"
    );
    assert_eq!(refuse(json!({ "check": "in_set", "column": "a" })), "checks/1/check: check `in_set` needs `values`");
    assert_eq!(
        fails::<Expect>(json!({ "checks": [{ "check": "unique", "column": "ida" }] }), orders()).1,
        "did you mean `id`?"
    );
}
