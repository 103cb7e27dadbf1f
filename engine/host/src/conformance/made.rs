//! What the kit gives to stages: parameters and inputs, from the stage type's own examples where it has any, and else made
//! up from its JSON Schema.

use std::collections::{BTreeMap, BTreeSet};

use polars_arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, Utf8ViewArray};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stagewright_contract::{
    Artifact, Bytes, Direction, Figure, FigureKind, Files, Goal, Kind, Metrics, Model, Port, Series, StageDescriptor,
    Table, TableColumn, Task,
};

/// Rows of a small table that is made up.
const FEW: usize = 12;
/// Rows of the huge table.
const MANY: usize = 1_000_000;

/// How many rows tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those of an example, or a dozen.
    Few,
    /// None.
    None,
    /// A million.
    Many,
}

/// The type of a made-up column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Integer,
    Flag,
}

/// All of them, in the order in which they are tried.
pub(super) const TYPES: [Type; 4] = [Type::Text, Type::Number, Type::Integer, Type::Flag];

/// What inputs hold.
#[derive(Clone, Debug)]
pub(super) enum Material {
    /// Tables with these columns and one more, the same at every input.
    MadeUp(Vec<(String, Type)>),
    /// What the examples of ports say; an input without one is left unconnected where it may be.
    Examples,
}

/// The example of a stage in a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    /// What is connected, by port.
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, Value>,
    /// Its parameters.
    #[serde(default = "nothing")]
    pub(super) with: Value,
}

fn nothing() -> Value {
    json!({})
}

impl Example {
    /// That of a stage type, if it has one.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn of(descriptor: &StageDescriptor) -> Result<Option<Self>, String> {
        if descriptor.example.trim().is_empty() {
            return Ok(None);
        }
        let example: Self = serde_yaml::from_str(&descriptor.example).map_err(|error| error.to_string())?;
        let inputs = || descriptor.ports.iter().filter(|port| port.direction == Direction::Input);
        if let Some(other) = example.inputs.keys().find(|name| !inputs().any(|port| port.name == **name)) {
            return Err(format!("it connects an input `{other}`, which there is not"));
        }
        match inputs().find(|port| !port.optional && !example.inputs.contains_key(&port.name)) {
            Some(missing) => Err(format!("it leaves the input `{}` unconnected, which is needed", missing.name)),
            None => Ok(Some(example)),
        }
    }
}

/// Whether a port of the stage type has an example of what it may hold.
pub(super) fn has_examples(descriptor: &StageDescriptor) -> bool {
    descriptor.ports.iter().any(|port| port.direction == Direction::Input && port.example.is_some())
}

/// Something for every input that is connected.
///
/// # Errors
/// Which example is not what it should be.
pub(super) fn inputs(
    descriptor: &StageDescriptor,
    material: &Material,
    rows: Rows,
    chunks: usize,
) -> Result<BTreeMap<String, Artifact>, String> {
    let mut inputs = BTreeMap::new();
    for port in descriptor.ports.iter().filter(|port| port.direction == Direction::Input) {
        let artifact = match (material, &port.example) {
            (Material::Examples, Some(example)) => Some(
                given(port, example, rows, chunks).map_err(|why| format!("its example of `{}`: {why}", port.name))?,
            ),
            (Material::Examples, None) if port.optional => None,
            (Material::Examples, None) => made_up(port.kind, &[], rows, chunks),
            (Material::MadeUp(columns), _) => made_up(port.kind, columns, rows, chunks),
        };
        inputs.extend(artifact.map(|artifact| (port.name.clone(), artifact)));
    }
    Ok(inputs)
}

/// What an example says: columns by name for a table, texts by name for files, and else the artifact's JSON.
fn given(port: &Port, example: &Value, rows: Rows, chunks: usize) -> Result<Artifact, String> {
    match (port.kind, example) {
        (Kind::Table, Value::Object(columns)) => given_table(columns, rows, chunks).map(Artifact::from),
        (Kind::Table, _) => Err("it is no object of columns".to_owned()),
        (Kind::Files, Value::Object(texts)) => {
            let mut files = Files::new();
            for (name, text) in texts {
                let text = text.as_str().ok_or_else(|| format!("`{name}` is no text"))?;
                files.insert(name, text).map_err(|error| error.message)?;
            }
            Ok(files.into())
        }
        (Kind::Files, _) => Err("it is no object of texts".to_owned()),
        (kind, value) => {
            Artifact::decode(kind, Bytes::new(value.to_string().into_bytes())).map_err(|error| error.to_string())
        }
    }
}

