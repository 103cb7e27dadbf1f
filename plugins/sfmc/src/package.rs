//! The files of a bundle: written by `sfmc.bundle`, read again by `sfmc.upload`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stagewright_plugin::{Files, StageError};

use crate::definition::{DataExtension, Field, FieldType};

const DEFINITION: &str = "data_extension.json";
const IMPORT: &str = "import.json";
const MANIFEST: &str = "manifest.json";

/// A data extension with the rows that are to be in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Package {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// A value for each column, as text; an empty one stands for none.
    pub(crate) rows: Vec<Vec<String>>,
}

/// A field of the data extension.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: FieldType,
    pub(crate) length: u32,
    pub(crate) scale: u32,
    pub(crate) required: bool,
    pub(crate) primary: bool,
}

impl Package {
    pub(crate) fn new(extension: &DataExtension, fields: &[Field], primary_key: &[String]) -> Self {
        let column = |field: &Field| Column {
            name: field.name.clone(),
            kind: field.kind,
            length: field.length(),
            scale: field.scale(),
            required: field.required,
            primary: primary_key.contains(&field.name),
        };
        Self {
            key: extension.key.clone(),
            name: extension.name.clone().unwrap_or_else(|| extension.key.clone()),
            columns: fields.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// The values of the primary key of a row, by which Marketing Cloud tells rows apart: without case.
    pub(crate) fn identity(&self, row: &[String]) -> Vec<String> {
        let primary = self.columns.iter().zip(row).filter(|(column, _)| column.primary);
        primary.map(|(_, value)| value.to_lowercase()).collect()
    }

    /// The files. `control` are subscriber key and variant of those who are kept back.
    ///
    /// # Errors
    /// When a name cannot be used for a file.
    pub(crate) fn files(&self, file: &str, control: &[(String, String)], counts: Value) -> Result<Files, StageError> {
        let mut rows = line(self.columns.iter().map(|column| (column.name.as_str(), true)));
        for row in &self.rows {
            let cells = self.columns.iter().zip(row);
            rows += &line(cells.map(|(column, value)| (value.as_str(), column.kind == FieldType::Text)));
        }
        let mut kept_back = line([("SubscriberKey", true), ("Variant", true)].into_iter());
        for (key, variant) in control {
            kept_back += &line([(key.as_str(), true), (variant.as_str(), true)].into_iter());
        }
        let (rows_file, control_file) = (format!("{file}.csv"), format!("{file}_control.csv"));
        let written = [
            (rows_file.as_str(), rows, Some(self.rows.len())),
            (control_file.as_str(), kept_back, Some(control.len())),
            (DEFINITION, pretty(&self.definition()), None),
            (IMPORT, pretty(&self.import(&rows_file)), None),
        ];
        let listed: Vec<Listed> = written
            .iter()
            .map(|(name, text, rows)| Listed {
                name: (*name).to_owned(),
                bytes: text.len(),
                sha256: sha256(text.as_bytes()),
                rows: *rows,
            })
            .collect();
        let manifest = json!({ "data_extension": self.key, "rows": rows_file, "counts": counts, "files": listed });
        let mut files = Files::new();
        for (name, text, _) in written {
            files.insert(name, text)?;
        }
        files.insert(MANIFEST, pretty(&manifest))?;
        Ok(files)
    }

    /// The data extension, with the names that its SOAP object has for everything.
    fn definition(&self) -> Value {
        let fields: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                let mut field = json!({
                    "Name": column.name,
                    "FieldType": column.kind.name(),
                    "IsPrimaryKey": column.primary,
                    "IsRequired": column.required,
                });
                match column.kind {
                    FieldType::Text => field["MaxLength"] = column.length.into(),
                    FieldType::Decimal => {
                        field["MaxLength"] = column.length.into();
                        field["Scale"] = column.scale.into();
                    }
                    _ => {}
                }
                field
            })
            .collect();
        json!({
            "CustomerKey": self.key,
            "Name": self.name,
            "IsSendable": true,
            "SendableDataExtensionField": { "Name": "SubscriberKey", "FieldType": "Text" },
            "SendableSubscriberField": { "Name": "Subscriber Key" },
            "Fields": fields,
        })
    }

