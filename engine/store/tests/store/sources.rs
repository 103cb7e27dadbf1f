use std::fs;
use std::time::{Duration, SystemTime};

use super::*;

/// Remembered digests, and whether a lie in the index would be believed, which tells whether the file was read.
fn index(store: &Store) -> rusqlite::Connection {
    rusqlite::Connection::open(store.root().join("store.db")).unwrap()
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    let (folder, store) = store();
    let path = folder.path().join("users.csv");
    for text in [String::new(), "id,age\n1,20\n".to_owned(), "x".repeat(20 << 20)] {
        fs::write(&path, &text).unwrap();
        let found = store.source_digest(&path).unwrap();
        assert_eq!((found.digest, found.size), (Digest::of(text.as_bytes()), text.len() as u64));
        assert!(store.verify_source(&path, found).unwrap());
    }
}

#[test]
fn a_settled_file_is_read_once() {
    let (folder, store) = store();
    let path = folder.path().join("users.csv");
    fs::write(&path, "id\n1\n").unwrap();
    let rows = || index(&store).query_row("SELECT count(*) FROM sources", [], |row| row.get::<_, i64>(0)).unwrap();
    store.source_digest(&path).unwrap();
    assert_eq!(rows(), 0, "written a moment ago, it may change without a trace");
    std::thread::sleep(Duration::from_millis(2_100));
    let found = store.source_digest(&path).unwrap();
    assert_eq!(rows(), 1);

    index(&store).execute("UPDATE sources SET digest = ?", [key("a lie").as_bytes()]).unwrap();
    assert_eq!(store.source_digest(&path).unwrap().digest, key("a lie"), "not read again");
    // Any touch has it read again, also one that sets the modification time back.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "id\n2\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    let changed = store.source_digest(&path).unwrap();
    assert_eq!(changed.digest, Digest::of(b"id\n2\n"));
    assert_ne!(changed, found);
}

#[test]
fn a_change_is_noticed() {
    let (folder, store) = store();
    let path = folder.path().join("users.csv");
    fs::write(&path, "id\n1\n").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3_600);
    let keep_old = || fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    keep_old();
    let found = store.source_digest(&path).unwrap();
    assert!(store.verify_source(&path, found).unwrap());
    fs::write(&path, "id\n2\n").unwrap();
    keep_old();
    assert!(!store.verify_source(&path, found).unwrap());
    fs::write(&path, "id\n1\n").unwrap();
    assert!(store.verify_source(&path, found).unwrap(), "the same bytes are no change");
    fs::remove_file(&path).unwrap();
    assert!(!store.verify_source(&path, found).unwrap());
    let error = store.source_digest(&path).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read `{}`: ", path.display())), "{error}");
}

#[test]
fn a_file_that_keeps_changing_is_refused() {
    let (folder, store) = store();
    let path = folder.path().join("users.csv");
    fs::write(&path, vec![b'x'; 128 << 20]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"x").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        let found = store.source_digest(&path);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let text = format!("`{}` changes while it is being read", path.display());
        assert_eq!(found.unwrap_err().to_string(), text);
    });
}

#[test]
fn a_folder_is_no_source() {
    let (folder, store) = store();
    let error = store.source_digest(folder.path()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read `"), "{error}");
}
