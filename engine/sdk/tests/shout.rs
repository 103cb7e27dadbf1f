//! The example plugin, loaded as the program loads plugins. This test is its own worker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::ExitCode;

use polars_arrow::array::Utf8ViewArray;
use polars_arrow::datatypes::ArrowDataType;
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_contract::{ErrorKind, StageType, Table, TableColumn};
use stagewright_host::{Isolation, Launcher, Plugin};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return stagewright_host::serve();
    }
    let program = std::env::current_exe().unwrap();
    // Cargo builds examples before it runs tests.
    let library: PathBuf = program.parent().unwrap().join("../examples/libshout.so");
    let launcher = Launcher { program, args: vec!["worker".into()] };
    for isolation in [Isolation::InProcess, Isolation::Process] {
        let plugin = Plugin::load(&library, None, isolation, &launcher, None).unwrap();
        let stage = |name: &str| plugin.stage_types().into_iter().find(|found| found.name() == name).unwrap();
        it_is_described_as_what_is_built_in(&plugin, &stage("shout.upper"));
        a_column_is_added_and_its_mark_with_it(&stage("shout.upper"));
        parameters_are_checked_by_the_stage(&stage("shout.upper"));
        draws_follow_the_seed(&stage("shout.dice"));
        a_panic_is_an_error(&stage("shout.dice"));
        println!("ok: {isolation:?}");
    }
    ExitCode::SUCCESS
}

fn it_is_described_as_what_is_built_in(plugin: &Plugin, upper: &StageType) {
    assert_eq!((plugin.manifest().name.as_str(), plugin.manifest().version.as_str()), ("shout", "0.1.0"));
    let descriptor = upper.descriptor();
    assert_eq!(descriptor.summary, "Write a text column in upper case.");
    assert_eq!(descriptor.params["properties"]["into"]["default"], "shouted");
    assert_eq!(upper.code(), plugin.digest());
}

fn a_column_is_added_and_its_mark_with_it(upper: &StageType) {
    let names = Utf8ViewArray::from_slice([Some("Ada"), None, Some("Straße")]).boxed();
    let mut table =
        Table::new(vec![TableColumn { name: "name".to_owned(), dtype: ArrowDataType::Utf8View, chunks: vec![names] }])
            .unwrap();
    table.mark_personal(["name"]);
    let done = Trial::of(upper, json!({ "column": "name" })).input("table", table.clone()).run().unwrap();
    let out = done.table("table");
    let shouted = out.columns()[1].chunks[0].as_any().downcast_ref::<Utf8ViewArray>().unwrap();
    assert_eq!(shouted.iter().collect::<Vec<_>>(), [Some("ADA"), None, Some("STRASSE")]);
    assert_eq!(out.personal().collect::<Vec<_>>(), ["name", "shouted"]);
    let error = Trial::of(upper, json!({ "column": "nmae" })).input("table", table).run().unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Data, "there is no column `nmae`"));
}

fn parameters_are_checked_by_the_stage(upper: &StageType) {
    let error = Trial::of(upper, json!({ "column": "name", "into": "" })).check().unwrap_err();
    assert_eq!((error.path.as_str(), error.message.as_str()), ("into", "the new column needs a name"));
    assert_eq!(error.help.as_deref(), Some("leave it out for `shouted`"));
    let configured = upper.configure(&json!({ "column": "name" })).unwrap();
    assert_eq!(configured.params(), &json!({ "column": "name", "into": "shouted" }));
}

fn draws_follow_the_seed(dice: &StageType) {
    let thrown = |seed| {
        let done = Trial::of(dice, json!({ "count": 9 })).seed(seed).run().unwrap();
        let sum = done.metrics("metrics").values["sum"].value.unwrap();
        assert_eq!(done.warnings, [format!("threw {sum}")]);
        sum
    };
    assert_eq!(thrown(1), thrown(1));
    assert!((2..20).any(|seed| thrown(seed) != thrown(1)));
}

fn a_panic_is_an_error(dice: &StageType) {
    let error = Trial::of(dice, json!({ "count": 10 })).run().unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Bug, "the plugin panicked: too many dice: 10"));
}
