//! The workflow over Hillstrom's e-mail test against numbers from statsmodels and scipy. Skipped where the file is not.

use std::path::Path;

use serde_json::Value;

use crate::space::TestSpace;

fn rows(space: &TestSpace, what: &str, tail: &str) -> Vec<Value> {
    space.json(&format!("get {what} --format json {tail}")).as_array().unwrap().clone()
}

fn row<'a>(rows: &'a [Value], metric: &str, arm: &str, control: &str) -> &'a Value {
    rows.iter()
        .find(|row| (&row["metric"], &row["arm"], &row["control"]) == (&metric.into(), &arm.into(), &control.into()))
        .unwrap()
}

#[track_caller]
fn same(row: &Value, column: &str, expected: f64) {
    let found = row[column].as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-8 * expected.abs(), "{column}: {found} and not {expected}");
}

const MENS: &str = "Mens E-Mail";
const WOMENS: &str = "Womens E-Mail";
const NONE: &str = "No E-Mail";

#[test]
fn hillstroms_test_is_judged_as_by_statsmodels_and_scipy() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = manifest.join("../../../shared/data/hillstrom/campaign.csv.gz");
    if !data.is_file() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let workflow = manifest.join("../../workflows/hillstrom.yaml");
    let space = TestSpace::new();
    let tail = format!(
        "{} --set params.data={} --store {}",
        workflow.display(),
        data.display(),
        space.path("store").display()
    );
    let run = space.json(&format!("run --json {tail}"));
    assert_eq!(run["status"], "succeeded");
    let results = rows(&space, "test.results", &tail);
    assert_eq!(results.len(), 9);

    // proportions_ztest, confint_proportions_2indep(method="newcomb"), the lift with the delta method's interval by numpy;
    // multipletests(method="holm") over all nine p-values, those of spend from scipy.stats.ttest_ind(equal_var=False).
    for (metric, arm, control, value, control_value, lower, upper, p_value, p_adjusted) in [
        (
            "visit",
            MENS,
            NONE,
            0.18275684047496127,
            0.10616727682343002,
            0.06995330808373154,
            0.08322674127411137,
            5.685165482802317e-112,
            5.116648934522085e-111,
        ),
        (
            "visit",
            WOMENS,
            NONE,
            0.151400383410483,
            0.10616727682343002,
            0.03889409535998813,
            0.051574342962213596,
            3.1824031593349214e-44,
            2.545922527467937e-43,
        ),
        (
            "visit",
            WOMENS,
            MENS,
            0.151400383410483,
            0.18275684047496127,
            -0.038427658709805516,
            -0.024284125814801178,
            3.802165220636663e-18,
            2.661515654445664e-17,
        ),
        (
            "conversion",
            MENS,
            NONE,
            0.01253109306800582,
            0.005726086548390125,
            0.005014344671481532,
            0.008640723396917826,
            1.5232235005955427e-13,
            9.139341003573257e-13,
        ),
        (
            "conversion",
            WOMENS,
            NONE,
            0.008837144059475383,
            0.005726086548390125,
            0.001501657131877008,
            0.004745471313672931,
            0.00015710512910668448,
            0.0006284205164267379,
        ),
        (
            "spend",
            MENS,
            NONE,
            1.422616511005773,
            0.6527893551112363,
            0.4851397325684075,
            1.0545145792206658,
            1.1638149682254859e-07,
            5.81907484112743e-07,
        ),
        (
            "spend",
            WOMENS,
            NONE,
            1.0772015710478329,
            0.6527893551112363,
            0.16895678988377866,
            0.6798676419894145,
            0.0011293971023632519,
            0.0022587942047265037,
        ),
        (
            "spend",
            WOMENS,
            MENS,
            1.0772015710478329,
            1.422616511005773,
            -0.6582684302897848,
            -0.03256144962609536,
            0.03046865118529923,
            0.03046865118529923,
        ),
    ] {
        let row = row(&results, metric, arm, control);
        for (column, expected) in [
            ("value", value),
            ("control_value", control_value),
            ("lower", lower),
            ("upper", upper),
            ("p_value", p_value),
            ("p_adjusted", p_adjusted),
        ] {
            same(row, column, expected);
        }
        assert_eq!(row["verdict"], if control == NONE { "better" } else { "worse" }, "{row}");
    }
    let visits = row(&results, "visit", MENS, NONE);
    for (column, expected) in
        [("lift", 0.721404616781399), ("lift_lower", 0.6384162289820483), ("lift_upper", 0.8043930045807497)]
    {
        same(visits, column, expected);
    }

    // scipy.stats.chisquare
    same(&rows(&space, "test.arms", &tail)[0], "srm_p_value", 0.9036929575604196);
    let decision = rows(&space, "test.decision", &tail);
    assert_eq!(decision[0]["arm"], MENS);
    assert_eq!(
        decision[0]["reason"],
        "take `Mens E-Mail`: its `visit` is 0.1828 against 0.1062 of `No E-Mail` (+72.1 %, p < 0.0001), and it is worse \
         by no metric; it is better than `Womens E-Mail`, too"
    );

    // numpy: spend - cov / var (history - mean), over all arms; then scipy.stats.ttest_ind(equal_var=False).
    let adjusted = rows(&space, "test.results", &format!("{tail} --variant cuped"));
    let spend = row(&adjusted, "spend", MENS, NONE);
    for (column, expected) in [
        ("value", 1.421659544801805),
        ("p_value", 1.27022715678253e-07),
        ("lower", 0.48270998960748407),
        ("upper", 1.051961561497671),
    ] {
        same(spend, column, expected);
    }
    // What had been spent before says next to nothing of what is spent in two weeks.
    let explained = run["metrics"]["cuped"]["test.spend_variance_reduction"].as_f64().unwrap();
    assert!((explained - 0.00047214944726403266).abs() < 1e-10, "{explained}");
}
