//! The page as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../examples/demo/report.rs"]
mod demo;

use stagewright_contract::{Figure, FigureKind, Series};
use stagewright_report::{Column, Report, StageRow, State, Status, TablePreview, html};

/// The levels of the headings, in order.
fn headings(page: &str) -> Vec<u32> {
    page.match_indices("<h").filter_map(|(at, _)| page[at + 2..].chars().next()?.to_digit(10)).collect()
}

/// How often a tag is opened, whatever its attributes.
fn opened(page: &str, tag: &str) -> usize {
    page.match_indices(&format!("<{tag}"))
        .filter(|(at, found)| !page[at + found.len()..].starts_with(char::is_alphanumeric))
        .count()
}

#[test]
fn the_page_needs_nothing_from_anywhere() {
    for report in [demo::report(), demo::tested()] {
        let page = html(&report);
        for never in ["http:", "https:", "//", "@import", "url(", "src=", "<iframe", "<object", "fetch", "onclick"] {
            assert!(!page.contains(never), "{never}");
        }
        assert_eq!(page.matches("<script").count(), 1, "its own, which the policy names by its hash");
        assert!(page.contains("default-src 'none'"), "and could not get it");
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    }
}

#[test]
fn the_same_report_is_the_same_page() {
    assert_eq!(html(&demo::report()), html(&demo::report()));
}

#[test]
fn headings_descend_by_one_level() {
    let page = html(&demo::tested());
    let levels = headings(&page);
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert_eq!(levels[0], 1);
    for pair in levels.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "{levels:?}");
    }
}

#[test]
fn what_matters_comes_first() {
    let page = html(&demo::report());
    let at = |id: &str| page.find(&format!("<h2 id=\"{id}\"")).unwrap_or_else(|| panic!("{id} is missing"));
    let order = ["comparison", "charts", "stages", "quality", "models", "sources", "tables", "again"].map(at);
    assert!(order.is_sorted(), "{order:?}");
    let tested = html(&demo::tested());
    assert!(
        tested.find("<h2 id=\"verdict\"") < tested.find("<h2 id=\"comparison\"") && !page.contains("id=\"verdict\"")
    );
    assert!(
        !tested.contains("not tested for significance") || demo::tested().comparisons.iter().any(|it| !it.tested())
    );
    assert!(page.contains("Differences are not tested for significance."));
}

