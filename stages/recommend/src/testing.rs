//! What the unit tests of the stage types share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{AnyValue, DataFrame};
use stagewright_contract::testkit::Done;
use stagewright_frame::testkit::frame;

/// The rows of the output `table`: user, product, rank, score.
pub(crate) fn rows(done: &Done) -> Vec<(String, String, i64, f64)> {
    let table = frame(&done.table("table"));
    let text = |index: usize, row: usize| match table.columns()[index].get(row).unwrap() {
        AnyValue::String(text) => text.to_owned(),
        other => other.to_string(),
    };
    let rank = table.column("rank").unwrap().i64().unwrap();
    let score = table.column("score").unwrap().f64().unwrap();
    (0..table.height())
        .map(|row| (text(0, row), text(1, row), rank.get(row).unwrap(), score.get(row).unwrap()))
        .collect()
}

/// The products of each user's list in one line: `1: 10 11 | 2: 12`.
pub(crate) fn lists(done: &Done) -> String {
    let mut out = String::new();
    let mut last = None;
    for (user, product, rank, _) in rows(done) {
        if last.as_ref() != Some(&user) {
            assert_eq!(rank, 1);
            out += &format!("{}{user}:", if out.is_empty() { "" } else { " | " });
            last = Some(user);
        }
        out += &format!(" {product}");
    }
    out
}

/// The reasons, row by row.
pub(crate) fn reasons(done: &Done) -> Vec<String> {
    let table = frame(&done.table("table"));
    table.column("reason").unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect()
}

/// The same rows in another order, which depends on `stride`.
pub(crate) fn shuffled(frame: &DataFrame, stride: usize) -> DataFrame {
    let mut left: Vec<DataFrame> = (0..frame.height()).map(|row| frame.slice(row as i64, 1)).collect();
    let mut out = frame.head(Some(0));
    let mut place = 0;
    while !left.is_empty() {
        place = (place + stride) % left.len();
        out = out.vstack(&left.remove(place)).unwrap();
    }
    out
}
