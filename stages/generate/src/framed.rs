//! Digests of several fields that cannot be mistaken for one another.

use stagewright_contract::Digest;

/// Hashes fields as (length of name, name, length of value, value), under a version.
pub(crate) struct Framed(blake3::Hasher);

impl Framed {
    pub(crate) fn new(version: &str) -> Self {
        Self(blake3::Hasher::new()).field("version", version)
    }

    #[must_use]
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        for part in [name, value] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part.as_bytes());
        }
        self
    }

    pub(crate) fn digest(&self) -> Digest {
        self.0.finalize().into()
    }
}
