#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{
    Categories, Column, DataFrame, DataType, IntoColumn, ListChunked, NamedFrom, ParquetWriter, Series, TimeUnit, df,
};
use serde_json::json;
use stagewright_frame::testkit::frame;

use super::Parquet;
use crate::trial::{fails, lines, run, run_shared};

fn bytes(mut frame: DataFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

#[test]
fn types() {
    let mut table = df!("id" => [1i64, 2], "name" => [Some("a"), None], "price" => ["1.25", "3.5"]).unwrap();
    let kind = table.column("name").unwrap().cast(&DataType::from_categories(Categories::global())).unwrap();
    table.replace("name", kind).unwrap();
    let price = table.column("price").unwrap().cast(&DataType::Decimal(10, 2)).unwrap();
    table.replace("price", price).unwrap();
    let at = Series::new("at".into(), [1_650_378_153_123_456_789i64, 0]);
    table.with_column(at.cast(&DataType::Datetime(TimeUnit::Nanoseconds, None)).unwrap().into_column()).unwrap();
    let done = run::<Parquet>(json!({ "personal": ["name"] }), &[("a.parquet", &bytes(table))]).unwrap();
    assert_eq!(
        lines(&done, "table"),
        [
            "id: int64 | name: string personal | price: double | at: timestamp[us]",
            "1 | a | 1.25 | 2022-04-19 14:22:33.123456",
            "2 | null | 3.5 | 1970-01-01 00:00:00",
        ]
    );
    assert_eq!(done.warnings, ["column `price` is decimal; it is read as float64, which rounds to about 15 digits"]);
}

#[test]
fn nested_columns_can_be_left_out() {
    let mut table = df!("id" => [1i64, 2], "age" => [3i32, 4]).unwrap();
    let list: ListChunked = [Series::new("".into(), [1i64]), Series::new("".into(), [2i64, 3])].into_iter().collect();
    table.insert_column(1, list.with_name("items".into()).into_column()).unwrap();
    let bytes = bytes(table);
    assert_eq!(
        fails::<Parquet>(json!({}), &[("a.parquet", &bytes)]),
        "column `items` of `a.parquet` is nested (a list), which a table cannot hold | leave it out: list the other \
         columns in `columns`"
    );
    let done = run::<Parquet>(json!({ "columns": ["age", "id"] }), &[("a.parquet", &bytes)]).unwrap();
    assert_eq!(lines(&done, "table"), ["age: int32 | id: int64", "3 | 1", "4 | 2"]);
}

#[test]
fn several_files() {
    let first = bytes(df!("x" => [1i64], "y" => ["a"]).unwrap());
    let second = bytes(df!("y" => ["b", "c"], "x" => [2i64, 3]).unwrap());
    let done = run::<Parquet>(json!({}), &[("a.parquet", &first), ("b.parquet", &second)]).unwrap();
    assert_eq!(lines(&done, "table"), ["x: int64 | y: string", "1 | a", "2 | b", "3 | c"]);
    let other = bytes(df!("x" => [1.5], "y" => ["a"]).unwrap());
    let error = fails::<Parquet>(json!({}), &[("a.parquet", &first), ("b.parquet", &other)]);
    assert!(error.starts_with("column `x` is f64 in `b.parquet` and i64 in `a.parquet`"), "{error}");
    let lacking = bytes(df!("x" => [1i64]).unwrap());
    let error = fails::<Parquet>(json!({}), &[("a.parquet", &first), ("b.parquet", &lacking)]);
    assert!(error.starts_with("`b.parquet` has no column `y`, which `a.parquet` has"), "{error}");
    let nulls = bytes(
        DataFrame::new(1, vec![Column::full_null("x".into(), 1, &DataType::Null), Column::new("y".into(), ["z"])])
            .unwrap(),
    );
    let done = run::<Parquet>(json!({}), &[("a.parquet", &nulls), ("b.parquet", &first)]).unwrap();
    assert_eq!(lines(&done, "table"), ["x: int64 | y: string", "null | z", "1 | a"]);
    let error = fails::<Parquet>(json!({ "columns": ["xx"] }), &[("a.parquet", &lacking)]);
    assert!(error.starts_with("`columns` names `xx`, and there is no such column | did you mean `x`"), "{error}");
    let error = fails::<Parquet>(json!({ "personal": ["q"] }), &[("a.parquet", &lacking)]);
    assert!(error.starts_with("`personal` names `q`"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let whole = bytes(df!("x" => [1i64, 2, 3]).unwrap());
    for bytes in [&b""[..], b"PAR1", b"id,name\n1,a\n", whole.get(..whole.len() - 9).unwrap(), whole.get(20..).unwrap()]
    {
        let error = fails::<Parquet>(json!({}), &[("a.parquet", bytes)]);
        assert!(error.contains("reading `a.parquet` as Parquet"), "{error}");
    }
    let empty = bytes(df!("x" => Vec::<i64>::new()).unwrap());
    assert_eq!(lines(&run::<Parquet>(json!({}), &[("a.parquet", &empty)]).unwrap(), "table"), ["x: int64"]);
}

#[test]
fn complete_journey() {
    // pyarrow 24: ParquetFile(…).metadata.num_rows and schema_arrow; pandas: sales_value.sum().
    let Some(done) = run_shared::<Parquet>(json!({}), "complete_journey/transactions.parquet") else { return };
    let table = done.table("table");
    assert_eq!((table.rows(), table.columns().len()), (1_469_307, 11));
    assert_eq!(table.schema().last().unwrap().dtype, "timestamp[us]");
    let sum: f64 = frame(&table).column("sales_value").unwrap().f64().unwrap().iter().flatten().sum();
    assert!((sum - 4_596_039.58).abs() < 1e-3, "{sum}");
    for (file, rows) in [
        ("campaign_descriptions", 27),
        ("campaigns", 6589),
        ("coupon_redemptions", 2102),
        ("coupons", 116_204),
        ("demographics", 801),
        ("products", 92_331),
        ("ecommerce_behavior", 1_469_307),
    ] {
        let done = run_shared::<Parquet>(json!({}), &format!("complete_journey/{file}.parquet")).unwrap();
        assert_eq!(done.table("table").rows(), rows, "{file}");
        assert!(done.warnings.is_empty());
    }
}
