//! The first rows of tables.

use maud::{Markup, html};

use super::{scroll, within};
use crate::TablePreview;
use crate::number;
use crate::text::cut;

/// How many bytes of the page may be previews of tables.
const PREVIEW_BYTES: usize = 1_000_000;
/// How much of a long text a preview shows.
const PREVIEW_TEXT: usize = 200;

/// A table for each, folded.
pub(super) fn previews(tables: &[TablePreview]) -> Markup {
    let folded = |(at, table): (usize, &TablePreview)| {
        html! {
            details open[at == 0] {
                summary {
                    (table.stage) "." (table.port)
                    @if let Some(variant) = &table.variant { " of " (variant) }
                    small {
                        (number::counted(usize::try_from(table.rows).unwrap_or(usize::MAX), "row")) ", "
                        (number::counted(table.columns().len(), "column"))
                    }
                }
                (scroll(&format!("First rows of {}.{}", table.stage, table.port), &preview(table)))
            }
        }
    };
    let (shown, left_out) = within(PREVIEW_BYTES, tables.iter().enumerate().map(folded));
    html! {
        p.quiet { "The first rows of each. Values of personal columns are never shown, and on paper none are." }
        div.folds.previews { @for table in shown { (table) } }
        @if left_out > 0 {
            p.caveat { (number::counted(left_out, "more table")) " would make this page too large." }
        }
    }
}

fn preview(table: &TablePreview) -> Markup {
    let is_number =
        |kind: &str| ["int", "uint", "float", "double", "decimal"].iter().any(|prefix| kind.starts_with(prefix));
    let shown = table.head().len() as u64;
    html! {
        table.preview {
            caption {
                span {
                    @if table.rows == 0 { "The table has no rows." }
                    @else if shown >= table.rows { "All rows." }
                    @else { "The first " (number::count(shown)) " of " (number::count(table.rows)) " rows." }
                }
            }
            thead {
                tr {
                    @for column in table.columns() {
                        th scope="col" class=[(is_number(&column.kind) && !column.personal).then_some("num")] {
                            (column.name)
                            small { (column.kind) @if column.personal { ", personal" } }
                        }
                    }
                }
            }
            tbody {
                @for row in table.head() {
                    tr {
                        @for (column, value) in table.columns().iter().zip(row) {
                            @if column.personal {
                                td.personal { "hidden (personal)" }
                            } @else if let Some(value) = value {
                                td class=[is_number(&column.kind).then_some("num")] { (cut(value, PREVIEW_TEXT)) }
                            } @else {
                                td.none class=[is_number(&column.kind).then_some("num")] { "null" }
                            }
                        }
                    }
                }
            }
        }
    }
}
