//! Writes a report with everything in it: `cargo run -p stagewright-report --example demo > demo.html`; with `graph` as
//! argument only its graph, as SVG.

mod report;

fn main() {
    let report = report::report();
    match std::env::args().nth(1).as_deref() {
        Some("graph") => print!("{}", report.graph.to_svg()),
        Some("text") => {
            for comparison in &report.comparisons {
                println!("{}", stagewright_report::comparison_text(comparison, 100, false));
            }
        }
        _ => print!("{}", stagewright_report::html(&report)),
    }
}
