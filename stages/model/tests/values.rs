//! Values against scikit-learn 1.6 and statsmodels on the rows of `common::shop`, errors and warnings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{assert_close, floats, shop, shop_table, texts};
use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{Model, Stage, StageError};
use stagewright_frame::testkit::{frame, table};
use stagewright_model::{
    Calibrate, CrossValidate, DecisionTree, Importance, Learn, Linear, Logistic, Predict, Threshold,
};

fn learn(params: Value) -> Done {
    Trial::new::<Learn<Logistic>>(params).input("table", shop_table()).run().unwrap()
}

fn with(mut params: Value, more: &Value) -> Value {
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn three_features() -> Value {
    json!({ "features": ["price", "hour", "member"], "target": "bought" })
}

#[track_caller]
fn assert_error(result: Result<Done, StageError>, message: &str, help: &str) {
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.message, message);
    assert_eq!(error.help.unwrap_or_default(), help);
}

fn metric(done: &Done, name: &str) -> f64 {
    done.metrics("metrics").values[name].value.unwrap()
}

/// The first and the last rows of the shop.
fn halves(first: usize) -> (DataFrame, DataFrame) {
    (shop().head(Some(first)), shop().tail(Some(300 - first)))
}

/// The last hundred rows with the probabilities of a model of the first two hundred, and that model.
fn held_out() -> (DataFrame, std::sync::Arc<Model>) {
    let (train, test) = halves(200);
    let model = Trial::new::<Learn<Logistic>>(three_features()).input("table", table(train)).run().unwrap();
    let model = model.model("model");
    let trial = Trial::new::<Predict>(json!({ "prediction": "side" })).input("model", model.clone());
    (frame(&trial.input("table", table(test)).run().unwrap().table("table")), model)
}

// LogisticRegression(solver="newton-cholesky", tol=1e-13, max_iter=1000, **params).fit(X, bought), X the three columns:
// intercept, coefficients, and log_loss on the same rows
#[test]
fn logistic_equals_scikit_learn_on_unscaled_columns() {
    for (params, expected, loss) in [
        (json!({}), [-0.390031353274, 0.0023554895526649, -0.049732431631095, 0.99287649601257], 0.589680571444817),
        (
            json!({ "C": 0.01 }),
            [-0.109601725449900, 0.0022514358229833, -0.046729911621531, 0.125338782505693],
            0.608847728561978,
        ),
        (
            json!({ "class_weight": "balanced" }),
            [-0.883708379307814, 0.0023841285588255, -0.049158782905892, 0.992363949189427],
            0.612976440418899,
        ),
    ] {
        let done = learn(with(three_features(), &params));
        assert_close(&params.to_string(), &floats(&done.table("coefficients"), "coefficient"), &expected, 1e-8);
        assert!((metric(&done, "train_log_loss") - loss).abs() < 1e-10, "{params}");
        assert_eq!(metric(&done, "converged"), 1.0);
        assert_eq!(metric(&done, "rows"), 300.0);
        assert_eq!(done.warnings, [""; 0]);
    }
    let done = learn(with(three_features(), &json!({ "fit_intercept": false })));
    assert_eq!(texts(&done.table("coefficients"), "term"), ["price", "hour", "member"]);
    let expected = [0.0020282209147699, -0.062541361782723, 0.909498576950286];
    assert_close("no intercept", &floats(&done.table("coefficients"), "coefficient"), &expected, 1e-8);
}

// statsmodels.api.Logit(bought, add_constant(X)).fit(tol=1e-12): params, bse, tvalues, pvalues
#[test]
fn without_penalty_standard_errors_equal_statsmodels() {
    let done = learn(with(three_features(), &json!({ "penalty": "none", "tol": 1e-13 })));
    let coefficients = done.table("coefficients");
    assert_eq!(texts(&coefficients, "term"), ["(intercept)", "price", "hour", "member"]);
    for (column, expected) in [
        ("coefficient", [-0.41729894657323, 0.0023717305854764597, -0.050020371607854, 1.075043213584785]),
        ("std_error", [0.33966998067472354, 0.00047976852889486984, 0.01909344763706204, 0.2891874174999124]),
        ("z", [-1.2285423213154443, 4.94348929251291, -2.6197663490987404, 3.7174619244459715]),
    ] {
        assert_close(column, &floats(&coefficients, column), &expected, 1e-7);
    }
    let p = floats(&coefficients, "p_value");
    let expected = [0.21924345241581544, 7.673656668379347e-07, 0.008799003054331967, 0.00020123430372054538];
    for (p, expected) in p.iter().zip(expected) {
        assert!((p.unwrap() / expected - 1.0).abs() < 1e-6, "{p:?} is not {expected}");
    }
}

