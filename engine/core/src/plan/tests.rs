use stagewright_contract::{Goal, Kind};

use crate::compare::{CompareSpec, Correction};
use crate::diagnostic::Diagnostics;
use crate::plan::Plan;
use crate::testing::{assert_mistakes, find, mistakes, plan, registry, shown, sources, workflow};

const TEXT: &str = "workflow: w
description: what it is for
params: { country: UK }
stages:
  users: { uses: fake.read, with: { path: users.csv } }
  buyers: { uses: fake.filter, inputs: { table: users }, with: { where: \"c = '${params.country}'\" } }
  groups: { uses: fake.cluster, inputs: { table: buyers }, with: { k: 3 } }
  scores: { uses: fake.score, inputs: { table: groups, truth: users } }
";

/// The stages of every variant with the numbers of their nodes.
fn stages(plan: &Plan) -> Vec<String> {
    plan.variants
        .iter()
        .map(|variant| {
            let stages: Vec<String> = variant.stages.iter().map(|(name, id)| format!("{name}={id}")).collect();
            format!("{}: {}", variant.name, stages.join(" "))
        })
        .collect()
}

/// A workflow of three stages: a table `t`, metrics `m` made of it, and what is given.
fn with(stage: &str) -> String {
    format!(
        "workflow: w\nstages:\n  t: {{ uses: fake.read, with: {{ path: a }} }}\n  \
         m: {{ uses: fake.score, inputs: {{ table: t }} }}\n{stage}\n"
    )
}

#[test]
fn the_nodes_of_one_variant() {
    let plan = plan(TEXT);
    assert_eq!(stages(&plan), ["base: users=0 buyers=1 groups=2 scores=3"]);
    assert_eq!(plan.description.as_deref(), Some("what it is for"));
    let scores = &plan.nodes[3];
    assert_eq!(scores.outputs, [("scores".to_owned(), Kind::Metrics)]);
    let inputs: Vec<(&str, usize, &str, Kind)> =
        scores.inputs.iter().map(|input| (input.port.as_str(), input.node, input.from.as_str(), input.kind)).collect();
    assert_eq!(inputs, [("table", 2, "table", Kind::Table), ("truth", 0, "table", Kind::Table)]);
    assert_eq!(plan.nodes[0].sources[0].files, [std::path::PathBuf::from("/w/users.csv")]);
}

#[test]
fn a_variant_shares_what_does_not_depend_on_its_changes() {
    let plan = plan(&format!("{TEXT}variants: {{ v: {{ stages: {{ groups: {{ with: {{ k: 4 }} }} }} }} }}"));
    assert_eq!(stages(&plan), ["base: users=0 buyers=1 groups=2 scores=3", "v: users=0 buyers=1 groups=4 scores=5"]);
    assert_eq!(plan.nodes[4].variant, "v");
}

#[test]
fn variants_that_come_to_the_same_share_everything() {
    let plan = plan(&format!(
        "{TEXT}variants: {{ a: {{ params: {{ country: UK }} }}, b: {{ stages: {{ groups: {{ with: {{ start: spread }} }} }} }},
         c: {{ stages: {{ scores: {{ description: other }} }} }} }}"
    ));
    assert_eq!(plan.nodes.len(), 4);
    assert_eq!(plan.variants.len(), 4);
}

#[test]
fn the_order_of_inputs_does_not_keep_variants_apart() {
    let plan = plan(&format!(
        "{TEXT}variants: {{ v: {{ stages: {{ scores: {{ inputs: {{ table: users, truth: groups }} }},
         other: {{ uses: fake.score, inputs: {{ truth: users, table: groups }} }} }} }},
         u: {{ stages: {{ other: {{ uses: fake.score, inputs: {{ table: groups, truth: users }} }} }} }} }}"
    ));
    assert_eq!(
        stages(&plan),
        [
            "base: users=0 buyers=1 groups=2 scores=3",
            "v: users=0 buyers=1 groups=2 scores=4 other=5",
            "u: users=0 buyers=1 groups=2 scores=3 other=5",
        ]
    );
}

