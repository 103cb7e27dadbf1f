//! Gives the crate the identity of its own code.

fn main() -> std::io::Result<()> {
    stagewright_code_digest::emit(&["../frame", "../ingest", "../../engine/contract", "../../engine/host"])
}