// LogisticRegression on the three columns and OneHotEncoder's columns of `department`
#[test]
fn text_becomes_a_column_for_each_category() {
    let done = learn(json!({ "features": ["price", "hour", "member", "department"], "target": "bought" }));
    let terms = texts(&done.table("coefficients"), "term");
    assert_eq!(terms[4..], ["department=dairy", "department=frozen", "department=produce"]);
    let expected = [
        -0.4430068160307862,
        0.0025357895640468918,
        -0.05278360472135941,
        1.070477055423545,
        0.38103181388626023,
        -0.49860892309498517,
        0.1175771092087237,
    ];
    assert_close("coefficients", &floats(&done.table("coefficients"), "coefficient"), &expected, 1e-7);
    // Columns of zeros and ones add up to 1, as the intercept does: without the penalty they would not be determined.
    assert_eq!(floats(&done.table("coefficients"), "std_error"), [None; 7]);
    assert_eq!(done.warnings, [""; 0]);
    let model = done.model("model");
    let done = Trial::new::<Predict>(json!({})).input("model", model).input("table", shop_table()).run().unwrap();
    let probability = floats(&done.table("table"), "probability");
    assert_close("probability", &probability[..3], &[0.63844641, 0.60875195, 0.83101032], 1e-7);
    assert_eq!(done.warnings, [""; 0]);
    // Without a penalty the first category is the one that the others are compared with.
    let params = json!({ "features": ["department"], "target": "bought", "penalty": "none" });
    let done = learn(params);
    assert_eq!(texts(&done.table("coefficients"), "term"), ["(intercept)", "department=frozen", "department=produce"]);
    let twice = json!({ "features": ["price", "again"], "target": "bought", "penalty": "none" });
    let again = shop().column("price").unwrap().clone().with_name("again".into());
    let table = table(shop().hstack(&[again]).unwrap());
    let done = Trial::new::<Learn<Logistic>>(twice).input("table", table).run().unwrap();
    assert_eq!(done.warnings, ["columns are collinear: their coefficients are not determined"]);
}

#[test]
fn importance_is_the_coefficient_times_the_deviation() {
    let done = learn(three_features());
    let importance = done.table("importance");
    assert_eq!(texts(&importance, "feature"), ["price", "member", "hour"]);
    let shop = shop();
    let std = |name: &str| shop.column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().std(0).unwrap();
    let expected = [0.0023554895526649 * std("price"), 0.99287649601257 * std("member"), 0.0497324316311 * std("hour")];
    assert_close("importance", &floats(&importance, "importance"), &expected, 1e-8);
    let bars = &done.figure("figure").series[0].points;
    assert_eq!(bars.len(), 3);
}

#[test]
fn scaling_a_column_scales_its_coefficient_and_nothing_else() {
    // Without a penalty; with one, the units matter, as in scikit-learn.
    let mut huge = shop();
    let price = huge.column("price").unwrap().f64().unwrap() * 1e150 + 1e152;
    huge.with_column(price.into_column()).unwrap();
    let params = with(three_features(), &json!({ "penalty": "none" }));
    let one = learn(params.clone());
    let other = Trial::new::<Learn<Logistic>>(params).input("table", table(huge)).run().unwrap();
    let (one, other) = (one.table("coefficients"), other.table("coefficients"));
    let (one, other) = (floats(&one, "coefficient"), floats(&other, "coefficient"));
    assert_close("member", &other[3..], &[one[3].unwrap()], 1e-7);
    assert!((other[1].unwrap() * 1e150 / one[1].unwrap() - 1.0).abs() < 1e-7);
}

#[test]
fn a_fit_that_does_not_converge_says_so() {
    let done = learn(with(three_features(), &json!({ "max_iter": 1 })));
    assert_eq!(
        done.warnings,
        ["not converged after 1 iterations: raise `max_iter`, or strengthen the penalty with a smaller `C`"]
    );
    assert_eq!(metric(&done, "converged"), 0.0);
    // Classes that a feature separates.
    let params = json!({ "features": ["row"], "target": "late", "penalty": "none" });
    let late = Column::new("late".into(), (0..300).map(|row| row >= 150).collect::<Vec<_>>());
    let table = table(shop().hstack(&[late]).unwrap());
    let done = Trial::new::<Learn<Logistic>>(params).input("table", table).run().unwrap();
    assert_eq!(
        done.warnings[0],
        "the features separate the classes, so that without a penalty the coefficients have no limit"
    );
}

#[test]
fn what_cannot_be_learned_from_is_refused() {
    let run =
        |params: Value, frame: DataFrame| Trial::new::<Learn<Logistic>>(params).input("table", table(frame)).run();
    assert_error(
        run(json!({ "features": ["prize"], "target": "bought" }), shop()),
        "there is no column `prize`",
        "did you mean `price`?",
    );
    assert_error(
        run(json!({ "features": ["price"], "target": "hour" }), shop()),
        "column `hour` has more than two values, two classes are needed",
        "look at the stage that the table comes from, or name another `target`",
    );
    assert_error(
        run(json!({ "features": ["price"], "target": "bought", "positive": "yes" }), shop()),
        "no row has the value `yes` in column `bought`",
        "set `positive` to one of the two values that there are, or leave it out",
    );
    let mut holes = shop();
    let price: Vec<Option<f64>> = (0..300).map(|row| (row % 100 > 0).then_some(f64::from(row))).collect();
    holes.with_column(Column::new("price".into(), price)).unwrap();
    assert_error(
        run(three_features(), holes),
        "3 of 300 rows have no value in column `price`, every row needs one",
        "fill them with `clean.fill`, leave those rows out with `clean.drop_nulls`, or use an estimator that takes \
         missing values, such as `model.gradient_boosting`",
    );
    let check = |params: Value| Trial::new::<Learn<Logistic>>(params).check().unwrap_err();
    let error = check(json!({ "features": ["bought"], "target": "bought" }));
    assert_eq!((error.path.as_str(), error.message.as_str()), ("features/0", "`bought` is the column to predict"));
    let error = check(json!({ "features": ["price"], "target": "bought", "C": 0.0 }));
    assert_eq!(error.path, "C");
    let error = check(json!({ "features": ["price"], "target": "bought", "c": 1.0 }));
    assert!(error.message.contains("unknown field `c`"), "{error}");
}

