use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;

/// Whether a port takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The stage reads it.
    Input,
    /// The stage writes it.
    Output,
}

/// A named, typed input or output of a stage type.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Its name, unique among the ports of its direction.
    pub name: String,
    /// Input or output.
    pub direction: Direction,
    /// What passes through it.
    pub kind: Kind,
    /// One sentence for a reader: columns, types, units.
    pub doc: String,
    /// An input that may be left unconnected.
    pub optional: bool,
    /// An output that exists only when this parameter has this value.
    pub only_if: Option<(String, Value)>,
    /// What an input may hold, to try the stage type with: for a table its columns, each a list of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

impl Port {
    fn new(direction: Direction, name: &str, kind: Kind, doc: &str) -> Self {
        Self {
            name: name.to_owned(),
            direction,
            kind,
            doc: doc.to_owned(),
            optional: false,
            only_if: None,
            example: None,
        }
    }

    /// A port that the stage reads.
    pub fn input(name: &str, kind: Kind, doc: &str) -> Self {
        Self::new(Direction::Input, name, kind, doc)
    }

    /// A port that the stage writes.
    pub fn output(name: &str, kind: Kind, doc: &str) -> Self {
        Self::new(Direction::Output, name, kind, doc)
    }

    /// The same input, but it may be left unconnected.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same input, with an example of what it may hold, from which `stagewright plugin check` makes inputs: for a table
    /// its columns (`{"id": [1, 2]}`), for files their texts by name, for everything else its JSON.
    #[must_use]
    pub fn with_example(mut self, example: Value) -> Self {
        self.example = Some(example);
        self
    }

    /// The same output, but there only when parameter `param` has the given value.
    #[must_use]
    pub fn only_if(mut self, param: &str, value: impl Into<Value>) -> Self {
        self.only_if = Some((param.to_owned(), value.into()));
        self
    }
}

/// What there is to know about a stage type before it runs.
#[derive(Clone, Debug, Serialize)]
pub struct StageDescriptor {
    /// `crate.type`, as `uses:` names it.
    pub name: String,
    /// One sentence: what it does.
    pub summary: String,
    /// The rest of its documentation; may be empty.
    pub details: String,
    /// Inputs and outputs, in the order a reader meets them.
    pub ports: Vec<Port>,
    /// The JSON Schema of `with:`.
    pub params: Value,
    /// A YAML fragment of a stage that uses it, without its name and without `uses:`.
    pub example: String,
    /// Whether it draws random numbers, so that the seed is part of its key.
    pub seeded: bool,
    /// Whether each stage has ports of its own beside `ports`: inputs of any name and kind, and the outputs that this
    /// parameter maps to what they are, which is a [`Kind`], or a mapping whose `kind` is one, or else stands for a
    /// table.
    pub open: Option<String>,
}

impl StageDescriptor {
    /// The inputs that every stage of the type has.
    pub fn inputs(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter(|port| port.direction == Direction::Input)
    }

    /// The outputs that exist under the given parameters; one that is not given has its default.
    pub fn outputs<'a>(&'a self, params: &'a Value) -> impl Iterator<Item = Cow<'a, Port>> {
        let default = |name: &str| self.params.get("properties")?.get(name)?.get("default");
        let of_type = self.ports.iter().filter(move |port| {
            port.direction == Direction::Output
                && port
                    .only_if
                    .as_ref()
                    .is_none_or(|(name, value)| params.get(name).or_else(|| default(name)) == Some(value))
        });
        let declared = self.open.as_ref().and_then(|name| params.get(name)).and_then(Value::as_object);
        let own = declared.into_iter().flatten().map(|(name, said)| Cow::Owned(Port::output(name, kind_of(said), "")));
        of_type.map(Cow::Borrowed).chain(own)
    }
}

/// What the parameter of [`StageDescriptor::open`] says that an output is.
fn kind_of(said: &Value) -> Kind {
    let kind = said.get("kind").unwrap_or(said);
    Kind::deserialize(kind).unwrap_or(Kind::Table)
}
