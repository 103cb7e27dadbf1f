//! Stage types that run what is not part of Stagewright: a command, or a function in Python.

mod command;
mod environment;
mod folder;
mod metrics;
mod ports;
mod script;
mod words;

use stagewright_contract::StageType;

/// The stage types of this crate.
pub fn stage_types() -> Vec<StageType> {
    let code = env!("STAGEWRIGHT_CODE_DIGEST");
    vec![StageType::of::<command::Command>(code), StageType::of::<script::Script>(code)]
}
