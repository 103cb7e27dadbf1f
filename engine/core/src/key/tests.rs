use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Inputs of every sort.
fn full(params: &Value) -> KeyInputs<'_> {
    KeyInputs {
        stage_type: "segment.kmeans",
        code: Digest::of(b"code"),
        params,
        source_params: &["path"],
        seed: Some(42),
        inputs: vec![
            KeyInput { port: "left", kind: Kind::Table, digest: Digest::of(b"l") },
            KeyInput { port: "right", kind: Kind::Metrics, digest: Digest::of(b"r") },
        ],
        sources: vec![
            KeySource { param: "path", name: "a.csv", digest: Digest::of(b"a") },
            KeySource { param: "path", name: "b.csv", digest: Digest::of(b"b") },
        ],
        secrets: Vec::new(),
    }
}

fn bare(params: &Value) -> KeyInputs<'_> {
    KeyInputs {
        stage_type: "t",
        code: Digest::of(b""),
        params,
        source_params: &[],
        seed: None,
        inputs: Vec::new(),
        sources: Vec::new(),
        secrets: Vec::new(),
    }
}

fn key_of(params: &Value) -> Digest {
    stage_key(&bare(params))
}

fn params() -> Value {
    json!({
        "path": "data/*.csv", "k": 2, "half": 0.5, "on": true, "name": "ö \"x\"", "none": null,
        "list": [1, "1", []], "map": { "b": 1, "a.b": 2, "": {} },
    })
}

/// These guard the format: whoever changes it raises `KEY_VERSION` (or `CONTRACT_VERSION`) and writes new ones.
#[test]
fn golden_keys() {
    let keys = [stage_key(&full(&params())), key_of(&json!({})), key_of(&json!({ "k": 2 }))];
    assert_eq!(
        keys.map(|key| key.hex()),
        [
            "8e8944d3c310764375988faa757f4baa6526c642b5618816b1157a3c4b4ac2b6",
            "02078cd54619e82834d936b39129f3ee7f4b75deb647e9c4c9dab83ab27ab738",
            "c33a955f1adb3877faeb2ba9bab8ee59e9a5ab4d370e20f41946eb9eef5d6d59",
        ]
    );
}

#[test]
fn the_fields_of_a_key_in_order() {
    let digest = |text: &str| Digest::of(text.as_bytes()).hex();
    let fields = key_fields(&full(&params()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("key", "1"),
            ("contract", "1"),
            ("uses", "segment.kmeans"),
            ("code", &digest("code")),
            ("seed", "42"),
            ("with.half", "0.5"),
            ("with.k", "2"),
            ("with.list[0]", "1"),
            ("with.list[1]", "\"1\""),
            ("with.list[2]", "[]"),
            ("with.map.", "{}"),
            ("with.map.\"a.b\"", "2"),
            ("with.map.b", "1"),
            ("with.name", "\"ö \\\"x\\\"\""),
            ("with.none", "null"),
            ("with.on", "true"),
            ("source.path", &format!("a.csv {}", digest("a"))),
            ("source.path", &format!("b.csv {}", digest("b"))),
            ("inputs.left", &format!("table {}", digest("l"))),
            ("inputs.right", &format!("metrics {}", digest("r"))),
        ]
    );
}

