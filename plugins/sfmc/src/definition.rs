//! The data extension that a bundle is for: its fields, and what fits into them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_plugin::ParamError;

use crate::cells::Cell;
use crate::values;

/// The field that names the subscriber: the first of every data extension that is delivered to.
pub(crate) const SUBSCRIBER_KEY: &str = "SubscriberKey";
/// The longest subscriber key.
const KEY_LENGTH: u32 = 254;

/// The data extension that rows are delivered to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct DataExtension {
    /// Its external key, by which it is addressed.
    pub(crate) key: String,
    /// Its name; the key where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

/// A field of the data extension, and where its values come from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Field {
    /// Its name in the data extension.
    pub(crate) name: String,
    /// `variant`, or a column of an input: `messages.subject`, `contacts.city`, `recommendations.product_id`.
    pub(crate) from: String,
    /// Of `recommendations`: which of a person's, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) rank: Option<u32>,
    /// `text`, `number` (whole, of 32 bits), `decimal`, `date` (with a time) or `boolean`.
    #[serde(default, rename = "type")]
    pub(crate) kind: FieldType,
    /// The most characters of a text (at most 4,000), or digits of a decimal (at most 38).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4000))]
    pub(crate) length: Option<u32>,
    /// The digits of a decimal after the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<u32>,
    /// Whether every row must have a value.
    #[serde(default)]
    pub(crate) required: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum FieldType {
    /// Text.
    #[default]
    Text,
    /// A whole number of 32 bits.
    Number,
    /// A number with so many digits after the point.
    Decimal,
    /// A date with a time.
    Date,
    /// True or false.
    Boolean,
}

impl FieldType {
    /// As Marketing Cloud calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Number => "Number",
            Self::Decimal => "Decimal",
            Self::Date => "Date",
            Self::Boolean => "Boolean",
        }
    }
}

