//! What gets into a bundle, and who does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{bundle, file, flags, integers, messages, metric, params, table, text, texts};
use serde_json::{Value, json};
use stagewright_plugin::testkit::Trial;
use stagewright_plugin::{ErrorKind, Stage, StageError, Table};
use stagewright_sfmc::Bundle;

fn active(people: &[&str]) -> Table {
    table(vec![text("user_id", people), text("status", &vec!["Active"; people.len()])])
}

fn refused(params: Value, messages: Table, contacts: Table) -> StageError {
    Trial::new::<Bundle>(params).input("messages", messages).input("contacts", contacts).run().unwrap_err()
}

#[test]
fn a_bundle_is_what_marketing_cloud_imports() {
    let people = ["u1", "u2", "u3"];
    let messages = table(vec![
        text("user_id", &people),
        text("subject", &["Only \"today\"", "Für, dich", "x"]),
        text("text", &["Two\nlines", "One", "-"]),
    ]);
    let recommendations = table(vec![
        text("user_id", &["u1", "u1", "u2", "u9"]),
        integers("product_id", [11, 12, 21, 91]),
        integers("rank", [1, 2, 1, 1]),
    ]);
    let contacts = table(vec![
        text("id", &people),
        text("key", &["K-1", "K-2", "K-3"]),
        text("status", &["Active", "active", "Held"]),
        flags("vip", &[Some(true), None, Some(false)]),
    ]);
    let done = Trial::new::<Bundle>(json!({
        "data_extension": { "key": "spring_2026", "name": "Spring 2026" },
        "fields": [
            { "name": "Variant", "from": "variant", "required": true },
            { "name": "Subject", "from": "messages.subject", "length": 200 },
            { "name": "Body", "from": "messages.text", "length": 4000 },
            { "name": "First", "from": "recommendations.product_id", "type": "number", "required": true },
            { "name": "Second", "from": "recommendations.product_id", "rank": 2, "type": "number" },
            { "name": "Vip", "from": "contacts.vip", "type": "boolean" },
        ],
        "variant": "b",
        "columns": { "contact": "id", "subscriber_key": "key" },
    }))
    .input("messages", messages)
    .input("recommendations", recommendations)
    .input("contacts", contacts)
    .run()
    .unwrap();
    assert_eq!(
        file(&done, "spring_2026.csv"),
        "\"SubscriberKey\",\"Variant\",\"Subject\",\"Body\",\"First\",\"Second\",\"Vip\"\r\n\
         \"K-1\",\"b\",\"Only \"\"today\"\"\",\"Two\nlines\",11,12,True\r\n\
         \"K-2\",\"b\",\"Für, dich\",\"One\",21,,\r\n"
    );
    assert_eq!(file(&done, "spring_2026_control.csv"), "\"SubscriberKey\",\"Variant\"\r\n");
    let definition: Value = serde_json::from_str(&file(&done, "data_extension.json")).unwrap();
    assert_eq!((&definition["CustomerKey"], &definition["Name"]), (&json!("spring_2026"), &json!("Spring 2026")));
    assert_eq!(
        definition["Fields"][0],
        json!({ "Name": "SubscriberKey", "FieldType": "Text", "MaxLength": 254, "IsPrimaryKey": true, "IsRequired": true })
    );
    let import: Value = serde_json::from_str(&file(&done, "import.json")).unwrap();
    for (key, value) in [
        ("fileType", json!("CSV")),
        ("encodingName", json!("utf-8")),
        ("hasColumnHeader", json!(true)),
        ("standardQuotedStrings", json!(true)),
        ("dateFormatLocale", json!("en-US")),
        ("updateType", json!("AddUpdate")),
        ("fileNamingPattern", json!("spring_2026.csv")),
    ] {
        assert_eq!(import[key], value, "{key}");
    }
    let manifest: Value = serde_json::from_str(&file(&done, "manifest.json")).unwrap();
    assert_eq!(manifest["counts"], json!({ "sent": 2, "control": 0, "left_out": { "held": 1, "not_in_contacts": 1 } }));
    assert_eq!(manifest["files"][0]["rows"], 2);
    assert_eq!(texts(&done, "deliveries", "user_id"), ["u1", "u2", "u3", "u9"]);
    assert_eq!(texts(&done, "deliveries", "subscriber_key"), ["K-1", "K-2", "K-3", "-"]);
    assert_eq!(texts(&done, "deliveries", "delivery"), ["sent", "sent", "left_out", "left_out"]);
    assert_eq!(texts(&done, "deliveries", "reason"), ["-", "-", "held", "not_in_contacts"]);
    assert_eq!((metric(&done, "sent"), metric(&done, "left_out"), metric(&done, "left_out_held")), (2.0, 2.0, 1.0));
}

