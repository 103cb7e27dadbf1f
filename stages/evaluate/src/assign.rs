use polars::prelude::Column;
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, polars_error, to_frame, to_table};

use crate::shares::{self, Shares};

/// Draw the units of a test into its arms at random.
///
/// Where a unit comes depends on the seed, the round and the unit's identifier alone: neither on the order of the rows,
/// nor on who else is there, and rows of the same unit have the same arm. The shares come as a parameter, or as the
/// table that `evaluate.thompson_sampling` puts out. Where shares change and the round does not, no more units change
/// arms than must. Another `round` draws everybody anew, so that who was in an arm before has no part in who is now.
/// Every unit is drawn on its own, so an arm is not of an exact size; `evaluate.ab_test` checks that sizes are as
/// planned.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The column that tells units apart (integers or text).
    #[serde(default = "user_id")]
    unit: String,
    /// What the column with the arm is called.
    #[serde(default = "arm")]
    arm: String,
    /// The share of each arm by its name, in any proportion (`{ a: 1, b: 2 }`), where no table of shares is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1))]
    shares: Option<Shares>,
    /// Which round of the test this is.
    #[serde(default = "one")]
    round: u32,
}

fn user_id() -> String {
    "user_id".to_owned()
}

fn arm() -> String {
    "arm".to_owned()
}

fn one() -> u32 {
    1
}