#[test]
fn resources_and_conditions_keep_variants_apart() {
    let plan = plan(&format!(
        "{TEXT}variants: {{ a: {{ stages: {{ scores: {{ when: false }} }} }}, b: {{ stages: {{ scores: {{ retries: 2 }} }} }} }}"
    ));
    assert_eq!(plan.nodes.len(), 6);
    assert!(!plan.nodes[4].enabled);
}

#[test]
fn the_seed_concerns_stages_that_draw() {
    let plan = plan(&format!(
        "{}variants: {{ v: {{ params: {{ seed: 2 }} }} }}",
        TEXT.replace("country: UK", "country: UK, seed: 1")
    ));
    assert_eq!(stages(&plan), ["base: users=0 buyers=1 groups=2 scores=3", "v: users=0 buyers=1 groups=4 scores=5"]);
    assert_eq!([plan.nodes[1].seed, plan.nodes[2].seed, plan.nodes[4].seed], [None, Some(1), Some(2)]);
    assert_mistakes(
        "workflow: w\nparams: { seed: -1 }\nstages: { t: { uses: fake.read, with: { path: a } } }\n",
        &[
            "w.yaml:2:17 «-1» `params.seed` is the seed of every random draw | expected an integer from 0, this is an integer",
        ],
    );
}

#[test]
fn an_unwanted_variant_is_checked_and_not_planned() {
    let text = format!("{TEXT}variants: {{ v: {{ stages: {{ groups: {{ with: {{ k: 4 }} }} }} }} }}");
    let only =
        |wanted: &str| workflow(&text).plan(&registry(), &sources(&text), &|name| name == wanted, &find).unwrap();
    assert_eq!(stages(&only("base")), ["base: users=0 buyers=1 groups=2 scores=3"]);
    assert_eq!(stages(&only("v")), ["v: users=0 buyers=1 groups=2 scores=3"]);
    let text = format!("{TEXT}variants: {{ v: {{ stages: {{ groups: {{ with: {{ k: 1 }} }} }} }} }}");
    let found = workflow(&text).plan(&registry(), &sources(&text), &|name| name == "base", &find).unwrap_err();
    assert_eq!(shown(found, &sources(&text)), ["w.yaml:9:49 «1» `k` must be at least 2 | expected 2 or more"]);
}

#[test]
fn nodes_come_after_what_they_depend_on_however_they_are_written() {
    let plan = plan(
        "workflow: w
stages:
  c: { uses: fake.tree, inputs: { table: b }, with: { k: 1 } }
  b: { uses: fake.tree, inputs: { table: a }, with: { k: 1 } }
  a: { uses: fake.read, with: { path: a } }
",
    );
    assert_eq!(stages(&plan), ["base: c=2 b=1 a=0"]);
}

#[test]
fn unknown_types_stages_ports_and_inputs_name_the_nearest() {
    assert_mistakes(
        "workflow: w
stages:
  users: { uses: fake.rad, with: { path: a } }
  a: { uses: read, with: { path: a } }
  b: { uses: fake.tree, inputs: { table: usrs }, with: { k: 1 } }
  c: { uses: fake.tree, inputs: { tabel: users }, with: { k: 1 } }
  d: { uses: fake.tree, inputs: { table: b.tabel }, with: { k: 1 } }
  e: { uses: fake.read, inputs: { table: b }, with: { path: a } }
",
        &[
            "w.yaml:3:18 «fake.rad» there is no stage type `fake.rad` | unknown stage type | did you mean `fake.read`?",
            "w.yaml:4:14 «read» there is no stage type `read` | unknown stage type | did you mean `fake.read`?",
            "w.yaml:5:42 «usrs» there is no stage `usrs` | not a stage of this workflow | did you mean `users`?",
            "w.yaml:6:25 «inputs» the input `table` of the stage `c` is not connected | expected `inputs: { table: STAGE }` | `table`: Any table.",
            "w.yaml:6:35 «tabel» `fake.tree` has no input `tabel` | unknown input | did you mean `table`?",
            "w.yaml:7:42 «b.tabel» the stage `b` has no output `tabel` | not an output of `fake.tree` with these parameters | did you mean `table`?",
            "w.yaml:8:35 «table» `fake.read` has no input `table` | unknown input | `fake.read` takes no inputs",
        ],
    );
}

