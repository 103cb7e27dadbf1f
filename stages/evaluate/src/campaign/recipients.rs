//! Who was written to and what they did, from a row per recipient or from a row per event.

use polars::prelude::{DataFrame, DataType};
use stagewright_contract::{StageContext, StageError};
use stagewright_frame::{Ids, column, numbers};

use super::Campaign;
use crate::amounts;
use crate::groups::Groups;

/// One recipient of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Recipient {
    pub(super) arm: u32,
    pub(super) sent: bool,
    pub(super) delivered: bool,
    pub(super) opened: bool,
    pub(super) clicked: bool,
    pub(super) unsubscribed: bool,
    pub(super) converted: bool,
    pub(super) is_new: bool,
    pub(super) orders: f64,
    pub(super) revenue: f64,
}

/// What was observed at all: what was not has no rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) delivery: bool,
    pub(super) opens: bool,
    pub(super) clicks: bool,
    pub(super) unsubscribes: bool,
    pub(super) conversions: bool,
    pub(super) revenue: bool,
    pub(super) new_customers: bool,
}

/// The recipients of a campaign.
pub(super) struct Recipients {
    pub(super) all: Vec<Recipient>,
    /// The names of the arms, ascending; `None` where rows lack one.
    pub(super) arms: Vec<Option<String>>,
    pub(super) observed: Observed,
}

/// The arm of each row; without a column, all rows are of one arm without a name.
fn arms(frame: &DataFrame, port: &str, name: Option<&String>) -> Result<Groups, StageError> {
    match name {
        Some(name) => Groups::read(frame, port, name),
        None => Ok(Groups { column: String::new(), names: Vec::new(), codes: vec![0; frame.height()] }),
    }
}

/// Whether the value of each row is true or above 0; a missing one is not.
fn flags(frame: &DataFrame, name: &str) -> Result<Vec<bool>, StageError> {
    Ok(numbers(frame, name)?.into_iter().map(|value| value.is_some_and(|value| value > 0.0)).collect())
}

/// The finite amount of each row; a missing one is 0.
fn amounts(frame: &DataFrame, name: &str) -> Result<Vec<f64>, StageError> {
    Ok(amounts::amounts(frame, name)?.into_iter().map(|value| value.unwrap_or(0.0)).collect())
}

/// From a row per recipient.
pub(super) fn of_responses(campaign: &Campaign, frame: &DataFrame) -> Result<Recipients, StageError> {
    let arms = arms(frame, "responses", campaign.arm.as_ref())?;
    let flags = |name: &Option<String>| name.as_ref().map(|name| flags(frame, name)).transpose();
    let amounts = |name: &Option<String>| name.as_ref().map(|name| amounts(frame, name)).transpose();
    let sent = flags(&campaign.sent)?;
    let (delivered, bounced) = (flags(&campaign.delivered)?, flags(&campaign.bounced)?);
    let [opened, clicked, unsubscribed, converted, is_new] =
        [&campaign.opened, &campaign.clicked, &campaign.unsubscribed, &campaign.converted, &campaign.new_customer]
            .map(flags);
    let (opened, clicked, unsubscribed, converted, is_new) = (opened?, clicked?, unsubscribed?, converted?, is_new?);
    let (orders, revenue) = (amounts(&campaign.orders)?, amounts(&campaign.revenue)?);
    let at = |flags: &Option<Vec<bool>>, row: usize| flags.as_ref().and_then(|flags| flags.get(row).copied());
    let amount = |values: &Option<Vec<f64>>, row: usize| values.as_ref().and_then(|values| values.get(row).copied());
    let recipient = |(row, arm): (usize, &u32)| {
        let sent = at(&sent, row).unwrap_or(true);
        let arrived = at(&delivered, row).or_else(|| at(&bounced, row).map(|bounced| !bounced)).unwrap_or(true);
        let converted = at(&converted, row).unwrap_or(false);
        Recipient {
            arm: *arm,
            sent,
            delivered: sent && arrived,
            opened: at(&opened, row).unwrap_or(false),
            clicked: at(&clicked, row).unwrap_or(false),
            unsubscribed: at(&unsubscribed, row).unwrap_or(false),
            converted,
            is_new: converted && at(&is_new, row).unwrap_or(false),
            orders: amount(&orders, row).unwrap_or(f64::from(u8::from(converted))),
            revenue: amount(&revenue, row).unwrap_or(0.0),
        }
    };
    let observed = Observed {
        delivery: campaign.delivered.is_some() || campaign.bounced.is_some(),
        opens: campaign.opened.is_some(),
        clicks: campaign.clicked.is_some(),
        unsubscribes: campaign.unsubscribed.is_some(),
        conversions: campaign.converted.is_some(),
        revenue: campaign.revenue.is_some(),
        new_customers: campaign.new_customer.is_some(),
    };
    let all = arms.codes.iter().enumerate().map(recipient).collect();
    Ok(Recipients { all, arms: arms.names, observed })
}

