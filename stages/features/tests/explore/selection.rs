use polars::prelude::*;
use serde_json::json;
use stagewright_contract::testkit::{Done, Trial};
use stagewright_features::Select;
use stagewright_frame::testkit::{frame, table};

use crate::{error, floats, metric, refused, run, texts};

/// `u = lcg(2400).reshape(400, 6)`, where `lcg` yields `s = (6364136223846793005 s + 1442695040888963407) % 2**64` from
/// `s = 1` as `(s >> 11) / 2**53`; `a = 10 u0`, `b = a + u1`, `noise = 100 u2`, `dept = int(5 u3)`, `town` by `int(3
/// u4)`, `holes = 2 a` in every third row, `value = 0.3 a + 1.5 (dept == 2) + 4 u5`, `y = value > 4`, `level` low below
/// 3, mid below 5, top.
pub(crate) fn sample() -> DataFrame {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let rows: Vec<[f64; 6]> = (0..400).map(|_| std::array::from_fn(|_| uniform())).collect();
    let a = |row: &[f64; 6]| row[0] * 10.0;
    let dept = |row: &[f64; 6]| (row[3] * 5.0) as i64;
    let value = |row: &[f64; 6]| a(row) * 0.3 + f64::from(dept(row) == 2) * 1.5 + row[5] * 4.0;
    let level = |value: f64| {
        if value < 3.0 {
            "low"
        } else if value < 5.0 {
            "mid"
        } else {
            "top"
        }
    };
    df!(
        "id" => (0..400i64).collect::<Vec<_>>(),
        "a" => rows.iter().map(a).collect::<Vec<_>>(),
        "b" => rows.iter().map(|row| a(row) + row[1]).collect::<Vec<_>>(),
        "noise" => rows.iter().map(|row| row[2] * 100.0).collect::<Vec<_>>(),
        "dept" => rows.iter().map(dept).collect::<Vec<_>>(),
        "town" => rows.iter().map(|row| ["Oslo", "Bergen", "Tromsø"][(row[4] * 3.0) as usize]).collect::<Vec<_>>(),
        "holes" => (0..400).map(|row| (row % 3 == 0).then(|| a(&rows[row]) * 2.0)).collect::<Vec<_>>(),
        "one" => [7i64; 400],
        "value" => rows.iter().map(value).collect::<Vec<_>>(),
        "y" => rows.iter().map(|row| i64::from(value(row) > 4.0)).collect::<Vec<_>>(),
        "level" => rows.iter().map(|row| level(value(row))).collect::<Vec<_>>(),
    )
    .unwrap()
}

/// Test, statistic, p-value, association and mutual information of a candidate.
fn score(done: &Done, name: &str) -> (String, [f64; 4]) {
    let row = texts(done, "scores", "column").iter().position(|column| column == name).unwrap();
    let number = |column: &str| floats(done, "scores", column)[row].unwrap();
    let numbers = ["statistic", "p_value", "association", "mutual_information"].map(number);
    (texts(done, "scores", "test")[row].clone(), numbers)
}

fn close(found: (String, [f64; 4]), test: &str, expected: [f64; 4]) {
    assert_eq!(found.0, test);
    for (found, expected) in found.1.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
    }
}

fn reasons(done: &Done) -> Vec<(String, String)> {
    texts(done, "scores", "column").into_iter().zip(texts(done, "scores", "reason")).collect()
}

fn names(done: &Done) -> Vec<String> {
    done.table("table").names().map(str::to_owned).collect()
}

