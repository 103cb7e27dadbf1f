use crate::plan::Plan;
use crate::testing::{assert_mistakes, find, mistakes, plan, registry, sources, workflow};

const TEXT: &str = "workflow: w
params: { k: 3, seed: 7 }
stages:
  users: { uses: fake.read, with: { path: users.csv } }
  groups: { uses: fake.cluster, inputs: { table: users }, with: { k: '${params.k}' } }
  scores: { uses: fake.score, inputs: { table: groups } }
";

fn names(plan: &Plan) -> Vec<&str> {
    plan.variants.iter().map(|variant| variant.name.as_str()).collect()
}

/// The parameters of a stage of a variant.
fn with(plan: &Plan, variant: &str, stage: &str) -> serde_json::Value {
    let stages = &plan.variant(variant).unwrap().stages;
    let id = stages.iter().find(|(name, _)| name == stage).unwrap().1;
    plan.nodes[id].configured.params().clone()
}

#[test]
fn a_variant_lies_over_the_one_that_it_extends() {
    let plan = plan(&format!(
        "{TEXT}variants:
  c: {{ extends: b, stages: {{ groups: {{ with: {{ letter: x }} }} }} }}
  a: {{ params: {{ k: 4 }}, stages: {{ groups: {{ with: {{ letter: a, start: random }} }} }} }}
  b: {{ extends: a, params: {{ k: 5 }} }}
  d: {{ extends: base }}
"
    ));
    assert_eq!(names(&plan), ["base", "c", "a", "b", "d"]);
    let of = |variant| {
        let with = with(&plan, variant, "groups");
        (with["k"].as_u64().unwrap(), with["start"].clone(), with["letter"].clone())
    };
    assert_eq!(of("a"), (4, "random".into(), "a".into()));
    assert_eq!(of("b"), (5, "random".into(), "a".into()));
    assert_eq!(of("c"), (5, "random".into(), "x".into()));
    let changes = plan.variant("c").unwrap().changes.clone();
    let changes: Vec<String> = changes.into_iter().map(|(path, value)| format!("{path}={value}")).collect();
    assert_eq!(changes, ["params.k=5", "stages.groups.with.letter=x", "stages.groups.with.start=random"]);
    assert_eq!(plan.variant("d").unwrap().stages, plan.variant("base").unwrap().stages);
}

#[test]
fn a_stage_that_was_removed_can_be_added_again_but_not_changed() {
    let text = |change: &str| {
        format!("{TEXT}variants:\n  a: {{ stages: {{ scores: }} }}\n  b: {{ extends: a, stages: {{ {change} }} }}\n")
    };
    let plan = plan(&text("scores: { uses: fake.score, inputs: { table: users } }"));
    assert_eq!(plan.variant("a").unwrap().stages.len(), 2);
    assert_eq!(plan.variant("b").unwrap().stages.len(), 3);
    assert_mistakes(
        &text("scores: { when: false }"),
        &[
            "w.yaml:9:30 «scores» there is no stage `scores` to override | a stage that the variant adds needs `uses:` | it was removed at w.yaml:8:18",
        ],
    );
}

#[test]
fn what_refers_to_a_removed_stage_is_told_where_it_was_removed() {
    assert_mistakes(
        &format!("{TEXT}variants:\n  a: {{ stages: {{ groups: }} }}\n  b: {{ stages: {{ groups: ~ }} }}\n"),
        &[
            "w.yaml:6:48 «groups» the stage `groups` is needed here, and removed by a variant | an input of `scores` | it is removed at w.yaml:8:18: connect the variant's `scores` to another stage, or remove it too",
        ],
    );
    let plan = plan(&format!(
        "{TEXT}variants:\n  a: {{ stages: {{ groups: , scores: {{ inputs: {{ table: users }} }} }} }}\n"
    ));
    assert_eq!(plan.variants[1].stages.len(), 2);
}

#[test]
fn extends_names_another_variant() {
    assert_mistakes(
        &format!(
            "{TEXT}variants:
  popular: {{}}
  a: {{ extends: populr }}
  b: {{ extends: sweep }}
  sweep: {{ grid: {{ params.k: [2, 3] }} }}
  c: {{ extends: d }}
  d: {{ extends: e }}
  e: {{ extends: d }}
  f: {{ extends: f }}
  g: {{ extends: [a] }}
"
        ),
        &[
            "w.yaml:9:17 «populr» there is no variant `populr` | not declared under `variants:` | did you mean `popular`?",
            "w.yaml:10:17 «sweep» `sweep` is a sweep and cannot be extended | expected one variant | declare what both share as a variant, and let both extend it",
            "w.yaml:13:17 «e» the variants extend each other: d → e → d | part of the cycle | let one of them extend none of the others",
            "w.yaml:15:17 «f» the variants extend each other: f → f | part of the cycle | let one of them extend none of the others",
            "w.yaml:16:17 «[» the name of a variant cannot be a list | expected text",
        ],
    );
}

