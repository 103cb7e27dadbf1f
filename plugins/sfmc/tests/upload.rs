//! Uploads to the stand-in, which behaves as badly as it is told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{metric, table, text, texts};
use serde_json::{Value, json};
use stagewright_plugin::testkit::{Done, Trial};
use stagewright_plugin::{
    Artifact, ErrorKind, Files, Monitor, SecretValue, StageContext, StageError, StageType, Table,
};
use stagewright_sfmc::{Bundle, Upload};
use stagewright_sfmc_stand_in::{Options, StandIn, subscriber_keys};

/// A stand-in that is quick.
fn quick() -> Options {
    Options {
        pending: Duration::from_millis(5),
        retry_after: 0,
        slow: Duration::from_millis(400),
        ..Options::default()
    }
}

/// A bundle for so many people, of whom nobody said no.
fn bundle(people: usize) -> Files {
    let people: Vec<String> = (0..people).map(|n| format!("u{n}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let contacts = table(vec![text("user_id", &people), text("status", &vec!["Active"; people.len()])]);
    let trial = Trial::new::<Bundle>(common::params()).input("messages", common::messages(&people));
    (*trial.input("contacts", contacts).run().unwrap().files("bundle")).clone()
}

fn start(options: Options, bundle: &Files) -> StandIn {
    let service = StandIn::start(options).unwrap();
    service.define(&serde_json::from_slice(bundle.get("data_extension.json").unwrap()).unwrap()).unwrap();
    service
}

fn params(service: &StandIn) -> Value {
    json!({
        "account": {
            "subdomain": "test",
            "client_id": "${secret:ID}",
            "client_secret": "${secret:SECRET}",
            "auth_url": service.url(),
            "rest_url": service.url(),
        },
        "batch": { "rows": 50 },
        "retries": 40,
        "pause": 0.005,
        "timeout": 0.2,
        "poll": 0.005,
    })
}

fn nobody() -> Table {
    table(vec![text("subscriber_key", &[])])
}

fn upload(params: Value, bundle: &Files, suppression: Table) -> Result<Done, StageError> {
    let trial = Trial::new::<Upload>(params).secret("ID", "client").secret("SECRET", "secret");
    trial.input("bundle", bundle.clone()).input("suppression", suppression).run()
}

/// The subscriber keys that are there, with the subject of each.
fn there(service: &StandIn) -> BTreeMap<String, String> {
    let rows = service.rows("spring");
    let there: BTreeMap<String, String> = rows
        .iter()
        .map(|row| (row["SubscriberKey"].as_str().unwrap().to_owned(), row["Subject"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(there.len(), rows.len(), "somebody is there twice");
    there
}

fn everyone(people: usize) -> BTreeMap<String, String> {
    (0..people).map(|n| (format!("u{n}"), format!("For u{n}"))).collect()
}

#[test]
fn rows_arrive_in_batches_under_one_token() {
    let bundle = bundle(120);
    let service = start(quick(), &bundle);
    let done = upload(params(&service), &bundle, nobody()).unwrap();
    assert_eq!(there(&service), everyone(120));
    assert_eq!(texts(&done, "receipt", "status"), ["complete"; 3]);
    assert_eq!((metric(&done, "uploaded"), metric(&done, "batches"), metric(&done, "tokens")), (120.0, 3.0, 1.0));
    // Again: nothing is doubled, and the token is known.
    let again = upload(params(&service), &bundle, nobody()).unwrap();
    assert_eq!(there(&service), everyone(120));
    assert_eq!((metric(&again, "tokens"), service.counts()["token requests"]), (0.0, 1));
}

/// 429, blocked, 5xx, tokens that expire, answers that break off or come late, and rows that fail: two requests in
/// five.
#[test]
fn nobody_is_lost_or_doubled_whatever_goes_wrong() {
    let bundle = bundle(230);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..12 {
        let service = start(Options { trouble: 0.4, seed, ..quick() }, &bundle);
        let done = upload(params(&service), &bundle, nobody()).unwrap_or_else(|error| panic!("{seed}: {error}"));
        assert_eq!(there(&service), everyone(230), "seed {seed}");
        assert_eq!(metric(&done, "uploaded"), 230.0);
        for (what, count) in service.counts() {
            *seen.entry(what).or_default() += count;
        }
    }
    // A test in which nothing went wrong would say nothing.
    for what in ["429", "50200", "5xx", "slow", "cut off", "expired token", "partial batch"] {
        assert!(seen.get(&format!("trouble {what}")).is_some_and(|count| *count > 0), "{what}: {seen:?}");
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let bundle = bundle(10);
    let service = start(Options { retry_after: 1, too_many_at_first: 2, ..quick() }, &bundle);
    let began = Instant::now();
    upload(params(&service), &bundle, nobody()).unwrap();
    assert_eq!(service.counts()["trouble 429"], 2);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

/// One token for all requests until it is no good any more, and then one more.
#[test]
fn an_expired_token_is_renewed_once() {
    let bundle = bundle(40);
    let service = start(quick(), &bundle);
    upload(params(&service), &bundle, nobody()).unwrap();
    service.expire_tokens();
    upload(params(&service), &bundle, nobody()).unwrap();
    let counts = service.counts();
    assert_eq!((counts["token requests"], counts["replies 401"]), (2, 1), "{counts:?}");
    assert_eq!(there(&service), everyone(40));
}

/// A token of a second is renewed before it expires: the service never has to refuse it.
#[test]
fn a_token_is_renewed_before_it_expires() {
    let bundle = bundle(60);
    let pending = Duration::from_millis(250);
    let service = start(Options { token_life: Duration::from_secs(2), pending, ..quick() }, &bundle);
    let mut params = params(&service);
    params["batch"]["rows"] = json!(10);
    params["poll"] = json!(0.05);
    let done = upload(params, &bundle, nobody()).unwrap();
    assert!(metric(&done, "tokens") >= 2.0);
    assert_eq!(service.counts().get("replies 401"), None);
}

#[test]
fn a_row_that_is_refused_is_named_by_its_line_and_the_others_arrive() {
    let bundle = bundle(100);
    let service = StandIn::start(quick()).unwrap();
    let mut definition: Value = serde_json::from_slice(bundle.get("data_extension.json").unwrap()).unwrap();
    // `For u99` has seven characters, as every subject from ten on; those of `u0` to `u9` have six.
    definition["Fields"][1]["MaxLength"] = json!(6);
    service.define(&definition).unwrap();
    let error = upload(params(&service), &bundle, nobody()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    assert!(error.message.starts_with("the service refuses many rows: UnexpectedError"), "{error}");
    assert!(error.location.as_deref().unwrap().starts_with("bundle, line 12, 13, 14"), "{error}");
    assert!(!format!("{error:?}").contains("u10"), "{error:?}");
    // One row alone, among those that fit.
    definition["Fields"][1]["MaxLength"] = json!(7);
    service.define(&definition).unwrap();
    let longer = self::bundle(101);
    let error = upload(params(&service), &longer, nobody()).unwrap_err();
    assert_eq!(error.location.as_deref(), Some("bundle, line 102"));
    assert_eq!(there(&service), everyone(100));
}

#[test]
fn who_may_be_written_to_is_asked_again() {
    let bundle = bundle(6);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("opted-out.csv");
    std::fs::write(&file, "\u{feff}Subscriber Key,Status\r\n\" U4 \",Unsubscribed\r\nu5,Active\r\n").unwrap();
    let service = start(quick(), &bundle);
    let mut params = params(&service);
    params["opt_outs"] = json!(file);
    params["subscriber_key"] = json!("key");
    let contacts = table(vec![
        text("key", &["u0", "U1", "u1", "u2", "u4", "u5"]),
        text("status", &["Active", "Active", "Held", "Active", "Active", "Active"]),
    ]);
    let done = Trial::new::<Upload>(params.clone())
        .secret("ID", "client")
        .secret("SECRET", "secret")
        .input("bundle", bundle.clone())
        .input("contacts", contacts)
        .input("suppression", table(vec![text("SubscriberKey", &["U0"])]))
        .run()
        .unwrap();
    let keys: Vec<String> = there(&service).into_keys().collect();
    // u0 is suppressed, u1 held in one of two rows, u3 is no contact any more, u4 opted out since.
    assert_eq!(keys, ["u2", "u5"]);
    for reason in ["suppressed", "held", "not_in_contacts", "unsubscribed"] {
        assert_eq!(metric(&done, &format!("left_out_{reason}")), 1.0, "{reason}");
    }
    params["opt_outs"] = Value::Null;
    let trial = Trial::new::<Upload>(params).secret("ID", "client").secret("SECRET", "secret");
    let error = trial.input("bundle", bundle).run().unwrap_err();
    assert_eq!(error.message, "nothing says who may be written to now");
}

#[test]
fn what_is_wrong_with_the_account_is_said_without_its_secrets() {
    let bundle = bundle(1);
    let service = start(quick(), &bundle);
    let run = |secret: &str, bundle: &Files, params: Value| {
        let trial = Trial::new::<Upload>(params).secret("ID", "client").secret("SECRET", secret);
        trial.input("bundle", bundle.clone()).input("suppression", nobody()).run().unwrap_err()
    };
    let error = run("wrong-5ecret", &bundle, params(&service));
    assert!(error.message.starts_with("the service gives no token: 401"), "{error}");
    assert!(!format!("{error:?}").contains("5ecret"));
    let elsewhere = StandIn::start(quick()).unwrap();
    let error = run("secret", &bundle, params(&elsewhere));
    assert_eq!(error.message, "the service refuses the rows: 404: Unable to find the data extension (10006)");
    let mut plain = params(&service);
    plain["account"]["rest_url"] = json!("http://example.com");
    let error = Trial::new::<Upload>(plain).check().unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.help.as_deref()),
        ("account/rest_url", Some("plain `http` reaches this machine only"))
    );
}

#[test]
fn a_bundle_that_was_changed_is_refused() {
    let made = bundle(2);
    let service = start(quick(), &made);
    let mut changed = Files::new();
    for (name, bytes) in made.iter() {
        let mut bytes = bytes.to_vec();
        if name == "spring.csv" {
            bytes.extend_from_slice(b"\"u9\",\"For u9\"\r\n");
        }
        changed.insert(name, bytes).unwrap();
    }
    let error = upload(params(&service), &changed, nobody()).unwrap_err();
    assert_eq!(error.message, "input `bundle` is no bundle: `spring.csv` was changed after it was made");
    assert_eq!(service.counts().get("requests"), None);
}

#[test]
fn a_cancelled_upload_ends_soon() {
    let bundle = bundle(10);
    let service = start(Options { pending: Duration::from_secs(600), ..quick() }, &bundle);
    let configured = StageType::of::<Upload>("").configure(&params(&service)).unwrap();
    let monitor = Arc::new(Monitor::default());
    let inputs: BTreeMap<String, Artifact> =
        BTreeMap::from([("bundle".to_owned(), bundle.into()), ("suppression".to_owned(), nobody().into())]);
    let secrets = [("ID", "client"), ("SECRET", "secret")];
    let secrets = secrets.map(|(name, value)| (name.to_owned(), SecretValue::new(value)));
    let mut context =
        StageContext::new(inputs, BTreeMap::new(), 42, Arc::clone(&monitor)).with_secrets(BTreeMap::from(secrets));
    let ended = std::thread::spawn(move || configured.run(&mut context));
    std::thread::sleep(Duration::from_millis(300));
    monitor.cancel();
    let asked = Instant::now();
    assert_eq!(ended.join().unwrap().unwrap_err().kind, ErrorKind::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(1));
}

/// As many at once as the service takes, and one more.
#[test]
fn the_hard_limit_is_the_service_s_own() {
    let bundle = bundle(32_001);
    let service = start(quick(), &bundle);
    let mut whole = params(&service);
    whole["batch"] = json!({ "rows": 32_000, "bytes": 40_000_000 });
    whole["timeout"] = json!(20.0);
    let done = upload(whole.clone(), &bundle, nobody()).unwrap();
    assert_eq!(metric(&done, "batches"), 2.0);
    assert_eq!(subscriber_keys(&service.rows("spring")).len(), 32_001);
    whole["batch"]["rows"] = json!(32_001);
    let error = upload(whole, &bundle, nobody()).unwrap_err();
    assert_eq!(error.message, "the service refuses the request: 400: There are more than 32,000 items (10006)");
}
