//! `sfmc.bundle`.

mod deliveries;
mod people;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stagewright_plugin::{
    Digest, Disclosure, Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, personal_among,
};

use crate::cells::{Input, folded};
use crate::definition::{self, DataExtension, Field, From, SUBSCRIBER_KEY};
use crate::package::Package;
use crate::permission::{Consent, Reason};
use deliveries::{CONTROL, Counts, Delivery, LEFT_OUT, SENT, deliveries_table};
use people::Inputs;
use rows::{Source, cells};

/// Make the files that Salesforce Marketing Cloud imports: one row for each person who is to be written to.
///
/// A row says to whom (`SubscriberKey`), and what the fields take from `messages`, `recommendations` and `contacts`. It
/// becomes a row of a sendable data extension, to which an email is sent that shows the fields.
///
/// Whoever may not be written to is left out, and no parameter changes that: everyone whose status in `contacts` is not
/// `Active`, who opted out or did not consent there, who is in `suppression`, or who has no row in `contacts`. Of
/// several rows the most restrictive counts, for everybody with the same subscriber key; keys and people are compared
/// without case and the spaces around them. A share of the others, drawn by the seed and the data extension's key, is
/// the control group: listed, and not sent to.
///
/// Every value is checked against its field before anything is made: lengths, numbers, dates, booleans, values that
/// must be there, and primary keys that occur twice. Personal columns (names, addresses) are refused when the workflow
/// is planned: Marketing Cloud has them already, and an email shows them by `%%first_name%%`. Use a pseudonym as the
/// subscriber key (`clean.pseudonymise`), or one that means nothing elsewhere.
///
/// `bundle` holds the rows as CSV, the control group as CSV, the definition of the data extension, that of the import,
/// and a manifest with counts and SHA-256 digests. `stagewright get STAGE.bundle --output FOLDER` writes them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The data extension that the rows are for.
    data_extension: DataExtension,
    /// Its fields besides `SubscriberKey`.
    #[serde(default)]
    fields: Vec<Field>,
    /// The fields that tell its rows apart.
    #[serde(default = "subscriber_key")]
    primary_key: Vec<String>,
    /// What is delivered, such as the arm of a test: the column `variant` of `deliveries`.
    #[serde(default = "base")]
    variant: String,
    /// The column of `messages` (of `recommendations` where no messages are connected) that says it instead, person by
    /// person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant_column: Option<String>,
    /// The share of people who are kept back to compare with, from 0 to below 1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    control: f64,
    /// What the files with rows are called, without ending; as the key of the data extension where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// What the columns are called.
    #[serde(default)]
    columns: Columns,
    /// Which columns say who may be written to.
    #[serde(default)]
    consent: Consent,
}

/// What the columns are called.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct Columns {
    /// The person, in `messages` and `recommendations`.
    person: String,
    /// The person, in `contacts`; as `person` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    /// The subscriber key, in `contacts`; as the person there when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriber_key: Option<String>,
    /// The place of a product in the list of a person, from 1 (integer), in `recommendations`.
    rank: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { person: "user_id".to_owned(), contact: None, subscriber_key: None, rank: "rank".to_owned() }
    }
}

impl Columns {
    fn contact(&self) -> &str {
        self.contact.as_deref().unwrap_or(&self.person)
    }

    fn key(&self) -> &str {
        self.subscriber_key.as_deref().unwrap_or_else(|| self.contact())
    }
}

fn subscriber_key() -> Vec<String> {
    vec![SUBSCRIBER_KEY.to_owned()]
}

fn base() -> String {
    "base".to_owned()
}

