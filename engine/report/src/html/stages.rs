//! The stages: what became of each, and where the time went.

use maud::{Markup, PreEscaped, html};

use super::{prose, scroll};
use crate::number::{self, NONE};
use crate::{Report, StageRow, State, Work};

/// How many of the slowest stages are shown by themselves.
const SLOWEST: usize = 12;

/// The graph, where the time went, what it took and saved, and every stage.
pub(super) fn stages(report: &Report) -> Markup {
    let (graph, stages) = (&report.graph, &report.stages);
    let several = stages.iter().any(|stage| stage.variant.is_some());
    let has_warnings = stages.iter().any(|stage| !stage.warnings.is_empty() || stage.error.is_some());
    let table = html! {
        table.pinned.sortable {
            thead {
                tr {
                    th scope="col" { "Stage" }
                    @if several { th scope="col" { "Variant" } }
                    th scope="col" { "Type" }
                    th scope="col" { "Status" }
                    th.num scope="col" { "Time" }
                    th.num scope="col" { "Rows out" }
                    th scope="col" { "Key" }
                    @if has_warnings { th scope="col" { "Messages" } }
                }
            }
            tbody {
                @for stage in stages {
                    tr {
                        th.nowrap scope="row" { (stage.stage) }
                        @if several { td.nowrap { (stage.variant.as_deref().unwrap_or("all")) } }
                        td { (stage.uses) }
                        td.bad[stage.state == State::Failed] { (stage.state.name()) }
                        td.num data-n=[stage.seconds] { (stage.seconds.map_or_else(|| NONE.to_owned(), number::seconds)) }
                        td.num data-n=[stage.rows] { (stage.rows.map_or_else(|| NONE.to_owned(), number::count)) }
                        td { @if let Some(key) = &stage.key { code { (key) } } }
                        @if has_warnings {
                            td {
                                @if let Some(error) = &stage.error { div.bad { (prose(error)) } }
                                @for warning in &stage.warnings { div.warning { (prose(warning)) } }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        @if !graph.nodes.is_empty() {
            figure.graph { (scroll("Graph of the stages", &PreEscaped(graph.to_inline_svg()))) }
        }
        @if !stages.is_empty() {
            (time(report))
            (work(&report.work))
            h3 #every-stage { "Every stage" }
            (scroll("Every stage", &table))
        }
    }
}

/// Where the time went: the slowest stages and their part of the whole.
fn time(report: &Report) -> Markup {
    let (stages, took) = (&report.stages, report.seconds);
    let mut timed: Vec<(&StageRow, f64)> = stages
        .iter()
        .filter_map(|stage| Some((stage, stage.seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0)?)))
        .collect();
    let total: f64 = timed.iter().map(|(_, seconds)| seconds).sum();
    if timed.is_empty() || !total.is_finite() {
        return html! {};
    }
    timed.sort_by(|a, b| b.1.total_cmp(&a.1));
    let longest = timed.first().map_or(1.0, |(_, seconds)| *seconds);
    let (shown, rest) = timed.split_at(timed.len().min(SLOWEST));
    let rest_seconds: f64 = rest.iter().map(|(_, seconds)| seconds).sum();
    let row = |name: Markup, seconds: f64| {
        let width = format!("{:.2}", (seconds / longest * 100.0).min(100.0));
        html! {
            tr {
                th scope="row" { (name) }
                td.num { (number::seconds(seconds)) }
                td.num { (number::share(seconds / total)) }
                td.share {
                    svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                        rect width=(width) height="4" {}
                    }
                }
            }
        }
    };
    let table = html! {
        table {
            caption {
                span {
                    "Stages took " (number::seconds(total)) " together"
                    @if let Some(took) = took { "; the run took " (number::seconds(took)) }
                    "."
                    @if took.is_some_and(|took| took < total) {
                        " Stages that do not need each other ran side by side."
                    }
                }
            }
            thead {
                tr {
                    th scope="col" { "Stage" }
                    th.num scope="col" { "Time" }
                    th.num scope="col" { "Share" }
                    th scope="col" { span.hidden-text { "Bar" } }
                }
            }
            tbody {
                @for (stage, seconds) in shown {
                    (row(html! {
                        (stage.stage) @if let Some(variant) = &stage.variant { small.quiet { (variant) } }
                    }, *seconds))
                }
                @if !rest.is_empty() { (row(html! { (number::counted(rest.len(), "more stage")) }, rest_seconds)) }
            }
        }
    };
    html! {
        h3 { "Where the time went" }
        (scroll("Where the time went", &table))
        @if let Some(chain) = report.longest_chain.as_ref().filter(|chain| chain.stages.len() > 1) {
            p.chain {
                "The longest chain took " strong { (number::seconds(chain.seconds)) } "; no more cores make it shorter: "
                @for (at, stage) in chain.stages.iter().enumerate() {
                    @if at > 0 { " → " }
                    code { (stage) }
                }
                "."
            }
        }
    }
}

/// What the run took of the machine, and what it saved.
fn work(work: &Work) -> Markup {
    let shown = |seconds: Option<f64>| seconds.filter(|seconds| *seconds > 0.0).map(number::seconds);
    let saved = work.cached_seconds.unwrap_or(0.0) + work.shared_seconds.unwrap_or(0.0);
    let alone = work.spent_seconds.filter(|_| saved > 0.0).map(|spent| spent + saved);
    let facts = [
        ("Stages of all variants one by one", shown(alone)),
        ("Saved by the cache", shown(work.cached_seconds)),
        ("Saved by sharing between variants", shown(work.shared_seconds)),
        ("Processor time", work.cpu_seconds.map(number::seconds)),
        ("Energy", work.energy.as_ref().map(|energy| number::energy(energy.joules))),
    ];
    html! {
        @if facts.iter().any(|(_, fact)| fact.is_some()) {
            h3 { "What it took, and what it saved" }
            dl.facts {
                @for (name, fact) in facts { @if let Some(fact) = fact { div { dt { (name) } dd { (fact) } } } }
            }
            @if let Some(energy) = &work.energy { p.quiet { (energy.how) } }
        }
    }
}
