#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use polars::prelude::{DataFrame, df};
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Metrics, PersonalColumns, Sample, StageError, StageType};
use stagewright_frame::testkit::{frame, table};

use super::Classification;
use super::curves;
use super::ranked::Ranked;

/// 500 rows with ties, a probability of 0, and three groups. The expected values in these tests are those of
/// scikit-learn 1.6.0 for the same rows (`p = (i * 7919 % 400) / 400`, and so on, in numpy).
fn predictions() -> DataFrame {
    let rows = || 0..500_i64;
    df![
        "id" => rows().collect::<Vec<_>>(),
        "probability" => rows().map(score).collect::<Vec<_>>(),
        "target" => rows().map(outcome).collect::<Vec<_>>(),
        "group" => rows().map(group).collect::<Vec<_>>(),
    ]
    .unwrap()
}

fn score(i: i64) -> f64 {
    ((i * 7919) % 400) as f64 / 400.0
}

fn outcome(i: i64) -> i64 {
    i64::from(((i * i * 31 + i * 17) % 1000) as f64 / 1000.0 < score(i) * 0.6 + 0.1)
}

fn group(i: i64) -> &'static str {
    if i % 5 < 2 {
        "a"
    } else if i % 7 < 3 {
        "b"
    } else {
        "c"
    }
}

fn run(frame: DataFrame, mut params: Value) -> Result<Done, StageError> {
    params.as_object_mut().unwrap().entry("target").or_insert(json!("target"));
    Trial::new::<Classification>(params).input("predictions", table(frame)).run()
}

fn done(params: Value) -> Done {
    run(predictions(), params).unwrap()
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
}

#[track_caller]
fn metric(metrics: &Metrics, name: &str, expected: f64) {
    close(metrics.values[name].value.unwrap_or_else(|| panic!("{name} is undefined")), expected);
}

fn column(done: &Done, port: &str, name: &str) -> Vec<Option<f64>> {
    frame(&done.table(port))
        .column(name)
        .unwrap()
        .cast(&polars::prelude::DataType::Float64)
        .unwrap()
        .f64()
        .unwrap()
        .iter()
        .collect()
}

#[test]
fn metrics_are_those_of_scikit_learn() {
    let metrics = done(json!({})).metrics("metrics");
    for (name, expected) in [
        ("accuracy", 0.658),
        ("precision", 0.601593625498008),
        ("recall", 0.6801801801801802),
        ("f1", 0.638477801268499),
        ("auc", 0.7149118543003437),
        ("average_precision", 0.6422819797626127),
        ("log_loss", 0.7456279513941304),
        ("brier", 0.227511875),
        ("expected_calibration_error", 0.10777),
        ("max_f1", 0.6779026217228465),
        ("max_f1_threshold", 0.3775),
        ("share_flagged", 0.502),
        ("base_rate", 0.444),
        // DummyClassifier("most_frequent"), predictions of all ones, and the base rate as every probability.
        ("baseline_accuracy", 0.556),
        ("baseline_f1", 0.0),
        ("baseline_log_loss", 0.6868620016589054),
        ("baseline_brier", 0.246864),
        ("always_positive_precision", 0.444),
        ("always_positive_recall", 1.0),
        ("always_positive_f1", 0.6149584487534626),
        ("rows", 500.0),
        ("positives", 222.0),
    ] {
        metric(&metrics, name, expected);
    }
    assert_eq!((metrics.unit.as_deref(), metrics.units), (Some("row"), Some(500)));
}

#[test]
fn the_report_is_that_of_scikit_learn() {
    let done = done(json!({}));
    let expected = [
        ("precision", [0.714859437751004, 0.601593625498008, 0.658226531624506, 0.6645694171106739]),
        ("recall", [0.6402877697841727, 0.6801801801801802, 0.6602339749821764, 0.658]),
        ("f1", [0.6755218216318786, 0.638477801268499, 0.6569998114501887, 0.6590742765905381]),
        ("support", [278.0, 222.0, 500.0, 500.0]),
    ];
    for (name, values) in expected {
        column(&done, "report", name).iter().zip(values).for_each(|(found, value)| close(found.unwrap(), value));
    }
    assert_eq!(column(&done, "confusion", "rows"), [178.0, 100.0, 71.0, 151.0].map(Some));
    close(column(&done, "confusion", "share_of_actual")[3].unwrap(), 151.0 / 222.0);
    let figure = done.figure("confusion_figure");
    assert_eq!((figure.series[0].name.as_str(), figure.series[0].points[1].y), ("actual 0", Some(100.0)));
}

