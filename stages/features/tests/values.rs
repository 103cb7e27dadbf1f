//! What the stages compute, against references from pandas 3.1 and scikit-learn 1.6, and what they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::purchases;
use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{ParamError, Stage, StageError, Table};
use stagewright_features::{Product, Rfm, Scale, Split, User};
use stagewright_frame::testkit::{frame, table};

fn run<S: Stage>(params: Value, input: &DataFrame) -> Done {
    Trial::new::<S>(params).input("table", table(input.clone())).run().unwrap()
}

fn output<S: Stage>(params: Value, input: &DataFrame) -> DataFrame {
    frame(&run::<S>(params, input).table("table"))
}

fn error<S: Stage>(params: Value, input: &DataFrame) -> StageError {
    Trial::new::<S>(params).input("table", table(input.clone())).run().unwrap_err()
}

fn refused<S: Stage>(params: Value) -> ParamError {
    Trial::new::<S>(params).check().unwrap_err()
}

fn floats(frame: &DataFrame, name: &str) -> Vec<Option<f64>> {
    frame.column(name).unwrap().f64().unwrap().iter().collect()
}

fn ints(frame: &DataFrame, name: &str) -> Vec<i64> {
    frame.column(name).unwrap().i64().unwrap().iter().flatten().collect()
}

fn texts(frame: &DataFrame, name: &str) -> Vec<String> {
    frame.column(name).unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect()
}

fn names(frame: &DataFrame) -> Vec<&str> {
    frame.columns().iter().map(|column| column.name().as_str()).collect()
}

fn with(frame: DataFrame, column: Column) -> DataFrame {
    let mut frame = frame;
    frame.with_column(column).unwrap();
    frame
}

