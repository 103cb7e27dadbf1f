mod rates;
mod recipients;
#[cfg(test)]
mod tests;

use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext,
    StageError,
};
use stagewright_frame::to_frame;

use crate::outputs::{counts, personal, put, series};
use rates::{Counts, Rate, rates};
use recipients::{Recipients, of_events, of_responses};

/// Measure what came of a campaign: delivery, opens, clicks, conversions, revenue and cost, by arm.
///
/// The responses come as `responses`, a row per recipient with a column for each thing they may have done (booleans, or
/// numbers that are above 0 where they did), or as `events`, a row per event; a recipient is then a user of an arm, and
/// the words for events are those of mailing systems (sent, delivered, bounce, open, click, unsubscribe, conversion or
/// purchase, and their usual forms; others are left out with a warning). Everybody counts once for each thing, however
/// often they did it, and opens, clicks, unsubscribes and conversions count only where the message was delivered.
///
/// Tools divide by different things, so every rate is put out with its numerator and denominator: `delivery_rate` =
/// delivered / sent, where delivered = sent - bounced; `bounce_rate` = bounced / sent; `open_rate` = opened / delivered;
/// `click_through_rate` = clicked / delivered; `click_to_open_rate` = clicked / opened; `unsubscribe_rate` =
/// unsubscribed / delivered; `conversion_rate` = converted / delivered, or as `conversion_of` says. Shares of people
/// have the interval of Wilson (1927). `customer_acquisition_cost` = cost / new customers; `average_order_value` =
/// revenue / orders; `revenue_per_recipient`; `return_on_investment` = (margin - cost) / cost, where the margin is that
/// on all revenue or, with `control`, on the revenue beyond what as many recipients of the control arm brought;
/// `customer_lifetime_value` = m r / (1 + d - r), for m the margin per buyer in the period of the campaign, r the share
/// of customers who stay for another period (`retention`), d the `discount` rate of a period, margins coming at the end
/// of each. What was not observed has no rate, and a quotient by nothing is null. Amounts are in the currency of the
/// `revenue` column, and may lie between -1e100 and 1e100.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// The column that says which arm (variant of the campaign) a recipient was in (integers or text, at most 500
    /// values); without it, all are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arm: Option<String>,
    /// In `events`: the column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// In `events`: the column that says what happened (text).
    #[serde(default = "event")]
    event: String,
    /// In `responses`: whether a message was sent; without it, one was sent to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<String>,
    /// In `responses`: whether the message was delivered. Name this or `bounced`; without both, all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered: Option<String>,
    /// In `responses`: whether the message bounced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounced: Option<String>,
    /// In `responses`: whether, or how often, the message was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<String>,
    /// In `responses`: whether, or how often, a link was clicked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clicked: Option<String>,
    /// In `responses`: whether the recipient unsubscribed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsubscribed: Option<String>,
    /// In `responses`: whether the recipient bought (or did what the campaign was for).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    converted: Option<String>,
    /// In `responses`: the number of orders; without it, one for each who converted. In `events`, each conversion is
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    orders: Option<String>,
    /// The revenue of a recipient, or of a conversion event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revenue: Option<String>,
    /// Whether who converted is a new customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_customer: Option<String>,
    /// What conversions are divided by.
    #[serde(default)]
    conversion_of: ConversionOf,
    /// The cost of the whole campaign that does not depend on the number of messages, shared between arms by messages
    /// sent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1e100))]
    fixed_cost: f64,
    /// The cost of a message sent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1e100))]
    cost_per_message: f64,
    /// The share of revenue that is margin (0 to 1).
    #[serde(default = "whole")]
    #[schemars(range(min = 0, max = 1))]
    margin: f64,
    /// The arm without the campaign, which the margin of the others is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<String>,
    /// The share of customers who stay for another period of the campaign's length (0 to 1); without it, there is no
    /// lifetime value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    retention: Option<f64>,
    /// The discount rate for a period (0.1 is ten percent).
    #[serde(default = "tenth")]
    #[schemars(range(min = 0, max = 10))]
    discount: f64,
    /// The confidence of the intervals (above 0, below 1).
    #[serde(default = "confidence")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    confidence: f64,
}

