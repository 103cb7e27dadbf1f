use std::fs;

use stagewright_store::{GcPolicy, RunEnd, RunStart, StoreError};

use super::*;

const ALL: GcPolicy = GcPolicy { keep_runs: 0, dry_run: false };

fn keep(keep_runs: usize) -> GcPolicy {
    GcPolicy { keep_runs, ..ALL }
}

/// A finished run that used these keys; the later, the larger `second`.
fn run(store: &Store, workflow: &str, second: i64, keys: &[Digest]) -> String {
    let run = store
        .begin_run(RunStart {
            workflow: workflow.to_owned(),
            workflow_path: format!("/work/{workflow}.yaml").into(),
            args: Vec::new(),
            started: second * 1_000,
        })
        .unwrap();
    store.use_keys(run.id(), keys).unwrap();
    let id = run.id().to_owned();
    store.finish_run(run, RunEnd::Succeeded, &()).unwrap();
    id
}

#[test]
fn what_recent_runs_used_stays() {
    let (_folder, store) = store();
    for number in 0..6 {
        publish(&store, key(number), &metrics(number, 100));
        store.record_fields(key(number), &[]).unwrap();
    }
    run(&store, "a", 1, &[key(0), key(1)]);
    run(&store, "a", 2, &[key(1), key(2)]);
    run(&store, "a", 3, &[key(2), key(3)]);
    run(&store, "b", 1, &[key(4)]);
    store.put(&metrics("orphan", 0)).unwrap();
    fs::write(store.root().join("tmp/leftover"), "12345").unwrap();
    fs::write(store.root().join("claims").join(key(9).hex()), "1").unwrap();

    let dry = store.gc(GcPolicy { dry_run: true, ..keep(2) }).unwrap();
    assert_eq!((dry.manifests, dry.kept_manifests, dry.blobs, dry.kept_blobs), (2, 4, 3, 4));
    assert_eq!(dry.temporary, 1);
    assert_eq!(store.usage().unwrap().blobs, 7);

    let before = store.usage().unwrap();
    assert_eq!(store.gc(keep(2)).unwrap(), dry);
    let after = store.usage().unwrap();
    assert_eq!(before.bytes - after.bytes + 5, dry.bytes);
    for number in 0..6 {
        let kept = (1..=4).contains(&number);
        assert_eq!(store.lookup(key(number)).unwrap() != Lookup::Miss, kept, "{number}");
        assert_eq!(store.key_fields(key(number)).unwrap().is_some(), kept, "{number}");
    }
    assert_eq!(count(&store.root().join("tmp")), 0);
    assert_eq!(count(&store.root().join("claims")), 0);
    assert_eq!(store.runs(10).unwrap().len(), 4, "the journal stays");
    let report = store.verify(false).unwrap();
    assert!(report.is_sound());
    assert_eq!(report.orphans, 0);

    assert_eq!(store.gc(keep(usize::MAX)).unwrap().manifests, 0);
    store.gc(ALL).unwrap();
    assert_eq!((store.usage().unwrap().blobs, store.usage().unwrap().manifests), (0, 0));
}

#[test]
fn blobs_shared_with_what_stays_stay() {
    let (_folder, store) = store();
    publish(&store, key(1), &metrics("same", 0));
    publish(&store, key(2), &metrics("same", 0));
    run(&store, "a", 1, &[key(2)]);
    let report = store.gc(keep(1)).unwrap();
    assert_eq!((report.manifests, report.blobs, report.kept_blobs), (1, 0, 1));
    hit(&store, key(2));
}

#[test]
fn nothing_is_removed_under_a_run_or_an_unpublished_blob() {
    let (_folder, store) = store();
    let other = Store::open(store.root()).unwrap();
    let artifact = metrics("a", 0);
    let blob = store.put(&artifact).unwrap();
    for store in [&store, &other] {
        let error = store.gc(ALL).unwrap_err();
        assert_eq!(error.to_string(), "the store is in use");
    }
    let made = manifest(key(1), &[("out", &artifact, &blob)]);
    store.publish(&[Made { manifest: &made, fields: &[], blobs: &[blob] }]).unwrap();
    hit(&other, key(1));

    let start = RunStart { workflow: "a".to_owned(), workflow_path: "a.yaml".into(), args: Vec::new(), started: 1_000 };
    let run = store.begin_run(start).unwrap();
    let error = other.gc(ALL).unwrap_err();
    assert!(matches!(&error, StoreError::InUse { runs } if runs.as_slice() == [run.id().to_owned()]));
    assert_eq!(error.to_string(), format!("the store is in use by run `{}`", run.id()));
    other.gc(GcPolicy { dry_run: true, ..ALL }).unwrap();
    store.use_keys(run.id(), &[key(1)]).unwrap();
    drop(run);
    assert_eq!(other.gc(keep(1)).unwrap().manifests, 0);
    assert_eq!(other.gc(ALL).unwrap().manifests, 1);
}

#[test]
fn a_claim_in_use_stays() {
    let (_folder, store) = store();
    let claim = store.claim(key(1)).unwrap().unwrap();
    store.gc(ALL).unwrap();
    assert!(store.claim(key(1)).unwrap().is_none());
    drop(claim);
    assert!(store.claim(key(1)).unwrap().is_some());
}

#[test]
fn usage_says_which_stage_types_take_it() {
    let (_folder, store) = store();
    let artifact = metrics("same", 0);
    let size = bytes(&artifact).len() as u64;
    for (number, stage_type) in [(1, "segment.kmeans"), (2, "segment.kmeans"), (3, "clean.filter")] {
        let blob = store.put(&artifact).unwrap();
        let mut made = manifest(key(number), &[("out", &artifact, &blob)]);
        made.stage_type = stage_type.to_owned();
        store.publish(&[Made { manifest: &made, fields: &[], blobs: &[blob] }]).unwrap();
    }
    let usage = store.usage().unwrap();
    assert_eq!((usage.blobs, usage.bytes, usage.manifests, usage.runs), (1, size, 3, 0));
    assert!(usage.index_bytes > 0);
    let types: Vec<_> =
        usage.stage_types.iter().map(|(name, u)| (name.as_str(), u.manifests, u.blobs, u.bytes)).collect();
    assert_eq!(types, [("clean.filter", 1, 1, size), ("segment.kmeans", 2, 1, size)]);
}

/// Stores and looks up until the folder `stop` is there. Run by the test below.
#[test]
#[ignore = "a child process"]
fn keep_storing() {
    let Some(root) = argument() else { return };
    let store = Store::open(Path::new(&root)).unwrap();
    let stop = Path::new(&root).join("stop");
    for number in 0.. {
        if stop.exists() {
            return;
        }
        let key = key(number % 50);
        publish(&store, key, &metrics(number % 10, 2_000));
        assert!(!matches!(store.lookup(key).unwrap(), Lookup::Damaged { .. }));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn gc_beside_processes_that_store_removes_nothing_that_is_named() {
    let (_folder, store) = store();
    let spawn = |_| child("gc::keep_storing", store.root()).spawn().unwrap();
    let mut children: Vec<_> = (0..2).map(spawn).collect();
    let (mut done, mut in_use) = (0, 0);
    for _ in 0..60 {
        match store.gc(ALL) {
            Ok(_) => done += 1,
            Err(StoreError::InUse { .. }) => in_use += 1,
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(store.verify(false).unwrap().is_sound());
    }
    fs::create_dir(store.root().join("stop")).unwrap();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert!(done > 0, "{in_use} times in use");
    assert!(store.verify(false).unwrap().is_sound());
}
