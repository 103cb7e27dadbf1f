use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use stagewright_contract::{Digest, StageType};

/// The stage types that a workflow may use, by name.
#[derive(Debug, Default)]
pub struct Registry {
    types: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    stage_type: StageType,
    validator: OnceLock<Option<Validator>>,
}

impl Registry {
    /// A registry of these stage types.
    pub fn new(types: impl IntoIterator<Item = StageType>) -> Self {
        let types = types
            .into_iter()
            .map(|stage_type| (stage_type.name().to_owned(), Entry { stage_type, validator: OnceLock::new() }))
            .collect();
        Self { types }
    }

    /// Adds stage types.
    ///
    /// # Errors
    /// The name of the first that there is already; none of them is added then.
    pub fn add(&mut self, types: impl IntoIterator<Item = StageType>) -> Result<(), String> {
        let mut added = BTreeMap::new();
        for stage_type in types {
            let name = stage_type.name().to_owned();
            if self.types.contains_key(&name) || added.contains_key(&name) {
                return Err(name);
            }
            added.insert(name, Entry { stage_type, validator: OnceLock::new() });
        }
        self.types.append(&mut added);
        Ok(())
    }

    /// The stage type of this name.
    pub fn get(&self, name: &str) -> Option<&StageType> {
        self.types.get(name).map(|entry| &entry.stage_type)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// All stage types, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = &StageType> {
        self.types.values().map(|entry| &entry.stage_type)
    }

    /// The validator of a type's parameters, compiled when first asked for. `None` for an unknown type, or one whose
    /// schema is not a JSON Schema: its own check then finds what it can.
    pub(crate) fn validator(&self, name: &str) -> Option<&Validator> {
        let entry = self.types.get(name)?;
        entry.validator.get_or_init(|| jsonschema::validator_for(&entry.stage_type.descriptor().params).ok()).as_ref()
    }

    /// A digest of the names and the code of all stage types: two programs with equal digests execute every stage
    /// alike.
    pub fn code(&self) -> Digest {
        let mut bytes = Vec::new();
        for (name, entry) in &self.types {
            bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(entry.stage_type.code().as_bytes());
        }
        Digest::of(&bytes)
    }
}
