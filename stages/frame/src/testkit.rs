//! For the tests of stage crates: tables from data frames, and the conformance suite that every stage type passes.

#![allow(clippy::panic, reason = "what does not conform fails the test")]

use polars::prelude::{AnyValue, Column, DataFrame, DataType, IntoColumn, NamedFrom, Series};
use serde_json::Value;
use stagewright_contract::testkit::Trial;
use stagewright_contract::{Artifact, ErrorKind, Stage, StageError, StageType, Table};

use crate::{to_frame, to_table};

/// The table of a data frame.
///
/// # Panics
/// When a column cannot be stored.
pub fn table(frame: DataFrame) -> Table {
    to_table(frame).unwrap_or_else(|error| panic!("{error}"))
}

/// The data frame of a table.
///
/// # Panics
/// When polars does not take a column.
pub fn frame(table: &Table) -> DataFrame {
    to_frame(table).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a stage type over its example inputs and over hostile versions of them: empty, one row, all null, constant,
/// duplicated, huge values, text for numbers and numbers for text. Each must end in a result or in a clear error that
/// is not a bug, never in a panic; a run on one thread and one on two must give the same bytes; metrics and float columns must hold no NaN that
/// the input did not.
///
/// # Panics
/// When the stage type does not conform.
pub fn conformance<S: Stage>(params: &Value, inputs: &[(&str, DataFrame)]) {
    let stage_type = StageType::of::<S>("test");
    let run = |what: &str, inputs: &[(&str, DataFrame)]| -> Result<Vec<u8>, StageError> {
        let once = || {
            inputs
                .iter()
                .fold(trial(&stage_type, params), |trial, (port, frame)| trial.input(port, table(frame.clone())))
                .run()
        };
        let first = threads(1, &once);
        let second = threads(2, &once);
        match (first, second) {
            (Ok(first), Ok(second)) => {
                assert_eq!(first.bytes(), second.bytes(), "{}: {what}: two runs differ", S::TYPE);
                for (port, artifact) in &first.outputs {
                    if let Artifact::Table(table) = artifact {
                        no_nan(S::TYPE, what, port, table);
                    }
                }
                Ok(first.bytes())
            }
            (Err(error), Err(_)) => {
                assert_ne!(error.kind, ErrorKind::Bug, "{}: {what}: {error}", S::TYPE);
                assert!(!error.message.is_empty(), "{}: {what}: an error without a message", S::TYPE);
                Err(error)
            }
            (first, second) => panic!("{}: {what}: once {first:?}, once {second:?}", S::TYPE),
        }
    };
    if let Err(error) = run("example", inputs) {
        panic!("{}: the example itself fails: {error}", S::TYPE);
    }
    for (what, change) in HOSTILE {
        let _ = run(
            &format!("{what} in all inputs"),
            &inputs.iter().map(|(port, f)| (*port, change(f))).collect::<Vec<_>>(),
        );
        for (changed, (name, _)) in inputs.iter().enumerate() {
            let inputs: Vec<_> = inputs
                .iter()
                .enumerate()
                .map(|(index, (port, f))| (*port, if index == changed { change(f) } else { f.clone() }))
                .collect();
            let _ = run(&format!("{what} in `{name}`"), &inputs);
        }
    }
    // Every input column is personal: what of it is left in the outputs is what the stage type says may be.
    let marked = |f: &DataFrame| {
        let mut marked = table(f.clone());
        let names: Vec<String> = marked.names().map(str::to_owned).collect();
        marked.mark_personal(names.iter().map(String::as_str));
        marked
    };
    let done = inputs.iter().fold(trial(&stage_type, params), |trial, (port, f)| trial.input(port, marked(f))).run();
    if let Err(error) = done {
        assert_ne!(error.kind, ErrorKind::Bug, "{}: all columns personal: {error}", S::TYPE);
    }
    // A missing column must be named.
    for (port, f) in inputs {
        for column in f.columns() {
            let without = f.drop(column.name()).unwrap_or_else(|error| panic!("{error}"));
            let inputs: Vec<_> =
                inputs.iter().map(|(p, f)| (*p, if p == port { without.clone() } else { f.clone() })).collect();
            if let Err(error) = run(&format!("without `{}`", column.name()), &inputs) {
                let text = format!("{error} {}", error.help.as_deref().unwrap_or_default());
                assert!(
                    text.contains(column.name().as_str()),
                    "{}: without column `{}`, the error does not name it: {text}",
                    S::TYPE,
                    column.name()
                );
            }
        }
    }
}

/// A trial with a secret `KEY`, for stage types that take one.
fn trial(stage_type: &StageType, params: &Value) -> Trial {
    Trial::of(stage_type, params.clone()).secret("KEY", "for the conformance suite alone")
}

/// Runs on so many threads.
fn threads<T: Send>(count: usize, run: &(impl Fn() -> T + Sync)) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(count).build() {
        Ok(pool) => pool.install(run),
        Err(error) => panic!("{error}"),
    }
}

