//! What a result was measured on, as a digest: results are compared only where it is equal.

use polars::prelude::{DataFrame, DataType};
use stagewright_contract::{Digest, StageError};
use stagewright_frame::{column, polars_error};

/// A digest of a set of test units in which the order of the units has no part: the digests of the units are added up.
pub(crate) struct Units {
    of: &'static str,
    count: u64,
    sums: [u128; 2],
}

impl Units {
    /// No units yet. `of` tells the units of one stage type from those of another.
    pub(crate) fn new(of: &'static str) -> Self {
        Self { of, count: 0, sums: [0; 2] }
    }

    /// Adds a unit: its identity and what is true of it, framed so that no two differ in meaning and not in bytes.
    pub(crate) fn add(&mut self, unit: &[u8]) {
        let digest = Digest::of(unit);
        let (halves, _) = digest.as_bytes().as_chunks::<16>();
        for (sum, half) in self.sums.iter_mut().zip(halves) {
            *sum = sum.wrapping_add(u128::from_le_bytes(*half));
        }
        self.count += 1;
    }

    /// The digest of them all.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = format!("stagewright units 1 {} {}", self.of, self.count).into_bytes();
        self.sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.to_le_bytes()));
        Digest::of(&bytes)
    }
}

/// The columns that tell units apart, read once.
pub(crate) struct Keys {
    columns: Vec<KeyColumn>,
}

enum KeyColumn {
    Integers(Vec<Option<i64>>),
    Texts(polars::prelude::StringChunked),
}

impl Keys {
    /// Those columns: integers of any width, booleans, or text.
    ///
    /// # Errors
    /// When one is missing or holds something else.
    pub(crate) fn read(frame: &DataFrame, names: &[String]) -> Result<Self, StageError> {
        let read = |name: &String| {
            let column = column(frame, name)?;
            let failed = |error| polars_error(&format!("reading column `{name}`"), &error);
            if column.dtype() == &DataType::String {
                return Ok(KeyColumn::Texts(column.str().map_err(failed)?.clone()));
            }
            if !column.dtype().is_integer() && column.dtype() != &DataType::Boolean {
                return Err(StageError::data(format!(
                    "column `{name}` is {}, integers or text are needed to tell one row from another",
                    column.dtype()
                ))
                .with_help("cast it with `clean.cast`, or name another column"));
            }
            let values = column.strict_cast(&DataType::Int64).map_err(failed)?;
            Ok(KeyColumn::Integers(values.i64().map_err(failed)?.iter().collect()))
        };
        Ok(Self { columns: names.iter().map(read).collect::<Result<_, StageError>>()? })
    }

    /// Writes the identity of a row behind `bytes`.
    pub(crate) fn write(&self, row: usize, bytes: &mut Vec<u8>) {
        for column in &self.columns {
            match column {
                KeyColumn::Integers(values) => match values.get(row).copied().flatten() {
                    Some(value) => {
                        bytes.push(1);
                        bytes.extend_from_slice(&value.to_le_bytes());
                    }
                    None => bytes.push(0),
                },
                KeyColumn::Texts(values) => match values.get(row) {
                    Some(text) => {
                        bytes.push(2);
                        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                        bytes.extend_from_slice(text.as_bytes());
                    }
                    None => bytes.push(0),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use polars::prelude::df;

    use super::{Keys, Units};

    fn digest(units: &[&[u8]]) -> String {
        let mut all = Units::new("test");
        units.iter().for_each(|unit| all.add(unit));
        all.digest().hex()
    }

    #[test]
    fn the_order_has_no_part_and_everything_else_has() {
        assert_eq!(digest(&[b"a", b"b", b"b"]), digest(&[b"b", b"a", b"b"]));
        let others = [digest(&[b"a", b"b"]), digest(&[b"a", b"a", b"b"]), digest(&[]), Units::new("x").digest().hex()];
        for other in &others {
            assert_ne!(*other, digest(&[b"a", b"b", b"b"]));
        }
        assert_ne!(others[2], others[3]);
    }

    #[test]
    fn identities_are_framed() {
        let frame = df!["a" => [Some("x"), None, Some("xy")], "b" => [Some("yz"), Some("xyz"), Some("z")]].unwrap();
        let keys = Keys::read(&frame, &["a".to_owned(), "b".to_owned()]).unwrap();
        let of = |row: usize| {
            let mut bytes = Vec::new();
            keys.write(row, &mut bytes);
            bytes
        };
        assert_ne!(of(0), of(2));
        assert_ne!(of(0), of(1));
        let numbers = df!["a" => [1.5]].unwrap();
        let error = Keys::read(&numbers, &["a".to_owned()]).err().unwrap();
        assert_eq!(error.message, "column `a` is f64, integers or text are needed to tell one row from another");
    }
}
