//! Stages of a plugin, in this process and in a worker, with the same bytes as a result.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{launcher, of, stage};
use polars_arrow::array::{BooleanArray, Float64Array, Int64Array, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;
use serde_json::json;
use stagewright_contract::testkit::Trial;
use stagewright_contract::{
    ErrorKind, Figure, FigureKind, Files, Goal, Metrics, Model, Monitor, Series, StageContext, Table, TableColumn, Task,
};
use stagewright_host::{Isolation, Plugin};

const BOTH: [Isolation; 2] = [Isolation::InProcess, Isolation::Process];

fn column(name: &str, chunks: Vec<Box<dyn polars_arrow::array::Array>>) -> TableColumn {
    TableColumn { name: name.to_owned(), dtype: chunks[0].dtype().clone(), chunks }
}

/// Columns whose chunks end in different places.
fn people() -> Table {
    let long = "a text that is longer than a view holds inline";
    let mut table = Table::new(vec![
        column("id", vec![Int64Array::from_vec(vec![1, 2]).boxed(), Int64Array::from_vec(vec![3, 4, 5]).boxed()]),
        column("name", vec![Utf8ViewArray::from_slice([Some("Ada"), None, Some(long), Some("Gü"), Some("")]).boxed()]),
        column(
            "score",
            vec![
                Float64Array::from(vec![Some(0.5), None, Some(2.0)]).boxed(),
                Float64Array::from(vec![Some(4.0), Some(-1.0)]).boxed(),
            ],
        ),
        column("flag", vec![BooleanArray::from(vec![Some(true), Some(false), None, Some(true), None]).boxed()]),
    ])
    .unwrap();
    table.mark_personal(["name"]);
    table
}

fn bytes(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut bytes).unwrap();
    bytes
}

#[test]
fn tables_come_back_as_they_went() {
    for isolation in BOTH {
        for name in ["kit.echo", "kit.offsets"] {
            for table in [people(), people().slice(1, 3), people().slice(0, 0)] {
                let done = Trial::of(&stage(name, isolation), json!({})).input("table", table.clone()).run().unwrap();
                assert_eq!(bytes(&done.table("table")), bytes(&table), "{name} {isolation:?}");
                assert!(done.table("table").is_personal("name"));
            }
        }
    }
}

#[test]
fn an_optional_input_and_a_table_without_columns() {
    for isolation in BOTH {
        let done = Trial::of(&stage("kit.echo", isolation), json!({})).run().unwrap();
        assert_eq!((done.table("table").columns().len(), done.table("table").rows()), (0, 0));
    }
}

#[test]
fn a_table_made_by_hand_in_c() {
    for isolation in BOTH {
        for batches in 0..3 {
            let trial = Trial::of(&stage("kit.make", isolation), json!({ "batches": batches }));
            let done = trial.run().unwrap();
            let table = done.table("table");
            let three = |values: [i64; 3]| values.repeat(batches);
            let expected = Table::new(vec![
                column("id", vec![Int64Array::from_vec(three([1, 2, 3])).boxed()]),
                column(
                    "name",
                    vec![Utf8ViewArray::from_slice([Some("Ada"), Some(""), Some("Günt")].repeat(batches)).boxed()],
                ),
                column("score", vec![Float64Array::from([Some(0.5), None, Some(-2.0)].repeat(batches)).boxed()]),
                column("flag", vec![BooleanArray::from([Some(false), Some(true), Some(true)].repeat(batches)).boxed()]),
            ])
            .unwrap();
            assert_eq!(bytes(&table), bytes(&expected), "{isolation:?}, {batches} batches");
            assert_eq!(done.warnings, ["made by hand"]);
        }
    }
}

#[test]
fn defaults_of_the_schema_are_part_of_the_parameters() {
    let configured = stage("kit.make", Isolation::InProcess).configure(&json!({})).unwrap();
    assert_eq!(configured.params(), &json!({ "batches": 1 }));
}

#[test]
fn json_comes_back_as_it_went() {
    let mut metrics = Metrics::new();
    metrics.insert("share", Some(0.1 + 0.2), Goal::Maximize).unwrap();
    metrics.insert("none", None, Goal::Describe).unwrap();
    let model = Model {
        learned_by: "kit.json".to_owned(),
        task: Task::Regression,
        features: Vec::new(),
        target: "y".to_owned(),
        rows: 3,
        state: json!({ "weights": [0.1, 1e-300, -7] }),
    };
    let figure = Figure::new(FigureKind::Bar, "Ages", "age", "people").with(Series::new("all", [(1.0, 2.0)]));
    for isolation in BOTH {
        let done = Trial::of(&stage("kit.json", isolation), json!({}))
            .input("metrics", metrics.clone())
            .input("model", model.clone())
            .input("figure", figure.clone())
            .run()
            .unwrap();
        assert_eq!(*done.metrics("metrics"), metrics);
        assert_eq!(*done.model("model"), model);
        assert_eq!(*done.figure("figure"), figure);
    }
}

