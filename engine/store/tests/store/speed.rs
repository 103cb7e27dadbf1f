use std::time::{Duration, Instant};

use serde_json::json;
use stagewright_store::{Event, RunStart};

use super::*;

/// The time that one of `count` calls takes, the best of five rounds.
fn time(count: usize, mut work: impl FnMut(usize)) -> Duration {
    let mut round = |round: usize| {
        let start = Instant::now();
        (0..count).for_each(|number| work(round * count + number));
        start.elapsed() / u32::try_from(count).unwrap()
    };
    (0..5).map(&mut round).min().unwrap()
}

/// `cargo test -p stagewright-store -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement"]
fn speed() {
    let (folder, store) = store();
    let artifact = users();
    publish(&store, key(0), &artifact);
    publish(&store, key("metrics"), &metrics("a", 0));
    println!("open           {:?}", time(20, |_| drop(Store::open(store.root()).unwrap())));
    println!("lookup table   {:?}", time(2_000, |_| drop(hit(&store, key(0)))));
    println!("lookup metrics {:?}", time(2_000, |_| drop(hit(&store, key("metrics")))));
    println!("lookup miss    {:?}", time(2_000, |_| assert_eq!(store.lookup(key("no")).unwrap(), Lookup::Miss)));
    let digest = store.put(&artifact).unwrap().digest;
    println!("read 1 KiB     {:?}", time(2_000, |_| drop(store.read(Kind::Table, digest).unwrap())));
    let small: Vec<_> = (0..250).map(|number| metrics(number, 4_000)).collect();
    println!("put 4 KiB      {:?}", time(50, |number| drop(store.put(&small[number]).unwrap())));
    let large = metrics("large", 64 << 20);
    println!("put 64 MiB     {:?}", time(1, |_| drop(store.put(&large).unwrap())));
    let digest = store.put(&large).unwrap().digest;
    println!("read 64 MiB    {:?}", time(1, |_| drop(store.read(Kind::Metrics, digest).unwrap())));
    let blob = store.put(&artifact).unwrap();
    println!(
        "publish        {:?}",
        time(50, |number| {
            store
                .publish(&[Made {
                    manifest: &manifest(key(number), &[("out", &artifact, &blob)]),
                    fields: &[],
                    blobs: std::slice::from_ref(&blob),
                }])
                .unwrap();
        })
    );
    println!("claim          {:?}", time(500, |number| drop(store.claim(key(number)).unwrap())));
    let start =
        RunStart { workflow: "shop".to_owned(), workflow_path: "shop.yaml".into(), args: Vec::new(), started: 0 };
    let run = store.begin_run(start).unwrap();
    println!(
        "event          {:?}",
        time(500, |number| {
            let event = Event {
                at: 0,
                kind: "executed".to_owned(),
                stage: "users".to_owned(),
                variant: "base".to_owned(),
                key: Some(key(number)),
                data: json!({ "seconds": 1.5 }),
            };
            store.event(run.id(), &event).unwrap();
        })
    );
    let path = folder.path().join("users.csv");
    std::fs::write(&path, vec![b'x'; 256 << 20]).unwrap();
    println!("source 256 MiB {:?}", time(1, |_| _ = store.source_digest(&path).unwrap()));
    std::thread::sleep(Duration::from_millis(2_100));
    store.source_digest(&path).unwrap();
    println!("source known   {:?}", time(500, |_| _ = store.source_digest(&path).unwrap()));
}
