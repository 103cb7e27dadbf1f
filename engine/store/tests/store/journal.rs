use serde_json::json;
use stagewright_store::{Event, RunEnd, RunStart, RunStatus, StoreError};

use super::*;

fn start(workflow: &str, started: i64) -> RunStart {
    RunStart {
        workflow: workflow.to_owned(),
        workflow_path: format!("/work/{workflow}.yaml").into(),
        args: vec!["run".to_owned(), format!("{workflow}.yaml")],
        started,
    }
}

fn event(kind: &str, stage: &str, key: Option<Digest>) -> Event {
    Event {
        at: 1_795_447_812_345,
        kind: kind.to_owned(),
        stage: stage.to_owned(),
        variant: "base".to_owned(),
        key,
        data: json!({ "seconds": 1.5 }),
    }
}

#[test]
fn a_run_is_written_down_as_it_happens() {
    let (_folder, store) = store();
    let other = Store::open(store.root()).unwrap();
    let run = store.begin_run(start("shop", 1_795_447_812_345)).unwrap();
    let id = run.id().to_owned();
    assert!(id.starts_with("20261123-153012-"), "{id}");
    let events = [event("executed", "users", Some(key(1))), event("failed", "segments", None)];
    for (number, event) in events.iter().enumerate() {
        store.event(&id, event).unwrap();
        assert_eq!(other.events(&id).unwrap(), &events[..=number]);
    }
    let info = other.run(&id).unwrap();
    assert_eq!((info.status, info.finished), (RunStatus::Running, None));
    assert_eq!(info.start, start("shop", 1_795_447_812_345));
    assert_eq!(other.record(&id).unwrap(), None);

    store.finish_run(run, RunEnd::Failed, &json!({ "stages": 2 })).unwrap();
    let info = other.run(&id).unwrap();
    assert_eq!(info.status, RunStatus::Failed);
    assert!(info.finished.is_some());
    assert_eq!(other.record(&id).unwrap(), Some(json!({ "stages": 2 })));
    assert_eq!(count(&store.root().join("claims")), 0);
    // What a run is on the outside: flat JSON.
    let shown = serde_json::to_value(&info).unwrap();
    assert_eq!((&shown["workflow"], &shown["status"]), (&json!("shop"), &json!("failed")));
}

#[test]
fn every_end_is_told() {
    let (_folder, store) = store();
    for (second, end, status) in [
        (1, RunEnd::Succeeded, RunStatus::Succeeded),
        (2, RunEnd::Failed, RunStatus::Failed),
        (3, RunEnd::Interrupted, RunStatus::Interrupted),
    ] {
        let run = store.begin_run(start("shop", second * 1_000)).unwrap();
        store.finish_run(run, end, &()).unwrap();
        assert_eq!(store.runs(1).unwrap()[0].status, status);
    }
    drop(store.begin_run(start("shop", 4_000)).unwrap());
    assert_eq!(store.runs(1).unwrap()[0].status, RunStatus::Killed);
}

/// Begins a run and waits to be killed. Run by the test below.
#[test]
#[ignore = "a child process"]
fn begin_and_wait() {
    let Some(root) = argument() else { return };
    let store = Store::open(Path::new(&root)).unwrap();
    let run = store.begin_run(start("shop", 1_000)).unwrap();
    store.event(run.id(), &event("executed", "users", Some(key(1)))).unwrap();
    let _claim = store.claim(key(1)).unwrap().unwrap();
    std::fs::write(Path::new(&root).join("ready"), "").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_killed_run_is_told_from_a_running_one() {
    let (_folder, store) = store();
    let mut child = child("journal::begin_and_wait", store.root()).spawn().unwrap();
    while !store.root().join("ready").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let info = store.runs(1).unwrap().remove(0);
    assert_eq!(info.status, RunStatus::Running);
    assert!(store.claim(key(1)).unwrap().is_none());
    assert_eq!(store.claim_holder(key(1)), Some(child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.run(&info.id).unwrap().status, RunStatus::Killed);
    assert_eq!(store.events(&info.id).unwrap(), [event("executed", "users", Some(key(1)))]);
    assert!(store.claim(key(1)).unwrap().is_some(), "a dead process holds no claim");
}

#[test]
fn runs_are_found_by_part_of_their_id() {
    let (_folder, store) = store();
    let begin = |workflow, started| {
        let run = store.begin_run(start(workflow, started)).unwrap();
        let id = run.id().to_owned();
        store.finish_run(run, RunEnd::Succeeded, &()).unwrap();
        id
    };
    // 2001-09-09 01:46:40 and 01:46:41, 2033-05-18 03:33:20.
    let ids = [begin("a", 1_000_000_000_000), begin("b", 1_000_000_001_000), begin("a", 2_000_000_000_000)];
    let listed: Vec<_> = store.runs(10).unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(listed, [&*ids[2], &*ids[1], &*ids[0]]);
    assert_eq!(store.runs(1).unwrap().len(), 1);
    assert_eq!(store.run("2033").unwrap().id, ids[2]);
    assert_eq!(store.run("20010909-014640").unwrap().id, ids[0]);
    assert_eq!(store.run(&ids[1]).unwrap().id, ids[1]);

    let error = store.run("2001").unwrap_err();
    let text = format!("`2001` could be any of the runs `{}`, `{}`", ids[1], ids[0]);
    assert_eq!(error.to_string(), text);
    let error = store.run("1999").unwrap_err();
    assert_eq!(error.to_string(), "no run `1999`");
    assert!(matches!(store.run("%"), Err(StoreError::UnknownRun(_))));
    assert!(matches!(store.run(""), Err(StoreError::AmbiguousRun { .. })));

    let last = |workflow: &str, before| {
        let path = format!("/work/{workflow}.yaml");
        store.last_run(Path::new(&path), before).unwrap().map(|run| run.id)
    };
    assert_eq!(last("a", None).as_ref(), Some(&ids[2]));
    assert_eq!(last("a", Some(ids[2].as_str())).as_ref(), Some(&ids[0]));
    assert_eq!(last("a", Some(ids[0].as_str())), None);
    assert_eq!(last("c", None), None);
}

#[test]
fn runs_that_begin_at_once_have_ids_of_their_own() {
    let (_folder, store) = store();
    let runs: Vec<_> = (0..300).map(|_| store.begin_run(start("shop", 1_000)).unwrap()).collect();
    let ids: std::collections::BTreeSet<_> = runs.iter().map(|run| run.id().to_owned()).collect();
    assert_eq!(ids.len(), 300);
    assert!(store.runs(1_000).unwrap().iter().all(|run| run.status == RunStatus::Running));
}

#[test]
fn a_run_that_found_nothing_changed_shares_the_record_and_the_keys_of_the_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let start = RunStart { workflow: "w".into(), workflow_path: "/w.yaml".into(), args: vec![], started: 1_000 };
    let first = store.begin_run(start.clone()).unwrap();
    let earlier = first.id().to_owned();
    store.finish_run(first, RunEnd::Succeeded, &serde_json::json!({ "stages": 3 })).unwrap();

    let later = RunStart { started: 2_000, ..start };
    let id = store.unchanged_run(&later, &earlier).unwrap().unwrap();
    let run = store.run(&id).unwrap();
    assert_eq!((run.status, run.same_as.as_deref()), (RunStatus::Succeeded, Some(earlier.as_str())));
    assert_eq!(store.record(&id).unwrap(), Some(serde_json::json!({ "stages": 3 })));
    // A journal that does not know the earlier run vouches for nothing.
    assert_eq!(store.unchanged_run(&later, "20000101-000000-0000").unwrap(), None);
}
