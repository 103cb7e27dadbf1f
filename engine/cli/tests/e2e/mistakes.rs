//! One workflow per kind of mistake: what a person reads.

use crate::space::TestSpace;

/// A workflow that is right, to be spoilt.
const RIGHT: &str = "\
workflow: shop
params:
  k: 2
  folder: data
stages:
  people:
    uses: ingest.csv
    with:
      path: ${params.folder}/people.csv
  adults:
    uses: clean.filter
    inputs: { table: people }
    with: { where: age >= 18 }
  clusters:
    uses: segment.kmeans
    inputs: { table: adults }
    with:
      columns: [age, spent]
      k: ${params.k}
variants:
  three:
    params: { k: 3 }
compare:
  baseline: base
  metrics: [clusters.wcss]
";

/// `RIGHT` with one thing changed.
fn spoilt(from: &str, to: &str) -> TestSpace {
    let space = TestSpace::with(RIGHT);
    space.write("data/people.csv", crate::space::PEOPLE);
    space.replace("workflow.yaml", from, to);
    space
}

/// A test whose workflow is `RIGHT` with one thing changed: `name: from => to`.
macro_rules! mistakes {
    ($($name:ident: $from:literal => $to:literal;)*) => {
        $(
            #[test]
            fn $name() {
                check!(concat!("mistake_", stringify!($name)), spoilt($from, $to).run("validate"));
            }
        )*
    };
}

mistakes! {
    nothing: "workflow: shop" => "workflow: shop";
    unknown_key: "stages:\n  people" => "stage: 1\nstages:\n  people";
    unknown_key_of_a_stage: "inputs: { table: people }" => "input: { table: people }";
    unknown_key_of_a_variant: "    params: { k: 3 }" => "    param: { k: 3 }";
    unknown_stage_type: "segment.kmeans" => "segment.kmean";
    unknown_stage: "table: adults" => "table: adult";
    unknown_input: "inputs: { table: adults }" => "inputs: { tabel: adults }";
    unknown_output: "table: adults" => "table: adults.tables";
    unknown_parameter_of_a_stage: "      columns:" => "      n_clusters: 3\n      columns:";
    unknown_parameter_of_the_workflow: "params: { k: 3 }" => "params: { kk: 3 }";
    unknown_reference: "${params.k}" => "${params.q}";
    reference_to_nothing: "${params.k}" => "${k}";
    reference_without_an_end: "${params.folder}/people.csv" => "${params.folder/people.csv";
    wrong_type: "  k: 2" => "  k: two";
    wrong_type_in_a_list: "[age, spent]" => "[age, 7]";
    wrong_type_in_a_variant: "{ k: 3 }" => "{ k: 3.5 }";
    out_of_range: "  k: 2" => "  k: 0";
    not_a_choice: "path: ${params.folder}/people.csv" => "{ path: data/people.csv, bad_rows: rejected }";
    missing_parameter: "with: { where: age >= 18 }" => "with: {}";
    kinds_that_do_not_fit: "with: { where: age >= 18 }" => "with: { where: age >= 18 }\n  again:\n    uses: clean.filter\n    inputs: { table: clusters.metrics }\n    with: { where: k > 1 }";
    unclear_output: "with: { where: age >= 18 }" => "with: { where: age >= 18 }\n  again:\n    uses: clean.filter\n    inputs: { table: clusters }\n    with: { where: age > 1 }";
    missing_input: "    inputs: { table: adults }\n" => "";
    inputs_where_there_are_none: "    with:\n      path" => "    inputs: { table: adults }\n    with:\n      path";
    cycle: "inputs: { table: people }" => "inputs: { table: clusters.table }";
    cycle_of_one: "inputs: { table: people }" => "inputs: { table: adults }";
    duplicate_key: "with: { where: age >= 18 }" => "with: { where: age >= 18 }\n    uses: clean.filter";
    duplicate_stage: "variants:" => "  people:\n    uses: ingest.csv\nvariants:";
    missing_source: "people.csv" => "peopel.csv";
    missing_folder: "folder: data" => "folder: date";
    source_is_a_folder: "/people.csv" => "";
    pattern_without_files: "people.csv" => "*.json";
    when_is_not_a_boolean: "uses: clean.filter" => "uses: clean.filter\n    when: sometimes";
    bad_timeout: "uses: clean.filter" => "uses: clean.filter\n    timeout: soon";
    bad_retries: "uses: clean.filter" => "uses: clean.filter\n    retries: -1";
    bad_resources: "uses: clean.filter" => "uses: clean.filter\n    resources: { cpus: 0, memory: lots }";
    compare_of_an_unknown_stage: "[clusters.wcss]" => "[cluster.wcss]";
    compare_of_a_stage_without_metrics: "[clusters.wcss]" => "[adults.wcss]";
    compare_of_no_metric: "[clusters.wcss]" => "[wcss]";
    compare_with_an_unknown_variant: "baseline: base" => "baseline: tree";
    variant_of_an_unknown_stage: "params: { k: 3 }" => "stages: { cluster: { with: { k: 3 } } }";
    variant_named_base: "  three:" => "  base:";
    parameters_that_refer_to_themselves: "folder: data" => "folder: ${params.parent}/x\n  parent: ${params.folder}";
    parameter_that_refers_to_itself: "folder: data" => "folder: ${params.folder}";
    list_in_a_text: "folder: data" => "folder: [a, b]";
    section_of_another_type: "  metrics: [clusters.wcss]" => "  metrics: clusters.wcss";
    stage_that_is_no_mapping: "variants:" => "  extra: clean.filter\nvariants:";
    stage_without_a_type: "    uses: clean.filter\n" => "";
    bad_name: "  adults:" => "  a.dults:";
    not_yaml: "    with: { where: age >= 18 }" => "    with: { where: age >= 18";
    tab_instead_of_spaces: "    uses: clean.filter" => "\tuses: clean.filter";
    secret: "${params.k}" => "${secret:TOKEN}";
    bad_sql: "age >= 18" => "age >= ";
}

