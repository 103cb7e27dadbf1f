//! Writes a report with everything in it: `cargo run -p stagewright-report --example demo > demo.html`; with `graph` as
//! argument only its graph, as SVG, with `text` or `markdown` its comparisons.

mod report;

fn main() {
    let report = report::tested();
    match std::env::args().nth(1).as_deref() {
        Some("graph") => print!("{}", report.graph.to_svg()),
        Some("text") => {
            for comparison in &report.comparisons {
                println!("{}", stagewright_report::comparison_text(comparison, 100, false));
            }
        }
        Some("markdown") => {
            for comparison in &report.comparisons {
                println!("{}", stagewright_report::comparison_markdown(comparison));
            }
        }
        _ => print!("{}", stagewright_report::html(&report)),
    }
}