#[test]
fn personal_text_does_not_get_into_a_model() {
    let mut personal = shop_table();
    personal.mark_personal(["department", "price"]);
    let run = |features: &[&str]| {
        let params = json!({ "features": features, "target": "bought" });
        Trial::new::<Learn<Logistic>>(params).input("table", personal.clone()).run()
    };
    assert_error(
        run(&["price", "department"]),
        "column `department` is personal text, and the model would keep its values",
        "leave it out, pseudonymise it, or make a number of it with `clean.derive`",
    );
    let model = run(&["price", "hour"]).unwrap().model("model");
    assert_eq!(model.features[0].range, None);
    assert_eq!(model.features[1].range, Some((0.0, 23.0)));
    assert_eq!((model.features[0].dtype.as_str(), model.features[1].dtype.as_str()), ("double", "int64"));
}

#[test]
fn rows_without_a_target_are_left_out() {
    let mut holes = shop();
    let bought: Vec<Option<&str>> =
        (0..300).map(|row| (row > 4).then_some(if row % 2 == 0 { "yes" } else { "no" })).collect();
    holes.with_column(Column::new("bought".into(), bought)).unwrap();
    let params = with(three_features(), &json!({ "positive": "no" }));
    let done = Trial::new::<Learn<Logistic>>(params).input("table", table(holes)).run().unwrap();
    assert_eq!(done.warnings, ["5 of 300 rows have no `bought`: left out"]);
    let model = done.model("model");
    assert_eq!((model.rows, model.target.as_str()), (295, "bought"));
    assert!((metric(&done, "train_base_rate") - 148.0 / 295.0).abs() < 1e-15);
    // Predictions are in the values of the target.
    let done = Trial::new::<Predict>(json!({ "threshold": 0.0 })).input("model", model).input("table", shop_table());
    assert_eq!(texts(&done.run().unwrap().table("table"), "prediction"), ["no"; 300]);
}

#[test]
fn predict_refuses_what_does_not_fit_and_tells_of_drift() {
    let features = json!({ "features": ["price", "hour", "department"], "target": "bought" });
    let model = learn(features).model("model");
    let run = |frame: DataFrame| {
        Trial::new::<Predict>(json!({})).input("model", model.clone()).input("table", table(frame)).run()
    };
    let mut renamed = shop().drop_many(["hour"]);
    renamed.rename("price", "prices".into()).unwrap();
    assert_error(
        run(renamed),
        "the model reads columns that the table does not have: `price`, `hour`",
        "rename `prices` to `price` with `clean.rename` if they are the same",
    );
    let mut text = shop();
    text.with_column(Column::new("hour".into(), vec!["noon"; 300])).unwrap();
    assert_error(
        run(text),
        "column `hour` is str, the model has learned from a number (int64)",
        "cast it with `clean.cast`, or learn the model from a table like this one",
    );
    let mut taken = shop();
    taken.rename("row", "probability".into()).unwrap();
    assert_error(
        run(taken),
        "there is a column `probability` already",
        "name another column in `probability` or `prediction`",
    );
    let drifted = df!(
        "price" => [Some(10.0), Some(2e6), None], "hour" => [1i64, -1, 3], "department" => ["frozen", "new", "dairy"]
    );
    let done = run(drifted.unwrap()).unwrap();
    let (least, largest) = model.features[0].range.unwrap();
    assert_eq!(
        done.warnings,
        [
            format!(
                "1 of 3 rows have a value in column `price` outside the range from {least} to {largest} that the \
                 model has learned from"
            ),
            "1 of 3 rows have a value in column `hour` outside the range from 0 to 23 that the model has learned from"
                .to_owned(),
            "1 of 3 rows have a category in column `department` that the model has not seen: it counts as none of \
             those seen"
                .to_owned(),
            "1 of 3 rows have no prediction: a feature is missing or too large".to_owned(),
        ]
    );
    let probability = floats(&done.table("table"), "probability");
    assert!(probability[0].is_some() && probability[1].is_some() && probability[2].is_none());
}

