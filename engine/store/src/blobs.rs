//! Blobs: the bytes of artifacts, each in a file named by its digest, immutable.

use std::borrow::Cow;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use stagewright_contract::{Artifact, Bytes, Digest, Encoded, Kind};
use tempfile::NamedTempFile;

use crate::hold::Hold;
use crate::{Output, ReadError, Stamp, Store, StoreError};

/// Small pieces are digested and written so many bytes at a time.
const BUFFER: usize = 1 << 18;

/// Above this many bytes the digest is computed on all processors.
const MANY: usize = 1 << 20;

/// A blob in the store. As long as it lives, `gc` does not run: keep it until its manifest is published.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The digest of its bytes, which names it.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// The file as it was when put in place.
    pub stamp: Stamp,
    _hold: Arc<Hold>,
}

/// An artifact that is to be stored: its digest is known already, and what depends on that need not wait for the disk.
pub struct Prepared {
    /// The digest of its canonical bytes.
    pub digest: Digest,
    /// How many bytes those are.
    pub size: u64,
    form: Form,
}

enum Form {
    New(Encoded),
    /// Passed on as it came: it is stored, or will be before this.
    Again(Artifact),
}

impl Prepared {
    /// Digests an artifact.
    ///
    /// # Errors
    /// When it has a column of a type that cannot be stored.
    pub fn new(artifact: &Artifact) -> Result<Self, StoreError> {
        let unstorable = |error: io::Error| StoreError::Unstorable(error.to_string());
        let encoded = artifact.encoded().map_err(unstorable)?;
        let mut writer = BufWriter::with_capacity(BUFFER, Digesting::default());
        encoded.write(&mut writer).map_err(unstorable)?;
        let digesting = writer.into_inner().map_err(|error| unstorable(error.into_error()))?;
        Ok(Self { digest: digesting.hasher.finalize().into(), size: digesting.size, form: Form::New(encoded) })
    }

    /// The artifact, laid out as one that is read back from the store.
    pub fn artifact(&self) -> &Artifact {
        match &self.form {
            Form::New(encoded) => encoded.artifact(),
            Form::Again(artifact) => artifact,
        }
    }

    /// An artifact that is the output of another stage, which was stored or is to be before this.
    pub fn again(artifact: &Artifact, output: &Output) -> Self {
        Self { digest: output.digest, size: output.size, form: Form::Again(artifact.clone()) }
    }
}

/// The bytes of a blob, written but not in place yet. Dropped, they are gone.
pub struct Written {
    digest: Digest,
    size: u64,
    place: Place,
    hold: Arc<Hold>,
}

enum Place {
    Temporary(NamedTempFile),
    There(Stamp),
}

impl Store {
    /// Stores an artifact's canonical bytes. A blob that is there already is replaced, which heals it if it was
    /// damaged. The bytes are on the disk when this returns.
    ///
    /// # Errors
    /// When the artifact has a column type that cannot be stored, or the disk refuses; nothing is left behind then.
    pub fn put(&self, artifact: &Artifact) -> Result<Blob, StoreError> {
        self.keep(self.write(&Prepared::new(artifact)?)?)
    }

