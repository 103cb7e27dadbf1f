#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use polars::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Stage, StageError};
use stagewright_frame::testkit::{frame, table};

use super::{Feature, History};

/// A row of a made-up table; `None` is null.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    user: Option<i64>,
    number: Option<i64>,
    product: Option<i64>,
    department: Option<i64>,
    reordered: Option<i64>,
    at: Option<i64>,
}

/// Twelve users with up to eight orders of up to six items of twenty products; one value in fifty is unknown, and the
/// items of an order are up to two minutes apart.
fn draw(seed: u64) -> Vec<Line> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lines = Vec::new();
    for user in 0..12 {
        let mut at = rng.random_range(0..50);
        for number in 1..=rng.random_range(1..=8) {
            at += rng.random_range(1..30);
            for _ in 0..rng.random_range(1..=6) {
                let product = rng.random_range(0..20);
                let mut known = |value: i64| (!rng.random_bool(0.02)).then_some(value);
                let (user, number, department) = (known(user), known(number), known(product % 4));
                let product = known(product);
                let (reordered, at) = (rng.random_range(0..=1), at + rng.random_range(0..=2));
                let mut known = |value: i64| (!rng.random_bool(0.02)).then_some(value);
                lines.push(Line { user, number, product, department, reordered: known(reordered), at: known(at) });
            }
        }
    }
    // The order of rows has no meaning.
    for last in (1..lines.len()).rev() {
        lines.swap(last, rng.random_range(0..=last));
    }
    lines
}

fn purchases(lines: &[Line]) -> DataFrame {
    let column = |value: fn(&Line) -> Option<i64>| lines.iter().map(value).collect::<Vec<_>>();
    df!(
        "user_id" => column(|line| line.user),
        "order_number" => column(|line| line.number),
        "product_id" => column(|line| line.product),
        "department_id" => column(|line| line.department),
        "reordered" => column(|line| line.reordered),
        "at" => column(|line| line.at),
    )
    .unwrap()
}

fn run(params: Value, lines: &[Line], reference: Option<&[Line]>) -> Result<Done, StageError> {
    let trial = Trial::new::<History>(params).input("table", table(purchases(lines)));
    match reference {
        Some(reference) => trial.input("reference", table(purchases(reference))).run(),
        None => trial.run(),
    }
}

const ALL: [Feature; 5] =
    [Feature::User, Feature::UserDepartment, Feature::UserProduct, Feature::Product, Feature::Department];

/// Everything, with nothing carried.
fn all(time: Option<&str>) -> Value {
    let mut params = json!({ "features": ALL, "carry": [] });
    if let Some(time) = time {
        params["time"] = time.into();
    }
    params
}

fn numbers(frame: &DataFrame, name: &str) -> Vec<Option<f64>> {
    frame.column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().iter().collect()
}

