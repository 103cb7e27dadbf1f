//! `sfmc.tracking`.

mod extract;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_plugin::{
    Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Source, Stage, StageContext, StageError, Table,
    personal_among,
};

use crate::cells::{
    Cell, Input, flag_column, float_column, folded, identity, integer_column, text_column, time_column,
};
use extract::{Event, What};

/// Read what became of a send: who was sent to, opened, clicked, bounced and unsubscribed.
///
/// Tracking extracts are zip archives of CSV files (`Sent`, `Opens`, `Clicks`, `Bounces`, `Unsubs`; others are passed
/// over). Their times are those of Marketing Cloud's clock, Central Standard Time without daylight saving all year
/// round, and become UTC. A row that is there twice, in one extract or in several that overlap, counts once:
/// `ClientID`, `SendID`, `SubscriberKey`, `EventDate` and `BatchID` tell rows of a file apart. Addresses in them are
/// not read.
///
/// What happened is joined to `deliveries` of `sfmc.bundle` by subscriber key, without case. Where people are in more
/// than one variant, `jobs` says which jobs sent which. Opens and clicks say whether a person did it; `opens` and
/// `clicks` how often; a click is unique per job, as in `_Click.IsUnique`.
///
/// Tools divide by different things, so `rates` has every rate with its numerator and denominator: `delivery_rate` =
/// delivered / sent, where delivered = sent - bounced; `bounce_rate` = bounced / sent; `open_rate` = opened /
/// delivered; `click_through_rate` = clicked / delivered; `click_to_open_rate` = clicked / opened; `unsubscribe_rate` =
/// unsubscribed / delivered. Everybody counts once, where the message was delivered. A quotient by nothing is null.
/// `evaluate.campaign` takes `responses` as they are, with `arm: variant`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tracking {
    /// The extracts: a path or a pattern.
    extracts: String,
    /// The jobs (`SendID`) that are read, by the variant that they sent; all of them, whatever they sent, where it is
    /// left out.
    #[serde(default)]
    jobs: BTreeMap<String, Vec<u64>>,
}

/// The columns of `deliveries` besides the person.
const KEY: &str = "subscriber_key";
const VARIANT: &str = "variant";
const DELIVERY: &str = "delivery";
const SENT: &str = "sent";

/// The columns of `responses` that are made.
const MADE: &[&str] = &[
    "sent",
    "opened",
    "clicked",
    "bounced",
    "unsubscribed",
    "opens",
    "clicks",
    "unique_clicks",
    "sent_at",
    "opened_at",
    "clicked_at",
    "bounced_at",
    "unsubscribed_at",
];

