use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use super::*;

const KEYS: usize = 200;

/// Computes every key that nobody else computes, as the engine does, and notes which. Run by the test below.
#[test]
#[ignore = "a child process"]
fn compute_all() {
    let Some(root) = argument() else { return };
    let log = Path::new(&root).with_extension("log");
    let store = Store::open(Path::new(&root)).unwrap();
    let work = || {
        for number in 0..KEYS {
            loop {
                if store.lookup(key(number)).unwrap() != Lookup::Miss {
                    break;
                }
                let Some(_claim) = store.claim(key(number)).unwrap() else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                // It may have been published between our look and our claim.
                if store.lookup(key(number)).unwrap() == Lookup::Miss {
                    let mut log = OpenOptions::new().create(true).append(true).open(&log).unwrap();
                    writeln!(log, "{number}").unwrap();
                    publish(&store, key(number), &metrics(number, 1_000));
                }
                break;
            }
            let found = hit(&store, key(number));
            let read = store.read(Kind::Metrics, found.outputs["out"].digest).unwrap();
            assert_eq!(bytes(&read), bytes(&metrics(number, 1_000)));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

#[test]
fn many_processes_compute_each_key_once() {
    let folder = TempDir::new().unwrap();
    // They make the store at the same time, too.
    let root = folder.path().join("store");
    let mut children: Vec<_> = (0..4).map(|_| child("many::compute_all", &root).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let log = fs::read_to_string(root.with_extension("log")).unwrap();
    assert_eq!(log.lines().count(), KEYS);
    assert_eq!(log.lines().collect::<BTreeSet<_>>().len(), KEYS);
    let store = Store::open(&root).unwrap();
    let report = store.verify(false).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.manifests, report.orphans), (KEYS as u64, 0));
    assert_eq!(count(&root.join("claims")), 0);
}

#[test]
fn a_store_is_made_once() {
    for _ in 0..20 {
        let folder = TempDir::new().unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let root = folder.path().join("store");
                scope.spawn(move || publish(&Store::open(&root).unwrap(), key(number), &users()));
            }
        });
        let store = Store::open(&folder.path().join("store")).unwrap();
        (0..4).for_each(|number| drop(hit(&store, key(number))));
    }
}

#[test]
fn threads_share_a_store() {
    fn shared<T: Send + Sync>(_: &T) {}
    let (_folder, store) = store();
    shared(&store);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..25 {
                    publish(store, key(thread * 100 + number), &metrics(number, 0));
                    hit(store, key(thread * 100 + number));
                }
            });
        }
    });
    assert_eq!(store.verify(false).unwrap().manifests, 100);
}
