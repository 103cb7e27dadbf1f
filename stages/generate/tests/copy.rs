//! What the provider `template` writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{catalogue, recommendations, users};
use polars::prelude::df;
use serde_json::{Value, json};
use stagewright_contract::StageType;
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

#[test]
fn texts_read_well() {
    let done = run(json!({ "template": { "currency": "£" }, "columns": { "products_key": "id", "price": "price" } }));
    assert_eq!(done.warnings, [""; 0]);
    let texts = column(&done, "table", "text");
    assert_eq!(texts.len(), 20);
    for (subject, text) in column(&done, "table", "subject").iter().zip(&texts) {
        assert!(!subject.contains('\n') && subject.starts_with(char::is_uppercase), "{subject}");
        for slip in ["  ", " ,", " .", "..", ",,", "\n\n\n", "null", "none", "undefined", "{", "%%"] {
            assert!(!text.contains(slip) && !subject.contains(slip), "`{slip}` in {subject}: {text}");
        }
        assert!(text.ends_with("\nYour shop team"), "{text}");
    }
    let distinct: BTreeSet<&String> = texts.iter().collect();
    assert!(distinct.len() >= 19, "{} of 20 texts differ", distinct.len());
}

#[test]
fn a_text_depends_on_the_seed_and_the_user_alone() {
    let first = run(json!({}));
    assert_eq!(run(json!({})).bytes(), first.bytes());
    let other = trial(json!({})).seed(43).run().unwrap();
    assert_ne!(column(&other, "table", "text"), column(&first, "table", "text"));
    let shuffled = Trial::new::<Messages>(json!({ "columns": { "products_key": "id" } }))
        .input("recommendations", table(recommendations().reverse()))
        .input("products", table(catalogue()))
        .run()
        .unwrap();
    assert_eq!(column(&shuffled, "table", "text"), column(&first, "table", "text"));
    // One user alone gets the same text and the same identifier.
    let one = Trial::new::<Messages>(json!({ "columns": { "products_key": "id" } }))
        .input("recommendations", table(recommendations().slice(2, 3)))
        .input("products", table(catalogue()))
        .run()
        .unwrap();
    assert_eq!(column(&one, "table", "message_id")[0], column(&first, "table", "message_id")[1]);
}

#[test]
fn texts_of_your_own_replace_the_built_in_ones() {
    let done = run(json!({ "top": 2, "merge_fields": ["first_name"], "template": {
        "subjects": ["{{ count|number|capital }} for you"],
        "greetings": ["Dear {{ merge.first_name }},"],
        "openings": ["As {{ user.segment|with_article }} customer you get {{ count }} \
            {{ plural(count, 'idea', 'ideas') }}."],
        "bodies": ["{{ products|map(attribute='name')|join_and }}\
            {% if first.reason %}: {{ first.reason }}{% endif %}."],
        "closings": ["Yours,"], "signatures": ["{{ sender }}"] } }));
    assert_eq!(column(&done, "table", "subject")[0], "Two for you");
    assert_eq!(
        column(&done, "table", "text")[0],
        "Dear %%first_name%%,\n\nAs an occasional customer you get 2 ideas.\n\nOrange Juice and Greek Olive Oil.\n\n\
         Yours,\n\n\
         Your shop team"
    );
}

#[test]
fn mistakes_in_templates_are_named() {
    let check = |template: Value| trial(json!({ "template": template })).check().unwrap_err();
    let error = check(json!({ "bodies": ["ok", "{{ prodcuts }}"] }));
    assert_eq!(error.to_string(), "template/bodies/1: the template names `prodcuts`, which there is not");
    assert_eq!(error.help.unwrap(), "did you mean `products`?");
    let error = trial(json!({ "template": { "bodies": ["{{ first.nmae }}"] } })).run().unwrap_err();
    assert_eq!(error.message, "the template `template/bodies/0` reads `first.nmae` (line 1), which there is not");
    assert_eq!(error.help.unwrap(), "did you mean `name`?");
    let error = trial(json!({ "template": { "greetings": ["{{ merge.name }}"] }, "merge_fields": ["first_name"] }));
    let error = error.run().unwrap_err();
    assert_eq!(error.message, "the template `template/greetings/0` reads `merge.name` (line 1), which there is not");
}

#[test]
fn texts_that_fail_are_quarantined() {
    let done = run(json!({ "template": { "closings": ["Hurry!", "All is guaranteed."] }, "regenerate": 0 }));
    assert_eq!((done.table("table").rows(), done.table("quarantine").rows()), (0, 20));
    let reasons: BTreeSet<String> = column(&done, "quarantine", "reasons").into_iter().collect();
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["banned claim `guaranteed`", "false urgency `Hurry`"]);
    assert!(
        done.warnings[0].starts_with("20 of 20 messages are in `quarantine`, since their last text failed a check: ")
    );
    // With one good closing among them, other attempts find it.
    let closings = ["Hurry!", "All is guaranteed.", "Until soon."];
    let done = run(json!({ "template": { "closings": closings }, "regenerate": 20 }));
    assert_eq!((done.table("table").rows(), done.table("quarantine").rows()), (20, 0));
    assert!(column(&done, "table", "text").iter().all(|text| text.contains("Until soon.")));
}

