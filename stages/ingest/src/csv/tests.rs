#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;

use polars::prelude::{ChunkAgg, DataType};
use serde_json::{Value, json};
use stagewright_contract::testkit::Trial;
use stagewright_frame::testkit::frame;

use super::Csv;
use crate::trial::{fails, lines, run, run_shared};

/// The table that a text gives.
fn table(params: Value, text: &str) -> Vec<String> {
    lines(&run::<Csv>(params, &[("t.csv", text.as_bytes())]).unwrap(), "table")
}

fn error(params: Value, text: &str) -> String {
    fails::<Csv>(params, &[("t.csv", text.as_bytes())])
}

#[test]
fn types_are_found_from_all_values() {
    let text = "b,i,f,d,t,s,zip,big,empty,mixed\n\
                true,1,1,2022-04-19,2022-04-19 14:22:33+00:00,x,01234,12345678901234567890,,1\n\
                false,-2,2.5,2022-04-20,2022-04-19 14:22:33.123456+00:00,1,56789,1,null,2022-01-01\n\
                ,,1e3,null,2022-04-19 14:22:33 UTC,,,,\"\",\n";
    assert_eq!(
        table(json!({}), text),
        [
            "b: bool | i: int64 | f: double | d: date32 | t: timestamp[us, UTC] | s: string | zip: string | big: \
             string | empty: string | mixed: string",
            "true | 1 | 1.0 | 2022-04-19 | 2022-04-19 14:22:33 UTC | x | 01234 | 12345678901234567890 | null | 1",
            "false | -2 | 2.5 | 2022-04-20 | 2022-04-19 14:22:33.123456 UTC | 1 | 56789 | 1 | null | 2022-01-01",
            "null | null | 1000.0 | null | 2022-04-19 14:22:33 UTC | null | null | null | null | null",
        ]
    );
}

#[test]
fn one_late_value_changes_the_type_of_the_whole_column() {
    let mut text = "a\n".to_owned();
    for number in 0..50_000 {
        text.push_str(&format!("{number}\n"));
    }
    text.push_str("x\n");
    let done = run::<Csv>(json!({}), &[("t.csv", text.as_bytes())]).unwrap();
    assert_eq!(done.table("table").schema()[0].dtype, "string");
    assert_eq!(done.table("table").rows(), 50_001);
}

#[test]
fn declared_types() {
    let text = "b,i,f,d,t,s\n1,007,+1,2022-04-19,2022-04-19,5\n";
    let types = json!({ "b": "bool", "i": "int64", "f": "float64", "d": "date32", "t": "timestamp", "s": "string" });
    assert_eq!(
        table(json!({ "types": types }), text),
        [
            "b: bool | i: int64 | f: double | d: date32 | t: timestamp[us, UTC] | s: string",
            "true | 7 | 1.0 | 2022-04-19 | 2022-04-19 00:00:00 UTC | 5",
        ]
    );
}

