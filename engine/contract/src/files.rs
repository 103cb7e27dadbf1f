use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::{DecodeError, StageError};

/// The artifact of a `files` port: named files, for a system that takes no tables.
///
/// At rest: a line of JSON, `[{"name":"a.csv","bytes":12},…]`, in the order of the names, and then the bytes of the
/// files one after the other.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

/// A file in the first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entered<'a> {
    name: std::borrow::Cow<'a, str>,
    bytes: u64,
}

impl Files {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors A bug when there is one of this name, or the name could lead out of the folder that the files are
    /// written to: it is empty, longer than 255 bytes, begins with a dot, or holds a slash, a backslash, a colon or a
    /// control character.
    pub fn insert(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<(), StageError> {
        self.add(name.into(), bytes.into()).map_err(StageError::bug)
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) -> Result<(), String> {
        let bad = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
        if name.is_empty() || name.len() > 255 || name.starts_with('.') || name.contains(bad) {
            return Err(format!("`{}` is no name of a file", name.escape_debug()));
        }
        match self.0.entry(name) {
            Entry::Vacant(place) => {
                place.insert(bytes);
                Ok(())
            }
            Entry::Occupied(taken) => Err(format!("two files are named `{}`", taken.key())),
        }
    }

    /// The bytes of a file.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Names and bytes, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Writes the canonical bytes.
    pub(crate) fn encode(&self, writer: &mut impl Write) -> io::Result<()> {
        let first: Vec<Entered<'_>> =
            self.iter().map(|(name, bytes)| Entered { name: name.into(), bytes: bytes.len() as u64 }).collect();
        serde_json::to_writer(&mut *writer, &first)?;
        writer.write_all(b"\n")?;
        self.0.values().try_for_each(|bytes| writer.write_all(bytes))
    }

    /// Reads them back, or what a plugin wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = |what: String| DecodeError(format!("not a files artifact: {what}"));
        let end =
            bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| wrong("it has no first line".to_owned()))?;
        let (first, rest) = bytes.split_at(end);
        let first: Vec<Entered<'_>> =
            serde_json::from_slice(first).map_err(|error| wrong(format!("its first line: {error}")))?;
        let mut rest = &rest[1..];
        let mut files = Self::new();
        for file in first {
            let cut = usize::try_from(file.bytes).ok().and_then(|size| rest.split_at_checked(size));
            let Some((own, others)) = cut else {
                return Err(wrong(format!("it ends within `{}`", file.name.escape_debug())));
            };
            rest = others;
            files.add(file.name.into_owned(), own.to_vec()).map_err(wrong)?;
        }
        if !rest.is_empty() {
            return Err(wrong(format!("{} bytes follow the last file", rest.len())));
        }
        Ok(files)
    }
}

/// Names and sizes alone: what is in them may be somebody's.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, bytes)| (name, bytes.len()))).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(files: &Files) -> Vec<u8> {
        let mut bytes = Vec::new();
        files.encode(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_order_in_which_files_are_added_is_forgotten() {
        let (mut one, mut other) = (Files::new(), Files::new());
        one.insert("b.csv", *b"x\n").unwrap();
        one.insert("a.json", *b"{}").unwrap();
        other.insert("a.json", *b"{}").unwrap();
        other.insert("b.csv", *b"x\n").unwrap();
        assert_eq!(bytes(&one), bytes(&other));
        assert_eq!(bytes(&one), b"[{\"name\":\"a.json\",\"bytes\":2},{\"name\":\"b.csv\",\"bytes\":2}]\n{}x\n");
        assert_eq!(bytes(&Files::new()), b"[]\n");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", ".ssh", "../x", "/etc/x", "a/b", "a\\b", "C:x", "a\0b", "a\nb", &long] {
            assert!(Files::new().insert(name, *b"").is_err(), "{name:?}");
            let text = format!("[{{\"name\":{},\"bytes\":0}}]\n", serde_json::to_string(name).unwrap());
            assert!(Files::decode(text.as_bytes()).is_err(), "{name:?}");
        }
        Files::new().insert("Ümlaut 1.csv", *b"").unwrap();
    }

    #[test]
    fn what_is_no_set_of_files_is_refused() {
        for text in [
            "",
            "[]",
            "{}\n",
            "[]\nx",
            "[{\"name\":\"a\",\"bytes\":2}]\nx",
            "[{\"name\":\"a\",\"bytes\":-1}]\n",
            "[{\"name\":\"a\",\"bytes\":18446744073709551615}]\n",
            "[{\"name\":\"a\",\"bytes\":0},{\"name\":\"a\",\"bytes\":0}]\n",
            "[{\"name\":\"a\",\"bytes\":0,\"mode\":493}]\n",
        ] {
            assert!(Files::decode(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn files_come_back_as_they_were(
            files in prop::collection::btree_map("[a-zA-Z0-9_ é-][a-zA-Z0-9_. é-]{0,12}", prop::collection::vec(any::<u8>(), 0..40), 0..6)
        ) {
            let mut made = Files::new();
            for (name, bytes) in files {
                made.insert(name, bytes).unwrap();
            }
            prop_assert_eq!(Files::decode(&bytes(&made)).unwrap(), made);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Files::decode(&bytes);
        }
    }
}