#[test]
fn a_long_chain_of_variants_is_cut() {
    let mut text = format!("{TEXT}variants:\n  v0: {{}}\n");
    (1..2_000).for_each(|n| text += &format!("  v{n}: {{ extends: v{} }}\n", n - 1));
    let found = mistakes(&text);
    assert!(found[0].contains("more than 64 variants extend each other in a chain"), "{}", found[0]);
}

#[test]
fn repeats_differ_in_the_seed_and_share_the_rest() {
    let plan =
        plan(&format!("{TEXT}seeds: 3\nvariants: {{ a: {{ params: {{ k: 4 }} }}, b: {{ params: {{ seed: 0 }} }} }}\n"));
    assert_eq!(names(&plan), ["base#7", "base#8", "base#9", "a#7", "a#8", "a#9", "b#0", "b#1", "b#2"]);
    let last = &plan.variants[5];
    assert_eq!((last.group.as_str(), last.seed), ("a", Some(9)));
    assert_eq!(last.params["seed"], 9);
    assert_eq!(last.changes, [("params.k".to_owned(), "4".to_owned()), ("params.seed".to_owned(), "9".to_owned())]);
    // One `users`; groups and scores by themselves for each seed.
    assert_eq!(plan.nodes.len(), 1 + 9 * 2);
    assert_eq!(plan.variant("a").unwrap().name, "a#7");
}

#[test]
fn repeats_are_chosen_by_any_of_their_names() {
    let text = format!("{TEXT}seeds: 2\nvariants: {{ sweep: {{ grid: {{ params.k: [4, 5] }} }} }}\n");
    let only = |wanted: &str| {
        let plan = workflow(&text).plan(&registry(), &sources(&text), &|name| name == wanted, &find).unwrap();
        names(&plan).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(only("sweep"), ["sweep/k=4#7", "sweep/k=4#8", "sweep/k=5#7", "sweep/k=5#8"]);
    assert_eq!(only("sweep/k=5"), ["sweep/k=5#7", "sweep/k=5#8"]);
    assert_eq!(only("sweep/k=5#8"), ["sweep/k=5#8"]);
    assert_eq!(only("base"), ["base#7", "base#8"]);
}

#[test]
fn repeats_need_a_number_to_count_from() {
    let seeds =
        |seeds: &str, seed: &str| format!("{}seeds: {seeds}\n", TEXT.replace("seed: 7", &format!("seed: {seed}")));
    assert_mistakes(&seeds("0", "1"), &["w.yaml:7:8 «0» `seeds` must be an integer from 1 to 1000 | this is 0"]);
    assert_mistakes(
        &seeds("2", "'${params.k}'"),
        &[
            "w.yaml:2:23 «'${params.k}'» with `seeds`, `params.seed` is the seed of the first repeat | expected an integer from 0, this is text | write it as a number, not as a reference",
        ],
    );
    let plan = plan(&seeds("2", "1").replace(", seed: 1", ""));
    assert_eq!(names(&plan), ["base#42", "base#43"]);
}

#[test]
fn too_many_variants_are_counted_and_refused() {
    assert_mistakes(
        &format!(
            "{TEXT}seeds: 1000\nvariants: {{ s: {{ grid: {{ params.k: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }} }} }}\n"
        ),
        &["w.yaml:7:8 «1000» with so many repeats the workflow has 11000 variants | at most 10000 are possible"],
    );
    let grid = |paths: usize| {
        let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
        let paths: Vec<String> = (0..paths).map(|n| format!("stages.groups.with.weights.w{n}: {ten}")).collect();
        format!("{{ grid: {{ {} }} }}", paths.join(", "))
    };
    let many = mistakes(&format!("{TEXT}variants: {{ s: {} }}\n", grid(63)));
    assert_eq!(many, [format!("w.yaml:7:18 «grid» `grid` has {} members | at most 10000 are possible", u128::MAX)]);
    assert_mistakes(
        &format!("{TEXT}variants:\n  s: {}\n  t: {}\n", grid(4), grid(1)),
        &["w.yaml:9:3 «t» up to here the workflow has 10010 variants | at most 10000 are possible"],
    );
}

#[test]
fn a_thousand_variants_are_planned_soon() {
    let mut text =
        String::from("workflow: w\nparams: { a: 2 }\nstages:\n  s0: { uses: fake.read, with: { path: a } }\n");
    for n in 1..60 {
        text += &format!("  s{n}: {{ uses: fake.cluster, inputs: {{ table: s{} }}, with: {{ k: 2 }} }}\n", n - 1);
    }
    text += "variants:\n  s: { random: { n: 1000, draw: { stages.s57.with.k: { integer: [2, 50] }, \
             stages.s58.with.share: { uniform: [0.1, 0.9] } } } }\n";
    let began = std::time::Instant::now();
    let plan = plan(&text);
    assert_eq!(plan.variants.len(), 1_001);
    // Of s57 there are 49 and the base's, which is among them if 2 was drawn; of s58 and s59 one for each variant.
    assert!((57 + 49 + 2 * 1_001..=57 + 50 + 2 * 1_001).contains(&plan.nodes.len()), "{}", plan.nodes.len());
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