#[test]
fn a_model_survives_its_file() {
    let model = learn(three_features()).model("model");
    let text = serde_json::to_string(&*model).unwrap();
    let read: Model = serde_json::from_str(&text).unwrap();
    assert_eq!(read, *model);
    let mut unknown = read;
    unknown.state["predictor"]["form"] = json!("linear/99");
    let done = Trial::new::<Predict>(json!({})).input("model", unknown).input("table", shop_table()).run();
    let error = done.map(|_| ()).unwrap_err();
    assert!(error.message.starts_with("the model of `model.logistic` has a form that is not known"), "{error}");
}

// TimeSeriesSplit(3) and LogisticRegression: roc_auc_score, average_precision_score, log_loss, brier_score_loss,
// accuracy_score, f1_score of each fold
#[test]
fn cross_validation_by_time_equals_scikit_learn() {
    let params = with(
        three_features(),
        &json!({ "estimator": { "type": "logistic" }, "method": "time", "time": "row", "n_splits": 3 }),
    );
    let done = Trial::new::<CrossValidate>(params).input("table", shop_table()).run().unwrap();
    let folds = done.table("folds");
    assert_close("train_rows", &floats(&folds, "train_rows"), &[75.0, 150.0, 225.0], 0.0);
    let expected = [
        ("roc_auc", [0.7206744868035191, 0.679160419790105, 0.7098765432098765]),
        ("average_precision", [0.7939281541371473, 0.753527596186066, 0.8186053982002871]),
        ("log_loss", [0.6088253766094225, 0.6481080421190075, 0.5896945944131836]),
        ("brier", [0.21094640387585697, 0.2249221429969169, 0.20282412035995076]),
        ("accuracy", [0.6933333333333334, 0.6533333333333333, 0.68]),
        ("f1", [0.7722772277227723, 0.7291666666666666, 0.76]),
    ];
    for (name, expected) in expected {
        assert_close(name, &floats(&folds, name), &expected, 1e-7);
        assert!((metric(&done, name) - expected.iter().sum::<f64>() / 3.0).abs() < 1e-7, "{name}");
    }
    // numpy.std([.7206744868035191, .679160419790105, .7098765432098765], ddof=1)
    assert!((metric(&done, "roc_auc_std") - 0.02153869999088).abs() < 1e-7, "{}", metric(&done, "roc_auc_std"));
    // The first quarter is not tested.
    let rows = floats(&done.table("table"), "row");
    assert_eq!((rows.len(), rows[0]), (225, Some(75.0)));
    assert_eq!(done.metrics("metrics").units, Some(225));
}

#[test]
fn cross_validation_tests_every_row_once_with_a_model_that_has_not_seen_it() {
    let estimator = json!({ "estimator": { "type": "logistic", "C": 10.0 } });
    let run = |more: Value, seed: u64| {
        let params = with(with(three_features(), &estimator), &more);
        Trial::new::<CrossValidate>(params).input("table", shop_table()).seed(seed).run().unwrap()
    };
    let done = run(json!({}), 1);
    let out = done.table("table");
    assert_eq!(floats(&out, "row"), floats(&shop_table(), "row"));
    let (fold, probability) = (floats(&out, "fold"), floats(&out, "probability"));
    // Fold 2 again, by hand.
    let mask: BooleanChunked = fold.iter().map(|fold| *fold == Some(2.0)).collect();
    let (test, train) = (shop().filter(&mask).unwrap(), shop().filter(&!&mask).unwrap());
    let params = with(three_features(), &json!({ "C": 10.0 }));
    let model = Trial::new::<Learn<Logistic>>(params).input("table", table(train)).run().unwrap().model("model");
    let by_hand = Trial::new::<Predict>(json!({})).input("model", model).input("table", table(test)).run().unwrap();
    let of_fold: Vec<Option<f64>> =
        probability.iter().zip(&fold).filter(|(_, fold)| **fold == Some(2.0)).map(|(p, _)| *p).collect();
    assert_eq!(of_fold, floats(&by_hand.table("table"), "probability"));
    // Classes are spread evenly: 185 of 300 rows are positive, so 37 of each 60.
    assert_close("test_rows", &floats(&done.table("folds"), "test_rows"), &[60.0; 5], 0.0);
    assert_ne!(floats(&run(json!({}), 2).table("table"), "fold"), fold);
    // Groups stay together.
    let done = run(json!({ "method": "grouped", "group": "hour", "n_splits": 4 }), 1);
    let (fold, hour) = (floats(&done.table("table"), "fold"), floats(&done.table("table"), "hour"));
    let mut of_hour = std::collections::BTreeMap::new();
    for (fold, hour) in fold.iter().zip(hour) {
        assert_eq!(of_hour.entry(hour.unwrap() as i64).or_insert(*fold), fold);
    }
}

