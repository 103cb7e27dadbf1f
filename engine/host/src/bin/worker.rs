//! A worker without the rest of the program: what this crate's tests start.

fn main() -> std::process::ExitCode {
    stagewright_host::serve()
}