impl Stage for Tracking {
    const TYPE: &'static str = "sfmc.tracking";
    const EXAMPLE: &'static str = "\
inputs: { deliveries: deliver.deliveries }
with: { extracts: extracts/*.zip, jobs: { a: [10041], b: [10042] } }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("deliveries", Kind::Table, "What `sfmc.bundle` says of each person."),
            Port::output(
                "responses",
                Kind::Table,
                "`deliveries` with what each person did (booleans), how often, and when first (UTC).",
            ),
            Port::output(
                "rates",
                Kind::Table,
                "`variant`, `rate`, `numerator`, `numerator_value`, `denominator`, `denominator_value`, `value`.",
            ),
            Port::output("metrics", Kind::Metrics, "Counts and rates of all, and as `NAME@VARIANT` of each variant."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        let mut seen = BTreeSet::new();
        for (variant, jobs) in &self.jobs {
            if let Some(job) = jobs.iter().find(|job| !seen.insert(**job)) {
                return Err(ParamError::new(format!("jobs/{variant}"), format!("job {job} is there twice")));
            }
        }
        Ok(())
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new("extracts", &self.extracts)]
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        // Those of `deliveries` stay; what is made is about what people did, not who they are.
        let mut columns = inputs.get("deliveries").cloned().unwrap_or_default();
        columns.extend(personal_among(inputs, MADE.iter().copied()));
        let rates = ["variant", "rate", "numerator", "numerator_value", "denominator", "denominator_value", "value"];
        PersonalColumns::from([("responses".to_owned(), columns), ("rates".to_owned(), personal_among(inputs, rates))])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let deliveries = context.table("deliveries")?;
        let input = Input { port: "deliveries", table: &deliveries };
        if let Some(name) = deliveries.names().find(|name| MADE.contains(name)) {
            return Err(StageError::data(format!("input `deliveries` has a column `{name}` already"))
                .with_help("connect the output `deliveries` of an `sfmc.bundle` as it is"));
        }
        let text = |cells: Vec<Cell<'_>>| -> Vec<Option<String>> { cells.into_iter().map(identity).collect() };
        let keys = text(input.cells(KEY)?);
        let variants = text(input.cells(VARIANT)?);
        let delivered = text(input.cells(DELIVERY)?);
        let by_job: HashMap<u64, &str> =
            self.jobs.iter().flat_map(|(variant, jobs)| jobs.iter().map(|job| (*job, variant.as_str()))).collect();
        // By subscriber key, and by variant where that matters.
        let mut rows: HashMap<(String, Option<&str>), usize> = HashMap::new();
        for (row, key) in keys.iter().enumerate() {
            let (Some(key), Some(SENT)) = (key, delivered[row].as_deref()) else { continue };
            let variant = (!by_job.is_empty()).then(|| variants[row].as_deref().unwrap_or_default());
            if let Some(before) = rows.insert((folded(key), variant), row) {
                return Err(StageError::data(format!("the person of row {} is sent to a second time", before + 1))
                    .at(input.at(row))
                    .with_help("say which jobs sent which variant: `jobs: { VARIANT: [JOB] }`"));
            }
        }
        let mut events: BTreeSet<Event> = BTreeSet::new();
        for file in context.sources("extracts") {
            context.check_cancelled()?;
            extract::read(&file.path, &file.name, &mut events)?;
        }
        let mut people = vec![Person::default(); deliveries.rows()];
        let (mut others, mut passed_over) = (0u64, 0u64);
        for event in &events {
            let variant = by_job.get(&event.job).copied();
            if !by_job.is_empty() && variant.is_none() {
                passed_over += 1;
                continue;
            }
            match rows.get(&(folded(&event.key), variant)) {
                Some(row) => people[*row].add(event),
                None => others += 1,
            }
        }
        if others > 0 {
            context.warn(format!("{others} events are of nobody who was sent to by `deliveries`"));
        }
        let rates = rates(&variants, &people);
        let mut metrics = Metrics::new();
        for rate in &rates {
            let at = if rate.variant == ALL { String::new() } else { format!("@{}", rate.variant) };
            metrics.insert(format!("{}{at}", rate.name), rate.value(), rate.goal)?;
            for (name, count) in [rate.numerator, rate.denominator] {
                metrics.insert(format!("{name}{at}"), Some(count as f64), Goal::Describe)?;
            }
        }
        metrics.insert("events", Some(events.len() as f64), Goal::Describe)?;
        metrics.insert("events_of_others", Some(others as f64), Goal::Describe)?;
        metrics.insert("events_of_other_jobs", Some(passed_over as f64), Goal::Describe)?;
        context.put("responses", responses(&deliveries, &people)?)?;
        context.put("rates", table_of(&rates)?)?;
        context.put("metrics", metrics)
    }
}

/// What is known of a delivery.
#[derive(Clone, Debug, Default)]
struct Person {
    /// How often, and when first.
    did: BTreeMap<What, (i64, i64)>,
    clicked_in: BTreeSet<u64>,
}

impl Person {
    fn add(&mut self, event: &Event) {
        let (count, first) = self.did.entry(event.what).or_insert((0, event.when));
        *count += 1;
        *first = event.when.min(*first);
        if event.what == What::Click {
            self.clicked_in.insert(event.job);
        }
    }

    fn times(&self, what: What) -> i64 {
        self.did.get(&what).map_or(0, |(count, _)| *count)
    }

    fn is(&self, what: What) -> bool {
        match what {
            // Whoever did something was sent to, whether that file is in the extract or not.
            What::Sent => !self.did.is_empty(),
            _ => self.times(what) > 0,
        }
    }
}

fn responses(deliveries: &Table, people: &[Person]) -> Result<Table, StageError> {
    let each = || people.iter();
    let mut columns = deliveries.columns().to_vec();
    let whats = [What::Sent, What::Open, What::Click, What::Bounce, What::Unsubscribe];
    for (name, what) in ["sent", "opened", "clicked", "bounced", "unsubscribed"].into_iter().zip(whats) {
        columns.push(flag_column(name, each().map(|person| person.is(what)).collect()));
    }
    columns.push(integer_column("opens", each().map(|person| person.times(What::Open)).collect()));
    columns.push(integer_column("clicks", each().map(|person| person.times(What::Click)).collect()));
    columns.push(integer_column("unique_clicks", each().map(|person| person.clicked_in.len() as i64).collect()));
    for (name, what) in ["sent_at", "opened_at", "clicked_at", "bounced_at", "unsubscribed_at"].into_iter().zip(whats) {
        columns.push(time_column(name, each().map(|person| person.did.get(&what).map(|(_, first)| *first)).collect()));
    }
    Table::new(columns)
}

/// What stands for all variants together, in metrics and in `rates`.
const ALL: &str = "all";

/// A quotient, and what it is one of.
struct Rate {
    variant: String,
    name: &'static str,
    numerator: (&'static str, u64),
    denominator: (&'static str, u64),
    goal: Goal,
}

impl Rate {
    fn value(&self) -> Option<f64> {
        (self.denominator.1 > 0).then(|| self.numerator.1 as f64 / self.denominator.1 as f64)
    }
}

/// The rates of all, then of each variant where there are several.
fn rates(variants: &[Option<String>], people: &[Person]) -> Vec<Rate> {
    let names: BTreeSet<&str> = variants.iter().flatten().map(String::as_str).collect();
    let mut rates = of_some(ALL, people.iter());
    for name in names {
        let own = people.iter().zip(variants).filter(|(_, variant)| variant.as_deref() == Some(name));
        rates.extend(of_some(name, own.map(|(person, _)| person)));
    }
    rates
}

fn of_some<'a>(variant: &str, people: impl Iterator<Item = &'a Person>) -> Vec<Rate> {
    let [mut sent, mut bounced, mut opened, mut clicked, mut unsubscribed] = [0u64; 5];
    for person in people {
        let delivered = person.is(What::Sent) && !person.is(What::Bounce);
        sent += u64::from(person.is(What::Sent));
        bounced += u64::from(person.is(What::Bounce));
        opened += u64::from(delivered && person.is(What::Open));
        clicked += u64::from(delivered && person.is(What::Click));
        unsubscribed += u64::from(delivered && person.is(What::Unsubscribe));
    }
    let delivered = ("delivered", sent - bounced);
    let (sent, bounced) = (("sent", sent), ("bounced", bounced));
    let (opened, clicked, unsubscribed) = (("opened", opened), ("clicked", clicked), ("unsubscribed", unsubscribed));
    let rate =
        |name, numerator, denominator, goal| Rate { variant: variant.to_owned(), name, numerator, denominator, goal };
    vec![
        rate("delivery_rate", delivered, sent, Goal::Maximize),
        rate("bounce_rate", bounced, sent, Goal::Minimize),
        rate("open_rate", opened, delivered, Goal::Maximize),
        rate("click_through_rate", clicked, delivered, Goal::Maximize),
        rate("click_to_open_rate", clicked, opened, Goal::Maximize),
        rate("unsubscribe_rate", unsubscribed, delivered, Goal::Minimize),
    ]
}

fn table_of(rates: &[Rate]) -> Result<Table, StageError> {
    let text = |name: &str, value: &dyn Fn(&Rate) -> &str| {
        text_column(name, rates.iter().map(|rate| Some(value(rate).to_owned())).collect())
    };
    Table::new(vec![
        text("variant", &|rate| &rate.variant),
        text("rate", &|rate| rate.name),
        text("numerator", &|rate| rate.numerator.0),
        integer_column("numerator_value", rates.iter().map(|rate| rate.numerator.1 as i64).collect()),
        text("denominator", &|rate| rate.denominator.0),
        integer_column("denominator_value", rates.iter().map(|rate| rate.denominator.1 as i64).collect()),
        float_column("value", rates.iter().map(Rate::value).collect()),
    ])
}