#[test]
fn users_are_summed_up() {
    // g = df.groupby("user_id").agg(sale_price="sum", age="mean", order_id="nunique")
    // items = df.groupby(["user_id", "order_id"]).num_of_item.mean().groupby("user_id").sum()
    let out = output::<User>(json!({ "carry": ["age", "gender"] }), &purchases());
    assert_eq!(names(&out), ["user_id", "total_user_spent", "age", "gender", "order_frequency", "num_of_item"]);
    assert_eq!(ints(&out, "user_id"), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(floats(&out, "total_user_spent"), [41.25, 18.0, 62.75, 25.0, 6.0, 40.5, 24.25, 57.5].map(Some));
    assert_eq!(floats(&out, "age"), [31.0, 45.0, 22.0, 60.0, 38.0, 27.0, 51.0, 19.0].map(Some));
    assert_eq!(texts(&out, "gender"), ["F", "M", "F", "M", "F", "M", "F", "M"]);
    assert_eq!(ints(&out, "order_frequency"), [2, 1, 3, 2, 1, 2, 2, 3]);
    assert_eq!(floats(&out, "num_of_item"), [3.0, 2.0, 4.0, 3.0, 2.0, 3.0, 3.0, 4.0].map(Some));
}

#[test]
fn nulls_count_as_nothing_for_a_user() {
    let input = df!(
        "user_id" => [Some("b"), Some("b"), None, Some("a"), Some("b")],
        "order_id" => [Some(1i64), None, Some(3), Some(4), Some(1)],
        "sale_price" => [Some(1.0), Some(2.0), Some(4.0), None, Some(f64::NAN)],
        "num_of_item" => [Some(2i64), Some(9), Some(9), None, Some(4)],
        "city" => [None, Some("Oslo"), Some("Bergen"), None, Some("Tromsø")],
        "vip" => [None, Some(1.0), None, None, Some(2.0)],
    )
    .unwrap();
    let done = run::<User>(json!({ "carry": ["city", "vip"] }), &input);
    assert_eq!(done.warnings, ["1 row has no `user_id`: left out"]);
    let out = frame(&done.table("table"));
    assert_eq!(texts(&out, "user_id"), ["a", "b"]);
    assert_eq!(floats(&out, "total_user_spent"), [Some(0.0), Some(3.0)]);
    assert_eq!(ints(&out, "order_frequency"), [1, 1]);
    // Order 1 states 2 and 4 items: their mean is 3. Order 4 states none.
    assert_eq!(floats(&out, "num_of_item"), [Some(0.0), Some(3.0)]);
    assert_eq!(out.column("city").unwrap().str().unwrap().iter().collect::<Vec<_>>(), [None, Some("Oslo")]);
    assert_eq!(floats(&out, "vip"), [None, Some(1.5)]);
}

#[test]
fn features_of_personal_columns_are_personal() {
    let mut input: Table = table(purchases());
    input.mark_personal(["user_id", "sale_price", "age"]);
    let out = Trial::new::<User>(json!({})).input("table", input.clone()).run().unwrap().table("table");
    assert_eq!(out.personal().collect::<Vec<_>>(), ["age", "total_user_spent", "user_id"]);
    let out = Trial::new::<Scale>(json!({ "columns": ["age", "num_of_item"], "suffix": "_z" }))
        .input("table", input)
        .run()
        .unwrap()
        .table("table");
    assert_eq!(out.personal().collect::<Vec<_>>(), ["age", "age_z", "sale_price", "user_id"]);
}

#[test]
fn user_params_are_checked() {
    assert_eq!(refused::<User>(json!({ "carry": ["age", "age"] })).to_string(), "carry/1: `age` is carried twice");
    assert_eq!(
        refused::<User>(json!({ "carry": ["user_id"] })).to_string(),
        "carry/0: `user_id` is in the output already"
    );
    assert_eq!(
        refused::<User>(json!({ "user": "num_of_item" })).to_string(),
        "user: `num_of_item` is the name of a feature"
    );
}

#[test]
fn users_without_a_named_column_or_with_infinite_prices_are_an_error() {
    let missing = error::<User>(json!({ "price": "sales_price" }), &purchases());
    assert_eq!(missing.message, "there is no column `sales_price`");
    assert_eq!(missing.help.as_deref(), Some("did you mean `sale_price`?"));
    let infinite = with(purchases(), Column::new("sale_price".into(), vec![f64::INFINITY; 24]));
    let infinite = error::<User>(json!({}), &infinite);
    assert_eq!(infinite.message, "24 rows have an infinite value in column `sale_price`, finite numbers are needed");
    let text = error::<User>(json!({ "price": "gender" }), &purchases());
    assert_eq!(text.message, "column `gender` is str, a number is needed");
}

#[test]
fn users_are_scored_by_recency_frequency_and_money() {
    // g = df[df.created_at <= now].groupby("user_id").agg(last=max, f=nunique orders, m=sum); r = (now - last) in days
    // score = 1 + floor(5 * (rank(method="min") - 1) / len), rank of -r, f, m
    let out = output::<Rfm>(json!({ "now": "2024-02-01" }), &purchases());
    assert_eq!(
        names(&out),
        ["user_id", "recency", "frequency", "monetary", "r_score", "f_score", "m_score", "rfm_score"]
    );
    assert_eq!(floats(&out, "recency"), [21.5, 27.5, 0.5, 22.5, 28.5, 10.5, 23.5, 2.5].map(Some));
    assert_eq!(ints(&out, "frequency"), [2, 1, 3, 2, 1, 2, 2, 3]);
    assert_eq!(floats(&out, "monetary"), [41.25, 18.0, 62.75, 25.0, 6.0, 40.5, 24.25, 57.5].map(Some));
    assert_eq!(ints(&out, "r_score"), [3, 1, 5, 2, 1, 4, 2, 4]);
    assert_eq!(ints(&out, "f_score"), [2, 1, 4, 2, 1, 2, 2, 4]);
    assert_eq!(ints(&out, "m_score"), [4, 1, 5, 2, 1, 3, 2, 4]);
    assert_eq!(texts(&out, "rfm_score"), ["324", "111", "545", "222", "111", "423", "222", "444"]);

    // Without `now`, it is the latest purchase.
    let out = output::<Rfm>(json!({}), &purchases());
    assert_eq!(floats(&out, "recency"), [21.0, 27.0, 0.0, 22.0, 28.0, 10.0, 23.0, 2.0].map(Some));
}

#[test]
fn an_earlier_now_leaves_out_what_came_later() {
    let done = run::<Rfm>(json!({ "now": "2024-01-08T12:00" }), &purchases());
    assert_eq!(done.warnings, ["12 rows have a `created_at` after `now`: left out"]);
    let out = frame(&done.table("table"));
    assert_eq!(ints(&out, "user_id"), [1, 2, 3, 4, 5, 7]);
    assert_eq!(floats(&out, "recency"), [7.0, 4.0, 6.0, 2.0, 5.0, 0.0].map(Some));
    assert_eq!(ints(&out, "frequency"), [1, 1, 1, 1, 1, 2]);
    assert_eq!(floats(&out, "monetary"), [30.75, 18.0, 20.0, 17.5, 6.0, 24.25].map(Some));
    assert_eq!(texts(&out, "rfm_score"), ["115", "312", "113", "411", "211", "554"]);
}

#[test]
fn rfm_needs_moments() {
    assert_eq!(
        refused::<Rfm>(json!({ "now": "yesterday" })).to_string(),
        "now: `yesterday` is not a date or a timestamp"
    );
    let error = error::<Rfm>(json!({ "time": "gender" }), &purchases());
    assert_eq!(error.message, "column `gender` is str, a date or a timestamp is needed");
    // Dates and timestamps in milliseconds are moments, too.
    let millis = DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC));
    for (dtype, expected) in [(DataType::Date, 1.0), (millis, 0.5)] {
        let times = purchases().column("created_at").unwrap().cast(&dtype).unwrap();
        let out = output::<Rfm>(json!({ "now": "2024-02-01" }), &with(purchases(), times));
        assert_eq!(floats(&out, "recency")[2], Some(expected), "{dtype}");
    }
}

