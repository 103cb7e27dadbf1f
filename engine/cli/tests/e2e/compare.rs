//! Verdicts: what a comparison says, what it refuses, how a CI job gates on it, and what changed between two runs.

use serde_json::Value;

use crate::space::TestSpace;

/// Two columns of answers about 400 rows of 80 users; the variants choose which one is judged.
const WORKFLOW: &str = "\
workflow: answers
params: { answer: weak, threshold: 0.5, rows: rows.csv }
stages:
  rows: { uses: ingest.csv, with: { path: '${params.rows}' } }
  answers: { uses: clean.derive, inputs: { table: rows }, with: { columns: { probability: '${params.answer}' } } }
  scores:
    uses: evaluate.classification
    inputs: { predictions: answers }
    with: { target: bought, keys: [row, user], threshold: '${params.threshold}' }
variants:
  strong: { params: { answer: strong } }
  same: { params: { answer: weak + 0.0 * strong } }
  lax: { params: { threshold: 0.3 } }
compare:
  metrics: [scores.auc, scores.log_loss]
  guardrails: [scores.accuracy]
";

/// A workflow with the rows beside it. `strong` tells what is bought better than `weak` does.
fn space(workflow: &str) -> TestSpace {
    let space = TestSpace::with(workflow);
    let mut csv = "row,user,bought,weak,strong\n".to_owned();
    for row in 0..400_u32 {
        let noise = |factor: u32| f64::from(row.wrapping_mul(factor) % 997) / 997.0;
        let bought = noise(7919) < 0.4;
        let answer = |weight: f64, noise: f64| weight * f64::from(u8::from(bought)) + (1.0 - weight) * noise;
        let (weak, strong) = (answer(0.1, noise(613)), answer(0.3, noise(389)));
        csv += &format!("{row},{},{},{weak:.6},{strong:.6}\n", row / 5, u8::from(bought));
    }
    space.write("rows.csv", csv);
    space
}

#[test]
fn a_run_says_which_variant_is_better() {
    let space = space(WORKFLOW);
    check!("compare_run", space.run("run --jobs 1"));
    check!("compare_last", space.run("compare"));
    check!("compare_markdown", space.run("compare workflow.yaml --format markdown"));
    check!("compare_junit", space.run("compare --format junit"));
    let json = space.json("compare --format json");
    let cell = &json["comparisons"][0]["rows"][0]["cells"][1];
    assert_eq!((cell["verdict"].as_str(), cell["method"].is_string()), (Some("better"), true), "{cell}");
    let [lower, upper] = [0, 1].map(|end| cell["interval"][end].as_f64().unwrap());
    let difference = cell["difference"].as_f64().unwrap();
    assert!(0.0 < lower && lower < difference && difference < upper, "{cell}");
}

#[test]
fn a_job_can_insist_on_a_verdict() {
    let space = space(WORKFLOW);
    space.run("run");
    let require = |condition: &str| space.run_args(&["compare", "--format", "markdown", "--require", condition]);
    for (condition, code) in [
        ("strong better on scores.auc", 0),
        ("strong not worse on scores.accuracy", 0),
        ("same not worse on scores.auc", 0),
        ("same better on scores.auc", 1),
        ("strong worse on scores.auc", 1),
        // What cannot be compared fulfils nothing.
        ("lax not worse on scores.accuracy", 1),
    ] {
        assert_eq!(require(condition).code, Some(code), "{condition}");
    }
    let stderr = |condition: &str| require(condition).stderr;
    assert_eq!(
        stderr("same better on scores.auc"),
        "required: `same` better on scores.auc; found: no difference shown\n"
    );
    check!("compare_require_a_typo", require("strog better on scores.auc"));
    check!("compare_require_an_unknown_metric", require("strong better on scores.acu"));
    check!("compare_require_nonsense", require("strong is great"));
}

#[test]
fn rows_of_one_user_are_paired_together_if_the_workflow_says_so() {
    let space = space(WORKFLOW);
    space.replace("workflow.yaml", "compare:\n", "compare:\n  unit: user\n");
    let run = |space: &TestSpace| space.json("compare --format json")["comparisons"][0].clone();
    space.run("run");
    let by_user = run(&space);
    let cell = |comparison: &Value| comparison["rows"][1]["cells"][1].clone();
    assert!(cell(&by_user)["interval"].is_array(), "{by_user}");
    space.replace("workflow.yaml", "  unit: user\n", "");
    space.run("run");
    let by_row = run(&space);
    assert_eq!(cell(&by_row)["value"], cell(&by_user)["value"]);
    assert_ne!(cell(&by_row)["interval"], cell(&by_user)["interval"]);
    space.replace("workflow.yaml", "compare:\n", "compare:\n  unit: basket\n");
    check!("compare_other_unit", space.run("run --jobs 1 --variant base --variant strong"));
}

