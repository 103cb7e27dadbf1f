//! What was expected of the data.

use maud::{Markup, html};

use super::scroll;
use crate::Report;
use crate::number::{self, NONE};

/// The expectations, those that do not hold first.
pub(super) fn quality(report: &Report) -> Markup {
    let (mut checks, passed): (Vec<_>, Vec<_>) = report.checks.iter().partition(|check| !check.passed);
    let (failed_number, passed_number) = (checks.len(), passed.len());
    checks.extend(passed);
    let table = html! {
        table.sortable {
            thead {
                tr {
                    th scope="col" { "Expectation" }
                    th scope="col" { "Column" }
                    th scope="col" { "Result" }
                    th.num scope="col" { "Rows against it" }
                    th.num scope="col" { "Rows looked at" }
                    th scope="col" { "Stage" }
                }
            }
            tbody {
                @for check in checks {
                    tr {
                        th scope="row" { (check.expectation) }
                        td { @if let Some(column) = &check.column { code { (column) } } @else { span.none { "all" } } }
                        td.nowrap.bad[!check.passed] { (if check.passed { "✓ holds" } else { "✗ does not hold" }) }
                        td.num data-n=[check.failing] { (check.failing.map_or_else(|| NONE.to_owned(), number::count)) }
                        td.num data-n=[check.rows] { (check.rows.map_or_else(|| NONE.to_owned(), number::count)) }
                        td {
                            (check.stage)
                            @if let Some(variant) = &check.variant { small.quiet { (variant) } }
                        }
                    }
                }
            }
        }
    };
    html! {
        p {
            (number::counted(passed_number + failed_number, "expectation")) ": "
            (number::count(passed_number as u64)) " held"
            @if failed_number > 0 { ", " strong.bad { (number::count(failed_number as u64)) " did not" } }
            "."
        }
        (scroll("Expectations of the data", &table))
    }
}
