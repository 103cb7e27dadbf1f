//! Extracts that the stand-in writes, and what is read from them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::{metric, table, text, texts};
use rawzip::ZipArchiveWriter;
use serde_json::{Value, json};
use stagewright_plugin::polars_arrow::array::{BooleanArray, Int64Array};
use stagewright_plugin::testkit::{Done, Trial};
use stagewright_plugin::{ErrorKind, StageError, Table};
use stagewright_sfmc::Tracking;
use stagewright_sfmc_stand_in::{Rates, add_file, extract};

const HEAD: &str = "ClientID,SendID,SubscriberKey,EmailAddress,SubscriberID,ListID,EventDate,EventType,BatchID,X\n";

/// An event as a line of an extract.
fn line(job: u64, key: &str, when: &str) -> String {
    format!("1000,{job},{key},ada@example.com,5,7,{when},Event,1,\n")
}

fn archive(path: &Path, files: &[(&str, String)]) {
    let mut packed = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut packed);
    for (name, lines) in files {
        add_file(&mut archive, name, format!("\u{feff}{HEAD}{lines}").as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    std::fs::write(path, packed).unwrap();
}

fn deliveries(rows: &[(&str, &str, &str)]) -> Table {
    table(vec![
        text("user_id", &rows.iter().map(|row| row.0).collect::<Vec<_>>()),
        text("subscriber_key", &rows.iter().map(|row| row.0).collect::<Vec<_>>()),
        text("variant", &rows.iter().map(|row| row.1).collect::<Vec<_>>()),
        text("delivery", &rows.iter().map(|row| row.2).collect::<Vec<_>>()),
    ])
}

fn track(params: Value, deliveries: Table) -> Result<Done, StageError> {
    Trial::new::<Tracking>(params).input("deliveries", deliveries).run()
}

fn flags(done: &Done, name: &str) -> Vec<bool> {
    let table = done.table("responses");
    let column = table.columns().iter().find(|column| column.name == name).unwrap();
    column.chunks[0].as_any().downcast_ref::<BooleanArray>().unwrap().values_iter().collect()
}

fn numbers(done: &Done, name: &str) -> Vec<Option<i64>> {
    let table = done.table("responses");
    let column = table.columns().iter().find(|column| column.name == name).unwrap();
    column.chunks[0].as_any().downcast_ref::<Int64Array>().unwrap().iter().map(|value| value.copied()).collect()
}

#[test]
fn what_people_did_is_joined_to_what_they_got() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.zip");
    let everyone = ["u1", "u2", "u3", "u4"];
    let sent: String = everyone.iter().map(|key| line(1, key, "1/5/2026 9:00:00 AM")).collect();
    let opens = line(1, "U1 ", "1/5/2026 11:00:00 AM")
        + &line(1, "u1", "1/5/2026 10:00:00 AM")
        + &line(1, "u2", "1/5/2026 10:00:00 AM");
    // Twice in the same second is one row that is there twice; a later one is another.
    let clicks = line(1, "u1", "1/5/2026 10:01:00 AM").repeat(2) + &line(1, "u1", "1/5/2026 10:02:00 AM");
    archive(
        &path,
        &[
            ("Sent.csv", sent),
            ("Opens.csv", opens),
            ("Clicks.csv", clicks),
            ("Bounces.csv", line(1, "u3", "1/5/2026 9:01:00 AM")),
            ("Unsubs.csv", line(1, "u2", "1/5/2026 12:00:00 PM") + &line(1, "stranger", "1/5/2026 12:00:00 PM")),
            ("SendJobs.csv", "whatever".to_owned()),
        ],
    );
    let rows =
        [("u1", "a", "sent"), ("u2", "a", "sent"), ("u3", "b", "sent"), ("u4", "b", "sent"), ("u5", "b", "control")];
    let done = track(json!({ "extracts": path }), deliveries(&rows)).unwrap();
    assert_eq!(flags(&done, "sent"), [true, true, true, true, false]);
    assert_eq!(flags(&done, "opened"), [true, true, false, false, false]);
    assert_eq!(flags(&done, "clicked"), [true, false, false, false, false]);
    assert_eq!(flags(&done, "bounced"), [false, false, true, false, false]);
    assert_eq!(flags(&done, "unsubscribed"), [false, true, false, false, false]);
    assert_eq!(numbers(&done, "opens"), [2, 1, 0, 0, 0].map(Some));
    assert_eq!(numbers(&done, "clicks"), [2, 0, 0, 0, 0].map(Some));
    assert_eq!(numbers(&done, "unique_clicks"), [1, 0, 0, 0, 0].map(Some));
    let at = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
    assert_eq!(numbers(&done, "opened_at"), [at("2026-01-05T16:00:00Z"), at("2026-01-05T16:00:00Z"), None, None, None]);
    assert_eq!(done.warnings, ["1 events are of nobody who was sent to by `deliveries`"]);
    // By hand: of four sent one bounced; of three delivered two opened, one clicked, one unsubscribed.
    for (name, value) in [
        ("delivery_rate", 3.0 / 4.0),
        ("bounce_rate", 1.0 / 4.0),
        ("open_rate", 2.0 / 3.0),
        ("click_through_rate", 1.0 / 3.0),
        ("click_to_open_rate", 1.0 / 2.0),
        ("unsubscribe_rate", 1.0 / 3.0),
        ("open_rate@a", 1.0),
        ("open_rate@b", 0.0),
        ("delivered@b", 1.0),
    ] {
        assert_eq!(metric(&done, name), value, "{name}");
    }
    assert_eq!(done.metrics("metrics").values["click_to_open_rate@b"].value, None);
    assert_eq!(texts(&done, "rates", "denominator")[..3], ["sent", "sent", "delivered"]);
    assert!(!format!("{done:?}").contains("ada@"), "addresses are not read");
}

