//! The provider `openai`, against a service on this machine that answers, refuses and fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use server::{Act, Server, letter};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{
    Digest, ErrorKind, Ledger, MemoryLedger, Monitor, StageContext, StageError, StageType, Table,
};
use stagewright_frame::testkit::{frame, table};
use stagewright_generate::Messages;

/// One product for each of so many users, another for everyone.
fn recommendations(users: i64) -> DataFrame {
    df![
        "user_id" => (1..=users).collect::<Vec<_>>(),
        "product_id" => (1..=users).collect::<Vec<_>>(),
        "rank" => vec![1_i64; users as usize],
        "name" => (1..=users).map(|user| format!("Thing {user}")).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn params(server: &Server, openai: Value) -> Value {
    let mut service =
        json!({ "base_url": server.url, "model": "m", "prompt": "Praise {{ first.name }}", "timeout": 4 });
    service.as_object_mut().unwrap().extend(openai.as_object().unwrap().clone());
    json!({ "provider": "openai", "openai": service })
}

fn trial(params: Value, users: i64) -> Trial {
    Trial::new::<Messages>(params).input("recommendations", table(recommendations(users)))
}

fn texts(done: &Done, port: &str, name: &str) -> Vec<Option<String>> {
    let frame = frame(&done.table(port));
    frame.column(name).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

fn metric(done: &Done, name: &str) -> f64 {
    done.metrics("metrics").values[name].value.unwrap()
}

fn help(error: &StageError) -> &str {
    error.help.as_deref().unwrap_or_default()
}

#[test]
fn each_user_gets_the_answer_to_their_prompt() {
    let server = Server::good();
    let openai = json!({ "seed": 7, "price": { "input": 1.0, "output": 4.0 }, "api_key": "${secret:LLM_KEY}" });
    let done = trial(params(&server, openai), 5).secret("LLM_KEY", "sk-123").run().unwrap();
    assert_eq!(texts(&done, "table", "subject"), vec![Some("For you".to_owned()); 5]);
    let text = texts(&done, "table", "text")[2].clone().unwrap();
    assert!(text.ends_with("you may like: Praise Thing 3."), "{text}");
    assert_eq!(texts(&done, "table", "model")[0].as_deref(), Some("test-1"));
    assert_eq!((metric(&done, "messages"), metric(&done, "answers")), (5.0, 5.0));
    assert_eq!((metric(&done, "prompt_tokens"), metric(&done, "completion_tokens")), (500.0, 250.0));
    assert!((metric(&done, "cost") - 0.0015).abs() < 1e-12);
    assert_eq!(
        done.warnings,
        ["5 requests for 5 answers in this run; 0 came from the ledger; 750 tokens in all, 0.0015 USD with all that \
          may have been charged"]
    );
    let log = server.log();
    assert_eq!(log.authorization.as_deref(), Some("Bearer sk-123"));
    let body = &log.bodies[0];
    assert_eq!((&body["seed"], &body["temperature"], &body["max_tokens"]), (&json!(7), &json!(0.7), &json!(150)));
    assert_eq!(body["messages"][0]["role"], "system");
}

#[test]
fn the_same_prompt_is_asked_once_and_a_changed_one_anew() {
    let server = Server::good();
    let ledger = Arc::new(MemoryLedger::default());
    let run = |frame: DataFrame| {
        let openai = json!({ "prompt": "Praise {{ products[0].name }}" });
        let trial = Trial::new::<Messages>(params(&server, openai)).ledger(Arc::clone(&ledger) as Arc<dyn Ledger>);
        trial.input("recommendations", table(frame)).run().unwrap()
    };
    let shop = |third: &str| {
        df!["user_id" => [1_i64, 2, 3, 4], "product_id" => [1_i64, 1, 3, 1], "rank" => [1_i64; 4],
            "name" => ["Tea", "Tea", third, "Tea"]]
        .unwrap()
    };
    let first = run(shop("Salt"));
    assert_eq!((metric(&first, "messages"), metric(&first, "answers"), ledger.len()), (4.0, 2.0, 2));
    assert_eq!(server.log().requests(), 2);
    let again = run(shop("Salt"));
    assert_eq!(server.log().requests(), 2);
    assert_eq!(again.bytes(), first.bytes(), "what comes from the ledger is what was answered");
    assert_eq!(again.warnings, [""; 0]);
    run(shop("Pepper"));
    assert_eq!((server.log().requests(), ledger.len()), (3, 3));
}

#[test]
fn texts_that_fail_are_written_again_and_then_quarantined() {
    let server = Server::start(|prompt, nth| {
        let good = !prompt.ends_with("Thing 2") && (!prompt.ends_with("Thing 1") || nth > 0);
        Act::Answer(if good { letter(prompt) } else { format!("{} Act now, it is guaranteed!", letter(prompt)) })
    });
    let ledger = Arc::new(MemoryLedger::default());
    let run = || {
        trial(params(&server, json!({ "seed": 1 })), 3).ledger(Arc::clone(&ledger) as Arc<dyn Ledger>).run().unwrap()
    };
    let done = run();
    let attempts = frame(&done.table("table")).column("attempts").unwrap().i64().unwrap().iter().collect::<Vec<_>>();
    assert_eq!(attempts, [Some(2), Some(1)]);
    let reasons = texts(&done, "quarantine", "reasons");
    assert_eq!(reasons, [Some("banned claim `guaranteed`; false urgency `Act now`".to_owned())]);
    assert_eq!(
        (metric(&done, "quarantined"), metric(&done, "failed_texts"), metric(&done, "answers")),
        (1.0, 4.0, 6.0)
    );
    let seeds = |name: &str| -> Vec<u64> {
        let log = server.log();
        let of = |body: &&Value| body["messages"][1]["content"] == format!("Praise {name}");
        log.bodies.iter().filter(of).map(|body| body["seed"].as_u64().unwrap()).collect()
    };
    assert_eq!((seeds("Thing 1"), seeds("Thing 2")), (vec![1, 2], vec![1, 2, 3]));
    assert_eq!(run().bytes(), done.bytes());
    assert_eq!(server.log().requests(), 6);
}

#[test]
fn json_mode_takes_the_text_and_the_subject_from_their_keys() {
    let server = Server::start(|prompt, _| match prompt {
        "Praise Thing 2" => Act::Answer("Hello, no object today".to_owned()),
        _ => Act::Answer(
            json!({ "headline": "News", "body": "Hello there, we have something new for you." }).to_string(),
        ),
    });
    let openai = json!({ "json": true, "text_key": "body", "subject_key": "headline" });
    let done = trial(params(&server, openai), 2).run().unwrap();
    assert_eq!(server.log().bodies[0]["response_format"], json!({ "type": "json_object" }));
    assert_eq!(texts(&done, "table", "subject"), [Some("News".to_owned())]);
    assert_eq!(texts(&done, "table", "text"), [Some("Hello there, we have something new for you.".to_owned())]);
    assert_eq!(
        texts(&done, "quarantine", "reasons"),
        [Some("the answer is not a JSON object with a text at `body`".to_owned())]
    );
}

#[test]
fn refusals_that_time_does_not_heal_end_the_stage_with_the_words_of_the_service() {
    for (status, code, expected, advice) in [
        (
            401,
            "invalid_api_key",
            "401: key *** is wrong (invalid_api_key)",
            "check the key and what it may be used for",
        ),
        (400, "", "400: key *** is wrong", "check `model`, `max_tokens` and `extra`, and how long the prompts are"),
        (
            429,
            "insufficient_quota",
            "429: key *** is wrong (insufficient_quota)",
            "raise the limit with the service; what was paid for is in the ledger",
        ),
    ] {
        let server = Server::start(move |_, _| {
            let code = if code.is_empty() { Value::Null } else { json!(code) };
            let body = json!({ "error": { "message": "key sk-123 is wrong", "code": code } });
            Act::Refuse(status, String::new(), body.to_string())
        });
        let openai = json!({ "api_key": "${secret:LLM_KEY}", "concurrency": 1 });
        let error = trial(params(&server, openai), 3).secret("LLM_KEY", "sk-123").run().unwrap_err();
        assert_eq!(
            error.message,
            format!(
                "the service refuses the request: {expected}; 0 of 3 messages are done and in the ledger, 3 are left"
            )
        );
        assert_eq!((error.kind, help(&error)), (ErrorKind::Data, advice));
        assert_eq!(server.log().requests(), 1);
    }
    let server = Server::good();
    let error = trial(params(&server, json!({ "api_key": "${secret:LLM_KEY}" })), 3).run().unwrap_err();
    assert_eq!(error.message, "the secret `LLM_KEY` is not set");
}

#[test]
fn a_message_that_cannot_be_had_does_not_keep_the_others() {
    let server = Server::start(|prompt, _| match prompt {
        "Praise Thing 2" => Act::Refuse(503, String::new(), "{\"error\":\"busy\"}".to_owned()),
        _ => Act::Answer(letter(prompt)),
    });
    let ledger = Arc::new(MemoryLedger::default());
    let run = |server: &Server, users| {
        trial(params(server, json!({ "max_retries": 1 })), users).ledger(Arc::clone(&ledger) as Arc<dyn Ledger>).run()
    };
    let error = run(&server, 4).unwrap_err();
    assert_eq!(
        error.message,
        "1 answer could not be had, the last because of 503: busy; 3 of 4 messages are done and in the \
         ledger, 1 is left"
    );
    assert_eq!((error.kind, help(&error)), (ErrorKind::Environment, "run again: what is done is not asked for again"));
    assert_eq!(server.log().asked["Praise Thing 2"], 2);
    assert_eq!(ledger.len(), 3);
}

#[test]
fn a_service_that_is_down_is_given_up() {
    let server = Server::start(|_, _| Act::Refuse(502, String::new(), "Bad Gateway".to_owned()));
    let error = trial(params(&server, json!({ "max_retries": 0, "concurrency": 1 })), 1000).run().unwrap_err();
    assert_eq!(
        error.message,
        "the service does not answer: 502: Bad Gateway; 0 of 1,000 messages are done and in the ledger, 1,000 are left"
    );
    assert!(server.log().requests() < 20, "{}", server.log().requests());
    let nobody = json!({ "base_url": "http://127.0.0.1:1/v1", "max_retries": 0 });
    let error = trial(params(&server, nobody), 1).run().unwrap_err();
    assert!(error.message.contains("no connection (Connection refused"), "{error}");
}

#[test]
fn the_budget_of_requests_is_kept_to_the_last_one() {
    let server = Server::good();
    let ledger = Arc::new(MemoryLedger::default());
    let run = |requests: u64| {
        let openai = json!({ "budget": { "requests": requests } });
        trial(params(&server, openai), 300).ledger(Arc::clone(&ledger) as Arc<dyn Ledger>).run()
    };
    let error = run(100).unwrap_err();
    assert_eq!(
        error.message,
        "the budget of 100 requests is used up: 100 of 300 messages are done and in the ledger, 200 are left"
    );
    assert_eq!(help(&error), "raise `openai.budget.requests` and run again: what is done is not asked for again");
    assert_eq!(error.kind, ErrorKind::Data, "`retries:` must not spend more");
    assert_eq!((server.log().requests(), ledger.len()), (100, 100));
    run(100).unwrap_err();
    assert_eq!(server.log().requests(), 100, "what is in the ledger counts");
    run(300).unwrap();
    assert_eq!((server.log().requests(), ledger.len()), (300, 300));
    assert!(server.log().answered.values().all(|count| *count == 1));
}

#[test]
fn budgets_of_tokens_and_money_stop_within_one_request() {
    // An answer costs 100 + 50 tokens; at most 110 and 60 are set aside for it once the first has come.
    for (budget, limit) in [(json!({ "tokens": 15_000 }), 15_000), (json!({ "cost": 0.03 }), 15_000)] {
        let server = Server::good();
        let openai =
            json!({ "budget": budget, "price": { "input": 2.0, "output": 2.0 }, "max_tokens": 60, "system": "" });
        trial(params(&server, openai), 300).run().unwrap_err();
        let spent = server.log().requests() * 150;
        assert!(spent <= limit + 150 && spent + 150 > limit - 150, "{spent} of {limit}");
    }
}

#[test]
fn limits_per_minute_are_kept() {
    let server = Server::good();
    let began = Instant::now();
    trial(params(&server, json!({ "requests_per_minute": 600, "concurrency": 32 })), 30).run().unwrap();
    // The first at once, then ten a second.
    assert!(began.elapsed() >= Duration::from_millis(2850), "{:?}", began.elapsed());
    for pair in server.log().times.windows(11) {
        assert!(pair[10] - pair[0] > Duration::from_millis(700), "eleven requests in {:?}", pair[10] - pair[0]);
    }
}

#[test]
fn retry_after_holds_for_all_requests() {
    let server = Server::start(|prompt, nth| match (prompt, nth) {
        ("Praise Thing 1", 0) => Act::Refuse(429, "Retry-After: 2\r\n".to_owned(), String::new()),
        _ => Act::Answer(letter(prompt)),
    });
    trial(params(&server, json!({ "concurrency": 1 })), 20).run().unwrap();
    let log = server.log();
    let longest = log.times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest >= Duration::from_millis(1950), "{longest:?}");
    assert_eq!(log.requests(), 21);
}

/// A ledger that counts how often each key is written.
#[derive(Default)]
struct Counting {
    entries: MemoryLedger,
    puts: Mutex<BTreeMap<Digest, u32>>,
}

impl Ledger for Counting {
    fn get(&self, key: Digest) -> Result<Option<Vec<u8>>, StageError> {
        self.entries.get(key)
    }

    fn put(&self, key: Digest, subjects: &[&str], value: &[u8]) -> Result<(), StageError> {
        *self.puts.lock().unwrap().entry(key).or_default() += 1;
        self.entries.put(key, subjects, value)
    }
}

/// Runs the stage until it ends or `stop` says that it is to be cancelled.
fn run_until(
    params: &Value,
    input: Table,
    ledger: &Arc<Counting>,
    stop: impl Fn() -> bool + Sync,
) -> Result<StageContext, StageError> {
    let stage = StageType::of::<Messages>("test").configure(params).unwrap();
    let monitor = Arc::new(Monitor::default());
    let inputs = BTreeMap::from([("recommendations".to_owned(), input.into())]);
    let mut context = StageContext::new(inputs, BTreeMap::new(), 42, Arc::clone(&monitor))
        .with_ledger(Arc::clone(ledger) as Arc<dyn Ledger>);
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                if stop() {
                    monitor.cancel();
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        let ran = stage.run(&mut context);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        ran
    })?;
    Ok(context)
}

#[test]
fn hundreds_of_messages_from_a_bad_service_through_three_interruptions_are_paid_for_once() {
    let server = Server::bad(20_261_124);
    let ledger = Arc::new(Counting::default());
    let params = params(&server, json!({ "concurrency": 16, "max_retries": 12 }));
    let input = table(recommendations(400));
    for stop_at in [80, 160, 280] {
        let error = run_until(&params, input.clone(), &ledger, || ledger.entries.len() >= stop_at).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Cancelled);
        assert!((stop_at..stop_at + 80).contains(&ledger.entries.len()), "{}", ledger.entries.len());
    }
    let context = run_until(&params, input, &ledger, || false).unwrap();
    let outputs = context.into_outputs();
    let stagewright_contract::Artifact::Table(messages) = &outputs["table"] else { panic!() };
    assert_eq!((messages.rows(), ledger.entries.len()), (400, 400));
    assert!(ledger.puts.lock().unwrap().values().all(|puts| *puts == 1), "each entry is written once");
    let log = server.log();
    println!("{:?}, {} requests", log.acts, log.requests());
    assert_eq!(log.answered.len(), 400);
    let twice: Vec<_> = log.answered.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "answered more than once: {twice:?}");
    assert!(log.acts.values().all(|count| *count > 2) && log.acts.len() == 6, "{:?}", log.acts);
}
