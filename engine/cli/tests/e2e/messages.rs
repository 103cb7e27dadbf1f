//! Messages from a service that fails in every way, in a process that is killed: each is paid for once.

#[path = "../../../../stages/generate/tests/common/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use self::server::Server;
use crate::space::{Output, TestSpace, signal};

/// Requests under way at once.
const CONCURRENCY: usize = 16;

fn space(server: &Server, users: usize, more: &str) -> TestSpace {
    let url = &server.url;
    let space = TestSpace::with(&format!(
        "\
workflow: messages
stages:
  recommended: {{ uses: ingest.csv, with: {{ path: recommended.csv }} }}
  messages:
    uses: generate.messages
    inputs: {{ recommendations: recommended }}
    with:
      provider: openai
      openai:
        base_url: {url}
        model: m
        prompt: 'Praise {{{{ first.name }}}}'
        concurrency: {CONCURRENCY}
        max_retries: 12
        timeout: 5
{more}"
    ));
    let mut rows = "user_id,product_id,rank,name\n".to_owned();
    for user in 1..=users {
        writeln!(rows, "{user},{user},1,Thing {user}").unwrap();
    }
    space.write("recommended.csv", rows);
    space
}

/// The prompts whose answers are in the ledger, by what the answers quote.
fn kept(space: &TestSpace) -> BTreeSet<String> {
    if !space.path(".stagewright/store.db").exists() {
        return BTreeSet::new();
    }
    let index = space.index();
    let Ok(mut query) = index.prepare("SELECT value FROM ledger") else { return BTreeSet::new() };
    let values: Vec<Vec<u8>> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let prompts: BTreeSet<String> = values
        .iter()
        .map(|value| {
            let entry: serde_json::Value = serde_json::from_slice(value).unwrap();
            let content = entry["content"].as_str().unwrap();
            content.rsplit_once("like: ").unwrap().1.trim_end_matches('.').to_owned()
        })
        .collect();
    assert_eq!(prompts.len(), values.len(), "each prompt has one entry");
    prompts
}

#[test]
fn a_thousand_messages_are_in_the_ledger_once_through_three_kills() {
    let server = Server::bad(4);
    let space = space(&server, 1000, "");
    // What was in the ledger when the process was killed, and how often it had been asked for by then.
    let mut settled: BTreeMap<String, u32> = BTreeMap::new();
    for at in [150, 400, 750] {
        let mut child = space.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while kept(&space).len() < at {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            assert!(began.elapsed() < Duration::from_secs(300), "only {} messages", kept(&space).len());
            thread::sleep(Duration::from_millis(20));
        }
        signal("KILL", &child);
        child.wait().unwrap();
        let log = server.log();
        settled.extend(kept(&space).into_iter().map(|prompt| (prompt.clone(), log.asked[&prompt])));
    }
    let output = space.run("run");
    assert_eq!(output.code, Some(0), "{output}");

    let log = server.log();
    for (prompt, asked) in &settled {
        assert_eq!(log.asked[prompt], *asked, "`{prompt}` was in the ledger and asked for again");
    }
    let kept = kept(&space);
    assert_eq!(kept.len(), 1000);
    assert_eq!(log.answered.keys().cloned().collect::<BTreeSet<_>>(), kept);
    // Only an answer that was on its way when the process was killed can have been lost.
    let twice = log.answered.values().filter(|answers| **answers > 1).count();
    println!("{:?}; {} requests; {twice} answers were lost on their way", log.acts, log.requests());
    assert!(twice <= 3 * CONCURRENCY, "{twice} prompts were answered twice");
    assert!(settled.len() >= 750);
    assert!(log.acts.len() == 6, "{:?}", log.acts);
    drop(log);

    let messages = space.run("get messages.table");
    assert_eq!(messages.stdout.matches("Praise Thing ").count(), 1000, "each has its own text");
    let quarantine = space.run("get messages.quarantine");
    assert_eq!(quarantine.stdout.lines().count(), 1, "{quarantine}");
    assert_eq!(space.summary("").executed(), [""; 0]);
    space.assert_sound();
}

#[test]
fn ctrl_c_loses_no_answer() {
    let server = Server::start(|prompt, _| server::Act::Late(Duration::from_millis(300), server::letter(prompt)));
    let space = space(&server, 200, "");
    let child = space.spawn("run");
    while kept(&space).len() < 20 {
        thread::sleep(Duration::from_millis(20));
    }
    signal("INT", &child);
    let output = Output::wait(child, Path::new("/nowhere"));
    assert_eq!(output.code, Some(130), "{output}");
    let so_far = kept(&space).len();
    assert!(so_far < 200);
    assert_eq!(space.run("run").code, Some(0));
    let log = server.log();
    assert_eq!((log.answered.len(), log.requests()), (200, 200), "{so_far} were there after the interruption");
}

#[test]
fn a_budget_ends_the_stage_and_a_larger_one_goes_on() {
    let server = Server::good();
    let space = space(&server, 30, "        budget: { requests: 10 }\n");
    let output = space.run("run");
    assert_eq!(output.code, Some(1), "{output}");
    let said = "the budget of 10 requests is used up: 10 of 30 messages are done and in the ledger, 20 are left";
    assert!(output.stderr.contains(said), "{output}");
    assert_eq!((server.log().requests(), kept(&space).len()), (10, 10));
    space.replace("workflow.yaml", "requests: 10", "requests: 30");
    assert_eq!(space.run("run").code, Some(0));
    assert_eq!((server.log().requests(), kept(&space).len()), (30, 30));
}

#[test]
fn a_changed_user_is_one_message() {
    let server = Server::good();
    let space = space(&server, 30, "");
    space.summary("");
    space.replace("recommended.csv", "7,7,1,Thing 7\n", "7,7,1,Better Thing\n");
    assert_eq!(space.summary("").executed(), ["messages", "recommended"]);
    assert_eq!(server.log().requests(), 31);
}

#[test]
fn personal_columns_do_not_get_into_prompts() {
    let server = Server::good();
    let space = space(&server, 3, "");
    space.replace("workflow.yaml", "path: recommended.csv", "path: recommended.csv, personal: [name]");
    let output = space.run("run");
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("`name`") && output.stderr.contains("a prompt"), "{output}");
    assert!(output.stderr.contains("merge_fields"), "{output}");
    assert_eq!(server.log().requests(), 0);
}

#[test]
fn plan_says_what_a_service_may_cost_and_then_what_it_did() {
    let server = Server::good();
    let space =
        space(&server, 3, "        budget: { requests: 100, cost: 0.5 }\n        price: { input: 1, output: 2 }\n");
    let last = |space: &TestSpace| space.run("plan").stdout.lines().last().unwrap().to_owned();
    assert_eq!(last(&space), "`messages` asks a service: at most 100 requests, 0.5000 USD");
    space.run("run");
    assert_eq!(space.json("plan --json")["services"], serde_json::json!([]));
    space.replace("workflow.yaml", "Praise", "Praise the");
    let bill = &space.json("plan --json")["services"][0];
    assert_eq!((&bill["at_most"], &bill["answers"]), (&false.into(), &3.into()));
    assert!(last(&space).starts_with("`messages` asks a service: 3 answers, "), "{}", last(&space));
}