/// The rows of an example, or as many as are wanted of them over and over.
fn given_table(columns: &Map<String, Value>, rows: Rows, chunks: usize) -> Result<Table, String> {
    let mut made = Vec::new();
    let mut length = None;
    for (name, values) in columns {
        let values = values.as_array().ok_or_else(|| format!("column `{name}` is no list"))?;
        let first = *length.get_or_insert(values.len());
        if values.is_empty() {
            return Err(format!("column `{name}` is empty"));
        }
        if first != values.len() {
            return Err(format!("column `{name}` has {} values, and another has {first}", values.len()));
        }
        let rows = match rows {
            Rows::Few => values.len(),
            Rows::None => 0,
            Rows::Many => MANY,
        };
        let whole = repeated(values, rows).ok_or_else(|| format!("the values of column `{name}` have no one type"))?;
        made.push(column(name, &whole, chunks));
    }
    Table::new(made).map_err(|error| error.to_string())
}

/// The values over and over, as an array of the one type that they have.
fn repeated(values: &[Value], rows: usize) -> Option<ArrayRef> {
    let all = |is: fn(&Value) -> bool| values.iter().all(|value| value.is_null() || is(value));
    let cycle = || values.iter().cycle().take(rows);
    Some(if all(Value::is_string) {
        Utf8ViewArray::from_slice(cycle().map(Value::as_str).collect::<Vec<_>>()).boxed()
    } else if all(Value::is_i64) {
        cycle().map(Value::as_i64).collect::<Int64Array>().boxed()
    } else if all(Value::is_number) {
        cycle().map(Value::as_f64).collect::<Float64Array>().boxed()
    } else if all(Value::is_boolean) {
        cycle().map(Value::as_bool).collect::<BooleanArray>().boxed()
    } else {
        return None;
    })
}

fn made_up(kind: Kind, columns: &[(String, Type)], rows: Rows, chunks: usize) -> Option<Artifact> {
    Some(match kind {
        Kind::Table => table(columns, rows, chunks)?.into(),
        Kind::Metrics => {
            let mut metrics = Metrics::new();
            metrics.insert("share", Some(0.25), Goal::Maximize).ok()?;
            metrics.into()
        }
        Kind::Model => Model {
            learned_by: "model.linear".to_owned(),
            task: Task::Regression,
            features: Vec::new(),
            target: "y".to_owned(),
            rows: 1,
            state: json!({}),
        }
        .into(),
        Kind::Figure => {
            Figure::new(FigureKind::Bar, "A figure", "x", "y").with(Series::new("all", [(1.0, 2.0)])).into()
        }
        Kind::Files => {
            let mut files = Files::new();
            files.insert("a.csv", *b"id\n1\n").ok()?;
            files.into()
        }
    })
}

/// A table with a few nulls, in so many record batches.
fn table(columns: &[(String, Type)], rows: Rows, chunks: usize) -> Option<Table> {
    let rows = match rows {
        Rows::Few => FEW,
        Rows::None => 0,
        Rows::Many => MANY,
    };
    let mut made = vec![("row_of_the_kit".to_owned(), Type::Integer)];
    made.extend_from_slice(columns);
    let columns =
        made.into_iter().enumerate().map(|(place, (name, kind))| column(&name, &values(kind, rows, place), chunks));
    Table::new(columns.collect()).ok()
}

fn column(name: &str, whole: &ArrayRef, chunks: usize) -> TableColumn {
    let rows = whole.len();
    let size = rows.div_ceil(chunks).max(1);
    let mut pieces: Vec<ArrayRef> =
        (0..rows).step_by(size).map(|start| whole.sliced(start, size.min(rows - start))).collect();
    if pieces.is_empty() {
        pieces.push(whole.clone());
    }
    TableColumn { name: name.to_owned(), dtype: whole.dtype().clone(), chunks: pieces }
}

fn values(kind: Type, rows: usize, place: usize) -> ArrayRef {
    // Every eleventh value is null, except in the first column.
    let there = |row: usize| place == 0 || row % 11 != 10;
    match kind {
        Type::Text => {
            let texts = ["north", "south", "a place whose name is longer than a view", "Zürich"];
            Utf8ViewArray::from_slice((0..rows).map(|row| there(row).then(|| texts[row % 4])).collect::<Vec<_>>())
                .boxed()
        }
        Type::Number => {
            (0..rows).map(|row| there(row).then_some((row % 97) as f64 * 0.5)).collect::<Float64Array>().boxed()
        }
        Type::Integer => (0..rows).map(|row| there(row).then_some((row % 1009) as i64)).collect::<Int64Array>().boxed(),
        Type::Flag => (0..rows).map(|row| there(row).then_some(row / 4 % 2 == 0)).collect::<BooleanArray>().boxed(),
    }
}

