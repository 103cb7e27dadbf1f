//! The table with a row for each metric and variant, the best first, and its forest plots.

use maud::{Markup, PreEscaped, html};

use super::verdict::badge;
use super::{Variants, prose, scroll};
use crate::chart::forest;
use crate::comparison::{Line, interval_title, lines, p_title};
use crate::{Comparison, Row};

/// The table; what is left out of it where there are many variants is in a second one, folded.
pub(super) fn table(comparison: &Comparison, variants: &Variants<'_>) -> Markup {
    let label = comparison.title.as_deref().unwrap_or("Comparison of the variants");
    let tested = comparison.tested();
    let all: Vec<(&Row, Vec<Line<'_>>, usize)> = comparison
        .rows
        .iter()
        .map(|row| {
            let (lines, first) = lines(comparison, row);
            (row, lines, first)
        })
        .collect();
    let part = |rest: bool| {
        let of = |lines: &'_ [Line<'_>], first: usize| if rest { first..lines.len() } else { 0..first };
        html! {
            // On a phone it is not laid out as a table any more; the roles keep it one for a screen reader.
            table.ranked.sortable role="table" {
                caption { span { (caption(comparison, tested)) } }
                thead role="rowgroup" {
                    tr role="row" {
                        th scope="col" role="columnheader" { "Variant" }
                        th.num scope="col" role="columnheader" { "Value" }
                        th.num scope="col" role="columnheader" { "Difference" }
                        th.num scope="col" role="columnheader" {
                            "Lift" @if tested { small { (interval_title(comparison)) } }
                        }
                        @if let Some(title) = p_title(comparison) {
                            th.num scope="col" role="columnheader" { (title) }
                        }
                        th scope="col" role="columnheader" { (if tested { "Verdict" } else { "Note" }) }
                    }
                }
                @for (row, lines, first) in &all {
                    tbody role="rowgroup" {
                        (metric(comparison, row))
                        @for line in lines.get(of(lines, *first)).unwrap_or_default() {
                            (variant(comparison, line, variants))
                        }
                    }
                }
            }
        }
    };
    let left: usize = all.iter().map(|(_, lines, first)| lines.len().saturating_sub(*first)).sum();
    html! {
        (scroll(label, &part(false)))
        @if left > 0 {
            details {
                summary { "The other variants" small { (left) " rows" } }
                (scroll(&format!("{label}: the other variants"), &part(true)))
            }
        }
        (forests(comparison))
    }
}

fn caption(comparison: &Comparison, tested: bool) -> Markup {
    html! {
        "Differences are from the baseline, " code { (comparison.baseline) } "; the best of a metric comes first. "
        @if tested { @if let Some(correction) = &comparison.correction { "p-values are corrected: " (correction) ". " } }
        @if let Some(over) = comparison.over() { "Averages " (over) "." }
    }
}

/// How many columns a table has.
fn width(comparison: &Comparison) -> usize {
    5 + usize::from(p_title(comparison).is_some())
}

fn metric(comparison: &Comparison, row: &Row) -> Markup {
    let mut methods: Vec<&str> = row.cells.iter().filter_map(|cell| cell.method.as_deref()).collect();
    methods.sort_unstable();
    methods.dedup();
    html! {
        tr.metric role="row" {
            th scope="rowgroup" role="rowheader" colspan=(width(comparison)) {
                (row.metric)
                small.quiet { (row.goal.words()) }
                @if row.guardrail { span.mark { "guardrail" } }
                @if !methods.is_empty() { small.quiet { "tested by " (methods.join(" and ")) } }
            }
        }
    }
}

fn variant(comparison: &Comparison, line: &Line<'_>, variants: &Variants<'_>) -> Markup {
    let [value, difference, lift, p] = line.numbers;
    html! {
        tr.best[line.best].base[line.baseline] role="row" data-v=[variants.at(line.variant).filter(|_| !line.baseline)] {
            th scope="row" role="rowheader" {
                (line.variant) @if line.baseline { small.quiet { "baseline" } }
            }
            td.num role="cell" data-label="Value" data-n=[value] {
                div { @if line.best { span.mark { "best" } } span.value { (line.value) } }
            }
            td.num role="cell" data-label="Difference" data-n=[difference] { (line.difference) }
            td.num role="cell" data-label="Lift" data-n=[lift] {
                (line.lift) @if !line.interval.is_empty() { small { (line.interval) } }
            }
            @if let Some(title) = p_title(comparison) {
                td.num role="cell" data-label=(title) data-n=[p] {
                    (line.p) @if let Some(raw) = &line.p_raw { small { "uncorrected " (raw) } }
                }
            }
            td role="cell" data-label="Verdict" {
                @if let Some(verdict) = line.verdict { (badge(verdict)) }
                @if let Some(note) = line.note { small.quiet.note { (prose(note)) } }
            }
        }
    }
}

/// The intervals of each metric beside each other.
fn forests(comparison: &Comparison) -> Markup {
    let drawn: Vec<_> = comparison.rows.iter().filter_map(|row| Some((row, forest::draw(comparison, row)?))).collect();
    html! {
        @if !drawn.is_empty() {
            h3 { "How sure the differences are" }
            p.quiet {
                "A point is the difference from " code { (comparison.baseline) } ", the bar through it its "
                (interval_title(comparison)) ". A bar that crosses the line at zero shows no difference."
            }
            div.charts {
                @for (row, drawing) in &drawn {
                    figure {
                        figcaption { (row.metric) @if row.guardrail { " (guardrail)" } }
                        (PreEscaped(&drawing.svg))
                    }
                }
            }
        }
    }
}
