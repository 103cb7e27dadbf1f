use rusqlite::Connection;
use stagewright_contract::Ledger;
use stagewright_store::Store;

use crate::{key, store};

#[test]
fn what_was_put_is_there_and_outlives_the_store() {
    let (folder, store) = store();
    assert_eq!(store.get(key("a")).unwrap(), None);
    Ledger::put(&store, key("a"), &["17"], b"dear customer").unwrap();
    Ledger::put(&store, key("b"), &[], b"").unwrap();
    Ledger::put(&store, key("a"), &["17", "18"], b"dear customer, again").unwrap();
    drop(store);
    let store = Store::open(&folder.path().join("store")).unwrap();
    assert_eq!(store.get(key("a")).unwrap().unwrap(), b"dear customer, again");
    assert_eq!(store.get(key("b")).unwrap().unwrap(), b"");
    assert_eq!((store.ledger_entries_about("17").unwrap(), store.ledger_entries_about("19").unwrap()), (1, 0));
}

#[test]
fn a_store_of_format_1_gains_a_ledger() {
    let (folder, store) = store();
    drop(store);
    let root = folder.path().join("store");
    let index = Connection::open(root.join("store.db")).unwrap();
    index.execute_batch("DROP TABLE ledger; DROP TABLE ledger_subjects; PRAGMA user_version = 1").unwrap();
    drop(index);
    let store = Store::open(&root).unwrap();
    Ledger::put(&store, key("a"), &["17"], b"text").unwrap();
    assert_eq!(store.get(key("a")).unwrap().unwrap(), b"text");
}