/// An extract that was taken again, and one that overlaps, count once.
#[test]
fn extracts_may_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let opens = line(1, "u1", "1/5/2026 10:00:00 AM");
    archive(&folder.path().join("a.zip"), &[("Opens.csv", opens.clone())]);
    let once = track(json!({ "extracts": folder.path().join("a.zip") }), deliveries(&[("u1", "a", "sent")])).unwrap();
    archive(&folder.path().join("a.zip"), &[("Opens.csv", opens.repeat(3)), ("again/opens.csv", opens)]);
    let again = track(json!({ "extracts": folder.path().join("a.zip") }), deliveries(&[("u1", "a", "sent")])).unwrap();
    assert_eq!(once.bytes(), again.bytes());
}

#[test]
fn jobs_say_which_variant_they_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let opens = line(1, "u", "1/5/2026 10:00:00 AM") + &line(3, "u", "1/5/2026 10:00:00 AM");
    archive(&path, &[("Opens.csv", opens), ("Clicks.csv", line(2, "u", "1/5/2026 10:00:00 AM"))]);
    let both = || deliveries(&[("u", "a", "sent"), ("u", "b", "sent")]);
    let done = track(json!({ "extracts": path, "jobs": { "a": [1], "b": [2] } }), both()).unwrap();
    assert_eq!((flags(&done, "opened"), flags(&done, "clicked")), (vec![true, false], vec![false, true]));
    assert_eq!(metric(&done, "events_of_other_jobs"), 1.0);
    let error = track(json!({ "extracts": path }), both()).unwrap_err();
    assert_eq!(error.message, "the person of row 1 is sent to a second time");
    let twice =
        Trial::new::<Tracking>(json!({ "extracts": path, "jobs": { "a": [1], "b": [1] } })).check().unwrap_err();
    assert_eq!(twice.message, "job 1 is there twice");
}

/// What the stand-in draws is found again, within four standard deviations.
#[test]
fn known_rates_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("extract.zip");
    let keys: Vec<String> = (0..20_000).map(|n| format!("u{n}")).collect();
    let rates = |n: usize| Rates {
        bounce: 0.03,
        open: if n.is_multiple_of(2) { 0.3 } else { 0.4 },
        click: 0.25,
        unsubscribe: 0.01,
    };
    let people = keys.iter().enumerate().map(|(n, key)| (key.clone(), rates(n)));
    std::fs::write(&path, extract(people, 7, "2026-07-01T12:00:00Z", 1).unwrap()).unwrap();
    let rows: Vec<(&str, &str, &str)> =
        keys.iter().enumerate().map(|(n, key)| (key.as_str(), if n % 2 == 0 { "a" } else { "b" }, "sent")).collect();
    let done = track(json!({ "extracts": path }), deliveries(&rows)).unwrap();
    for (name, value, of) in [
        ("bounce_rate@a", 0.03, "sent@a"),
        ("open_rate@a", 0.3, "delivered@a"),
        ("open_rate@b", 0.4, "delivered@b"),
        ("click_to_open_rate@a", 0.25, "opened@a"),
        ("unsubscribe_rate@b", 0.01, "delivered@b"),
    ] {
        let deviation = (value * (1.0 - value) / metric(&done, of)).sqrt();
        assert!((metric(&done, name) - value).abs() < 4.0 * deviation, "{name}: {}", metric(&done, name));
    }
    let first = numbers(&done, "sent_at")[0].unwrap();
    assert_eq!(jiff::Timestamp::from_microsecond(first).unwrap().to_string(), "2026-07-01T12:00:00Z");
}

#[test]
fn what_is_no_extract_is_refused_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let said = || {
        let error = track(json!({ "extracts": path }), deliveries(&[("u", "a", "sent")])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
        error.to_string()
    };
    std::fs::write(&path, "no archive").unwrap();
    assert!(said().starts_with("a.zip: it is no whole zip archive"));
    archive(&path, &[("Other.csv", String::new())]);
    assert!(said().starts_with("a.zip: there is none of `Sent.csv`"));
    archive(&path, &[("Opens.csv", line(1, "u", "1/5/2026 10:00:00 AM") + &line(1, "u", "soon"))]);
    assert_eq!(said(), "a.zip/Opens.csv:3: `EventDate` is no date and time");
    archive(&path, &[("Opens.csv", "1,2\n".to_owned())]);
    assert_eq!(said(), "a.zip/Opens.csv:2: the row has more or fewer values than the first line");
    // Every prefix of an archive is an error, and no panic.
    archive(&path, &[("Opens.csv", line(1, "u", "1/5/2026 10:00:00 AM"))]);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        said();
    }
}
