#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Digest, Goal, Metrics, StageError, StageType};
use stagewright_frame::testkit::{frame, table};

use super::Ranking;

const RECOMMENDED: [(i64, &[i64]); 6] = [
    (1, &[10, 11, 12, 13, 14]),
    (2, &[12, 10]),
    (3, &[13, 14, 15]),
    (4, &[10, 11, 12, 13]),
    (6, &[16, 11, 10]),
    (7, &[99]),
];
const TESTED: [(i64, &[i64]); 5] =
    [(1, &[11, 14, 16]), (2, &[12]), (3, &[10]), (4, &[13, 12, 11, 10, 17, 18]), (5, &[10, 11])];

/// The lists as rows: user, product, rank. `stride` says in which order.
fn rows(lists: &[(i64, &[i64])], stride: usize) -> DataFrame {
    let mut rows: Vec<(i64, i64, i64)> =
        lists.iter().flat_map(|(user, list)| (1..).zip(*list).map(|(rank, product)| (*user, *product, rank))).collect();
    let mut order = Vec::new();
    let mut place = 0;
    while !rows.is_empty() {
        place = (place + stride) % rows.len();
        order.push(rows.remove(place));
    }
    df![
        "user_id" => order.iter().map(|row| row.0).collect::<Vec<_>>(),
        "product_id" => order.iter().map(|row| row.1).collect::<Vec<_>>(),
        "rank" => order.iter().map(|row| row.2).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn run(recommendations: DataFrame, test: DataFrame, params: Value) -> Done {
    Trial::new::<Ranking>(params)
        .input("recommendations", table(recommendations))
        .input("test", table(test))
        .run()
        .unwrap()
}

fn example(params: Value) -> Done {
    run(rows(&RECOMMENDED, 0), rows(&TESTED, 0), params)
}

fn value(metrics: &Metrics, name: &str) -> f64 {
    metrics.values[name].value.unwrap()
}

const NAMES: [&str; 8] = ["precision", "recall", "f1", "accuracy", "ndcg", "map", "mrr", "hit_rate"];

/// Computed in Python from the definitions over dicts and sets, nDCG checked against `sklearn.metrics.ndcg_score`
/// (1.9.1) for the users with at least K recommendations.
#[test]
fn the_means_are_those_of_python() {
    let expected = [
        ("with_test", 2, [0.4, 1. / 3., 0.363636363636364, 0.4, 0.477370561446908, 0.45, 0.5, 0.6], 4.),
        (
            "with_test",
            3,
            [
                1. / 3.,
                0.366666666666667,
                0.349206349206349,
                0.366666666666667,
                0.459216382193173,
                0.433333333333333,
                0.5,
                0.6,
            ],
            5.,
        ),
        (
            "with_test",
            10,
            [0.14, 0.466666666666667, 0.215384615384615, 0.38, 0.450554391168149, 0.393333333333333, 0.5, 0.6],
            7.,
        ),
        (
            "recommended",
            2,
            [1. / 3., 0.277777777777778, 0.303030303030303, 1. / 3., 0.397808801205757, 0.375, 0.416666666666667, 0.5],
            4.,
        ),
        (
            "recommended",
            3,
            [
                0.277777777777778,
                0.305555555555556,
                0.291005291005291,
                0.305555555555556,
                0.382680318494311,
                0.361111111111111,
                0.416666666666667,
                0.5,
            ],
            5.,
        ),
        (
            "recommended",
            10,
            [
                0.116666666666667,
                0.388888888888889,
                0.17948717948718,
                0.316666666666667,
                0.375461992640124,
                0.327777777777778,
                0.416666666666667,
                0.5,
            ],
            7.,
        ),
    ];
    for (users, k, means, hits) in expected {
        let metrics = example(json!({ "k": [10, 2, 3], "users": users })).metrics("metrics");
        for (name, mean) in NAMES.iter().zip(means) {
            let found = value(&metrics, &format!("{name}@{k}"));
            assert!((found - mean).abs() < 1e-14, "{users} {name}@{k}: {found}, not {mean}");
        }
        assert_eq!(value(&metrics, &format!("hits@{k}")), hits);
    }
}

#[test]
fn counts_describe_the_inputs() {
    let metrics = example(json!({})).metrics("metrics");
    let counts =
        ["users", "users_with_recommendations", "users_with_test", "products_recommended", "test_pairs", "hits@5"];
    assert_eq!(counts.map(|name| value(&metrics, name)), [5.0, 6.0, 5.0, 8.0, 13.0, 7.0]);
    assert!(counts.iter().all(|name| metrics.values[*name].goal == Goal::Describe));
    assert_eq!(metrics.values["ndcg@5"].goal, Goal::Maximize);
    assert_eq!((metrics.unit.as_deref(), metrics.units), (Some("user"), Some(5)));
    let recommended = example(json!({ "users": "recommended" })).metrics("metrics");
    assert_eq!((value(&recommended, "users"), recommended.units), (6.0, Some(6)));
}

#[test]
fn each_user_has_a_row() {
    let done = example(json!({ "k": [3] }));
    let per_user = frame(&done.table("per_user"));
    let names: Vec<_> = per_user.columns().iter().map(|column| column.name().as_str()).collect();
    let expected: Vec<_> = NAMES.iter().map(|name| format!("{name}@3")).collect();
    assert_eq!(names[0], "user_id");
    assert_eq!(names[1..], expected);
    // From the same Python program; user 1 has one hit of three at place 2, user 5 has no recommendations.
    let users = [
        [1. / 3., 1. / 3., 1. / 3., 1. / 3., 0.296081910965865, 1. / 6., 0.5, 1.],
        [1. / 3., 1., 0.5, 0.5, 1., 1., 1., 1.],
        [0.; 8],
        [1., 0.5, 2. / 3., 1., 1., 1., 1., 1.],
        [0.; 8],
    ];
    assert_eq!(per_user.height(), users.len());
    for (row, values) in users.iter().enumerate() {
        for (column, value) in per_user.columns()[1..].iter().zip(values) {
            let found = column.f64().unwrap().get(row).unwrap();
            assert!((found - value).abs() < 1e-14, "row {row}, {}: {found}, not {value}", column.name());
        }
    }
}

#[test]
fn coverage_is_the_share_of_the_catalogue_that_is_shown() {
    // Shown within 2: 10 11 12 13 14 16 99; without a catalogue there are 10 to 18 and 99.
    assert_eq!(value(&example(json!({ "k": [2] })).metrics("metrics"), "coverage@2"), 7.0 / 10.0);
    let coverage = |catalog: Vec<i64>| {
        Trial::new::<Ranking>(json!({ "k": [2, 3] }))
            .input("recommendations", table(rows(&RECOMMENDED, 0)))
            .input("test", table(rows(&TESTED, 0)))
            .input("catalog", table(df!["product_id" => catalog].unwrap()))
            .run()
            .unwrap()
            .metrics("metrics")
    };
    let ten = coverage([(10..20).collect::<Vec<_>>(), vec![10]].concat());
    assert_eq!((value(&ten, "coverage@2"), value(&ten, "coverage@3")), (0.6, 0.7));
    assert_eq!(coverage(Vec::new()).values["coverage@2"].value, None);
}

#[test]
fn a_repeated_product_counts_once_at_its_first_place() {
    let recommended = rows(&[(1, &[7, 7, 8, 9])], 0);
    let done = run(recommended, rows(&[(1, &[8, 8])], 0), json!({ "k": [2] }));
    let metrics = done.metrics("metrics");
    assert_eq!((value(&metrics, "mrr@2"), value(&metrics, "accuracy@2")), (0.5, 0.5));
    assert_eq!((value(&metrics, "test_pairs"), value(&metrics, "recall@2")), (1.0, 1.0));
    assert_eq!(
        done.warnings,
        ["1 of 4 recommendations name a product again for the same user: only the first place counts"]
    );
}

/// The place at which product 5 of products 4 to 7 ends up.
fn place_of_5(name: &str, values: [Option<f64>; 4]) -> f64 {
    let recommended = df!["user_id" => [1_i64; 4], "product_id" => [7_i64, 6, 5, 4], name => values].unwrap();
    let metrics = run(recommended, rows(&[(1, &[5])], 0), json!({})).metrics("metrics");
    (1.0 / value(&metrics, "mrr@5")).round()
}

#[test]
fn rank_ascends_score_descends_ties_go_to_the_smaller_product_and_missing_come_last() {
    assert_eq!(place_of_5("rank", [Some(1.0), Some(2.0), Some(9.0), Some(20.0)]), 3.0);
    assert_eq!(place_of_5("score", [Some(0.1), Some(0.2), Some(0.3), Some(0.4)]), 2.0);
    assert_eq!(place_of_5("rank", [Some(1.0); 4]), 2.0);
    assert_eq!(place_of_5("score", [Some(0.0), Some(-0.0), Some(-0.0), Some(-1.0)]), 1.0);
    assert_eq!(place_of_5("score", [Some(-5.0), None, None, Some(0.0)]), 3.0);
    assert_eq!(place_of_5("rank", [None, Some(7.0), None, Some(f64::NAN)]), 3.0);
}

#[test]
fn rank_goes_before_score() {
    let recommended = df![
        "user_id" => [1_i64, 1], "product_id" => [1_i64, 2], "rank" => [1_i64, 2], "score" => [0.1, 0.9],
    ];
    let metrics = run(recommended.unwrap(), rows(&[(1, &[1])], 0), json!({ "k": [1] })).metrics("metrics");
    assert_eq!(value(&metrics, "precision@1"), 1.0);
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let bytes = example(json!({})).bytes();
    for stride in 1..12 {
        assert_eq!(run(rows(&RECOMMENDED, stride), rows(&TESTED, stride + 2), json!({})).bytes(), bytes);
    }
}

#[test]
fn over_no_users_the_means_are_undefined() {
    let none = || rows(&[], 0);
    let metrics = run(none(), none(), json!({ "k": [3] })).metrics("metrics");
    for name in ["ndcg@3", "f1@3", "coverage@3"] {
        assert_eq!(metrics.values[name].value, None);
    }
    assert_eq!((value(&metrics, "users"), value(&metrics, "hits@3")), (0.0, 0.0));
}

#[test]
fn results_compare_if_and_only_if_they_were_tested_on_the_same() {
    let digest = |recommended: &[(i64, &[i64])], tested: &[(i64, &[i64])], params: Value| {
        run(rows(recommended, 0), rows(tested, 0), params).metrics("metrics").units_digest.unwrap()
    };
    let one = digest(&RECOMMENDED, &TESTED, json!({}));
    assert_eq!(digest(&RECOMMENDED[..2], &TESTED, json!({ "k": [7] })), one);
    assert_ne!(digest(&RECOMMENDED, &TESTED[..4], json!({})), one);
    assert_ne!(digest(&RECOMMENDED, &TESTED, json!({ "users": "recommended" })), one);

    // Texts sort as texts, whatever the type of the column. The value is from Python (struct '<Q' lengths, blake3).
    let expected: Digest = "87ee67cb68beeb896f80e5e47e7f855365011803371b8c01f5b32392dd0e9b2f".parse().unwrap();
    assert_eq!(digest(&[], &[(10, &[7]), (2, &[10, 9])], json!({})), expected);
    let recommended = df!["user_id" => ["2"], "product_id" => ["9"], "rank" => [1_i64]].unwrap();
    let tested = df!["user_id" => ["10", "2", "2"], "product_id" => ["7", "9", "10"]].unwrap();
    let metrics = run(recommended, tested, json!({})).metrics("metrics");
    assert_eq!(metrics.units_digest, Some(expected));
}

#[test]
fn personal_users_stay_personal() {
    let mut test = table(rows(&TESTED, 0));
    test.mark_personal(["user_id"]);
    let trial = Trial::new::<Ranking>(json!({}));
    let done = trial.input("recommendations", table(rows(&RECOMMENDED, 0))).input("test", test).run().unwrap();
    assert!(done.table("per_user").is_personal("user_id"));
}

#[test]
fn errors_and_warnings_say_what_to_do() {
    let trial = |recommendations: DataFrame| {
        Trial::new::<Ranking>(json!({}))
            .input("recommendations", table(recommendations))
            .input("test", table(rows(&TESTED, 0)))
            .run()
    };
    let error = trial(rows(&RECOMMENDED, 0).drop("rank").unwrap()).unwrap_err();
    assert_eq!(error.message, "the recommendations have neither a column `rank` nor a column `score`");
    assert_eq!(error.help.unwrap(), "rename the column that orders them with `clean.rename`");

    let text = df!["user_id" => ["1"], "product_id" => [1_i64], "rank" => [1_i64]].unwrap();
    let error = trial(text).unwrap_err();
    assert_eq!(error.message, "column `user_id` is str in `recommendations` and i64 in `test`, the same is needed");

    let gap = df!["user_id" => [Some(1_i64), None], "product_id" => [1_i64, 2], "rank" => [1_i64, 2]].unwrap();
    let warnings = trial(gap).unwrap().warnings;
    assert_eq!(warnings, ["1 of 2 rows of `recommendations` are left out: `user_id` or `product_id` is missing"]);

    let error = Trial::new::<Ranking>(json!({ "k": [5, 5] })).check().unwrap_err();
    assert_eq!(error.to_string(), "k: a length occurs twice");
}

/// Eight purchases of product 10, four of 11, two of 12, one each of 13 and 14, and 16 of one that nobody is shown.
fn purchases() -> DataFrame {
    let bought = [(10_i64, 8), (11, 4), (12, 2), (13, 1), (14, 1), (77, 16)];
    df!["product_id" => bought.iter().flat_map(|(product, times)| vec![*product; *times]).collect::<Vec<_>>()].unwrap()
}

fn users() -> DataFrame {
    df![
        "user_id" => [1_i64, 2, 3, 4, 6, 6, 8],
        "gender" => [Some("f"), Some("m"), Some("f"), Some("m"), None, None, Some("x")],
    ]
    .unwrap()
}

fn audited(recommendations: DataFrame, test: DataFrame, params: Value) -> Result<Done, StageError> {
    Trial::new::<Ranking>(params)
        .input("recommendations", table(recommendations))
        .input("test", table(test))
        .input("purchases", table(purchases()))
        .input("catalog", table(df!["product_id" => (10..19).chain([99]).collect::<Vec<i64>>()].unwrap()))
        .input("users", table(users()))
        .run()
}

#[test]
fn gini_and_novelty_are_those_of_python() {
    let done = audited(rows(&RECOMMENDED, 0), rows(&TESTED, 0), json!({ "k": [2, 3] })).unwrap();
    let metrics = done.metrics("metrics");
    // RecBole's GiniIndex.get_gini, and -log2 of the shares averaged by list, in numpy.
    for (name, expected) in [
        ("gini@2", 0.4818181818181818),
        ("gini@3", 0.44666666666666666),
        ("novelty@2", 3.6666666666666665),
        ("novelty@3", 3.722222222222222),
    ] {
        let found = value(&metrics, name);
        assert!((found - expected).abs() < 1e-14, "{name}: {found}, not {expected}");
    }
    assert_eq!((metrics.values["gini@2"].goal, metrics.values["novelty@2"].goal), (Goal::Minimize, Goal::Maximize));
    assert!(!example(json!({})).metrics("metrics").values.contains_key("novelty@5"));
}

#[test]
fn gini_is_zero_for_even_and_nearly_one_for_a_single_product() {
    let gini = |lists: &[(i64, &[i64])]| {
        value(&run(rows(lists, 0), rows(&[(1, &[1])], 0), json!({ "k": [1] })).metrics("metrics"), "gini@1")
    };
    assert_eq!(gini(&[(1, &[1]), (2, &[2]), (3, &[3])]), 0.0);
    let catalog = df!["product_id" => (0..100_i64).collect::<Vec<_>>()].unwrap();
    let metrics = Trial::new::<Ranking>(json!({ "k": [1] }))
        .input("recommendations", table(rows(&[(1, &[1]), (2, &[1])], 0)))
        .input("test", table(rows(&[], 0)))
        .input("catalog", table(catalog))
        .run()
        .unwrap()
        .metrics("metrics");
    assert_eq!(value(&metrics, "gini@1"), 0.99);
}

#[test]
fn a_group_has_the_measures_of_its_users_alone() {
    for over in ["with_test", "recommended"] {
        let params = json!({ "k": [2, 3], "users": over, "groups": ["gender"] });
        let done = audited(rows(&RECOMMENDED, 0), rows(&TESTED, 0), params).unwrap();
        let by_group = frame(&done.table("by_group"));
        let text =
            |column: &str, row: usize| by_group.column(column).unwrap().str().unwrap().get(row).map(str::to_owned);
        assert_eq!(
            (0..5).map(|row| text("group", row)).collect::<Vec<_>>(),
            [None, Some("f".into()), Some("m".into()), Some("x".into()), None]
        );
        assert_eq!((text("column", 0), text("column", 4)), (None, Some("gender".into())));
        let unknown: &[i64] = if over == "with_test" { &[5] } else { &[6, 7] };
        for (row, members) in [(0, &[1, 2, 3, 4, 5, 6, 7][..]), (1, &[1, 3]), (2, &[2, 4]), (3, &[]), (4, unknown)] {
            let of = |lists: &[(i64, &'static [i64])]| -> Vec<(i64, &'static [i64])> {
                let members = members
                    .iter()
                    .filter(|user| over == "recommended" || TESTED.iter().any(|(tested, _)| tested == *user));
                members.filter_map(|user| lists.iter().find(|(of, _)| of == user)).copied().collect()
            };
            let alone =
                audited(rows(&of(&RECOMMENDED), 0), rows(&of(&TESTED), 0), json!({ "k": [2, 3], "users": over }));
            let metrics = alone.unwrap().metrics("metrics");
            for name in NAMES.iter().chain(&["coverage", "gini", "novelty"]) {
                let name = format!("{name}@3");
                let expected = metrics.values[&name].value.filter(|_| !members.is_empty());
                let found = by_group.column(&name).unwrap().f64().unwrap().get(row);
                let same = found.zip(expected).map_or(found == expected, |(a, b)| (a - b).abs() < 1e-14);
                assert!(same, "{over}, row {row}: {name} is {found:?}, not {expected:?}");
            }
        }
        let values = by_group.column("ndcg@3").unwrap().f64().unwrap().iter().skip(1).flatten().collect::<Vec<_>>();
        let gap = values.iter().copied().fold(0.0, f64::max) - values.iter().copied().fold(1.0, f64::min);
        assert_eq!(value(&done.metrics("metrics"), "ndcg@3_difference:gender"), gap);
        assert!(!done.metrics("metrics").values.contains_key("coverage@3_difference:gender"));
        assert_eq!(done.figure("by_group_figure").series[0].points.len(), 5);
    }
}

#[test]
fn small_groups_and_users_with_two_values() {
    let params = json!({ "k": [3], "groups": ["gender"], "min_group_users": 2 });
    let done = audited(rows(&RECOMMENDED, 0), rows(&TESTED, 0), params).unwrap();
    assert_eq!(
        done.warnings,
        ["2 of 4 groups of `gender` have fewer than 2 users: they take no part in the differences"]
    );
    let two = df!["user_id" => [1_i64, 1], "gender" => ["f", "m"]].unwrap();
    let trial = |users: Option<DataFrame>| {
        let trial = Trial::new::<Ranking>(json!({ "groups": ["gender"] }))
            .input("recommendations", table(rows(&RECOMMENDED, 0)))
            .input("test", table(rows(&TESTED, 0)));
        match users {
            Some(users) => trial.input("users", table(users)).run().unwrap_err().message,
            None => trial.run().unwrap_err().message,
        }
    };
    assert_eq!(trial(Some(two)), "a user has two values of `gender` in `users`");
    assert_eq!(trial(None), "`groups` are named, and nothing is connected to the input `users`");
    let error = Trial::new::<Ranking>(json!({ "groups": ["a", "b", "a"] })).check().unwrap_err();
    assert_eq!(error.to_string(), "groups/2: `a` is named twice");
}

#[test]
fn personal_columns_are_followed_and_groups_disclosed() {
    let stage = StageType::of::<Ranking>("test").configure(&json!({ "groups": ["gender"] })).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let inputs =
        [("users".to_owned(), names(&["gender", "user_id", "email"])), ("test".to_owned(), names(&["user_id"]))];
    let outputs = stage.personal(&inputs.into());
    assert_eq!((&outputs["per_user"], &outputs["by_group"]), (&names(&["user_id"]), &names(&["group"])));
    assert_eq!(stage.discloses()[0].columns.as_deref(), Some(&["gender".to_owned()][..]));
}
