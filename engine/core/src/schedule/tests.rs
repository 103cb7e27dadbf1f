use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use stagewright_contract::Kind;

use super::*;
use crate::plan::{PlanNode, PlannedInput, PlannedVariant};

/// What a node of a test has: whom it is connected to, cores, memory, and whether it is enabled.
#[derive(Clone, Debug)]
struct Work {
    inputs: Vec<NodeId>,
    cpus: u32,
    memory: u64,
    enabled: bool,
}

fn plan(work: &[Work]) -> Plan {
    let template =
        crate::testing::plan("workflow: w\nstages: { a: { uses: fake.read, with: { path: a } } }").nodes.remove(0);
    let nodes = work
        .iter()
        .enumerate()
        .map(|(id, work)| PlanNode {
            stage: format!("s{id}"),
            inputs: work
                .inputs
                .iter()
                .enumerate()
                .map(|(port, &node)| PlannedInput {
                    port: format!("p{port}"),
                    node,
                    from: "table".to_owned(),
                    kind: Kind::Table,
                })
                .collect(),
            resources: Resources { cpus: work.cpus, memory: work.memory },
            enabled: work.enabled,
            configured: Arc::clone(&template.configured),
            ..template.clone()
        })
        .collect();
    Plan { workflow: "w".to_owned(), description: None, variants: Vec::<PlannedVariant>::new(), nodes, compare: None }
}

fn simple(inputs: &[&[NodeId]]) -> Plan {
    let work: Vec<Work> =
        inputs.iter().map(|inputs| Work { inputs: inputs.to_vec(), cpus: 1, memory: 0, enabled: true }).collect();
    plan(&work)
}

fn schedule(plan: &Plan, cpus: u32) -> Schedule {
    Schedule::new(plan, Resources { cpus, memory: 0 })
}

/// Begins everything that is ready and for which there is room.
fn start(schedule: &mut Schedule) -> Vec<NodeId> {
    while let Some(id) = schedule.next_ready() {
        schedule.queue(id);
    }
    std::iter::from_fn(|| schedule.next_executable()).collect()
}

fn states(schedule: &Schedule) -> Vec<StageState> {
    (0..schedule.states.len()).map(|id| schedule.state(id)).collect()
}

use StageState::{Aside, Done, Executing, Failed, Queued, Ready, Skipped, Waiting};

#[test]
fn a_diamond_executes_in_order() {
    let plan = simple(&[&[], &[0], &[0], &[1, 2]]);
    let mut schedule = schedule(&plan, 4);
    assert_eq!(states(&schedule), [Ready, Waiting(1), Waiting(1), Waiting(2)]);
    assert_eq!(start(&mut schedule), [0]);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [1, 2]);
    schedule.done(2);
    assert_eq!(states(&schedule), [Done, Executing, Done, Waiting(1)]);
    schedule.done(1);
    assert_eq!(start(&mut schedule), [3]);
    assert!(!schedule.is_finished());
    schedule.done(3);
    assert!(schedule.is_finished());
}

#[test]
fn a_hit_never_executes() {
    let plan = simple(&[&[], &[0]]);
    let mut schedule = schedule(&plan, 1);
    assert_eq!(schedule.next_ready(), Some(0));
    schedule.done(0);
    assert_eq!(schedule.next_ready(), Some(1));
    assert_eq!(schedule.executing(), 0);
}

#[test]
fn two_connections_to_one_node_are_one_wait() {
    let plan = simple(&[&[], &[0, 0]]);
    let mut schedule = schedule(&plan, 1);
    start(&mut schedule);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [1]);
}

#[test]
fn long_chains_go_first() {
    let plan = simple(&[&[], &[], &[1], &[2]]);
    let mut schedule = schedule(&plan, 1);
    assert_eq!(start(&mut schedule), [1]);
}

#[test]
fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let plan = simple(&[&[], &[], &[0], &[2], &[1], &[1, 2]]);
    let mut schedule = schedule(&plan, 8);
    start(&mut schedule);
    schedule.failed(0);
    assert_eq!(states(&schedule), [Failed, Executing, Skipped, Skipped, Waiting(1), Skipped]);
}