#[test]
fn features_are_tested_against_two_classes() {
    let columns = ["a", "b", "noise", "dept", "town", "holes"];
    let params = json!({ "target": "y", "columns": columns, "categorical": ["dept"] });
    let done = run::<Select>(params, &sample());
    // f_classif(x, y), scipy.stats.pearsonr(x, y), mutual_info_score(pd.qcut(x, 10, labels=False), y)
    let a = [118.61771001385286, 2.3643308530265025e-24, 0.47917055488273846, 0.1377830664623259];
    close(score(&done, "a"), "f_classif", a);
    let noise = [2.5914318201070543, 0.10823598896955615, 0.08043018461730077, 0.005406749053028875];
    close(score(&done, "noise"), "f_classif", noise);
    let holes = [35.930123727277014, 1.835958189212619e-08, 0.46255678138614875, 0.15903855690498395];
    close(score(&done, "holes"), "f_classif", holes);
    // scipy.stats.chi2_contingency(pd.crosstab(x, y), correction=False), mutual_info_score(x, y)
    let dept = [27.640584127379647, 1.4749597899297687e-05, 0.26287156620381963, 0.03475515143892838];
    close(score(&done, "dept"), "chi2", dept);
    let town = [2.413039411354413, 0.29923690177506845, 0.0776698044827334, 0.0030134016607229475];
    close(score(&done, "town"), "chi2", town);

    let reason = |name: &str, reason: &str| (name.to_owned(), reason.to_owned());
    let expected = [
        reason("holes", "only 33.5 % complete, less than 50 %"),
        reason("a", "passes all tests"),
        reason("b", "passes all tests"),
        reason("dept", "passes all tests"),
        reason("noise", "p-value 0.108 is above 0.05"),
        reason("town", "p-value 0.299 is above 0.05"),
    ];
    assert_eq!(reasons(&done), expected);
    assert_eq!(texts(&done, "scores", "kind"), ["number", "number", "number", "category", "number", "category"]);
    assert_eq!(floats(&done, "scores", "completeness")[0], Some(0.335));
    assert_eq!(names(&done), ["a", "b", "dept", "y"]);
    assert_eq!(frame(&done.table("table")), sample().select(["a", "b", "dept", "y"]).unwrap());
    let counts = ["candidates", "kept", "rows"].map(|name| metric(&done, name));
    assert_eq!(counts, [6.0, 3.0, 400.0].map(Some));
    let figure = done.figure("figure");
    let series: Vec<_> = figure.series.iter().map(|series| (series.name.as_str(), series.points.len())).collect();
    assert_eq!(series, [("kept", 3), ("dropped", 3)]);
}

#[test]
fn features_are_tested_against_three_classes() {
    let params = json!({ "target": "level", "columns": ["a", "noise", "dept", "town"], "categorical": ["dept"] });
    let done = run::<Select>(params, &sample());
    // f_classif(x, level), eta = sqrt(between / total)
    let a = [73.49063691034502, 7.022659040426633e-28, 0.5198032955681631, 0.16930081363441682];
    close(score(&done, "a"), "f_classif", a);
    let dept = [44.701322261128944, 4.1920677344136256e-07, 0.23638242918290517, 0.05594988688300463];
    close(score(&done, "dept"), "chi2", dept);
}

#[test]
fn features_are_tested_against_numbers() {
    let columns = ["a", "b", "noise", "dept", "town"];
    let params = json!({ "target": "value", "columns": columns, "categorical": ["dept"], "max_correlation": 0.9 });
    let done = run::<Select>(params, &sample());
    // f_regression(x, value), pearsonr, mutual_info_score(qcut(x), qcut(value)); f_oneway of value by category
    let a = [200.66044592740337, 3.587207308647684e-37, 0.5789493945621774, 0.3226211890685571];
    close(score(&done, "a"), "f_regression", a);
    let noise = [0.8043489799082464, 0.3703384263717854, 0.04490992345559838, 0.0976236831095331];
    close(score(&done, "noise"), "f_regression", noise);
    let dept = [15.764695625154188, 5.572685107321291e-12, 0.3710326972498226, 0.1059063506292789];
    close(score(&done, "dept"), "f_classif", dept);
    let b = reasons(&done).into_iter().find(|(name, _)| name == "b").unwrap();
    assert_eq!(b.1, "correlates 0.995 with `a`, beyond 0.9", "np.corrcoef(a, b)");
    assert_eq!(names(&done), ["a", "dept", "value"]);
}

