use polars::prelude::{DataFrame, df};
use serde_json::json;
use stagewright_clean::{Consent, Derive, Join, Pseudonymise, Rename, Select};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{PersonalColumns, StageType};

use crate::{failure, marked, names, personal, refused, values};

const KEY: &str = "0123456789abcdef";

fn people() -> DataFrame {
    df!["id" => [Some(1i64), Some(2), None, Some(2)], "email" => [Some("a@x"), Some("b@x"), Some("a@x"), None]].unwrap()
}

fn pseudonymise(columns: &[&str]) -> Trial {
    Trial::new::<Pseudonymise>(json!({ "columns": columns, "key": "${secret:KEY}" }))
        .input("table", marked(people(), &["email", "id"]))
}

/// Computed with the blake3 package of Python: `blake3(value, key=blake3(b"0123456789abcdef",
/// derive_key_context="stagewright 2026 pseudonym").digest()).hexdigest()[:32]`.
#[test]
fn equal_values_get_equal_pseudonyms_and_the_mark_goes() {
    let done = pseudonymise(&["email"]).secret("KEY", KEY).run().unwrap();
    let pseudonyms = values(&done, "email");
    let pseudonyms: Vec<&str> = pseudonyms.split(' ').collect();
    assert_eq!(pseudonyms[0], "66542ae6462c1c3c4af4f645945a99fd");
    assert_eq!(pseudonyms[0], pseudonyms[2]);
    assert_ne!(pseudonyms[0], pseudonyms[1]);
    assert_eq!((pseudonyms[0].len(), pseudonyms[3]), (32, "null"));
    assert_eq!(personal(&done), ["id"]);
    assert!(!values(&done, "email").contains('@'));
    let other = pseudonymise(&["email"]).secret("KEY", "another key, as long").run().unwrap();
    assert_ne!(values(&other, "email"), values(&done, "email"));
}

#[test]
fn numbers_and_their_digits_agree() {
    let text = df!["id" => ["1", "2"]].unwrap();
    let of_text = Trial::new::<Pseudonymise>(json!({ "columns": ["id"], "key": "${secret:KEY}" }))
        .input("table", marked(text, &["id"]))
        .secret("KEY", KEY)
        .run()
        .unwrap();
    let of_numbers = pseudonymise(&["id"]).secret("KEY", KEY).run().unwrap();
    assert!(values(&of_numbers, "id").starts_with(&values(&of_text, "id")));
    assert_eq!(personal(&of_numbers), ["email"]);
}

#[test]
fn a_key_must_be_there_and_long() {
    let (message, help) = failure(pseudonymise(&["id"]).secret("KEY", "short"));
    assert_eq!(message, "the secret `KEY` is 5 characters long, at least 16 are needed");
    assert!(help.contains("openssl rand"), "{help}");
    let error = pseudonymise(&["id"]).run().unwrap_err();
    assert_eq!(error.message, "the secret `KEY` is not set");
    assert!(refused::<Pseudonymise>(json!({ "columns": ["id", "id"], "key": "${secret:K}" })).contains("named twice"));
}

fn decisions() -> DataFrame {
    df![
        "id" => [1i64, 1, 2, 3, 3, 4],
        "purpose" => ["mail", "mail", "mail", "mail", "mail", "sms"],
        "consent" => [Some(true), Some(false), Some(true), Some(false), Some(true), Some(true)],
        "at" => [1i64, 2, 1, 1, 2, 1],
    ]
    .unwrap()
}

fn consent(params: serde_json::Value) -> Done {
    let rows =
        df!["id" => [Some(1i64), Some(2), Some(3), Some(4), Some(5), None], "name" => ["a", "b", "c", "d", "e", "f"]];
    Trial::new::<Consent>(params)
        .input("table", marked(rows.unwrap(), &["name"]))
        .input("consent", crate::table(decisions()))
        .run()
        .unwrap()
}

#[test]
fn the_latest_decision_about_the_purpose_counts() {
    let done = consent(json!({ "user": "id", "purpose": "mail", "purpose_column": "purpose", "time": "at" }));
    assert_eq!(values(&done, "id"), "2 3");
    assert_eq!(done.warnings, ["4 rows without consent: left out"]);
    assert_eq!(done.metrics("metrics").values["consent_rate"].value, Some(2.0 / 6.0));
    assert_eq!(personal(&done), ["name"]);
}

#[test]
fn without_a_time_one_refusal_is_enough() {
    let done = consent(json!({ "user": "id", "purpose": "mail", "purpose_column": "purpose" }));
    assert_eq!(values(&done, "id"), "2");
}

#[test]
fn masked_rows_stay_without_what_is_known_of_them() {
    let done = consent(json!({ "user": "id", "time": "at", "action": "mask", "mask": ["name"] }));
    assert_eq!(values(&done, "name"), "null b c d null null");
    assert_eq!(names(&done), ["id", "name"]);
}

#[test]
fn decisions_may_stand_in_the_table_itself() {
    let done = Trial::new::<Consent>(json!({ "user": "id" })).input("table", crate::table(decisions())).run().unwrap();
    assert_eq!(values(&done, "id"), "1 2 3 4");
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert_eq!(
        refused::<Consent>(json!({ "purpose": "mail" })),
        "purpose_column: `purpose` and `purpose_column` are given together"
    );
    assert_eq!(refused::<Consent>(json!({ "action": "mask" })), "mask: no column to blank is named");
}

/// What the plan is told for a type and parameters, of a table whose column `email` is personal.
fn followed<S: stagewright_contract::Stage>(params: serde_json::Value) -> Vec<String> {
    let inputs = PersonalColumns::from([("table".to_owned(), ["email".to_owned()].into())]);
    let configured = StageType::of::<S>("test").configure(&params).unwrap();
    configured.personal(&inputs).remove("table").unwrap_or_default().into_iter().collect()
}

#[test]
fn marks_are_followed_before_anything_runs() {
    assert!(followed::<Select>(json!({ "columns": ["id"] })).is_empty());
    assert!(followed::<Select>(json!({ "drop": ["email"] })).is_empty());
    assert_eq!(followed::<Select>(json!({ "columns": ["email"] })), ["email"]);
    assert_eq!(followed::<Rename>(json!({ "columns": { "email": "contact" } })), ["contact"]);
    let domain = json!({ "columns": { "domain": "SPLIT_PART(email, '@', 2)", "one": "id + 1" } });
    assert_eq!(followed::<Derive>(domain), ["domain", "email"]);
    assert!(followed::<Pseudonymise>(json!({ "columns": ["email"], "key": "${secret:K}" })).is_empty());
    let inputs = PersonalColumns::from([("right".to_owned(), ["email".to_owned(), "id".to_owned()].into())]);
    let join = StageType::of::<Join>("test").configure(&json!({ "left_on": ["user_id"], "right_on": ["id"] })).unwrap();
    let found: Vec<String> = join.personal(&inputs).remove("table").unwrap().into_iter().collect();
    assert_eq!(found, ["email", "email_right", "id", "id_right", "user_id"]);
}