#[test]
fn calibration_is_that_of_scikit_learn() {
    let uniform = done(json!({ "sample": 0 }));
    let expected = [
        (0.18, 0.048400000000000006, 50.0),
        (0.11538461538461539, 0.15221153846153848, 52.0),
        (0.375, 0.2508333333333333, 48.0),
        (0.3076923076923077, 0.3527884615384616, 52.0),
        (0.4583333333333333, 0.45125, 48.0),
        (0.5192307692307693, 0.5533653846153845, 52.0),
        (0.625, 0.6516666666666667, 48.0),
        (0.4807692307692308, 0.7539423076923076, 52.0),
        (0.6458333333333334, 0.8520833333333334, 48.0),
        (0.76, 0.9517, 50.0),
    ];
    let columns = ["share_positive", "mean_probability", "rows"].map(|name| column(&uniform, "calibration", name));
    for (bin, (share, mean, rows)) in expected.into_iter().enumerate() {
        let [a, b, c] = columns.each_ref().map(|column| column[bin].unwrap());
        close(a, share);
        close(b, mean);
        assert_eq!(c, rows);
    }
    let quantile = done(json!({ "calibration_strategy": "quantile" }));
    metric(&quantile.metrics("metrics"), "expected_calibration_error", 0.10699000000000003);
    // numpy.percentile(p, [0, 10, … 100]), and how many rows scikit-learn puts between them.
    let upper = [0.10225, 0.197, 0.30175, 0.3965, 0.50125, 0.5975, 0.70075, 0.798, 0.90025, 0.9975];
    column(&quantile, "calibration", "upper").iter().zip(upper).for_each(|(found, edge)| close(found.unwrap(), edge));
    let rows = [50.0, 50.0, 50.0, 50.0, 50.0, 51.0, 49.0, 50.0, 50.0, 50.0];
    assert_eq!(column(&quantile, "calibration", "rows"), rows.map(Some));
}

#[test]
fn differences_between_groups_are_those_of_fairlearn() {
    let done = done(json!({ "groups": ["group"] }));
    let metrics = done.metrics("metrics");
    // From sklearn.metrics.confusion_matrix by group and fairlearn's definitions.
    metric(&metrics, "demographic_parity_difference:group", 0.15970588235294114);
    metric(&metrics, "demographic_parity_ratio:group", 0.7315867523479981);
    metric(&metrics, "equal_opportunity_difference:group", 0.0985257101761956);
    metric(&metrics, "equalized_odds_difference:group", 0.14884634266077562);
    metric(&metrics, "accuracy_difference:group", 0.036470588235294144);
    // The third row is group `b`.
    for (name, expected) in [
        ("rows", 130.0),
        ("positives", 54.0),
        ("share_flagged", 0.4461538461538462),
        ("accuracy", 0.6615384615384615),
        ("precision", 0.5862068965517241),
        ("recall", 0.6296296296296297),
        ("f1", 0.6071428571428571),
        ("false_positive_rate", 0.3157894736842105),
        ("auc", 0.6871345029239766),
        ("average_precision", 0.6072198105381064),
        ("log_loss", 0.7142098924393876),
        ("brier", 0.24055293269230768),
    ] {
        close(column(&done, "by_group", name)[2].unwrap(), expected);
    }
    close(column(&done, "by_group", "auc")[0].unwrap(), 0.7149118543003437);
    assert_eq!(done.figure("by_group_figure").series[0].points.len(), 4);
}

#[test]
fn small_groups_take_no_part_in_the_differences() {
    let done = done(json!({ "groups": ["group"], "min_group_rows": 150 }));
    metric(&done.metrics("metrics"), "demographic_parity_difference:group", 0.595 - 0.43529411764705883);
    assert_eq!(
        done.warnings,
        ["1 of 3 groups of `group` have fewer than 150 rows: they take no part in the differences"]
    );
}

/// Three hundred thousand rows of a classifier as good as real ones.
fn many() -> Ranked {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (mut positives, mut negatives) = (Vec::new(), Vec::new());
    for _ in 0..300_000 {
        let score = uniform().powi(2);
        if uniform() < score { positives.push(score) } else { negatives.push(score) }
    }
    Ranked::of(&positives, &negatives)
}

