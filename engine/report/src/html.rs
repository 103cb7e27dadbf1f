//! The report of a run as one page.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use stagewright_contract::{Figure, FigureKind};

use crate::chart::{Chart, LOOKS, WIDTH, marker, place_text};
use crate::number::{self, NONE};
use crate::text::cut;
use crate::{Cell, Comparison, Graph, Report, Row, StageRow, State, Status, TablePreview, Variant};

/// A page needs nothing from anywhere, so it may fetch nothing and run nothing, whatever a name in it says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// How many rows and columns of a chart's numbers and how many of the slowest stages are shown.
const CHART_ROWS: usize = 200;
const CHART_COLUMNS: usize = 60;
const SLOWEST: usize = 12;
/// How many bytes of the page may be charts and previews of tables: whoever mails a report will be glad of it.
const CHART_BYTES: usize = 3_000_000;
const PREVIEW_BYTES: usize = 1_000_000;
/// How much of a long text a preview shows.
const PREVIEW_TEXT: usize = 200;

/// The page: HTML, style and figures in one text, without scripts and without anything from elsewhere.
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
                    @for section in &sections {
                        section aria-labelledby=(section.id) {
                            h2 #(section.id) { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer {
                    "Run " code { (report.run) } ", written by Stagewright. "
                    "This page is complete in itself: it loads nothing and runs no script."
                }
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
    let candidates = [
        (
            !report.comparisons.is_empty(),
            "comparison",
            if single { "Metrics" } else { "Comparison" },
            comparisons(report),
        ),
        (!report.charts.is_empty(), "charts", "Charts", charts(&report.charts)),
        (!report.tables.is_empty(), "tables", "Tables", previews(&report.tables)),
        (
            !report.stages.is_empty() || !report.graph.nodes.is_empty(),
            "stages",
            "Stages",
            stages(&report.graph, &report.stages, report.seconds),
        ),
        (!report.checks.is_empty(), "quality", "Data quality", quality(report)),
        (true, "again", "To run it again", again(report)),
    ];
    candidates
        .into_iter()
        .filter(|(present, ..)| *present)
        .map(|(_, id, title, body)| Section { id, title, body })
        .collect()
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
            @if !report.command.is_empty() { pre aria-label="Command line" { code { (report.command) } } }
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

fn comparisons(report: &Report) -> Markup {
    html! {
        @for comparison in &report.comparisons { (compare(comparison)) }
        @if report.comparisons.iter().any(|comparison| comparison.variants.len() > 1) {
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
    html! {
        @if let Some(title) = &comparison.title { h3 { (title) } }
        (scroll(label, &table))
    }
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
        table {
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

fn charts(charts: &[Figure]) -> Markup {
    let (shown, left_out) = within(CHART_BYTES, charts.iter().map(figure));
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

fn figure(figure: &Figure) -> Markup {
    let chart = Chart(figure);
    let drawing = chart.draw();
    let legend = chart.legend();
    let wide = drawing.width > WIDTH;
    html! {
        figure.wide[wide] {
            figcaption { (prose(&chart.title)) }
            @if !legend.is_empty() {
                ul.legend {
                    @for (look, name) in legend {
                        li {
                            svg viewBox="0 0 12 12" aria-hidden="true" {
                                g class={ "s" (look % LOOKS) } {
                                    @match chart.kind {
                                        FigureKind::Line | FigureKind::Scatter => (PreEscaped(marker(look, 6.0, 6.0))),
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
                    summary { "Numbers" span.hidden-text { " of " (chart.title) } }
                    (scroll(&format!("Numbers of {}", chart.title), &numbers))
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
                    th scope="col" { (corner) }
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

fn previews(tables: &[TablePreview]) -> Markup {
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
        p.quiet { "The first rows of each. Values of personal columns are never shown." }
        @for table in shown { (table) }
        @if left_out > 0 {
            p.caveat { (number::counted(left_out, "more table")) " would make this page too large." }
        }
    }
}

fn preview(table: &TablePreview) -> Markup {
    let is_number = |kind: &str| ["int", "uint", "float", "decimal"].iter().any(|prefix| kind.starts_with(prefix));
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

fn stages(graph: &Graph, stages: &[StageRow], took: Option<f64>) -> Markup {
    let several = stages.iter().any(|stage| stage.variant.is_some());
    let has_warnings = stages.iter().any(|stage| !stage.warnings.is_empty() || stage.error.is_some());
    let table = html! {
        table.pinned {
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
                        td.num { (stage.seconds.map_or_else(|| NONE.to_owned(), number::seconds)) }
                        td.num { (stage.rows.map_or_else(|| NONE.to_owned(), number::count)) }
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
            (time(stages, took))
            h3 #every-stage { "Every stage" }
            (scroll("Every stage", &table))
        }
    }
}

/// Where the time went: the slowest stages and their part of the whole.
fn time(stages: &[StageRow], took: Option<f64>) -> Markup {
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
    }
}

fn quality(report: &Report) -> Markup {
    let (mut checks, passed): (Vec<_>, Vec<_>) = report.checks.iter().partition(|check| !check.passed);
    let (failed_number, passed_number) = (checks.len(), passed.len());
    checks.extend(passed);
    let table = html! {
        table {
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
                        td.num { (check.failing.map_or_else(|| NONE.to_owned(), number::count)) }
                        td.num { (check.rows.map_or_else(|| NONE.to_owned(), number::count)) }
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

fn again(report: &Report) -> Markup {
    let parameters = html! {
        table {
            thead { tr { th scope="col" { "Parameter" } th scope="col" { "Value" } } }
            tbody {
                @for parameter in &report.parameters {
                    tr { th scope="row" { (parameter.name) } td { code { (parameter.value) } } }
                }
            }
        }
    };
    let sources = html! {
        table {
            thead { tr { th scope="col" { "File" } th.num scope="col" { "Size" } th scope="col" { "Digest" } } }
            tbody {
                @for source in &report.sources {
                    tr {
                        th scope="row" { (source.name) }
                        td.num { (number::bytes(source.bytes)) }
                        td.digest.code { (source.digest) }
                    }
                }
            }
        }
    };
    let outputs = html! {
        table {
            thead {
                tr {
                    th scope="col" { "Output" }
                    th scope="col" { "Kind" }
                    th.num scope="col" { "Size" }
                    th scope="col" { "Digest" }
                }
            }
            tbody {
                @for output in &report.outputs {
                    tr {
                        th scope="row" {
                            (output.stage) "." (output.port)
                            @if let Some(variant) = &output.variant { small.quiet { (variant) } }
                        }
                        td { (output.kind) }
                        td.num { (number::bytes(output.bytes)) }
                        td.digest.code { (output.digest) }
                    }
                }
            }
        }
    };
    html! {
        p {
            "The same sources, parameters, seed and versions give the same outputs, byte for byte: compare the digests."
        }
        dl.facts {
            @if let Some(seed) = report.seed { div { dt { "Seed" } dd { (seed) } } }
            @for version in &report.versions { div { dt { (version.of) } dd { (version.version) } } }
        }
        @if !report.parameters.is_empty() { h3 { "Parameters" } (scroll("Parameters", &parameters)) }
        @if !report.sources.is_empty() { h3 { "Sources" } (scroll("Sources", &sources)) }
        @if !report.outputs.is_empty() {
            h3 { "Outputs" }
            details {
                summary { "Digests of " (number::counted(report.outputs.len(), "output")) }
                (scroll("Digests of the outputs", &outputs))
            }
        }
    }
}
