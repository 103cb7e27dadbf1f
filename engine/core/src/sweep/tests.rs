use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::testing::{assert_mistakes, mistakes, plan, workflow};

const TEXT: &str = "workflow: w
params: { k: 3, country: UK }
stages:
  users: { uses: fake.read, with: { path: users.csv } }
  groups: { uses: fake.cluster, inputs: { table: users }, with: { k: '${params.k}' } }
  more: { uses: fake.tree, inputs: { table: users }, with: { k: 3 } }
";

/// The names of the members of a sweep.
fn members(sweep: &str) -> Vec<String> {
    let text = format!("{TEXT}variants: {{ s: {{ {sweep} }} }}\n");
    assert_eq!(mistakes(&text), Vec::<String>::new());
    workflow(&text).variant_names().into_iter().skip(1).map(|name| name.name).collect()
}

#[test]
fn a_grid_has_every_combination_the_last_path_fastest() {
    assert_eq!(
        members("grid: { params.k: [2, 3], stages.groups.with.start: [spread, random] }"),
        ["s/k=2,start=spread", "s/k=2,start=random", "s/k=3,start=spread", "s/k=3,start=random"]
    );
    let text = format!("{TEXT}variants: {{ s: {{ grid: {{ params.k: [2], stages.more.with.k: [7, 8] }} }} }}\n");
    let plan = plan(&text);
    let variant = &plan.variants[2];
    assert_eq!(variant.name, "s/more.k=8");
    let changes: Vec<String> = variant.changes.iter().map(|(path, value)| format!("{path}={value}")).collect();
    assert_eq!(changes, ["params.k=2", "stages.more.with.k=8"]);
    let id = variant.stages.iter().find(|(name, _)| name == "more").unwrap().1;
    assert_eq!(plan.nodes[id].configured.params()["k"], 8);
}

#[test]
fn a_zip_goes_along_its_lists() {
    assert_eq!(
        members("zip: { params.k: [2, 3, 2], stages.more.with.k: [5, 5, 6], params.country: [UK, UK, UK] }"),
        ["s/params.k=2,more.k=5", "s/params.k=3,more.k=5", "s/params.k=2,more.k=6"]
    );
}

#[test]
fn members_share_what_the_sweep_says_besides() {
    let plan = plan(&format!(
        "{TEXT}variants:
  tree: {{ stages: {{ groups: {{ uses: fake.tree }} }} }}
  s: {{ extends: tree, description: d, params: {{ country: France }}, grid: {{ params.k: [4, 5] }} }}\n"
    ));
    let variant = plan.variant("s/k=5").unwrap();
    assert_eq!(variant.description.as_deref(), Some("d"));
    assert_eq!(variant.params["country"], "France");
    let id = variant.stages.iter().find(|(name, _)| name == "groups").unwrap().1;
    assert_eq!((plan.nodes[id].stage_type.name(), &plan.nodes[id].configured.params()["k"]), ("fake.tree", &5.into()));
}

#[test]
fn names_are_short_and_safe_in_a_shell() {
    assert_eq!(
        members("grid: { stages.groups.uses: [fake.tree, fake.cluster] }"),
        ["s/groups=tree", "s/groups=cluster"]
    );
    assert_eq!(
        members(
            "grid: { params.country: ['UK; rm -rf *', \"UK' rm #rf*\", '', ~, 0.001, 1e-7, 10.0, 10, true, [a, 1], { x: 2 }] }"
        ),
        [
            "s/country=UK_rm_-rf",
            "s/country=UK_rm_rf",
            "s/country=_",
            "s/country=null",
            "s/country=0.001",
            "s/country=1e-7",
            "s/country=10",
            "s/country=10-2",
            "s/country=true",
            "s/country=a+1",
            "s/country=x-2",
        ]
    );
    assert_eq!(members("grid: { params.k: [2] }"), ["s/k=2"]);
}

#[test]
fn random_draws_are_the_same_on_every_machine() {
    // The values follow from BLAKE3 and arithmetic alone; what they are is fixed here, so that a change is noticed.
    assert_eq!(
        members(
            "random: { n: 4, seed: 1, draw: { stages.groups.with.share: { log_uniform: [0.0001, 0.5] }, \
             params.k: { integer: [2, 50] }, stages.groups.with.start: { choice: [spread, random] }, \
             stages.groups.with.weights.a: { uniform: [-1, 1] } } }"
        ),
        [
            "s/share=0.000153,k=10,start=random,a=0.7364",
            "s/share=0.0006818,k=40,start=spread,a=0.4593",
            "s/share=0.03816,k=6,start=spread,a=0.6016",
            "s/share=0.0001571,k=32,start=spread,a=-0.8661",
        ]
    );
}

