//! What a stage sees, and what is known of a stage type.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use polars_arrow::array::PrimitiveArray;
use rand::RngCore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stagewright_contract::testkit::Trial;
use stagewright_contract::{
    Artifact, Digest, ErrorKind, Goal, Kind, Metrics, Monitor, ParamError, Port, Source, SourceFile, Stage,
    StageContext, StageError, StageType, Table, TableColumn, stage_seed,
};

/// A table with these columns, of which those marked are personal.
fn table(columns: &[(&str, bool)]) -> Table {
    let of = |(name, _): &(&str, bool)| {
        let array = PrimitiveArray::<i64>::from_vec(vec![1, 2]).boxed();
        TableColumn { name: (*name).to_owned(), dtype: array.dtype().clone(), chunks: vec![array] }
    };
    let mut table = Table::new(columns.iter().map(of).collect()).unwrap();
    table.mark_personal(columns.iter().filter(|(_, personal)| *personal).map(|(name, _)| *name));
    table
}

fn context(inputs: Vec<(&str, Artifact)>) -> StageContext {
    let inputs = inputs.into_iter().map(|(port, artifact)| (port.to_owned(), artifact)).collect();
    StageContext::new(inputs, BTreeMap::new(), 42, Arc::new(Monitor::default()))
}

/// The personal columns of an output.
fn personal(context: StageContext, port: &str) -> Vec<String> {
    match &context.into_outputs()[port] {
        Artifact::Table(table) => table.personal().map(str::to_owned).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn columns_named_like_a_personal_one_of_any_input_are_personal() {
    let inputs = vec![
        ("a", table(&[("id", false), ("mail", true)]).into()),
        ("b", table(&[("id", false), ("phone", true)]).into()),
    ];
    let mut context = context(inputs);
    context.put("out", table(&[("id", false), ("phone", false), ("mail", false)])).unwrap();
    assert_eq!(personal(context, "out"), ["mail", "phone"]);
}

#[test]
fn a_column_that_the_stage_marks_stays_marked() {
    let mut context = context(vec![("a", table(&[("mail", true)]).into())]);
    context.put("out", table(&[("hash", true), ("mail", false), ("n", false)])).unwrap();
    assert_eq!(personal(context, "out"), ["hash", "mail"]);
}

#[test]
fn a_renamed_column_is_the_business_of_the_stage() {
    let mut context = context(vec![("a", table(&[("mail", true)]).into())]);
    context.put("out", table(&[("address", false)])).unwrap();
    assert_eq!(personal(context, "out"), Vec::<String>::new());
}

#[test]
fn marking_an_output_leaves_the_input_alone() {
    let shared = Arc::new(table(&[("mail", false)]));
    let mut context = context(vec![("a", table(&[("mail", true)]).into())]);
    context.put("out", Arc::clone(&shared)).unwrap();
    assert!(!shared.is_personal("mail"));
    assert_eq!(personal(context, "out"), ["mail"]);
}

#[test]
fn an_output_is_set_once() {
    let mut context = context(Vec::new());
    context.put("out", Metrics::new()).unwrap();
    let error = context.put("out", Metrics::new()).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Bug, "output `out` was set twice"));
}

#[test]
fn an_input_that_is_missing_or_of_another_kind_is_a_bug() {
    let context = context(vec![("t", table(&[("a", false)]).into()), ("m", Metrics::new().into())]);
    assert!(context.has_input("t") && !context.has_input("x"));
    assert_eq!(context.table("t").unwrap().rows(), 2);
    assert!(context.metrics("m").is_ok());
    for error in [context.table("x").unwrap_err(), context.table("m").unwrap_err()] {
        assert_eq!(error.kind, ErrorKind::Bug);
    }
    assert_eq!(context.metrics("t").unwrap_err().message, "no metrics are connected to input `t`");
    assert!(context.sources("x").is_empty());
}

#[test]
fn random_numbers_depend_on_the_seed_and_the_purpose() {
    let draw = |seed: u64, purpose: &str| {
        StageContext::new(BTreeMap::new(), BTreeMap::new(), seed, Arc::default()).rng(purpose).next_u64()
    };
    assert_eq!(draw(42, "start"), draw(42, "start"));
    assert_ne!(draw(42, "start"), draw(43, "start"));
    assert_ne!(draw(42, "start"), draw(42, "restart"));
    // Written down: a change of these numbers changes every result that was drawn.
    assert_eq!([draw(42, "start"), draw(0, "")], [12_102_007_324_724_266_800, 3_584_246_043_537_363_044]);
}