#[test]
fn cross_validation_refuses_parameters_that_do_not_fit() {
    let check = |more: Value| {
        let params = with(with(three_features(), &json!({ "estimator": { "type": "logistic" } })), &more);
        let error = Trial::new::<CrossValidate>(params).check().unwrap_err();
        (error.path.clone(), error.message)
    };
    assert_eq!(
        check(json!({ "method": "grouped" })),
        ("group".to_owned(), "`method: grouped` needs the column `group`".to_owned())
    );
    assert_eq!(
        check(json!({ "time": "row" })),
        ("time".to_owned(), "`time` has a meaning only with `method: time`".to_owned())
    );
    assert_eq!(
        check(json!({ "estimator": { "type": "logistic", "C": 0.0 } })),
        ("estimator/C".to_owned(), "the inverse of the penalty must be above 0".to_owned())
    );
    assert!(check(json!({ "estimator": { "type": "logistic", "c": 1.0 } })).1.contains("unknown field `c`"));
    let params = with(
        three_features(),
        &json!({ "estimator": { "type": "logistic" }, "method": "grouped", "group": "department" }),
    );
    assert_error(
        Trial::new::<CrossValidate>(params).input("table", shop_table()).run(),
        "there are too few groups for 5 folds",
        "lower `n_splits`, or look at the stage that the table comes from",
    );
}

// permutation_importance(LogisticRegression of the first 200 rows, the last 100, scoring, n_repeats=500,
// random_state=0): importances_mean and importances_std. Shuffles differ, so do means: by a few standard errors.
#[test]
fn permutation_importance_agrees_with_scikit_learn() {
    let (held_out, model) = held_out();
    for (score, base, expected) in [
        ("roc_auc", 0.6984615384615385, [(0.11065, 0.04395), (0.08260, 0.03429), (0.02335, 0.02667)]),
        ("log_loss", 0.5940529652616156, [(0.07548, 0.02741), (0.04852, 0.01936), (0.02195, 0.01684)]),
    ] {
        let params = json!({ "score": score, "n_repeats": 500 });
        let trial = Trial::new::<Importance>(params).input("model", model.clone());
        let done = trial.input("table", table(held_out.clone())).run().unwrap();
        assert!((metric(&done, score) - base).abs() < 1e-8);
        let out = done.table("table");
        assert_eq!(texts(&out, "feature"), ["price", "member", "hour"]);
        let found = floats(&out, "importance").into_iter().zip(floats(&out, "std"));
        for ((mean, std), (expected_mean, expected_std)) in found.zip(expected) {
            let error = expected_std / 500f64.sqrt();
            assert!((mean.unwrap() - expected_mean).abs() < 5.0 * error, "{mean:?} is not {expected_mean}");
            assert!((std.unwrap() / expected_std - 1.0).abs() < 0.2, "{std:?} is not {expected_std}");
        }
    }
    // |coef| * X.std(ddof=0) over the last 100 rows
    let trial = Trial::new::<Importance>(json!({ "method": "coefficients" })).input("model", model);
    let done = trial.input("table", table(held_out)).run().unwrap();
    assert_close(
        "coefficients",
        &floats(&done.table("table"), "importance"),
        &[0.6120444, 0.4183352, 0.38065123],
        1e-6,
    );
}

// IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip") on the probabilities of the last 100 rows: log_loss and
// brier_score_loss before and after, and the first four values
#[test]
fn calibration_equals_scikit_learn() {
    let (held_out, model) = held_out();
    let params = json!({ "target": "bought", "method": "isotonic" });
    let trial = Trial::new::<Calibrate>(params).input("table", table(held_out.clone())).input("model", model);
    let done = trial.run().unwrap();
    for (name, expected) in [
        ("log_loss_before", 0.5940529652616156),
        ("train_log_loss", 0.5352560750419643),
        ("brier_before", 0.2043303155908016),
        ("train_brier", 0.18347165991902833),
    ] {
        assert!((metric(&done, name) - expected).abs() < 1e-8, "{name}: {}", metric(&done, name));
    }
    let calibrated = floats(&done.table("table"), "calibrated");
    assert_close("calibrated", &calibrated[..4], &[0.69230769, 0.69230769, 0.5, 0.89473684], 1e-7);
    // The calibrated model predicts what the table has.
    let table_of = |frame: &DataFrame| table(frame.drop_many(["probability", "side"]));
    let trial = Trial::new::<Predict>(json!({})).input("model", done.model("model"));
    let predicted = trial.input("table", table_of(&held_out)).run().unwrap();
    assert_close(
        "by the model",
        &floats(&predicted.table("table"), "probability"),
        &calibrated.iter().map(|p| p.unwrap()).collect::<Vec<_>>(),
        1e-12,
    );
    // Without a model it is one that reads the probability.
    let trial = Trial::new::<Calibrate>(json!({ "target": "bought" })).input("table", table(held_out.clone()));
    let done = trial.run().unwrap();
    let trial = Trial::new::<Predict>(json!({ "probability": "again" })).input("model", done.model("model"));
    let predicted = trial.input("table", table(held_out)).run().unwrap();
    assert_eq!(floats(&predicted.table("table"), "again"), floats(&done.table("table"), "calibrated"));
}