#[test]
fn kinds_must_fit() {
    assert_mistakes(
        &with("  a: { uses: fake.tree, inputs: { table: m }, with: { k: 1 } }"),
        &[
            "w.yaml:5:42 «m» `m.scores` is of kind metrics, but the input `table` takes table | expected an output of kind table",
        ],
    );
}

#[test]
fn a_missing_input_is_shown_at_the_stage() {
    assert_mistakes(
        &with("  a: { uses: fake.join }"),
        &[
            "w.yaml:5:3 «a» the input `left` of the stage `a` is not connected | expected `inputs: { left: STAGE }` | `left`: The one.",
            "w.yaml:5:3 «a» the input `right` of the stage `a` is not connected | expected `inputs: { right: STAGE }` | `right`: The other.",
        ],
    );
}

#[test]
fn an_output_is_there_only_if_its_parameter_says_so() {
    let filter = |with: &str, from: &str| {
        self::with(&format!(
            "  f: {{ uses: fake.filter, inputs: {{ table: t }}, with: {{ where: x{with} }} }}\n  \
             g: {{ uses: fake.tree, inputs: {{ table: {from} }}, with: {{ k: 1 }} }}"
        ))
    };
    assert_eq!(mistakes(&filter("", "f")), Vec::<String>::new());
    assert_eq!(mistakes(&filter(", rejects: true", "f.rejects")), Vec::<String>::new());
    assert_mistakes(
        &filter(", rejects: false", "f.rejects"),
        &[
            "w.yaml:6:42 «f.rejects» the stage `f` has no output `rejects` | not an output of `fake.filter` with these parameters | valid names: table",
        ],
    );
    assert_mistakes(
        &filter(", rejects: true", "f"),
        &["w.yaml:6:42 «f» the stage `f` has 2 outputs | which one? | write one of `f.table`, `f.rejects`"],
    );
}

#[test]
fn an_output_whose_parameter_is_not_written_goes_by_the_default() {
    let split = |with: &str, from: &str| {
        self::with(&format!(
            "  s: {{ uses: fake.split, inputs: {{ table: t }}{with} }}\n  \
             g: {{ uses: fake.tree, inputs: {{ table: {from} }}, with: {{ k: 1 }} }}"
        ))
    };
    assert_eq!(mistakes(&split("", "s.rest")), Vec::<String>::new());
    assert_eq!(mistakes(&split(", with: { rest: false }", "s")), Vec::<String>::new());
    assert_eq!(plan(&split("", "s.rest")).nodes[2].outputs.len(), 2);
}

#[test]
fn a_cycle_is_printed_as_its_path_in_the_direction_of_the_data() {
    assert_mistakes(
        "workflow: w
stages:
  a: { uses: fake.tree, inputs: { table: c }, with: { k: 1 } }
  b: { uses: fake.tree, inputs: { table: a }, with: { k: 1 } }
  c: { uses: fake.join, inputs: { left: b, right: e } }
  d: { uses: fake.tree, inputs: { table: d }, with: { k: 1 } }
  e: { uses: fake.read, with: { path: a } }
  f: { uses: fake.tree, inputs: { table: a }, with: { k: 1 } }
",
        &[
            "w.yaml:3:3 «a» the stages form a cycle: a → b → c → a | this stage needs its own output | connect one of these inputs to another stage",
            "w.yaml:6:3 «d» the stages form a cycle: d → d | this stage needs its own output | connect one of these inputs to another stage",
        ],
    );
}