/// What conversions are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversionOf {
    /// Those who got the message and converted, by those who got it.
    #[default]
    Delivered,
    /// Those who clicked and converted, by those who clicked.
    Clicked,
    /// All who converted, by all recipients of the arm, whether a message was sent to them or not: what to compare with
    /// a control arm.
    Recipients,
}

fn user_id() -> String {
    "user_id".to_owned()
}

fn event() -> String {
    "event".to_owned()
}

fn whole() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

fn confidence() -> f64 {
    0.95
}

/// The columns of each output table.
const TABLES: [(&str, &[&str]); 2] = [
    (
        "rates",
        &["arm", "rate", "numerator", "numerator_value", "denominator", "denominator_value", "value", "lower", "upper"],
    ),
    (
        "counts",
        &[
            "arm",
            "recipients",
            "sent",
            "delivered",
            "opened",
            "clicked",
            "unsubscribed",
            "converted",
            "converted_clickers",
            "buyers",
            "new_customers",
            "orders",
            "revenue",
            "cost",
            "incremental_margin",
        ],
    ),
];

impl Stage for Campaign {
    const TYPE: &'static str = "evaluate.campaign";
    const EXAMPLE: &'static str = "\
inputs: { responses: responses }
with: { arm: variant, bounced: bounced, opened: opens, clicked: clicks, converted: ordered, revenue: revenue,
        cost_per_message: 0.02 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("responses", Kind::Table, "One row per recipient; the columns are named by the parameters.")
                .optional(),
            Port::input(
                "events",
                Kind::Table,
                "One row per event: the user and event columns, and those of `arm`, `revenue` and `new_customer` if \
                 they are named. Connect this or `responses`.",
            )
            .optional(),
            Port::output(
                "metrics",
                Kind::Metrics,
                "The rates of the whole campaign by name, such as `open_rate`, and of each arm, such as \
                 `open_rate:ARM`; `recipients`, `sent`, `delivered`, `revenue`, `cost`.",
            ),
            Port::output(
                "rates",
                Kind::Table,
                "For the whole campaign (`arm` null) and for each arm, a row per rate: `arm`, `rate`, what is divided \
                 by what (`numerator`, `numerator_value`, `denominator`, `denominator_value`), `value`, and of shares \
                 of people the interval from `lower` to `upper`.",
            ),
            Port::output(
                "counts",
                Kind::Table,
                "For the whole campaign (`arm` null) and for each arm: `recipients`, `sent`, `delivered`, `opened`, \
                 `clicked`, `unsubscribed`, `converted`, `converted_clickers`, `buyers`, `new_customers` (people), \
                 `orders`, `revenue`, `cost`, `incremental_margin`.",
            ),
            Port::output("rates_figure", Kind::Figure, "Open, click, unsubscribe and conversion rates by arm."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.delivered.is_some() && self.bounced.is_some() {
            return Err(ParamError::new("bounced", "`delivered` is named, too")
                .with_help("name one of them: what was sent is delivered or bounces"));
        }
        if self.control.is_some() && self.arm.is_none() {
            return Err(ParamError::new("control", "there are no arms without `arm`")
                .with_help("name the column of arms in `arm`"));
        }
        if self.retention.is_some_and(|retention| 1.0 + self.discount - retention <= 0.0) {
            return Err(ParamError::new("retention", "customers who never leave have no finite value")
                .with_help("give a `retention` below 1, or a `discount` above 0"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(&TABLES, &self.holding(), inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        let Some(arm) = &self.arm else { return Vec::new() };
        let of = |port| Disclosure {
            port,
            columns: Some(vec![arm.clone()]),
            to: "a table and a figure of rates by arm",
            help: "name a column of arms that is not personal".to_owned(),
        };
        vec![of("responses"), of("events")]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let port = match (context.has_input("responses"), context.has_input("events")) {
            (true, false) => "responses",
            (false, true) => "events",
            (both, _) => {
                let what =
                    if both { "both `responses` and `events` are" } else { "neither `responses` nor `events` is" };
                return Err(StageError::data(format!("{what} connected")).with_help("connect one of them"));
            }
        };
        let input = context.table(port)?;
        let frame = to_frame(&input)?;
        let recipients = match port {
            "responses" => of_responses(self, &frame)?,
            _ => of_events(self, context, &frame)?,
        };
        let counted = self.count(&recipients)?;
        let rated: Vec<Vec<Rate>> =
            counted.iter().map(|(_, counts)| rates(self, recipients.observed, counts)).collect();
        if rated.iter().flatten().any(|rate| rate.value.is_some() && overfull(rate)) {
            context.warn("more people clicked than opened: that click-to-open rate is above 1 and has no interval");
        }

        let arms: Vec<Option<&str>> = counted.iter().map(|(arm, _)| arm.as_deref()).collect();
        let metrics = metrics(&counted, &rated)?;
        put(context, "rates", rates_table(&arms, &rated), &self.holding(), &input)?;
        put(context, "counts", counts_table(&arms, &counted), &self.holding(), &input)?;
        context.put("rates_figure", figure(&arms, &rated))?;
        context.put("metrics", metrics)
    }
}

/// The name of an arm (`None` for the whole campaign), and what happened in it.
type Counted = (Option<String>, Counts);

/// How an arm is called whose name is missing.
const MISSING: &str = "(missing)";

impl Campaign {
    /// Whether anything has a cost.
    fn costs(&self) -> bool {
        self.fixed_cost > 0.0 || self.cost_per_message > 0.0
    }

    /// The whole campaign, and each arm.
    fn count(&self, recipients: &Recipients) -> Result<Vec<Counted>, StageError> {
        let arm = |(code, name): (u32, &Option<String>)| {
            let of_arm = recipients.all.iter().filter(|recipient| recipient.arm == code);
            (Some(name.clone().unwrap_or_else(|| MISSING.to_owned())), Counts::of(of_arm))
        };
        let mut arms: Vec<Counted> = (0..).zip(&recipients.arms).map(arm).collect();
        let mut all = Counts::of(recipients.all.iter());

        // What a recipient brings without the campaign.
        let without = match &self.control {
            Some(control) if !recipients.all.is_empty() => {
                let arm = arms.iter().find(|(name, _)| name.as_ref() == Some(control));
                let Some((_, counts)) = arm.filter(|(_, counts)| counts.recipients > 0) else {
                    return Err(StageError::data(format!("no recipient is in the control arm `{control}`"))
                        .with_help("name an arm that there is in `control`"));
                };
                counts.revenue / counts.recipients as f64
            }
            _ => 0.0,
        };
        let sent = all.sent;
        let settle = |counts: &mut Counts| {
            let share = if sent > 0 { counts.sent as f64 / sent as f64 } else { 0.0 };
            counts.cost = self.cost_per_message * counts.sent as f64 + self.fixed_cost * share;
            counts.incremental_margin = self.margin * (counts.revenue - without * counts.recipients as f64);
        };
        arms.iter_mut().for_each(|(_, counts)| settle(counts));
        settle(&mut all);
        Ok(std::iter::once((None, all)).chain(arms).collect())
    }

    /// Output columns that hold values of an input column under another name.
    fn holding(&self) -> Vec<(&str, &str, &str)> {
        self.arm.iter().flat_map(|arm| [("rates", "arm", arm.as_str()), ("counts", "arm", arm)]).collect()
    }
}

/// A share of more than everybody.
fn overfull(rate: &Rate) -> bool {
    rate.name == "click_to_open_rate" && rate.numerator_value > rate.denominator_value
}

/// Which way a rate is better.
fn goal(rate: &str) -> Goal {
    match rate {
        "bounce_rate" | "unsubscribe_rate" | "customer_acquisition_cost" => Goal::Minimize,
        _ => Goal::Maximize,
    }
}

fn metrics(counted: &[Counted], rated: &[Vec<Rate>]) -> Result<Metrics, StageError> {
    let mut metrics = Metrics::new();
    for ((arm, counts), rates) in counted.iter().zip(rated) {
        for rate in rates {
            let name = arm.as_ref().map_or_else(|| rate.name.to_owned(), |arm| format!("{}:{arm}", rate.name));
            metrics.insert(name, rate.value, goal(rate.name))?;
        }
        if arm.is_none() {
            for (name, value) in [
                ("recipients", counts.recipients as f64),
                ("sent", counts.sent as f64),
                ("delivered", counts.delivered as f64),
                ("revenue", counts.revenue),
                ("cost", counts.cost),
            ] {
                metrics.insert(name, Some(value), Goal::Describe)?;
            }
        }
    }
    Ok(metrics)
}

fn rates_table(arms: &[Option<&str>], rated: &[Vec<Rate>]) -> Vec<Column> {
    let of_arms = arms.iter().zip(rated).flat_map(|(arm, rates)| rates.iter().map(move |_| *arm));
    let rates = || rated.iter().flatten();
    let numbers =
        |name: &str, value: fn(&Rate) -> Option<f64>| Column::new(name.into(), rates().map(value).collect::<Vec<_>>());
    let texts =
        |name: &str, text: fn(&Rate) -> &'static str| Column::new(name.into(), rates().map(text).collect::<Vec<_>>());
    vec![
        Column::new("arm".into(), of_arms.collect::<Vec<_>>()),
        texts("rate", |rate| rate.name),
        texts("numerator", |rate| rate.numerator),
        numbers("numerator_value", |rate| Some(rate.numerator_value)),
        texts("denominator", |rate| rate.denominator),
        numbers("denominator_value", |rate| Some(rate.denominator_value)),
        numbers("value", |rate| rate.value),
        numbers("lower", |rate| rate.interval.map(|(lower, _)| lower)),
        numbers("upper", |rate| rate.interval.map(|(_, upper)| upper)),
    ]
}

fn counts_table(arms: &[Option<&str>], counted: &[Counted]) -> Vec<Column> {
    let people = |name: &str, count: fn(&Counts) -> u64| counts(name, counted.iter().map(|(_, counts)| count(counts)));
    let amounts = |name: &str, amount: fn(&Counts) -> f64| {
        Column::new(name.into(), counted.iter().map(|(_, counts)| amount(counts)).collect::<Vec<_>>())
    };
    vec![
        Column::new("arm".into(), arms.to_vec()),
        people("recipients", |counts| counts.recipients),
        people("sent", |counts| counts.sent),
        people("delivered", |counts| counts.delivered),
        people("opened", |counts| counts.opened),
        people("clicked", |counts| counts.clicked),
        people("unsubscribed", |counts| counts.unsubscribed),
        people("converted", |counts| counts.converted),
        people("converted_clickers", |counts| counts.converted_clickers),
        people("buyers", |counts| counts.buyers),
        people("new_customers", |counts| counts.new_customers),
        amounts("orders", |counts| counts.orders),
        amounts("revenue", |counts| counts.revenue),
        amounts("cost", |counts| counts.cost),
        amounts("incremental_margin", |counts| counts.incremental_margin),
    ]
}

/// The rates of people's doings, arms beside each other.
fn figure(arms: &[Option<&str>], rated: &[Vec<Rate>]) -> Figure {
    let shown = ["open_rate", "click_through_rate", "click_to_open_rate", "unsubscribe_rate", "conversion_rate"];
    let mut figure = Figure::new(FigureKind::Bar, "Rates by arm", "rate", "share");
    let has_arms = arms.len() > 1;
    for (arm, rates) in arms.iter().zip(rated).skip(usize::from(has_arms)) {
        let rates = rates.iter().filter(|rate| shown.contains(&rate.name));
        let bars = rates.map(|rate| (rate.name.replace('_', " "), rate.value));
        figure = figure.with(series(arm.unwrap_or("all"), bars));
    }
    figure
}