#[test]
fn a_larger_n_keeps_the_first_draws_and_another_path_the_others() {
    let few = members("random: { n: 3, draw: { params.k: { integer: [2, 50] } } }");
    let more = members("random: { n: 9, draw: { params.k: { integer: [2, 50] } } }");
    assert_eq!(few, more[..3]);
    let both = members(
        "random: { n: 3, draw: { stages.more.with.k: { integer: [1, 999] }, params.k: { integer: [2, 50] } } }",
    );
    for (one, two) in few.iter().zip(&both) {
        assert_eq!(one.strip_prefix("s/k="), two.split_once("params.k=").map(|(_, k)| k));
    }
    assert_ne!(few, members("random: { n: 3, seed: 43, draw: { params.k: { integer: [2, 50] } } }"));
}

#[test]
fn draws_fill_their_ranges_evenly() {
    let values = |draw: &str| -> Vec<f64> {
        members(&format!("random: {{ n: 1000, draw: {{ stages.groups.with.share: {draw} }} }}"))
            .iter()
            .map(|name| name.strip_prefix("s/share=").unwrap().parse().unwrap())
            .collect()
    };
    let below = |values: &[f64], limit: f64| values.iter().filter(|value| **value < limit).count();
    // Of 1,000 draws, 250 are expected below the first quartile, with a standard deviation of 14.
    let uniform = values("{ uniform: [0.2, 0.6] }");
    assert!(uniform.iter().all(|value| (0.2..=0.6).contains(value)));
    assert!((200..300).contains(&below(&uniform, 0.3)), "{}", below(&uniform, 0.3));
    let log = values("{ log_uniform: [0.0001, 0.9999] }");
    assert!(log.iter().all(|value| (0.0001..=0.9999).contains(value)));
    assert!((200..300).contains(&below(&log, 0.001)), "{}", below(&log, 0.001));
}

#[test]
fn both_ends_of_integers_and_every_choice_are_drawn() {
    let drawn: BTreeSet<String> =
        members("random: { n: 6, draw: { params.k: { integer: [4, 6] }, stages.groups.with.start: { choice: [random, spread] } } }")
            .into_iter()
            .collect();
    assert_eq!(drawn.len(), 6);
    assert!(drawn.contains("s/k=4,start=random") && drawn.contains("s/k=6,start=spread"), "{drawn:?}");
}

#[test]
fn what_cannot_vary_is_told_with_the_nearest_path() {
    assert_mistakes(
        &format!(
            "{TEXT}variants:
  a: {{ grid: {{ parms.k: [1], stages.groups.k: [2], params: [3], stages.groups.with: [4] }} }}
  b: {{ grid: {{ params.kk: [2] }} }}
  c: {{ grid: {{ stages.group.with.k: [2, 3], 'stages.grous.with.k': [2] }} }}
  d: {{ grid: {{ stages.groups.with.lettr: [x, y] }} }}
  e: {{ grid: {{ stages.groups.uses: [fake.tre] }} }}
  f: {{ grid: {{ stages.groups.with.k: [1] }} }}
"
        ),
        &[
            "w.yaml:8:16 «parms.k» `parms.k` cannot be set | expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses` | did you mean `params.k`?",
            "w.yaml:8:30 «stages.groups.k» `stages.groups.k` cannot be set | expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses` | did you mean `stages.groups.with.k`?",
            "w.yaml:8:52 «params» `params` cannot be set | expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses` | did you mean `params.k`?",
            "w.yaml:8:65 «stages.groups.with» `stages.groups.with` cannot be set | expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses` | did you mean `stages.groups.with.k`?",
            "w.yaml:9:23 «kk» the workflow has no parameter `kk` | not declared under `params:` | did you mean `k`?",
            "w.yaml:10:23 «group» there is no stage `group` to override | a stage that the variant adds needs `uses:` | did you mean `groups`?",
            "w.yaml:10:45 «'stages.grous.with.k'» there is no stage `grous` to override | a stage that the variant adds needs `uses:` | did you mean `groups`?",
            "w.yaml:11:35 «lettr» `fake.cluster` has no parameter `lettr` | unknown parameter | did you mean `letter`?",
            "w.yaml:12:37 «fake.tre» there is no stage type `fake.tre` | unknown stage type | did you mean `fake.tree`?",
            "w.yaml:13:39 «1» `k` must be at least 2 | expected 2 or more",
        ],
    );
}

