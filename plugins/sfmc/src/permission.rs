//! Who may be written to. The most restrictive of everything that is said of a person holds, and what is not known is
//! no permission.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_plugin::StageError;

use crate::cells::{Cell, Input, folded, identity};

/// Why a person is left out, the most restrictive first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    Unsubscribed,
    Held,
    Bounced,
    Suppressed,
    OptedOut,
    NoConsent,
    UnknownStatus,
    NotInContacts,
    NoSubscriberKey,
    NoMessage,
}

impl Reason {
    pub(crate) const ALL: [Self; 10] = [
        Self::Unsubscribed,
        Self::Held,
        Self::Bounced,
        Self::Suppressed,
        Self::OptedOut,
        Self::NoConsent,
        Self::UnknownStatus,
        Self::NotInContacts,
        Self::NoSubscriberKey,
        Self::NoMessage,
    ];

    /// As it stands in tables and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Held => "held",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
            Self::OptedOut => "opted_out",
            Self::NoConsent => "no_consent",
            Self::UnknownStatus => "unknown_status",
            Self::NotInContacts => "not_in_contacts",
            Self::NoSubscriberKey => "no_subscriber_key",
            Self::NoMessage => "no_message",
        }
    }
}

/// Which columns say who may be written to. Columns of `contacts` and `suppression` whose names are those of Marketing
/// Cloud and Salesforce for it (`status`, `HasOptedOutOfEmail`, `opt_out`, `unsubscribed`, `held`, `bounced`,
/// `consent`, `opt_in` and the like, in any case) count always, named here or not.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct Consent {
    /// The column of `contacts` with the status in All Subscribers: whoever is not `Active` is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Columns of `contacts` that say who opted out: whoever's is not a clear no is left out. Of a date or timestamp, a
    /// null is the no.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    opt_out: Vec<String>,
    /// Columns of `contacts` that say who consented: whoever's is not a clear yes is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    consent: Vec<String>,
    /// The column of `suppression` with the subscriber key; where it is left out, the one that bears a name of such a
    /// column. Everyone in this table is left out whose row does not say `Active` in a column `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression_key: Option<String>,
}

const STATUS: &[&str] = &["status", "subscriberstatus", "emailstatus"];
const OPT_OUT: &[&str] = &[
    "optout",
    "optedout",
    "emailoptout",
    "emailoptedout",
    "hasoptedoutofemail",
    "optedoutofemail",
    "unsubscribed",
    "isunsubscribed",
    "unsubscribedat",
    "dateunsubscribed",
    "optedoutat",
    "donotemail",
    "donotcontact",
    "donotmail",
    "held",
    "isheld",
    "bounced",
    "isbounced",
    "suppressed",
];
/// Those that say when.
const WHEN: &[&str] = &["unsubscribedat", "dateunsubscribed", "optedoutat"];
const CONSENT: &[&str] = &["consent", "emailconsent", "marketingconsent", "optin", "optedin", "emailoptin"];
const KEYS: &[&str] = &["subscriberkey", "contactkey"];

/// A name without case and punctuation.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What a column says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Status,
    OptOut,
    Consent,
}

impl Says {
    /// Why the person whose value this is may not be written to.
    fn reason(self, cell: Cell<'_>) -> Option<Reason> {
        match self {
            Self::Status => status(cell),
            Self::OptOut => match clear(cell) {
                Some(true) => Some(Reason::OptedOut),
                Some(false) => None,
                None => Some(Reason::UnknownStatus),
            },
            Self::Consent => (clear(cell) != Some(true)).then_some(Reason::NoConsent),
        }
    }
}

fn status(cell: Cell<'_>) -> Option<Reason> {
    let Cell::Text(text) = cell else { return Some(Reason::UnknownStatus) };
    match plain(text).as_str() {
        "active" => None,
        "unsubscribed" => Some(Reason::Unsubscribed),
        "held" => Some(Reason::Held),
        "bounced" => Some(Reason::Bounced),
        _ => Some(Reason::UnknownStatus),
    }
}

