use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::InitArgs;
use crate::failure::Failure;

const WORKFLOW: &str = include_str!("init.yaml");

pub(crate) fn run(args: &InitArgs) -> Result<ExitCode, Failure> {
    let path = args.file.display();
    let file = OpenOptions::new().write(true).create_new(true).open(&args.file);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("`{path}` is there already")).with_help("name another file: `stagewright init FILE`")
        }
        _ => Failure::environment(format!("cannot write `{path}`: {error}")),
    })?;
    file.write_all(WORKFLOW.as_bytes())
        .map_err(|error| Failure::environment(format!("cannot write `{path}`: {error}")))?;
    println!("wrote `{path}`; run it with `stagewright run {path}`");
    Ok(ExitCode::SUCCESS)
}
