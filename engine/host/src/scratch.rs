//! Scratch folders in the system's temporary folder, which outlive no process: one is locked while its process lives, and
//! whoever makes the next removes those that nobody holds.
//!
//! A process that ends removes its folders itself; one that is killed cannot. The system frees its locks, however it ended,
//! so that nobody has to guess from process ids or ages.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Once;

use tempfile::TempDir;

/// What the names of all scratch folders begin with.
const PREFIX: &str = "stagewright-scratch-";
/// How often another is tried where somebody took a new folder for one left behind.
const TRIES: usize = 8;

/// A folder for this user alone, removed with this.
#[derive(Debug)]
pub struct ScratchFolder {
    folder: TempDir,
    /// Locked; nothing where the file system has no locks, in which case nobody removes the folder either.
    _lock: Option<File>,
}

impl ScratchFolder {
    /// Makes one where the system keeps what is temporary (`TMPDIR`). The first of a process removes what processes left
    /// there that were killed.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn new() -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        let parent = std::env::temp_dir();
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(&parent)?;
            let Some(lock) = lock(folder.path())? else { continue };
            SWEPT.call_once(|| sweep(&parent, folder.path()));
            return Ok(Self { folder, _lock: lock });
        }
        Err(io::Error::other(format!("new folders in `{}` are removed at once", parent.display())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Locks a folder that was just made: `None` where somebody was quicker, and is removing it.
fn lock(folder: &Path) -> io::Result<Option<Option<File>>> {
    let file = match File::open(folder) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // It may have been removed between our opening and locking it.
        Ok(()) => Ok(is_at(&file, folder).then_some(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(_)) => Ok(Some(None)),
    }
}

/// Removes the folders of this user that no process holds. `own` says who this user is.
fn sweep(parent: &Path, own: &Path) {
    let Ok(user) = fs::metadata(own).map(|metadata| metadata.uid()) else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Not what a link leads to.
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user);
        let Some(file) = is_ours.then(|| File::open(&path).ok()).flatten() else { continue };
        if file.try_lock().is_ok() && is_at(&file, &path) {
            tracing::debug!(folder = %path.display(), "removing what a killed process left");
            // Best effort: the next process tries again.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Whether this opened folder is the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(opened), Ok(found)) => (opened.dev(), opened.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_removed_and_what_somebody_holds_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("file"), "text").unwrap();
            path
        };
        let held = make("stagewright-scratch-held");
        let left = make("stagewright-scratch-left");
        let other = make("stagewright-other");
        let link = parent.path().join("stagewright-scratch-link");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let file = parent.path().join("stagewright-scratch-file");
        fs::write(&file, "text").unwrap();
        let lock = lock(&held).unwrap();
        sweep(parent.path(), parent.path());
        assert!(!left.exists());
        for path in [&held.join("file"), &other.join("file"), &link, &file] {
            assert!(path.exists(), "{}", path.display());
        }
        drop(lock);
        sweep(parent.path(), parent.path());
        assert!(!held.exists());
    }

    #[test]
    fn a_folder_that_is_being_removed_is_nobodys() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("stagewright-scratch-a");
        fs::create_dir(&folder).unwrap();
        let remover = File::open(&folder).unwrap();
        remover.try_lock().unwrap();
        assert!(lock(&folder).unwrap().is_none());
        fs::remove_dir(&folder).unwrap();
        assert!(lock(&folder).unwrap().is_none());
    }

    #[test]
    fn a_scratch_folder_is_there_until_it_is_dropped() {
        use std::os::unix::fs::PermissionsExt;

        let scratch = ScratchFolder::new().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