#[test]
fn thinned_curves_keep_their_area() {
    let ranked = many();
    let points = curves::roc(&ranked);
    assert!(points.len() <= 200 && points.len() > 150, "{}", points.len());
    let (mut area, mut before) = (0.0, (0.0, 0.0));
    for step in &points {
        let (x, y) = super::figures::rates(&ranked, step.as_ref());
        let (x, y) = (x.unwrap(), y.unwrap());
        area += (x - before.0) * (y + before.1) / 2.0;
        before = (x, y);
    }
    assert_eq!(before, (1.0, 1.0));
    assert!((area - ranked.auc().unwrap()).abs() < 1e-4, "{area}");

    let points = curves::precision_recall(&ranked);
    assert!(points.len() <= 200 && points.len() > 150, "{}", points.len());
    let (mut area, mut before) = (0.0, (0.0, 1.0));
    for step in &points {
        let recall = step.positives as f64 / ranked.positives as f64;
        let precision = step.positives as f64 / (step.positives + step.negatives) as f64;
        area += (recall - before.0) * (precision + before.1) / 2.0;
        before = (recall, precision);
    }
    assert_eq!(before.0, 1.0);
    assert!((area - ranked.average_precision().unwrap()).abs() < 1e-3, "{area}");
}

#[test]
fn the_roc_curve_leaves_out_points_on_a_straight_line() {
    // Positive, positive, negative, negative, then one of each tied.
    let ranked = Ranked::of(&[0.9, 0.8, 0.3], &[0.7, 0.6, 0.3]);
    let turns: Vec<_> = curves::roc(&ranked).into_iter().map(|step| step.map(|step| step.score)).collect();
    assert_eq!(turns, [None, Some(0.8), Some(0.6), Some(0.3)]);
}

#[test]
fn rows_at_the_threshold_are_flagged() {
    let frame = df!["probability" => [0.5, 0.49], "target" => [true, false]].unwrap();
    metric(&run(frame, json!({})).unwrap().metrics("metrics"), "accuracy", 1.0);
}

#[test]
fn a_named_value_is_the_positive_outcome() {
    let frame = df!["probability" => [0.9, 0.1, 0.8], "target" => ["yes", "no", "maybe"]].unwrap();
    let done = run(frame.clone(), json!({ "positive": "yes" })).unwrap();
    metric(&done.metrics("metrics"), "precision", 0.5);
    let report = self::frame(&done.table("report"));
    let classes: Vec<_> = report.column("class").unwrap().str().unwrap().iter().flatten().collect();
    assert_eq!(classes, ["not yes", "yes", "macro avg", "weighted avg"]);

    let error = run(frame.clone(), json!({ "positive": "ja" })).unwrap_err();
    assert_eq!(error.message, "no row has `ja` in column `target`");
    let error = run(frame, json!({})).unwrap_err();
    assert_eq!(error.message, "column `target` is str, a number is needed");
    assert_eq!(error.help.unwrap(), "name the value of the positive outcome in `positive`");
}

#[test]
fn mistakes_are_named() {
    let frame = df!["probability" => [0.9, 1.5], "target" => [1, 2]].unwrap();
    let error = run(frame.clone(), json!({})).unwrap_err();
    assert_eq!(error.message, "1 of 2 rows have a value in column `target` that is neither 0 nor 1");
    let error = run(frame, json!({ "positive": "2" })).unwrap_err();
    assert_eq!(error.message, "1 of 2 rows have a value in column `probability` that is not from 0 to 1");

    let check = |params: Value| Trial::new::<Classification>(params).check().unwrap_err().to_string();
    assert_eq!(check(json!({ "target": "probability" })), "probability: `probability` is the target, too");
    assert_eq!(check(json!({ "target": "t", "groups": ["a", "a"] })), "groups/1: `a` is named twice");
}

#[test]
fn rows_without_a_value_are_left_out() {
    let frame = df![
        "probability" => [Some(0.9), None, Some(f64::NAN), Some(0.2)],
        "target" => [Some(1), Some(1), Some(0), None],
    ];
    let done = run(frame.unwrap(), json!({})).unwrap();
    assert_eq!(
        done.warnings,
        [
            "3 of 4 rows are left out: `probability` or `target` is missing",
            "all outcomes are the same: there is nothing to tell apart",
        ]
    );
    let metrics = done.metrics("metrics");
    assert_eq!((metrics.values["auc"].value, metrics.values["average_precision"].value), (None, Some(1.0)));
    metric(&metrics, "baseline_log_loss", 0.0);
}

