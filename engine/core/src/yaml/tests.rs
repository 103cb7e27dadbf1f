use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::node::line_and_column;
use crate::testing::{find, mistakes, registry, shown, sources, underlined};
use crate::{Sources, Workflow};

/// Every scalar and key of a text: `line:column «as written» = value`, keys with a colon.
fn places(text: &str) -> Vec<String> {
    let sources = sources(text);
    let node = read(text.as_bytes(), 0).unwrap_or_else(|found| panic!("{:?}", shown(found, &sources)));
    let mut out = Vec::new();
    collect(&node, &sources, &mut out);
    out
}

fn collect(node: &Node, sources: &Sources, out: &mut Vec<String>) {
    let place = |span: Span| {
        let (line, column) = line_and_column(&sources.get(0).unwrap().text, span.start);
        format!("{line}:{column} «{}»", underlined(span, sources))
    };
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| collect(item, sources, out)),
        Value::Map(entries) => {
            for entry in entries {
                out.push(format!("{} {}:", place(entry.key_span), entry.key));
                collect(&entry.value, sources, out);
            }
        }
        value => out.push(format!("{} {value:?}", place(node.span))),
    }
}

/// The value of the only key of a text.
fn value(text: &str) -> Value {
    let node = read(format!("a: {text}").as_bytes(), 0).unwrap();
    node.get("a").unwrap().value.clone()
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

#[test]
fn places_of_block_mappings_and_sequences() {
    assert_eq!(
        places("a: 1\nb:\n  - x\n  -   c: two words  # comment\n"),
        [
            "1:1 «a» a:",
            "1:4 «1» Int(1)",
            "2:1 «b» b:",
            "3:5 «x» Str(\"x\")",
            "4:7 «c» c:",
            "4:10 «two words» Str(\"two words\")",
        ]
    );
}

#[test]
fn places_after_characters_of_several_bytes() {
    assert_eq!(
        places("größe: \"zwö\" # ß\nπ: {é: [ü, x]}\n"),
        [
            "1:1 «größe» größe:",
            "1:8 «\"zwö\"» Str(\"zwö\")",
            "2:1 «π» π:",
            "2:5 «é» é:",
            "2:9 «ü» Str(\"ü\")",
            "2:12 «x» Str(\"x\")",
        ]
    );
}

#[test]
fn places_of_quoted_scalars_and_keys() {
    assert_eq!(
        places("'a': 'it''s'\n\"b\\tc\": \"x\\u00e9\"\n"),
        ["1:1 «'a'» a:", "1:6 «'it''s'» Str(\"it's\")", "2:1 «\"b\\tc\"» b\tc:", "2:9 «\"x\\u00e9\"» Str(\"xé\")"]
    );
}

#[test]
fn places_of_texts_over_several_lines() {
    assert_eq!(
        places("a: |\n  one\n  two\nb: >-\n  three\n  four\nc: five\n  six\n"),
        [
            "1:1 «a» a:",
            "2:3 «one⏎  two⏎» Str(\"one\\ntwo\\n\")",
            "4:1 «b» b:",
            "5:3 «three⏎  four⏎» Str(\"three four\")",
            "7:1 «c» c:",
            "7:4 «five⏎  six» Str(\"five six\")",
        ]
    );
}

#[test]
fn what_an_alias_repeats_stands_where_the_alias_does() {
    assert_eq!(
        places("a: &x {k: 1}\nb: *x\n"),
        ["1:1 «a» a:", "1:8 «k» k:", "1:11 «1» Int(1)", "2:1 «b» b:", "2:4 «*x» k:", "2:4 «*x» Int(1)"]
    );
}

#[test]
fn a_merge_key_adds_what_is_not_written() {
    assert_eq!(
        places("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n")[5..],
        ["2:1 «b» b:", "4:3 «k» k:", "4:6 «3» Int(3)", "3:7 «*x» l:", "3:7 «*x» Int(2)"]
    );
}

#[test]
fn places_after_windows_line_ends_and_a_byte_order_mark() {
    assert_eq!(
        places("\u{feff}a: é\r\nb: 2\r\n"),
        ["1:2 «a» a:", "1:5 «é» Str(\"é\")", "2:1 «b» b:", "2:4 «2» Int(2)"]
    );
}

#[test]
fn words_that_only_yaml_1_1_takes_for_something_else_stay_text() {
    for word in ["NO", "yes", "on", "off", "y", "010", "1_000", "12:30", "2024-01-01"] {
        assert_eq!(value(word), text(word), "{word}");
    }
}

#[test]
fn the_core_schema_types_the_rest() {
    assert_eq!(value("true"), Value::Bool(true));
    assert_eq!(value("False"), Value::Bool(false));
    assert_eq!(value("~"), Value::Null);
    assert_eq!(value(""), Value::Null);
    assert_eq!(value("null"), Value::Null);
    assert_eq!(value("'null'"), text("null"));
    assert_eq!(value("-12"), Value::Int(-12));
    assert_eq!(value("0x1F"), Value::Int(31));
    assert_eq!(value("0o17"), Value::Int(15));
    assert_eq!(value("18446744073709551615"), Value::UInt(u64::MAX));
    assert_eq!(value("2.0"), Value::Float(2.0));
    assert_eq!(value("1e3"), Value::Float(1000.0));
    assert_eq!(value("!!str 12"), text("12"));
}

#[test]
fn keys_are_text_as_written() {
    let node = read(b"1.0: a\n1: b\n1.50: c\n0x10: d\n16: e\nnull: f\ntrue: g\nTrue: h\n", 0).unwrap();
    let keys: Vec<&str> = node.entries().iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["1.0", "1", "1.50", "0x10", "16", "null", "true", "True"]);
}

