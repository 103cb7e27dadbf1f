//! Several processes over one store, and processes that are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::space::{Output, Summary, TestSpace, signal};

/// The main job in small: every crate of stages, several ports, two variants.
const JOB: &str = "\
workflow: job
params: { users: 40, k: 2 }
stages:
  shop: { uses: ingest.synthetic, with: { users: '${params.users}', products: 30 } }
  lines: { uses: clean.join, inputs: { left: shop.order_items, right: shop.orders }, with: { on: [order_id] } }
  customers: { uses: features.user, inputs: { table: lines }, with: { carry: [] } }
  segments:
    uses: segment.kmeans
    inputs: { table: customers }
    with: { columns: [total_user_spent, order_frequency], k: '${params.k}', k_max: 1 }
  profile: { uses: segment.profile, inputs: { table: segments.table }, with: { columns: [total_user_spent] } }
  split: { uses: features.split, inputs: { table: lines }, with: { method: last_order, order: order_id, time: created_at } }
  recommend: { uses: recommend.popular, inputs: { purchases: split.train }, with: { n: 5 } }
  scores: { uses: evaluate.ranking, inputs: { recommendations: recommend, test: split.test }, with: { k: [5] } }
variants:
  personal: { stages: { recommend: { uses: recommend.frequency } } }
compare: { metrics: [scores.ndcg@5] }
";

/// Stages of the job that are not shared.
const STAGES: usize = 10;

#[test]
fn four_runs_at_once_execute_every_stage_once() {
    let space = TestSpace::with(JOB);
    let children: Vec<_> = (0..4).map(|_| space.spawn("run --json")).collect();
    let mut digests = BTreeSet::new();
    for child in children {
        let output = Output::wait(child, Path::new("/nowhere"));
        assert_eq!(output.code, Some(0), "{output}");
        digests.insert(Summary::of(&serde_json::from_str(&output.stdout).unwrap()).digests());
    }
    assert_eq!(digests.len(), 1, "all runs have the same outputs");
    let executions = space.executions();
    assert_eq!(executions.len(), STAGES);
    assert!(executions.values().all(|&count| count == 1), "{executions:?}");
    space.assert_sound();
}

#[test]
fn waiting_for_another_run_is_said_once() {
    let space = TestSpace::with(
        "workflow: slow\nstages: { shop: { uses: ingest.synthetic, with: { users: 6000, products: 50 } } }\n",
    );
    let children = [space.spawn("run"), space.spawn("run")];
    let outputs = children.map(|child| Output::wait(child, Path::new("/nowhere")));
    let waited: usize = outputs.iter().map(|output| output.stderr.matches("  waiting  ").count()).sum();
    assert!(waited <= 1, "{}\n{}", outputs[0], outputs[1]);
    assert_eq!(space.executions().values().sum::<u32>(), 1);
}

/// Numbers that are the same in every run of this test.
struct Random(u64);

impl Random {
    /// The next number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The manifests in the store: each key, and when it was made.
fn manifests(space: &TestSpace) -> BTreeMap<Vec<u8>, i64> {
    if !space.path(".stagewright/store.db").exists() {
        return BTreeMap::new();
    }
    let index = space.index();
    let mut query = index.prepare("SELECT key, created FROM manifests").unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Runs the job, kills it after a while, and runs it to its end. Says whether it was killed before it had ended.
fn kill_and_run_again(delay: Duration, expected: &BTreeMap<String, String>) -> bool {
    let space = TestSpace::with(JOB);
    let mut child = space.command(&["run", "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(delay);
    let cut_short = child.try_wait().unwrap().is_none();
    if cut_short {
        signal("KILL", &child);
    }
    child.wait().unwrap();
    let before = manifests(&space);

    let summary = space.summary("");
    assert_eq!(&summary.digests(), expected, "killed after {delay:?}");
    let after = manifests(&space);
    assert_eq!(after.len(), STAGES);
    for (key, created) in &before {
        assert_eq!(after.get(key), Some(created), "killed after {delay:?}: a finished stage was repeated");
    }
    assert_eq!(summary.executed().len(), STAGES - before.len(), "killed after {delay:?}");
    assert!(space.executions().values().all(|&count| count == 1), "killed after {delay:?}");
    space.assert_sound();
    cut_short
}

#[test]
fn killing_a_run_at_any_moment_loses_nothing_that_was_finished() {
    let undisturbed = TestSpace::with(JOB);
    let began = Instant::now();
    let expected = undisturbed.summary("").digests();
    let takes = began.elapsed();

    // A hundred moments, each at random within its own hundredth of a run, on two threads.
    thread::scope(|scope| {
        for half in 0..2_u32 {
            let expected = &expected;
            scope.spawn(move || {
                let mut random = Random(20_261_123 + u64::from(half));
                let mut takes = takes;
                for part in (half..100).step_by(2) {
                    let moment = (f64::from(part) + random.next()) / 100.0;
                    // A machine that has become faster since has to be killed earlier.
                    while !kill_and_run_again(takes.mul_f64(moment), expected) {
                        takes = takes.mul_f64(0.9);
                    }
                }
            });
        }
    });
}