type Change = fn(&DataFrame) -> DataFrame;

const HOSTILE: &[(&str, Change)] = &[
    ("no rows", |f| f.head(Some(0))),
    ("one row", |f| f.head(Some(1))),
    ("two rows", |f| f.head(Some(2))),
    ("all null", |f| each(f, |c| Column::full_null(c.name().clone(), c.len(), c.dtype()))),
    ("a null first", |f| {
        each(f, |c| {
            if c.is_empty() {
                return c.clone();
            }
            let mut out = Column::full_null(c.name().clone(), 1, c.dtype());
            let _ = out.append(&c.slice(1, c.len() - 1));
            out
        })
    }),
    ("constant", |f| each(f, |c| if c.is_empty() { c.clone() } else { c.new_from_index(0, c.len()) })),
    ("duplicated", |f| f.vstack(f).unwrap_or_else(|error| panic!("{error}"))),
    ("huge values", |f| {
        each(f, |c| match c.dtype() {
            DataType::Float64 => fill(c, AnyValue::Float64(1e300)),
            DataType::Int64 => fill(c, AnyValue::Int64(i64::MAX)),
            DataType::Int32 => fill(c, AnyValue::Int32(i32::MAX)),
            _ => c.clone(),
        })
    }),
    ("not finite", |f| {
        each(f, |c| match c.dtype() {
            DataType::Float64 => {
                let values: Vec<f64> =
                    (0..c.len()).map(|i| [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][i % 3]).collect();
                Series::new(c.name().clone(), values).into_column()
            }
            _ => c.clone(),
        })
    }),
    ("text for numbers", |f| {
        each(f, |c| {
            if c.dtype().is_primitive_numeric() {
                Series::new(c.name().clone(), vec!["text"; c.len()]).into_column()
            } else {
                c.clone()
            }
        })
    }),
    ("numbers for text", |f| {
        each(f, |c| {
            if c.dtype() == &DataType::String {
                Series::new(c.name().clone(), vec![7i64; c.len()]).into_column()
            } else {
                c.clone()
            }
        })
    }),
    ("long text", |f| {
        let long = "ø".repeat(100_000);
        each(f, |c| {
            if c.dtype() == &DataType::String {
                Series::new(c.name().clone(), vec![long.as_str(); c.len()]).into_column()
            } else {
                c.clone()
            }
        })
    }),
];

fn each(frame: &DataFrame, change: impl Fn(&Column) -> Column) -> DataFrame {
    DataFrame::new(frame.height(), frame.columns().iter().map(change).collect())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn fill(column: &Column, value: AnyValue<'_>) -> Column {
    Series::from_any_values(column.name().clone(), &vec![value; column.len()], true)
        .unwrap_or_else(|error| panic!("{error}"))
        .into_column()
}

fn no_nan(stage: &str, what: &str, port: &str, table: &Table) {
    if what.starts_with("not finite") {
        return; // A stage that passes columns through passes these on, too.
    }
    for column in frame(table).columns() {
        if let Ok(values) = column.f64() {
            assert!(
                !values.iter().flatten().any(f64::is_nan),
                "{stage}: {what}: output `{port}` has NaN in column `{}`",
                column.name()
            );
        }
    }
}
