//! Blobs: the bytes of artifacts, each in a file named by its digest, immutable.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use stagewright_contract::{Artifact, Bytes, Digest, Kind};

use crate::hold::Hold;
use crate::{ReadError, Stamp, Store, StoreError};

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

impl Store {
    /// Stores an artifact's canonical bytes. A blob that is there already is replaced, which heals it if it was
    /// damaged. The bytes are on the disk when this returns.
    ///
    /// # Errors
    /// When the artifact has a column type that cannot be stored, or the disk refuses; nothing is left behind then.
    pub fn put(&self, artifact: &Artifact) -> Result<Blob, StoreError> {
        // Before the temporary file: with nobody holding, `gc` takes every temporary file for a leftover.
        let hold = self.hold()?;
        let folder = self.tmp_folder();
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o444))
            .tempfile_in(&folder)
            .map_err(StoreError::io("create a file in", &folder))?;

        let written = |source: io::Error| match source.kind() {
            io::ErrorKind::InvalidData => StoreError::Unstorable(source.to_string()),
            _ => StoreError::io("write to", &folder)(source),
        };
        let mut writer = BufWriter::with_capacity(1 << 18, Digesting::new(file.as_file()));
        artifact.encode(&mut writer).map_err(written)?;
        let digesting = writer.into_inner().map_err(|error| written(error.into_error()))?;
        let (digest, size) = (Digest::from(digesting.hasher.finalize()), digesting.size);
        file.as_file().sync_data().map_err(written)?;

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

    /// The blob of an artifact that is in the store already, where it is still as it was stored; `None` where one look
    /// does not tell, so that it is to be put again.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn again(&self, digest: Digest) -> Result<Option<Blob>, StoreError> {
        let hold = self.hold()?;
        let Ok(metadata) = fs::metadata(self.blob_path(digest)) else { return Ok(None) };
        let stamp = Stamp::of(&metadata);
        let known = self.blob_stamp(digest)?.filter(|known| *known == (metadata.len(), stamp));
        Ok(known.map(|(size, stamp)| Blob { digest, size, stamp, _hold: hold }))
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

/// Writes to a file and digests what passes.
struct Digesting<'a> {
    file: &'a File,
    hasher: blake3::Hasher,
    size: u64,
}

impl<'a> Digesting<'a> {
    fn new(file: &'a File) -> Self {
        Self { file, hasher: blake3::Hasher::new(), size: 0 }
    }
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        update(&mut self.hasher, bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
