//! What became of each person.

use std::collections::BTreeMap;

use stagewright_plugin::{Goal, Metrics, StageError, Table};

use crate::cells::text_column;
use crate::permission::Reason;

/// What became of a person: the values of `delivery`.
pub(super) const SENT: &str = "sent";
pub(super) const CONTROL: &str = "control";
pub(super) const LEFT_OUT: &str = "left_out";

pub(super) struct Delivery<'a> {
    pub(super) person: &'a str,
    pub(super) key: Option<String>,
    pub(super) variant: String,
    pub(super) delivery: &'static str,
    pub(super) reason: Option<Reason>,
}

pub(super) fn deliveries_table(person: &str, deliveries: &[Delivery<'_>]) -> Result<Table, StageError> {
    let text = |name: &str, value: &dyn Fn(&Delivery<'_>) -> Option<String>| {
        text_column(name, deliveries.iter().map(value).collect())
    };
    Table::new(vec![
        text(person, &|delivery| Some(delivery.person.to_owned())),
        text("subscriber_key", &|delivery| delivery.key.clone()),
        text("variant", &|delivery| Some(delivery.variant.clone())),
        text("delivery", &|delivery| Some(delivery.delivery.to_owned())),
        text("reason", &|delivery| delivery.reason.map(|reason| reason.name().to_owned())),
    ])
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) control: u64,
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(super) fn of(deliveries: &[Delivery<'_>]) -> Self {
        let mut counts = Self::default();
        for delivery in deliveries {
            match (delivery.delivery, delivery.reason) {
                (SENT, _) => counts.sent += 1,
                (CONTROL, _) => counts.control += 1,
                (_, reason) => *counts.left_out.entry(reason.map_or("", Reason::name)).or_default() += 1,
            }
        }
        counts
    }

    pub(super) fn reasons(&self) -> String {
        let mut said: Vec<String> = self.left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        if self.control > 0 {
            said.push(format!("{} control", self.control));
        }
        said.join(", ")
    }

    pub(super) fn metrics(&self) -> Result<Metrics, StageError> {
        let mut metrics = Metrics::new();
        let mut count = |name: String, count: u64| metrics.insert(name, Some(count as f64), Goal::Describe);
        count("sent".to_owned(), self.sent)?;
        count("control".to_owned(), self.control)?;
        count("left_out".to_owned(), self.left_out.values().sum())?;
        for reason in Reason::ALL {
            count(format!("left_out_{}", reason.name()), self.left_out.get(reason.name()).copied().unwrap_or(0))?;
        }
        Ok(metrics)
    }
}
