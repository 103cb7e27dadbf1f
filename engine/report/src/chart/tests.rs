#![allow(clippy::unwrap_used)]

use stagewright_contract::{Figure, FigureKind, Point, Series};

use super::Chart;
use super::axis::{nice, tick_texts, ticks};

const KINDS: [FigureKind; 5] =
    [FigureKind::Line, FigureKind::Bar, FigureKind::Scatter, FigureKind::Heatmap, FigureKind::Dendrogram];

fn figure(kind: FigureKind, series: Vec<Series>) -> Figure {
    Figure { series, ..Figure::new(kind, "t", "x", "y") }
}

fn draw(kind: FigureKind, series: Vec<Series>) -> String {
    Chart(&figure(kind, series)).draw().svg
}

/// What is written in a drawing, in order.
fn texts(svg: &str) -> Vec<&str> {
    svg.split("</text>").filter_map(|part| Some(part.rsplit_once('>')?.1)).filter(|text| !text.contains('\n')).collect()
}

#[test]
fn axes_are_round() {
    assert_eq!(nice(0.0, 0.4796, 4), (0.0, 0.6000000000000001, 0.2));
    assert_eq!(tick_texts(&ticks(0.0, 0.6, 0.2), 0.2), ["0.0", "0.2", "0.4", "0.6"]);
    assert_eq!(tick_texts(&[0.0, 5_000.0, 10_000.0], 5_000.0), ["0", "5\u{a0}k", "10\u{a0}k"]);
    assert_eq!(tick_texts(&ticks(-0.5, 0.5, 0.5), 0.5), ["−0.5", "0.0", "0.5"]);
}

#[test]
fn any_numbers_make_a_chart() {
    let extremes = [
        vec![],
        vec![f64::NAN],
        vec![0.0],
        vec![-3.0, -3.0],
        vec![1e-300, 2e-300],
        vec![f64::MAX, f64::MIN],
        vec![1e300, -1e300],
        vec![f64::INFINITY, 1.0],
        vec![1.0, 1.0 + f64::EPSILON],
        vec![1e-320],
        vec![0.0, -0.0, 1e15, -1e-15],
    ];
    for values in extremes {
        for kind in KINDS {
            for copies in [1, 2] {
                let series = (0..copies).map(|_| Series::new("s", values.iter().map(|&y| (y, y)))).collect();
                let svg = draw(kind, series);
                assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{kind:?} {values:?}: {svg}");
            }
        }
    }
}

#[test]
fn without_a_value_there_is_nothing_to_draw() {
    let undefined = Series { name: "s".to_owned(), points: vec![Point { x: "a".into(), y: None }] };
    for kind in KINDS {
        for series in [vec![], vec![Series::new("s", Vec::<(f64, f64)>::new())], vec![undefined.clone()]] {
            assert_eq!(texts(&draw(kind, series)), ["Nothing to draw: no value is defined."], "{kind:?}");
        }
    }
}

#[test]
fn no_name_is_markup() {
    let evil = "<b>\"&'";
    for kind in KINDS {
        let series = |x: stagewright_contract::X| Series {
            name: evil.to_owned(),
            points: [0.0, 1.0].map(|y| Point { x: x.clone(), y: Some(y) }).to_vec(),
        };
        for x in [evil.into(), 1.0.into()] {
            let named = Figure { series: vec![series(x)], ..Figure::new(kind, evil, evil, evil) };
            let svg = Chart(&named).draw().svg;
            assert!(!svg.contains("<b>") && !svg.contains("\"&'") && svg.contains("&lt;b&gt;"), "{kind:?}: {svg}");
        }
    }
}

#[test]
fn curves_run_by_number_and_break_where_a_value_is_undefined() {
    let point = |x: f64, y| Point { x: x.into(), y };
    let svg = draw(
        FigureKind::Line,
        vec![Series {
            name: "s".to_owned(),
            points: vec![point(3.0, Some(1.0)), point(1.0, Some(2.0)), point(2.0, None), point(4.0, Some(2.0))],
        }],
    );
    let curve = svg.lines().find(|line| line.contains("curve")).unwrap();
    assert_eq!(curve.matches('M').count(), 2, "{curve}");
    assert_eq!(curve.matches('L').count(), 1, "{curve}");
    assert!(curve.contains("h0\"") || curve.contains("h0M"), "the point by itself is a dot: {curve}");
}