#[test]
fn files_come_back_as_they_went() {
    let mut files = Files::new();
    files.insert("rows.csv", "\"Zoë\",1\n".as_bytes()).unwrap();
    files.insert("empty", *b"").unwrap();
    files.insert("all-bytes.bin", (0..=255).cycle().take(100_000).collect::<Vec<u8>>()).unwrap();
    for isolation in BOTH {
        let done = Trial::of(&stage("kit.files", isolation), json!({})).input("files", files.clone()).run().unwrap();
        assert_eq!(*done.files("files"), files);
    }
}

fn looked(isolation: Isolation) -> BTreeMap<String, f64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.txt");
    std::fs::write(&path, "a source").unwrap();
    let params = json!({ "path": path, "token": "${secret:TOKEN}" });
    let done = Trial::of(&stage("kit.look", isolation), params).secret("TOKEN", "s3cret").seed(7).run().unwrap();
    let values = &done.metrics("metrics").values;
    values.iter().map(|(name, metric)| (name.clone(), metric.value.unwrap())).collect()
}

#[test]
fn a_worker_sees_its_inputs_and_little_else() {
    let seen = looked(Isolation::Process);
    let yes = |name: &str| seen[name] == 1.0;
    assert!(yes("scratch") && yes("source") && yes("secret"), "{seen:?}");
    assert_eq!((seen["seed"], seen["environment"], seen["more_sources"], seen["stdin"]), (7.0, 0.0, 0.0, 0.0));
    let plugin = Plugin::load(common::kit(), None, Isolation::Process, &launcher(), None).unwrap();
    if plugin.limits().unwrap().iter().any(|limit| limit == "network: no TCP") {
        assert!(!yes("others") && !yes("network"), "{seen:?}");
    } else {
        eprintln!("not checked, for this kernel does not limit it: {:?}", plugin.limits());
    }
}

#[test]
fn in_this_process_there_are_the_same_inputs() {
    let seen = looked(Isolation::InProcess);
    assert_eq!((seen["scratch"], seen["source"], seen["secret"], seen["seed"]), (1.0, 1.0, 1.0, 7.0));
}

#[test]
fn a_worker_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let library = common::compile(folder.path(), "own", &[]);
    let plugin = Plugin::load(&library, None, Isolation::Process, &launcher(), None).unwrap();
    let ids = || -> Vec<String> { workers_of(std::process::id(), &plugin) };
    for _ in 0..3 {
        Trial::of(&of(&plugin, "kit.make"), json!({})).run().unwrap();
        assert_eq!(ids().len(), 1);
    }
}

/// The child processes of a process that have a library open.
fn workers_of(parent: u32, plugin: &Plugin) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter(|entry| {
            let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            read("status").contains(&format!("PPid:\t{parent}\n"))
                && read("maps").contains(&*plugin.path().to_string_lossy())
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_stage_that_asks_ends_when_the_run_is_cancelled() {
    for isolation in BOTH {
        let configured = stage("kit.wait", isolation).configure(&json!({})).unwrap();
        let monitor = Arc::new(Monitor::default());
        let asked = Arc::clone(&monitor);
        let thread = std::thread::spawn(move || {
            let mut context = StageContext::new(BTreeMap::new(), BTreeMap::new(), 42, asked);
            configured.run(&mut context)
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        monitor.cancel();
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled, "{isolation:?} {error}");
    }
}

#[test]
fn the_example_in_c_marks_what_is_personal() {
    let folder = tempfile::tempdir().unwrap();
    let library = common::compile_file("../../plugins/uplift/uplift.c", folder.path(), "uplift", &[]);
    let plugin = Plugin::load(&library, None, Isolation::Process, &launcher(), None).unwrap();
    let params = json!({ "segment": "name", "treated": "flag", "outcome": "score" });
    let done = Trial::of(&of(&plugin, "uplift.segments"), params.clone()).input("table", people()).run().unwrap();
    let table = done.table("table");
    assert_eq!(table.personal().collect::<Vec<_>>(), ["segment"]);
    // Of the five rows one has no name, one no flag, and of the others one no score: two are left.
    assert_eq!(table.rows(), 2);
    let params = json!({ "segment": "id", "treated": "flag", "outcome": "score" });
    let error = Trial::of(&of(&plugin, "uplift.segments"), params).input("table", people()).run().unwrap_err();
    assert_eq!(error.message, "column `id` is of another type, text is needed");
}

#[test]
fn a_large_table_needs_no_copy_on_the_way_in() {
    let rows = 100_000;
    let table = Table::new(vec![column("x", vec![Int64Array::from_vec((0..rows).collect()).boxed()])]).unwrap();
    let start = |table: &Table| {
        let array = table.columns()[0].chunks[0].clone();
        array.as_any().downcast_ref::<Int64Array>().unwrap().values().as_ptr()
    };
    let done =
        Trial::of(&stage("kit.echo", Isolation::InProcess), json!({})).input("table", table.clone()).run().unwrap();
    assert_eq!(start(&done.table("table")), start(&table));
    assert_eq!(done.table("table").columns()[0].dtype, ArrowDataType::Int64);
}
