//! From recipients to counts, and from counts to rates that say what was divided by what.

use stagewright_compare::{Proportion, wilson};

use super::recipients::{Observed, Recipient};
use super::{Campaign, ConversionOf};
use crate::classification::share;
use crate::sums::Sum;

/// What happened in an arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) recipients: u64,
    pub(super) sent: u64,
    pub(super) delivered: u64,
    pub(super) opened: u64,
    pub(super) clicked: u64,
    pub(super) unsubscribed: u64,
    /// Of those who got the message.
    pub(super) converted: u64,
    /// Of those who clicked.
    pub(super) converted_clickers: u64,
    /// Of all, whether they got the message or not.
    pub(super) buyers: u64,
    pub(super) new_customers: u64,
    pub(super) orders: f64,
    pub(super) revenue: f64,
    pub(super) cost: f64,
    /// The margin that would not have been earned without the campaign, as far as is known.
    pub(super) incremental_margin: f64,
}

impl Counts {
    /// Of some recipients; costs and margins come later. What recipients did is counted only where the message was
    /// delivered, except what they bought, which those who got no message may do, too.
    pub(super) fn of<'a>(recipients: impl Iterator<Item = &'a Recipient>) -> Self {
        let mut counts = Self::default();
        let (mut orders, mut revenues) = (Vec::new(), Vec::new());
        for recipient in recipients {
            let of_delivered = |did: bool| u64::from(did && recipient.delivered);
            counts.recipients += 1;
            counts.sent += u64::from(recipient.sent);
            counts.delivered += u64::from(recipient.delivered);
            counts.opened += of_delivered(recipient.opened);
            counts.clicked += of_delivered(recipient.clicked);
            counts.unsubscribed += of_delivered(recipient.unsubscribed);
            counts.converted += of_delivered(recipient.converted);
            counts.converted_clickers += of_delivered(recipient.converted && recipient.clicked);
            counts.buyers += u64::from(recipient.converted);
            counts.new_customers += u64::from(recipient.is_new);
            orders.push(recipient.orders);
            revenues.push(recipient.revenue);
        }
        // In a fixed order, so that the order of rows has no part in the last digit.
        let total = |mut amounts: Vec<f64>| {
            amounts.sort_unstable_by(f64::total_cmp);
            amounts.into_iter().collect::<Sum>().value()
        };
        (counts.orders, counts.revenue) = (total(orders), total(revenues));
        counts
    }
}

/// A quotient, with what it is a quotient of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) name: &'static str,
    pub(super) numerator: &'static str,
    pub(super) numerator_value: f64,
    pub(super) denominator: &'static str,
    pub(super) denominator_value: f64,
    pub(super) value: Option<f64>,
    /// Of a share of countable things.
    pub(super) interval: Option<(f64, f64)>,
}

/// The rates of an arm that were observed.
pub(super) fn rates(campaign: &Campaign, observed: Observed, counts: &Counts) -> Vec<Rate> {
    let of_counts = |name, numerator, part: u64, denominator, whole: u64| Rate {
        name,
        numerator,
        numerator_value: part as f64,
        denominator,
        denominator_value: whole as f64,
        value: share(part, whole),
        // Of nothing and of more than everything there is none.
        interval: wilson(Proportion { successes: part, n: whole }, campaign.confidence)
            .ok()
            .map(|interval| (interval.lower, interval.upper)),
    };
    let mut rates = Vec::new();
    if observed.delivery {
        rates.push(of_counts("delivery_rate", "delivered", counts.delivered, "sent", counts.sent));
        rates.push(of_counts("bounce_rate", "bounced", counts.sent - counts.delivered, "sent", counts.sent));
    }
    if observed.opens {
        rates.push(of_counts("open_rate", "opened", counts.opened, "delivered", counts.delivered));
    }
    if observed.clicks {
        rates.push(of_counts("click_through_rate", "clicked", counts.clicked, "delivered", counts.delivered));
    }
    if observed.clicks && observed.opens {
        rates.push(of_counts("click_to_open_rate", "clicked", counts.clicked, "opened", counts.opened));
    }
    if observed.unsubscribes {
        rates.push(of_counts("unsubscribe_rate", "unsubscribed", counts.unsubscribed, "delivered", counts.delivered));
    }
    if observed.conversions {
        let name = "conversion_rate";
        rates.push(match campaign.conversion_of {
            ConversionOf::Delivered => of_counts(name, "converted", counts.converted, "delivered", counts.delivered),
            ConversionOf::Clicked => {
                of_counts(name, "converted_clickers", counts.converted_clickers, "clicked", counts.clicked)
            }
            ConversionOf::Recipients => of_counts(name, "buyers", counts.buyers, "recipients", counts.recipients),
        });
    }

    let of_amounts = |name, numerator, part: f64, denominator, whole: f64| Rate {
        name,
        numerator,
        numerator_value: part,
        denominator,
        denominator_value: whole,
        value: (whole > 0.0).then(|| part / whole).filter(|value| value.is_finite()),
        interval: None,
    };
    if observed.new_customers && campaign.costs() {
        let new = counts.new_customers as f64;
        rates.push(of_amounts("customer_acquisition_cost", "cost", counts.cost, "new_customers", new));
    }
    if observed.revenue {
        rates.push(of_amounts("average_order_value", "revenue", counts.revenue, "orders", counts.orders));
        let recipients = counts.recipients as f64;
        rates.push(of_amounts("revenue_per_recipient", "revenue", counts.revenue, "recipients", recipients));
        if campaign.costs() {
            let gain = counts.incremental_margin - counts.cost;
            let numerator = if campaign.control.is_some() { "incremental_margin - cost" } else { "margin - cost" };
            rates.push(of_amounts("return_on_investment", numerator, gain, "cost", counts.cost));
        }
        if let Some(retention) = campaign.retention {
            let customers = counts.buyers as f64;
            let margin = if customers > 0.0 { campaign.margin * counts.revenue / customers } else { 0.0 };
            let denominator = 1.0 + campaign.discount - retention;
            let name = "customer_lifetime_value";
            let mut rate = of_amounts(
                name,
                "margin_per_buyer * retention",
                margin * retention,
                "1 + discount - retention",
                denominator,
            );
            rate.value = rate.value.filter(|_| customers > 0.0);
            rates.push(rate);
        }
    }
    rates
}