#[test]
fn products_are_summed_up() {
    // g = df.groupby("product_id").agg(size, nunique users, nunique orders, sum, mean, min, max)
    // df.groupby(["product_id", "user_id"]).order_id.nunique().ge(2).groupby("product_id").mean()
    let out = output::<Product>(json!({ "time": "created_at" }), &purchases());
    assert_eq!(ints(&out, "product_id"), [101, 102, 103, 104]);
    assert_eq!(ints(&out, "purchases"), [8, 7, 6, 3]);
    assert_eq!(ints(&out, "buyers"), [6, 4, 4, 2]);
    assert_eq!(ints(&out, "orders"), [8, 7, 6, 2]);
    assert_eq!(floats(&out, "revenue"), [82.5, 140.25, 43.25, 9.25].map(Some));
    let means = floats(&out, "mean_price");
    for (mean, expected) in means.iter().zip([10.3125, 20.035714285714285, 7.208333333333333, 3.0833333333333335]) {
        assert!((mean.unwrap() - expected).abs() < 1e-12);
    }
    assert_eq!(floats(&out, "repeat_rate"), [1.0 / 3.0, 0.5, 0.5, 0.0].map(Some));
    let day = |name: &str| -> Vec<i64> {
        let physical = out.column(name).unwrap().to_physical_repr();
        physical.i64().unwrap().iter().flatten().map(|moment| moment / 86_400_000_000 - 19_723).collect()
    };
    assert_eq!(day("first_purchase"), [0, 0, 3, 2]);
    assert_eq!(day("last_purchase"), [20, 30, 13, 12]);
    assert_eq!(
        names(&output::<Product>(json!({}), &purchases())),
        ["product_id", "purchases", "buyers", "orders", "revenue", "mean_price", "repeat_rate"]
    );
}

#[test]
fn columns_are_scaled_in_place_or_beside() {
    // StandardScaler().fit_transform(df[["sale_price", "age"]])[:4]
    let out = output::<Scale>(json!({ "columns": ["sale_price", "age"] }), &purchases());
    assert_eq!(names(&out), names(&purchases()));
    let expected = [
        ("sale_price", [-0.16315111574544375, 1.4788859201441837, -0.16315111574544375, -0.7526003081160793]),
        ("age", [-0.27398604065754617, -0.27398604065754617, -0.27398604065754617, 0.71589900946004]),
    ];
    for (name, expected) in expected {
        for (value, expected) in floats(&out, name).iter().zip(expected) {
            assert!((value.unwrap() - expected).abs() < 1e-14, "{name}: {value:?}");
        }
    }
    let out = output::<Scale>(json!({ "columns": ["age"], "suffix": "_z" }), &purchases());
    assert_eq!(out.column("age").unwrap(), purchases().column("age").unwrap());
    assert!((floats(&out, "age_z")[3].unwrap() - 0.71589900946004).abs() < 1e-14);
}