#[test]
fn what_is_not_enabled_is_skipped_with_what_depends_on_it() {
    let mut work: Vec<Work> =
        [vec![], vec![0], vec![1], vec![]].map(|inputs| Work { inputs, cpus: 1, memory: 0, enabled: true }).to_vec();
    work[1].enabled = false;
    let plan = plan(&work);
    let schedule = schedule(&plan, 1);
    assert_eq!(states(&schedule), [Ready, Skipped, Skipped, Ready]);
}

#[test]
fn a_node_that_wants_more_than_the_machine_has_gets_all_of_it() {
    let work =
        [(64, 1 << 50), (1, 0), (1, 1)].map(|(cpus, memory)| Work { inputs: vec![], cpus, memory, enabled: true });
    let plan = plan(&work);
    let mut schedule = Schedule::new(&plan, Resources { cpus: 2, memory: 100 });
    assert_eq!(start(&mut schedule), [0]);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [1, 2]);
}

#[test]
fn a_small_node_passes_a_large_one_for_which_there_is_no_room() {
    let work = [(1, 60), (1, 60), (1, 10)].map(|(cpus, memory)| Work { inputs: vec![], cpus, memory, enabled: true });
    let plan = plan(&work);
    let mut schedule = Schedule::new(&plan, Resources { cpus: 4, memory: 100 });
    assert_eq!(start(&mut schedule), [0, 2]);
    assert_eq!(schedule.state(1), Queued);
}

#[test]
fn a_node_set_aside_is_looked_up_again() {
    let plan = simple(&[&[]]);
    let mut schedule = schedule(&plan, 1);
    schedule.next_ready();
    schedule.set_aside(0);
    assert_eq!((schedule.next_ready(), schedule.next_executable()), (None, None));
    assert!(!schedule.is_finished());
    schedule.retry(0);
    assert_eq!(schedule.next_ready(), Some(0));
    schedule.done(0);
    assert!(schedule.is_finished());
}

#[test]
fn a_node_set_aside_and_then_skipped_does_not_come_back() {
    let plan = simple(&[&[]]);
    let mut schedule = schedule(&plan, 1);
    schedule.next_ready();
    schedule.set_aside(0);
    schedule.skip(0);
    schedule.retry(0);
    assert_eq!(schedule.state(0), Skipped);
    assert!(schedule.is_finished());
}

#[test]
fn an_attempt_that_came_to_nothing_gives_its_resources_back() {
    let plan = simple(&[&[], &[]]);
    let mut schedule = schedule(&plan, 1);
    assert_eq!(start(&mut schedule), [0]);
    schedule.retry(0);
    assert_eq!(schedule.executing(), 0);
    assert_eq!(start(&mut schedule), [0]);
}

#[test]
fn a_damaged_output_is_made_again_for_all_who_wait_for_it() {
    // 2 and 3 need 0; 4 needs 0 and 1, and waits for 1 alone.
    let plan = simple(&[&[], &[], &[0], &[0], &[0, 1]]);
    let mut schedule = schedule(&plan, 8);
    assert_eq!(start(&mut schedule), [0, 1]);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [2, 3]);
    schedule.redo(0, 2);
    schedule.redo(0, 3);
    assert_eq!(states(&schedule), [Ready, Executing, Waiting(1), Waiting(1), Waiting(2)]);
    schedule.done(1);
    assert_eq!(schedule.state(4), Waiting(1));
    assert_eq!(start(&mut schedule), [0]);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [2, 3, 4]);
}

#[test]
fn two_damaged_inputs_are_both_waited_for() {
    let plan = simple(&[&[], &[], &[0, 1], &[1]]);
    let mut schedule = schedule(&plan, 8);
    start(&mut schedule);
    schedule.done(0);
    schedule.done(1);
    assert_eq!(start(&mut schedule), [2, 3]);
    schedule.redo(1, 3);
    schedule.redo(0, 2);
    assert_eq!(states(&schedule), [Ready, Ready, Waiting(2), Waiting(1)]);
    schedule.done(1);
    assert_eq!(schedule.state(2), Waiting(1));
    schedule.done(0);
    assert_eq!(schedule.state(2), Ready);
}

#[test]
fn a_producer_that_fails_when_made_again_skips_who_waits() {
    let plan = simple(&[&[], &[0], &[0]]);
    let mut schedule = schedule(&plan, 8);
    start(&mut schedule);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [1, 2]);
    schedule.redo(0, 1);
    assert_eq!(start(&mut schedule), [0]);
    schedule.failed(0);
    assert_eq!(states(&schedule), [Failed, Skipped, Executing]);
    schedule.done(2);
    assert!(schedule.is_finished());
}

