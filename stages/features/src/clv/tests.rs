#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::{frame, table};

use super::Clv;

/// A purchase: user, day of 2023 (from 0), price.
type Purchase = (i64, i64, f64);

/// 2023-01-01, in days from 1970.
const START: i64 = 19_358;

fn purchases(rows: &[Purchase]) -> DataFrame {
    let days: Vec<i32> = rows.iter().map(|(_, day, _)| (START + day) as i32).collect();
    let mut frame = df!(
        "user_id" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "created_at" => days,
        "sale_price" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
    )
    .unwrap();
    let days = frame.column("created_at").unwrap().cast(&DataType::Date).unwrap();
    frame.with_column(days).unwrap();
    frame
}

fn run(params: Value, rows: &[Purchase]) -> Done {
    Trial::new::<Clv>(params).input("table", table(purchases(rows))).run().unwrap()
}

fn floats(done: &Done, port: &str, name: &str) -> Vec<Option<f64>> {
    frame(&done.table(port)).column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().iter().collect()
}

/// 400 users who buy and leave at random, by a congruential generator that the reference uses, too.
fn draw() -> Vec<Purchase> {
    let mut state = 12345u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut rows = Vec::new();
    for user in 0..400 {
        let first = (uniform() * 120.0) as i64;
        let rate = 0.004 - 0.03 * uniform().ln();
        let leaving = 0.5 * uniform() * uniform();
        let level = 5.0 + 20.0 * uniform();
        let mut after = 0.0;
        loop {
            let price = (level * (0.5 + uniform()) * 100.0).round() / 100.0;
            rows.push((user, first + after as i64, price));
            if uniform() < leaving {
                break;
            }
            after -= uniform().ln() / rate;
            if after >= (360 - first) as f64 {
                break;
            }
        }
    }
    rows
}

/// References: lifetimes 0.11.3 on the same purchases. `summary_data_from_transaction_data(df, "user", "date", "price",
/// observation_period_end="2023-12-27")`, `BetaGeoFitter(0.0).fit(…, tol=1e-8)`, `GammaGammaFitter(0.0).fit(…,
/// tol=2e-7)`, `customer_lifetime_value(…, time=12, discount_rate=0.01, freq="D")`. Log-likelihoods: scipy 1.14's
/// Nelder-Mead on the formulas of the papers.
#[test]
fn parameters_and_values_are_those_of_lifetimes() {
    let rows = draw();
    assert_eq!(rows.len(), 2526);
    let done = run(json!({ "now": "2023-12-27", "horizon": 360 }), &rows);
    assert_eq!(done.warnings, [] as [&str; 0]);
    let fitted = floats(&done, "parameters", "value");
    let expected = [0.830470541, 30.704732789, 0.608221379, 5.276638790, 9.246418646, 6.001789385, 8.590998724];
    for (found, expected) in fitted.iter().zip(expected) {
        assert!((found.unwrap() / expected - 1.0).abs() < 1e-5, "{found:?}, not {expected}");
    }
    let metrics = done.metrics("metrics");
    for (name, expected) in [
        ("users", 400.0),
        ("repeat_buyers", 333.0),
        ("log_likelihood", -9690.871327420351),
        ("value_log_likelihood", -1099.299464144672),
        ("frequency_value_correlation", -0.03314641891962394),
    ] {
        let found = metrics.values[name].value.unwrap();
        assert!((found - expected).abs() < 1e-8 * expected.abs(), "{name}: {found}");
    }
    for (name, first, sum) in [
        ("frequency", [1.0, 1.0, 4.0, 8.0, 1.0, 4.0], 2080.0),
        ("recency", [21.0, 217.0, 131.0, 216.0, 41.0, 298.0], 60841.0),
        ("tenure", [347.0, 242.0, 350.0, 260.0, 257.0, 310.0], 120328.0),
        ("monetary_value", [15.14, 12.83, 11.3425, 21.15875, 17.83, 20.33], 5166.021099179359),
        (
            "probability_alive",
            [0.185502780868, 0.879160247830, 0.178660812702, 0.825734612567, 0.405473496553, 0.919638859504],
            266.10226900832504,
        ),
        (
            "expected_purchases",
            [0.292320604931, 1.857585481130, 0.709373577808, 7.362458787756, 0.816840601738, 4.025014258433],
            1541.4461471795398,
        ),
        (
            "expected_value",
            [15.400304979444, 13.901223338776, 11.883213168727, 20.824514323819, 17.145988794768, 19.800070223160],
            6260.1394467563605,
        ),
        (
            "clv",
            [4.230439586304, 24.279868780633, 7.927015828075, 144.338113651893, 13.167401674172, 74.961477127150],
            22166.56594841299,
        ),
    ] {
        let found = floats(&done, "table", name);
        for (found, expected) in found.iter().zip(first) {
            assert!((found.unwrap() - expected).abs() < 1e-6 * expected, "{name}: {found:?}, not {expected}");
        }
        let found: f64 = found.into_iter().flatten().sum();
        assert!((found / sum - 1.0).abs() < 1e-6, "{name}: {found}");
    }
}