#[test]
fn steps_of_a_curve_keep_their_order_whichever_way_it_runs() {
    let steps = [(0.0, 0.0), (0.0, 0.5), (1.0, 0.5), (1.0, 1.0)];
    let there = draw(FigureKind::Line, vec![Series::new("s", steps)]);
    let back = draw(FigureKind::Line, vec![Series::new("s", steps.into_iter().rev())]);
    let path = |svg: &str| svg.split("class=\"curve\" d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(path(&there), path(&back));
}

#[test]
fn many_points_have_no_markers_and_a_bounded_number_is_drawn() {
    let many = || (0..20_000).map(|at| (f64::from(at), f64::from(at % 7)));
    let curve = draw(FigureKind::Line, vec![Series::new("s", many())]);
    assert!(!curve.contains("marker") && curve.matches('L').count() < 500 && curve.len() < 20_000);
    let cloud = draw(FigureKind::Scatter, vec![Series::new("s", many())]);
    assert!(!cloud.contains("marker") && cloud.matches("h0").count() == 500);
    assert!(cloud.contains("One point in 40 is drawn."));
    let few = draw(FigureKind::Scatter, vec![Series::new("s", many().take(7))]);
    assert!(few.matches("marker").count() == 7 && !few.contains("is drawn"));
}

#[test]
fn ranges_in_order_stand_and_names_lie() {
    let standing = draw(FigureKind::Bar, vec![Series::new("rows", [("(0, 9]", 4.0), ("(9, 20]", 2.0)])]);
    assert_eq!(texts(&standing), ["y", "0", "1", "2", "3", "4", "4", "2", "(0, 9]", "(9, 20]", "x →"]);
    let lying = draw(FigureKind::Bar, vec![Series::new("rows", [("Jeans", 4.0), ("Swim", 2.0)])]);
    assert_eq!(texts(&lying), ["x", "y", "Jeans", "4", "Swim", "2"]);
    // Texts that find no room beside each other lean.
    let many = (0..10).map(|at| (format!("({}, {}]", at * 100, at * 100 + 100), f64::from(at)));
    assert_eq!(draw(FigureKind::Bar, vec![Series::new("rows", many)]).matches("rotate(-45").count(), 10);
}

#[test]
fn what_is_0_has_no_bar_but_its_number() {
    for names in [["(0, 9]", "(9, 20]"], ["Jeans", "Swim"]] {
        let svg = draw(FigureKind::Bar, vec![Series::new("rows", names.into_iter().zip([0.0, 2.0]))]);
        assert_eq!(svg.matches("class=\"bar\"").count(), 1, "{names:?}");
        assert!(texts(&svg).contains(&"0") && texts(&svg).contains(&"2"));
    }
}

#[test]
fn series_that_share_the_places_out_leave_no_gaps() {
    let svg = draw(FigureKind::Bar, vec![Series::new("kept", [("a", 2.0)]), Series::new("dropped", [("b", 1.0)])]);
    assert!(svg.contains("viewBox=\"0 0 360 70\""), "two bars high: {svg}");
    assert!(svg.contains(" y=\"24.0\"") && svg.contains(" y=\"47.0\""), "each bar is beside its name: {svg}");
}

#[test]
fn numbers_that_are_names_stand_upright() {
    let many = (0..30).map(|at| (at.to_string(), 1.0));
    let svg = draw(FigureKind::Bar, vec![Series::new("rows", many)]);
    assert!(!svg.contains("rotate") && texts(&svg).contains(&"28"), "{svg}");
}

#[test]
fn cells_hold_their_values_where_they_find_room() {
    let row = |name: &str, values: [Option<f64>; 2]| Series {
        name: name.to_owned(),
        points: ["no", "yes"].into_iter().zip(values).map(|(x, y)| Point { x: x.into(), y }).collect(),
    };
    let svg = draw(FigureKind::Heatmap, vec![row("a", [Some(-1.0), Some(0.25)]), row("b", [None, Some(0.5)])]);
    let expected = ["y", "−1.00", "1.00", "a", "−1.00", "0.25", "b", "–", "0.50", "no", "yes", "x →"];
    assert_eq!(texts(&svg), expected);
    assert!(svg.contains("cell below\" fill-opacity=\"1.00\"") && svg.contains("cell above\" fill-opacity=\"0.25\""));
    assert!(svg.contains("<rect class=\"cell\" "), "what is undefined has no colour");
    assert!(svg.contains("<title>a, no: −1</title>"));

    let one = draw(FigureKind::Heatmap, vec![Series::new("only", [("cell", 7.0)])]);
    assert_eq!(texts(&one), ["y", "0", "7", "only", "7", "cell", "x →"]);
}

#[test]
fn a_large_heatmap_is_wide_and_has_an_end() {
    let rows = |rows: usize, columns: usize| -> Vec<Series> {
        (0..rows)
            .map(|row| Series::new(format!("row {row}"), (0..columns).map(|at| (format!("column {at}"), 0.123))))
            .collect()
    };
    let drawing = Chart(&figure(FigureKind::Heatmap, rows(30, 30))).draw();
    assert!(drawing.width > super::WIDTH && drawing.svg.contains("min-width:"));
    assert!(!drawing.svg.contains("class=\"value\""));
    let drawing = Chart(&figure(FigureKind::Heatmap, rows(100, 200))).draw();
    assert!(drawing.svg.contains("The first 60 of 100 rows and 60 of 200 columns."));
    assert!(drawing.svg.len() < 1_000_000);
}

#[test]
fn joints_are_drawn_as_they_are_and_coloured_by_group() {
    let joint = |name: &str, at: [(f64, f64); 4]| Series::new(name, at);
    let tree = figure(
        FigureKind::Dendrogram,
        vec![
            joint("cluster 1", [(1.0, 0.0), (1.0, 1.0), (2.0, 1.0), (2.0, 0.0)]),
            joint("cluster 0", [(3.0, 0.0), (3.0, 2.0), (4.0, 2.0), (4.0, 0.0)]),
            joint("", [(1.5, 1.0), (1.5, 5.0), (3.5, 5.0), (3.5, 2.0)]),
        ],
    );
    assert_eq!(Chart(&tree).legend(), [(0, "cluster 0"), (1, "cluster 1")]);
    let svg = Chart(&tree).draw().svg;
    let joints: Vec<&str> = svg.lines().filter(|line| line.contains("class=\"joint")).collect();
    assert_eq!(joints.len(), 3);
    assert!(joints[0].contains("joint stem") && joints[1].contains("joint s0") && joints[2].contains("joint s1"));
    assert_eq!(joints[0].matches('L').count(), 3);
    assert_eq!(texts(&svg), ["y", "0", "2", "4", "6", "cluster 1", "cluster 0", "x →"]);
}