// By trying every probability of the last 100 rows in numpy: the threshold, and the true and false positives at it
#[test]
fn thresholds_are_the_best_by_trying_all() {
    let (held_out, model) = held_out();
    for (choose, threshold, hits, false_alarms) in [
        (json!({ "by": "cost", "false_positive": 1.0, "false_negative": 3.0 }), 0.24932356556692048, 65.0, 33.0),
        (json!({ "by": "f1" }), 0.35262541551831594, 63.0, 29.0),
        (json!({ "by": "accuracy" }), 0.5834824789003529, 50.0, 14.0),
        (json!({ "by": "youden" }), 0.5834824789003529, 50.0, 14.0),
        (json!({ "by": "precision", "min_recall": 0.5 }), 0.6492791445316208, 34.0, 9.0),
        (json!({ "by": "recall", "min_precision": 0.8 }), 0.6858740260537323, 28.0, 7.0),
    ] {
        let params = json!({ "target": "bought", "choose": choose });
        let trial = Trial::new::<Threshold>(params).input("table", table(held_out.clone()));
        let done = trial.input("model", model.clone()).run().unwrap();
        assert!((metric(&done, "threshold") - threshold).abs() < 1e-9, "{choose}: {}", metric(&done, "threshold"));
        assert!((metric(&done, "precision") - hits / (hits + false_alarms)).abs() < 1e-12, "{choose}");
        assert!((metric(&done, "recall") - hits / 65.0).abs() < 1e-12, "{choose}");
        if choose["by"] == "cost" {
            assert!((metric(&done, "cost") - 0.33).abs() < 1e-12);
            assert!((metric(&done, "cost_all_positive") - 0.35).abs() < 1e-12);
            assert!((metric(&done, "cost_all_negative") - 1.95).abs() < 1e-12);
        }
        // The model that comes out predicts as the table says.
        let test = table(held_out.drop_many(["probability", "side"]));
        let predicted = Trial::new::<Predict>(json!({})).input("model", done.model("model")).input("table", test);
        let predicted = floats(&predicted.run().unwrap().table("table"), "prediction");
        assert_eq!(predicted, floats(&done.table("table"), "prediction"), "{choose}");
        assert_eq!(predicted.iter().flatten().sum::<f64>(), hits + false_alarms, "{choose}");
        let chosen = floats(&done.table("curve"), "chosen");
        assert_eq!(chosen.iter().flatten().sum::<f64>(), 1.0);
        assert!(floats(&done.table("curve"), "threshold").is_sorted());
    }
    assert_error(
        Trial::new::<Threshold>(json!({ "target": "bought", "choose": { "by": "recall", "min_precision": 1.0 } }))
            .input("table", table(held_out.head(Some(3)).vstack(&held_out.head(Some(3))).unwrap()))
            .run(),
        "no threshold has a precision of 1",
        "ask for less in `choose`",
    );
}

#[test]
fn equal_thresholds_are_decided_for_the_highest() {
    // Both 0.9 and 0.4 make one mistake.
    let rows = df!("probability" => [0.9, 0.6, 0.4, 0.1], "bought" => [true, false, true, false]).unwrap();
    let params = json!({ "target": "bought", "choose": { "by": "accuracy" } });
    let done = Trial::new::<Threshold>(params).input("table", table(rows)).run().unwrap();
    assert_eq!(metric(&done, "threshold"), 0.9);
}

fn regress(features: &[&str], more: &Value) -> Done {
    let params = with(json!({ "features": features, "target": "spend" }), more);
    Trial::new::<Learn<Linear>>(params).input("table", shop_table()).run().unwrap()
}

// statsmodels.api.OLS(spend, add_constant(X)).fit(): params, bse, tvalues, pvalues, rsquared, rsquared_adj, and the
// root of the mean squared residual
#[test]
fn ordinary_least_squares_equals_statsmodels() {
    let done = regress(&["price", "hour", "member"], &json!({}));
    let coefficients = done.table("coefficients");
    for (column, expected) in [
        ("coefficient", [17.907893927725304, 0.04720616864204421, -1.7627838417020465, 20.119736813877374]),
        ("std_error", [1.950494189070938, 0.002553669659491633, 0.10525563361447127, 1.5189209925157807]),
        ("t", [9.181208551180159, 18.4856206700759, -16.747643628831728, 13.246071989928298]),
    ] {
        assert_close(column, &floats(&coefficients, column), &expected, 1e-10);
    }
    let p = floats(&coefficients, "p_value");
    let expected = [7.612075508687667e-18, 2.925946215469685e-51, 9.452566526022738e-45, 9.113540868277879e-32];
    for (p, expected) in p.iter().zip(expected) {
        assert!((p.unwrap() / expected - 1.0).abs() < 1e-8, "{p:?} is not {expected}");
    }
    assert!((metric(&done, "train_r2") - 0.7216684184131846).abs() < 1e-12);
    assert!((metric(&done, "train_adjusted_r2") - 0.7188474902214264).abs() < 1e-12);
    assert!((metric(&done, "train_rmse") - 12.318388184153013).abs() < 1e-10);
    assert_eq!(metric(&done, "degrees_of_freedom"), 296.0);
    // With dummies of `department` but the first.
    let done = regress(&["price", "hour", "member", "department"], &json!({}));
    let coefficients = done.table("coefficients");
    assert_eq!(texts(&coefficients, "term")[4..], ["department=frozen", "department=produce"]);
    let expected = [
        28.01435548654093,
        0.04889857711117149,
        -1.7538011638151674,
        20.23141861266718,
        -21.324229521420264,
        -11.439159091845784,
    ];
    assert_close("with dummies", &floats(&coefficients, "coefficient"), &expected, 1e-10);
    let model = done.model("model");
    let done = Trial::new::<Predict>(json!({})).input("model", model).input("table", shop_table()).run().unwrap();
    assert_eq!(done.table("table").names().last(), Some("prediction"));
}

