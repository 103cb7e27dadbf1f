//! `evaluate.simulate_responses`.

use std::collections::BTreeMap;

use polars::prelude::{Column, DataFrame};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, polars_error, to_frame, to_table};

use crate::groups::Groups;

/// Make up what people do who are written to, with rates that are known: to try a campaign out before anybody is.
///
/// Each person opens with the arm's rate `open`; who opened clicks with `click`, who clicked converts with `convert`. What
/// a person does depends on the seed, on `round`, and on the person alone, and not on who else there is; under a better
/// arm the same people do at least as much. Nothing of it says anything about real people.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulateResponses {
    /// The column that tells people apart (integers or text).
    #[serde(default = "user_id")]
    unit: String,
    /// The column with the arm of a person (integers or text).
    #[serde(default = "arm")]
    arm: String,
    /// The truth: the rates of each arm by its name.
    #[schemars(extend("minProperties" = 1))]
    rates: BTreeMap<String, Rates>,
    /// Which time it is: people decide anew in each round.
    #[serde(default = "one")]
    round: u32,
}

/// How people respond to an arm.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Rates {
    /// The share of people who open (0 to 1).
    #[schemars(range(min = 0, max = 1))]
    open: f64,
    /// The share of those who opened that click.
    #[schemars(range(min = 0, max = 1))]
    click: f64,
    /// The share of those who clicked that convert.
    #[schemars(range(min = 0, max = 1))]
    convert: f64,
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

/// What a person does.
const ACTS: [&str; 3] = ["opened", "clicked", "converted"];

impl Stage for SimulateResponses {
    const TYPE: &'static str = "evaluate.simulate_responses";
    const EXAMPLE: &'static str = "\
inputs: { table: delivered }
with:
  round: 1
  rates:
    popular: { open: 0.4, click: 0.10, convert: 0.2 }
    frequency: { open: 0.4, click: 0.15, convert: 0.2 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "One row per person who was written to, with the arm."),
            Port::output(
                "table",
                Kind::Table,
                "The same people: person, arm, `opened`, `clicked`, `converted` (bool).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        for (name, rates) in &self.rates {
            for (what, rate) in [("open", rates.open), ("click", rates.click), ("convert", rates.convert)] {
                if !(0.0..=1.0).contains(&rate) {
                    return Err(ParamError::new(format!("rates/{name}/{what}"), format!("{rate} is no share")));
                }
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let all = inputs.get("table").cloned().unwrap_or_default();
        let kept = |column: &String| *column == self.unit || *column == self.arm || ACTS.contains(&column.as_str());
        PersonalColumns::from([("table".to_owned(), all.into_iter().filter(kept).collect())])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let input = context.table("table")?;
        let frame = to_frame(&input)?;
        let groups = Groups::read(&frame, "table", &self.arm)?;
        let ids = Ids::of(&self.unit, &[("table", &frame)])?;
        let chances: Vec<[f64; 3]> = (0..ids.len() as u32)
            // Not the draw that put them into an arm: the purpose says so.
            .map(|code| context.rng(&format!("responses of round {}: {}", self.round, ids.text(code))).random())
            .collect();
        let mut did: [Vec<bool>; 3] = Default::default();
        for (code, group) in ids.codes(&frame)?.into_iter().zip(&groups.codes) {
            let name = groups.label(*group as usize);
            let rates = self.rates.get(name).ok_or_else(|| {
                let known: Vec<&str> = self.rates.keys().map(String::as_str).collect();
                StageError::data(format!("`table` has an arm `{name}`, of which `rates` says nothing"))
                    .with_help(format!("`rates` knows {}", known.join(", ")))
            })?;
            let chance = code.and_then(|code| chances.get(code as usize)).ok_or_else(|| {
                StageError::data(format!("`table` has a row without a `{}`", self.unit))
                    .with_help("leave such rows out with `clean.drop_nulls`")
            })?;
            let mut so_far = true;
            for ((acts, chance), rate) in did.iter_mut().zip(chance).zip([rates.open, rates.click, rates.convert]) {
                so_far = so_far && *chance < rate;
                acts.push(so_far);
            }
        }
        let of = |name: &str| frame.columns().iter().find(|column| column.name().as_str() == name).cloned();
        let mut columns: Vec<Column> = [of(&self.unit), of(&self.arm)].into_iter().flatten().collect();
        columns.extend(ACTS.into_iter().zip(did).map(|(name, values)| Column::new(name.into(), values)));
        let out = DataFrame::new(frame.height(), columns).map_err(|error| polars_error("collecting acts", &error))?;
        let mut table = to_table(out)?;
        table.mark_personal(input.personal());
        context.put("table", table)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use polars::prelude::df;
    use serde_json::json;
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::{frame, table};

    use super::SimulateResponses;
    use crate::Assign;

    /// How many of the units in an arm did something.
    fn share(people: &polars::prelude::DataFrame, arm: &str, act: &str) -> f64 {
        let arms = people.column("arm").unwrap().str().unwrap();
        let acts = people.column(act).unwrap().bool().unwrap();
        let of: Vec<bool> = arms
            .iter()
            .zip(acts.iter())
            .filter(|(found, _)| *found == Some(arm))
            .map(|(_, act)| act.unwrap())
            .collect();
        of.iter().filter(|act| **act).count() as f64 / of.len() as f64
    }

    #[test]
    fn people_respond_with_the_rates_of_their_arms_whatever_put_them_there() {
        let people = table(df!["user_id" => (0..20_000_i64).collect::<Vec<_>>()].unwrap());
        let assigned = Trial::new::<Assign>(json!({ "shares": { "a": 1, "b": 1 } }));
        let assigned = assigned.input("table", people).run().unwrap().table("table");
        let rates = json!({
            "a": { "open": 0.4, "click": 0.25, "convert": 0.5 },
            "b": { "open": 0.2, "click": 0.5, "convert": 0.0 },
        });
        let respond = |round: u32| {
            let trial = Trial::new::<SimulateResponses>(json!({ "round": round, "rates": rates }));
            frame(&trial.input("table", (*assigned).clone()).run().unwrap().table("table"))
        };
        let first = respond(1);
        // Four standard errors of a share among 10,000.
        for (arm, act, rate) in [
            ("a", "opened", 0.4),
            ("a", "clicked", 0.1),
            ("a", "converted", 0.05),
            ("b", "opened", 0.2),
            ("b", "clicked", 0.1),
            ("b", "converted", 0.0),
        ] {
            let found = share(&first, arm, act);
            assert!((found - rate).abs() < 0.02, "{arm} {act}: {found}");
        }
        assert!(!first.equals(&respond(2)), "people decide anew");
        assert!(first.equals(&respond(1)));
    }
}