#[test]
fn unknown_variant_of_the_command_line() {
    check!("mistake_unknown_variant", spoilt("k: 2", "k: 2").run("run --variant tree"));
}

#[test]
fn set_of_what_is_not_there() {
    let space = spoilt("k: 2", "k: 2");
    check!("mistake_set", space.run("validate --set params.q=1 --set k=3 --set stages.cluster.with.k=3 --set nothing"));
    check!("mistake_set_value", space.run("validate --set params.k=many"));
    check!("mistake_set_parameter", space.run("validate --set stages.clusters.with.kk=3"));
}

#[test]
fn mistakes_in_a_file_of_parameters() {
    let space = spoilt("k: 2", "k: 2");
    space.write("other.yaml", "k: many\ncolour: red\n");
    check!("mistake_params_file", space.run("validate --params other.yaml"));
    check!("mistake_params_file_not_there", space.run("validate --params others.yaml"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let space = TestSpace::with(
        "\
workflow: broken
owner: me
params: { k: two }
stages:
  people:
    uses: ingest.csv
    with: { path: people.csv }
  adults:
    uses: clean.filter
    inputs: { table: peple }
    with: { were: age >= 18 }
  clusters:
    uses: segment.kmeens
    inputs: { table: adults }
  split:
    uses: features.split
    inputs: { table: people }
    with: { method: random, test: 7 }
    retries: many
  scale:
    uses: features.scale
    with: { columns: [age] }
    timeout: soon
    timeout: 5s
variants:
  other: { params: { kk: 1 }, stages: { spilt: null } }
compare: { baseline: others, metrics: [people.rows, score] }
",
    );
    let output = space.run("validate");
    check!("mistake_all_at_once", output);
    let json = space.run("validate --json");
    let errors: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(errors["errors"].as_array().unwrap().len() >= 10, "{json}");
    assert!(!space.path(".stagewright").exists(), "nothing was executed");
}

#[test]
fn what_a_terminal_must_not_see_is_not_printed() {
    let space = spoilt("segment.kmeans", "\"segment.\\e[31mkmeans\\a\"");
    let output = space.run("validate");
    assert!(!output.stderr.chars().any(|c| c.is_control() && c != '\n'), "{output}");
    assert_eq!(output.code, Some(2), "{output}");
}