#[test]
fn a_screen_reader_finds_its_way() {
    let page = html(&demo::tested());
    for landmark in ["<header>", "<nav aria-label=\"Sections\">", "<main id=\"main\">", "<footer>"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    let scopes = ["col", "row", "rowgroup"].map(|scope| page.matches(&format!("scope=\"{scope}\"")).count());
    assert_eq!(opened(&page, "th"), scopes.iter().sum::<usize>());
    for tag in
        ["svg", "table", "section", "figure", "details", "div", "span", "tr", "td", "th", "ul", "li", "p", "code"]
    {
        assert_eq!(opened(&page, tag), page.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
    for (at, _) in page.match_indices("<svg") {
        let svg = &page[at..page[at..].find("</svg>").unwrap() + at];
        assert!(
            svg.contains("aria-hidden=\"true\"") || svg.contains("role=\"img\"") && svg.contains("<title>"),
            "{svg}"
        );
    }
    for (at, _) in page.match_indices("href=\"#") {
        let id = page[at + 7..].split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[test]
fn personal_values_are_neither_on_the_page_nor_in_its_data() {
    let report = demo::report();
    let data = serde_json::to_string(&report).unwrap();
    for text in [html(&report), data] {
        for personal in ["Ada Lovelace", "ada@example.org"] {
            assert!(!text.contains(personal));
        }
    }
    assert!(html(&report).contains("hidden (personal)"));
    assert!(report.tables[0].head().iter().all(|row| row[4].is_none()), "ages are personal");
}

#[test]
fn hostile_names_are_only_text() {
    let evil = "\"><script>alert('x')</script><img onerror=x> & `code` {";
    let mut report = demo::tested();
    report.workflow = evil.to_owned();
    report.description = Some(evil.to_owned());
    report.run = evil.to_owned();
    report.command = evil.to_owned();
    report.problem = Some(evil.to_owned());
    report.status = Status::Failed;
    report.variants[0].name = evil.to_owned();
    report.variants[1].changes[0].value = evil.to_owned();
    report.parameters[0].value = evil.to_owned();
    report.sources[0].name = evil.to_owned();
    report.outputs[0].kind = evil.to_owned();
    report.checks[0].expectation = evil.to_owned();
    for comparison in &mut report.comparisons {
        comparison.title = Some(evil.to_owned());
        comparison.variants[1] = evil.to_owned();
        comparison.rows[0].metric = evil.to_owned();
        comparison.rows[0].cells[1].note = Some(evil.to_owned());
        comparison.rows[0].cells[1].method = Some(evil.to_owned());
        comparison.correction = Some(evil.to_owned());
        for conclusion in &mut comparison.conclusions {
            (conclusion.variant, conclusion.text) = (evil.to_owned(), evil.to_owned());
        }
    }
    let model = &mut report.models[0];
    for text in [&mut model.stage, &mut model.learned_by, &mut model.task, &mut model.target, &mut model.digest] {
        *text = evil.to_owned();
    }
    model.variants[0] = evil.to_owned();
    model.warnings[0] = evil.to_owned();
    model.features[0].column.name = evil.to_owned();
    model.parameters[0].value = evil.to_owned();
    report.sheets[0].name = evil.to_owned();
    report.sheets[0].files[0].name = evil.to_owned();
    report.sheets[0].columns[0].0.name = evil.to_owned();
    report.longest_chain.as_mut().unwrap().stages[0] = evil.to_owned();
    report.work.energy.as_mut().unwrap().how = evil.to_owned();
    for group in &mut report.charts {
        group.title = evil.to_owned();
        group.panels[0].variants = vec![evil.to_owned()];
    }
    for chart in report.charts.iter_mut().flat_map(|group| &mut group.panels).map(|panel| &mut panel.figure) {
        for text in [&mut chart.title, &mut chart.x_label, &mut chart.y_label, &mut chart.series[0].name] {
            *text = evil.to_owned();
        }
        chart.series[0].points[0].x = evil.into();
    }
    for node in &mut report.graph.nodes {
        node.label = evil.to_owned();
        node.detail = evil.to_owned();
        node.group = Some(evil.to_owned());
    }
    for edge in &mut report.graph.edges {
        edge.label = Some(evil.to_owned());
    }
    report.stages.push(StageRow {
        stage: evil.to_owned(),
        variant: Some(evil.to_owned()),
        uses: evil.to_owned(),
        state: State::Failed,
        seconds: Some(f64::NAN),
        rows: None,
        key: Some(evil.to_owned()),
        warnings: vec![evil.to_owned()],
        error: Some(evil.to_owned()),
    });
    let page = html(&report);
    assert!(page.matches("<script").count() == 1 && !page.contains("<img"));
    // Nor does a quote end an attribute: every text of it stands between `&lt;` and `&gt;`.
    for (at, _) in page.match_indices("onerror=x") {
        assert!(page[..at].ends_with("&lt;img ") && page[at..].starts_with("onerror=x&gt;"));
        let open = page[..at].rfind('<').unwrap();
        let close = page[..at].rfind('>').unwrap();
        assert!(close > open || page[open..at].matches('"').count() % 2 == 1, "{}", &page[open..at]);
    }
}

/// The page of a report that has figures and nothing else.
fn page_of(charts: Vec<Figure>) -> String {
    html(&Report { charts: charts.into_iter().map(Into::into).collect(), ..Report::default() })
}

/// The rows of the only table of numbers, cell by cell.
fn numbers(page: &str) -> Vec<Vec<&str>> {
    let table = page.split_once("<table class=\"pinned\"").unwrap().1.split_once("</table>").unwrap().0;
    let cell = |part: &'_ str| -> Option<usize> { part.rfind('>').map(|at| at + 1) };
    table
        .split("</tr>")
        .map(|row| {
            let cells = row.split("</t").filter(|part| part.contains("<th") || part.contains("<td"));
            cells.filter_map(|part| Some(&part[cell(part)?..])).collect::<Vec<_>>()
        })
        .filter(|row| !row.is_empty())
        .collect()
}

#[test]
fn every_kind_of_figure_has_its_drawing_and_its_numbers() {
    let figure = |kind| {
        Figure::new(kind, "Title", "across", "measure")
            .with(Series::new("first", [("a", 1.0), ("b", 0.5)]))
            .with(Series::new("second", [("a", 0.25)]))
    };
    let by_series = [["across", "first", "second"], ["a", "1", "0.2500"], ["b", "0.5000", "–"]];
    for kind in [FigureKind::Line, FigureKind::Bar] {
        assert_eq!(numbers(&page_of(vec![figure(kind)])), by_series, "{kind:?}");
    }
    let page = page_of(vec![figure(FigureKind::Heatmap)]);
    assert_eq!(numbers(&page), [["across", "a", "b"], ["first", "1", "0.5000"], ["second", "0.2500", "–"]]);
    assert!(!page.contains("class=\"legend\""), "its rows have their names");
    let page = page_of(vec![figure(FigureKind::Scatter)]);
    let points = [["", "across", "measure"], ["first", "a", "1"], ["first", "b", "0.5000"], ["second", "a", "0.2500"]];
    assert_eq!(numbers(&page), points);
    // The steps of a curve have several heights at one place, and all are among the numbers.
    let steps = Figure::new(FigureKind::Line, "Title", "across", "measure")
        .with(Series::new("step", [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]));
    let points = [["", "across", "measure"], ["step", "0", "0"], ["step", "0", "1"], ["step", "1", "1"]];
    assert_eq!(numbers(&page_of(vec![steps])), points);

    let tree = Figure::new(FigureKind::Dendrogram, "Title", "across", "measure")
        .with(Series::new("group", [(1.0, 0.0), (1.0, 2.0), (2.0, 2.0), (2.0, 0.0)]));
    let page = page_of(vec![tree]);
    assert!(page.contains("class=\"joint s0\"") && page.contains("class=\"legend\""));
    assert!(!page.contains("<table") && !page.contains("in the table below"), "a tree is its drawing");
}

#[test]
fn whatever_is_in_a_figure_it_has_a_place_on_the_page() {
    for kind in [FigureKind::Line, FigureKind::Bar, FigureKind::Scatter, FigureKind::Heatmap, FigureKind::Dendrogram] {
        for series in [vec![], vec![Series::new("", Vec::<(f64, f64)>::new())], vec![Series::new("s", [("x", 1e308)])]]
        {
            let page = page_of(vec![Figure { series, ..Figure::new(kind, "", "", "") }]);
            assert!(page.contains("Nothing to draw"), "{kind:?}");
        }
    }
}

#[test]
fn a_page_stays_small_and_says_what_it_leaves_out() {
    let heavy = |at: usize| {
        let cells = move || (0..60).map(move |column| (format!("column {column}"), 0.123_456));
        (0..60).fold(Figure::new(FigureKind::Heatmap, format!("figure {at}"), "x", "y"), |figure, row| {
            figure.with(Series::new(format!("row {row}"), cells()))
        })
    };
    let long = "x".repeat(10_000);
    let column = || Column { name: "text".to_owned(), kind: "utf8".to_owned(), personal: false };
    let table = |at: usize| {
        let head = vec![vec![Some(long.clone()); 40]; 8];
        TablePreview::new(format!("stage {at}"), "table", 8, (0..40).map(|_| column()).collect(), head)
    };
    let page = html(&Report {
        charts: (0..30).map(heavy).map(Into::into).collect(),
        tables: (0..30).map(table).collect(),
        ..Report::default()
    });
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert!(page.contains("figure 0") && page.contains(" more charts would make this page too large."));
    assert!(page.contains("stage 0") && page.contains(" more tables would make this page too large."));
    assert!(!html(&demo::report()).contains("too large"));
}

#[test]
fn a_failed_run_says_what_failed() {
    let mut report = demo::report();
    report.status = Status::Failed;
    report.stages[9].state = State::Failed;
    report.stages[9].error = Some("column `age` has 3 nulls; drop or fill them first".to_owned());
    let page = html(&report);
    let alert = page.split_once("class=\"alert\"").unwrap().1.split_once("</div>").unwrap().0;
    assert!(alert.contains("Stage <code>kmeans</code> failed: column <code>age</code> has 3 nulls"), "{alert}");
    assert!(page.find("class=\"alert\"").unwrap() < page.find("id=\"comparison\"").unwrap());
}

#[test]
fn an_empty_report_is_a_page() {
    let page = html(&Report::default());
    assert!(page.contains("To run it again") && !page.contains("id=\"comparison\"") && !page.contains("<nav"));
    assert_eq!(headings(&page), [1, 2]);
}

#[test]
fn the_verdict_is_a_word_and_a_sign() {
    let page = html(&demo::tested());
    let verdict = page.split_once("id=\"verdict\"").unwrap().1.split_once("id=\"comparison\"").unwrap().0;
    let hybrid = verdict.find("<strong class=\"word\">worse</strong>: <code>hybrid</code> is worse").unwrap();
    let honest = verdict.find("<strong class=\"word\">underpowered</strong>: <code>honest</code>").unwrap();
    assert!(hybrid < honest, "what is known comes first");
    assert!(verdict.contains(" more variants</summary>"), "of a sweep the rest is folded");
    let table = page.split_once("id=\"comparison\"").unwrap().1.split_once("id=\"charts\"").unwrap().0;
    assert!(table.contains("<span class=\"sign\" aria-hidden=\"true\">✗</span> worse"));
    assert!(table.contains("guardrail") && table.contains("Holm over 6 tests") && table.contains("Welch's t-test"));
    assert_eq!(table.matches("class=\"interval ").count(), 2 * 3 + 23, "an interval for each variant and metric");
    assert!(table.contains("<title>hybrid: +27.6\u{a0}% (+15.0\u{a0}% to +40.1\u{a0}%), better</title>"), "{table}");
}

#[test]
fn a_model_card_hides_the_range_of_a_personal_column() {
    let page = html(&demo::report());
    let card = page.split_once("id=\"models\"").unwrap().1.split_once("id=\"sources\"").unwrap().0;
    assert!(card.contains("<code>split.train</code>") && card.contains("scores.auc") && card.contains("0.7132"));
    assert!(card.contains(">age</th><td>double</td><td><span class=\"personal\">hidden (personal)"));
    assert!(card.contains("2.500 to 903"));
}

#[test]
fn an_estimate_of_energy_says_so() {
    let page = html(&demo::report());
    assert!(page.contains("<dt>Energy</dt><dd>863\u{a0}J</dd>") && page.contains("Estimated: processor time at 12 W"));
    assert!(page.contains("<dt>Saved by sharing between variants</dt><dd>17.4\u{a0}s</dd>"));
    assert!(page.contains("<dt>Stages of all variants one by one</dt><dd>2\u{a0}min 5\u{a0}s</dd>"));
}

#[test]
fn figures_of_several_variants_stand_together() {
    let page = html(&demo::report());
    let together = page.split_once("class=\"together\"").unwrap().1;
    let variant =
        |name: &str| together.find(&format!("Confusion matrix<small class=\"quiet\">{name}</small>")).unwrap();
    assert!(variant("as-published") < variant("honest"));
}

#[test]
fn the_best_value_is_marked_in_words() {
    let page = html(&demo::report());
    let comparison = page.split_once("id=\"comparison\"").unwrap().1.split_once("id=\"charts\"").unwrap().0;
    assert_eq!(comparison.matches("<span class=\"mark\">best</span>").count(), 5);
    assert!(comparison.contains("not comparable: other test users"));
}

/// Contrast of the page's text colours against its grounds, as WCAG 2.2 defines it.
#[test]
fn colours_have_contrast() {
    let page = html(&demo::report());
    let schemes: Vec<&str> =
        page.match_indices(":root {").map(|(at, _)| &page[at..at + page[at..].find('}').unwrap()]).collect();
    assert_eq!(schemes.len(), 3, "light, dark and printed");
    let colour = |scheme: &str, name: &str| -> f64 {
        let text = scheme.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("--{name}")).1;
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&text[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    };
    let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
    for scheme in schemes {
        for ground in ["paper", "surface"] {
            let ground = colour(scheme, ground);
            for text in ["ink", "muted", "accent", "bad", "warn"] {
                assert!(contrast(colour(scheme, text), ground) >= 4.5, "{text}: {scheme}");
            }
            for line in ["line-strong", "s0", "s1", "s2", "s3", "s4", "s5"] {
                assert!(contrast(colour(scheme, line), ground) >= 3.0, "{line}: {scheme}");
            }
        }
        for text in ["ink", "muted", "accent"] {
            assert!(contrast(colour(scheme, text), colour(scheme, "tint")) >= 4.5, "{text} on tint: {scheme}");
        }
        assert!(contrast(colour(scheme, "ink"), colour(scheme, "bad-tint")) >= 4.5);
        for cell in ["above", "below"] {
            assert!(contrast(colour(scheme, "ink"), colour(scheme, cell)) >= 4.5, "ink on {cell}: {scheme}");
        }
    }
}