#[test]
fn scaling_survives_odd_columns() {
    let input = df!(
        "constant" => [3.0, 3.0, 3.0],
        "gaps" => [Some(1.0), None, Some(3.0)],
        "huge" => [1e300, -1e300, 1e300],
        "tiny" => [1e-320, 0.0, 0.0],
        "extreme" => [f64::MAX, f64::MIN, 0.0],
    )
    .unwrap();
    let out = output::<Scale>(json!({ "columns": ["constant", "gaps", "huge", "tiny", "extreme"] }), &input);
    assert_eq!(floats(&out, "constant"), [Some(0.0); 3]);
    assert_eq!(floats(&out, "gaps"), [Some(-1.0), None, Some(1.0)]);
    // (x - 1/3) / (sqrt(8) / 3) for x = 1, -1, 1
    for (name, expected) in [("huge", [0.5f64.sqrt(), -(2f64.sqrt()), 0.5f64.sqrt()])] {
        for (value, expected) in floats(&out, name).iter().zip(expected) {
            assert!((value.unwrap() - expected).abs() < 1e-14);
        }
    }
    let tiny = floats(&out, "tiny");
    assert!((tiny[0].unwrap() - 2f64.sqrt()).abs() < 1e-3 && tiny[1] == tiny[2], "{tiny:?}");
    let extreme = floats(&out, "extreme");
    assert!((extreme[0].unwrap() - 1.5f64.sqrt()).abs() < 1e-14, "{extreme:?}");

    let clash = error::<Scale>(json!({ "columns": ["age"], "suffix": "_z" }), &{
        with(purchases(), Column::new("age_z".into(), vec![0i64; 24]))
    });
    assert_eq!(clash.message, "there is a column `age_z` already");
    assert_eq!(refused::<Scale>(json!({ "columns": [] })).to_string(), "columns: no column to scale is named");
    assert_eq!(refused::<Scale>(json!({ "columns": ["a", "a"] })).to_string(), "columns/1: `a` is named twice");
}

/// The positions of the test rows, after a check that the two parts make up the whole in order.
fn test_rows(params: Value, input: &DataFrame, seed: u64) -> Vec<i64> {
    let input = input.hstack(&[Column::new("row".into(), (0..input.height() as i64).collect::<Vec<_>>())]).unwrap();
    let done = Trial::new::<Split>(params).input("table", table(input.clone())).seed(seed).run().unwrap();
    let [train, test] = ["train", "test"].map(|port| ints(&frame(&done.table(port)), "row"));
    assert!(train.is_sorted() && test.is_sorted());
    let mut all = [train, test.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..input.height() as i64).collect::<Vec<_>>());
    test
}

#[test]
fn a_random_split_draws_the_exact_share() {
    // len(train_test_split(range(n), test_size=share)[1])
    let rows = |n: i64| df!("x" => (0..n).collect::<Vec<_>>()).unwrap();
    for (n, share, expected) in
        [(24, 0.2, 5), (24, 0.3, 8), (10, 0.2, 2), (10, 0.25, 3), (7, 0.3, 3), (1001, 0.2, 201), (1001, 0.25, 251)]
    {
        assert_eq!(test_rows(json!({ "test_size": share }), &rows(n), 1).len(), expected, "{n} × {share}");
    }
    let first = test_rows(json!({}), &rows(1000), 1);
    assert_eq!(first, test_rows(json!({}), &rows(1000), 1));
    assert_ne!(first, test_rows(json!({}), &rows(1000), 2));
    // A fair draw puts 100 of the 200 in the lower half, with a standard deviation of 6.3.
    let lower = first.iter().filter(|row| **row < 500).count();
    assert!((70..130).contains(&lower), "{lower}");

    let done = run::<Split>(json!({}), &rows(1));
    assert_eq!(done.warnings, ["no rows are left for `train`"]);
}

#[test]
fn the_last_order_of_each_user_is_tested() {
    // last = df.sort_values(["user_id", "created_at", "order_id"]).groupby("user_id").order_id.last()
    // rows with order_id == last[user_id] where the user has at least two orders
    let rows = test_rows(json!({ "method": "last_order" }), &purchases(), 1);
    assert_eq!(rows, [2, 8, 11, 15, 16, 18, 19, 23]);
    // Users 3 and 8 have three orders.
    let rows = test_rows(json!({ "method": "last_order", "min_orders": 3 }), &purchases(), 1);
    assert_eq!(rows, [8, 23]);
    // All at one time: the larger order id is the last.
    let constant = with(purchases(), Column::new("created_at".into(), vec![5i64; 24]));
    assert_eq!(test_rows(json!({ "method": "last_order" }), &constant, 1), [2, 8, 11, 15, 16, 18, 19, 23]);
    // A row without a time goes with its order.
    let times: Vec<Option<i64>> = (0..24).map(|row| (row != 16).then_some(row)).collect();
    let gap = with(purchases(), Column::new("created_at".into(), times));
    assert_eq!(test_rows(json!({ "method": "last_order" }), &gap, 1), [2, 8, 11, 15, 16, 18, 19, 23]);
}

#[test]
fn the_last_order_may_go_by_its_number() {
    // As in a table with an order number instead of a time: df.order_number == df.groupby("user_id").order_number.max()
    let numbers = [1i64, 1, 2, 1, 1, 1, 2, 2, 3, 1, 1, 2, 1, 1, 1, 2, 2, 1, 2, 2, 1, 1, 2, 3];
    for dtype in [DataType::Int64, DataType::Int32, DataType::UInt16, DataType::Float64] {
        let column = Column::new("order_number".into(), numbers).cast(&dtype).unwrap();
        let params = json!({ "method": "last_order", "time": "order_number", "min_orders": 1 });
        let rows = test_rows(params, &with(purchases(), column), 1);
        assert_eq!(rows, [2, 3, 4, 8, 11, 12, 13, 15, 16, 18, 19, 23], "{dtype}");
    }
}

