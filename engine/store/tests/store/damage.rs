use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use stagewright_store::{Prepared, ReadError, StoreError};

use super::*;

/// Makes a blob writable and hands it over.
fn open_blob(store: &Store, digest: Digest) -> (PathBuf, fs::File) {
    let path = store.blob_path(digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    (path, file)
}

fn flip_a_byte(store: &Store, digest: Digest) {
    let (path, file) = open_blob(store, digest);
    let bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    file.write_all_at(&[bytes[middle] ^ 1], middle as u64).unwrap();
}

fn digest(made: &Manifest) -> Digest {
    made.outputs["out"].digest
}

#[test]
fn a_flipped_byte_is_found_by_the_next_lookup() {
    let (_folder, store) = store();
    for artifact in [users(), metrics("large", 3 << 20)] {
        let made = publish(&store, key(1), &artifact);
        // Another key that gave the same blob is as damaged.
        publish(&store, key(2), &artifact);
        publish(&store, key(3), &metrics("other", 0));
        flip_a_byte(&store, digest(&made));
        let short = digest(&made).short();
        let expected = format!("output `out` of `make`: blob `{short}` does not have its digest");
        assert_eq!(damaged(&store, key(1)), expected);
        assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
        assert_eq!(store.lookup(key(2)).unwrap(), Lookup::Miss);
        hit(&store, key(3));
        // Computing it again heals it.
        publish(&store, key(1), &artifact);
        hit(&store, key(1));
        let read = store.read(artifact.kind(), digest(&made)).unwrap();
        assert_eq!(bytes(&read), bytes(&artifact));
    }
}

#[test]
fn what_is_passed_on_is_written_again_only_where_it_is_not_as_it_was_stored() {
    let (_folder, store) = store();
    let artifact = users();
    let made = publish(&store, key(1), &artifact);
    let inode = || fs::metadata(store.blob_path(digest(&made))).map(|file| file.ino()).ok();
    let pass_on = || {
        let prepared = Prepared::again(&artifact, &made.outputs["out"]);
        assert_eq!((prepared.digest, prepared.size), (digest(&made), made.outputs["out"].size));
        store.keep(store.write(&prepared).unwrap()).unwrap()
    };
    let before = inode();
    assert_eq!(pass_on().digest, digest(&made));
    assert_eq!(inode(), before);
    // Changed, gone: put it.
    flip_a_byte(&store, digest(&made));
    pass_on();
    assert_eq!(bytes(&store.read(artifact.kind(), digest(&made)).unwrap()), bytes(&artifact));
    fs::remove_file(store.blob_path(digest(&made))).unwrap();
    pass_on();
    assert_eq!(bytes(&store.read(artifact.kind(), digest(&made)).unwrap()), bytes(&artifact));
}

#[test]
fn a_batch_is_published_whole_or_not_at_all() {
    let (_folder, store) = store();
    let artifacts = [metrics("a", 0), metrics("b", 0)];
    let blobs = artifacts.each_ref().map(|artifact| store.put(artifact).unwrap());
    let made: Vec<Manifest> = [0, 1].map(|at| manifest(key(at), &[("out", &artifacts[at], &blobs[at])])).into();
    let batch = |second: &[Blob]| {
        store.publish(&[
            Made { manifest: &made[0], fields: &[], blobs: &blobs[..1] },
            Made { manifest: &made[1], fields: &[], blobs: second },
        ])
    };
    assert!(batch(&[]).is_err());
    assert_eq!(store.lookup(key(0)).unwrap(), Lookup::Miss);
    batch(&blobs[1..]).unwrap();
    assert_eq!((hit(&store, key(0)), hit(&store, key(1))), (made[0].clone(), made[1].clone()));
}

#[test]
fn a_flipped_byte_is_found_by_a_read() {
    let (_folder, store) = store();
    let made = publish(&store, key(1), &users());
    flip_a_byte(&store, digest(&made));
    let error = store.read(Kind::Table, digest(&made)).unwrap_err();
    let ReadError::Damaged { digest: which, what } = &error else { panic!("{error}") };
    assert_eq!((*which, what.as_str()), (digest(&made), "does not have its digest"));
    assert_eq!(error.to_string(), format!("artifact `{}` does not have its digest", digest(&made).short()));
    damaged(&store, key(1));
}

#[test]
fn a_disk_that_lies_is_found_by_a_read() {
    let (_folder, store) = store();
    let made = publish(&store, key(1), &users());
    flip_a_byte(&store, digest(&made));
    // The damage leaves no trace in the file's times: pretend that we have seen them.
    let metadata = fs::metadata(store.blob_path(digest(&made))).unwrap();
    let index = rusqlite::Connection::open(store.root().join("store.db")).unwrap();
    use std::os::unix::fs::MetadataExt;
    let nanos = |seconds: i64, nanos: i64| seconds * 1_000_000_000 + nanos;
    let times = (nanos(metadata.mtime(), metadata.mtime_nsec()), nanos(metadata.ctime(), metadata.ctime_nsec()));
    assert_eq!(index.execute("UPDATE blobs SET mtime = ?, ctime = ?", times).unwrap(), 1);
    hit(&store, key(1));
    assert!(matches!(store.read(Kind::Table, digest(&made)), Err(ReadError::Damaged { .. })));
    assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
}

#[test]
fn a_truncated_blob_is_found() {
    let (_folder, store) = store();
    for length in [10, 0] {
        let made = publish(&store, key(1), &users());
        let size = made.outputs["out"].size;
        open_blob(&store, digest(&made)).1.set_len(length).unwrap();
        assert!(matches!(store.read(Kind::Table, digest(&made)), Err(ReadError::Damaged { .. })));
        let short = digest(&made).short();
        let expected = format!("output `out` of `make`: blob `{short}` has {length} bytes instead of {size}");
        assert_eq!(damaged(&store, key(1)), expected);
    }
}

#[test]
fn a_missing_blob_is_found() {
    let (_folder, store) = store();
    let made = publish(&store, key(1), &users());
    fs::remove_file(store.blob_path(digest(&made))).unwrap();
    let error = store.read(Kind::Table, digest(&made)).unwrap_err();
    assert_eq!(error.to_string(), format!("artifact `{}` is missing", digest(&made).short()));
    assert!(damaged(&store, key(1)).ends_with(" is missing"));
    assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
    fs::remove_dir_all(store.root().join("blobs")).unwrap();
    publish(&store, key(1), &users());
    hit(&store, key(1));
}

#[test]
fn a_blob_of_another_kind_is_no_crash() {
    let (_folder, store) = store();
    let table = store.put(&users()).unwrap();
    let numbers = store.put(&metrics("a", 0)).unwrap();
    for (kind, blob) in [(Kind::Metrics, table), (Kind::Table, numbers)] {
        assert!(matches!(store.read(kind, blob.digest), Err(ReadError::Damaged { .. })));
    }
}

#[test]
fn a_copied_store_hits() {
    let (folder, store) = store();
    let made = publish(&store, key(1), &users());
    drop(store);
    let copy = folder.path().join("copy");
    assert!(Command::new("cp").arg("-r").arg(folder.path().join("store")).arg(&copy).status().unwrap().success());
    let copy = Store::open(&copy).unwrap();
    let inode = |store: &Store| {
        let index = rusqlite::Connection::open(store.root().join("store.db")).unwrap();
        index.query_row("SELECT inode FROM blobs", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = inode(&copy);
    assert_eq!(hit(&copy, key(1)), made);
    assert_ne!(inode(&copy), before, "the new stamp is recorded");
    assert_eq!(hit(&copy, key(1)), made);
    // And in a copy, damage is found too.
    flip_a_byte(&copy, digest(&made));
    damaged(&copy, key(1));
}

#[test]
fn a_garbage_index_is_an_error_that_helps() {
    let (folder, store) = store();
    publish(&store, key(1), &users());
    drop(store);
    let root = folder.path().join("store");
    let path = root.join("store.db");
    fs::write(&path, "garbage ".repeat(10_000)).unwrap();
    let error = Store::open(&root).err().unwrap();
    let text = format!("the index of the store, `{}`, cannot be used: it is not a database", path.display());
    assert_eq!(error.to_string(), text);
    let help = error.help().unwrap();
    assert!(help.starts_with(&format!("move `{0}`, `{0}-wal` and `{0}-shm` away: ", path.display())), "{help}");
    // The help helps.
    fs::remove_file(&path).unwrap();
    let store = Store::open(&root).unwrap();
    assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
    publish(&store, key(1), &users());
    hit(&store, key(1));
}

#[test]
fn an_index_damaged_within_is_no_crash() {
    let (folder, store) = store();
    for number in 0..300 {
        store.publish(&[Made { manifest: &manifest(key(number), &[]), fields: &[], blobs: &[] }]).unwrap();
    }
    drop(store);
    let root = folder.path().join("store");
    let path = root.join("store.db");
    let size = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0xa5; (size - 4096) as usize], 4096).unwrap();
    let broken = |error: StoreError| assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    match Store::open(&root) {
        Err(error) => broken(error),
        Ok(store) => {
            broken(store.lookup(key(1)).unwrap_err());
            broken(store.publish(&[Made { manifest: &manifest(key(1), &[]), fields: &[], blobs: &[] }]).unwrap_err());
            match store.verify(false) {
                Err(error) => broken(error),
                Ok(report) => assert!(!report.index.is_empty()),
            }
        }
    }
}

#[test]
fn rows_that_we_did_not_write_are_an_error() {
    let (_folder, store) = store();
    publish(&store, key(1), &users());
    let index = rusqlite::Connection::open(store.root().join("store.db")).unwrap();
    for change in ["kind = 'picture'", "schema = '{'", "digest = x'00'"] {
        index.execute(&format!("UPDATE outputs SET {change}"), []).unwrap();
        let error = store.lookup(key(1)).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{change}: {error}");
        publish(&store, key(1), &users());
    }
}

/// As a user who may not write to the store. Run by the test below.
#[test]
#[ignore = "a child process"]
fn open_read_only() {
    let Some(root) = argument() else { return };
    let error = match Store::open(Path::new(&root)) {
        Err(error) => error,
        Ok(store) => store.put(&users()).unwrap_err(),
    };
    assert_eq!(
        error.help().as_deref(),
        Some("make the folder of the store writable, or choose another folder for it"),
        "{error}"
    );
}

#[test]
fn a_read_only_folder_is_an_error_that_helps() {
    let (folder, store) = store();
    publish(&store, key(1), &users());
    drop(store);
    let root = folder.path().join("store");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Root may write anywhere, so the child is nobody; with a copy of this program, which nobody may not reach.
    let program = folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let check = |root: &Path, mode: u32| {
        fs::set_permissions(root, fs::Permissions::from_mode(mode)).unwrap();
        let child = child("damage::open_read_only", root);
        let mut command = Command::new(&program);
        command.args(child.get_args()).env(CHILD, root).current_dir("/");
        use std::os::unix::fs::MetadataExt;
        if fs::metadata(root).unwrap().uid() == 0 {
            command.uid(65_534).gid(65_534);
        }
        assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{}", root.display());
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    };
    check(&empty, 0o555);
    check(&root, 0o555);
    fs::set_permissions(root.join("store.db"), fs::Permissions::from_mode(0o666)).unwrap();
    check(&root, 0o555);
    for folder in ["blobs", "claims"] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o555)).unwrap();
    check(&root, 0o777);
}

