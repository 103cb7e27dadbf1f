//! The report of a run as one page.

mod again;
mod charts;
mod comparison;
mod models;
mod quality;
mod ranked;
mod sheets;
mod stages;
mod tables;
mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::number;
use crate::{Parameter, Report, StageRow, State, Status};

/// What helps a reader who has scripts: sorting, choosing variants and series. Nothing is missing without it.
const SCRIPT: &str = include_str!("script.js");

/// A page needs nothing from anywhere, so it may fetch nothing, and may run nothing but its own script, whatever a name in
/// it says. The hash is that of the script; a test fails where it is another.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      script-src 'sha256-7F8sbVnBHv1G3RdPERcoFjmaNINRoczNxUeptOt7i7g='";

/// The page: HTML, style, figures and a small script in one text, without anything from elsewhere.
///
/// The same report gives the same bytes.
pub fn html(report: &Report) -> String {
    let sections = sections(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (report.workflow) " · run " (report.run) }
                link rel="icon" href="data:,";
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                (header(report))
                @if sections.len() > 1 {
                    nav aria-label="Sections" {
                        ul { @for section in &sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                    }
                }
                main #main {
                    (chooser(report))
                    @for section in &sections {
                        section aria-labelledby=(section.id) {
                            h2 #(section.id) { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer {
                    "Run " code { (report.run) } ", written by Stagewright. "
                    "This page is complete in itself: it loads nothing, and says the same without its script."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

/// What there is to tell, in the order in which it matters.
fn sections(report: &Report) -> Vec<Section> {
    let single = report.comparisons.iter().all(|comparison| comparison.variants.len() < 2);
    let concluded = report.comparisons.iter().any(|comparison| !comparison.conclusions.is_empty());
    let has_stages = !report.stages.is_empty() || !report.graph.nodes.is_empty();
    let candidates = [
        (concluded, "verdict", "Verdict", verdict::verdicts(report)),
        (
            !report.comparisons.is_empty(),
            "comparison",
            if single { "Metrics" } else { "Comparison" },
            comparison::comparisons(report),
        ),
        (!report.charts.is_empty(), "charts", "Charts", charts::charts(report)),
        (has_stages, "stages", "Stages", stages::stages(report)),
        (!report.checks.is_empty(), "quality", "Data quality", quality::quality(report)),
        (!report.models.is_empty(), "models", "Models", models::models(&report.models)),
        (!report.sheets.is_empty(), "sources", "Sources", sheets::sheets(&report.sheets)),
        (!report.tables.is_empty(), "tables", "Tables", tables::previews(&report.tables)),
        (true, "again", "To run it again", again::again(report)),
    ];
    candidates
        .into_iter()
        .filter(|(present, ..)| *present)
        .map(|(_, id, title, body)| Section { id, title, body })
        .collect()
}

/// The variants of a report by number: what belongs to one says so by its number, for the script that chooses.
struct Variants<'a>(Vec<&'a str>);

impl<'a> Variants<'a> {
    fn of(report: &'a Report) -> Self {
        let mut names: Vec<&str> = report.variants.iter().map(|variant| variant.name.as_str()).collect();
        for name in report.comparisons.iter().flat_map(|comparison| &comparison.variants) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        Self(names)
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| *known == name)
    }

    /// The numbers of several, or nothing where it is all of them.
    fn all(&self, names: &[String]) -> Option<String> {
        let numbers: Vec<String> = names.iter().filter_map(|name| Some(self.at(name)?.to_string())).collect();
        (!numbers.is_empty()).then(|| numbers.join(" "))
    }
}

/// Boxes to choose variants with, which only the script shows.
fn chooser(report: &Report) -> Markup {
    let variants = Variants::of(report);
    html! {
        @if variants.0.len() > 2 {
            details.chooser #chooser hidden {
                summary { "Variants shown: " span #chosen { "all" } }
                fieldset {
                    legend.hidden-text { "Variants shown" }
                    @for (at, name) in variants.0.iter().enumerate() {
                        label { input type="checkbox" value=(at) checked; " " (name) }
                    }
                    button type="button" { "all" }
                    button type="button" { "none" }
                }
            }
        }
    }
}

fn header(report: &Report) -> Markup {
    let failures: Vec<&StageRow> = report.stages.iter().filter(|stage| stage.state == State::Failed).collect();
    let warnings: usize = report.stages.iter().map(|stage| stage.warnings.len()).sum();
    html! {
        header {
            p.over { "Stagewright run report" }
            h1 { (report.workflow) }
            @if let Some(description) = &report.description { p.lead { (description) } }
            dl.facts {
                div { dt { "Status" } dd.status.(report.status.name()) { (report.status.name()) } }
                div { dt { "Run" } dd { (report.run) } }
                div { dt { "Started" } dd { (report.started) } }
                @if let Some(seconds) = report.seconds { div { dt { "Took" } dd { (number::seconds(seconds)) } } }
                @if !report.stages.is_empty() { div { dt { "Stages" } dd { (tally(&report.stages)) } } }
                @if warnings > 0 {
                    div { dt { "Warnings" } dd { a href="#every-stage" { (number::counted(warnings, "warning")) } } }
                }
            }
            @if !failures.is_empty() || report.problem.is_some() || report.status != Status::Succeeded {
                div.alert role="note" aria-label="What went wrong" {
                    @if let Some(problem) = &report.problem { p { (prose(problem)) } }
                    @for stage in &failures {
                        p {
                            "Stage " code { (stage.stage) } (of_variant(stage.variant.as_deref())) " failed"
                            @if let Some(error) = &stage.error { ": " (prose(error)) }
                        }
                    }
                    @if failures.is_empty() && report.problem.is_none() { p { "The run was " (report.status.name()) "." } }
                    @if report.status != Status::Succeeded {
                        p.quiet { "The page shows what was finished before." }
                    }
                }
            }
        }
    }
}

/// `12 executed, 3 cached`.
fn tally(stages: &[StageRow]) -> String {
    let of = |state| stages.iter().filter(|stage| stage.state == state).count();
    let parts: Vec<String> = State::ALL
        .into_iter()
        .map(|state| (state, of(state)))
        .filter(|(_, number)| *number > 0)
        .map(|(state, number)| format!("{number} {}", state.name()))
        .collect();
    parts.join(", ")
}

/// A sentence in which names stand in backticks.
fn prose(text: &str) -> Markup {
    let mut parts: Vec<&str> = text.split('`').collect();
    // A backtick without its partner is just a backtick.
    let rest = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
        @if let Some(rest) = rest { "`" (rest) }
    }
}

fn of_variant(variant: Option<&str>) -> Markup {
    html! { @if let Some(variant) = variant { " of variant " code { (variant) } } }
}

/// What is wider than the page scrolls in a box of its own, which the keyboard can reach.
fn scroll(label: &str, content: &Markup) -> Markup {
    html! { div.scroll role="group" aria-label=(label) tabindex="0" { (content) } }
}

/// The first parts of the page, as many as fit into so many bytes, and how many more there are.
fn within(bytes: usize, mut parts: impl ExactSizeIterator<Item = Markup>) -> (Vec<Markup>, usize) {
    let mut used = 0;
    let mut shown = Vec::new();
    while let Some(part) = parts.next() {
        used += part.0.len();
        if used > bytes {
            return (shown, parts.len() + 1);
        }
        shown.push(part);
    }
    (shown, 0)
}

/// Names and values beside each other.
fn facts<'a>(parameters: impl IntoIterator<Item = &'a Parameter>) -> Markup {
    html! {
        dl.pairs {
            @for parameter in parameters { div { dt { (parameter.name) } dd { code { (parameter.value) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_policy_allows_the_script_and_no_other() {
        let hash = STANDARD.encode(Sha256::digest(super::SCRIPT));
        assert!(super::POLICY.ends_with(&format!("script-src 'sha256-{hash}'")), "the script's hash is now {hash}");
    }
}