#[test]
fn a_monitor_carries_cancellation_one_way_and_news_the_other() {
    let monitor = Arc::new(Monitor::default());
    let context = StageContext::new(BTreeMap::new(), BTreeMap::new(), 0, Arc::clone(&monitor));
    assert!(context.check_cancelled().is_ok());
    assert_eq!(monitor.progress(), (0, 0));
    context.progress(3, 10);
    context.warn("one");
    context.warn(String::from("two"));
    assert_eq!(monitor.progress(), (3, 10));
    assert_eq!(monitor.warnings(), ["one", "two"]);
    monitor.cancel();
    assert_eq!(context.check_cancelled().unwrap_err().kind, ErrorKind::Cancelled);
    assert!(monitor.is_cancelled() && !monitor.is_abandoned());
}

#[test]
fn what_is_abandoned_is_cancelled_too() {
    let monitor = Monitor::default();
    monitor.abandon();
    assert!(monitor.is_cancelled() && monitor.is_abandoned());
}

#[test]
fn an_error_says_where_before_what() {
    let error = StageError::data("`age` is text").at("users.csv:17:4").with_help("cast it");
    assert_eq!(error.to_string(), "users.csv:17:4: `age` is text");
    assert_eq!(error.help.as_deref(), Some("cast it"));
    assert_eq!(ParamError::new("where", "does not parse").to_string(), "where: does not parse");
}

/// Keeps some rows
/// of a table.
///
/// The others go to a port of their own.
///
/// Or nowhere.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Keep {
    /// How many.
    #[serde(default = "two")]
    #[schemars(range(min = 1))]
    rows: usize,
    /// Whether the others are put out.
    #[serde(default)]
    others: bool,
    /// A file.
    path: Option<String>,
    /// Whether the second port is there unless told otherwise.
    #[serde(default = "yes")]
    second: bool,
}

fn two() -> usize {
    2
}

fn yes() -> bool {
    true
}

impl Stage for Keep {
    const TYPE: &'static str = "example.keep";
    const EXAMPLE: &'static str = "inputs: { table: users }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table."),
            Port::input("more", Kind::Table, "Another.").optional(),
            Port::output("table", Kind::Table, "Its first rows."),
            Port::output("others", Kind::Table, "The others.").only_if("others", true),
            Port::output("second", Kind::Metrics, "Numbers.").only_if("second", true),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.rows > 100 { Err(ParamError::new("rows", "too many").with_help("take 100")) } else { Ok(()) }
    }

    fn sources(&self) -> Vec<Source> {
        self.path.iter().map(|path| Source::new("path", path.clone())).collect()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        context.warn("almost done");
        let mut metrics = Metrics::new();
        let files: Vec<&SourceFile> = context.sources("path").iter().collect();
        metrics.insert("bytes", Some(files.iter().map(|file| file.size as f64).sum()), Goal::Describe)?;
        context.put("second", metrics)?;
        context.put("table", table.slice(0, self.rows))
    }
}

fn keep() -> StageType {
    StageType::of::<Keep>("sources 1")
}

#[test]
fn the_first_paragraph_of_the_documentation_is_the_summary() {
    let stage_type = keep();
    let descriptor = stage_type.descriptor();
    assert_eq!(descriptor.name, "example.keep");
    assert_eq!(descriptor.summary, "Keeps some rows of a table.");
    assert_eq!(descriptor.details, "The others go to a port of their own.\n\nOr nowhere.");
    assert!(!descriptor.seeded);
}

#[test]
fn the_fields_are_the_schema_of_the_parameters() {
    let stage_type = keep();
    assert_eq!(
        stage_type.descriptor().params,
        json!({
            "type": "object",
            "properties": {
                "rows": { "description": "How many.", "type": "integer", "format": "uint", "minimum": 1, "default": 2 },
                "others": { "description": "Whether the others are put out.", "type": "boolean", "default": false },
                "path": { "description": "A file.", "type": ["string", "null"] },
                "second": { "description": "Whether the second port is there unless told otherwise.", "type": "boolean", "default": true },
            },
            "additionalProperties": false,
        })
    );
}