#[test]
fn only_columns_that_templates_name_are_disclosed() {
    let disclosed = |params: Value| -> Vec<String> {
        let stage = StageType::of::<Messages>("test").configure(&params).unwrap();
        let of = stage.discloses();
        assert_eq!(of.iter().map(|one| one.port).collect::<Vec<_>>(), ["recommendations", "products", "users"]);
        of[0].columns.clone().unwrap()
    };
    let built_in = disclosed(json!({ "columns": { "name": "title" } }));
    for column in ["title", "category", "reason"] {
        assert!(built_in.contains(&column.to_owned()), "{built_in:?}");
    }
    assert!(!built_in.iter().any(|column| ["user_id", "email", "price"].contains(&column.as_str())), "{built_in:?}");
    let prompt = |prompt: &str| {
        disclosed(json!({ "provider": "openai",
            "openai": { "base_url": "http://127.0.0.1:1/v1", "model": "m", "system": "", "prompt": prompt } }))
    };
    assert_eq!(prompt("Never name an email. {{ user.age }}"), ["age", "user"]);
    assert_eq!(
        prompt("{{ user['first name'] }} {{ first.label }}"),
        ["category", "first", "first name", "label", "name", "user"]
    );
}

#[test]
fn what_no_template_names_cannot_get_into_a_text() {
    // Even a template that prints all there is sees no other column.
    let bodies = json!({ "bodies": ["{{ user }} {{ products }}"], "subjects": ["x"], "greetings": ["x"],
        "openings": ["x"], "closings": ["x"], "signatures": ["x"] });
    let mut users = table(users());
    users.mark_personal(["first_name"]);
    let done = Trial::new::<Messages>(json!({ "template": bodies, "checks": { "placeholders": false, "language": null,
            "min_words": 0 }, "columns": { "products_key": "id" } }))
    .input("recommendations", table(recommendations()))
    .input("products", table(catalogue()))
    .input("users", users)
    .run()
    .unwrap();
    let text = &column(&done, "table", "text")[0];
    assert!(!text.contains("Name") && !text.contains("Olive"), "{text}");
}

#[test]
fn personal_columns_are_tracked() {
    let stage = StageType::of::<Messages>("test").configure(&json!({})).unwrap();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let personal = |columns: &[&str]| {
        stage.personal(&[("recommendations".to_owned(), set(columns)), ("users".to_owned(), set(&["email"]))].into())
    };
    assert_eq!(personal(&["user_id", "x"])["table"], set(&["user_id"]));
    assert_eq!(personal(&["x"])["quarantine"], set(&[]));
    // The value of a personal column that a name of a product happens to hold is noticed.
    let mut users = table(users());
    users.mark_personal(["first_name"]);
    let done = Trial::new::<Messages>(json!({ "template": { "closings": ["Name1 and others agree."] },
            "columns": { "products_key": "id" } }))
    .input("recommendations", table(recommendations()))
    .input("products", table(catalogue()))
    .input("users", users)
    .run()
    .unwrap();
    assert_eq!(column(&done, "quarantine", "reasons"), ["the value of the personal column `first_name`"]);
}

#[test]
fn what_is_left_out_is_said() {
    let recommendations = df![
        "user_id" => [Some(1_i64), Some(1), None, Some(2)],
        "product_id" => [Some("p1"), Some("p1"), Some("p1"), Some("p99")],
        "rank" => [2_i64, 1, 1, 1],
    ]
    .unwrap();
    let done = Trial::new::<Messages>(json!({ "columns": { "products_key": "id" } }))
        .input("recommendations", table(recommendations))
        .input("products", table(catalogue()))
        .run()
        .unwrap();
    assert_eq!(done.table("table").rows(), 1);
    assert_eq!(
        done.warnings,
        [
            "1 of 4 recommendations are left out: `user_id` or `product_id` is missing",
            "1 recommendation left out: the product has no row or no `name` in `products`",
            "1 user without a product that can be named: no message",
        ]
    );
}

#[test]
fn params_are_checked() {
    let message = |params: Value| Trial::new::<Messages>(params).check().unwrap_err().to_string();
    for (params, expected) in [
        (json!({ "provider": "openai" }), "openai: the provider `openai` needs these parameters"),
        (json!({ "merge_fields": ["%%x%%"] }), "merge_fields/0: `%%x%%` is not the name of a field"),
        (json!({ "columns": { "user": "text" } }), "columns/user: `text` is another column of the output"),
        (json!({ "columns": { "product": "user_id" } }), "columns/product: `user_id` is the user column, too"),
    ] {
        assert_eq!(message(params), expected);
    }
    let openai = |more: Value| {
        let mut service = json!({ "base_url": "http://127.0.0.1:1/v1", "model": "m" });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message(json!({ "provider": "openai", "openai": service }))
    };
    assert_eq!(
        openai(json!({ "base_url": "ftp://x" })),
        "openai/base_url: `ftp://x` is not the address of a service: it begins with neither `http://` nor `https://`"
    );
    assert_eq!(
        openai(json!({ "base_url": "http://a:b@x" })),
        "openai/base_url: the address holds a name or a password"
    );
    assert_eq!(openai(json!({ "prompt": "{{ usr }}" })), "openai/prompt: the template names `usr`, which there is not");
    assert_eq!(
        openai(json!({ "extra": { "model": 1 } })),
        "openai/extra/model: `model` is not another field of the request"
    );
    assert_eq!(openai(json!({ "budget": { "cost": 1 } })), "openai/budget/cost: costs are not known without prices");
    assert_eq!(
        openai(json!({ "timeout": 0 })),
        "openai/timeout: 0 is not a time in seconds, above 0 and at most a day"
    );
}