#[test]
fn sweeps_are_checked() {
    assert_mistakes(
        &format!(
            "{TEXT}variants:
  a: {{ grid: {{ params.k: [2, 3] }}, zip: {{ params.k: [4] }} }}
  b: {{ zip: {{ params.k: [2, 3], params.country: [UK] }} }}
  c: {{ grid: {{ params.k: [2, 2], params.country: [] }} }}
  d: {{ zip: {{ params.k: [2, 2] }} }}
  e: {{ grid: {{}} }}
  f: {{ grid: 3 }}
  g: {{ grid: {{ params.k: 3 }} }}
  h: {{ random: {{ n: 0, sed: 1, draw: {{ params.k: {{ integer: [1, 2] }} }} }} }}
  i: {{ random: {{ n: 2 }} }}
  j: {{ random: {{ n: 2, draw: {{ params.k: {{ unifrom: [1, 2] }} }} }} }}
  k: {{ random: {{ n: 2, draw: {{ params.k: {{ log_uniform: [0, 1] }} }} }} }}
  l: {{ random: {{ n: 2, draw: {{ params.k: [1, 2] }} }} }}
  m: {{ random: {{ n: 5, draw: {{ params.k: {{ integer: [1, 4] }} }} }} }}
  n: {{ random: {{ n: 5, draw: {{ params.k: {{ choice: [] }} }} }} }}
"
        ),
        &[
            "w.yaml:8:36 «zip» `grid` and `zip` stand in one variant | a variant is one sweep | declare two variants; what they share can be a third that both extend",
            "w.yaml:9:8 «zip» the lists of `zip` have different lengths | `params.k` has 2, `params.country` has 1",
            "w.yaml:10:30 «2» a value of `params.k` stands twice in its list | the second one",
            "w.yaml:10:50 «[» `params.country` has no values | expected one value or more",
            "w.yaml:11:29 «2» two members of `zip` have the same values | the second one",
            "w.yaml:12:8 «grid» `grid` varies nothing | expected `grid: { PATH: [VALUE, …] }`",
            "w.yaml:13:14 «3» what varies must be a mapping, this is an integer | expected `KEY: VALUE`",
            "w.yaml:14:26 «3» `params.k` needs a list of values, this is an integer | expected `[VALUE, …]`",
            "w.yaml:15:21 «0» `n` must be an integer from 1 to 10000 | this is 0",
            "w.yaml:15:24 «sed» `random` has no key `sed` | unknown key | did you mean `seed`?",
            "w.yaml:16:8 «random» `random` needs `draw` | expected `draw: { PATH: { uniform: [FROM, TO] } }`",
            "w.yaml:17:44 «unifrom» there is no way to draw called `unifrom` | unknown key | did you mean `uniform`?",
            "w.yaml:18:57 «[» `log_uniform` needs a range | expected `[FROM, TO]`: two numbers above 0, the smaller one first",
            "w.yaml:19:42 «[» how `params.k` is drawn is not clear | expected one of `{ uniform: [FROM, TO] }`, `{ log_uniform: [FROM, TO] }`, `{ integer: [FROM, TO] }`, `{ choice: [VALUE, …] }`",
            "w.yaml:20:8 «random» `random` finds 4 different members instead of 5 | what it draws from is too small | ask for fewer, or list all combinations with `grid`",
            "w.yaml:21:52 «[» `choice` needs a list of values | expected `[VALUE, …]`",
        ],
    );
}

/// A value of a sweep, as YAML.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
        "[a-z A-Z0-9/#*,=é]{0,40}".prop_map(|text| format!("'{text}'")),
        any::<bool>().prop_map(|value| value.to_string()),
    ]
}

proptest! {
    #[test]
    fn names_are_unique_and_count_what_was_asked(
        first in proptest::collection::btree_set(value(), 1..6),
        second in proptest::collection::btree_set(value(), 1..6),
    ) {
        let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
        let text = format!("{{ grid: {{ stages.s.with.a: [{}], stages.s.with.b.c: [{}] }} }}", list(&first), list(&second));
        let node = crate::yaml::read(text.as_bytes(), 0).unwrap();
        let mut diagnostics = Diagnostics::default();
        // Two spellings of one number are one value, and refused.
        if let Some(sweep) = Sweep::parse(&node, &[], &[], &mut diagnostics) {
            let names: BTreeSet<String> = sweep.members().into_iter().map(|(name, _)| name).collect();
            prop_assert_eq!(names.len(), first.len() * second.len());
            for name in names {
                prop_assert!(name.chars().all(|c| c.is_alphanumeric() || "_-.+=,".contains(c)), "{}", name);
                prop_assert!(name.chars().count() <= 2 * (MAX_LABEL + 10), "{}", name);
            }
        } else {
            prop_assert!(diagnostics.to_string().contains("stands twice"), "{}", diagnostics);
        }
    }

    #[test]
    fn numbers_are_drawn_inside_their_range(from in -1e9..1e9_f64, width in 1e-9..1e9_f64, bits: u64) {
        let node = Node { value: Value::Null, span: Span::default(), base: 0 };
        let number = |draw: Draw| match draw.value(bits, &node).value {
            Value::Float(value) => value,
            Value::Int(value) => value as f64,
            other => panic!("{other:?}"),
        };
        let to = from + width;
        if from < to {
            let drawn = number(Draw::Uniform(from, to));
            prop_assert!((from..=to).contains(&drawn), "{} {} {}", from, to, drawn);
            // At most a rounding step away from where it fell.
            let exact = from + (to - from) * ((bits >> 11) as f64 / (1_u64 << 53) as f64);
            prop_assert!((drawn - exact).abs() <= (to - from) / 1e4 + 1.0, "{} {}", drawn, exact);
            let drawn = number(Draw::LogUniform(width, width + from.abs() + 1.0));
            prop_assert!((width..=width + from.abs() + 1.0).contains(&drawn));
        }
        let (low, high) = (from as i64, to as i64);
        let drawn = number(Draw::Integer(low, high));
        prop_assert!((low as f64..=high as f64).contains(&drawn));
    }
}
