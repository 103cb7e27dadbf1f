//! The page as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../examples/demo/report.rs"]
mod demo;

use stagewright_report::{Report, StageRow, State, Status, html};

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
    let page = html(&demo::report());
    for never in ["<script", "http:", "https:", "//", "@import", "url(", "src=", "<iframe", "<object"] {
        assert!(!page.contains(never), "{never}");
    }
    assert!(page.contains("default-src 'none'"), "and could not get it");
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
}

#[test]
fn the_same_report_is_the_same_page() {
    assert_eq!(html(&demo::report()), html(&demo::report()));
}

#[test]
fn headings_descend_by_one_level() {
    let page = html(&demo::report());
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
    let order = ["comparison", "charts", "tables", "stages", "quality", "again"].map(at);
    assert!(order.is_sorted(), "{order:?}");
    assert!(page.contains("Differences are not tested for significance."));
}

#[test]
fn a_screen_reader_finds_its_way() {
    let page = html(&demo::report());
    for landmark in ["<header>", "<nav aria-label=\"Sections\">", "<main id=\"main\">", "<footer>"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    assert_eq!(opened(&page, "th"), page.matches("scope=\"col\"").count() + page.matches("scope=\"row\"").count());
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
    let mut report = demo::report();
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
    }
    for chart in &mut report.charts {
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
    assert!(!page.contains("<script") && !page.contains("<img"));
    // Nor does a quote end an attribute: every text of it stands between `&lt;` and `&gt;`.
    for (at, _) in page.match_indices("onerror=x") {
        assert!(page[..at].ends_with("&lt;img ") && page[at..].starts_with("onerror=x&gt;"));
        let open = page[..at].rfind('<').unwrap();
        let close = page[..at].rfind('>').unwrap();
        assert!(close > open || page[open..at].matches('"').count() % 2 == 1, "{}", &page[open..at]);
    }
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
    }
}