    fn import(&self, rows_file: &str) -> Value {
        json!({
            "name": format!("Import {}", self.name),
            "source": "ExactTarget Enhanced FTP",
            "destination": { "dataExtension": self.key },
            "fileNamingPattern": rows_file,
            "fileType": "CSV",
            "encodingName": "utf-8",
            "hasColumnHeader": true,
            "standardQuotedStrings": true,
            "dateFormatLocale": "en-US",
            "fieldMappingType": "InferFromColumnHeadings",
            "updateType": "AddUpdate",
            "blankFileProcessing": "Process",
            "allowErrors": false,
        })
    }

    /// Reads what [`Package::files`] wrote.
    ///
    /// # Errors
    /// When the files are not those of a bundle, or were changed.
    pub(crate) fn read(files: &Files) -> Result<Self, StageError> {
        let wrong = |what: String| {
            StageError::data(format!("input `bundle` is no bundle: {what}"))
                .with_help("connect the output `bundle` of an `sfmc.bundle`")
        };
        let file = |name: &str| files.get(name).ok_or_else(|| wrong(format!("there is no file `{name}`")));
        let read = |name: &str| -> Result<Value, StageError> {
            serde_json::from_slice(file(name)?).map_err(|error| wrong(format!("`{name}`: {error}")))
        };
        let manifest: Manifest = serde_json::from_value(read(MANIFEST)?).map_err(|error| wrong(error.to_string()))?;
        for listed in &manifest.files {
            if sha256(file(&listed.name)?) != listed.sha256 {
                return Err(wrong(format!("`{}` was changed after it was made", listed.name)));
            }
        }
        let definition: Definition =
            serde_json::from_value(read(DEFINITION)?).map_err(|error| wrong(format!("`{DEFINITION}`: {error}")))?;
        let column = |field: DefinedField| Column {
            name: field.name,
            kind: field.field_type,
            length: field.max_length.unwrap_or(50),
            scale: field.scale.unwrap_or(2),
            required: field.is_required,
            primary: field.is_primary_key,
        };
        let columns: Vec<Column> = definition.fields.into_iter().map(column).collect();
        if !columns.iter().any(|column| column.primary) {
            return Err(wrong("its data extension has no primary key".to_owned()));
        }
        let mut reader = csv::ReaderBuilder::new().from_reader(file(&manifest.rows)?);
        let header = reader.headers().map_err(|error| wrong(error.to_string()))?;
        if !header.iter().eq(columns.iter().map(|column| column.name.as_str())) {
            return Err(wrong(format!("the first line of `{}` does not name the fields", manifest.rows)));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| wrong(format!("`{}`: {:?}", manifest.rows, error.kind())))?;
            rows.push(record.iter().map(str::to_owned).collect());
        }
        Ok(Self { key: definition.customer_key, name: definition.name, columns, rows })
    }

    /// A row as the REST interface takes it.
    pub(crate) fn item(&self, row: &[String]) -> Value {
        let mut item = serde_json::Map::new();
        for (column, value) in self.columns.iter().zip(row) {
            let value = match column.kind {
                FieldType::Text => Value::from(value.as_str()),
                // What is left out stays as it is: there is no empty number.
                _ if value.is_empty() => continue,
                FieldType::Number => value.parse::<i64>().map_or_else(|_| Value::from(value.as_str()), Value::from),
                // As text, so that no digit is lost.
                FieldType::Decimal => Value::from(value.as_str()),
                FieldType::Date => Value::from(value.replacen(' ', "T", 1)),
                FieldType::Boolean => Value::from(value == "True"),
            };
            item.insert(column.name.clone(), value);
        }
        Value::Object(item)
    }
}

#[derive(Serialize, Deserialize)]
struct Listed {
    name: String,
    bytes: usize,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
}

#[derive(Deserialize)]
struct Manifest {
    rows: String,
    files: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    customer_key: String,
    name: String,
    fields: Vec<DefinedField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefinedField {
    name: String,
    #[serde(deserialize_with = "field_type")]
    field_type: FieldType,
    max_length: Option<u32>,
    scale: Option<u32>,
    is_primary_key: bool,
    is_required: bool,
}

fn field_type<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<FieldType, D::Error> {
    let name = String::deserialize(deserializer)?;
    let all = [FieldType::Text, FieldType::Number, FieldType::Decimal, FieldType::Date, FieldType::Boolean];
    let found = all.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| serde::de::Error::custom(format!("there is no field type `{name}`")))
}

/// A line of a CSV file, its texts between quotation marks.
fn line<'a>(cells: impl Iterator<Item = (&'a str, bool)>) -> String {
    let quoted = cells.map(|(value, quoted)| match quoted {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