/// The key computed from its fields: what is shown is what is hashed.
fn hashed(fields: &[(String, String)]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("stagewright 2026 stage key");
    for text in fields.iter().flat_map(|(name, value)| [name, value]) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

#[test]
fn fields_determine_the_key() {
    let params = params();
    assert_eq!(hashed(&key_fields(&full(&params))), stage_key(&full(&params)));
}

#[test]
fn the_order_of_a_mapping_does_not_matter() {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        key_of(&parse(r#"{ "a": 1, "m": { "x": 1, "y": 2 } }"#)),
        key_of(&parse(r#"{ "m": { "y": 2, "x": 1 }, "a": 1 }"#)),
    );
}

#[test]
fn values_that_look_alike_differ() {
    let values = [
        json!({ "k": 2 }),
        json!({ "k": 2.0 }),
        json!({ "k": "2" }),
        json!({ "k": [2] }),
        json!({ "k": { "0": 2 } }),
        json!({ "k": null }),
        json!({}),
        json!({ "k": {} }),
        json!({ "k": [] }),
        json!({ "k": "" }),
        json!({ "k": true }),
        json!({ "k": "true" }),
        json!({ "a": { "b": 1 } }),
        json!({ "a.b": 1 }),
        json!({ "a": { "b": { "c": 1 } } }),
        json!({ "a": { "b.c": 1 } }),
        json!({ "a.b": { "c": 1 } }),
        json!({ "a[0]": 1 }),
        json!({ "a": [1] }),
        json!({ "a": ["b", "c"] }),
        json!({ "a": ["b,c"] }),
        json!({ "a": [["b"], "c"] }),
        json!({ "a": ["b", ["c"]] }),
        json!({ "ab": "c" }),
        json!({ "a": "bc" }),
    ];
    for (at, one) in values.iter().enumerate() {
        for other in &values[..at] {
            assert_ne!(key_of(one), key_of(other), "{one} {other}");
        }
    }
}

#[test]
fn everything_that_changes_an_output_changes_the_key() {
    let params = params();
    let base = full(&params);
    let other_params = json!({ "path": "data/*.csv", "k": 3 });
    let mut others = vec![
        KeyInputs { stage_type: "segment.kmean", ..base.clone() },
        KeyInputs { code: Digest::of(b"code2"), ..base.clone() },
        KeyInputs { params: &other_params, ..base.clone() },
        KeyInputs { source_params: &[], ..base.clone() },
        KeyInputs { seed: None, ..base.clone() },
        KeyInputs { seed: Some(43), ..base.clone() },
    ];
    let mut changed = |change: &dyn Fn(&mut KeyInputs<'_>)| {
        let mut other = base.clone();
        change(&mut other);
        others.push(other);
    };
    changed(&|other| other.inputs[0].port = "centre");
    changed(&|other| other.inputs[0].kind = Kind::Metrics);
    changed(&|other| other.inputs[0].digest = Digest::of(b"x"));
    changed(&|other| other.inputs.truncate(1));
    changed(&|other| {
        // Two inputs change places.
        let digest = other.inputs[0].digest;
        other.inputs[0].digest = other.inputs[1].digest;
        other.inputs[1].digest = digest;
    });
    changed(&|other| other.sources[0].param = "paths");
    changed(&|other| other.sources[0].name = "a.csv.gz");
    changed(&|other| other.sources[0].digest = Digest::of(b"x"));
    changed(&|other| other.sources.truncate(1));
    let mut keys: Vec<Digest> = others.iter().map(stage_key).collect();
    keys.push(stage_key(&base));
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn the_path_of_a_source_is_not_part_of_the_key() {
    let (here, there) = (json!({ "path": "here/a.csv", "k": 2 }), json!({ "path": "/there/a.csv", "k": 2 }));
    assert_eq!(stage_key(&full(&here)), stage_key(&full(&there)));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        prop_oneof![Just(0.0), Just(1.0), Just(0.5)].prop_map(|value: f64| json!(value)),
        "[ab.\\[\\]0\"]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab.\\[\\]0\"]{0,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn json_object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[ab.\\[\\]0\"]{0,3}", json_value(), 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// A value with every mapping sorted, so that equal values are equal texts.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<String> =
                object.iter().map(|(key, value)| format!("{key:?}:{}", sorted(value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        leaf => leaf.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_are_equal_exactly_where_parameters_are(one in json_object(), other in json_object()) {
        prop_assert_eq!(key_of(&one) == key_of(&other), sorted(&one) == sorted(&other), "{} {}", one, other);
    }

    #[test]
    fn fields_always_determine_the_key(params in json_object()) {
        prop_assert_eq!(hashed(&key_fields(&bare(&params))), key_of(&params));
    }

    #[test]
    fn moving_a_character_between_fields_changes_the_key(text in "[a-z]{6}", at in 1_usize..4, by in 1_usize..3) {
        let by = at + by;
        let digest = Digest::of(b"x");
        let split = |at: usize| {
            let none = json!({});
            let (one, two) = text.split_at(at);
            let named = json!({ one: two });
            let mut inputs = bare(&none);
            inputs.sources = vec![KeySource { param: one, name: two, digest }];
            let listed = json!({ "l": [one, two] });
            [stage_key(&inputs), key_of(&named), key_of(&listed)]
        };
        for (one, two) in split(at).into_iter().zip(split(by)) {
            prop_assert_ne!(one, two);
        }
    }
}

#[test]
fn a_secret_enters_by_its_fingerprint() {
    let params = json!({});
    let with = |fingerprint| KeyInputs { secrets: vec![KeySecret { name: "SALT", fingerprint }], ..bare(&params) };
    assert!(key_fields(&with("00ff")).contains(&("secret.SALT".to_owned(), "00ff".to_owned())));
    assert_ne!(stage_key(&with("00ff")), stage_key(&with("00fe")));
    assert_ne!(stage_key(&with("00ff")), stage_key(&bare(&params)));
    // `blake3(b"hunter2", derive_key_context="stagewright 2026 secret fingerprint").hexdigest()[:32]`
    assert_eq!(secret_fingerprint("hunter2"), "635d4a9955036341841af2cebc60450f");
}
