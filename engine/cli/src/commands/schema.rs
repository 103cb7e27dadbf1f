use std::process::ExitCode;

use stagewright_core::schema::workflow_schema;

use crate::failure::Failure;
use crate::registry::registry;

pub(crate) fn run() -> Result<ExitCode, Failure> {
    println!("{:#}", workflow_schema(&registry()));
    Ok(ExitCode::SUCCESS)
}
