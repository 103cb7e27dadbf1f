//! Figures, and their numbers.

use maud::{Markup, PreEscaped, html};
use stagewright_contract::FigureKind;

use super::{Variants, prose, scroll, within};
use crate::chart::{Chart, LOOKS, WIDTH, marker, place_text};
use crate::number::{self, NONE};
use crate::{ChartGroup, Panel, Report};

/// How many rows and columns of a chart's numbers are shown.
const CHART_ROWS: usize = 200;
const CHART_COLUMNS: usize = 60;
/// How many bytes of the page may be charts: whoever mails a report will be glad of it.
const CHART_BYTES: usize = 3_000_000;

/// The figures; those of a group stand beside each other.
pub(super) fn charts(report: &Report) -> Markup {
    let variants = Variants::of(report);
    let (shown, left_out) = within(CHART_BYTES, report.charts.iter().map(|group| together(group, &variants)));
    html! {
        div.charts { @for chart in shown { (chart) } }
        @if left_out > 0 {
            p.caveat {
                (number::counted(left_out, "more chart")) " would make this page too large. "
                "`stagewright get` writes the numbers of each."
            }
        }
    }
}

fn together(group: &ChartGroup, variants: &Variants<'_>) -> Markup {
    match group.panels.as_slice() {
        [panel] => figure(panel, variants),
        panels => html! {
            div.together role="group" aria-label=(group.title) {
                p.what { (prose(&group.title)) }
                div.charts { @for panel in panels { (figure(panel, variants)) } }
            }
        },
    }
}

fn figure(panel: &Panel, variants: &Variants<'_>) -> Markup {
    let chart = Chart(&panel.figure);
    let drawing = chart.draw();
    let legend = chart.legend();
    let wide = drawing.width > WIDTH;
    let of = panel.variants.join(", ");
    html! {
        figure.wide[wide] data-v=[variants.all(&panel.variants)] {
            figcaption { (prose(&chart.title)) @if !of.is_empty() { small.quiet { (of) } } }
            @if !legend.is_empty() {
                ul.legend {
                    @for (look, name) in legend {
                        li data-s=(look) data-series=[variants.at(name)] {
                            svg viewBox="0 0 12 12" aria-hidden="true" {
                                g class={ "s" (look % LOOKS) } {
                                    @match chart.kind {
                                        FigureKind::Line | FigureKind::Scatter => (PreEscaped(marker(look, 6.0, 6.0, ""))),
                                        FigureKind::Dendrogram => path.joint d="M2 11V2H10V11" {},
                                        _ => rect.bar x="1" y="1" width="10" height="10" {},
                                    }
                                }
                            }
                            (name)
                        }
                    }
                }
            }
            @if wide { (scroll(&chart.title, &PreEscaped(drawing.svg))) } @else { (PreEscaped(drawing.svg)) }
            @if let Some(numbers) = numbers(chart) {
                details {
                    summary { "Numbers" span.hidden-text { " of " (chart.title) " " (of) } }
                    (scroll(format!("Numbers of {} {of}", chart.title).trim_end(), &numbers))
                }
            }
        }
    }
}

/// The numbers of a chart, as far as there is room: a row for each place and a column for each series, or, for a
/// heatmap, the rows and columns that it has. A tree is its drawing.
fn numbers(chart: Chart<'_>) -> Option<Markup> {
    let places = chart.places();
    let value = |value: Option<f64>| html! { td.num { (value.map_or_else(|| NONE.to_owned(), number::number)) } };
    match chart.kind {
        FigureKind::Dendrogram => None,
        FigureKind::Heatmap => {
            let columns: Vec<Markup> = places.iter().map(|place| html! { (place_text(place)) }).collect();
            let rows = chart.series.iter().map(|row| {
                let of_row = places
                    .iter()
                    .take(CHART_COLUMNS)
                    .map(|place| value(row.points.iter().find(|point| point.x == **place).and_then(|point| point.y)));
                (html! { (row.name) }, of_row.collect())
            });
            Some(matrix(chart, &chart.x_label, &columns, chart.series.len(), rows))
        }
        FigureKind::Scatter | FigureKind::Line if chart.kind == FigureKind::Scatter || chart.repeats() => {
            let points = || chart.0.series.iter().flat_map(|series| series.points.iter().map(move |at| (series, at)));
            let columns = [html! { (chart.x_label) }, html! { (chart.y_label) }];
            let rows = points().map(|(series, point)| {
                (html! { (series.name) }, vec![html! { td.num { (place_text(&point.x)) } }, value(point.y)])
            });
            Some(matrix(chart, "", &columns, points().count(), rows))
        }
        _ => {
            let columns: Vec<Markup> = match chart.0.series.as_slice() {
                [_] => vec![html! { (chart.y_label) }],
                several => several.iter().map(|series| html! { (series.name) }).collect(),
            };
            let rows = places.iter().map(|place| {
                let of_row = chart.0.series.iter().take(CHART_COLUMNS).map(|series| {
                    value(series.points.iter().find(|point| point.x == **place).and_then(|point| point.y))
                });
                (html! { (place_text(place)) }, of_row.collect())
            });
            Some(matrix(chart, &chart.x_label, &columns, places.len(), rows))
        }
    }
}

/// A table of numbers with a heading for each row: a corner, the columns, and so many rows.
fn matrix(
    chart: Chart<'_>,
    corner: &str,
    columns: &[Markup],
    height: usize,
    rows: impl Iterator<Item = (Markup, Vec<Markup>)>,
) -> Markup {
    html! {
        table.pinned {
            caption {
                span {
                    (chart.title)
                    @if height > CHART_ROWS { ", the first " (CHART_ROWS) " of " (number::count(height as u64)) " rows" }
                    @if columns.len() > CHART_COLUMNS {
                        ", the first " (CHART_COLUMNS) " of " (number::count(columns.len() as u64)) " columns"
                    }
                }
            }
            thead {
                tr {
                    @if corner.is_empty() { td {} } @else { th scope="col" { (corner) } }
                    @for column in columns.iter().take(CHART_COLUMNS) { th.num scope="col" { (column) } }
                }
            }
            tbody {
                @for (name, cells) in rows.take(CHART_ROWS) {
                    tr { th scope="row" { (name) } @for cell in cells { (cell) } }
                }
            }
        }
    }
}
