use polars::prelude::{DataType, IntoColumn, NewChunkedArray, StringChunked};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, PersonalColumns, Port, Secret, SecretUse, Stage, StageContext, StageError};
use stagewright_frame::{column, polars_error, require, to_frame};

use crate::table::{no_repeats, put_frame, table_ports, through};

/// Replace the values of columns by pseudonyms: keyed hashes that only the holder of the key can link to a person.
///
/// A value becomes 32 hexadecimal digits, the first 128 bits of its BLAKE3 hash under a key derived from the secret
/// `key`. Equal values get equal pseudonyms in every column and table for as long as the key stays the same, so tables
/// can be joined by them; another key gives others. Integers are hashed as their decimal digits, so a number and the
/// same number as text agree. Nulls stay null. The columns are no longer marked as personal: the pseudonym may go where
/// the value may not, but whoever has the key can find the person again, so the key must be guarded, at least 16
/// characters long and not be guessable; a fingerprint of it is part of the stage key.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pseudonymise {
    /// The columns to replace: text, integers or booleans.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// The secret that the pseudonyms depend on, as `${secret:NAME}`; at least 16 characters.
    pub key: Secret,
}

/// The least length of a key, in bytes.
const SHORTEST_KEY: usize = 16;

impl Stage for Pseudonymise {
    const TYPE: &'static str = "clean.pseudonymise";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [email, last_name], key: \"${secret:PSEUDONYM_KEY}\" }";

    fn ports() -> Vec<Port> {
        table_ports("Any table.", "The same rows with pseudonyms (string) in the place of the values.")
    }

    fn check(&self) -> Result<(), ParamError> {
        no_repeats("columns", &self.columns)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |personal| personal.retain(|name| !self.columns.contains(name)))
    }

    fn secrets(&self) -> Vec<SecretUse> {
        vec![SecretUse { name: self.key.name().to_owned(), in_key: true }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let secret = context.secret(&self.key)?.expose();
        if secret.len() < SHORTEST_KEY {
            return Err(StageError::data(format!(
                "the secret `{}` is {} characters long, at least {SHORTEST_KEY} are needed",
                self.key.name(),
                secret.chars().count()
            ))
            .with_help(
                "pseudonyms made with a key that can be guessed can be undone; make one with `openssl rand -hex 32`",
            ));
        }
        let key = blake3::derive_key("stagewright 2026 pseudonym", secret.as_bytes());
        let mut frame = to_frame(&*context.table("table")?)?;
        require(&frame, self.columns.iter().map(String::as_str))?;
        for name in &self.columns {
            context.check_cancelled()?;
            let values = column(&frame, name)?;
            let dtype = values.dtype();
            if !(dtype.is_integer() || matches!(dtype, DataType::String | DataType::Boolean | DataType::Null)) {
                return Err(StageError::data(format!("column `{name}` is {dtype}, text or integers are needed"))
                    .with_help("cast it to `string` with `clean.cast`"));
            }
            let failed = |error| polars_error(&format!("reading column `{name}`"), &error);
            let texts = values.cast(&DataType::String).map_err(failed)?;
            let texts = texts.str().map_err(failed)?;
            let pseudonyms = texts.iter().map(|value| value.map(|value| pseudonym(&key, value)));
            let column = StringChunked::from_iter_options(name.as_str().into(), pseudonyms).into_column();
            frame.with_column(column).map_err(|error| polars_error(&format!("replacing column `{name}`"), &error))?;
        }
        let still_personal: Vec<String> = context
            .table("table")?
            .personal()
            .filter(|name| !self.columns.iter().any(|column| column == name))
            .map(str::to_owned)
            .collect();
        context.no_longer_personal(self.columns.iter().map(String::as_str));
        put_frame(context, frame, still_personal.iter().map(String::as_str))
    }
}

fn pseudonym(key: &[u8; 32], value: &str) -> String {
    let hash = blake3::keyed_hash(key, value.as_bytes()).to_hex();
    hash.chars().take(32).collect()
}
