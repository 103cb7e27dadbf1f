//! What becomes of messages that people decide about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, IntoLazy, df, lit};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{StageError, Table};
use stagewright_frame::testkit::{frame, table};
use stagewright_generate::Review;

fn messages() -> DataFrame {
    df![
        "user_id" => [1_i64, 2, 3, 4],
        "message_id" => ["a", "b", "c", "d"],
        "subject" => [Some("Tea"), None, Some("Salt"), Some("Oil")],
        "text" => ["We have tea for you today.", "We have milk for you.", "We have salt.", "We have oil."],
    ]
    .unwrap()
}

/// Runs the stage with a file of decisions of its own.
fn review(name: &str, decisions: Option<&str>, params: Value) -> Result<Done, StageError> {
    let path = std::env::temp_dir().join(format!("stagewright-review-{}-{name}.csv", std::process::id()));
    if let Some(text) = decisions {
        std::fs::write(&path, text).unwrap();
    }
    let mut all = json!({ "decisions": path });
    all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
    let mut input: Table = table(messages());
    input.mark_personal(["user_id"]);
    let done = Trial::new::<Review>(all).input("messages", input).run();
    let _ = std::fs::remove_file(path);
    done
}

fn texts(done: &Done, port: &str, name: &str) -> Vec<Option<String>> {
    let frame = frame(&done.table(port));
    frame.column(name).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

fn some(list: &[&str]) -> Vec<Option<String>> {
    list.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn without_decisions_everything_is_pending() {
    let done = review("none", None, json!({})).unwrap();
    assert_eq!(texts(&done, "pending", "message_id"), some(&["a", "b", "c", "d"]));
    assert_eq!(texts(&done, "pending", "reasons"), [None, None, None, None]);
    assert_eq!((done.table("approved").rows(), done.table("rejected").rows()), (0, 0));
    assert_eq!(
        done.table("approved").names().collect::<Vec<_>>(),
        ["user_id", "message_id", "subject", "text", "decision", "reviewer", "note"]
    );
    assert!(["approved", "pending", "rejected"].iter().all(|port| done.table(port).is_personal("user_id")));
}

#[test]
fn each_decision_has_its_output() {
    let file = "message_id,decision,subject,text,reviewer,note\n\
                d,approve,,,Ann,fine\n\
                b,edit,Milk,\"We have fresh milk for you, and cocoa.\",Ann,\n\
                a,reject,,,,dull\n\
                z,approve,,,,\n";
    let done = review("each", Some(file), json!({})).unwrap();
    assert_eq!(texts(&done, "approved", "message_id"), some(&["b", "d"]));
    assert_eq!(texts(&done, "approved", "subject"), some(&["Milk", "Oil"]));
    assert_eq!(texts(&done, "approved", "text"), some(&["We have fresh milk for you, and cocoa.", "We have oil."]));
    assert_eq!(texts(&done, "approved", "decision"), some(&["edit", "approve"]));
    assert_eq!(texts(&done, "approved", "note"), [None, Some("fine".to_owned())]);
    assert_eq!(texts(&done, "rejected", "note"), some(&["dull"]));
    assert_eq!(texts(&done, "pending", "message_id"), some(&["c"]));
    assert_eq!(done.warnings, ["1 decision about messages that are not among these: passed over"]);
    let values = &done.metrics("metrics").values;
    let value = |name: &str| values[name].value.unwrap();
    assert_eq!(["messages", "approved", "edited", "rejected", "pending"].map(value), [4.0, 2.0, 1.0, 1.0, 1.0]);
}

#[test]
fn an_edit_that_fails_a_check_stays_pending() {
    let file = "message_id,decision,text\na,edit,\"Act now, dear [Name], and we have tea for you.\"\n";
    let done = review("fails", Some(file), json!({})).unwrap();
    assert_eq!(texts(&done, "pending", "message_id")[0].as_deref(), Some("a"));
    assert_eq!(texts(&done, "pending", "text")[0].as_deref(), Some("We have tea for you today."));
    assert_eq!(texts(&done, "pending", "reasons")[0].as_deref(), Some("false urgency `Act now`; placeholder `[Name]`"));
    assert_eq!(done.warnings, ["1 edited text fails a check and stays pending: see `reasons`"]);
    let lenient = json!({ "checks": { "urgency": [], "placeholders": false } });
    assert_eq!(review("lenient", Some(file), lenient).unwrap().table("approved").rows(), 1);
}

#[test]
fn what_does_not_fit_is_an_error_with_its_line() {
    let error = review("fit", Some("message_id,decision,text\n\na,approve,Other\n"), json!({})).unwrap_err();
    assert!(
        error.to_string().ends_with("fit.csv:3: the decision is `approve`, but the text is not that of the message"),
        "{error}"
    );
    let twice = messages().vstack(&messages()).unwrap();
    let error = Trial::new::<Review>(json!({})).input("messages", table(twice)).run().unwrap_err();
    assert_eq!(error.message, "the message `a` is there twice");
    let taken = messages().lazy().with_column(lit("x").alias("note")).collect().unwrap();
    let error = Trial::new::<Review>(json!({})).input("messages", table(taken)).run().unwrap_err();
    assert_eq!(error.message, "`note` is another column of the outputs");
}
