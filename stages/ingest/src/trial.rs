//! Running a stage over files in a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use polars::prelude::{AnyValue, DataFrame};
use serde_json::Value;
use stagewright_contract::testkit::Done;
use stagewright_contract::{Digest, Monitor, SourceFile, Stage, StageContext, StageError, StageType};

/// Runs a stage whose source `path` is these files; `params` need not name them.
pub(crate) fn run<S: Stage>(mut params: Value, files: &[(&str, &[u8])]) -> Result<Done, StageError> {
    let folder = tempfile::tempdir().unwrap();
    let sources = files
        .iter()
        .map(|(name, bytes)| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            SourceFile { path, name: (*name).to_owned(), size: bytes.len() as u64, digest: Digest::of(bytes) }
        })
        .collect();
    params["path"] = "files".into();
    run_sources::<S>(&params, sources)
}

/// Runs a stage over one file that is there, or says that it is not.
pub(crate) fn run_shared<S: Stage>(mut params: Value, path: &str) -> Option<Done> {
    let path = Path::new("/work/shared/data").join(path);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    let size = path.metadata().unwrap().len();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    params["path"] = "file".into();
    Some(run_sources::<S>(&params, vec![SourceFile { path, name, size, digest: Digest::of(b"") }]).unwrap())
}

fn run_sources<S: Stage>(params: &Value, sources: Vec<SourceFile>) -> Result<Done, StageError> {
    let stage = StageType::of::<S>("test").configure(params).map_err(|error| StageError::data(error.to_string()))?;
    let monitor = Arc::new(Monitor::default());
    let sources = BTreeMap::from([("path".to_owned(), sources)]);
    let mut context = StageContext::new(BTreeMap::new(), sources, 42, Arc::clone(&monitor));
    stage.run(&mut context)?;
    Ok(Done { outputs: context.into_outputs(), warnings: monitor.warnings() })
}

/// What goes wrong, with its place and its advice.
pub(crate) fn fails<S: Stage>(params: Value, files: &[(&str, &[u8])]) -> String {
    let error = match run::<S>(params, files) {
        Err(error) => error,
        Ok(done) => panic!("it does not fail: {done:?}"),
    };
    match &error.help {
        Some(help) => format!("{error} | {help}"),
        None => error.to_string(),
    }
}

/// The table at an output: `name: type` of each column and then the rows, separated by `|`.
pub(crate) fn lines(done: &Done, port: &str) -> Vec<String> {
    let table = done.table(port);
    let head = table
        .schema()
        .into_iter()
        .map(|column| format!("{}: {}{}", column.name, column.dtype, if column.personal { " personal" } else { "" }));
    let mut lines = vec![head.collect::<Vec<_>>().join(" | ")];
    let frame: DataFrame = stagewright_frame::testkit::frame(&table);
    for row in 0..frame.height() {
        let value = |value: AnyValue| match value {
            AnyValue::String(text) => text.to_owned(),
            AnyValue::StringOwned(text) => text.to_string(),
            other => other.to_string(),
        };
        let cells: Vec<_> = frame.columns().iter().map(|column| value(column.get(row).unwrap())).collect();
        lines.push(cells.join(" | "));
    }
    lines
}