// Ridge(alpha=100).fit(X, spend); LinearRegression(fit_intercept=False); OLS(spend, X).fit().bse
#[test]
fn ridge_and_a_line_through_the_origin_equal_scikit_learn() {
    let done = regress(&["price", "hour", "member"], &json!({ "alpha": 100.0 }));
    let expected = [21.926089187031323, 0.04707351577432048, -1.7565283334185247, 8.04798832257049];
    assert_close("ridge", &floats(&done.table("coefficients"), "coefficient"), &expected, 1e-10);
    assert_eq!(floats(&done.table("coefficients"), "std_error"), [None; 4]);
    assert!((metric(&done, "train_r2") - 0.662261076500483).abs() < 1e-12);
    let done = regress(&["price", "hour", "member"], &json!({ "fit_intercept": false }));
    let expected = [0.062034397643150996, -1.1859604002500215, 23.859945669966205];
    assert_close("origin", &floats(&done.table("coefficients"), "coefficient"), &expected, 1e-10);
    let expected = [0.0022383382237551254, 0.09555966228406494, 1.655796469376257];
    assert_close("origin", &floats(&done.table("coefficients"), "std_error"), &expected, 1e-10);
}

#[test]
fn a_column_made_up_of_others_is_named() {
    let sum = (shop().column("price").unwrap() + &(shop().column("hour").unwrap() * 3.0)).unwrap();
    let table = table(shop().hstack(&[sum.with_name("both".into())]).unwrap());
    let params = json!({ "features": ["price", "hour", "both"], "target": "spend" });
    let done = Trial::new::<Learn<Linear>>(params).input("table", table).run().unwrap();
    assert_eq!(done.warnings, ["column `both` is made up of those before it: its coefficient is set to 0"]);
    let coefficients = floats(&done.table("coefficients"), "coefficient");
    assert_eq!(coefficients[3], Some(0.0));
    let without = regress(&["price", "hour"], &json!({}));
    let without: Vec<f64> =
        floats(&without.table("coefficients"), "coefficient").into_iter().map(|value| value.unwrap()).collect();
    assert_close("without it", &coefficients[..3], &without, 1e-12);
}

// NIST's Longley data set, whose columns are nearly collinear: the certified coefficients.
#[test]
fn longley_keeps_its_digits() {
    let rows = [
        [60323.0, 83.0, 234289.0, 2356.0, 1590.0, 107608.0, 1947.0],
        [61122.0, 88.5, 259426.0, 2325.0, 1456.0, 108632.0, 1948.0],
        [60171.0, 88.2, 258054.0, 3682.0, 1616.0, 109773.0, 1949.0],
        [61187.0, 89.5, 284599.0, 3351.0, 1650.0, 110929.0, 1950.0],
        [63221.0, 96.2, 328975.0, 2099.0, 3099.0, 112075.0, 1951.0],
        [63639.0, 98.1, 346999.0, 1932.0, 3594.0, 113270.0, 1952.0],
        [64989.0, 99.0, 365385.0, 1870.0, 3547.0, 115094.0, 1953.0],
        [63761.0, 100.0, 363112.0, 3578.0, 3350.0, 116219.0, 1954.0],
        [66019.0, 101.2, 397469.0, 2904.0, 3048.0, 117388.0, 1955.0],
        [67857.0, 104.6, 419180.0, 2822.0, 2857.0, 118734.0, 1956.0],
        [68169.0, 108.4, 442769.0, 2936.0, 2798.0, 120445.0, 1957.0],
        [66513.0, 110.8, 444546.0, 4681.0, 2637.0, 121950.0, 1958.0],
        [68655.0, 112.6, 482704.0, 3813.0, 2552.0, 123366.0, 1959.0],
        [69564.0, 114.2, 502601.0, 3931.0, 2514.0, 125368.0, 1960.0],
        [69331.0, 115.7, 518173.0, 4806.0, 2572.0, 127852.0, 1961.0],
        [70551.0, 116.9, 554894.0, 4007.0, 2827.0, 130081.0, 1962.0],
    ];
    let names = ["y", "x1", "x2", "x3", "x4", "x5", "x6"];
    let columns = names
        .iter()
        .enumerate()
        .map(|(at, name)| Column::new((*name).into(), rows.iter().map(|row| row[at]).collect::<Vec<f64>>()));
    let longley = DataFrame::new_infer_height(columns.collect()).unwrap();
    let params = json!({ "features": names[1..], "target": "y" });
    let done = Trial::new::<Learn<Linear>>(params).input("table", table(longley)).run().unwrap();
    let expected = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
    ];
    assert_close("certified", &floats(&done.table("coefficients"), "coefficient"), &expected, 1e-10);
    assert!((metric(&done, "train_r2") - 0.995479004577296).abs() < 1e-13);
}