#[test]
fn every_duplicate_is_a_mistake() {
    let text = "a: {k: 1, k: 2, k: 3}\nb: [{c: {d: 1, d: 2}}]\na: 2\n";
    let mut found = Diagnostics::default();
    find_duplicates(&read(text.as_bytes(), 0).unwrap(), &mut found);
    assert_eq!(
        shown(found, &sources(text)),
        [
            "w.yaml:1:11 «k» the key `k` stands twice in this mapping | the second one",
            "w.yaml:1:17 «k» the key `k` stands twice in this mapping | the second one",
            "w.yaml:2:16 «d» the key `d` stands twice in this mapping | the second one",
            "w.yaml:3:1 «a» the key `a` stands twice in this mapping | the second one",
        ]
    );
}

#[test]
fn a_key_that_is_also_merged_is_no_duplicate() {
    let text = "a: &x {k: 1}\nb: {<<: *x, k: 2}\n";
    let mut found = Diagnostics::default();
    find_duplicates(&read(text.as_bytes(), 0).unwrap(), &mut found);
    assert!(found.is_empty(), "{found}");
}

#[test]
fn syntax_errors_say_where() {
    for (text, expected) in [
        (
            "a: 1\n  b: 2\n",
            "w.yaml:2:4 «:» this is not valid YAML: mapping values are not allowed in this context | here",
        ),
        ("a: *nope\n", "w.yaml:1:4 «*» this is not valid YAML: alias references unknown anchor | here"),
        (
            "é: \"bad \\q\"\n",
            "w.yaml:1:4 «\"» this is not valid YAML: while parsing a quoted scalar, found unknown escape character | here",
        ),
        ("a: 1\n---\nb: 2\n", "w.yaml:2:1 «-» a second document begins here, but a workflow is one document | here"),
        ("? [a]\n: b\n", "w.yaml:1:3 «[» a key must be a word, not a list or a mapping | here"),
        (
            "a: .inf\n",
            "w.yaml:1:4 «.» this is not valid YAML: non-finite float `.inf` rejected by the configured policy | here",
        ),
    ] {
        assert_eq!(mistakes(text), [expected]);
    }
}

#[test]
fn bytes_that_are_no_text_are_one_mistake_with_its_place() {
    let found = Workflow::parse(b"workflow: w\nx: \xff\xfe", 0).unwrap_err();
    let sources = sources("workflow: w\nx: ??");
    assert_eq!(
        shown(found, &sources),
        ["w.yaml:2:4 «?» the text is not UTF-8 | these bytes are no character | save the file with the encoding UTF-8"]
    );
}

/// That a text ends in one mistake with this message, soon.
#[track_caller]
fn assert_refused(text: &str, message: &str) {
    let began = Instant::now();
    let found = read(text.as_bytes(), 0).unwrap_err().sorted();
    let elapsed = began.elapsed();
    let messages: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains(message), "{messages:?}");
    // A tenth of a second when optimised.
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[test]
fn bombs_of_aliases_are_refused() {
    let mut nested = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        nested += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "));
    }
    assert_refused(&nested, "aliases (`*name`) repeat more text");
    let mut long = format!("a: &a {}\n", "x".repeat(60_000));
    (0..900).for_each(|n| long += &format!("b{n}: *a\n"));
    assert_refused(&long, "aliases");
    let mut chain = String::from("a0: &a0 x\n");
    (1..900).for_each(|n| chain += &format!("a{n}: &a{n} [*a{}]\n", n - 1));
    assert_refused(&chain, "nested deeper than");
}

#[test]
fn deep_nesting_is_refused() {
    assert_refused(&"[".repeat(60_000), "nested deeper than");
    assert_refused(&"[\n".repeat(100_000), "nested deeper than");
    assert_refused(&"{a: ".repeat(15_000), "nested deeper than");
    assert_refused(&"- ".repeat(30_000), "nested deeper than");
    assert_refused(&"? ".repeat(30_000), "nested deeper than");
    assert_refused(&(0..300).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>(), "nested deeper than");
}

