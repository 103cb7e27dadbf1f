use std::time::Duration;

use stagewright_store::{GcPolicy, RunEnd, RunStart, RunStatus};

use super::*;

/// Does everything that writes, over and over. Run by the test below.
#[test]
#[ignore = "a child process"]
fn work_until_killed() {
    let Some(argument) = argument() else { return };
    let (round, root) = argument.split_once(' ').unwrap();
    let store = Store::open(Path::new(root)).unwrap();
    for turn in 0.. {
        let start = RunStart {
            workflow: "shop".to_owned(),
            workflow_path: "shop.yaml".into(),
            args: Vec::new(),
            started: turn,
        };
        let run = store.begin_run(start).unwrap();
        for number in 0..10 {
            // Some keys are computed again with the bytes they had, so that blobs are replaced.
            let name = if number % 3 == 0 { format!("{number}") } else { format!("{round} {turn} {number}") };
            let claim = store.claim(key(&name)).unwrap().unwrap();
            let (small, large) = (metrics(&name, 0), metrics(&name, 1 << (10 + number)));
            let blobs = [store.put(&small).unwrap(), store.put(&large).unwrap()];
            let made = manifest(key(&name), &[("small", &small, &blobs[0]), ("large", &large, &blobs[1])]);
            store
                .publish(&[Made { manifest: &made, fields: &[("name".to_owned(), name.clone())], blobs: &blobs }])
                .unwrap();
            drop(claim);
            store.use_keys(run.id(), &[key(&name)]).unwrap();
        }
        store.finish_run(run, RunEnd::Succeeded, &()).unwrap();
        let policy = GcPolicy { keep_runs: 3, dry_run: false };
        store.gc(policy).unwrap();
    }
}

#[test]
fn kill_at_any_instant_leaves_a_correct_store() {
    let (_folder, store) = store();
    let root = store.root().to_owned();
    let mut published = 0;
    for round in 0..60_u64 {
        let argument = format!("{round} {}", root.display());
        let mut child = child("kill::work_until_killed", argument).spawn().unwrap();
        // Any instant: from before the store is open to the middle of the third turn or so.
        let wait = u64::from(key(round).as_bytes()[0]) + round;
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open(&root).unwrap();
        let report = store.verify(false).unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        published += report.manifests;
        assert!(store.runs(1_000).unwrap().iter().all(|run| run.status != RunStatus::Running));
        for number in (0..10).step_by(3) {
            let Lookup::Hit(found) = store.lookup(key(number)).unwrap() else { continue };
            for (port, size) in [("small", 0), ("large", 1 << (10 + number))] {
                let read = store.read(Kind::Metrics, found.outputs[port].digest).unwrap();
                assert_eq!(bytes(&read), bytes(&metrics(number, size)));
            }
            assert_eq!(store.key_fields(key(number)).unwrap().unwrap()[0].1, number.to_string());
        }
    }
    assert!(published > 100, "only {published}: the children are killed too early to mean anything");
    // What the killed left behind goes.
    let policy = GcPolicy { keep_runs: 3, dry_run: false };
    store.gc(policy).unwrap();
    assert_eq!(store.verify(false).unwrap().orphans, 0);
    assert_eq!(count(&root.join("tmp")), 0);
    assert_eq!(count(&root.join("claims")), 0);
}

/// Makes one store after another. Run by the test below.
#[test]
#[ignore = "a child process"]
fn make_stores() {
    let Some(argument) = argument() else { return };
    for number in 0.. {
        Store::open(&Path::new(&argument).join(number.to_string())).unwrap();
    }
}

#[test]
fn kill_while_a_store_is_made_leaves_one_that_opens() {
    let folder = TempDir::new().unwrap();
    for round in 0..20_u64 {
        let root = folder.path().join(round.to_string());
        let mut child = child("kill::make_stores", &root).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(key(round).as_bytes()[0]) / 4));
        child.kill().unwrap();
        child.wait().unwrap();
        for made in std::fs::read_dir(&root).into_iter().flatten() {
            let store = Store::open(&made.unwrap().path()).unwrap();
            publish(&store, key(round), &users());
            hit(&store, key(round));
        }
    }
}
