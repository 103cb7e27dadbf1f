//! What a plugin says about itself, and what the plan asks it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagewright_contract::{Direction, Kind, Port, StageDescriptor};

/// The manifest of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name of the plugin: what the names of its stage types begin with.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// Its stage types.
    pub stages: Vec<StageManifest>,
}

/// A stage type in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageManifest {
    /// `plugin.type`, as `uses:` names it.
    pub name: String,
    /// One sentence: what it does.
    pub summary: String,
    /// The rest of its documentation.
    #[serde(default)]
    pub details: String,
    /// Inputs and outputs.
    pub ports: Vec<PortManifest>,
    /// The JSON Schema of its parameters; none where it has no parameters.
    #[serde(default = "no_params")]
    pub params: Value,
    /// A YAML fragment of a stage of this type: `inputs:` and `with:`.
    #[serde(default)]
    pub example: String,
    /// Whether it draws random numbers, so that the seed is part of its key.
    #[serde(default)]
    pub seeded: bool,
    /// Whether it takes text columns as views.
    #[serde(default)]
    pub string_views: bool,
    /// Whether it opens network connections.
    #[serde(default)]
    pub network: bool,
    /// Whether its stages answer `plan`, so that what follows is asked of them.
    #[serde(default)]
    pub plans: bool,
    /// The parameters that hold the path or pattern of files that it reads.
    #[serde(default)]
    pub sources: Vec<SourceManifest>,
    /// The parameters that name a secret.
    #[serde(default)]
    pub secrets: Vec<SecretManifest>,
    /// The inputs whose contents leave the workflow.
    #[serde(default)]
    pub discloses: Vec<DisclosureManifest>,
    /// By output: the columns that may be personal. `*` stands for every personal column of any input, and is what
    /// holds for an output that is not listed.
    #[serde(default)]
    pub personal: BTreeMap<String, Vec<String>>,
}

/// A port in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortManifest {
    /// Its name.
    pub name: String,
    /// `input` or `output`.
    pub direction: Direction,
    /// `table`, `metrics`, `model`, `figure` or `files`.
    pub kind: Kind,
    /// One sentence for a reader.
    #[serde(default)]
    pub doc: String,
    /// Whether an input may be left unconnected.
    #[serde(default)]
    pub optional: bool,
    /// An output that exists only when this parameter has this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<(String, Value)>,
    /// What an input may hold, to try the stage type with: for a table its columns, each a list of values; for files
    /// their texts by name; for everything else its JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

/// A parameter that holds the path or pattern of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceManifest {
    /// The parameter.
    pub param: String,
    /// The path or pattern; what the parameter holds unless the answer to a plan says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Whether there may be no such file.
    #[serde(default)]
    pub optional: bool,
}

/// A parameter that names a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretManifest {
    /// The parameter; in the answer to a plan, the secret itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// The name of the secret, in the answer to a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether outputs depend on its value.
    #[serde(default)]
    pub in_key: bool,
}

/// An input whose contents leave the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosureManifest {
    /// The input.
    pub port: String,
    /// Which of its columns; all unless said.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// To whom or what, in a few words.
    pub to: String,
    /// What to do instead.
    #[serde(default)]
    pub help: String,
}

/// What the plan asks a stage: the columns of its inputs that may be personal, by port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The personal columns of the inputs.
    pub personal: BTreeMap<String, BTreeSet<String>>,
}

/// What a stage answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The parameters with every default filled in: what the key hashes.
    pub params: Value,
    /// The files that it reads.
    #[serde(default)]
    pub sources: Vec<SourceManifest>,
    /// The secrets that it uses, by name.
    #[serde(default)]
    pub secrets: Vec<SecretManifest>,
    /// The inputs whose contents leave the workflow.
    #[serde(default)]
    pub discloses: Vec<DisclosureManifest>,
    /// The columns of the outputs that may be personal, given the question.
    #[serde(default)]
    pub personal: BTreeMap<String, BTreeSet<String>>,
}

fn no_params() -> Value {
    serde_json::json!({ "type": "object", "additionalProperties": false })
}