/// Every way to say no, in every column that a table may have for it.
#[test]
fn nobody_who_said_no_gets_into_a_bundle() {
    let cases: Vec<(&str, Table)> = vec![
        ("unsubscribed", table(vec![text("user_id", &["u"]), text("status", &["Unsubscribed"])])),
        ("unsubscribed", table(vec![text("user_id", &["u"]), text("status", &[" UNSUBSCRIBED "])])),
        ("held", table(vec![text("user_id", &["u"]), text("Status", &["held"])])),
        ("bounced", table(vec![text("user_id", &["u"]), text("Subscriber Status", &["Bounced"])])),
        ("unknown_status", table(vec![text("user_id", &["u"]), text("status", &["-"])])),
        ("unknown_status", table(vec![text("user_id", &["u"]), text("status", &["Actve"])])),
        ("unknown_status", table(vec![text("user_id", &["u"]), integers("status", [1])])),
        ("opted_out", table(vec![text("user_id", &["u"]), flags("HasOptedOutOfEmail", &[Some(true)])])),
        ("opted_out", table(vec![text("user_id", &["u"]), text("opt_out", &["YES"])])),
        ("opted_out", table(vec![text("user_id", &["u"]), integers("unsubscribed", [1])])),
        ("unknown_status", table(vec![text("user_id", &["u"]), flags("do_not_email", &[None])])),
        ("no_consent", table(vec![text("user_id", &["u"]), flags("consent", &[None])])),
        ("no_consent", table(vec![text("user_id", &["u"]), text("opt_in", &["no"])])),
        ("opted_out", table(vec![text("user_id", &["u"]), text("unsubscribed_at", &["2026-01-05"])])),
        // A column that says yes does not outweigh one that says no.
        (
            "opted_out",
            table(vec![text("user_id", &["u"]), text("status", &["Active"]), flags("opt_out", &[Some(true)])]),
        ),
        // Of two rows the stricter counts, in either order, whatever the case and spaces.
        ("unsubscribed", table(vec![text("user_id", &["u", "U "]), text("status", &["Active", "Unsubscribed"])])),
        ("unsubscribed", table(vec![text("user_id", &[" U", "u"]), text("status", &["Unsubscribed", "Active"])])),
        // The row of another person with the same subscriber key, which is the identity here.
        ("not_in_contacts", table(vec![text("user_id", &["v"]), text("status", &["Active"])])),
    ];
    for (reason, contacts) in cases {
        let columns: Vec<&str> = contacts.names().collect();
        let done = bundle(&["u"], contacts.clone(), None).unwrap();
        assert_eq!(texts(&done, "deliveries", "reason"), [reason], "{columns:?}");
        assert_eq!(file(&done, "spring.csv").lines().count(), 1, "{columns:?}");
        assert!(done.warnings[0].starts_with("nobody is sent to"), "{:?}", done.warnings);
    }
}

#[test]
fn whoever_is_suppressed_is_left_out_in_any_spelling() {
    let contacts = || {
        table(vec![
            text("user_id", &["u1", "u2", "u3", "u4", "u5"]),
            text("key", &["K-1", "K-2", "K-3", "K-4", "K-5"]),
            text("status", &["Active"; 5]),
        ])
    };
    let mut params = params();
    params["columns"] = json!({ "subscriber_key": "key" });
    let run = |suppression: Table| {
        Trial::new::<Bundle>(params.clone())
            .input("messages", messages(&["u1", "u2", "u3", "u4", "u5"]))
            .input("contacts", contacts())
            .input("suppression", suppression)
            .run()
            .map(|done| texts(&done, "deliveries", "reason"))
    };
    let all = table(vec![
        text("SubscriberKey", &[" k-1 ", "K-2", "K-3", "-", "K-4"]),
        text("Status", &["Bounced", "whatever", "-", "Held", "Active"]),
    ]);
    assert_eq!(run(all).unwrap(), ["bounced", "suppressed", "suppressed", "-", "-"]);
    assert_eq!(run(table(vec![text("user_id", &["U5"])])).unwrap(), ["-", "-", "-", "-", "suppressed"]);
    let error = run(table(vec![text("mail", &["x"])])).unwrap_err();
    assert_eq!(error.message, "no column of input `suppression` is known to hold subscriber keys");
}

/// Two people with one key: who of them said no does not matter.
#[test]
fn a_shared_subscriber_key_is_refused_with_whoever_shares_it() {
    let contacts = table(vec![
        text("user_id", &["u1", "u2"]),
        text("key", &["K", "k"]),
        text("status", &["Active", "Unsubscribed"]),
    ]);
    let mut params = params();
    params["columns"] = json!({ "subscriber_key": "key" });
    let trial = Trial::new::<Bundle>(params).input("messages", messages(&["u1", "u2"])).input("contacts", contacts);
    assert_eq!(texts(&trial.run().unwrap(), "deliveries", "reason"), ["unsubscribed", "unsubscribed"]);
}

