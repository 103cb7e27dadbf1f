//! The variants side by side.

use maud::{Markup, html};

use super::{Variants, prose, ranked, scroll};
use crate::number::{self, NONE};
use crate::{Cell, Comparison, Report, Row, Variant};

/// So many variants find room beside each other.
const BESIDE: usize = 6;

/// The comparisons, and what the variants are.
pub(super) fn comparisons(report: &Report) -> Markup {
    let numbered = Variants::of(report);
    let untested = |comparison: &Comparison| comparison.variants.len() > 1 && !comparison.tested();
    html! {
        @for comparison in &report.comparisons {
            @if let Some(title) = &comparison.title { h3 { (title) } }
            @if comparison.tested() || comparison.variants.len() > BESIDE {
                (ranked::table(comparison, &numbered))
            } @else {
                (compare(comparison))
            }
        }
        @if report.comparisons.iter().any(untested) {
            p.caveat {
                strong { "Differences are not tested for significance." }
                " A difference may be chance: a small one, or one over few units, is no reason to prefer a variant."
            }
        }
        @if report.variants.len() > 1 { (variants(&report.variants)) }
    }
}

fn compare(comparison: &Comparison) -> Markup {
    let several = comparison.variants.len() > 1;
    let over = comparison.over().map(|over| format!("Averages {over}."));
    let label = comparison.title.as_deref().unwrap_or("Comparison of the variants");
    let table = html! {
        // On a phone it is not laid out as a table any more; the roles keep it one for a screen reader.
        table.compare role="table" {
            caption {
                span {
                    @if several { "Differences are from the baseline, " code { (comparison.baseline) } ". " }
                    @if let Some(over) = over { (over) }
                }
            }
            thead role="rowgroup" {
                tr role="row" {
                    th scope="col" role="columnheader" { "Metric" }
                    @for variant in &comparison.variants {
                        th.num scope="col" role="columnheader" {
                            (variant)
                            @if several && *variant == comparison.baseline { small { "baseline" } }
                        }
                    }
                }
            }
            tbody role="rowgroup" {
                @for row in &comparison.rows {
                    @let best = comparison.best(row);
                    tr role="row" {
                        th scope="row" role="rowheader" { (row.metric) small.quiet { (row.goal.words()) } }
                        @for (at, variant) in comparison.variants.iter().enumerate() {
                            (compared(variant, row, row.cells.get(at), best.get(at).copied().unwrap_or(false)))
                        }
                    }
                }
            }
        }
    };
    scroll(label, &table)
}

fn compared(variant: &str, row: &Row, cell: Option<&Cell>, best: bool) -> Markup {
    let scale = row.scale();
    let undefined = html! { span.none { (NONE) span.hidden-text { "undefined" } } };
    let Some(cell) = cell else {
        return html! { td.num role="cell" data-variant=(variant) { (undefined) } };
    };
    let verdict = cell.difference.and_then(|difference| row.goal.judge(difference));
    html! {
        td.num.best[best] role="cell" data-variant=(variant) {
            div {
                @if best { span.mark { "best" } }
                @match cell.value {
                    Some(value) => span.value { (scale.number(value)) },
                    None => (undefined),
                }
            }
            @if let Some(difference) = cell.difference {
                small {
                    (scale.difference(difference))
                    @if let Some(relative) = cell.relative.filter(|_| difference != 0.0) {
                        " (" (number::relative(relative)) ")"
                    }
                    @match verdict {
                        Some(true) => span.better { " better" },
                        Some(false) => span.worse { " worse" },
                        None => {},
                    }
                }
            }
            @if let Some(note) = &cell.note { small.quiet.note { (prose(note)) } }
        }
    }
}

fn variants(variants: &[Variant]) -> Markup {
    let table = html! {
        table.changes {
            thead { tr { th scope="col" { "Variant" } th scope="col" { "What it changes" } } }
            tbody {
                @for variant in variants {
                    tr {
                        th scope="row" {
                            (variant.name)
                            @if let Some(description) = &variant.description { small.quiet { (description) } }
                        }
                        td {
                            @if variant.changes.is_empty() { span.none { "nothing: the workflow as it is written" } }
                            @for change in &variant.changes {
                                div { code { (change.path) ": " (change.value) } }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        h3 { "What the variants are" }
        (scroll("What each variant changes", &table))
    }
}