// KFold and r2_score, root_mean_squared_error, mean_absolute_error are tested in `scores`; here, that they are there.
#[test]
fn a_regression_is_cross_validated_by_its_own_scores() {
    let params = json!({
        "features": ["price", "hour"], "target": "spend", "estimator": { "type": "linear" }, "n_splits": 3
    });
    let done = Trial::new::<CrossValidate>(params).input("table", shop_table()).run().unwrap();
    let names: Vec<String> = done.table("folds").names().map(str::to_owned).collect();
    assert_eq!(names, ["fold", "train_rows", "test_rows", "r2", "rmse", "mae"]);
    // Cross-validated, it explains less than on the rows learned from.
    let learned = regress(&["price", "hour"], &json!({}));
    assert!(metric(&done, "r2") < metric(&learned, "train_r2") && metric(&done, "r2") > 0.3);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    // Enough rows for several chunks.
    let mut rows = shop();
    for copy in 0..5 {
        let mut more = rows.clone();
        let price = more.column("price").unwrap().f64().unwrap() * (1.1 + f64::from(copy));
        more.with_column(price.into_column()).unwrap();
        rows = rows.vstack(&more).unwrap();
    }
    assert_eq!(rows.height(), 9600);
    let run = || {
        let input = || table(rows.clone());
        let logistic = Trial::new::<Learn<Logistic>>(three_features()).input("table", input()).run().unwrap();
        let model = logistic.model("model");
        let linear = json!({ "features": ["price", "hour", "department"], "target": "spend" });
        let linear = Trial::new::<Learn<Linear>>(linear).input("table", input()).run().unwrap();
        let params = with(three_features(), &json!({ "estimator": { "type": "logistic" }, "n_splits": 2 }));
        let validated = Trial::new::<CrossValidate>(params).input("table", input()).run().unwrap();
        let explained = Trial::new::<Importance>(json!({ "n_repeats": 2 })).input("model", model);
        let explained = explained.input("table", input()).run().unwrap();
        let choice = json!({ "target": "bought", "choose": { "by": "f1" }, "into": "side" });
        let chosen = Trial::new::<Threshold>(choice).input("table", validated.table("table")).run().unwrap();
        let calibration = json!({ "target": "bought" });
        let calibrated = Trial::new::<Calibrate>(calibration).input("table", validated.table("table")).run().unwrap();
        [logistic, linear, validated, explained, chosen, calibrated].map(|done| done.bytes())
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    assert!(pool(1).install(run) == pool(3).install(run));
}

// The way of a campaign: out-of-fold probabilities calibrate the model of all rows.
#[test]
fn out_of_fold_probabilities_calibrate_a_model_of_trees() {
    let tree = json!({ "criterion": "gini", "max_depth": 4 });
    let params = with(three_features(), &tree);
    let model = Trial::new::<Learn<DecisionTree>>(params).input("table", shop_table()).run().unwrap().model("model");
    let params = with(three_features(), &json!({ "estimator": with(json!({ "type": "decision_tree" }), &tree) }));
    let validated = Trial::new::<CrossValidate>(params).input("table", shop_table()).run().unwrap();
    let trial = Trial::new::<Calibrate>(json!({ "target": "bought" })).input("model", model.clone());
    let done = trial.input("table", validated.table("table")).run().unwrap();
    // A tree is too sure of itself; out of fold, this shows, and calibration draws its probabilities in.
    assert!(metric(&done, "train_log_loss") < metric(&done, "log_loss_before"));
    let predict = |model| {
        let trial = Trial::new::<Predict>(json!({})).input("model", model).input("table", shop_table());
        floats(&trial.run().unwrap().table("table"), "probability")
    };
    let spread = |p: Vec<Option<f64>>| p.iter().flatten().map(|p| (p - 0.5).abs()).sum::<f64>();
    assert!(spread(predict(done.model("model"))) < spread(predict(model.clone())));
    assert_error(
        Trial::new::<Importance>(json!({ "method": "coefficients" }))
            .input("model", model)
            .input("table", shop_table())
            .run(),
        "the model is not linear, it has no coefficients",
        "use `method: permutation`",
    );
}

#[test]
fn plan_time_marks_no_more_columns_than_it_must() {
    let personal =
        |names: &[&str]| [("table".to_owned(), names.iter().map(|name| (*name).to_owned()).collect())].into();
    let learn: Learn<Logistic> = serde_json::from_value(three_features()).unwrap();
    let out = learn.personal(&personal(&["price", "term"]));
    assert_eq!(out["coefficients"], ["term".to_owned()].into());
    assert!(out["importance"].iter().all(|name| name == "term"));
    let params = with(three_features(), &json!({ "estimator": { "type": "logistic" } }));
    let validate: CrossValidate = serde_json::from_value(params).unwrap();
    let out = validate.personal(&personal(&["price", "row"]));
    assert_eq!((out["folds"].len(), out["table"].len()), (0, 2));
}

#[test]
fn models_have_their_types() {
    assert_eq!(<Learn<Logistic> as Stage>::TYPE, "model.logistic");
    assert_eq!(learn(three_features()).model("model").learned_by, "model.logistic");
}