/// What an event is, by the words that mailing systems have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Sent,
    Delivered,
    Bounced,
    Opened,
    Clicked,
    Unsubscribed,
    Converted,
}

impl Event {
    fn of(word: &str) -> Option<Self> {
        Some(match word.trim().to_lowercase().as_str() {
            "sent" | "send" | "sends" => Self::Sent,
            "delivered" | "delivery" => Self::Delivered,
            "bounce" | "bounced" | "bounces" => Self::Bounced,
            "open" | "opened" | "opens" => Self::Opened,
            "click" | "clicked" | "clicks" => Self::Clicked,
            "unsubscribe" | "unsubscribed" | "unsub" | "unsubs" | "unsubscribes" => Self::Unsubscribed,
            "conversion" | "converted" | "conversions" | "purchase" | "order" => Self::Converted,
            _ => return None,
        })
    }
}

/// From a row per event. A recipient is a user of an arm.
pub(super) fn of_events(
    campaign: &Campaign,
    context: &StageContext,
    frame: &DataFrame,
) -> Result<Recipients, StageError> {
    let arms = arms(frame, "events", campaign.arm.as_ref())?;
    let users = Ids::of(&campaign.user, &[("events", frame)])?;
    let users = users.codes(frame)?;
    let words = column(frame, &campaign.event)?;
    if words.dtype() != &DataType::String {
        return Err(StageError::data(format!("column `{}` is {}, text is needed", campaign.event, words.dtype()))
            .with_help("name the column that says what happened in `event`"));
    }
    let words = words.str().map_err(|error| stagewright_frame::polars_error("reading the events", &error))?;
    let revenue = campaign.revenue.as_ref().map(|name| amounts(frame, name)).transpose()?;
    let is_new = campaign.new_customer.as_ref().map(|name| flags(frame, name)).transpose()?;

    let mut events: Vec<(u32, u32, Event, bool, f64)> = Vec::with_capacity(frame.height());
    for (row, ((arm, user), word)) in arms.codes.iter().zip(users).zip(words.iter()).enumerate() {
        if let (Some(user), Some(event)) = (user, word.and_then(Event::of)) {
            let amount = revenue.as_ref().and_then(|revenue| revenue.get(row).copied()).unwrap_or(0.0);
            let is_new = is_new.as_ref().and_then(|is_new| is_new.get(row).copied()).unwrap_or(false);
            events.push((*arm, user, event, is_new, amount));
        }
    }
    let left_out = frame.height() - events.len();
    if left_out > 0 {
        context.warn(format!(
            "{left_out} of {} events are left out: no `{}`, or `{}` is none of sent, delivered, bounce, open, \
             click, unsubscribe, conversion",
            frame.height(),
            campaign.user,
            campaign.event
        ));
    }
    // Fully ordered, so that sums do not depend on the order of rows.
    events.sort_unstable_by(|a, b| (a.0, a.1, a.2, a.3).cmp(&(b.0, b.1, b.2, b.3)).then(a.4.total_cmp(&b.4)));
    let any = |event: Event| events.iter().any(|other| other.2 == event);
    let (sends, deliveries) = (any(Event::Sent), any(Event::Delivered));
    let mut all = Vec::new();
    for of_one in events.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let has = |event: Event| of_one.iter().any(|other| other.2 == event);
        let conversions = || of_one.iter().filter(|other| other.2 == Event::Converted);
        let sent = !sends || has(Event::Sent);
        all.push(Recipient {
            arm: of_one.first().map_or(0, |event| event.0),
            sent,
            delivered: sent && if deliveries { has(Event::Delivered) } else { !has(Event::Bounced) },
            opened: has(Event::Opened),
            clicked: has(Event::Clicked),
            unsubscribed: has(Event::Unsubscribed),
            converted: has(Event::Converted),
            is_new: conversions().any(|event| event.3),
            orders: conversions().count() as f64,
            revenue: conversions().map(|event| event.4).sum(),
        });
    }
    let observed = Observed {
        delivery: deliveries || any(Event::Bounced),
        opens: any(Event::Opened),
        clicks: any(Event::Clicked),
        unsubscribes: any(Event::Unsubscribed),
        conversions: any(Event::Converted),
        revenue: campaign.revenue.is_some(),
        new_customers: campaign.new_customer.is_some(),
    };
    Ok(Recipients { all, arms: arms.names, observed })
}
