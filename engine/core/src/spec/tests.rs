use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::Plan;
use crate::diagnostic::Diagnostics;
use crate::node::{SourceText, Sources};
use crate::testing::{assert_mistakes, find, registry, shown, sources, workflow};

const TEXT: &str = "workflow: w
params: { country: UK, k: 3 }
stages:
  users: { uses: fake.read, with: { path: users.csv } }
  buyers: { uses: fake.filter, inputs: { table: users }, with: { where: \"c = '${params.country}'\" } }
  groups: { uses: fake.cluster, inputs: { table: buyers }, with: { k: '${params.k}', start: random, weights: { a: 1 } } }
";

fn plan(text: &str) -> Plan {
    crate::testing::plan(text)
}

/// The parameters of a stage of a variant.
fn params(plan: &Plan, variant: &str, stage: &str) -> Json {
    plan.nodes[node(plan, variant, stage)].configured.params().clone()
}

fn node(plan: &Plan, variant: &str, stage: &str) -> usize {
    let variant = plan.variants.iter().find(|found| found.name == variant).unwrap();
    variant.stages.iter().find(|(name, _)| name == stage).unwrap().1
}

/// The names of the stages of a variant.
fn stages<'a>(plan: &'a Plan, variant: &str) -> Vec<&'a str> {
    let variant = plan.variants.iter().find(|found| found.name == variant).unwrap();
    variant.stages.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_variant_merges_mappings_key_by_key() {
    let plan = plan(&format!(
        "{TEXT}variants: {{ v: {{ stages: {{ groups: {{ with: {{ k: 5, weights: {{ b: 2 }} }} }} }} }} }}"
    ));
    let merged = params(&plan, "v", "groups");
    assert_eq!(merged["k"], 5);
    assert_eq!(merged["start"], "random");
    assert_eq!(merged["weights"], json!({ "a": 1.0, "b": 2.0 }));
    assert_eq!(params(&plan, "base", "groups")["k"], 3);
}

#[test]
fn a_variant_has_other_parameters() {
    let plan = plan(&format!("{TEXT}variants: {{ v: {{ params: {{ country: France }} }} }}"));
    assert_eq!(params(&plan, "v", "buyers")["where"], "c = 'France'");
    assert_eq!(params(&plan, "base", "buyers")["where"], "c = 'UK'");
    assert_eq!(plan.variants[1].params, json!({ "country": "France", "k": 3 }));
}

#[test]
fn null_removes_a_stage_or_a_parameter() {
    let plan = plan(&format!(
        "{TEXT}variants: {{ v: {{ stages: {{ groups: }} }}, u: {{ stages: {{ groups: {{ with: {{ start: ~ }} }} }} }} }}"
    ));
    assert_eq!(stages(&plan, "v"), ["users", "buyers"]);
    assert_eq!(params(&plan, "u", "groups")["start"], "spread");
}

#[test]
fn another_type_keeps_the_parameters_and_inputs_that_fit() {
    let plan = plan(&format!("{TEXT}variants: {{ v: {{ stages: {{ groups: {{ uses: fake.tree }} }} }} }}"));
    let id = node(&plan, "v", "groups");
    assert_eq!(plan.nodes[id].stage_type.name(), "fake.tree");
    assert_eq!(*plan.nodes[id].configured.params(), json!({ "k": 3 }));
    assert_eq!(plan.nodes[id].inputs[0].port, "table");
}

#[test]
fn another_type_with_other_inputs_wants_them_connected() {
    assert_mistakes(
        &format!(
            "{TEXT}variants: {{ v: {{ stages: {{ groups: {{ uses: fake.join, inputs: {{ left: users }} }} }} }} }}"
        ),
        &[
            "w.yaml:7:55 «inputs» the input `right` of the stage `groups` is not connected | expected `inputs: { right: STAGE }` | `right`: The other.",
        ],
    );
}

#[test]
fn the_same_type_named_again_keeps_everything() {
    let plan = plan(&format!("{TEXT}variants: {{ v: {{ stages: {{ groups: {{ uses: fake.cluster }} }} }} }}"));
    assert_eq!(node(&plan, "v", "groups"), node(&plan, "base", "groups"));
}

#[test]
fn a_variant_adds_a_stage_at_the_end() {
    let plan = plan(&format!(
        "{TEXT}variants: {{ v: {{ stages: {{ scores: {{ uses: fake.score, inputs: {{ table: groups }} }} }} }} }}"
    ));
    assert_eq!(stages(&plan, "v"), ["users", "buyers", "groups", "scores"]);
    assert_eq!(stages(&plan, "base"), ["users", "buyers", "groups"]);
}

#[test]
fn overrides_of_what_is_not_there_name_the_nearest() {
    assert_mistakes(
        &format!(
            "{TEXT}variants:\n  v:\n    params: {{ contry: x }}\n    stages:\n      group: {{ with: {{ k: 2 }} }}\n      \
             user:\n      groups: {{ wth: {{ k: 2 }} }}\n    stage: {{}}\n"
        ),
        &[
            "w.yaml:9:15 «contry» the workflow has no parameter `contry` | not declared under `params:` | did you mean `country`?",
            "w.yaml:11:7 «group» there is no stage `group` to override | a stage that the variant adds needs `uses:` | did you mean `groups`?",
            "w.yaml:12:7 «user» there is no stage `user` to remove | not a stage of this workflow | did you mean `users`?",
            "w.yaml:13:17 «wth» a stage has no key `wth` | unknown key | did you mean `with`?",
            "w.yaml:14:5 «stage» a variant has no key `stage` | unknown key | did you mean `stages`?",
        ],
    );
}

#[test]
fn the_sections_of_a_workflow_are_checked() {
    assert_mistakes(
        "",
        &[
            "w.yaml:1:1 «(not a piece of the text)» the file is empty | expected a workflow | `stagewright init` writes a small workflow to start from",
        ],
    );
    assert_mistakes("- a\n", &["w.yaml:1:1 «» a workflow must be a mapping, this is a list | expected `KEY: VALUE`"]);
    assert_mistakes(
        "stage: {}\nparams: 3\nvariants: { base: {}, 'a b': {}, c: 3 }\n",
        &[
            "w.yaml:1:1 «s» the workflow has no name | expected `workflow: NAME`",
            "w.yaml:1:1 «s» the workflow has no stages | expected `stages:`",
            "w.yaml:1:1 «stage» a workflow has no key `stage` | unknown key | did you mean `stages`?",
            "w.yaml:2:9 «3» `params` must be a mapping, this is an integer | expected `KEY: VALUE`",
            "w.yaml:3:13 «base» `base` is the workflow itself and cannot be overridden | choose another name",
            "w.yaml:3:23 «'a b'» `a b` cannot be the name of a variant | expected letters, digits, `_` and `-`, beginning with a letter or digit",
            "w.yaml:3:37 «3» a variant must be a mapping, this is an integer | expected `KEY: VALUE`",
        ],
    );
}

#[test]
fn the_keys_of_a_stage_are_checked() {
    assert_mistakes(
        "workflow: w
stages:
  a: 3
  -b: { with: {} }
  c: { uses: fake.read, with: { path: x }, retries: 101, timeout: soon, when: maybe, resources: { cpu: 2, cpus: 0, memory: lots } }
  d: { uses: [fake.read], inputs: x }
",
        &[
            "w.yaml:3:6 «3» a stage must be a mapping, this is an integer | expected `KEY: VALUE`",
            "w.yaml:4:3 «-b» `-b` cannot be the name of a stage | expected letters, digits, `_` and `-`, beginning with a letter or digit",
            "w.yaml:4:3 «-b» the stage `-b` does not say what it uses | expected `uses: STAGE_TYPE`",
            "w.yaml:5:53 «101» `retries` must be an integer from 0 to 100 | this is 101",
            "w.yaml:5:67 «soon» `timeout` is not a duration | expected `30s`, `5m` or `1h 30m`",
            "w.yaml:5:79 «maybe» `when` must be true or false, this is text | expected a boolean, such as `${params.with_segments}`",
            "w.yaml:5:99 «cpu» `resources` has no key `cpu` | unknown key | did you mean `cpus`?",
            "w.yaml:5:113 «0» `cpus` must be an integer from 1 to 1024 | this is 0",
            "w.yaml:5:124 «lots» `memory` is not an amount of memory | expected `2GiB`, `500MB` or a number of bytes",
            "w.yaml:6:14 «[» a stage type cannot be a list | expected text",
            "w.yaml:6:35 «x» `inputs` must be a mapping, this is text | expected `KEY: VALUE`",
        ],
    );
}

/// What follows from a `--set` argument.
fn set(argument: &str) -> Result<Plan, Vec<String>> {
    let mut workflow = workflow(TEXT);
    let mut sources = sources(TEXT);
    let text = argument.to_owned();
    let id = sources.add(SourceText { name: "--set".into(), text, base: PathBuf::from("/cwd") });
    let refused = |mistakes: Diagnostics, sources: &Sources| shown(mistakes, sources);
    workflow.set(argument, id).map_err(|mistakes| refused(mistakes, &sources))?;
    workflow.plan(&registry(), &sources, &|_| true, &find).map_err(|mistakes| refused(mistakes, &sources))
}

#[test]
fn an_argument_sets_a_parameter_of_the_workflow() {
    assert_eq!(params(&set("params.country=France").unwrap(), "base", "buyers")["where"], "c = 'France'");
    assert_eq!(params(&set("params.k=7").unwrap(), "base", "groups")["k"], 7);
    assert_eq!(params(&set("params.country=a = b").unwrap(), "base", "buyers")["where"], "c = 'a = b'");
    assert_eq!(params(&set("params.country='[x'").unwrap(), "base", "buyers")["where"], "c = '[x'");
    assert_eq!(params(&set("params.country=[x").unwrap(), "base", "buyers")["where"], "c = '[x'");
}

#[test]
fn an_argument_sets_a_parameter_of_a_stage() {
    assert_eq!(params(&set("stages.groups.with.k=7").unwrap(), "base", "groups")["k"], 7);
    assert_eq!(
        params(&set("stages.groups.with.weights.b=2").unwrap(), "base", "groups")["weights"],
        json!({ "a": 1.0, "b": 2.0 })
    );
    assert_eq!(params(&set("stages.groups.with.start=null").unwrap(), "base", "groups")["start"], "spread");
    assert_eq!(params(&set("stages.groups.with.names=[x, y]").unwrap(), "base", "groups")["names"], json!(["x", "y"]));
    assert_eq!(params(&set("stages.groups.with.k=${params.k}").unwrap(), "base", "groups")["k"], 3);
}

#[test]
fn an_argument_sets_the_type_of_a_stage_and_the_number_of_repeats() {
    let plan = set("stages.groups.uses=fake.tree").unwrap();
    assert_eq!(plan.nodes[node(&plan, "base", "groups")].stage_type.name(), "fake.tree");
    assert_eq!(params(&plan, "base", "groups"), json!({ "k": 3 }));
    assert_eq!(set("seeds=20").unwrap().variants.len(), 20);
}

#[test]
fn arguments_that_set_nothing_say_what_was_expected() {
    for (argument, expected) in [
        (
            "params.country",
            "--set:1:1 «params.country» `params.country` sets nothing | expected `PATH=VALUE` | for example `--set params.country=France`",
        ),
        (
            "params.contry=x",
            "--set:1:8 «contry» the workflow has no parameter `contry` | not declared under `params:` | did you mean `country`?",
        ),
        (
            "country=x",
            "--set:1:1 «country» `country` cannot be set | expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses` | did you mean `params.country`?",
        ),
        (
            "stages.group.with.k=x",
            "--set:1:8 «group» there is no stage `group` | not a stage of this workflow | did you mean `groups`?",
        ),
        (
            "stages.groups.k=x",
            "--set:1:1 «stages.groups.k» `stages.groups.k` cannot be set | expected `params.NAME`, `stages.NAME.with.PARAMETER` or `stages.NAME.uses` | did you mean `stages.groups.with.k`?",
        ),
        (
            "stages.groups.uses=fake.clusters",
            "--set:1:20 «fake.clusters» there is no stage type `fake.clusters` | unknown stage type | did you mean `fake.cluster`?",
        ),
        ("seeds=many", "--set:1:7 «many» `seeds` must be an integer from 1 to 1000 | this is text"),
        ("stages.groups.with.k=many", "--set:1:22 «many» `k` must be an integer | this is text"),
        (
            "stages.groups.with.kk=1",
            "--set:1:20 «kk» `fake.cluster` has no parameter `kk` | unknown parameter | did you mean `k`?",
        ),
        (
            "params.k=é ${params.c}",
            "--set:1:12 «${params.c}» there is no parameter `c` | not declared under `params:` | valid names: country, k",
        ),
        ("params.k={a: 1, a: 2}", "--set:1:17 «a» the key `a` stands twice in this mapping | the second one"),
    ] {
        assert_eq!(set(argument).unwrap_err(), [expected]);
    }
}

/// What follows from a file of parameters.
fn with_file(text: &str) -> Result<Plan, Vec<String>> {
    let mut workflow = workflow(TEXT);
    let mut sources = sources(TEXT);
    let id = sources.add(SourceText { name: "p.yaml".into(), text: text.to_owned(), base: PathBuf::from("/p") });
    workflow.override_params(text.as_bytes(), id).map_err(|mistakes| shown(mistakes, &sources))?;
    workflow.plan(&registry(), &sources, &|_| true, &find).map_err(|mistakes| shown(mistakes, &sources))
}

#[test]
fn a_file_of_parameters_overrides_some() {
    assert_eq!(params(&with_file("country: Chad\n").unwrap(), "base", "buyers")["where"], "c = 'Chad'");
    assert_eq!(params(&with_file("params:\n  country: Chad\n").unwrap(), "base", "buyers")["where"], "c = 'Chad'");
    assert_eq!(params(&with_file("").unwrap(), "base", "buyers")["where"], "c = 'UK'");
}

#[test]
fn mistakes_in_a_file_of_parameters_stand_in_it() {
    for (text, expected) in [
        (
            "k: 2\ncontry: x\n",
            "p.yaml:2:1 «contry» the workflow has no parameter `contry` | not declared under `params:` | did you mean `country`?",
        ),
        ("[x]", "p.yaml:1:1 «[» a file of parameters must be a mapping, this is a list | expected `KEY: VALUE`"),
        ("k: 1\nk: 2\n", "p.yaml:2:1 «k» the key `k` stands twice in this mapping | the second one"),
    ] {
        assert_eq!(with_file(text).unwrap_err(), [expected]);
    }
}

#[test]
fn a_value_from_a_parameter_is_blamed_where_it_is_used() {
    let expected = ["w.yaml:6:71 «'${params.k}'» `k` must be an integer | this is text"];
    assert_eq!(set("params.k=many").unwrap_err(), expected);
    assert_eq!(with_file("k: many\n").unwrap_err(), expected);
}
