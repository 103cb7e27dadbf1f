mod posterior;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError,
};
use stagewright_frame::to_frame;

use crate::amounts::amounts;
use crate::groups::Groups;
use crate::outputs::{counts, personal, put};
use posterior::{Beta, compare};

/// Say which share of the next round each arm of a test should have, by Thompson sampling: as many as the arm is likely
/// to be the best.
///
/// `responses` has a row per trial: its arm, and whether it was a success. Trials of earlier rounds are those of
/// `previous`, the table of this stage after the round before. A rate of which nothing is known may be anything from 0
/// to 1 (a beta distribution, of one success and one failure unless `prior_successes` and `prior_failures` say
/// otherwise); after s successes in n trials it has the beta distribution of s more successes and n - s more failures.
/// An arm's share is the probability that its rate is the highest of all, to which drawing a rate for each arm and each
/// unit comes on average (Thompson 1933; Chapelle and Li 2011). It is computed by integration, not by draws, so it is
/// the same for any seed. With `floor`, each of K arms has that share at least, and the rest is shared as before: `floor
/// + (1 - K floor) probability`. Rates are taken to be the same in all rounds.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThompsonSampling {
    /// The column of `responses` with the arm (integers or text, at most 100 values).
    #[serde(default = "arm")]
    arm: String,
    /// The column of `responses` that says whether the trial was a success (true or above 0; null is none).
    success: String,
    /// The least share of an arm, from 0 to 1 / the number of arms.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    floor: f64,
    /// What was known before: successes (at least 1).
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1e9))]
    prior_successes: f64,
    /// What was known before: failures (at least 1).
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1e9))]
    prior_failures: f64,
    /// The probability that a rate lies in its interval (0.5 to 0.9999).
    #[serde(default = "level")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    level: f64,
}

fn arm() -> String {
    "arm".to_owned()
}

fn one() -> f64 {
    1.0
}

fn level() -> f64 {
    0.95
}

/// More arms than this are no test.
const MOST: usize = 100;
/// The most trials of an arm: counts are exact up to here.
const TRIALS: f64 = 1e15;

const COLUMNS: [(&str, &[&str]); 1] =
    [("table", &["arm", "successes", "trials", "mean", "lower", "upper", "probability_best", "share"])];