/// The features of each row, in the order of their names in [`ALL`].
fn features(done: &Done) -> Vec<Vec<Option<f64>>> {
    let out = frame(&done.table("table"));
    let columns: Vec<_> = ALL.iter().flat_map(|feature| feature.columns()).map(|name| numbers(&out, name)).collect();
    (0..out.height()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

/// The features of a row as their definition has them: by looking through all rows.
fn by_definition(line: &Line, lines: &[Line], past: &[Line], timed: bool) -> Vec<Option<f64>> {
    let (Some(user), Some(number)) = (line.user, line.number) else { return vec![None; 18] };
    let mine: Vec<&Line> =
        lines.iter().filter(|l| l.user == Some(user) && l.number.is_some_and(|other| other < number)).collect();
    let orders = |of: &[&Line]| of.iter().map(|l| (l.user, l.number)).collect::<BTreeSet<_>>().len() as f64;
    let rate = |of: &[&Line]| {
        let known: Vec<i64> = of.iter().filter_map(|l| l.reordered).collect();
        (!known.is_empty()).then(|| known.iter().sum::<i64>() as f64 / known.len() as f64)
    };
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let (all, items) = (orders(&mine), mine.len() as f64);
    let products = mine.iter().filter_map(|l| l.product).collect::<BTreeSet<_>>().len() as f64;
    let mut out = vec![Some(all), Some(items), Some(products), share(items, all), rate(&mine)];

    let pair = |thing: fn(&Line) -> Option<i64>| {
        if thing(line).is_none() {
            return [None; 4];
        }
        let with: Vec<&Line> = mine.iter().copied().filter(|l| thing(l) == thing(line)).collect();
        // How many orders there were since the last with the thing, with that one.
        let gap = with.iter().filter_map(|l| l.number).max().map(|last| {
            mine.iter().filter_map(|l| l.number).filter(|other| *other >= last).collect::<BTreeSet<_>>().len() as f64
        });
        [Some(with.len() as f64), share(orders(&with), all), gap, rate(&with)]
    };
    out.extend(pair(|l| l.department));
    out.extend(pair(|l| l.product).into_iter().take(3));

    let order_of = |other: &Line, rows: &[Line]| -> Vec<i64> {
        let same = |l: &&Line| (l.user, l.number) == (other.user, other.number);
        rows.iter().filter(same).filter_map(|l| l.at).collect()
    };
    let began = order_of(line, lines).into_iter().min();
    let others = |thing: fn(&Line) -> Option<i64>| {
        if thing(line).is_none() || timed && began.is_none() {
            return [None; 3];
        }
        let before = |l: &&Line| {
            let over = order_of(l, past).into_iter().max();
            !timed || over.zip(began).is_some_and(|(over, began)| over < began)
        };
        let with: Vec<&Line> = past
            .iter()
            .filter(|l| l.user.is_some() && l.number.is_some() && l.user != Some(user) && thing(l) == thing(line))
            .filter(before)
            .collect();
        let buyers = with.iter().map(|l| l.user).collect::<BTreeSet<_>>().len() as f64;
        [Some(buyers), Some(orders(&with)), rate(&with)]
    };
    out.extend(others(|l| l.product));
    out.extend(others(|l| l.department));
    out
}

#[test]
fn features_are_what_their_definition_says() {
    for seed in 0..4 {
        let lines = draw(seed);
        let (reference, _) = lines.split_at(lines.len() / 2);
        for (time, reference) in
            [(Some("at"), None), (None, Some(reference)), (Some("at"), Some(reference)), (None, Some(&lines[..0]))]
        {
            let done = run(all(time), &lines, reference).unwrap();
            let found = features(&done);
            for (line, found) in lines.iter().zip(&found) {
                let expected = by_definition(line, &lines, reference.unwrap_or(&lines), time.is_some());
                assert_eq!(*found, expected, "seed {seed}, {line:?}");
            }
            // The comparison is not of nothing with nothing.
            if reference.is_none_or(|reference| !reference.is_empty()) {
                for at in 0..18 {
                    assert!(found.iter().any(|row| row[at].is_some_and(|value| value > 0.0)), "{at} is always 0");
                }
            }
        }
    }
}

/// Whether a row is in the past of another: an earlier order of its user, or an order that was over when it began.
fn is_past(other: &Line, line: &Line, lines: &[Line]) -> bool {
    let times = |of: &Line| {
        lines
            .iter()
            .filter(move |l| (l.user, l.number) == (of.user, of.number))
            .filter_map(|l| l.at)
            .collect::<Vec<_>>()
    };
    if other.user == line.user {
        return other.number < line.number;
    }
    let (over, began) = (times(other).into_iter().max(), times(line).into_iter().min());
    over.zip(began).is_some_and(|(over, began)| over < began)
}

#[test]
fn what_comes_later_changes_nothing() {
    let lines = draw(7);
    let before = features(&run(all(Some("at")), &lines, None).unwrap());
    let mut rng = StdRng::seed_from_u64(1);
    let mut earlier_mattered = 0;
    for at in (0..lines.len()).step_by(5).filter(|at| lines[*at].user.is_some() && lines[*at].number.is_some()) {
        let past: Vec<bool> = lines.iter().map(|other| is_past(other, &lines[at], &lines)).collect();
        // Its own outcome and those of all rows that are not in its past: drawn anew.
        let mut changed = lines.clone();
        for (line, _) in changed.iter_mut().zip(&past).filter(|(_, past)| !**past) {
            line.reordered = Some(rng.random_range(0..=1));
        }
        changed[at].reordered = lines[at].reordered.map(|value| 1 - value);
        assert_ne!(changed, lines);
        assert_eq!(features(&run(all(Some("at")), &changed, None).unwrap())[at], before[at], "{:?}", lines[at]);
        // Those of its past do matter.
        let mut changed = lines.clone();
        for (line, _) in changed.iter_mut().zip(&past).filter(|(_, past)| **past) {
            line.reordered = line.reordered.map(|value| 1 - value);
        }
        earlier_mattered += usize::from(features(&run(all(Some("at")), &changed, None).unwrap())[at] != before[at]);
    }
    assert!(earlier_mattered > 10, "{earlier_mattered}");
}

#[test]
fn without_a_time_a_reference_is_needed_and_a_users_own_rows_in_it_do_not_count() {
    let lines = draw(3);
    let error = run(json!({}), &lines, None).unwrap_err();
    assert_eq!(error.message, "what other users did before cannot be told without a `time`");
    assert_eq!(
        error.help.as_deref(),
        Some(
            "name the column that puts all orders in order in `time`, connect the training part of a split to the \
             input `reference`, or leave `product` and `department` out of `features`"
        )
    );
    assert!(run(json!({ "features": ["user", "user_department"] }), &lines, None).is_ok());

    let before = features(&run(all(None), &lines, Some(&lines)).unwrap());
    for user in 0..12 {
        let mut changed = lines.clone();
        changed.iter_mut().filter(|line| line.user == Some(user)).for_each(|line| line.reordered = Some(1));
        let after = features(&run(all(None), &lines, Some(&changed)).unwrap());
        for (row, line) in lines.iter().enumerate().filter(|(_, line)| line.user == Some(user)) {
            assert_eq!(after[row], before[row], "{line:?}");
        }
        assert_ne!(after, before);
    }
}

/// Two users: the first buys 1 and 2, then 1 again; the second buys 1 between the two, or at the same time as one.
#[test]
fn a_small_example_by_hand() {
    let line = |user, number, product, reordered, at| Line {
        user: Some(user),
        number: Some(number),
        product: Some(product),
        department: Some(9),
        reordered: Some(reordered),
        at: Some(at),
    };
    let lines = [line(1, 1, 1, 0, 10), line(1, 1, 2, 0, 10), line(2, 1, 1, 0, 20), line(1, 2, 1, 1, 30)];
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    let found = features(&run(all(Some("at")), &lines, None).unwrap());
    // One order with two items before, of which none was bought before; one of the two was this.
    assert_eq!(found[3][..5], some(&[1.0, 2.0, 2.0, 2.0, 0.0]));
    assert_eq!(found[3][5..9], some(&[2.0, 1.0, 1.0, 0.0]));
    assert_eq!(found[3][9..12], some(&[1.0, 1.0, 1.0]));
    assert_eq!(found[3][12..15], some(&[1.0, 1.0, 0.0]));
    // The first order of the second user comes after that of the first.
    assert_eq!(found[2][..5], [Some(0.0), Some(0.0), Some(0.0), None, None]);
    assert_eq!(found[2][12..18], some(&[1.0, 1.0, 0.0, 1.0, 1.0, 0.0]));
    // What happens at the same time is not before.
    let same_time = [line(1, 1, 1, 0, 10), line(1, 1, 2, 0, 10), line(2, 1, 1, 0, 30), line(1, 2, 1, 1, 30)];
    let found = features(&run(all(Some("at")), &same_time, None).unwrap());
    assert_eq!(found[3][12..15], [Some(0.0), Some(0.0), None]);
}

#[test]
fn columns_are_carried_in_front() {
    let lines = draw(1);
    let names = |params: Value| {
        let done = run(params, &lines, None).unwrap();
        done.table("table").names().map(str::to_owned).collect::<Vec<_>>()
    };
    let made = ["user_orders", "user_items", "user_products", "user_basket", "user_reorder_rate"];
    let input = ["user_id", "order_number", "product_id", "department_id", "reordered", "at"];
    assert_eq!(names(json!({ "features": ["user"] })), [&input[..], &made[..]].concat());
    assert_eq!(names(json!({ "features": ["user"], "carry": ["at"] })), [&["at"], &made[..]].concat());
    let again = run(json!({ "features": ["user"], "carry": ["att"] }), &lines, None).unwrap_err();
    assert_eq!(again.message, "there is no column `att`");
}

#[test]
fn parameters_and_columns_that_do_not_fit_are_refused() {
    let refused = |params| Trial::new::<History>(params).check().unwrap_err().to_string();
    assert_eq!(refused(json!({ "features": ["user", "user"] })), "features/1: it is named twice");
    assert_eq!(refused(json!({ "carry": ["user_items"] })), "carry/0: `user_items` is the name of a feature");
    assert_eq!(refused(json!({ "carry": ["x", "x"] })), "carry/1: `x` is carried twice");
    let lines = draw(1);
    let error = run(json!({ "features": ["user"], "reordered": "at" }), &lines, None).unwrap_err();
    assert!(
        error.message.ends_with("neither 0 nor 1 in column `at`, which says whether the product was bought before")
    );
    let mut named = purchases(&lines);
    named.rename("at", "user_items".into()).unwrap();
    let error = Trial::new::<History>(json!({ "features": ["user"] })).input("table", table(named)).run().unwrap_err();
    assert_eq!(error.message, "there is a column `user_items` already");
}

#[test]
fn rows_without_a_history_are_counted() {
    let mut lines = draw(1);
    lines.retain(|line| line.user.is_some() && line.number.is_some() && line.at.is_some());
    let (first, order) = (lines[0], (lines[0].user, lines[0].number));
    lines.iter_mut().filter(|line| (line.user, line.number) == order).for_each(|line| line.at = None);
    let timeless = lines.iter().filter(|line| (line.user, line.number) == order).count();
    lines.push(Line { user: None, ..first });
    let done = run(all(Some("at")), &lines, None).unwrap();
    let rows_have = crate::keys::rows_have;
    assert_eq!(
        done.warnings,
        [
            "1 row has no `user_id` or no `order_number` in `table`: without features, and nobody's history".to_owned(),
            format!(
                "{} no `at` for the order in `table`: it is neither after nor before those of others",
                rows_have(timeless)
            )
        ]
    );
    assert_eq!(features(&done)[lines.len() - 1], [None; 18]);
}

#[test]
fn what_is_personal_stays_so() {
    let inputs = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        stagewright_contract::PersonalColumns::from([("table".to_owned(), names)])
    };
    let stage = |params: Value| serde_json::from_value::<History>(params).unwrap();
    let personal = |params: Value, names: &[&str]| {
        let found = stage(params).personal(&inputs(names))["table"].clone();
        found.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(personal(json!({}), &["email", "user_id"]), ["email", "user_id"]);
    assert_eq!(personal(json!({ "carry": ["user_id"] }), &["email", "user_id"]), ["user_id"]);
    assert_eq!(
        personal(json!({ "carry": [], "features": ["user", "product"] }), &["reordered"]),
        ["product_reorder_rate", "user_reorder_rate"]
    );
    // The table that comes out is marked as was said.
    let mut input = table(purchases(&draw(1)));
    input.mark_personal(["reordered", "user_id"]);
    let params = json!({ "carry": ["user_id"], "features": ["user"] });
    let done = Trial::new::<History>(params).input("table", input).run().unwrap();
    assert_eq!(done.table("table").personal().collect::<Vec<_>>(), ["user_id", "user_reorder_rate"]);
}