    /// The first half of [`Store::put`]: the bytes are with the system, on their way to the disk. To write several
    /// before the first is kept saves waiting.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, prepared: &Prepared) -> Result<Written, StoreError> {
        let Prepared { digest, size, form } = prepared;
        let (digest, size) = (*digest, *size);
        // Before the temporary file: with nobody holding, `gc` takes every temporary file for a leftover.
        let hold = self.hold()?;
        let folder = self.tmp_folder();
        let failed = |source: io::Error| StoreError::io("write to", &folder)(source);
        let encoded = match form {
            Form::New(encoded) => Cow::Borrowed(encoded),
            Form::Again(artifact) => match self.stamp_as_stored(digest)? {
                Some(stamp) => return Ok(Written { digest, size, place: Place::There(stamp), hold }),
                None => Cow::Owned(artifact.encoded().map_err(failed)?),
            },
        };
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o444))
            .tempfile_in(&folder)
            .map_err(StoreError::io("create a file in", &folder))?;
        let mut writer = BufWriter::with_capacity(BUFFER, file.as_file());
        encoded.write(&mut writer).and_then(|()| writer.flush()).map_err(failed)?;
        drop(writer);
        Ok(Written { digest, size, place: Place::Temporary(file), hold })
    }

    /// The second half of [`Store::put`]: waits for the disk, and puts the blob in its place.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left behind then.
    pub fn keep(&self, written: Written) -> Result<Blob, StoreError> {
        let Written { digest, size, place, hold } = written;
        let file = match place {
            Place::There(stamp) => return Ok(Blob { digest, size, stamp, _hold: hold }),
            Place::Temporary(file) => file,
        };
        file.as_file().sync_data().map_err(StoreError::io("write to", &self.tmp_folder()))?;
        let path = self.blob_path(digest);
        // A persist that fails gives the file back, to be removed by its drop.
        let file = match file.persist(&path) {
            Err(error) if error.error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(&path);
                fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
                error.file.persist(&path)
            }
            other => other,
        };
        let file = file.map_err(|error| StoreError::io("write", &path)(error.error))?;
        let metadata = file.metadata().map_err(StoreError::io("look at", &path))?;
        Ok(Blob { digest, size, stamp: Stamp::of(&metadata), _hold: hold })
    }

    /// The stamp of a blob that is still as it was stored; `None` where one look does not tell.
    fn stamp_as_stored(&self, digest: Digest) -> Result<Option<Stamp>, StoreError> {
        let Ok(metadata) = fs::metadata(self.blob_path(digest)) else { return Ok(None) };
        let stamp = Stamp::of(&metadata);
        let known = self.blob_stamp(digest)?;
        Ok(known.filter(|known| *known == (metadata.len(), stamp)).map(|(_, stamp)| stamp))
    }

    /// Reads an artifact. Its bytes are memory-mapped, and checked against the digest first.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when the blob is gone or changed. The next lookup of a stage key that gave it is no hit.
    pub fn read(&self, kind: Kind, digest: Digest) -> Result<Artifact, ReadError> {
        let path = self.blob_path(digest);
        let damaged = |what: String| Err(ReadError::Damaged { digest, what });
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return damaged("is missing".to_owned()),
            Err(error) => return Err(StoreError::io("open", &path)(error).into()),
        };
        let metadata = file.metadata().map_err(StoreError::io("look at", &path))?;
        // SAFETY: nobody writes to a blob: it is created read-only, put in place by a rename and replaced only by
        // another rename, which leaves this mapping on the old file.
        #[allow(unsafe_code)]
        let bytes = unsafe { Mmap::map(&file) }.map_err(StoreError::io("map", &path))?;
        if digest_of(&bytes) != digest {
            // With another stamp, lookups see the damage for themselves.
            self.forget_blob(digest, Stamp::of(&metadata))?;
            return damaged("does not have its digest".to_owned());
        }
        Artifact::decode(kind, Bytes::new(bytes)).or_else(|error| damaged(format!("cannot be read: {error}")))
    }
}

/// The digest of a file's bytes. The file is read, not mapped: a mapped file that somebody shortens meanwhile would end
/// the process.
pub(crate) fn digest_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(usize::MAX).clamp(1 << 12, 8 << 20)];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(count) => update(&mut hasher, buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    update(&mut hasher, bytes);
    hasher.finalize().into()
}

fn update(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if bytes.len() >= MANY {
        hasher.update_rayon(bytes);
    } else {
        hasher.update(bytes);
    }
}

/// Digests what is written to it.
#[derive(Default)]
struct Digesting {
    hasher: blake3::Hasher,
    size: u64,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        update(&mut self.hasher, bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