#[test]
fn formats() {
    let plain = "id,name\n1,Zoë\n2,\"a \"\"b\"\"\nc\"\n";
    let expected = ["id: int64 | name: string", "1 | Zoë", "2 | a \"b\"\nc"];
    let crlf = plain.replace('\n', "\r\n").replace("b\"\"\r\nc", "b\"\"\nc");
    let bom = format!("\u{feff}{plain}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(plain.as_bytes(), 1).unwrap();
    // The content tells the compression, not the name.
    let files: [(&str, &[u8]); 7] = [
        ("a.csv", plain.as_bytes()),
        ("a.csv", crlf.as_bytes()),
        ("a.csv", bom.as_bytes()),
        ("a.csv.gz", &gzip),
        ("a.csv", &gzip),
        ("a.csv.zst", &zstd),
        ("a.csv.gz", &zstd),
    ];
    for file in files {
        assert_eq!(lines(&run::<Csv>(json!({}), &[file]).unwrap(), "table"), expected, "{}", file.0);
    }
    let cut = fails::<Csv>(json!({}), &[("a.csv.gz", gzip.get(..gzip.len() / 2).unwrap())]);
    assert!(cut.starts_with("`a.csv.gz` is not a whole gzip file: "), "{cut}");
    let utf16 = fails::<Csv>(json!({}), &[("a.csv", b"\xff\xfea\0")]);
    assert!(utf16.starts_with("`a.csv` is UTF-16 text, UTF-8 is needed"), "{utf16}");
}

#[test]
fn separators_headers_and_nulls() {
    let params = json!({ "separator": ";", "header": false, "null_values": ["NA"] });
    assert_eq!(
        table(params, "1;a;;1\nNA;\"b;c\";x;NA\n"),
        [
            "column_1: int64 | column_2: string | column_3: string | column_4: int64",
            "1 | a |  | 1",
            "null | b;c | x | null"
        ]
    );
    // What pandas takes for null is text unless it is named.
    assert_eq!(table(json!({}), "a\nNA\nNone\nnan\n"), ["a: string", "NA", "None", "nan"]);
    // An index that pandas wrote has no name.
    assert_eq!(table(json!({}), ",a\n0,x\n"), ["column_1: int64 | a: string", "0 | x"]);
    assert_eq!(table(json!({}), "a,b\n"), ["a: string | b: string"]);
    assert_eq!(table(json!({ "separator": "\t" }), "a\tb\n1\t2"), ["a: int64 | b: int64", "1 | 2"]);
    assert!(error(json!({}), "").starts_with("`t.csv` is empty | a line with the names"));
    assert!(error(json!({ "header": false }), "\n\n").starts_with("`t.csv` is empty | at least one record"));
    assert_eq!(error(json!({}), "\na,b,a\n"), "t.csv:2:1: two columns are named `a`");
    assert!(error(json!({}), "a,\"b\n1,2\n").starts_with("t.csv:1:3: the quote that opens field 2 is never closed"));
    let check =
        |separator: &str| Trial::new::<Csv>(json!({ "path": "x", "separator": separator })).check().unwrap_err().path;
    assert_eq!(check("\""), "separator");
    assert_eq!(check("é"), "separator");
}

#[test]
fn columns_and_personal() {
    let text = "id,email,age\n1,a@example.com,30\n";
    assert_eq!(
        table(json!({ "columns": ["age", "email"], "personal": ["email"] }), text),
        ["age: int64 | email: string personal", "30 | a@example.com"]
    );
    assert_eq!(
        error(json!({ "personal": ["emial"] }), text),
        "`personal` names `emial`, and there is no such column | did you mean `email`?"
    );
    assert_eq!(
        error(json!({ "columns": ["q"] }), text),
        "`columns` names `q`, and there is no such column | the columns are: id, email, age"
    );
    assert!(error(json!({ "types": { "agee": "int64" } }), text).starts_with("`types` names `agee`"));
    let twice = Trial::new::<Csv>(json!({ "path": "x", "columns": ["a", "b", "a"] })).check().unwrap_err();
    assert_eq!(twice.to_string(), "columns/2: column `a` is named twice");
}

#[test]
fn several_files() {
    let files: [(&str, &[u8]); 2] = [("a.csv", b"x,y\n1,2\n"), ("b.csv", b"y,x\nq,5\n6,7\n")];
    let done = run::<Csv>(json!({}), &files).unwrap();
    assert_eq!(lines(&done, "table"), ["x: int64 | y: string", "1 | 2", "5 | q", "7 | 6"]);
    let lacking = fails::<Csv>(json!({}), &[("a.csv", b"user,y\n1,2\n"), ("b.csv", b"y\n1\n")]);
    assert!(lacking.starts_with("`b.csv` has no column `user`, which `a.csv` has"), "{lacking}");
    let extra = fails::<Csv>(json!({}), &[("a.csv", b"y\n1\n"), ("b.csv", b"y,z\n1,2\n")]);
    assert!(extra.starts_with("`a.csv` has no column `z`, which `b.csv` has"), "{extra}");
    assert!(fails::<Csv>(json!({}), &[]).starts_with("no file matches"));
}

#[test]
fn bad_records_are_errors_with_a_place() {
    let text = "id,name,age\n1,\"two\nlines\",30\n2,x\n";
    assert_eq!(
        error(json!({}), text),
        "t.csv:4:4: the record has 2 fields, 3 are needed | put quotes around a field that holds a separator or a line \
         break, or set `bad_rows: reject` to set such records aside"
    );
    assert!(error(json!({}), "a,b\n1,2,3\n").starts_with("t.csv:2:5: the record has 3 fields, 2 are needed"));
    assert!(
        error(json!({}), "a\n\"x\"y\n").starts_with("t.csv:2:4: there is text after the quote that closes field `a`")
    );
    assert!(error(json!({}), "a,b\n1,\"x\n").starts_with("t.csv:2:3: the quote that opens field `b` is never closed"));
    let encoding = fails::<Csv>(json!({}), &[("t.csv", b"a,b\n\xc3\xa9,x\xff\n")]);
    assert!(encoding.starts_with("t.csv:2:4: field `b` is not UTF-8"), "{encoding}");
    let encoding = fails::<Csv>(json!({}), &[("t.csv", b"a,\xe9\n1,2\n")]);
    assert!(encoding.starts_with("t.csv:1:3: field 2 is not UTF-8"), "{encoding}");

    let types = json!({ "id": "int64", "age": "int64" });
    assert_eq!(
        error(json!({ "types": types }), "id,age\n1,30\né,40\n2,old\n"),
        "t.csv:3:1: column `id`: `é` is not a whole number of 64 bits (int64) | correct the value, add it to \
         `null_values`, change the type, or set `bad_rows: reject` to set such records aside"
    );
    // The first record counts, not the first column; values of personal columns are not shown.
    let personal = error(json!({ "types": types, "personal": ["age"] }), "id,age\n1,secret\nx,40\n");
    assert!(personal.starts_with("t.csv:2:3: column `age`: the value is not a whole number"), "{personal}");
    assert!(!personal.contains("secret"));
    let long = error(json!({ "types": { "a": "date32" } }), &format!("a\n{}\n", "y".repeat(100)));
    assert!(long.contains(&format!("`{}…` is not a date like", "y".repeat(40))), "{long}");
    for (kind, value) in
        [("int64", "9223372036854775808"), ("float64", "nan"), ("bool", "2"), ("timestamp", "2022-13-01")]
    {
        let error = error(json!({ "types": { "a": kind } }), &format!("a\n{value}\n"));
        assert!(error.starts_with(&format!("t.csv:2:1: column `a`: `{value}` is not ")), "{error}");
    }
}

#[test]
fn bad_records_are_rejected() {
    let text = b"id,email,age\n1,a@x,30\n2,b@x\n3,c@x,old\n\"4\"x,d@x,1\n\"5\n\",e@x,50\nsix,f@x,-\n\xff,g@x,1\n\
        8,\"h@x,1\n9,i@x,60\n";
    let params = json!({
        "types": { "id": "string", "age": "int64" }, "personal": ["email"], "bad_rows": "reject", "null_values": [""]
    });
    let done = run::<Csv>(params, &[("a.csv", b"id,email,age\nx,y,z\n"), ("t.csv", text)]).unwrap();
    assert_eq!(
        lines(&done, "table"),
        ["id: string | email: string personal | age: int64", "1 | a@x | 30", "5\n | e@x | 50", "9 | i@x | 60"]
    );
    let age = "is not a whole number of 64 bits (int64)";
    assert_eq!(
        lines(&done, "rejects"),
        [
            "file: string | line: int64 | column: string | reason: string | text: string personal".to_owned(),
            format!("a.csv | 2 | age | column `age`: `z` {age} | x,y,z"),
            "t.csv | 3 | null | the record has 2 fields, 3 are needed | 2,b@x".to_owned(),
            format!("t.csv | 4 | age | column `age`: `old` {age} | 3,c@x,old"),
            "t.csv | 5 | id | there is text after the quote that closes field `id` | \"4\"x,d@x,1".to_owned(),
            format!("t.csv | 8 | age | column `age`: `-` {age} | six,f@x,-"),
            "t.csv | 9 | id | field `id` is not UTF-8 | ?,g@x,1".to_owned(),
            "t.csv | 10 | email | the quote that opens field `email` is never closed | 8,\"h@x,1".to_owned(),
        ]
    );
    assert_eq!(done.warnings, ["7 of 10 records were rejected"]);
    let clean = run::<Csv>(json!({ "bad_rows": "reject" }), &[("t.csv", b"a\n1\n")]).unwrap();
    assert_eq!(
        lines(&clean, "rejects"),
        ["file: string | line: int64 | column: string | reason: string | text: string"]
    );
    assert!(clean.warnings.is_empty());
    // Rejected records do not take part in finding types.
    let params = json!({ "types": { "a": "int64" }, "bad_rows": "reject" });
    assert_eq!(table(params, "a,b\n1,2\nx,y\n"), ["a: int64 | b: int64", "1 | 2"]);
}

#[test]
fn open_quotes_take_linear_time() {
    // Each line could open a quote that reaches to the end.
    let text = format!("a,b\n\"x\n{}", "b\",\"c\n".repeat(40_000));
    let done = run::<Csv>(json!({ "bad_rows": "reject" }), &[("t.csv", text.as_bytes())]).unwrap();
    assert_eq!(done.table("table").rows() + done.table("rejects").rows(), 40_001);
}

#[test]
fn any_bytes_give_a_table_or_an_error() {
    // Every text of up to six of these signs, in both modes: no panic, and rejecting never fails after the header.
    let signs = [b'a', b'1', b',', b'"', b'\n', b'\r', 0xff];
    for length in 0..=5u32 {
        for number in 0..(signs.len() as u32).pow(length) {
            let body: Vec<u8> = (0..length)
                .map(|place| signs[(number / (signs.len() as u32).pow(place)) as usize % signs.len()])
                .collect();
            let text = [b"x,y\n".as_slice(), &body].concat();
            if number % 7 == 0 {
                let _ = run::<Csv>(json!({ "header": false }), &[("t.csv", &body)]);
                run::<Csv>(json!({ "bad_rows": "reject", "types": { "x": "int64" } }), &[("t.csv", &text)]).unwrap();
            }
        }
    }
}

#[test]
fn thelook_as_pandas_reads_it() {
    // pandas 2.2.3: read_csv(…).shape, dtypes, isna().sum(), and sums of columns.
    let Some(done) = run_shared::<Csv>(json!({}), "thelook/products.csv.gz") else { return };
    let products = frame(&done.table("table"));
    assert_eq!(products.shape(), (29_120, 9));
    let null = |name: &str| products.column(name).unwrap().is_null();
    assert_eq!(products.column("brand").unwrap().null_count(), 24);
    assert_eq!(products.column("name").unwrap().null_count(), 2);
    assert_eq!((null("brand") | null("name")).sum(), Some(26));
    let sum = |name: &str| products.column(name).unwrap().f64().unwrap().iter().flatten().sum::<f64>();
    assert!((sum("retail_price") - 1_724_491.17).abs() < 1e-6, "{}", sum("retail_price"));

    let done = run_shared::<Csv>(json!({ "personal": ["email"] }), "thelook/users.csv.gz").unwrap();
    let users = frame(&done.table("table"));
    assert_eq!(users.shape(), (100_000, 15));
    assert_eq!(users.column("city").unwrap().null_count(), 1004);
    assert_eq!(users.column("postal_code").unwrap().dtype(), &DataType::String);
    assert_eq!(users.column("age").unwrap().i64().unwrap().sum(), Some(4_086_650));
    let uk =
        users.column("country").unwrap().str().unwrap().iter().filter(|name| *name == Some("United Kingdom")).count();
    assert_eq!(uk, 4554);

    let done = run_shared::<Csv>(json!({}), "thelook/orders.csv.gz").unwrap();
    let orders = frame(&done.table("table"));
    assert_eq!(orders.shape(), (124_863, 9));
    assert_eq!(orders.column("shipped_at").unwrap().null_count(), 43_956);
    assert!(matches!(orders.column("returned_at").unwrap().dtype(), DataType::Datetime(_, Some(_))));

    let done = run_shared::<Csv>(json!({}), "thelook/order_items.csv.gz").unwrap();
    let items = frame(&done.table("table"));
    assert_eq!(items.shape(), (180_739, 11));
    let created = items.column("created_at").unwrap().cast(&DataType::Int64).unwrap();
    assert_eq!(created.i64().unwrap().iter().flatten().map(i128::from).sum::<i128>(), 304_937_604_582_284_000_000);
    assert_eq!(items.column("returned_at").unwrap().null_count(), 162_483);
}