impl Stage for Assign {
    const TYPE: &'static str = "evaluate.assign";
    const EXAMPLE: &'static str = "inputs: { table: customers }\nwith: { shares: { none: 1, friendly: 2, formal: 2 } }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the unit column."),
            Port::input("shares", Kind::Table, "One row per arm: `arm` (integers or text), `share` (0 or more).")
                .optional(),
            Port::output("table", Kind::Table, "The same rows, with the arm of each (text) as a further column."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.shares.as_ref().is_some_and(Shares::is_empty) {
            return Err(ParamError::new("shares", "there is no arm").with_help("as in `shares: { a: 1, b: 1 }`"));
        }
        shares::check(self.shares.as_ref().unwrap_or(&Shares::new()))
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let mut personal = inputs.get("table").cloned().unwrap_or_default();
        if inputs.get("shares").is_some_and(|columns| columns.contains("arm")) {
            personal.insert(self.arm.clone());
        }
        PersonalColumns::from([("table".to_owned(), personal)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let mut frame = to_frame(&*context.table("table")?)?;
        let shares = shares::planned(self.shares.as_ref(), context)?.ok_or_else(|| {
            StageError::data("nothing says which arms there are")
                .with_help("set `shares: { a: 1, b: 1 }`, or connect a table to the input `shares`")
        })?;
        if frame.schema().contains(&self.arm) {
            return Err(StageError::data(format!("the table has a column `{}` already", self.arm))
                .with_help("name another one in `arm`, or drop that column with `clean.select`"));
        }
        let ids = Ids::of(&self.unit, &[("table", &frame)])?;
        let codes: Option<Vec<u32>> = ids.codes(&frame)?.into_iter().collect();
        let codes = codes.ok_or_else(|| {
            StageError::data(format!("a row has no `{}`", self.unit))
                .with_help("a unit must be known to be drawn: filter such rows out with `clean.drop_nulls`")
        })?;
        let whole: f64 = shares.values().sum();
        let of_unit: Vec<Option<&str>> = (0..ids.len() as u32)
            .map(|code| {
                let draw: f64 = context.rng(&format!("arm of round {}: {}", self.round, ids.text(code))).random();
                arm_at(&shares, draw * whole)
            })
            .collect();
        let arms: Vec<Option<&str>> = codes.iter().map(|code| of_unit.get(*code as usize).copied().flatten()).collect();
        frame
            .with_column(Column::new(self.arm.as_str().into(), arms))
            .map_err(|error| polars_error("adding the arms", &error))?;
        let mut table = to_table(frame)?;
        if context.has_input("shares") && context.table("shares")?.is_personal("arm") {
            table.mark_personal([self.arm.as_str()]);
        }
        context.put("table", table)
    }
}

/// The arm in whose part of the whole a place is.
fn arm_at(shares: &Shares, place: f64) -> Option<&str> {
    let mut end = 0.0;
    let within = shares.iter().find(|(_, share)| {
        end += **share;
        place < end
    });
    // Sums round: what is beyond the end is the last one's.
    within.or_else(|| shares.last_key_value()).map(|(arm, _)| arm.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use polars::prelude::df;
    use serde_json::{Value, json};
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::{frame, table};

    use super::Assign;

    fn arms(users: impl Iterator<Item = i64>, params: Value) -> Vec<String> {
        let users: Vec<i64> = users.collect();
        let input = table(df!["user_id" => users].unwrap());
        let done = Trial::new::<Assign>(params).input("table", input).run().unwrap();
        let frame = frame(&done.table("table"));
        frame.column("arm").unwrap().str().unwrap().iter().map(|arm| arm.unwrap().to_owned()).collect()
    }

    #[test]
    fn arms_have_their_shares_and_a_unit_has_its_arm_whoever_else_is_there() {
        let three = json!({ "shares": { "a": 1, "b": 1, "c": 2 } });
        let all = arms(0..20_000, three.clone());
        let mut counts = BTreeMap::new();
        all.iter().for_each(|arm| *counts.entry(arm.as_str()).or_insert(0) += 1);
        // The standard deviation of a quarter of 20,000 is 61.
        assert!((counts["a"] - 5000_i32).abs() < 250 && (counts["b"] - 5000_i32).abs() < 250, "{counts:?}");
        let backwards = arms((0..20_000).rev().step_by(2), three);
        assert!(backwards.iter().zip(all.iter().rev().step_by(2)).all(|(one, other)| one == other));
    }

    #[test]
    fn a_change_of_shares_moves_as_few_as_can_be_and_another_round_draws_anew() {
        let with = |a: u32, round: u32| arms(0..10_000, json!({ "shares": { "a": a, "b": 10 - a }, "round": round }));
        let (five, six) = (with(5, 1), with(6, 1));
        let moved = five.iter().zip(&six).filter(|(five, six)| five != six).count();
        assert!((900..1100).contains(&moved), "{moved}");
        assert!(five.iter().zip(&six).all(|(five, six)| five == "b" || six == "a"));
        let same = five.iter().zip(&with(5, 2)).filter(|(first, second)| first == second).count();
        assert!((4800..5200).contains(&same), "{same}");
    }

    #[test]
    fn shares_come_from_one_place() {
        let users = || table(df!["user_id" => [1_i64, 2, 3]].unwrap());
        let shares = |arm: [&str; 2], share: [f64; 2]| table(df!["arm" => arm, "share" => share].unwrap());
        let of = |params: Value, given| {
            Trial::new::<Assign>(params)
                .input("table", users())
                .input("shares", given)
                .run()
                .map_err(|error| error.message)
        };
        let done = of(json!({}), shares(["a", "b"], [1.0, 0.0])).unwrap();
        assert!(frame(&done.table("table")).column("arm").unwrap().str().unwrap().iter().all(|arm| arm == Some("a")));
        let both = of(json!({ "shares": { "a": 1 } }), shares(["a", "b"], [0.5, 0.5])).unwrap_err();
        assert_eq!(both, "shares come from the input `shares` and from the parameter `shares`");
        let twice = of(json!({}), shares(["a", "a"], [0.5, 0.5])).unwrap_err();
        assert_eq!(twice, "`shares` has two rows of the arm `a`");
        let none = Trial::new::<Assign>(json!({})).input("table", users()).run().unwrap_err();
        assert_eq!(none.message, "nothing says which arms there are");
        assert_eq!(Trial::new::<Assign>(json!({ "shares": { "a": 0 } })).check().unwrap_err().path, "shares/a");
    }
}