#[test]
fn after_skip_rest_only_what_executes_goes_on() {
    let plan = simple(&[&[], &[0], &[], &[], &[]]);
    let mut schedule = schedule(&plan, 2);
    assert_eq!(start(&mut schedule), [0, 2]);
    schedule.set_aside(2);
    assert_eq!(start(&mut schedule), [3]);
    schedule.skip_rest();
    assert_eq!(states(&schedule), [Executing, Skipped, Skipped, Executing, Skipped]);
    schedule.done(0);
    schedule.retry(3);
    schedule.retry(2);
    assert_eq!(states(&schedule), [Done, Skipped, Skipped, Skipped, Skipped]);
    assert!(schedule.is_finished());
    assert_eq!((schedule.next_ready(), schedule.next_executable(), schedule.executing()), (None, None, 0));
}

#[test]
fn nothing_is_made_again_after_skip_rest() {
    let plan = simple(&[&[], &[0]]);
    let mut schedule = schedule(&plan, 2);
    start(&mut schedule);
    schedule.done(0);
    assert_eq!(start(&mut schedule), [1]);
    schedule.skip_rest();
    schedule.redo(0, 1);
    assert!(schedule.is_finished());
    assert_eq!(schedule.executing(), 0);
}

#[test]
fn an_empty_plan_is_finished() {
    assert!(schedule(&simple(&[]), 1).is_finished());
}