#[test]
fn whoever_said_nothing_against_it_gets_in() {
    for contacts in [
        table(vec![text("user_id", &["u"]), text("status", &[" ACTIVE "])]),
        table(vec![text("user_id", &["u"]), text("unsubscribed_at", &["-"]), text("opt_out", &["No"])]),
        table(vec![text("user_id", &["u"]), text("opted_out_at", &[""]), integers("held", [0])]),
        table(vec![text("user_id", &[" U "]), flags("opt_in", &[Some(true)]), flags("bounced", &[Some(false)])]),
    ] {
        let columns: Vec<String> = contacts.names().map(str::to_owned).collect();
        assert_eq!(texts(&bundle(&["u"], contacts, None).unwrap(), "deliveries", "delivery"), ["sent"], "{columns:?}");
    }
}

/// Customer 1 is not whoever has the subscriber key 1.
#[test]
fn a_number_of_a_person_is_no_subscriber_key() {
    let contacts = || {
        table(vec![
            text("user_id", &["1", "2", "3"]),
            text("key", &["3", "1", "2"]),
            text("status", &["Unsubscribed", "Active", "Active"]),
        ])
    };
    let mut params = params();
    params["columns"] = json!({ "subscriber_key": "key" });
    let run = |column: &str| {
        let trial = Trial::new::<Bundle>(params.clone()).input("messages", messages(&["1", "2", "3"]));
        let trial = trial.input("contacts", contacts()).input("suppression", table(vec![text(column, &["2"])]));
        texts(&trial.run().unwrap(), "deliveries", "reason")
    };
    assert_eq!(run("subscriber_key"), ["unsubscribed", "-", "suppressed"]);
    assert_eq!(run("user_id"), ["unsubscribed", "suppressed", "-"]);
}

#[test]
fn contacts_that_say_nothing_are_refused() {
    let error = bundle(&["u"], table(vec![text("user_id", &["u"])]), None).unwrap_err();
    assert_eq!(error.message, "no column of input `contacts` says who may be written to");
}

#[test]
fn no_parameter_turns_the_filter_off() {
    let schema = stagewright_plugin::StageType::of::<Bundle>("").descriptor().params.clone();
    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "columns",
            "consent",
            "control",
            "data_extension",
            "fields",
            "file",
            "primary_key",
            "variant",
            "variant_column"
        ]
    );
    // What may be said of consent adds columns, and takes none away.
    let mut params = params();
    params["consent"] = json!({ "consent": ["fine"], "status": "fine" });
    let contacts = table(vec![text("user_id", &["u"]), text("fine", &["Active"]), text("status", &["Unsubscribed"])]);
    let trial = Trial::new::<Bundle>(params).input("messages", messages(&["u"])).input("contacts", contacts);
    assert_eq!(texts(&trial.run().unwrap(), "deliveries", "reason"), ["unsubscribed"]);
}

