use stagewright_contract::Ledger;
use stagewright_store::{Lookup, Made, RunStart, StoreError, now};

use crate::{key, manifest, metrics, store, users};

#[test]
fn an_artifact_goes_with_the_execution_that_gave_it_and_with_the_ledger_entries_of_the_person() {
    let (_folder, store) = store();
    let (users, other, beside) = (users(), metrics("other", 10), metrics("beside", 10));
    let blobs = [&users, &other, &beside].map(|artifact| store.put(artifact).unwrap());
    let held = manifest(key(1), &[("table", &users, &blobs[0]), ("metrics", &beside, &blobs[2])]);
    let kept = manifest(key(2), &[("out", &other, &blobs[1])]);
    store.publish(&[Made { manifest: &held, fields: &[], blobs: &blobs }]).unwrap();
    store.publish(&[Made { manifest: &kept, fields: &[], blobs: &blobs }]).unwrap();
    let digests = blobs.each_ref().map(|blob| blob.digest);
    drop(blobs); // Whoever has one holds on to the store.
    Ledger::put(&store, key("m1"), &["17"], b"dear 17").unwrap();
    Ledger::put(&store, key("m2"), &["18"], b"dear 18").unwrap();

    let stored = store.about_persons().unwrap();
    assert_eq!(stored.len(), 1);
    assert!(stored[0].outputs.contains("shop/make.table"), "{stored:?}");
    let report = store.erase(&[stored[0].digest], "17").unwrap();
    assert_eq!((report.executions, report.artifacts, report.ledger_entries), (1, 2, 1));
    assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
    assert!(!store.blob_path(digests[0]).exists() && !store.blob_path(digests[2]).exists());
    assert!(matches!(store.lookup(key(2)).unwrap(), Lookup::Hit(_)));
    assert_eq!(Ledger::get(&store, key("m1")).unwrap(), None);
    assert!(Ledger::get(&store, key("m2")).unwrap().is_some());
    // Nothing of the text is left in the files of the index.
    for name in ["store.db", "store.db-wal"] {
        let bytes = std::fs::read(store.root().join(name)).unwrap_or_default();
        assert!(!bytes.windows(7).any(|window| window == b"dear 17"), "{name}");
    }
}

#[test]
fn nothing_is_erased_while_a_run_is_in_progress() {
    let (folder, store) = store();
    let start = RunStart {
        workflow: "w".to_owned(),
        workflow_path: folder.path().join("w.yaml"),
        args: Vec::new(),
        started: now(),
    };
    let _run = store.begin_run(start).unwrap();
    assert!(matches!(store.erase(&[], "17"), Err(StoreError::InUse { .. })));
}
