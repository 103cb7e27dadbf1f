//! A data sheet for each table from outside (Gebru et al., “Datasheets for datasets”, 2021), as far as a run knows: files,
//! size, columns, what is missing and what is personal. Never values.

use maud::{Markup, html};

use super::scroll;
use crate::DataSheet;
use crate::number;

/// The sheets, folded.
pub(super) fn sheets(sheets: &[DataSheet]) -> Markup {
    html! {
        div.folds { @for sheet in sheets {
            details.card {
                summary {
                    (sheet.name)
                    small.quiet {
                        (number::count(sheet.rows)) " rows, " (number::counted(sheet.columns.len(), "column"))
                        @let personal = sheet.columns.iter().filter(|(column, _)| column.personal).count();
                        @if personal > 0 { ", " (personal) " personal" }
                    }
                }
                (card(sheet))
            }
        }
        }
    }
}

fn card(sheet: &DataSheet) -> Markup {
    let columns = html! {
        table.sortable {
            thead {
                tr {
                    th scope="col" { "Column" }
                    th scope="col" { "Type" }
                    th.num scope="col" { "Missing" }
                    th scope="col" { "Personal" }
                }
            }
            tbody {
                @for (column, nulls) in &sheet.columns {
                    tr {
                        th scope="row" { (column.name) }
                        td { (column.kind) }
                        td.num data-n=(nulls) {
                            (number::count(*nulls))
                            @if *nulls > 0 && sheet.rows > 0 {
                                small { (number::share(*nulls as f64 / sheet.rows as f64)) }
                            }
                        }
                        td { (if column.personal { "yes" } else { "no" }) }
                    }
                }
            }
        }
    };
    html! {
        p {
            @if sheet.files.is_empty() { "Made up by " code { (sheet.uses) } "; no file was read." }
            @else { "Read by " code { (sheet.uses) } " from:" }
        }
        @if !sheet.files.is_empty() {
            ul.files {
                @for file in &sheet.files {
                    li {
                        (file.name) ", " (number::bytes(file.bytes))
                        div.digest.code { (file.digest) }
                    }
                }
            }
        }
        (scroll(&format!("Columns of {}", sheet.name), &columns))
    }
}
