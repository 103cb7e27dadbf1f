//! Stage types that bring data into a workflow: tables from CSV, Parquet and JSON files or made up, and learned models.

mod csv;
mod files;
mod json;
mod model;
mod parquet;
mod select;
mod synthetic;
#[cfg(test)]
mod trial;
mod values;

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![
        StageType::of::<csv::Csv>(code),
        StageType::of::<parquet::Parquet>(code),
        StageType::of::<json::Json>(code),
        StageType::of::<synthetic::Synthetic>(code),
        StageType::of::<synthetic::email_test::EmailTest>(code),
        StageType::of::<synthetic::grocery::Grocery>(code),
        StageType::of::<model::Model>(code),
    ]
}