/// The share is within four standard deviations of a binomial draw; others are drawn by another seed, and by another
/// data extension.
#[test]
fn the_control_group_is_drawn_by_the_seed_alone() {
    let people: Vec<String> = (0..4000).map(|n| format!("u{n}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let run = |seed: u64, key: &str, people: &[&str]| -> Vec<String> {
        let mut params = params();
        params["control"] = json!(0.2);
        params["data_extension"]["key"] = json!(key);
        let trial = Trial::new::<Bundle>(params).seed(seed);
        let done = trial.input("messages", messages(people)).input("contacts", active(people)).run().unwrap();
        let control: usize = texts(&done, "deliveries", "delivery").iter().filter(|kind| *kind == "control").count();
        assert_eq!(file(&done, &format!("{key}_control.csv")).lines().count(), control + 1);
        assert_eq!(file(&done, &format!("{key}.csv")).lines().count(), people.len() - control + 1);
        let who = texts(&done, "deliveries", "user_id").into_iter().zip(texts(&done, "deliveries", "delivery"));
        let mut who: Vec<String> = who.filter(|(_, kind)| kind == "control").map(|(person, _)| person).collect();
        who.sort();
        who
    };
    let control = run(1, "spring", &people);
    let deviation = (4000.0 * 0.2 * 0.8_f64).sqrt();
    assert!((control.len() as f64 - 800.0).abs() < 4.0 * deviation, "{}", control.len());
    let mut reversed = people.clone();
    reversed.reverse();
    assert_eq!(run(1, "spring", &reversed), control, "their order does not matter");
    assert_ne!(run(2, "spring", &people), control);
    assert_ne!(run(1, "autumn", &people), control);
}

#[test]
fn values_that_do_not_fit_are_named_by_their_place_and_not_shown() {
    let secret = "a subject that is longer than twenty";
    let subjects = table(vec![text("user_id", &["u1", "u2"]), text("subject", &["fits", secret])]);
    let error = refused(params(), subjects, active(&["u1", "u2"]));
    assert_eq!(
        (error.location.as_deref(), error.message.as_str()),
        (Some("messages row 2"), "column `subject`: 36 characters, and field `Subject` takes 20")
    );
    let mut required = params();
    required["fields"][0]["required"] = json!(true);
    let error = refused(required, table(vec![text("user_id", &["u"]), text("subject", &["-"])]), active(&["u"]));
    assert_eq!(error.message, "column `subject`: there is no value, and field `Subject` needs one");
    let long = "k".repeat(255);
    let error = refused(params(), messages(&[&long]), active(&[&long]));
    assert!(error.message.contains("255 characters, and field `SubscriberKey` takes 254"), "{error}");
    let error = refused(params(), messages(&["u", "U"]), active(&["u"]));
    assert_eq!(error.message, "the person of row 1 has a second message");
    assert_eq!((error.kind, error.location.as_deref()), (ErrorKind::Data, Some("messages row 2")));
}

#[test]
fn the_same_key_is_not_written_to_twice() {
    let contacts =
        table(vec![text("user_id", &["u1", "u2"]), text("key", &["K", "k"]), text("status", &["Active"; 2])]);
    let mut params = params();
    params["columns"] = json!({ "subscriber_key": "key" });
    let error = refused(params, messages(&["u1", "u2"]), contacts);
    assert_eq!(error.message, "the person of row 1 has the same subscriber key");
    let contacts = table(vec![text("user_id", &["u", "u"]), text("key", &["K", "L"]), text("status", &["Active"; 2])]);
    let mut params = common::params();
    params["columns"] = json!({ "subscriber_key": "key" });
    let error = refused(params, messages(&["u"]), contacts);
    assert_eq!(error.message, "a person has two subscriber keys, in column `key`");
}

#[test]
fn mistakes_in_the_parameters_are_found_before_anything_runs() {
    let said = |change: &dyn Fn(&mut Value)| {
        let mut params = params();
        change(&mut params);
        let error = Trial::new::<Bundle>(params).check().unwrap_err();
        format!("{}: {}", error.path, error.message)
    };
    let found = [
        said(&|params| params["data_extension"]["key"] = json!("a b")),
        said(&|params| params["data_extension"]["name"] = json!("_x")),
        said(&|params| params["fields"][0]["name"] = json!("1st")),
        said(&|params| params["fields"][0]["name"] = json!("subscriberkey")),
        said(&|params| params["fields"][0]["from"] = json!("message.subject")),
        said(&|params| params["fields"][0]["rank"] = json!(2)),
        said(&|params| params["fields"][0]["type"] = json!("date")),
        said(&|params| params["primary_key"] = json!([])),
        said(&|params| params["primary_key"] = json!(["Subjct"])),
        said(&|params| params["primary_key"] = json!(["Subject"])),
        said(&|params| params["control"] = json!(1.0)),
        said(&|params| params["file"] = json!("../x")),
    ];
    let expected = [
        "data_extension/key: `a b` is no external key",
        "data_extension/name: `_x` is no name of a data extension",
        "fields/0/name: `1st` is no name of a field",
        "fields/0/name: the field `subscriberkey` is there twice",
        "fields/0/from: `message.subject` is no place that values come from",
        "fields/0/rank: only recommendations have a rank",
        "fields/0/length: a Date has no length",
        "primary_key: without a primary key nothing can be sent again safely",
        "primary_key/0: there is no field `Subjct`",
        "primary_key/0: the field `Subject` of the primary key may be empty",
        "control: `1` is no share from 0 to below 1",
        "file: `../x` is no name of a file",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_would_leave_is_declared() {
    let bundle: Bundle = serde_json::from_value(params()).unwrap();
    let disclosed: Vec<(&str, Option<Vec<String>>)> =
        bundle.discloses().into_iter().map(|said| (said.port, said.columns)).collect();
    assert_eq!(
        disclosed,
        [("contacts", Some(vec!["user_id".to_owned()])), ("messages", Some(vec!["subject".to_owned()]))]
    );
}

#[test]
fn the_variant_may_be_said_person_by_person() {
    let mut params = params();
    params["variant_column"] = json!("arm");
    params["fields"][0] = json!({ "name": "Variant", "from": "variant", "required": true });
    let messages = table(vec![text("user_id", &["u1", "u2"]), text("arm", &["a", "b"])]);
    let trial = Trial::new::<Bundle>(params).input("messages", messages).input("contacts", active(&["u1", "u2"]));
    let done = trial.run().unwrap();
    assert_eq!(texts(&done, "deliveries", "variant"), ["a", "b"]);
    assert!(file(&done, "spring.csv").ends_with("\"u1\",\"a\"\r\n\"u2\",\"b\"\r\n"));
}