#[test]
fn ten_thousand_nodes_side_by_side_and_in_a_row_take_little_time() {
    let began = std::time::Instant::now();
    let wide: Vec<Work> = (0..10_000).map(|_| Work { inputs: vec![], cpus: 1, memory: 1, enabled: true }).collect();
    let chain: Vec<Work> = (0..10_000_usize)
        .map(|id| Work { inputs: id.checked_sub(1).into_iter().collect(), cpus: 1, memory: 1, enabled: true })
        .collect();
    let fan: Vec<Work> = (0..10_000_usize)
        .map(|id| Work {
            inputs: if id == 9_999 { (0..9_999).collect() } else { vec![] },
            cpus: 1,
            memory: 0,
            enabled: true,
        })
        .collect();
    for work in [wide, chain, fan] {
        let plan = plan(&work);
        let mut schedule = Schedule::new(&plan, Resources { cpus: 2, memory: 100 });
        let mut executing = start(&mut schedule);
        while let Some(id) = executing.pop() {
            schedule.done(id);
            executing.extend(start(&mut schedule));
        }
        assert!(schedule.is_finished());
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

fn work() -> impl Strategy<Value = Vec<Work>> {
    let one = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        1_u32..6,
        prop_oneof![Just(0_u64), 1_u64..150],
        prop::bool::weighted(0.95),
    );
    prop::collection::vec(one, 0..25).prop_map(|raw| {
        raw.into_iter()
            .enumerate()
            .map(|(id, (inputs, cpus, memory, enabled))| Work {
                inputs: if id == 0 { Vec::new() } else { inputs.iter().map(|input| input.index(id)).collect() },
                cpus,
                memory,
                enabled,
            })
            .collect()
    })
}

/// That resources, counts and the numbers of inputs waited for are what the states say.
fn assert_consistent(schedule: &Schedule, work: &[Work], total: Resources) {
    let executing: Vec<usize> = (0..work.len()).filter(|&id| schedule.state(id) == Executing).collect();
    assert_eq!(schedule.executing(), executing.len());
    let cpus: u32 = executing.iter().map(|&id| work[id].cpus.min(total.cpus)).sum();
    let memory: u64 = executing.iter().map(|&id| work[id].memory.min(total.memory)).sum();
    assert!(cpus <= total.cpus && memory <= total.memory, "{cpus} {memory}");
    assert_eq!((schedule.free.cpus, schedule.free.memory), (total.cpus - cpus, total.memory - memory));
    let open = (0..work.len()).filter(|&id| !schedule.state(id).is_final()).count();
    assert_eq!(schedule.is_finished(), open == 0);
    for (id, work) in work.iter().enumerate() {
        if let Waiting(count) = schedule.state(id) {
            let missing = work.inputs.iter().filter(|&&input| schedule.state(input) != Done).count();
            assert_eq!(count, missing, "node {id}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_node_ends_as_it_should(
        work in work(),
        cpus in 1_u32..5,
        memory in 1_u64..120,
        outcomes in prop::collection::vec(0_u8..10, 400),
    ) {
        let total = Resources { cpus, memory };
        let plan = plan(&work);
        let mut schedule = Schedule::new(&plan, total);
        let mut outcomes = outcomes.into_iter();
        let mut executing: Vec<NodeId> = Vec::new();
        let mut aside: Vec<NodeId> = Vec::new();
        let mut failed = BTreeSet::new();
        for _ in 0..10_000 {
            assert_consistent(&schedule, &work, total);
            while let Some(id) = schedule.next_ready() {
                prop_assert!(work[id].inputs.iter().all(|&input| schedule.state(input) == Done), "node {id} too early");
                match outcomes.next() {
                    Some(0) => schedule.done(id),
                    Some(1) => {
                        schedule.set_aside(id);
                        aside.push(id);
                    }
                    _ => schedule.queue(id),
                }
                assert_consistent(&schedule, &work, total);
            }
            while let Some(id) = schedule.next_executable() {
                prop_assert!(work[id].inputs.iter().all(|&input| schedule.state(input) == Done), "node {id} too early");
                executing.push(id);
                assert_consistent(&schedule, &work, total);
            }
            for id in std::mem::take(&mut aside) {
                schedule.retry(id);
            }
            if executing.is_empty() {
                if schedule.is_finished() {
                    break;
                }
                continue;
            }
            let id = executing.swap_remove(0);
            match outcomes.next() {
                Some(0) => {
                    schedule.failed(id);
                    failed.insert(id);
                }
                Some(1) => schedule.retry(id),
                _ => schedule.done(id),
            }
        }
        prop_assert!(schedule.is_finished());
        // What failed failed; skipped is exactly what is not enabled and what depends on one of these; all else is done.
        let mut lost: Vec<bool> = Vec::new();
        for (id, work) in work.iter().enumerate() {
            let upstream = work.inputs.iter().any(|&input| lost[input]);
            let expected = if !work.enabled || upstream { Skipped } else if failed.contains(&id) { Failed } else { Done };
            prop_assert_eq!(schedule.state(id), expected, "node {}", id);
            lost.push(expected != Done);
        }
    }

    #[test]
    fn counts_stay_right_whatever_happens(
        work in work(),
        cpus in 1_u32..5,
        steps in prop::collection::vec((0_u8..8, any::<prop::sample::Index>()), 0..200),
        end in any::<bool>(),
    ) {
        let total = Resources { cpus, memory: 100 };
        let plan = plan(&work);
        let mut schedule = Schedule::new(&plan, total);
        let pick = |schedule: &Schedule, wanted: StageState, index: prop::sample::Index| {
            let found: Vec<NodeId> = (0..work.len()).filter(|&id| schedule.state(id) == wanted).collect();
            (!found.is_empty()).then(|| *index.get(&found))
        };
        for (step, index) in steps {
            match step {
                0 => drop(schedule.next_ready().map(|id| schedule.queue(id))),
                1 => drop(schedule.next_executable()),
                2 => drop(pick(&schedule, Executing, index).map(|id| schedule.done(id))),
                3 => drop(pick(&schedule, Executing, index).map(|id| schedule.failed(id))),
                4 => drop(pick(&schedule, Executing, index).map(|id| schedule.set_aside(id))),
                5 => drop(pick(&schedule, Aside, index).map(|id| schedule.retry(id))),
                _ => {
                    // A damaged input: of an executing node, one that this run has made.
                    if let Some(id) = pick(&schedule, Executing, index)
                        && let Some(&input) = work[id].inputs.first()
                    {
                        schedule.redo(input, id);
                    }
                }
            }
            assert_consistent(&schedule, &work, total);
        }
        if end {
            schedule.skip_rest();
        }
        for _ in 0..10_000 {
            assert_consistent(&schedule, &work, total);
            for id in 0..work.len() {
                match schedule.state(id) {
                    Executing => schedule.done(id),
                    Aside => schedule.retry(id),
                    _ => {}
                }
            }
            let begun = start(&mut schedule);
            prop_assert!(!end || begun.is_empty());
            if schedule.is_finished() {
                break;
            }
        }
        prop_assert!(schedule.is_finished(), "{:?}", states(&schedule));
    }
}