#[test]
fn users_are_drawn_with_all_their_rows() {
    // len(next(GroupShuffleSplit(1, test_size=share).split(df, groups=df.user_id))[1].unique users), of eight users
    let users = ints(&purchases(), "user_id");
    for (share, expected) in [(0.2, 2), (0.5, 4), (0.51, 5)] {
        let params = json!({ "method": "user", "test_size": share });
        let rows = test_rows(params.clone(), &purchases(), 1);
        let mut drawn: Vec<i64> = rows.iter().map(|row| users[*row as usize]).collect();
        drawn.dedup();
        assert_eq!(drawn.len(), expected);
        let all = users.iter().filter(|user| drawn.contains(user)).count();
        assert_eq!(rows.len(), all, "a user is on both sides");
        assert_eq!(test_rows(params, &purchases(), 1), rows);
    }
    let draws: std::collections::BTreeSet<_> =
        (0..20).map(|seed| test_rows(json!({ "method": "user" }), &purchases(), seed)).collect();
    assert!(draws.len() > 5, "{}", draws.len());
    let gap: Vec<Option<i64>> = users.iter().map(|user| (*user != 3).then_some(*user)).collect();
    let done = run::<Split>(json!({ "method": "user" }), &with(purchases(), Column::new("user_id".into(), gap)));
    assert_eq!(done.warnings, ["4 rows have no `user_id`: put into training"]);
}

#[test]
fn a_split_in_time_keeps_equal_times_together() {
    let by_date = test_rows(json!({ "method": "time", "cutoff": "2024-01-12" }), &purchases(), 1);
    assert_eq!(by_date, [6, 7, 8, 14, 15, 16, 20, 21, 22, 23]);
    // c = np.sort(df.created_at)[24 - ceil(24 * .2)]; rows with created_at >= c
    let by_share = test_rows(json!({ "method": "time", "test_size": 0.2 }), &purchases(), 1);
    assert_eq!(by_share, [8, 14, 15, 16, 23]);
    // The two latest rows share their time with a third.
    let by_share = test_rows(json!({ "method": "time", "test_size": 0.05 }), &purchases().head(Some(8)), 1);
    assert_eq!(by_share, [6, 7]);
    let by_number = test_rows(json!({ "method": "time", "time": "order_id", "cutoff": 23 }), &purchases(), 1);
    assert_eq!(by_number, [20, 21, 22, 23]);
    let never = run::<Split>(json!({ "method": "time", "cutoff": "2030-01-01" }), &purchases());
    assert_eq!(never.warnings, ["no rows are left for `test`"]);
}

#[test]
fn split_params_must_fit() {
    for (params, expected) in [
        (json!({ "test_size": 1.0 }), "test_size: the share of rows must lie between 0 and 1, exclusive"),
        (json!({ "cutoff": 3 }), "cutoff: `cutoff` has no meaning for the chosen `method`"),
        (json!({ "method": "user", "cutoff": 3 }), "cutoff: `cutoff` has no meaning for the chosen `method`"),
        (
            json!({ "method": "last_order", "test_size": 0.2 }),
            "test_size: `test_size` has no meaning for the chosen `method`",
        ),
        (json!({ "method": "time" }), "cutoff: `method: time` needs either `cutoff` or `test_size`"),
        (
            json!({ "method": "time", "cutoff": 3, "test_size": 0.2 }),
            "cutoff: `method: time` needs either `cutoff` or `test_size`",
        ),
        (json!({ "method": "time", "cutoff": "soon" }), "cutoff: `soon` is not a date or a timestamp"),
    ] {
        assert_eq!(refused::<Split>(params).to_string(), expected);
    }
    let number = error::<Split>(json!({ "method": "time", "cutoff": 3 }), &purchases());
    assert_eq!(number.message, "`cutoff` is a number, but column `created_at` is datetime[μs]");
    let moment = error::<Split>(json!({ "method": "time", "time": "age", "cutoff": "2024-01-01" }), &purchases());
    assert_eq!(moment.message, "`cutoff` is a moment, but column `age` is i64");
    let text = error::<Split>(json!({ "method": "last_order", "time": "gender" }), &purchases());
    assert_eq!(text.message, "column `gender` is str, a date, a timestamp or a number is needed");
}