#[test]
fn a_long_cycle_is_found_soon_and_shortened() {
    let mut text = String::from("workflow: w\nstages:\n");
    for n in 0..10_000 {
        text += &format!(
            "  s{n}: {{ uses: fake.tree, inputs: {{ table: s{} }}, with: {{ k: 1 }} }}\n",
            (n + 9_999) % 10_000
        );
    }
    let found = mistakes(&text);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("a cycle: s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → s9 → … → s9999 → s0 |"),
        "{}",
        found[0]
    );
}

#[test]
fn what_to_compare_is_checked() {
    assert_mistakes(
        &(with("") + "variants: { tree: {} }\ncompare: { baseline: tre, metrics: [n.x, t.x, m.x, m, 3], sort: x }\n"),
        &[
            "w.yaml:7:22 «tre» there is no variant `tre` | not declared under `variants:` | did you mean `tree`?",
            "w.yaml:7:37 «n.x» there is no stage `n` | not a stage of this workflow | valid names: m, t",
            "w.yaml:7:42 «t.x» the stage `t` puts out no metrics | expected a stage of a type such as `evaluate.ranking`",
            "w.yaml:7:52 «m» `m` does not name a metric | expected `stage.metric`, such as `scores.ndcg@10`",
            "w.yaml:7:55 «3» `3` does not name a metric | expected `stage.metric`, such as `scores.ndcg@10`",
            "w.yaml:7:59 «sort» `compare` has no key `sort` | unknown key | valid names: baseline, correction, guardrails, level, metrics, unit",
        ],
    );
    assert_mistakes(
        &(with("") + "compare: { baseline: [x] }\n"),
        &[
            "w.yaml:6:10 «{» `compare` names no metrics | expected `metrics: [stage.metric, …]`",
            "w.yaml:6:22 «[» the name of the baseline cannot be a list | expected text",
        ],
    );
    let plan = plan(&(with("") + "compare: { metrics: [m.ndcg@10] }\n"));
    let compare = plan.compare.unwrap();
    assert_eq!((compare.baseline.as_str(), compare.metrics[0].metric.as_str()), ("base", "ndcg@10"));
}

#[test]
fn how_to_compare_is_checked() {
    assert_mistakes(
        &(with("")
            + "compare:\n  metrics: [{ metric: m.x, goal: maximise, minimum_effect: 0 }, { goal: minimize }]\n"
            + "  guardrails: m.y\n  level: 95\n  correction: holmes\n"),
        &[
            "w.yaml:7:34 «maximise» `maximise` is not a goal | expected one of `maximize`, `minimize` | did you mean `maximize`?",
            "w.yaml:7:60 «0» `minimum_effect` cannot be 0 | expected the smallest relative difference that matters, such as 0.02 for 2 %",
            "w.yaml:7:65 «{» the metric has no name | expected `metric: stage.metric`",
            "w.yaml:8:15 «m.y» `guardrails` is not a list | expected `[stage.metric, …]`",
            "w.yaml:9:10 «95» `level` cannot be 95 | expected a confidence such as 0.95",
            "w.yaml:10:15 «holmes» `holmes` is not a correction | expected one of `holm`, `benjamini_hochberg`, `none` | did you mean `holm`?",
        ],
    );
    let plan = plan(
        &(with("")
            + "compare: { unit: user, correction: none, level: 0.9, metrics: [m.x], guardrails: [\n"
            + "  { metric: m.y, goal: minimize, minimum_effect: 0.01 }] }\n"),
    );
    let CompareSpec { unit, level, correction, metrics, .. } = plan.compare.unwrap();
    assert_eq!((unit.as_deref(), level, correction), (Some("user"), 0.9, Correction::None));
    let said: Vec<_> = metrics.iter().map(|metric| (metric.guardrail, metric.goal, metric.minimum_effect)).collect();
    assert_eq!(said, [(false, None, 0.05), (true, Some(Goal::Minimize), 0.01)]);
}

