//! Three hundred rows; the references in the tests were computed from them with scikit-learn 1.6 and statsmodels.
#![allow(dead_code, reason = "each test file uses a part")]

use polars::prelude::*;
use stagewright_contract::{Stage, StageContext, StageError, Table, testkit::Trial};
use stagewright_frame::testkit::table;

/// With `u` the next of the numbers that `lcg` yields, `s = (6364136223846793005 * s + 1442695040888963407) % 2**64`
/// from `s = 1` as `(s >> 11) / 2**53`, four for each row in this order: `price = 1000 u1`, `hour = floor(24 u2)`,
/// `department = ["dairy", "frozen", "produce"][floor(3 u3)]`, `member = row % 3 == 0`, and
/// `chance = price / 400 - hour / 12 + [0.5, -0.5, 0][department] + member`, `spend = 20 chance + 30 u4`,
/// `bought = u4 < 1 / (1 + exp(-chance))`.
pub(crate) fn shop() -> DataFrame {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let departments = ["dairy", "frozen", "produce"];
    let (mut price, mut hour, mut department, mut member) = (vec![], vec![], vec![], vec![]);
    let (mut spend, mut bought) = (vec![], vec![]);
    for row in 0..300 {
        price.push(1000.0 * next());
        hour.push((24.0 * next()).floor() as i64);
        let place = (3.0 * next()).floor() as usize;
        department.push(departments[place]);
        member.push(row % 3 == 0);
        let chance = price[row] / 400.0 - hour[row] as f64 / 12.0 + [0.5, -0.5, 0.0][place] + f64::from(row % 3 == 0);
        let noise = next();
        spend.push(20.0 * chance + 30.0 * noise);
        bought.push(noise < 1.0 / (1.0 + (-chance).exp()));
    }
    let row: Vec<i64> = (0..300).collect();
    df!(
        "row" => row, "price" => price, "hour" => hour, "department" => department, "member" => member,
        "spend" => spend, "bought" => bought
    )
    .unwrap()
}

/// The numbers of a column.
pub(crate) fn floats(table: &Table, name: &str) -> Vec<Option<f64>> {
    let frame = stagewright_frame::testkit::frame(table);
    let column = frame.column(name).unwrap().cast(&DataType::Float64).unwrap();
    column.f64().unwrap().iter().collect()
}

/// The texts of a column.
pub(crate) fn texts(table: &Table, name: &str) -> Vec<String> {
    let frame = stagewright_frame::testkit::frame(table);
    frame.column(name).unwrap().str().unwrap().iter().map(|text| text.unwrap().to_owned()).collect()
}

/// Asserts that numbers agree to a relative error.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[Option<f64>], expected: &[f64], tolerance: f64) {
    let found: Vec<f64> = found.iter().map(|value| value.unwrap()).collect();
    assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
    for (found_one, expected_one) in found.iter().zip(expected) {
        let error = (found_one - expected_one).abs() / expected_one.abs().max(1e-3);
        assert!(error <= tolerance, "{what}: {found_one} is not {expected_one}; all: {found:?}");
    }
}

/// Learns from one table and passes the model on, so that the conformance suite, whose inputs are tables, reaches
/// stage types that take models.
pub(crate) fn learn_and<L: Stage, S: Stage>(
    context: &mut StageContext,
    learn: serde_json::Value,
    then: serde_json::Value,
    ports: &[&str],
) -> Result<(), StageError> {
    let model = Trial::new::<L>(learn).input("table", context.table("train")?).run()?.model("model");
    let trial = Trial::new::<S>(then).input("model", model).input("table", context.table("table")?);
    let done = trial.run()?;
    for warning in done.warnings {
        context.warn(warning);
    }
    done.outputs
        .into_iter()
        .filter(|(port, _)| ports.contains(&port.as_str()))
        .try_for_each(|(port, artifact)| context.put(&port, artifact))
}

/// The table of the shop.
pub(crate) fn shop_table() -> Table {
    table(shop())
}