/// Parameters that the schema accepts, as far as can be told: those that must be given, and the defaults of others.
pub(super) fn params(schema: &Value) -> Value {
    let required: BTreeSet<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let made = properties.into_iter().flatten().filter_map(|(name, schema)| {
        let value = match schema.get("default") {
            Some(default) => default.clone(),
            None if required.contains(name.as_str()) => parameter(name, schema),
            None => return None,
        };
        Some((name.clone(), value))
    });
    Value::Object(made.collect())
}

fn parameter(name: &str, schema: &Value) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema.get("enum").and_then(|values| values.get(0))) {
        return value.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("integer" | "number") => {
            schema.get("minimum").or_else(|| schema.get("maximum")).cloned().unwrap_or_else(|| json!(1))
        }
        Some("boolean") => json!(true),
        Some("array") => json!([parameter(name, schema.get("items").unwrap_or(&Value::Null))]),
        Some("object") => params(schema),
        _ => json!(name),
    }
}

/// All texts among some parameters, which may name columns.
pub(super) fn texts(params: &Value) -> BTreeSet<String> {
    match params {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(entries) => entries.values().flat_map(texts).collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn table_of(example: Value, rows: Rows) -> Result<Table, String> {
        let port = Port::input("table", Kind::Table, "");
        match given(&port, &example, rows, 2)? {
            Artifact::Table(table) => Ok((*table).clone()),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn an_example_is_a_table_over_and_over() {
        let example =
            json!({ "id": [1, 2, 3], "name": ["a", null, "c"], "spent": [1, 2.5, null], "vip": [true, false, true] });
        let few = table_of(example.clone(), Rows::Few).unwrap();
        assert_eq!((few.rows(), few.names().collect::<Vec<_>>()), (3, vec!["id", "name", "spent", "vip"]));
        let kinds: Vec<String> = few.columns().iter().map(|column| format!("{:?}", column.dtype)).collect();
        assert_eq!(kinds, ["Int64", "Utf8View", "Float64", "Boolean"]);
        assert_eq!(few.columns().iter().map(|column| column.chunks.len()).collect::<Vec<_>>(), [2; 4]);
        assert_eq!(table_of(example.clone(), Rows::None).unwrap().rows(), 0);
        let many = table_of(example, Rows::Many).unwrap();
        let ids = many.columns()[0].chunks[1].as_any().downcast_ref::<Int64Array>().unwrap();
        assert_eq!((many.rows(), ids.value(0), ids.value(1)), (MANY, 500_000 % 3 + 1, 1));
    }

    #[test]
    fn an_example_that_is_none_is_told() {
        for (example, why) in [
            (json!([1]), "it is no object of columns"),
            (json!({ "id": 1 }), "column `id` is no list"),
            (json!({ "id": [] }), "column `id` is empty"),
            (json!({ "a": [1, 2], "b": [1] }), "column `b` has 1 values, and another has 2"),
            (json!({ "id": [1, "a"] }), "the values of column `id` have no one type"),
            (json!({ "id": [[1]] }), "the values of column `id` have no one type"),
        ] {
            assert_eq!(table_of(example, Rows::Few).unwrap_err(), why);
        }
        let files = Port::input("files", Kind::Files, "");
        assert_eq!(given(&files, &json!({ "a": 1 }), Rows::Few, 1).unwrap_err(), "`a` is no text");
        let metrics = Port::input("metrics", Kind::Metrics, "");
        assert!(given(&metrics, &json!({ "a": "b" }), Rows::Few, 1).is_err());
    }

    #[test]
    fn what_an_example_connects_is_checked() {
        let port = |name: &str| Port::input(name, Kind::Table, "");
        let descriptor = |example: &str| StageDescriptor {
            name: "a.b".to_owned(),
            summary: String::new(),
            details: String::new(),
            ports: vec![port("table"), port("other").optional()],
            params: json!({ "type": "object" }),
            example: example.to_owned(),
            seeded: false,
            open: None,
        };
        assert!(Example::of(&descriptor("")).unwrap().is_none());
        let example = Example::of(&descriptor("inputs: { table: a }\nwith: { n: 2 }")).unwrap().unwrap();
        assert_eq!(example.with, json!({ "n": 2 }));
        let why = |text: &str| Example::of(&descriptor(text)).map(drop).unwrap_err();
        assert_eq!(why("inputs: { tabel: a }"), "it connects an input `tabel`, which there is not");
        assert_eq!(why("with: {}"), "it leaves the input `table` unconnected, which is needed");
        assert!(why("use: x").contains("use"));
    }
}
