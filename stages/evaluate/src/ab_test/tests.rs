#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, IntoLazy, col, df, lit};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Goal, StageError};
use stagewright_frame::testkit::{frame, table};

use super::AbTest;

const UNITS: i64 = 600;

/// Whether a unit bought, how much it spent, and on how many items: of the arms none, mail and app in turn.
fn did(i: i64) -> (bool, f64, i64) {
    let bought = [i % 10 == 0, i % 5 < 2, i % 27 == 2][usize::try_from(i % 3).unwrap()];
    let spent = if bought { 5 + before(i) + i % 4 } else { 0 };
    (bought, spent as f64, if bought { 1 + i % 2 } else { 0 })
}

/// What a unit had spent before.
fn before(i: i64) -> i64 {
    10 + i * 7 % 13
}

fn arm(i: i64) -> &'static str {
    ["none", "mail", "app"][usize::try_from(i % 3).unwrap()]
}

/// A row per unit.
fn assignment() -> DataFrame {
    df![
        "user" => (0..UNITS).collect::<Vec<_>>(),
        "arm" => (0..UNITS).map(arm).collect::<Vec<_>>(),
        "before" => (0..UNITS).map(before).collect::<Vec<_>>(),
        "bought" => (0..UNITS).map(|i| did(i).0).collect::<Vec<_>>(),
        "spend" => (0..UNITS).map(|i| did(i).1).collect::<Vec<_>>(),
        "items" => (0..UNITS).map(|i| did(i).2).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn params(more: Value) -> Value {
    let mut params = json!({
        "control": "none",
        "metrics": [
            { "column": "bought", "kind": "proportion" },
            { "column": "spend" },
            { "name": "price", "column": "spend", "kind": "ratio", "denominator": "items" },
        ],
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn run(more: Value) -> Result<Done, StageError> {
    Trial::new::<AbTest>(params(more)).input("assignment", table(assignment())).run()
}

/// The numbers of a row of `results`.
fn numbers<const N: usize>(done: &Done, metric: &str, arm: &str, columns: [&str; N]) -> [Option<f64>; N] {
    let results = frame(&done.table("results"));
    let text = |column: &str, row: usize| results.column(column).unwrap().str().unwrap().get(row);
    let row = (0..results.height()).find(|row| (text("metric", *row), text("arm", *row)) == (Some(metric), Some(arm)));
    columns.map(|column| results.column(column).unwrap().f64().unwrap().get(row.unwrap()))
}

fn texts(done: &Done, port: &str, column: &str) -> Vec<Option<String>> {
    let table = frame(&done.table(port));
    table.column(column).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

fn words(done: &Done, port: &str, column: &str) -> Vec<String> {
    texts(done, port, column).into_iter().flatten().collect()
}

fn same<const N: usize>(found: [Option<f64>; N], expected: [f64; N]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.unwrap() - expected).abs() < 1e-8 * expected.abs().max(1e-3), "{found:?} and not {expected}");
    }
}

#[test]
fn results_are_those_of_statsmodels_and_scipy() {
    let done = run(json!({})).unwrap();
    let columns = ["value", "control_value", "p_value", "lower", "upper"];
    // statsmodels: proportions_ztest, confint_proportions_2indep(method="newcomb").
    let [value, control, p, lower, upper] = numbers(&done, "bought", "mail", columns);
    same([value, control, p, lower, upper], [0.4, 0.1, 4.262191597843584e-12, 0.21804063463992168, 0.3772144891884276]);
    // scipy.stats.ttest_ind(equal_var=False).
    same(
        numbers(&done, "spend", "mail", columns),
        [9.0, 2.2, 2.243538382176613e-12, 4.967398644643717, 8.632601355356282],
    );
    // Ratios by numpy.
    let [value, control, p] = numbers(&done, "price", "mail", ["value", "control_value", "p_value"]);
    same([value, control, p], [15.0, 22.0, 3.463027732327917e-11]);
    let metrics = done.metrics("metrics");
    assert_eq!((metrics.values["spend:mail"].value, metrics.values["spend:mail"].goal), (Some(9.0), Goal::Maximize));
    assert_eq!(metrics.values["price:none"].value, Some(22.0));
    assert!((metrics.values["bought_lift:mail"].value.unwrap() - 3.0).abs() < 1e-12);
    assert_eq!(metrics.values["srm_p_value"].value, Some(1.0));
    assert_eq!(metrics.units, Some(600));
    let figure = done.figure("lifts_figure");
    assert_eq!(
        figure.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(),
        ["upper end", "lift", "lower end"]
    );
    assert_eq!(figure.series[1].points.len(), 6);
}

#[test]
fn p_values_are_corrected_together_and_verdicts_follow_them() {
    let done = run(json!({})).unwrap();
    // statsmodels: multipletests(method="holm") over all six, as `results` orders them.
    let results = frame(&done.table("results"));
    let adjusted: Vec<f64> = results.column("p_adjusted").unwrap().f64().unwrap().iter().flatten().collect();
    let expected =
        [1.0, 2.131095798921792e-11, 1.0, 1.3461230293059679e-11, 1.6740972583746008e-05, 1.385211092931167e-10];
    for (found, expected) in adjusted.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-8, "{adjusted:?}");
    }
    assert_eq!(words(&done, "results", "metric"), ["bought", "bought", "spend", "spend", "price", "price"]);
    assert_eq!(words(&done, "results", "arm"), ["app", "mail", "app", "mail", "app", "mail"]);
    assert_eq!(
        words(&done, "results", "verdict"),
        ["underpowered", "better", "underpowered", "better", "worse", "worse"]
    );
    // A better price is a lower one.
    let cheaper = run(json!({ "metrics": [
        { "column": "bought", "kind": "proportion" },
        { "column": "spend", "kind": "ratio", "denominator": "items", "goal": "minimize" },
    ] }))
    .unwrap();
    assert_eq!(words(&cheaper, "results", "verdict")[3], "better");
}

#[test]
fn the_decision_is_a_sentence() {
    // 400 (2.6383 + 0.8416)^2 (0.1 * 0.9 + 0.115 * 0.885) / 200 / (0.05 * 0.1)^2 units, 2.6383 being the quantile of one
    // of six tests.
    let reason = |more: Value| words(&run(more).unwrap(), "decision", "reason").remove(0);
    assert_eq!(
        reason(json!({})),
        "stay with `none`: no arm is shown to be better by `bought`; `mail` is better by it, but worse by `price`; the \
         test is too small to show a lift of 5 %: it would take 185785 units of both arms"
    );
    let one = json!([{ "column": "bought", "kind": "proportion" }]);
    assert_eq!(
        reason(json!({ "metrics": one })),
        "take `mail`: its `bought` is 0.4000 against 0.1000 of `none` (+300.0 %, p < 0.0001), and it is worse by no metric"
    );
    // With the app arm as control, both others may win, and which does is a question of its own.
    let both = json!({ "metrics": [{ "column": "before_and_now" }], "control": "none" });
    let lifted = assignment().lazy().with_columns([(col("bought").cast(polars::prelude::DataType::Float64)
        + lit(0.6) * col("arm").eq(lit("app")).cast(polars::prelude::DataType::Float64))
    .alias("before_and_now")]);
    let of = |more: Value| {
        let mut params = params(both.clone());
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let done = Trial::new::<AbTest>(params).input("assignment", table(lifted.clone().collect().unwrap())).run();
        words(&done.unwrap(), "decision", "reason").remove(0)
    };
    assert!(
        of(json!({})).ends_with("worse by no metric; whether it is better than `mail` was not tested (`pairs: all`)")
    );
    assert!(of(json!({ "pairs": "all" })).ends_with("worse by no metric; it is better than `mail`, too"));
}

#[test]
fn outcomes_are_added_up_and_who_has_none_did_nothing() {
    let assigned = assignment().select(["user", "arm", "before"]).unwrap();
    // Two rows for each who bought, in disorder, and two of people who are not in the test.
    let buyers: Vec<i64> = (0..UNITS).rev().filter(|i| did(*i).0).collect();
    let rows: Vec<(i64, f64, f64)> = buyers
        .iter()
        .map(|i| (*i, did(*i).1 - 1.0, did(*i).2 as f64))
        .chain([(UNITS, 1e6, 1.0), (UNITS, 1e6, 1.0)])
        .chain(buyers.iter().map(|i| (*i, 1.0, 0.0)))
        .collect();
    let outcomes = df![
        "user" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "spend" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "items" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
    ]
    .unwrap();
    let metrics = json!([
        { "column": "items", "name": "bought", "kind": "proportion" },
        { "column": "spend" },
        { "name": "price", "column": "spend", "kind": "ratio", "denominator": "items" },
    ]);
    let of = |more: Value| {
        let mut params = params(json!({ "unit": "user", "metrics": metrics }));
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Trial::new::<AbTest>(params)
            .input("assignment", table(assigned.clone()))
            .input("outcomes", table(outcomes.clone()))
            .run()
    };
    let done = of(json!({})).unwrap();
    assert_eq!(
        done.warnings,
        [format!("2 of {} outcomes are left out: their `user` is missing or was not assigned to an arm", rows.len())]
    );
    assert_eq!(frame(&done.table("results")), frame(&run(json!({})).unwrap().table("results")));

    let without = UNITS - buyers.len() as i64;
    let error = of(json!({ "missing": "error" })).unwrap_err();
    assert_eq!(error.message, format!("{without} units have no `items`"));
    let error = of(json!({ "unit": null })).unwrap_err();
    assert_eq!(error.message, "`outcomes` is connected, and no `unit` says whose they are");
}

#[test]
fn means_are_adjusted_for_what_was_known_before() {
    let done = run(json!({ "covariate": "before" })).unwrap();
    // numpy: y - cov(y, x) / var(x) (x - mean(x)) over all arms, then scipy.stats.ttest_ind(equal_var=False).
    let columns = ["value", "p_value", "lower", "upper"];
    same(
        numbers(&done, "spend", "mail", columns),
        [9.004746150352219, 1.6788338597523999e-12, 4.981608939250938, 8.627153184476235],
    );
    let metrics = done.metrics("metrics");
    assert!((metrics.values["spend_variance_reduction"].value.unwrap() - 0.007892868330803554).abs() < 1e-8);
    // As measured, all the same.
    assert_eq!(metrics.values["spend:mail"].value, Some(9.0));
    let plain = run(json!({})).unwrap();
    assert_eq!(numbers(&done, "bought", "mail", columns), numbers(&plain, "bought", "mail", columns));
}

#[test]
fn who_peeks_gets_wider_intervals() {
    let done = run(json!({ "peeking": 1000 })).unwrap();
    // The formula of Waudby-Smith and others by numpy, for 400 of 667 units of these two arms.
    same(numbers(&done, "spend", "mail", ["lower", "upper"]), [3.948704673042426, 9.651295326957573]);
    assert_eq!(words(&done, "results", "method")[3], "always-valid confidence sequence (Welch's t-test)");
}

#[test]
fn arms_that_are_not_as_large_as_planned_make_everything_invalid() {
    let done = run(json!({ "shares": { "none": 2, "mail": 1, "app": 1 } })).unwrap();
    let arms = frame(&done.table("arms"));
    let of = |column: &str| arms.column(column).unwrap().f64().unwrap().get(0).unwrap();
    // scipy.stats.chisquare([200, 200, 200], [300, 150, 150])
    assert!((of("srm_p_value") / 3.3382377953650016e-15 - 1.0).abs() < 1e-8);
    assert_eq!((of("share"), of("expected_share")), (1.0 / 3.0, 0.25));
    assert!(words(&done, "results", "verdict").iter().all(|verdict| verdict == "invalid"));
    let reason = "sample-ratio mismatch: the arms are not as large as was planned (chi-square test, p = 3.3e-15), so \
                  something other than chance put units into them";
    assert_eq!(words(&done, "results", "reason")[0], reason);
    assert_eq!(texts(&done, "decision", "arm"), [None]);
    assert_eq!(words(&done, "decision", "reason"), [format!("no arm can be chosen: {reason}")]);
}

#[test]
fn what_cannot_be_compared_is_invalid_alone() {
    // Nobody in the app arm bought anything, so there is nothing to divide by.
    let none = assignment().lazy().with_columns([(col("items")
        * col("arm").neq(lit("app")).cast(polars::prelude::DataType::Int64))
    .alias("items")]);
    let done =
        Trial::new::<AbTest>(params(json!({}))).input("assignment", table(none.collect().unwrap())).run().unwrap();
    let verdicts = words(&done, "results", "verdict");
    assert_eq!((verdicts[4].as_str(), verdicts[5].as_str()), ("invalid", "worse"));
    assert_eq!(words(&done, "results", "reason")[4], "the denominators add up to 0");
    assert_eq!(numbers(&done, "price", "app", ["value", "p_adjusted"]), [None, None]);
    assert_eq!(done.metrics("metrics").values["price:app"].value, None);
}

#[test]
fn tables_that_are_no_test_are_errors() {
    let says = |frame: DataFrame, more: Value| {
        let error = Trial::new::<AbTest>(params(more)).input("assignment", table(frame)).run().unwrap_err();
        format!("{} | {}", error.message, error.help.unwrap_or_default())
    };
    let with = |user: Vec<Option<i64>>, arm: Vec<Option<&str>>| {
        let n = user.len();
        let zero = vec![0.0; n];
        df!["user" => user, "arm" => arm, "bought" => zero.clone(), "spend" => zero.clone(), "items" => zero].unwrap()
    };
    let named = json!({ "unit": "user" });
    assert_eq!(
        says(with(vec![Some(1), Some(2), Some(1)], vec![Some("none"), Some("mail"), Some("mail")]), named.clone()),
        "1 unit is in more than one arm (rows 1 and 3 of `assignment` are the same `user`) | a unit has one arm: filter \
         such units out, and find out how they came about"
    );
    assert_eq!(
        says(with(vec![Some(1), Some(2), Some(2)], vec![Some("none"), Some("mail"), Some("mail")]), named.clone()),
        "1 row of `assignment` repeats a unit (rows 2 and 3 are the same `user`) | make it one row per unit with \
         `clean.drop_duplicates`"
    );
    assert_eq!(
        says(with(vec![Some(1), None], vec![Some("none"), Some("mail")]), named),
        "1 row of `assignment` has no `user` | filter them out with `clean.drop_nulls`"
    );
    assert_eq!(
        says(with(vec![None; 2], vec![Some("none"), None]), json!({})),
        "1 row of `assignment` has no `arm` | every unit of a test is in an arm: filter the others out with `clean.drop_nulls`"
    );
    assert_eq!(
        says(with(vec![None; 2], vec![Some("none"); 2]), json!({})),
        "all units are in the arm `none`: there is nothing to compare it with | look at the stages before, or name \
         another column in `arm`"
    );
    assert_eq!(
        says(with(vec![], vec![]), json!({})),
        "nobody is assigned to an arm | the table at `assignment` is empty: look at the stages before"
    );
    assert_eq!(
        says(assignment(), json!({ "control": "non" })),
        "no unit is in the control arm `non` | did you mean `none`?"
    );
    assert_eq!(
        says(assignment(), json!({ "shares": { "none": 1, "mails": 1 } })),
        "`shares` plans an arm `mails`, and no unit is in it | did you mean `mail`?"
    );
    assert_eq!(
        says(assignment(), json!({ "shares": { "none": 1, "mail": 1 } })),
        "`shares` says nothing of the arm `app` | plan a share for every arm, or leave `shares` out where all are the same"
    );
}

#[test]
fn parameters_that_cannot_be_used_say_so() {
    let says = |metrics: Value, more: Value| {
        let mut params = params(json!({ "metrics": metrics }));
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = Trial::new::<AbTest>(params).check().unwrap_err();
        error.to_string()
    };
    let none = json!({});
    for (metrics, more, expected) in [
        (json!([{ "column": "a", "kind": "ratio" }]), &none, "a ratio is divided by something"),
        (json!([{ "column": "a", "denominator": "b" }]), &none, "only a ratio is divided by a column"),
        (json!([{ "column": "a" }, { "column": "a", "kind": "proportion" }]), &none, "there are two metrics `a`"),
        (
            json!([{ "column": "a", "kind": "proportion" }]),
            &json!({ "covariate": "b" }),
            "only metrics of kind `mean` are adjusted, and there is none",
        ),
        (json!([{ "column": "a" }]), &json!({ "shares": { "x": 0 } }), "a share is above 0, not 0"),
    ] {
        let found = says(metrics, more.clone());
        assert!(found.contains(expected), "{found}");
    }
}