#[test]
fn domain_knowledge_goes_first() {
    let params = json!({
        "target": "y", "keep": ["noise"], "drop": ["value", "level", "holes"], "carry": ["id"], "k": 2,
        "categorical": ["dept"],
    });
    let done = run::<Select>(params, &sample());
    assert_eq!(names(&done), ["id", "a", "noise", "y"]);
    let reasons = reasons(&done);
    let of = |name: &str| reasons.iter().find(|(column, _)| column == name).unwrap().1.as_str();
    assert_eq!(of("noise"), "in `keep`");
    assert_eq!(of("value"), "in `drop`");
    assert_eq!(of("a"), "passes all tests");
    assert_eq!(of("b"), "beyond the best 2");
    assert_eq!(of("one"), "constant where the target is known");
    assert_eq!(reasons.last().unwrap().0, "one", "what cannot be tested comes last");
}

#[test]
fn personal_columns_are_no_candidates_unless_named() {
    let candidates = |params: serde_json::Value| {
        let mut input = table(sample().select(["a", "b", "town", "y"]).unwrap());
        input.mark_personal(["a", "town"]);
        let done = Trial::new::<Select>(params).input("table", input).run().unwrap();
        let personal: Vec<String> = done.table("table").personal().map(str::to_owned).collect();
        (texts(&done, "scores", "column"), personal)
    };
    assert_eq!(candidates(json!({ "target": "y" })), (vec!["b".to_owned()], vec![]));
    let (columns, personal) = candidates(json!({ "target": "y", "keep": ["a"] }));
    assert_eq!((columns, personal), (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn what_cannot_be_a_feature_or_a_target_is_said() {
    let mut input = sample().select(["id", "a", "y"]).unwrap();
    let dates = Column::new("date".into(), (0..400i32).collect::<Vec<_>>()).cast(&DataType::Date).unwrap();
    input.with_column(dates).unwrap();
    let name = Column::new("name".into(), (0..400).map(|row| format!("n{row}")).collect::<Vec<_>>());
    input.with_column(name).unwrap();
    let mut y: Vec<Option<i64>> = input.column("y").unwrap().i64().unwrap().iter().collect();
    y[0] = None;
    input.with_column(Column::new("y".into(), y)).unwrap();
    let done = run::<Select>(json!({ "target": "y", "carry": ["id"], "max_categories": 100 }), &input);
    assert_eq!(done.warnings, ["1 row has no `y`: left out of the tests"]);
    assert_eq!(reasons(&done)[1].1, "date is neither number nor category");
    assert_eq!(reasons(&done)[2].1, "400 categories, more than 100");
    assert_eq!(texts(&done, "scores", "test"), ["f_classif", "-", "-"]);

    let nothing = run::<Select>(json!({ "target": "y", "columns": ["date"] }), &input);
    assert_eq!(nothing.warnings[1], "no column is kept: see the reasons in `scores`");
    assert_eq!(names(&nothing), ["y"]);

    let constant = error::<Select>(json!({ "target": "one" }), &sample());
    assert_eq!(constant.message, "column `one` holds a single value: nothing tells about it");
    let classes = error::<Select>(json!({ "target": "id", "task": "classification" }), &sample());
    assert_eq!(classes.message, "column `id` has 400 classes, more than 200");
    let fractions = error::<Select>(json!({ "target": "y", "categorical": ["noise"] }), &sample());
    assert_eq!(fractions.message, "column `noise` is f64, categories are needed");
    let typo = error::<Select>(json!({ "target": "y", "drop": ["nois"] }), &sample());
    assert_eq!(
        (typo.message.as_str(), typo.help.as_deref()),
        ("there is no column `nois`", Some("did you mean `noise`?"))
    );
    for (params, expected) in [
        (json!({ "target": "y", "keep": ["y"] }), "keep/0: `y` is the target"),
        (json!({ "target": "y", "keep": ["a"], "drop": ["a"] }), "drop/0: `a` is in `keep` as well"),
        (json!({ "target": "y", "columns": ["a"], "carry": ["a"] }), "carry/0: `a` is a candidate as well"),
        (json!({ "target": "y", "max_p_value": 2.0 }), "max_p_value: it must lie between 0 and 1"),
        (json!({ "target": "y", "bins": 1 }), "bins: there can be 2 to 1000 bins"),
    ] {
        assert_eq!(refused::<Select>(params).to_string(), expected);
    }
}
