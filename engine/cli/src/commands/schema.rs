use std::process::ExitCode;

use stagewright_core::schema::workflow_schema;

use crate::args::SchemaArgs;
use crate::failure::Failure;
use crate::load::types_of;

pub(crate) fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    println!("{:#}", workflow_schema(&types_of(args.file.as_deref())?.registry));
    Ok(ExitCode::SUCCESS)
}