/// Under a limit on the size of files. Run by the test below.
#[test]
#[ignore = "a child process"]
fn put_too_much() {
    let Some(root) = argument() else { return };
    let store = Store::open(Path::new(&root)).unwrap();
    let error = store.put(&metrics("large", 8 << 20)).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write to `{root}/tmp`: File too large (os error 27)"));
    assert_eq!(error.help().as_deref(), Some("free some space: `stagewright gc` removes what no recent run used"));
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_behind() {
    let (_folder, store) = store();
    let child = child("damage::put_too_much", store.root());
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\"", "sh"]).arg(child.get_program());
    shell.args(child.get_args()).env(CHILD, store.root()).stdout(Stdio::null());
    assert!(shell.status().unwrap().success());
    assert_eq!(count(&store.root().join("tmp")), 0);
    assert_eq!(count(&store.root().join("blobs")), 0);
}

#[test]
fn verify_names_what_is_damaged_and_repairs_it() {
    let (_folder, store) = store();
    let flipped = publish(&store, key(1), &users());
    let missing = publish(&store, key(2), &metrics("missing", 0));
    let short = publish(&store, key(3), &metrics("short", 0));
    publish(&store, key(4), &metrics("sound", 0));
    store.put(&metrics("orphan", 0)).unwrap();
    let report = store.verify(false).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.manifests, report.blobs, report.orphans), (4, 4, 1));

    flip_a_byte(&store, digest(&flipped));
    fs::remove_file(store.blob_path(digest(&missing))).unwrap();
    open_blob(&store, digest(&short)).1.set_len(1).unwrap();
    let report = store.verify(false).unwrap();
    assert!(!report.is_sound() && !report.repaired);
    let mut found: Vec<_> = report.damaged.iter().map(|damage| (damage.key, damage.what.as_str())).collect();
    let size = format!("has 1 bytes instead of {}", short.outputs["out"].size);
    let mut expected = vec![(key(1), "does not have its digest"), (key(2), "is missing"), (key(3), size.as_str())];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let damage = &report.damaged[0];
    assert_eq!((damage.workflow.as_str(), damage.stage.as_str(), damage.port.as_str()), ("shop", "make", "out"));

    assert!(store.verify(true).unwrap().repaired);
    assert!(store.verify(false).unwrap().is_sound());
    for number in 1..=3 {
        assert_eq!(store.lookup(key(number)).unwrap(), Lookup::Miss);
    }
    hit(&store, key(4));
}
