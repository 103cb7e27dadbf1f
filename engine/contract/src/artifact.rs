use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::table::ipc;
use crate::{Figure, Files, Metrics, Model, Table};

/// What passes through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Rows and named, typed columns. At rest: an Arrow IPC file.
    Table,
    /// Named numbers. At rest: JSON.
    Metrics,
    /// What a stage learned, to be applied by another. At rest: JSON.
    Model,
    /// Something to look at, as numbers and not as a picture. At rest: JSON.
    Figure,
    /// Named files, for a system that takes no tables. At rest: [`Files`] says how.
    Files,
}

impl Kind {
    /// The name used in messages and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Metrics => "metrics",
            Self::Model => "model",
            Self::Figure => "figure",
            Self::Files => "files",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One output of one stage execution, in memory. Cloning shares the data.
#[derive(Clone, Debug)]
pub enum Artifact {
    /// A table.
    Table(Arc<Table>),
    /// Named numbers.
    Metrics(Arc<Metrics>),
    /// What a stage learned.
    Model(Arc<Model>),
    /// Something to look at.
    Figure(Arc<Figure>),
    /// Named files.
    Files(Arc<Files>),
}

/// An artifact in canonical form, to be written more than once.
#[derive(Clone)]
pub struct Encoded {
    artifact: Artifact,
    /// All that stands before a table's values; the whole of other kinds but files.
    head: Vec<u8>,
    /// What stands after a table's values.
    tail: Vec<u8>,
}

impl Encoded {
    /// The same artifact. A table has its values where they are written from, each column in one piece, as one that is
    /// read back.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Writes the canonical bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        if let Artifact::Files(files) = &self.artifact {
            return files.encode(writer);
        }
        writer.write_all(&self.head)?;
        if let Artifact::Table(table) = &self.artifact {
            ipc::write_values(table, writer)?;
        }
        writer.write_all(&self.tail)
    }
}

/// Immutable bytes that an artifact is read from, usually a memory-mapped file.
#[derive(Clone)]
pub struct Bytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Bytes {
    /// Shares some bytes.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Bytes that are not what an artifact of their kind looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(pub String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl Artifact {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Table(_) => Kind::Table,
            Self::Metrics(_) => Kind::Metrics,
            Self::Model(_) => Kind::Model,
            Self::Figure(_) => Kind::Figure,
            Self::Files(_) => Kind::Files,
        }
    }

    /// The number of rows, of a table.
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Table(table) => Some(table.rows() as u64),
            Self::Metrics(_) | Self::Model(_) | Self::Figure(_) | Self::Files(_) => None,
        }
    }

    /// Its canonical form: equal content gives equal bytes, however it was computed.
    ///
    /// # Errors
    /// `InvalidData` for a table with a column type that cannot be stored.
    pub fn encoded(&self) -> io::Result<Encoded> {
        let whole = |head: Vec<u8>| Encoded { artifact: self.clone(), head, tail: Vec::new() };
        Ok(match self {
            Self::Table(table) => {
                let table = table.canonical()?;
                let (head, tail) = ipc::frame(&table);
                Encoded { artifact: table.into(), head, tail }
            }
            Self::Metrics(metrics) => whole(serde_json::to_vec(&**metrics)?),
            Self::Model(model) => whole(serde_json::to_vec(&**model)?),
            Self::Figure(figure) => whole(serde_json::to_vec(&**figure)?),
            Self::Files(_) => whole(Vec::new()),
        })
    }

    /// Writes its canonical bytes once.
    ///
    /// # Errors
    /// Those of the writer and of [`Artifact::encoded`].
    pub fn encode(&self, writer: &mut impl Write) -> io::Result<()> {
        self.encoded()?.write(writer)
    }

    /// Reads it back; a table shares the bytes without copying them.
    ///
    /// The bytes must be as [`Artifact::encode`] wrote them: the store checks their digest before it calls this.
    ///
    /// # Errors
    /// When the bytes are not an artifact of this kind.
    pub fn decode(kind: Kind, bytes: Bytes) -> Result<Self, DecodeError> {
        Ok(match kind {
            Kind::Table => Self::Table(Arc::new(Table::decode(bytes)?)),
            Kind::Metrics => Self::Metrics(Arc::new(from_json(kind, &bytes)?)),
            Kind::Model => Self::Model(Arc::new(from_json(kind, &bytes)?)),
            Kind::Figure => Self::Figure(Arc::new(from_json(kind, &bytes)?)),
            Kind::Files => Self::Files(Arc::new(Files::decode(bytes.as_ref())?)),
        })
    }
}

fn from_json<T: serde::de::DeserializeOwned>(kind: Kind, bytes: &Bytes) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes.as_ref()).map_err(|error| DecodeError(format!("not a {kind} artifact: {error}")))
}

impl From<Table> for Artifact {
    fn from(table: Table) -> Self {
        Self::Table(Arc::new(table))
    }
}

impl From<Arc<Table>> for Artifact {
    fn from(table: Arc<Table>) -> Self {
        Self::Table(table)
    }
}

impl From<Metrics> for Artifact {
    fn from(metrics: Metrics) -> Self {
        Self::Metrics(Arc::new(metrics))
    }
}

impl From<Arc<Metrics>> for Artifact {
    fn from(metrics: Arc<Metrics>) -> Self {
        Self::Metrics(metrics)
    }
}

impl From<Model> for Artifact {
    fn from(model: Model) -> Self {
        Self::Model(Arc::new(model))
    }
}

impl From<Arc<Model>> for Artifact {
    fn from(model: Arc<Model>) -> Self {
        Self::Model(model)
    }
}

impl From<Figure> for Artifact {
    fn from(figure: Figure) -> Self {
        Self::Figure(Arc::new(figure))
    }
}

impl From<Files> for Artifact {
    fn from(files: Files) -> Self {
        Self::Files(Arc::new(files))
    }
}