/// Where the values of a field come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From<'a> {
    SubscriberKey,
    Variant,
    Contacts(&'a str),
    Messages(&'a str),
    /// The column, of the recommendation with this rank.
    Recommendations(&'a str, u32),
}

impl Field {
    /// The field that is first in every data extension.
    pub(crate) fn subscriber_key() -> Self {
        Self {
            name: SUBSCRIBER_KEY.to_owned(),
            from: "subscriber_key".to_owned(),
            rank: None,
            kind: FieldType::Text,
            length: Some(KEY_LENGTH),
            scale: None,
            required: true,
        }
    }

    pub(crate) fn source(&self) -> Option<From<'_>> {
        Some(match self.from.split_once('.') {
            None if self.from == "subscriber_key" => From::SubscriberKey,
            None if self.from == "variant" => From::Variant,
            Some((_, "")) => return None,
            Some(("contacts", column)) => From::Contacts(column),
            Some(("messages", column)) => From::Messages(column),
            Some(("recommendations", column)) => From::Recommendations(column, self.rank.unwrap_or(1)),
            _ => return None,
        })
    }

    /// Most characters of a text, or digits of a decimal.
    pub(crate) fn length(&self) -> u32 {
        self.length.unwrap_or(if self.kind == FieldType::Decimal { 18 } else { 50 })
    }

    pub(crate) fn scale(&self) -> u32 {
        self.scale.unwrap_or(2)
    }

    fn check(&self, path: &str) -> Result<(), ParamError> {
        let wrong = |key: &str, message: String| ParamError::new(format!("{path}/{key}"), message);
        if !is_field_name(&self.name) {
            return Err(wrong("name", format!("`{}` is no name of a field", self.name))
                .with_help("a letter first; then letters, digits, spaces, `_` and `-`; 128 characters at most"));
        }
        let source = self.source().ok_or_else(|| {
            wrong("from", format!("`{}` is no place that values come from", self.from))
                .with_help("`variant`, `contacts.COLUMN`, `messages.COLUMN` or `recommendations.COLUMN`")
        })?;
        if self.rank.is_some() && !matches!(source, From::Recommendations(..)) {
            return Err(wrong("rank", "only recommendations have a rank".to_owned()));
        }
        match self.kind {
            FieldType::Text if self.length() > 4000 => {
                Err(wrong("length", "a text has 4,000 characters at most".into()))
            }
            FieldType::Decimal if self.length() > 38 || self.scale() > self.length() => {
                Err(wrong("length", "a decimal has 38 digits at most, and no more after the point than in all".into()))
            }
            FieldType::Number | FieldType::Date | FieldType::Boolean if self.length.is_some() => {
                Err(wrong("length", format!("a {} has no length", self.kind.name())))
            }
            _ if self.scale.is_some() && self.kind != FieldType::Decimal => {
                Err(wrong("scale", "only a decimal has digits after the point".into()))
            }
            _ => Ok(()),
        }
    }

    /// A value as it is delivered, or what is wrong with it, in words that do not show it.
    pub(crate) fn value(&self, cell: Cell<'_>) -> Result<String, String> {
        let value = match self.kind {
            FieldType::Text => values::text(cell)?,
            FieldType::Number => values::number(cell)?,
            FieldType::Decimal => values::decimal(cell, self.length(), self.scale())?,
            FieldType::Date => values::date(cell)?,
            FieldType::Boolean => values::boolean(cell)?,
        };
        if self.required && value.is_empty() {
            return Err(format!("there is no value, and field `{}` needs one", self.name));
        }
        let (characters, most) = (value.chars().count(), self.length());
        if self.kind == FieldType::Text && characters > most as usize {
            return Err(format!("{characters} characters, and field `{}` takes {most}", self.name));
        }
        Ok(value)
    }
}

/// Checks what the schema of the parameters cannot say.
pub(crate) fn check(extension: &DataExtension, fields: &[Field], primary_key: &[String]) -> Result<(), ParamError> {
    let key_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if extension.key.is_empty() || extension.key.len() > 36 || !extension.key.chars().all(key_like) {
        return Err(ParamError::new("data_extension/key", format!("`{}` is no external key", extension.key))
            .with_help("letters, digits, `_` and `-`; 36 at most"));
    }
    if let Some(name) = &extension.name
        && (name.trim().is_empty()
            || name.chars().count() > 128
            || name.starts_with('_')
            || name.contains(|c: char| c.is_control() || "!@#$%^*(){}[].,\\/;:'\"<>?|=+".contains(c)))
    {
        return Err(ParamError::new("data_extension/name", format!("`{name}` is no name of a data extension"))
            .with_help("letters, digits, spaces, `_`, `-` and `&`, no `_` in front; 128 characters at most"));
    }
    let mut seen = BTreeSet::from([SUBSCRIBER_KEY.to_lowercase()]);
    for (place, field) in fields.iter().enumerate() {
        let path = format!("fields/{place}");
        field.check(&path)?;
        if !seen.insert(field.name.to_lowercase()) {
            let error = ParamError::new(format!("{path}/name"), format!("the field `{}` is there twice", field.name));
            return Err(error.with_help(format!("upper and lower case are one; `{SUBSCRIBER_KEY}` is there by itself")));
        }
    }
    if primary_key.is_empty() {
        return Err(ParamError::new("primary_key", "without a primary key nothing can be sent again safely")
            .with_help(format!("leave it out for `[{SUBSCRIBER_KEY}]`")));
    }
    let mut keys = BTreeSet::new();
    for (place, name) in primary_key.iter().enumerate() {
        let path = format!("primary_key/{place}");
        if !keys.insert(name) {
            return Err(ParamError::new(path, format!("`{name}` is there twice")));
        }
        match fields.iter().find(|field| field.name == *name) {
            None if name == SUBSCRIBER_KEY => {}
            None => {
                let names = fields.iter().map(|field| field.name.as_str()).chain([SUBSCRIBER_KEY]);
                return Err(ParamError::new(path, format!("there is no field `{name}`"))
                    .with_help(crate::cells::nearest(name, names)));
            }
            Some(field) if !field.required => {
                return Err(ParamError::new(path, format!("the field `{name}` of the primary key may be empty"))
                    .with_help("say `required: true` of it"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn is_field_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && !name.ends_with(' ')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn field(kind: FieldType, length: Option<u32>) -> Field {
        Field { kind, length, ..Field { name: "F".into(), required: false, scale: None, ..Field::subscriber_key() } }
    }

    #[test]
    fn values_are_written_as_the_type_wants_them() {
        let of = |kind, cell| field(kind, None).value(cell);
        assert_eq!(of(FieldType::Text, Cell::Text("Zoë \"x\"")).unwrap(), "Zoë \"x\"");
        assert_eq!(of(FieldType::Number, Cell::Integer(-7)).unwrap(), "-7");
        assert_eq!(of(FieldType::Number, Cell::Float(3.0)).unwrap(), "3");
        assert!(of(FieldType::Number, Cell::Integer(1 << 31)).is_err());
        assert!(of(FieldType::Number, Cell::Float(2.5)).is_err());
        assert_eq!(of(FieldType::Decimal, Cell::Float(2.5)).unwrap(), "2.50");
        assert!(of(FieldType::Decimal, Cell::Text("2.505")).is_err());
        assert!(of(FieldType::Decimal, Cell::Float(f64::NAN)).is_err());
        assert!(of(FieldType::Decimal, Cell::Float(1e16)).is_err());
        assert_eq!(of(FieldType::Boolean, Cell::Text(" Yes ")).unwrap(), "True");
        assert!(of(FieldType::Boolean, Cell::Text("maybe")).is_err());
        for kind in [FieldType::Text, FieldType::Number, FieldType::Decimal, FieldType::Date, FieldType::Boolean] {
            assert_eq!(of(kind, Cell::Null).unwrap(), "");
        }
    }

    /// Summer and winter alike: Marketing Cloud's clock is six hours behind UTC all year.
    #[test]
    fn instants_are_written_on_the_clock_of_marketing_cloud() {
        let of = |cell| field(FieldType::Date, None).value(cell).unwrap();
        assert_eq!(of(Cell::Text("2026-07-01T12:00:00Z")), "2026-07-01 06:00:00");
        assert_eq!(of(Cell::Text("2026-01-01T02:00:00Z")), "2025-12-31 20:00:00");
        assert_eq!(of(Cell::Text("2026-07-01 12:00:00")), "2026-07-01 12:00:00");
        assert_eq!(of(Cell::Time { micros: 0, zoned: true }), "1969-12-31 18:00:00");
        assert_eq!(of(Cell::Time { micros: 0, zoned: false }), "1970-01-01 00:00:00");
        assert_eq!(of(Cell::Date(20_000)), "2024-10-04 00:00:00");
        for wrong in [Cell::Text("01/02/2026"), Cell::Text("2026-02-30"), Cell::Text("1700-01-01"), Cell::Integer(5)] {
            assert!(field(FieldType::Date, None).value(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(field(FieldType::Text, Some(3)).value(Cell::Text("äöü")).is_ok());
        let error = field(FieldType::Text, Some(3)).value(Cell::Text("secret")).unwrap_err();
        assert_eq!(error, "6 characters, and field `F` takes 3");
        let long = "k".repeat(255);
        assert!(Field::subscriber_key().value(Cell::Text(&long)).is_err());
        assert!(Field::subscriber_key().value(Cell::Text(&long[1..])).is_ok());
    }
}
