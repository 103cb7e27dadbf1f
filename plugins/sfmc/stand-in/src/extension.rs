//! A data extension: fields, a primary key, and rows that keep both.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A data extension.
pub struct Extension {
    /// Its external key.
    pub key: String,
    fields: Vec<Field>,
    /// The rows by the values of the primary key without case, or by number where there is none.
    pub(crate) rows: BTreeMap<Vec<String>, Map<String, Value>>,
}

struct Field {
    name: String,
    kind: String,
    length: Option<usize>,
    primary: bool,
    required: bool,
}

impl Extension {
    pub(crate) fn new(definition: &Value) -> Result<Self, String> {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let flag = |value: &Value, name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        let key = text(definition, "CustomerKey").ok_or("the definition has no `CustomerKey`")?;
        let fields = definition.get("Fields").and_then(Value::as_array).ok_or("the definition has no `Fields`")?;
        let field = |field: &Value| {
            Some(Field {
                name: text(field, "Name")?,
                kind: text(field, "FieldType")?,
                length: field.get("MaxLength").and_then(Value::as_u64).map(|length| length as usize),
                primary: flag(field, "IsPrimaryKey"),
                required: flag(field, "IsRequired"),
            })
        };
        let fields =
            fields.iter().map(field).collect::<Option<Vec<_>>>().ok_or("a field has no `Name` or `FieldType`")?;
        Ok(Self { key, fields, rows: BTreeMap::new() })
    }

    /// The names of the fields of the primary key.
    pub(crate) fn primary(&self) -> Vec<&str> {
        self.fields.iter().filter(|field| field.primary).map(|field| field.name.as_str()).collect()
    }

    /// Inserts a row, or changes the one with the same primary key.
    pub(crate) fn write(&mut self, item: Map<String, Value>, upsert: bool) -> Result<(), String> {
        let known = |name: &str| self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        for (name, value) in &item {
            let field = known(name).ok_or_else(|| format!("There is no field '{name}'"))?;
            field.check(value)?;
        }
        let value =
            |field: &Field| item.iter().find(|(name, _)| field.name.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let empty = |value: Option<&Value>| value.is_none_or(|value| value.is_null() || value == "");
        if let Some(field) = self.fields.iter().find(|field| (field.required || field.primary) && empty(value(field))) {
            return Err(format!("The field '{}' needs a value", field.name));
        }
        let mut key: Vec<String> =
            self.fields.iter().filter(|field| field.primary).map(|field| written(value(field))).collect();
        if key.is_empty() {
            key.push(format!("{:012}", self.rows.len()));
        }
        match self.rows.get_mut(&key) {
            Some(_) if !upsert => {
                Err(format!("Cannot insert duplicate key. The duplicate key value is ({})", key.join(", ")))
            }
            Some(row) => {
                row.extend(item);
                Ok(())
            }
            None => {
                self.rows.insert(key, item);
                Ok(())
            }
        }
    }
}

fn written(value: Option<&Value>) -> String {
    value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase)).unwrap_or_default()
}

impl Field {
    fn check(&self, value: &Value) -> Result<(), String> {
        let text = value.as_str();
        let fits = match self.kind.as_str() {
            "Text" => text.is_some_and(|text| self.length.is_none_or(|most| text.chars().count() <= most)),
            "Number" => {
                let number = value.as_i64().or_else(|| text.and_then(|text| text.parse().ok()));
                number.is_some_and(|number| i32::try_from(number).is_ok())
            }
            "Decimal" => value.is_number() || text.is_some_and(|text| text.parse::<f64>().is_ok()),
            "Date" => text.is_some_and(|text| text.parse::<jiff::civil::DateTime>().is_ok()),
            "Boolean" => {
                let yes_or_no = ["true", "false", "yes", "no", "y", "n", "1", "0"];
                value.is_boolean() || text.is_some_and(|text| yes_or_no.contains(&text.to_lowercase().as_str()))
            }
            _ => true,
        };
        if fits { Ok(()) } else { Err(format!("The value of field '{}' does not fit", self.name)) }
    }
}