#[test]
fn the_order_of_rows_and_the_items_of_a_day_do_not_matter() {
    let rows = draw();
    let params = json!({ "now": "2023-12-27" });
    let whole = run(params.clone(), &rows);
    let mut backwards = rows.clone();
    backwards.reverse();
    assert!(run(params.clone(), &backwards).bytes() == whole.bytes());
    // Each purchase in two halves; rounding may differ.
    let halves: Vec<Purchase> = rows.iter().flat_map(|(user, day, price)| [(*user, *day, price / 2.0); 2]).collect();
    let halves = run(params, &halves);
    for name in super::OUTPUT {
        for (whole, halves) in floats(&whole, "table", name).into_iter().zip(floats(&halves, "table", name)) {
            let (whole, halves) = (whole.unwrap_or(-1.0), halves.unwrap_or(-1.0));
            assert!((whole - halves).abs() < 1e-6 * whole.abs().max(1.0), "{name}: {whole} {halves}");
        }
    }
}

#[test]
fn nothing_to_learn_from_is_an_error_and_no_difference_a_warning() {
    let once: Vec<Purchase> = (0..5).map(|user| (user, user, 10.0)).collect();
    let error = Trial::new::<Clv>(json!({})).input("table", table(purchases(&once))).run().unwrap_err();
    assert_eq!(error.message, "nobody bought on two days, so there is no telling how often they will (5 users)");

    // Everybody buys every ten days, for the same price.
    let alike: Vec<Purchase> = (0..9).flat_map(|user| (0..6).map(move |n| (user, 10 * n, 4.0))).collect();
    let done = run(json!({}), &alike);
    assert_eq!(
        done.warnings,
        [
            "the purchases do not determine the parameters of BG/NBD: expectations hold, parameters say little",
            "all who bought again spend the same: it is the value to expect of every purchase",
        ]
    );
    assert_eq!(floats(&done, "parameters", "value")[4..], [None; 3]);
    assert_eq!(floats(&done, "table", "expected_value"), [Some(4.0); 9]);
    // They are all alive and go on as they did: 36 in 365 days.
    for (alive, purchases) in
        floats(&done, "table", "probability_alive").into_iter().zip(floats(&done, "table", "expected_purchases"))
    {
        assert!(alive.unwrap() > 0.99 && (35.0..38.0).contains(&purchases.unwrap()), "{alive:?} {purchases:?}");
    }
    assert_eq!(done.metrics("metrics").values["frequency_value_correlation"].value, None);
}

#[test]
fn those_who_spend_nothing_have_no_value() {
    let mut rows = draw();
    rows.extend([(400, 10, 5.0), (400, 50, 0.0), (401, 10, 5.0), (401, 50, -3.0), (402, 300, 5.0)]);
    let done = run(json!({ "now": "2023-12-27" }), &rows);
    assert_eq!(done.warnings, ["2 users have a mean `sale_price` that is not above 0: their value is null"]);
    for name in ["expected_value", "clv"] {
        let found = floats(&done, "table", name);
        assert!(found[400].is_none() && found[401].is_none() && found[402].is_some(), "{name}");
    }
    assert_eq!(floats(&done, "table", "monetary_value")[400..], [Some(0.0), Some(-3.0), None]);
}

#[test]
fn what_lies_ahead_is_left_out() {
    let rows = draw();
    let done = run(json!({ "now": "2023-10-01T12:00" }), &rows);
    // 2023-10-01 is day 273.
    let later = rows.iter().filter(|(_, day, _)| *day > 273).count();
    assert_eq!(done.warnings, [format!("{later} rows have a `created_at` after `now`: left out")]);
    let before: Vec<Purchase> = rows.into_iter().filter(|(_, day, _)| *day <= 273).collect();
    assert!(run(json!({ "now": "2023-10-01" }), &before).bytes() == done.bytes());
    let refused = |params| Trial::new::<Clv>(params).check().unwrap_err().to_string();
    assert_eq!(refused(json!({ "now": "soon" })), "now: `soon` is not a date or a timestamp");
    assert_eq!(refused(json!({ "user": "clv" })), "user: `clv` is the name of a feature");
    assert_eq!(refused(json!({ "discount_rate": -0.5 })), "discount_rate: it must not be below 0");
}

#[test]
fn what_is_made_of_personal_columns_is_personal() {
    let personal = |names: &[&str]| {
        let mut input = table(purchases(&draw()));
        input.mark_personal(names.iter().copied());
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let inputs = stagewright_contract::PersonalColumns::from([("table".to_owned(), names)]);
        let stage: Clv = serde_json::from_value(json!({})).unwrap();
        let planned: Vec<String> =
            stagewright_contract::Stage::personal(&stage, &inputs)["table"].iter().cloned().collect();
        let done = Trial::new::<Clv>(json!({})).input("table", input).run().unwrap();
        let mut found: Vec<String> = done.table("table").personal().map(str::to_owned).collect();
        found.sort();
        assert_eq!(found, planned);
        planned
    };
    assert_eq!(personal(&["user_id", "email"]), ["user_id"]);
    assert_eq!(personal(&["sale_price"]), ["clv", "expected_value", "monetary_value"]);
    assert_eq!(personal(&["created_at"]).len(), 7);
}