#[test]
fn over_no_rows_measures_are_undefined() {
    let metrics = run(predictions().head(Some(0)), json!({})).unwrap().metrics("metrics");
    let defined: Vec<_> = metrics.values.iter().filter(|(_, metric)| metric.value.is_some()).collect();
    assert_eq!(defined.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["positives", "rows"]);
}

#[test]
fn the_order_of_rows_does_not_matter_with_keys() {
    let params = json!({ "keys": ["id"], "groups": ["group"] });
    let reversed = predictions().reverse();
    assert_eq!(run(reversed.clone(), params.clone()).unwrap().bytes(), done(params).bytes());
    let digest = |frame: DataFrame, params: Value| run(frame, params).unwrap().metrics("metrics").units_digest;
    assert_ne!(digest(reversed.clone(), json!({})), digest(predictions(), json!({})));
    // Equal whatever the probabilities are; different for other rows.
    let mut other = predictions();
    other.with_column(polars::prelude::Column::new("probability".into(), vec![0.5; 500])).unwrap();
    for params in [json!({}), json!({ "keys": ["id", "group"] })] {
        assert_eq!(digest(other.clone(), params.clone()), digest(predictions(), params.clone()));
        assert_ne!(digest(predictions().head(Some(499)), params.clone()), digest(predictions(), params));
    }
}

#[test]
fn the_sample_is_drawn_by_the_seed() {
    let sample = |seed: u64| {
        let trial = Trial::new::<Classification>(json!({ "target": "target", "sample": 20 })).seed(seed);
        let done = trial.input("predictions", table(predictions())).run().unwrap();
        (column(&done, "sample", "probability"), column(&done, "sample", "actual"))
    };
    let (scores, actual) = sample(1);
    assert_eq!(scores.len(), 20);
    assert!(scores.is_sorted_by(|a, b| a >= b));
    for (score, actual) in scores.iter().zip(actual) {
        let is_row = |i: i64| Some(self::score(i)) == *score && Some(outcome(i) as f64) == actual;
        assert!((0..500).any(is_row));
    }
    assert_ne!(sample(2).0, sample(1).0);
}

#[test]
fn personal_columns_are_followed_and_groups_disclosed() {
    let personal = |params: Value, columns: &[&str]| {
        let stage = StageType::of::<Classification>("test").configure(&params).unwrap();
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let outputs = stage.personal(&PersonalColumns::from([("predictions".to_owned(), columns)]));
        (outputs, stage.discloses())
    };
    let (outputs, discloses) = personal(json!({ "target": "gender", "positive": "F" }), &["email", "gender", "recall"]);
    assert!(discloses.is_empty());
    assert_eq!(outputs["sample"].iter().collect::<Vec<_>>(), ["actual"]);
    assert_eq!(outputs["report"].iter().collect::<Vec<_>>(), ["recall"]);
    assert!(outputs["calibration"].is_empty());
    let (outputs, discloses) = personal(json!({ "target": "t", "groups": ["gender"] }), &["gender"]);
    assert_eq!(discloses[0].columns.as_deref(), Some(&["gender".to_owned()][..]));
    assert_eq!(outputs["by_group"].iter().collect::<Vec<_>>(), ["group"]);

    let mut input = table(predictions());
    input.mark_personal(["target"]);
    let done = Trial::new::<Classification>(json!({ "target": "target" })).input("predictions", input).run().unwrap();
    assert!(done.table("sample").is_personal("actual") && !done.table("sample").is_personal("probability"));
}

#[test]
fn rows_add_up_to_the_measures() {
    let done = done(json!({ "keys": ["id"] }));
    let (metrics, rows) = (done.metrics("metrics"), frame(&done.table("per_row")));
    assert_eq!(rows.column("id").unwrap().i64().unwrap().iter().flatten().collect::<Vec<_>>(), Vec::from_iter(0..500));
    for (name, metric) in metrics.values.iter().filter(|(_, metric)| metric.sample.is_some()) {
        let mean = match metric.sample.as_ref().unwrap() {
            Sample::Mean(column) => rows.column(column).unwrap().f64().unwrap().iter().flatten().sum::<f64>() / 500.0,
            Sample::Share(column) => f64::from(rows.column(column).unwrap().bool().unwrap().sum().unwrap()) / 500.0,
            Sample::Auc { .. } => continue,
        };
        assert!((mean - metric.value.unwrap()).abs() < 1e-12, "{name}: {mean}");
    }
    let error = run(predictions(), json!({ "keys": ["recall"] })).unwrap_err();
    assert_eq!(error.message, "keys/0: `recall` is a column of the table `per_row`");
}