/// A clear yes or no.
fn clear(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Flag(flag) => Some(flag),
        Cell::Integer(0) => Some(false),
        Cell::Integer(1) => Some(true),
        Cell::Float(0.0) => Some(false),
        Cell::Float(1.0) => Some(true),
        Cell::Text(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" => Some(true),
            "false" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// What is known of a person in `contacts`.
#[derive(Debug)]
pub(crate) struct Contact {
    /// The subscriber key as it is delivered.
    pub(crate) key: Option<String>,
    /// The row with it.
    pub(crate) row: usize,
}

/// What is known of everyone.
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    contacts: HashMap<String, Contact>,
    /// Who must not be written to, by subscriber key.
    refused_keys: HashMap<String, Reason>,
    /// The same by person: numbers of both may be the same, and mean others.
    refused_people: HashMap<String, Reason>,
}

impl Consent {
    /// Reads `contacts`: who there is, and what is said of them. `person` is the column that the other inputs know
    /// people by, `key_column` that of the subscriber key.
    ///
    /// # Errors
    /// When a column is missing, no column says who may be written to, or a person has two subscriber keys.
    pub(crate) fn contacts(&self, input: Input<'_>, person: &str, key_column: &str) -> Result<Permissions, StageError> {
        let mut columns: Vec<(Says, &str)> = Vec::new();
        columns.extend(self.status.iter().map(|name| (Says::Status, name.as_str())));
        columns.extend(self.opt_out.iter().map(|name| (Says::OptOut, name.as_str())));
        columns.extend(self.consent.iter().map(|name| (Says::Consent, name.as_str())));
        for name in input.table.names() {
            let plain = plain(name);
            for (says, known) in [(Says::Status, STATUS), (Says::OptOut, OPT_OUT), (Says::Consent, CONSENT)] {
                if known.contains(&plain.as_str()) && !columns.contains(&(says, name)) {
                    columns.push((says, name));
                }
            }
        }
        if columns.is_empty() {
            return Err(StageError::data(format!("no column of input `{}` says who may be written to", input.port))
                .with_help(
                    "connect contacts with their status in All Subscribers (`status`), or name the columns: \
                 `consent: { opt_out: [COLUMN] }`",
                ));
        }
        let mut reasons: Vec<Option<Reason>> = vec![None; input.table.rows()];
        for (says, name) in columns {
            let cells = input.cells(name)?;
            // Where it is written down when somebody opted out, nothing is a no, and anything is a yes.
            let when = says == Says::OptOut && (input.is_temporal(name) || WHEN.contains(&plain(name).as_str()));
            for (reason, cell) in reasons.iter_mut().zip(cells) {
                let said = match cell {
                    Cell::Null if when => None,
                    Cell::Text(text) if when && text.trim().is_empty() => None,
                    _ if when => Some(Reason::OptedOut),
                    _ => says.reason(cell),
                };
                *reason = stricter(*reason, said);
            }
        }
        let mut permissions = Permissions::default();
        let people = input.cells(person)?.into_iter().map(identity);
        let keys = input.cells(key_column)?.into_iter().map(identity);
        for (row, ((person, key), reason)) in people.zip(keys).zip(reasons).enumerate() {
            // Whoever shares a key or an identity with somebody who said no is left out with them.
            if let Some(reason) = reason {
                person.iter().for_each(|person| refuse(&mut permissions.refused_people, person, reason));
                key.iter().for_each(|key| refuse(&mut permissions.refused_keys, key, reason));
            }
            let Some(person) = person else { continue };
            let known = permissions.contacts.entry(folded(&person)).or_insert(Contact { key: None, row });
            match (&known.key, key) {
                (Some(known), Some(new)) if folded(known) != folded(&new) => {
                    return Err(StageError::data(format!(
                        "a person has two subscriber keys, in column `{key_column}`"
                    ))
                    .at(input.at(row))
                    .with_help("keep one row per person, with the key that Marketing Cloud knows"));
                }
                (None, Some(key)) => {
                    known.key = Some(key);
                    known.row = row;
                }
                _ => {}
            }
        }
        Ok(permissions)
    }
}

impl Consent {
    /// Adds everyone whom a list names, by subscriber key or by person, unless its row says that they are active.
    ///
    /// # Errors
    /// When no column holds the keys.
    pub(crate) fn suppress(
        &self,
        permissions: &mut Permissions,
        input: Input<'_>,
        person: &str,
        key: &str,
    ) -> Result<(), StageError> {
        let is_key = |name: &str| match &self.suppression_key {
            Some(named) => name == named,
            None => name == key || KEYS.contains(&plain(name).as_str()),
        };
        let is_person = |name: &str| name == person;
        if let Some(named) = &self.suppression_key {
            input.cells(named)?;
        }
        let columns: Vec<&str> = input.table.names().filter(|name| is_key(name) || is_person(name)).collect();
        if columns.is_empty() {
            let names: Vec<&str> = input.table.names().collect();
            return Err(StageError::data(format!(
                "no column of input `{}` is known to hold subscriber keys",
                input.port
            ))
            .with_help(format!("name it: `consent: {{ suppression_key: COLUMN }}`; there are: {}", names.join(", "))));
        }
        let mut reasons = vec![Some(Reason::Suppressed); input.table.rows()];
        if let Some(name) = input.table.names().find(|name| STATUS.contains(&plain(name).as_str())) {
            for (reason, cell) in reasons.iter_mut().zip(input.cells(name)?) {
                *reason = match status(cell) {
                    Some(Reason::UnknownStatus) => Some(Reason::Suppressed),
                    said => said,
                };
            }
        }
        for name in columns {
            for (cell, reason) in input.cells(name)?.into_iter().zip(&reasons) {
                let (Some(who), Some(reason)) = (identity(cell), reason) else { continue };
                if is_key(name) {
                    refuse(&mut permissions.refused_keys, &who, *reason);
                }
                if is_person(name) {
                    refuse(&mut permissions.refused_people, &who, *reason);
                }
            }
        }
        Ok(())
    }
}

impl Permissions {
    /// The contact of a person, and why they are left out, if they are.
    pub(crate) fn of(&self, person: &str) -> (Option<&Contact>, Option<Reason>) {
        let person = folded(person);
        let refused = self.refused_people.get(&person).copied();
        let Some(contact) = self.contacts.get(&person) else {
            return (None, stricter(refused, Some(Reason::NotInContacts)));
        };
        let by_key = match &contact.key {
            Some(key) => self.of_key(key),
            None => Some(Reason::NoSubscriberKey),
        };
        (Some(contact), stricter(refused, by_key))
    }

    /// Why whoever has this subscriber key is left out, if they are.
    pub(crate) fn of_key(&self, key: &str) -> Option<Reason> {
        self.refused_keys.get(&folded(key)).copied()
    }
}

fn refuse(refused: &mut HashMap<String, Reason>, who: &str, reason: Reason) {
    let known = refused.entry(folded(who)).or_insert(reason);
    *known = (*known).min(reason);
}

fn stricter(one: Option<Reason>, other: Option<Reason>) -> Option<Reason> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