impl Manifest {
    /// Reads a manifest and checks what its structure does not say.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| format!("its manifest: {error}"))?;
        manifest.check().map_err(|error| format!("its manifest: {error}"))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!("`{}` is not a name: lower-case letters, digits and `_`", self.name));
        }
        if self.stages.is_empty() {
            return Err("it has no stage types".to_owned());
        }
        let mut seen = BTreeSet::new();
        for stage in &self.stages {
            let rest = stage.name.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('.'));
            if !rest.is_some_and(is_name) {
                return Err(format!("the stage type `{}` is not named `{}.TYPE`", stage.name, self.name));
            }
            if !seen.insert(&stage.name) {
                return Err(format!("the stage type `{}` is there twice", stage.name));
            }
            stage.check().map_err(|error| format!("the stage type `{}`: {error}", stage.name))?;
        }
        Ok(())
    }
}

impl StageManifest {
    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for port in &self.ports {
            if !is_name(&port.name) {
                return Err(format!("`{}` is no name of a port: lower-case letters, digits and `_`", port.name));
            }
            if !seen.insert((port.direction == Direction::Input, &port.name)) {
                return Err(format!("the port `{}` is there twice", port.name));
            }
        }
        if !self.ports.iter().any(|port| port.direction == Direction::Output) {
            return Err("it has no output".to_owned());
        }
        if self.params.get("type") != Some(&Value::from("object")) {
            return Err("the schema of its parameters does not say `\"type\": \"object\"`".to_owned());
        }
        #[cfg(feature = "host")]
        jsonschema::validator_for(&self.params)
            .map_err(|error| format!("the schema of its parameters is not a JSON Schema: {error}"))?;
        let has = |direction, name: &str| {
            self.ports.iter().any(|port| port.direction == direction && port.name == name && port.kind == Kind::Table)
        };
        if let Some(port) = self.personal.keys().find(|port| !has(Direction::Output, port)) {
            return Err(format!("`personal` names `{port}`, which is no table output"));
        }
        if let Some(used) = self.discloses.iter().find(|used| !has(Direction::Input, &used.port)) {
            return Err(format!("`discloses` names `{}`, which is no table input", used.port));
        }
        Ok(())
    }

    /// As the engine describes stage types.
    pub fn descriptor(&self) -> StageDescriptor {
        let port = |port: &PortManifest| Port {
            name: port.name.clone(),
            direction: port.direction,
            kind: port.kind,
            doc: port.doc.clone(),
            optional: port.optional,
            only_if: port.only_if.clone(),
            example: port.example.clone(),
        };
        StageDescriptor {
            name: self.name.clone(),
            summary: self.summary.clone(),
            details: self.details.clone(),
            ports: self.ports.iter().map(port).collect(),
            params: self.params.clone(),
            example: self.example.clone(),
            seeded: self.seeded,
            open: None,
        }
    }
}

impl From<&StageDescriptor> for StageManifest {
    fn from(descriptor: &StageDescriptor) -> Self {
        // Ports that belong to a stage and not to its type do not cross the boundary.
        let StageDescriptor { name, summary, details, ports, params, example, seeded, open: _ } = descriptor.clone();
        let port = |port: Port| PortManifest {
            name: port.name,
            direction: port.direction,
            kind: port.kind,
            doc: port.doc,
            optional: port.optional,
            only_if: port.only_if,
            example: port.example,
        };
        Self {
            name,
            summary,
            details,
            ports: ports.into_iter().map(port).collect(),
            params,
            example,
            seeded,
            string_views: false,
            network: false,
            plans: false,
            sources: Vec::new(),
            secrets: Vec::new(),
            discloses: Vec::new(),
            personal: BTreeMap::new(),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The parameters with the defaults of their schema filled in, at every depth.
#[cfg(feature = "host")]
pub(crate) fn with_defaults(schema: &Value, params: &Value) -> Value {
    let (Some(properties), Some(given)) = (schema.get("properties").and_then(Value::as_object), params.as_object())
    else {
        return params.clone();
    };
    let mut out = given.clone();
    for (name, schema) in properties {
        match out.get(name) {
            Some(value) => {
                let filled = with_defaults(schema, value);
                out.insert(name.clone(), filled);
            }
            None => {
                if let Some(default) = schema.get("default") {
                    out.insert(name.clone(), with_defaults(schema, default));
                }
            }
        }
    }
    Value::Object(out)
}
