//! What the provider `template` writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{catalogue, recommendations, users};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_frame::testkit::{frame, table};
use stagewright_generate::Messages;

fn trial(params: Value) -> Trial {
    let mut all = json!({ "columns": { "products_key": "id" } });
    all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
    Trial::new::<Messages>(all)
        .input("recommendations", table(recommendations()))
        .input("products", table(catalogue()))
        .input("users", table(users()))
}

fn run(params: Value) -> Done {
    trial(params).run().unwrap()
}

fn column(done: &Done, port: &str, name: &str) -> Vec<String> {
    let frame = frame(&done.table(port));
    frame.column(name).unwrap().str().unwrap().iter().map(|text| text.unwrap_or("null").to_owned()).collect()
}

/// `cargo test -p stagewright-generate --test copy -- --ignored --nocapture` to read them.
#[test]
#[ignore = "prints messages for a person to read"]
fn read_them() {
    for tone in ["friendly", "formal", "concise"] {
        let done = run(json!({ "template": { "tone": tone, "currency": "£", "sender": "The Corner Shop" },
            "columns": { "products_key": "id", "price": "price" }, "merge_fields": ["first_name"] }));
        for (subject, text) in column(&done, "table", "subject").iter().zip(column(&done, "table", "text")) {
            println!("───── {tone}\nSubject: {subject}\n\n{text}\n");
        }
        println!("{:?}", done.warnings);
    }
}
