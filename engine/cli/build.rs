//! Gives the program the identity of the engine's code: what one build remembers, another does not trust.

fn main() -> std::io::Result<()> {
    stagewright_code_digest::emit(&[
        "../contract",
        "../core",
        "../store",
        "../runtime",
        "../report",
        "../../stages/frame",
    ])
}