impl Stage for ThompsonSampling {
    const TYPE: &'static str = "evaluate.thompson_sampling";
    const EXAMPLE: &'static str =
        "inputs: { responses: responses_2, previous: allocation_1 }\nwith: { success: converted, floor: 0.05 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("responses", Kind::Table, "One row per trial of this round: the arm and success columns."),
            Port::input(
                "previous",
                Kind::Table,
                "What came of the rounds before: `arm`, `successes`, `trials`, as this stage puts them out.",
            )
            .optional(),
            Port::output(
                "table",
                Kind::Table,
                "For each arm, ascending: `arm` (text), `successes` and `trials` of all rounds (int64), `mean`, `lower` \
                 and `upper` of its rate, `probability_best` and `share` (both add up to 1).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`trials`, `successes`; for each arm `mean:ARM`, `probability_best:ARM` and `share:ARM`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(0.0..=1.0).contains(&self.floor) {
            return Err(ParamError::new("floor", format!("a share is from 0 to 1, not {}", self.floor)));
        }
        if !(0.5..=0.9999).contains(&self.level) {
            return Err(ParamError::new("level", format!("from 0.5 to 0.9999, not {}", self.level)));
        }
        for (name, prior) in [("prior_successes", self.prior_successes), ("prior_failures", self.prior_failures)] {
            if !(1.0..=1e9).contains(&prior) {
                return Err(ParamError::new(name, format!("from 1 to 1e9, not {prior}"))
                    .with_help("1 success and 1 failure say that every rate is as likely as any other"));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(&COLUMNS, &[("table", "arm", &self.arm)], inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        let help = "name a column of arms that is not personal".to_owned();
        [("responses", self.arm.clone()), ("previous", arm())]
            .map(|(port, column)| Disclosure {
                port,
                columns: Some(vec![column]),
                to: "a table of results by arm",
                help: help.clone(),
            })
            .into()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let responses = context.table("responses")?;
        let mut arms = Arms::new();
        if context.has_input("previous") {
            previous(&mut arms, &to_frame(&*context.table("previous")?)?)?;
        }
        self.count(&mut arms, &to_frame(&responses)?)?;
        if arms.is_empty() {
            return Err(StageError::data("there is no arm: neither table has a row").with_help(
                "look at the stages before; the first round has the shares that `evaluate.assign` is given",
            ));
        }
        if arms.len() > MOST {
            return Err(StageError::data(format!("there are {} arms, {MOST} can be compared", arms.len())));
        }
        if self.floor * arms.len() as f64 > 1.0 + 1e-9 {
            return Err(StageError::data(format!("{} arms cannot have {} each", arms.len(), self.floor))
                .with_help("set `floor` to 1 / the number of arms at most"));
        }
        let betas: Vec<Beta> = arms
            .values()
            .map(|(successes, trials)| Beta {
                a: self.prior_successes + *successes as f64,
                b: self.prior_failures + (trials - successes) as f64,
            })
            .collect();
        let found = compare(&betas, self.level);
        let spread = (1.0 - self.floor * arms.len() as f64).max(0.0);
        let shares: Vec<f64> = found.iter().map(|found| self.floor + spread * found.best).collect();

        let mut metrics = Metrics::new();
        for (name, of) in [("successes", 0), ("trials", 1)] {
            let sum: u64 = arms.values().map(|(successes, trials)| if of == 0 { *successes } else { *trials }).sum();
            metrics.insert(name, Some(sum as f64), Goal::Describe)?;
        }
        for ((arm, found), share) in arms.keys().zip(&found).zip(&shares) {
            metrics.insert(format!("mean:{arm}"), Some(found.mean), Goal::Describe)?;
            metrics.insert(format!("probability_best:{arm}"), Some(found.best), Goal::Describe)?;
            metrics.insert(format!("share:{arm}"), Some(*share), Goal::Describe)?;
        }
        let number = |name: &str, of: fn(&posterior::Found) -> f64| {
            Column::new(name.into(), found.iter().map(of).collect::<Vec<f64>>())
        };
        let columns = vec![
            Column::new("arm".into(), arms.keys().map(String::as_str).collect::<Vec<_>>()),
            counts("successes", arms.values().map(|counts| counts.0)),
            counts("trials", arms.values().map(|counts| counts.1)),
            number("mean", |found| found.mean),
            number("lower", |found| found.lower),
            number("upper", |found| found.upper),
            number("probability_best", |found| found.best),
            Column::new("share".into(), shares),
        ];
        put(context, "table", columns, &[("table", "arm", &self.arm)], &responses)?;
        context.put("metrics", metrics)
    }
}

/// Successes and trials by arm.
type Arms = BTreeMap<String, (u64, u64)>;

impl ThompsonSampling {
    /// Adds the trials of this round.
    fn count(&self, arms: &mut Arms, responses: &DataFrame) -> Result<(), StageError> {
        let groups = Groups::read(responses, "responses", &self.arm)?;
        for (code, success) in groups.codes.iter().zip(amounts(responses, &self.success)?) {
            let Some(Some(arm)) = groups.names.get(*code as usize) else {
                return Err(StageError::data(format!("a row of `responses` has no `{}`", self.arm))
                    .with_help("every trial is of an arm: filter the others out with `clean.drop_nulls`"));
            };
            let counts = match arms.get_mut(arm) {
                Some(counts) => counts,
                None => arms.entry(arm.clone()).or_default(),
            };
            counts.0 += u64::from(success.is_some_and(|success| success > 0.0));
            counts.1 += 1;
        }
        Ok(())
    }
}

/// Reads what came of the rounds before.
fn previous(arms: &mut Arms, frame: &DataFrame) -> Result<(), StageError> {
    let groups = Groups::read(frame, "previous", "arm")?;
    let rows = groups.codes.iter().zip(amounts(frame, "successes")?).zip(amounts(frame, "trials")?);
    for ((code, successes), trials) in rows {
        let (Some(Some(arm)), Some(successes), Some(trials)) = (groups.names.get(*code as usize), successes, trials)
        else {
            return Err(StageError::data("a row of `previous` has no arm, successes or trials"));
        };
        let is_count = |count: f64| (0.0..=TRIALS).contains(&count) && count.fract() == 0.0;
        if !is_count(successes) || !is_count(trials) || successes > trials {
            return Err(StageError::data(format!(
                "`previous` has {successes} successes in {trials} trials of `{arm}`"
            ))
            .with_help("connect the `table` of an `evaluate.thompson_sampling` after the round before"));
        }
        if arms.insert(arm.clone(), (successes as u64, trials as u64)).is_some() {
            return Err(StageError::data(format!("`previous` has two rows of the arm `{arm}`")));
        }
    }
    Ok(())
}
