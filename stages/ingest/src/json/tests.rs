#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::Json;
use crate::trial::{fails, lines, run};

fn table(params: Value, text: &str) -> Vec<String> {
    lines(&run::<Json>(params, &[("t.json", text.as_bytes())]).unwrap(), "table")
}

fn error(params: Value, text: &str) -> String {
    fails::<Json>(params, &[("t.json", text.as_bytes())])
}

#[test]
fn arrays_and_lines() {
    let expected = ["id: int64 | name: string | x: double", "1 | a | null", "2 | Zoë | 0.5"];
    let records = [r#"{"id": 1, "name": "a"}"#, r#"{"name": "Zo\u00eb", "x": 0.5, "id": 2}"#];
    assert_eq!(table(json!({}), &records.join("\n")), expected);
    assert_eq!(table(json!({}), &format!("\u{feff}{}\r\n\r\n", records.join("\r\n"))), expected);
    assert_eq!(table(json!({}), &format!(" [\n{}\n]\n", records.join(",\n"))), expected);
    let packed = zstd::encode_all(records.join("\n").as_bytes(), 1).unwrap();
    assert_eq!(lines(&run::<Json>(json!({}), &[("t.jsonl", &packed)]).unwrap(), "table"), expected);
    for nothing in ["", "[]", "\n\n"] {
        assert_eq!(table(json!({}), nothing), [""]);
        assert_eq!(table(json!({ "columns": ["a"], "personal": ["a"] }), nothing), ["a: string personal"]);
    }
}

#[test]
fn types_are_found_from_all_values() {
    let text = r#"{"b": null, "i": 1, "f": 1, "big": 1, "d": "2022-04-19", "t": "2022-04-19T14:22:33Z", "s": "1", "n": null}
{"b": true, "i": -9223372036854775808, "f": 2.5, "big": 18446744073709551615, "d": null, "t": "2022-04-19 14:22:33", "s": "2022-04-19", "n": null}
{"f": 3, "d": "2022-04-20"}"#;
    assert_eq!(
        table(json!({}), text),
        [
            "b: bool | i: int64 | f: double | big: double | d: date32 | t: timestamp[us, UTC] | s: string | n: string",
            "null | 1 | 1.0 | 1.0 | 2022-04-19 | 2022-04-19 14:22:33 UTC | 1 | null",
            "true | -9223372036854775808 | 2.5 | 1.8447e19 | null | 2022-04-19 14:22:33 UTC | 2022-04-19 | null",
            "null | null | 3.0 | null | 2022-04-20 | null | null | null",
        ]
    );
}

#[test]
fn declared_types() {
    let text = r#"{"b": "1", "i": "007", "j": 2.0, "f": 1, "s": 1.5, "d": "2022-04-19", "t": "2022-04-19", "n": null}
{"b": true, "i": 5, "j": 3, "f": "2.5", "s": "x", "d": null, "t": null, "n": null}"#;
    let types = json!({
        "b": "bool", "i": "int64", "j": "int64", "f": "float64", "s": "string", "d": "date32", "t": "timestamp",
        "n": "timestamp"
    });
    assert_eq!(
        table(json!({ "types": types }), text),
        [
            "b: bool | i: int64 | j: int64 | f: double | s: string | d: date32 | t: timestamp[us, UTC] | \
             n: timestamp[us, UTC]",
            "true | 7 | 2 | 1.0 | 1.5 | 2022-04-19 | 2022-04-19 00:00:00 UTC | null",
            "true | 5 | 3 | 2.5 | x | null | null | null",
        ]
    );
    let mixed = "{\"a\": 1}\n{\"a\": \"x\"}";
    assert_eq!(table(json!({ "types": { "a": "string" } }), mixed), ["a: string", "1", "x"]);
    assert_eq!(
        error(json!({}), mixed),
        "t.json:2:9: field `a` is text, in records before it is a number | correct the value, or declare `types: { a: \
         string }`"
    );
}

#[test]
fn columns_and_personal() {
    let text = "{\"id\": 1, \"tags\": [1, {}], \"email\": \"a@x\"}\n";
    assert_eq!(
        table(json!({ "columns": ["email", "id"], "personal": ["email"] }), text),
        ["email: string personal | id: int64", "a@x | 1"]
    );
    assert_eq!(
        error(json!({}), text),
        "t.json:1:19: field `tags` is an array, a text, number or truth value is needed | leave it out: list the other \
         columns in `columns`"
    );
    assert!(error(json!({}), "[\n{\"a\": 1},\n{\"a\": {\"b\": 2}}]").starts_with("t.json:3:"));
    let error = error(json!({ "columns": ["id"], "personal": ["emial"] }), text);
    assert!(
        error.starts_with("`personal` names `emial`, and there is no such column | did you mean `email`?"),
        "{error}"
    );
}

#[test]
fn bad_records_are_errors_with_a_place() {
    let cut = error(json!({}), "{\"a\": 1}\n\n{\"a\": \n");
    assert!(cut.starts_with("t.json:3:"), "{cut}");
    assert!(cut.contains("this is not JSON: EOF while parsing"), "{cut}");
    assert!(error(json!({}), "[{\"a\": 1},\n{\"a\" 2}]").starts_with("t.json:2:6: this is not JSON: expected `:`"));
    assert!(error(json!({}), "[{\"a\": 1}").contains("this is not JSON"));
    assert!(error(json!({}), "[{\"a\": 1}] x").starts_with("t.json:1:12: this is not JSON: trailing characters"));
    assert!(
        error(json!({}), "{\"a\": 1} {\"a\": 2}").starts_with("t.json:1:10: this is not JSON: trailing characters")
    );
    for text in ["\"secret\"", "[1]", "[\"secret\"]", "[[]]", "null", "{\"a\": 1}\n17"] {
        let error = error(json!({}), text);
        assert!(error.contains("a record is not an object"), "{error}");
        assert!(!error.contains("secret"));
    }
    assert!(error(json!({}), "{\"a\": 1, \"a\": 2}").starts_with("t.json:1:15: field `a` is there twice"));
    let types = json!({ "a": "int64" });
    let wrong = error(json!({ "types": types }), "{\"a\": 1}\n{\"a\": \"x1\"}");
    assert!(wrong.starts_with("t.json:2:10: field `a`: `x1` is not a whole number of 64 bits (int64)"), "{wrong}");
    let wrong = error(json!({ "types": types, "personal": ["a"] }), "{\"a\": \"x1\"}");
    assert!(wrong.starts_with("t.json:1:10: field `a`: the value is not a whole number"), "{wrong}");
    let encoding = fails::<Json>(json!({}), &[("t.json", b"{\"a\": 1}\n{\"a\": \"\xff\"}")]);
    assert!(encoding.starts_with("t.json:2:8: the text is not UTF-8"), "{encoding}");
    assert!(error(json!({}), &"[".repeat(100_000)).starts_with("t.json:1:"));
}

#[test]
fn several_files() {
    let files: [(&str, &[u8]); 3] =
        [("a.json", b"{\"x\": 1, \"y\": 2}"), ("b.json", b"[]"), ("c.json", b"[{\"y\": 3, \"x\": 4}]")];
    assert_eq!(lines(&run::<Json>(json!({}), &files).unwrap(), "table"), ["x: int64 | y: int64", "1 | 2", "4 | 3"]);
    let lacking = fails::<Json>(json!({}), &[("a.json", b"{\"x\": 1, \"y\": 2}"), ("b.json", b"{\"x\": 1}")]);
    assert!(lacking.starts_with("`b.json` has no column `y`, which `a.json` has"), "{lacking}");
    let extra = fails::<Json>(json!({}), &[("a.json", b"{\"x\": 1}"), ("b.json", b"{\"x\": 1, \"y\": 2}")]);
    assert!(extra.starts_with("`a.json` has no column `y`, which `b.json` has"), "{extra}");
}