#[test]
fn what_is_tested_on_what_it_learned_from_is_not_compared() {
    let space = space(
        "workflow: learn
stages:
  rows: { uses: ingest.csv, with: { path: rows.csv } }
  split: { uses: features.split, inputs: { table: rows }, with: { method: random, test_size: 0.5 } }
  learn: { uses: model.logistic, inputs: { table: split.train }, with: { features: [weak, strong], target: bought } }
  predict: { uses: model.predict, inputs: { model: learn.model, table: split.test } }
  scores: { uses: evaluate.classification, inputs: { predictions: predict }, with: { target: bought, keys: [row] } }
variants:
  weak: { stages: { learn: { with: { features: [weak] } } } }
  flattering: { stages: { learn: { inputs: { table: split.test } } } }
compare: { metrics: [scores.auc] }
",
    );
    check!("compare_seen", space.run("run --jobs 1"));
}

#[test]
fn two_runs_are_set_side_by_side() {
    let space = space(WORKFLOW);
    let id = || space.json("runs --json")[0]["id"].as_str().unwrap().to_owned();
    space.run("run");
    let first = id();
    space.replace("workflow.yaml", "answer: weak,", "answer: 0.5 * weak + 0.5 * strong,");
    space.run("run");
    let second = id();
    let output = space.run(&format!("compare {first} {second}"));
    assert_eq!(output.code, Some(0), "{output}");
    let changed = format!(
        "changed since {first}:\n  answers (base, lax): parameter `columns.probability` changed from \"weak\" to \
         \"0.5 * weak + 0.5 * strong\"\n"
    );
    assert!(output.stdout.contains(&changed), "{output}");
    assert!(output.stdout.contains(&format!("✓ `{second}` is better than")), "{output}");
    let artifact = |rest: &str| space.run(&format!("compare {first} {second} --artifact {rest}"));
    check!("compare_table", artifact("answers --key row"));
    check!("compare_metrics", artifact("scores.metrics --variant lax"));
    check!("compare_same_artifact", artifact("rows"));
    check!("compare_no_such_artifact", artifact("answer"));
    check!("compare_bad_key", artifact("answers --key user"));
    let same = space.run(&format!("compare {second} {second}"));
    let nothing = format!("nothing changed since {second}: neither inputs nor parameters nor code\n");
    assert!(same.stdout.ends_with(&nothing), "{same}");
}

#[test]
fn what_was_not_compared_is_said() {
    let space = TestSpace::shop();
    check!("compare_before_a_run", space.run("compare workflow.yaml"));
    space.run("run");
    check!("compare_unknown_run", space.run("compare 2020"));
    check!("compare_workflow_and_run", space.run("compare workflow.yaml 2020"));
}

#[test]
fn repeats_bring_the_variance_between_seeds_into_the_interval() {
    let space = TestSpace::with(
        "workflow: repeats
seeds: 4
params: { k: 3 }
stages:
  shop: { uses: ingest.synthetic, with: { users: 200, products: 60, orders_per_user: 4 } }
  lines: { uses: clean.join, inputs: { left: shop.order_items, right: shop.orders }, with: { on: [order_id], validate: many_to_one } }
  split: { uses: features.split, inputs: { table: lines }, with: { method: last_order, user: user_id, order: order_id, time: created_at } }
  recommend: { uses: recommend.popular, inputs: { purchases: split.train }, with: { n: 5 } }
  scores: { uses: evaluate.ranking, inputs: { recommendations: recommend, test: split.test }, with: { k: [5] } }
variants:
  frequency: { stages: { recommend: { uses: recommend.frequency } } }
compare: { metrics: [scores.ndcg@5, scores.coverage@5] }
",
    );
    let output = space.run("run --jobs 1");
    assert_eq!(output.code, Some(0), "{output}");
    let comparison = space.json("compare --format json")["comparisons"][0].clone();
    assert_eq!(comparison["variants"], serde_json::json!(["base", "frequency"]));
    for row in [0, 1] {
        let cell = &comparison["rows"][row]["cells"][1];
        let method = cell["method"].as_str().unwrap();
        assert!(method.contains("4 seeds"), "{cell}");
        assert!(cell["interval"].is_array() && cell["verdict"].is_string(), "{cell}");
    }
}
