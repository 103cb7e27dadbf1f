//! `ingest.synthetic_email_test`.

use polars::prelude::Column;
use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::to_table;

use super::{cumulated, frame, pick};

/// Make up an e-mail campaign that was tested on three arms drawn at random, in the shape of Hillstrom's table, with
/// effects that are known.
///
/// Each customer gets an e-mail about men's clothes, one about women's, or none, with the same probability. Without an
/// e-mail 10.6 % visit the shop within the two weeks after; either e-mail multiplies that by 1 + its lift. One visitor in
/// five buys, whatever brought them, so an e-mail lifts conversion as much as visits. Who had spent more before visits
/// more often and spends more: `history` is a covariate that explains some of `spend`. Amounts are in US dollars.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailTest {
    /// The number of customers.
    #[serde(default = "default_customers")]
    #[schemars(range(min = 0, max = 100_000_000))]
    customers: u32,
    /// How much the men's e-mail lifts visits (0.7 is 70 % more).
    #[serde(default = "default_mens_lift")]
    #[schemars(range(min = -1, max = 4))]
    mens_lift: f64,
    /// How much the women's e-mail lifts visits.
    #[serde(default = "default_womens_lift")]
    #[schemars(range(min = -1, max = 4))]
    womens_lift: f64,
}

fn default_customers() -> u32 {
    12_000
}

fn default_mens_lift() -> f64 {
    0.7
}

fn default_womens_lift() -> f64 {
    0.4
}

/// The share of customers who visit without an e-mail, and of visitors who buy.
const VISIT: f64 = 0.106;
const BUY: f64 = 0.2;

/// What was spent in the year before, by bounds in dollars.
const HISTORY: [(f64, &str); 7] = [
    (100.0, "1) $0 - $100"),
    (200.0, "2) $100 - $200"),
    (350.0, "3) $200 - $350"),
    (500.0, "4) $350 - $500"),
    (750.0, "5) $500 - $750"),
    (1000.0, "6) $750 - $1,000"),
    (f64::INFINITY, "7) $1,000 +"),
];
const ZIP_CODES: [(&str, f64); 3] = [("Surburban", 0.45), ("Urban", 0.4), ("Rural", 0.15)];
const CHANNELS: [(&str, f64); 3] = [("Web", 0.44), ("Phone", 0.44), ("Multichannel", 0.12)];

impl Stage for EmailTest {
    const TYPE: &'static str = "ingest.synthetic_email_test";
    const EXAMPLE: &'static str = "with: { customers: 30000, mens_lift: 0.1, womens_lift: 0 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![Port::output(
            "table",
            Kind::Table,
            "One row per customer: recency (months since the last purchase, 1 to 12), history_segment, history (spent in \
             the year before, US dollars), mens, womens (0 or 1: what was bought), zip_code, newbie (0 or 1), channel, \
             segment (the arm: Mens E-Mail, Womens E-Mail, No E-Mail), visit, conversion (0 or 1), spend (US dollars).",
        )]
    }

    fn check(&self) -> Result<(), ParamError> {
        for (name, lift) in [("mens_lift", self.mens_lift), ("womens_lift", self.womens_lift)] {
            if !(-1.0..=4.0).contains(&lift) {
                return Err(ParamError::new(name, format!("a lift is between -1 and 4, not {lift}")));
            }
        }
        Ok(())
    }

    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::new()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let customers = draw(self.customers, &mut context.rng("customers"));
        context.check_cancelled()?;
        let outcomes = self.outcomes(&customers.loyalty, &customers.history, &mut context.rng("outcomes"));
        let table = to_table(frame(
            "customers",
            self.customers as usize,
            customers.columns.into_iter().chain(outcomes).collect(),
        )?)?;
        context.put("table", table)
    }
}

/// Customers before the test.
struct Customers {
    columns: Vec<Column>,
    /// How much each is given to buying; 1 on average.
    loyalty: Vec<f64>,
    history: Vec<f64>,
}

fn draw(count: u32, rng: &mut Xoshiro256PlusPlus) -> Customers {
    let rows = count as usize;
    let loyalty: Vec<f64> = (0..rows).map(|_| Exp1.sample(rng)).collect();
    let history: Vec<f64> = loyalty.iter().map(|loyalty| cents(29.99 + 212.0 * loyalty)).collect();
    let segment = |spent: &f64| HISTORY.iter().find(|(below, _)| spent < below).map(|(_, name)| *name);
    let recency: Vec<i64> = (0..rows).map(|_| rng.random_range(1..=12)).collect();
    // Nine in twenty bought of the one, nine of the other, two of both.
    let bought: Vec<u32> = (0..rows).map(|_| rng.random_range(0..20)).collect();
    let newbie: Vec<i64> = (0..rows).map(|_| i64::from(rng.random_bool(0.5))).collect();
    let of = |name: &str, what: fn(u32) -> bool| {
        Column::new(name.into(), bought.iter().map(|at| i64::from(what(*at))).collect::<Vec<_>>())
    };
    let (mens, womens) = (of("mens", |at| at < 11), of("womens", |at| at >= 9));
    let mut words = |name: &str, of: &[(&'static str, f64)]| {
        let shares = cumulated(of.iter().map(|(_, share)| *share));
        let draws = (0..rows).map(|_| of.get(pick(&shares, rng.random())).map(|(word, _)| *word));
        Column::new(name.into(), draws.collect::<Vec<_>>())
    };
    let (zip_code, channel) = (words("zip_code", &ZIP_CODES), words("channel", &CHANNELS));
    let columns = vec![
        Column::new("recency".into(), recency),
        Column::new("history_segment".into(), history.iter().map(segment).collect::<Vec<_>>()),
        Column::new("history".into(), history.clone()),
        mens,
        womens,
        zip_code,
        Column::new("newbie".into(), newbie),
        channel,
    ];
    Customers { columns, loyalty, history }
}

impl EmailTest {
    /// Draws the arms, and what came of them.
    fn outcomes(&self, loyalty: &[f64], history: &[f64], rng: &mut Xoshiro256PlusPlus) -> Vec<Column> {
        let arms = [("Mens E-Mail", self.mens_lift), ("Womens E-Mail", self.womens_lift), ("No E-Mail", 0.0)];
        let rows = loyalty.len();
        let (mut segment, mut visit) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let (mut conversion, mut spend) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (loyalty, history) in loyalty.iter().zip(history) {
            let (arm, lift) = arms.get(rng.random_range(0..arms.len())).copied().unwrap_or_default();
            let visits = VISIT * (1.0 + lift) * (0.5 + 0.5 * loyalty);
            let visited = rng.random::<f64>() < visits;
            let bought = rng.random_bool(BUY) && visited;
            let scatter: f64 = StandardNormal.sample(rng);
            let amount = 30.0 + 0.4 * history * (0.5 * scatter - 0.125).exp();
            segment.push(arm);
            visit.push(i64::from(visited));
            conversion.push(i64::from(bought));
            spend.push(if bought { cents(amount) } else { 0.0 });
        }
        vec![
            Column::new("segment".into(), segment),
            Column::new("visit".into(), visit),
            Column::new("conversion".into(), conversion),
            Column::new("spend".into(), spend),
        ]
    }
}

/// An amount in whole cents.
fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