#[test]
fn nesting_to_the_limit_is_read() {
    let text = format!("{}x{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(read(text.as_bytes(), 0).is_ok());
}

#[test]
fn huge_lines_and_texts_are_refused() {
    assert_refused(&format!("a: {}", "x".repeat(1 << 20)), "this line has 1048579 bytes");
    assert_refused(&format!("a: |\n{}", " x\n".repeat(1 << 19)), "a text of");
    assert_refused(&format!("a: \"x\n{}\"", " x\n".repeat(1 << 19)), "a text of");
    assert_refused(&"#\n".repeat(MAX_TEXT), "the text is longer than");
}

#[test]
fn many_duplicates_are_found_soon() {
    let text = "a: 1\n".repeat(50_000);
    let began = Instant::now();
    let workflow = Workflow::parse(text.as_bytes(), 0).unwrap();
    let found = workflow.plan(&registry(), &sources(&text), &|_| true, &find).unwrap_err();
    // Each but the first is a duplicate, each is no key of a workflow, and there are no name and no stages.
    assert_eq!(found.len(), 49_999 + 50_000 + 2);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// A workflow that uses every construct of the language.
const VALID: &str = r#"workflow: campaign
description: a test
params: { data: "data/ö", country: France, k: 3, seed: 7, list: [a, 'b'] }
stages:
  users: &users
    uses: fake.read
    with: { path: "${params.data}/users.csv" }
  buyers:
    uses: fake.filter
    inputs: { table: users.table }
    with:
      where: |
        country = '${params.country}'
      rejects: true
    resources: { cpus: 2, memory: 1GiB }
    timeout: 1h 30m
  groups: { uses: fake.cluster, inputs: { table: buyers.rejects }, with: { k: "${params.k}", start: random } }
  scores: { uses: fake.score, inputs: { table: groups }, when: true, retries: 2 }
variants:
  tree: { stages: { groups: { uses: fake.tree } } }
  other: { params: { k: 5, country: "$${x}" }, stages: { users: *users, extra: { <<: *users } } }
compare: { baseline: base, metrics: [scores.ndcg@10] }
"#;

#[test]
fn the_valid_workflow_is_valid() {
    assert_eq!(mistakes(VALID), Vec::<String>::new());
}

/// A text never makes the reader or the plan panic, and every mistake stands in it.
fn survives(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let sources = sources(&text);
    let found = match Workflow::parse(bytes, 0) {
        Err(found) => found,
        Ok(workflow) => {
            let mut changed = workflow.clone();
            drop((changed.set(&format!("params.k={text}"), 0), changed.override_params(bytes, 0)));
            drop(changed.plan(&registry(), &sources, &|_| true, &find));
            match workflow.plan(&registry(), &sources, &|_| true, &find) {
                Err(found) => found,
                Ok(plan) => {
                    drop(crate::Schedule::new(&plan, crate::Resources { cpus: 2, memory: 0 }));
                    return;
                }
            }
        }
    };
    for span in found.sorted().into_iter().filter_map(|mistake| mistake.span) {
        assert!(text.is_char_boundary(span.start), "{span:?}");
        // What is shown as one byte may be a longer character, or the end of the text.
        assert!(span.start + span.len <= text.len() + 1, "{span:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        survives(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn no_yaml_makes_it_panic(text in r#"([-?:,\[\]{}#&*!|>'"%@` \n]|workflow|stages|params|variants|uses|with|inputs|fake\.read|\$\{params\.a\}|a|é|<<|~|1){0,60}"#) {
        survives(text.as_bytes());
    }

    #[test]
    fn no_change_to_a_workflow_makes_it_panic(
        edits in proptest::collection::vec((0..VALID.len(), 0_usize..30, r#"([-?:,\[\]{}#&*!|>'" \n]|users|uses|with|null|\$\{params\.|k|\}|ö|1|\*users){0,4}"#), 1..4),
    ) {
        let mut text = VALID.as_bytes().to_vec();
        for (at, remove, insert) in edits {
            let at = at.min(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.bytes());
        }
        survives(&text);
    }

    #[test]
    fn every_place_is_a_piece_of_the_text(
        keys in proptest::collection::vec("[a-zäöπ🦀]{1,6}", 1..5),
        values in proptest::collection::vec("[a-zäöπ🦀]{1,6}", 5),
    ) {
        let text: String = keys.iter().zip(&values).map(|(key, value)| format!("{key}: \"{value}\" # é\n")).collect();
        let node = read(text.as_bytes(), 0).unwrap();
        for (entry, (key, value)) in node.entries().iter().zip(keys.iter().zip(&values)) {
            prop_assert_eq!(&text[entry.key_span.start..entry.key_span.start + entry.key_span.len], key);
            let span = entry.value.span;
            prop_assert_eq!(&text[span.start..span.start + span.len], format!("\"{value}\""));
        }
    }
}
