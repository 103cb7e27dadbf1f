use crate::testing::{assert_mistakes, plan, sources, workflow};

/// The parameters of the stage `s` of a workflow with these `params:` and this `with:` value.
fn where_of(params: &str, value: &str) -> serde_json::Value {
    let plan = plan(&with_where(params, value));
    plan.nodes[1].configured.params()["where"].clone()
}

fn with_where(params: &str, value: &str) -> String {
    format!(
        "workflow: w\nparams: {params}\nstages:\n  t: {{ uses: fake.read, with: {{ path: a }} }}\n  \
         s: {{ uses: fake.filter, inputs: {{ table: t }}, with: {{ where: {value} }} }}\n"
    )
}

#[test]
fn a_reference_alone_keeps_the_type() {
    let plan = plan(
        "workflow: w
params: { k: 3, on: true, weights: { a: 0.5 }, names: [x, y], none: null, text: '7' }
stages:
  t: { uses: fake.read, with: { path: a, columns: '${params.names}' } }
  f: { uses: fake.filter, inputs: { table: t }, with: { where: '${params.text}', rejects: '${params.on}' } }
  c:
    uses: fake.cluster
    inputs: { table: t }
    with: { k: '${ params.k }', weights: '${params.weights}', unit: '${params.none}' }
",
    );
    let params = |stage: &str| plan.nodes.iter().find(|node| node.stage == stage).unwrap().configured.params().clone();
    assert_eq!(params("t")["columns"], serde_json::json!(["x", "y"]));
    assert_eq!(params("f")["where"], "7");
    assert_eq!(params("f")["rejects"], true);
    assert_eq!(params("c")["k"], 3);
    assert_eq!(params("c")["weights"], serde_json::json!({ "a": 0.5 }));
    assert_eq!(params("c")["unit"], serde_json::Value::Null);
}

#[test]
fn references_inside_a_text_are_written_out() {
    assert_eq!(
        where_of("{ c: UK, n: 2, f: 0.5, b: true }", "\"${params.c}/${params.n}-${params.f} ${params.b}\""),
        "UK/2-0.5 true"
    );
}

#[test]
fn two_dollars_stand_for_one() {
    assert_eq!(where_of("{ c: UK }", "'$${params.c} ${params.c} $${ $ $$ }'"), "${params.c} UK ${ $ $$ }");
}

#[test]
fn what_a_reference_brings_is_not_read_again() {
    assert_eq!(where_of("{ c: '$${params.d}', d: x }", "'${params.c}!'"), "${params.d}!");
}

#[test]
fn parameters_refer_to_parameters_in_any_order() {
    assert_eq!(where_of("{ a: '${params.b}/x', b: '${params.c}', c: 1 }", "'${params.a}'"), "1/x");
}

#[test]
fn a_cycle_of_parameters_is_one_mistake() {
    assert_mistakes(
        &with_where("{ a: '${params.b}', b: 'x ${params.c}', c: '${params.a}' }", "'${params.a}!'"),
        &["w.yaml:2:14 «'${params.b}'» the parameter `a` refers to itself: a → b → c → a | part of the cycle"],
    );
    assert_mistakes(
        &with_where("{ a: '${params.a}' }", "x"),
        &["w.yaml:2:14 «'${params.a}'» the parameter `a` refers to itself: a → a | part of the cycle"],
    );
}

#[test]
fn unknown_names_are_underlined_exactly() {
    assert_mistakes(
        &with_where("{ country: UK, kö: 1 }", "\"é = '${params.contry}'\""),
        &[
            "w.yaml:5:70 «${params.contry}» there is no parameter `contry` | not declared under `params:` | did you mean `country`?",
        ],
    );
    assert_mistakes(
        &with_where("{ country: UK }", "'it''s ${params.contry}'"),
        &[
            "w.yaml:5:71 «${params.contry}» there is no parameter `contry` | not declared under `params:` | did you mean `country`?",
        ],
    );
    assert_mistakes(
        &with_where("{ country: UK }", "'${country}'"),
        &[
            "w.yaml:5:65 «${country}» `${country}` refers to nothing | expected `${params.NAME}` | did you mean `params.country`?",
        ],
    );
    assert_mistakes(
        &with_where("{ country: UK }", "'a ${params.country'"),
        &["w.yaml:5:67 «${» `${` without a closing `}` | expected `${params.NAME}` | write `$${` for a literal `${`"],
    );
}

#[test]
fn a_parameter_is_suggested_to_another_that_comes_before_it() {
    assert_mistakes(
        &with_where("{ a: '${params.contry}', country: UK }", "x"),
        &[
            "w.yaml:2:15 «${params.contry}» there is no parameter `contry` | not declared under `params:` | did you mean `country`?",
        ],
    );
}

#[test]
fn a_reference_in_a_block_of_text_is_underlined_exactly() {
    assert_mistakes(
        "workflow: w
params: { country: UK }
stages:
  t: { uses: fake.read, with: { path: a } }
  s:
    uses: fake.filter
    inputs: { table: t }
    with:
      where: |
        country = '${params.country}'
          and age > ${params.age}
",
        &[
            "w.yaml:11:21 «${params.age}» there is no parameter `age` | not declared under `params:` | valid names: country",
        ],
    );
}