#[test]
fn outputs_are_there_as_their_parameters_or_the_defaults_say() {
    let stage_type = keep();
    let outputs = |params: Value| -> Vec<String> {
        stage_type.descriptor().outputs(&params).map(|port| port.name.clone()).collect()
    };
    assert_eq!(outputs(json!({})), ["table", "second"]);
    assert_eq!(outputs(json!({ "others": true })), ["table", "others", "second"]);
    assert_eq!(outputs(json!({ "others": "true", "second": false })), ["table"]);
    let inputs: Vec<(&str, bool)> =
        stage_type.descriptor().inputs().map(|port| (port.name.as_str(), port.optional)).collect();
    assert_eq!(inputs, [("table", false), ("more", true)]);
}

#[test]
fn a_configured_stage_has_every_default_filled_in() {
    let configured = keep().configure(&json!({ "path": "a.csv" })).unwrap();
    assert_eq!(*configured.params(), json!({ "rows": 2, "others": false, "path": "a.csv", "second": true }));
    assert_eq!(configured.sources(), [Source::new("path", "a.csv")]);
}

#[test]
fn parameters_that_cannot_be_used_are_refused() {
    let error = |params: Value| keep().configure(&params).err().unwrap();
    assert_eq!(error(json!({ "rows": 101 })), ParamError::new("rows", "too many").with_help("take 100"));
    assert_eq!(error(json!({ "rows": -1 })).path, "");
    assert!(error(json!({ "row": 1 })).message.contains("unknown field `row`"));
    assert_eq!(error(json!(null)).path, "");
}

#[test]
fn the_identity_of_the_code_is_part_of_the_type() {
    assert_eq!(keep().code(), Digest::of(b"sources 1"));
    assert_ne!(keep().code(), StageType::of::<Keep>("sources 2").code());
    assert_eq!(format!("{:?}", keep()), "StageType(example.keep)");
}

#[test]
fn a_trial_runs_a_stage_without_an_engine() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let done =
        Trial::new::<Keep>(json!({ "rows": 1, "path": path })).input("table", table(&[("a", true)])).run().unwrap();
    assert_eq!(done.table("table").rows(), 1);
    assert!(done.table("table").is_personal("a"));
    assert!(done.metrics("second").values["bytes"].value.unwrap() > 0.0);
    assert_eq!(done.warnings, ["almost done"]);
    assert!(!done.bytes().is_empty());
}

#[test]
fn a_trial_reports_what_goes_wrong() {
    let kind = |trial: Trial| trial.run().unwrap_err().kind;
    assert_eq!(kind(Trial::new::<Keep>(json!({ "rows": 101 }))), ErrorKind::Data);
    assert_eq!(kind(Trial::new::<Keep>(json!({ "path": "/no/such/file" }))), ErrorKind::Environment);
    assert_eq!(kind(Trial::new::<Keep>(json!({}))), ErrorKind::Bug);
    assert!(Trial::new::<Keep>(json!({ "rows": 101 })).check().is_err());
}

#[test]
fn the_seed_is_that_of_the_workflow_or_42() {
    assert_eq!(stage_seed(&json!({ "seed": 7 })), 7);
    assert_eq!(stage_seed(&json!({ "seed": u64::MAX })), u64::MAX);
    for params in [json!({}), json!({ "seed": -1 }), json!({ "seed": "7" }), json!(null)] {
        assert_eq!(stage_seed(&params), 42);
    }
}

#[test]
fn a_digest_is_64_digits() {
    let digest = Digest::of(b"");
    assert_eq!(digest.hex(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    assert_eq!(digest.short(), "af1349b9f5f9");
    assert_eq!(digest.hex().parse::<Digest>().unwrap(), digest);
    assert_eq!(serde_json::from_value::<Digest>(json!(digest)).unwrap(), digest);
    assert!("af13".parse::<Digest>().is_err());
    assert!("g".repeat(64).parse::<Digest>().is_err());
    assert!(serde_json::from_value::<Digest>(json!(3)).is_err());
}
