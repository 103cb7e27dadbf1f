#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Goal, StageError, StageType};
use stagewright_frame::testkit::{frame, table};

use super::Campaign;

/// Eight recipients of arm `a`, four of arm `b`, who got no message.
fn responses() -> DataFrame {
    df![
        "arm" => ["a", "a", "a", "a", "a", "a", "a", "a", "b", "b", "b", "b"],
        "sent" => [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
        "bounced" => [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0],
        "opens" => [3, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0],
        "clicks" => [Some(2), Some(1), None, Some(0), Some(0), Some(0), Some(0), Some(0), None, None, None, None],
        "unsubscribed" => [false, false, false, true, false, false, false, false, false, false, false, false],
        "bought" => [1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0],
        "orders" => [2, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0],
        "revenue" => [30.0, 0.0, 0.0, 0.0, 12.0, 0.0, 6.0, 0.0, 8.0, 0.0, 0.0, 0.0],
        "is_new" => [1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    ]
    .unwrap()
}

fn everything() -> Value {
    json!({
        "arm": "arm", "sent": "sent", "bounced": "bounced", "opened": "opens", "clicked": "clicks",
        "unsubscribed": "unsubscribed", "converted": "bought", "orders": "orders", "revenue": "revenue",
        "new_customer": "is_new", "fixed_cost": 4.0, "cost_per_message": 0.5, "margin": 0.5, "control": "b",
        "retention": 0.8, "discount": 0.2,
    })
}

fn with(mut params: Value, more: Value) -> Value {
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn run(port: &str, frame: DataFrame, params: Value) -> Result<Done, StageError> {
    Trial::new::<Campaign>(params).input(port, table(frame)).run()
}

/// A row of `rates`: what is divided by what, and what comes of it.
fn rate(done: &Done, arm: Option<&str>, name: &str) -> (String, f64, String, f64, Option<f64>, Option<f64>) {
    let rates = frame(&done.table("rates"));
    let text = |column: &str, row: usize| rates.column(column).unwrap().str().unwrap().get(row);
    let number = |column: &str, row: usize| rates.column(column).unwrap().f64().unwrap().get(row);
    let is_it = |row: &usize| text("arm", *row) == arm && text("rate", *row) == Some(name);
    let row = (0..rates.height()).find(is_it).unwrap_or_else(|| panic!("no {name} of {arm:?}"));
    let of = |column: &str| text(column, row).unwrap().to_owned();
    let value_of = |column: &str| number(column, row).unwrap();
    let (numerator, denominator) = (of("numerator"), of("denominator"));
    (
        numerator,
        value_of("numerator_value"),
        denominator,
        value_of("denominator_value"),
        number("value", row),
        number("upper", row),
    )
}

#[test]
fn rates_say_what_is_divided_by_what() {
    let done = run("responses", responses(), everything()).unwrap();
    // Counted by hand: of 8 sent, 2 bounced; of 6 delivered, 4 opened, 2 clicked, 1 left, 2 bought (a third buyer's
    // message had bounced). Costs are 8 * 0.5 + 4. The four recipients of
    // arm b bring 8.
    for (name, numerator, a, denominator, b) in [
        ("delivery_rate", "delivered", 6.0, "sent", 8.0),
        ("bounce_rate", "bounced", 2.0, "sent", 8.0),
        ("open_rate", "opened", 4.0, "delivered", 6.0),
        ("click_through_rate", "clicked", 2.0, "delivered", 6.0),
        ("click_to_open_rate", "clicked", 2.0, "opened", 4.0),
        ("unsubscribe_rate", "unsubscribed", 1.0, "delivered", 6.0),
        ("conversion_rate", "converted", 2.0, "delivered", 6.0),
        ("customer_acquisition_cost", "cost", 8.0, "new_customers", 2.0),
        ("average_order_value", "revenue", 48.0, "orders", 4.0),
        ("revenue_per_recipient", "revenue", 48.0, "recipients", 8.0),
        // 0.5 * (48 - 8 * 2) - 8.
        ("return_on_investment", "incremental_margin - cost", 8.0, "cost", 8.0),
        // 0.5 * 48 / 3 buyers, of whom 0.8 stay.
        ("customer_lifetime_value", "margin_per_buyer * retention", 6.4, "1 + discount - retention", 0.4),
    ] {
        let (found_numerator, found_a, found_denominator, found_b, value, upper) = rate(&done, Some("a"), name);
        assert_eq!((found_numerator.as_str(), found_denominator.as_str()), (numerator, denominator), "{name}");
        assert!((found_a - a).abs() < 1e-12 && (found_b - b).abs() < 1e-12, "{name}: {found_a} / {found_b}");
        assert!((value.unwrap() - a / b).abs() < 1e-12, "{name}: {value:?}");
        assert_eq!(upper.is_some(), name.ends_with("_rate"), "{name}");
        let metrics = done.metrics("metrics");
        assert_eq!(metrics.values[&format!("{name}:a")].value, value);
    }
    let metrics = done.metrics("metrics");
    assert_eq!((metrics.values["open_rate"].value, metrics.values["open_rate:b"].value), (Some(4.0 / 6.0), None));
    assert_eq!(metrics.values["bounce_rate"].goal, Goal::Minimize);
    assert_eq!((metrics.values["revenue"].value, metrics.values["cost"].value), (Some(56.0), Some(8.0)));
    let figure = done.figure("rates_figure");
    assert_eq!(figure.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn conversions_are_divided_by_what_was_asked() {
    let of = |what: &str| {
        let done = run("responses", responses(), with(everything(), json!({ "conversion_of": what }))).unwrap();
        let (numerator, a, denominator, b, ..) = rate(&done, Some("a"), "conversion_rate");
        format!("{numerator} {a} / {denominator} {b}")
    };
    assert_eq!(of("clicked"), "converted_clickers 1 / clicked 2");
    assert_eq!(of("recipients"), "buyers 3 / recipients 8");
}

#[test]
fn what_was_not_observed_has_no_rate() {
    let done = run("responses", responses(), json!({ "opened": "opens" })).unwrap();
    let rates = frame(&done.table("rates"));
    let names: Vec<_> = rates.column("rate").unwrap().str().unwrap().iter().flatten().collect();
    assert_eq!(names, ["open_rate"]);
    // Everybody was sent one, and all were delivered.
    assert_eq!(done.metrics("metrics").values["open_rate"].value, Some(5.0 / 12.0));
    assert_eq!(done.figure("rates_figure").series[0].name, "all");
}

#[test]
fn without_control_the_whole_margin_counts() {
    let mut params = everything();
    params.as_object_mut().unwrap().remove("control");
    let done = run("responses", responses(), params).unwrap();
    let (numerator, a, ..) = rate(&done, Some("a"), "return_on_investment");
    assert_eq!((numerator.as_str(), a), ("margin - cost", 0.5 * 48.0 - 8.0));
}

/// The same campaign as events, in disorder, with a second click and an unknown word.
fn events() -> DataFrame {
    let mut rows: Vec<(&str, i64, &str, f64, bool)> = Vec::new();
    for user in 1..=8 {
        rows.push(("a", user, "Sent", 0.0, false));
    }
    rows.extend([7, 8].map(|user| ("a", user, "bounce", 0.0, false)));
    rows.extend([1, 1, 2, 3, 4].map(|user| ("a", user, "open", 0.0, false)));
    rows.extend([1, 2, 1].map(|user| ("a", user, "Click", 0.0, false)));
    rows.extend([("a", 4, "unsubscribe", 0.0, false), ("a", 4, "complaint", 0.0, false)]);
    rows.extend([
        ("a", 1, "purchase", 10.0, true),
        ("a", 5, "purchase", 12.0, false),
        ("a", 1, "purchase", 20.0, true),
    ]);
    df![
        "variant" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "user_id" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "event" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
        "amount" => rows.iter().map(|row| row.3).collect::<Vec<_>>(),
        "first" => rows.iter().map(|row| row.4).collect::<Vec<_>>(),
    ]
    .unwrap()
}

#[test]
fn events_are_counted_once_per_user() {
    let params = json!({ "arm": "variant", "revenue": "amount", "new_customer": "first", "fixed_cost": 10.0 });
    let done = run("events", events(), params.clone()).unwrap();
    for (name, a, b) in [
        ("delivery_rate", 6.0, 8.0),
        ("open_rate", 4.0, 6.0),
        ("click_through_rate", 2.0, 6.0),
        ("unsubscribe_rate", 1.0, 6.0),
        ("conversion_rate", 2.0, 6.0),
        ("average_order_value", 42.0, 3.0),
        ("customer_acquisition_cost", 10.0, 1.0),
    ] {
        let (_, found_a, _, found_b, ..) = rate(&done, Some("a"), name);
        assert_eq!((found_a, found_b), (a, b), "{name}");
    }
    assert_eq!(
        done.warnings,
        ["1 of 23 events are left out: no `user_id`, or `event` is none of sent, delivered, bounce, open, click, \
          unsubscribe, conversion"]
    );
    assert_eq!(run("events", events().reverse(), params).unwrap().bytes(), done.bytes());
}

#[test]
fn more_clicks_than_opens_are_warned_about() {
    let frame = df!["open" => [1, 0, 0], "click" => [1, 1, 0]].unwrap();
    let done = run("responses", frame, json!({ "opened": "open", "clicked": "click" })).unwrap();
    let (.., value, upper) = rate(&done, None, "click_to_open_rate");
    assert_eq!((value, upper), (Some(2.0), None));
    assert_eq!(
        done.warnings,
        ["more people clicked than opened: that click-to-open rate is above 1 and has no interval"]
    );
}

#[test]
fn mistakes_are_named() {
    let error = Trial::new::<Campaign>(json!({})).run().unwrap_err();
    assert_eq!(error.message, "neither `responses` nor `events` is connected");
    let error = run("responses", responses(), with(everything(), json!({ "control": "c" }))).unwrap_err();
    assert_eq!(error.message, "no recipient is in the control arm `c`");
    let error = run("responses", responses(), json!({ "opened": "open" })).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.help.as_deref()),
        ("there is no column `open`", Some("did you mean `opens`?"))
    );
    let check = |params: Value| Trial::new::<Campaign>(params).check().unwrap_err().to_string();
    assert_eq!(check(json!({ "delivered": "d", "bounced": "b" })), "bounced: `delivered` is named, too");
    assert_eq!(check(json!({ "control": "b" })), "control: there are no arms without `arm`");
    assert_eq!(
        check(json!({ "retention": 1.0, "discount": 0.0 })),
        "retention: customers who never leave have no finite value"
    );
}

#[test]
fn arms_are_disclosed() {
    let stage = StageType::of::<Campaign>("test").configure(&json!({ "arm": "gender" })).unwrap();
    let columns = ["gender", "email"].map(str::to_owned).into();
    let outputs = stage.personal(&[("responses".to_owned(), columns)].into());
    assert_eq!(outputs["rates"].iter().collect::<Vec<_>>(), ["arm"]);
    assert_eq!(stage.discloses()[0].columns.as_deref(), Some(&["gender".to_owned()][..]));
}