#[test]
fn a_name_that_leads_nowhere_is_not_also_a_value_of_the_wrong_type() {
    assert_mistakes(
        "workflow: w
params: { k: 3, seed: '${params.sed}' }
stages:
  t: { uses: fake.read, with: { path: '${params.pth}' } }
  c: { uses: fake.cluster, inputs: { table: t }, with: { k: '${params.kk}' }, timeout: '${params.t}', retries: '${params.r}' }
  d: { uses: '${params.u}' }
",
        &[
            "w.yaml:2:24 «${params.sed}» there is no parameter `sed` | not declared under `params:` | did you mean `seed`?",
            "w.yaml:4:40 «${params.pth}» there is no parameter `pth` | not declared under `params:` | valid names: k, seed",
            "w.yaml:5:62 «${params.kk}» there is no parameter `kk` | not declared under `params:` | did you mean `k`?",
            "w.yaml:5:89 «${params.t}» there is no parameter `t` | not declared under `params:` | valid names: k, seed",
            "w.yaml:5:113 «${params.r}» there is no parameter `r` | not declared under `params:` | valid names: k, seed",
            "w.yaml:6:15 «${params.u}» there is no parameter `u` | not declared under `params:` | valid names: k, seed",
        ],
    );
}

#[test]
fn a_list_inside_a_text_is_a_mistake() {
    assert_mistakes(
        &with_where("{ l: [1], m: { a: 1 } }", "'${params.l} ${params.m}'"),
        &[
            "w.yaml:5:65 «${params.l}» `params.l` is a list, which cannot stand inside a text | text, a number or a boolean is needed",
            "w.yaml:5:77 «${params.m}» `params.m` is a mapping, which cannot stand inside a text | text, a number or a boolean is needed",
        ],
    );
}

#[test]
fn secrets_are_refused_by_name() {
    assert_mistakes(
        &with_where("{}", "'${secret:TOKEN}'"),
        &[
            "w.yaml:5:64 «'${secret:TOKEN}'» the secret `TOKEN` cannot be used here | this parameter takes no secret | `stagewright stages fake.filter` lists the parameters that do",
        ],
    );
    assert_mistakes(
        &with_where("{}", "'a ${secret:TOKEN}'"),
        &[
            "w.yaml:5:67 «${secret:TOKEN}» the secret `TOKEN` stands inside a longer text | a secret is the whole value of a parameter that takes one",
        ],
    );
    assert_mistakes(
        &with_where("{}", "'${secret:MY TOKEN}'"),
        &[
            "w.yaml:5:65 «${secret:MY TOKEN}» `MY TOKEN` is not the name of a secret | expected the name of an environment variable: letters, digits and `_`",
        ],
    );
}

#[test]
fn a_path_starts_where_its_first_part_was_written() {
    let text = "workflow: w
params: { data: d, name: n }
stages:
  a: { uses: fake.read, with: { path: '${params.data}/x' } }
  b: { uses: fake.read, with: { path: 'y/${params.data}' } }
  c: { uses: fake.read, with: { path: '${params.data}' } }
";
    let mut workflow = workflow(text);
    let mut sources = sources(text);
    let argument = "params.data=there";
    let set = sources.add(crate::SourceText { name: "--set".into(), text: argument.into(), base: "/cwd".into() });
    workflow.set(argument, set).unwrap();
    let plan = workflow.plan(&crate::testing::registry(), &sources, &|_| true, &crate::testing::find).unwrap();
    let files: Vec<_> =
        plan.variants[0].stages.iter().map(|(_, id)| plan.nodes[*id].sources[0].files[0].to_str().unwrap()).collect();
    assert_eq!(files, ["/cwd/there/x", "/w/y/there", "/cwd/there"]);
}

#[test]
fn references_that_double_a_text_again_and_again_are_refused() {
    let mut params = String::from("{ p0: xxxxxxxxxxxxxxxx");
    for n in 1..60 {
        params += &format!(",\n  p{n}: '${{params.p{0}}}${{params.p{0}}}'", n - 1);
    }
    let found = crate::testing::mistakes(&with_where(&(params + " }"), "'${params.p59}'"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("references repeat more than"), "{found:?}");
}

#[test]
fn a_long_chain_of_parameters_is_refused() {
    let mut params = String::from("{ p0: x");
    for n in 1..20_000 {
        params += &format!(",\n  p{n}: '${{params.p{}}}'", n - 1);
    }
    let found = crate::testing::mistakes(&with_where(&(params + " }"), "x"));
    assert!(found.iter().all(|found| found.contains("parameters refer to each other in a chain")), "{}", found[0]);
}

#[test]
fn references_that_nest_lists_ever_deeper_do_not_exhaust_the_stack() {
    let mut params = String::from("{ p0: x");
    for n in 1..60 {
        params += &format!(",\n  p{n}: {}'${{params.p{}}}'{}", "[".repeat(28), n - 1, "]".repeat(28));
    }
    let found = crate::testing::mistakes(&with_where(&(params + " }"), "'${params.p59}'"));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_mistake_in_the_base_is_not_repeated_by_variants() {
    let text =
        with_where("{ c: 'x ${params.typo}' }", "'${params.c}!'") + "variants: { v: {}, u: { params: { c: 2 } } }\n";
    assert_mistakes(
        &text,
        &["w.yaml:2:17 «${params.typo}» there is no parameter `typo` | not declared under `params:` | valid names: c"],
    );
}