#[test]
fn a_missing_file_is_shown_at_the_parameter_that_names_it() {
    assert_mistakes(
        "workflow: w\nstages: { t: { uses: fake.read, with: { path: missing.csv } } }\n",
        &["w.yaml:2:47 «missing.csv» there is no file `missing.csv` | expected a file that is there"],
    );
}

#[test]
fn all_mistakes_are_found_at_once_in_the_order_of_their_places() {
    assert_mistakes(
        "workflow: w
parms: {}
params: { a: '${params.b}' }
stages:
  t: { uses: fake.read, with: { path: missing } }
  u: { uses: fake.read, with: { path: [a] } }
  v: { uses: fake.cluster, inputs: { table: x }, with: { k: 1 } }
variants:
  a: { stages: { v: { with: { start: a } } } }
compare: { baseline: z, metrics: [] }
",
        &[
            "w.yaml:2:1 «parms» a workflow has no key `parms` | unknown key | did you mean `params`?",
            "w.yaml:3:15 «${params.b}» there is no parameter `b` | not declared under `params:` | valid names: a",
            "w.yaml:5:39 «missing» there is no file `missing` | expected a file that is there",
            "w.yaml:6:39 «[» `path` must be text | this is a list",
            "w.yaml:7:45 «x» there is no stage `x` | not a stage of this workflow | valid names: t, u, v",
            "w.yaml:7:61 «1» `k` must be at least 2 | expected 2 or more",
            "w.yaml:9:38 «a» `start` cannot be `a` | expected `spread`, `random` | valid names: random, spread",
            "w.yaml:10:22 «z» there is no variant `z` | not declared under `variants:` | valid names: a, base",
        ],
    );
}

#[test]
fn variants_do_not_repeat_the_mistakes_of_the_base() {
    let text =
        format!("{TEXT}  bad: {{ uses: fake.read, with: {{ path: missing }} }}\nvariants: {{ v: {{}}, u: {{}} }}\n");
    assert_eq!(mistakes(&text).len(), 1);
}

#[test]
fn other_mistakes_are_kept_with_those_of_the_plan() {
    let mut workflow = workflow(TEXT);
    let mut others = Diagnostics::default();
    others.push(crate::Diagnostic::anywhere("something else"));
    workflow.add_mistakes(others);
    let found = workflow.plan(&registry(), &sources(TEXT), &|_| true, &find).unwrap_err();
    assert_eq!(shown(found, &sources(TEXT)), ["something else"]);
}

#[test]
fn ten_thousand_stages_are_planned_soon() {
    let mut text =
        String::from("workflow: w\nparams: { k: 2 }\nstages:\n  s0: { uses: fake.read, with: { path: a } }\n");
    for n in 1..10_000 {
        text += &format!(
            "  s{n}: {{ uses: fake.tree, inputs: {{ table: s{} }}, with: {{ k: '${{params.k}}' }} }}\n",
            n - 1
        );
    }
    let began = std::time::Instant::now();
    assert_eq!(plan(&text).nodes.len(), 10_000);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn ten_thousand_mistakes_are_found_soon() {
    let mut text = String::from("workflow: w\nstages:\n  s0: { uses: fake.read, with: { path: a } }\n");
    for n in 1..10_000 {
        text += &format!("  s{n}: {{ uses: fake.tree, inputs: {{ table: users }}, with: {{ k: x }} }}\n");
    }
    let began = std::time::Instant::now();
    let found = workflow(&text).plan(&registry(), &sources(&text), &|_| true, &find).unwrap_err();
    assert_eq!(found.len(), 2 * 9_999);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