impl Stage for Bundle {
    const TYPE: &'static str = "sfmc.bundle";
    const EXAMPLE: &'static str = "\
inputs: { messages: messages, recommendations: recommend, contacts: contacts, suppression: unsubscribed }
with:
  data_extension: { key: spring_2026, name: Spring 2026 }
  fields:
    - { name: Variant, from: variant, required: true }
    - { name: Subject, from: messages.subject, length: 200 }
    - { name: Body, from: messages.text, length: 4000, required: true }
    - { name: Product1, from: recommendations.product_id }
    - { name: Product2, from: recommendations.product_id, rank: 2 }
  control: 0.1
  columns: { subscriber_key: subscriber_key }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("messages", Kind::Table, "A row per person, as `generate.messages` puts out.")
                .optional()
                .with_example(json!({
                    "user_id": ["u1", "u2", "u3"],
                    "subject": ["Your bread is here", "Für dich", "Today"],
                    "text": ["Fresh every morning.", "Two\nlines.", "\"Quoted\", and more."],
                })),
            Port::input(
                "recommendations",
                Kind::Table,
                "Rows of person, product and rank, as `recommend` stages put out.",
            )
            .optional()
            .with_example(json!({
                "user_id": ["u1", "u1", "u2", "u3"],
                "product_id": [11, 12, 21, 31],
                "rank": [1, 2, 1, 1],
            })),
            Port::input("contacts", Kind::Table, "Who may be written to: person, subscriber key, status or opt-out.")
                .with_example(json!({
                    "user_id": ["u1", "u2", "u3"],
                    "subscriber_key": ["K-1", "K-2", "K-3"],
                    "status": ["Active", "Active", "Unsubscribed"],
                })),
            Port::input("suppression", Kind::Table, "Subscriber keys that must not be written to.")
                .optional()
                .with_example(json!({ "subscriber_key": ["K-7", "K-8"] })),
            Port::output("bundle", Kind::Files, "What Marketing Cloud imports."),
            Port::output(
                "deliveries",
                Kind::Table,
                "A row per person: the person, `subscriber_key`, `variant`, `delivery` (sent, control, left_out), `reason`.",
            ),
            Port::output("metrics", Kind::Metrics, "How many are sent to, kept back, and left out for which reason."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        definition::check(&self.data_extension, &self.fields, &self.primary_key)?;
        if !(0.0..1.0).contains(&self.control) {
            return Err(ParamError::new("control", format!("`{}` is no share from 0 to below 1", self.control)));
        }
        let file = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if let Some(name) = &self.file
            && (name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(file))
        {
            return Err(ParamError::new("file", format!("`{name}` is no name of a file"))
                .with_help("letters, digits, `_`, `-` and `.`, no `.` in front; 100 characters at most"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let columns = [self.columns.person.as_str(), "subscriber_key", "variant", "delivery", "reason"];
        PersonalColumns::from([("deliveries".to_owned(), personal_among(inputs, columns))])
    }

    fn discloses(&self) -> Vec<Disclosure> {
        let mut by_port: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
        let mut add = |port, column: &str| {
            by_port.entry(port).or_default().insert(column.to_owned());
        };
        add("contacts", self.columns.key());
        for field in &self.fields {
            match field.source() {
                Some(From::Contacts(column)) => add("contacts", column),
                Some(From::Messages(column)) => add("messages", column),
                Some(From::Recommendations(column, _)) => add("recommendations", column),
                Some(From::SubscriberKey | From::Variant) | None => {}
            }
        }
        if let Some(column) = &self.variant_column {
            add("messages", column);
            add("recommendations", column);
        }
        let disclosure = |(port, columns): (&'static str, BTreeSet<String>)| Disclosure {
            port,
            columns: Some(columns.into_iter().collect()),
            to: "a delivery",
            help: "leave the field out: Marketing Cloud knows names and addresses, and an email shows them by \
                   `%%first_name%%`; for a subscriber key take a pseudonym, as `clean.pseudonymise` makes"
                .to_owned(),
        };
        by_port.into_iter().map(disclosure).collect()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = |port: &str| context.has_input(port).then(|| context.table(port)).transpose();
        let tables = (table("messages")?, table("recommendations")?, context.table("contacts")?, table("suppression")?);
        let input = |port, table| Input { port, table };
        let inputs = Inputs {
            messages: tables.0.as_deref().map(|table| input("messages", table)),
            recommendations: tables.1.as_deref().map(|table| input("recommendations", table)),
            contacts: input("contacts", &tables.2),
        };
        let suppression = tables.3.as_deref().map(|table| input("suppression", table));
        let people = self.people(&inputs)?;
        let mut permissions = self.consent.contacts(inputs.contacts, self.columns.contact(), self.columns.key())?;
        if let Some(list) = suppression {
            self.consent.suppress(&mut permissions, list, self.columns.contact(), self.columns.key())?;
        }
        context.check_cancelled()?;
        let mut fields = vec![Field::subscriber_key()];
        fields.extend(self.fields.iter().cloned());
        let mut package = Package::new(&self.data_extension, &fields, &self.primary_key);
        let source = Source { bundle: self, fields: &fields, cells: cells(&fields, &inputs)?, inputs: &inputs };
        let mut control = Vec::new();
        let mut deliveries = Vec::with_capacity(people.list.len());
        // Where each subscriber key and each primary key that gets into a file comes from.
        let mut taken = (HashMap::new(), HashMap::new());
        for (at, person) in people.list.iter().enumerate() {
            if at % 4_096 == 0 {
                context.check_cancelled()?;
            }
            let variant = people.variant_of(at, &self.variant).ok_or_else(|| {
                let column = self.variant_column.as_deref().unwrap_or_default();
                wrong_value(&people.input, person.row, column, "there is no value, and each person needs a variant")
            })?;
            let (contact, mut reason) = permissions.of(&person.id);
            if inputs.messages.is_some() && person.message.is_none() {
                reason = Some(reason.map_or(Reason::NoMessage, |known| known.min(Reason::NoMessage)));
            }
            let key = contact.and_then(|contact| contact.key.clone());
            let delivery = match (reason, contact, &key) {
                (None, Some(contact), Some(key)) => {
                    let row = source.row(person, contact.row, key, &variant)?;
                    once(&mut taken.0, folded(key), person.row, &people.input, "subscriber key")?;
                    if self.is_control(context.seed(), key) {
                        control.push((key.clone(), variant.clone()));
                        CONTROL
                    } else {
                        once(&mut taken.1, package.identity(&row), person.row, &people.input, "primary key")?;
                        package.rows.push(row);
                        SENT
                    }
                }
                _ => LEFT_OUT,
            };
            deliveries.push(Delivery { person: &person.id, key, variant, delivery, reason });
        }
        let counts = Counts::of(&deliveries);
        let file = self.file.as_deref().unwrap_or(&self.data_extension.key);
        let counted = json!({ "sent": counts.sent, "control": counts.control, "left_out": counts.left_out });
        context.put("bundle", package.files(file, &control, counted)?)?;
        context.put("deliveries", deliveries_table(&self.columns.person, &deliveries)?)?;
        if counts.sent == 0 && !deliveries.is_empty() {
            context.warn(format!("nobody is sent to: {}", counts.reasons()));
        }
        context.put("metrics", counts.metrics()?)
    }
}

impl Bundle {
    /// Whether a person is kept back: a draw that depends on the seed, the data extension and the key alone.
    fn is_control(&self, seed: u64, key: &str) -> bool {
        let name = format!("sfmc control\0{seed}\0{}\0{}", self.data_extension.key, folded(key));
        let digest = Digest::of(name.as_bytes());
        let head: u64 = digest.as_bytes().iter().take(8).fold(0, |head, byte| head << 8 | u64::from(*byte));
        ((head >> 11) as f64 / (1u64 << 53) as f64) < self.control
    }
}

fn wrong_value(input: &Input<'_>, row: usize, column: &str, what: &str) -> StageError {
    StageError::data(format!("column `{column}`: {what}")).at(input.at(row))
}

/// Notes that a key is used, which it may be once.
fn once<K: std::hash::Hash + Eq>(
    taken: &mut HashMap<K, usize>,
    key: K,
    row: usize,
    input: &Input<'_>,
    what: &str,
) -> Result<(), StageError> {
    match taken.insert(key, row) {
        None => Ok(()),
        Some(before) => Err(StageError::data(format!("the person of row {} has the same {what}", before + 1))
            .at(input.at(row))
            .with_help("nobody is to be written to twice: keep one of them (upper and lower case are one)")),
    }
}
