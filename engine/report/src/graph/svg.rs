//! The drawing of a graph.

use super::layout::{Layout, Route, layout};
use super::{Graph, Node, State};
use crate::text::{cut, width, xml};

/// Around the drawing.
const MARGIN: f64 = 8.0;
/// A column of a name, of what stands below it, and of an edge's label.
const LABEL_COLUMN: f64 = 8.1;
const DETAIL_COLUMN: f64 = 6.9;
const EDGE_COLUMN: f64 = 6.3;
/// A box's padding left and right, and the room for the sign of its state.
const PADDING: f64 = 14.0;
const SIGN: f64 = 18.0;
const NARROWEST: f64 = 96.0;
const WIDEST: f64 = 240.0;
const LINE: f64 = 16.0;
const LEGEND_COLUMN: f64 = 96.0;
/// Beyond this many stages a drawing is a map: names, but no details, labels and signs.
const DETAILED: usize = 400;

/// Colours come from the page's custom properties or, without them, from here. What cannot read custom properties at
/// all (many viewers of SVG files) finds plain colours in the elements' attributes.
const STYLE: &str = "\
.sw-graph{--i:var(--ink,#1b2220);--m:var(--muted,#59625f);--s:var(--surface,#ffffff);--l:var(--line-strong,#7d8885);\
--a:var(--accent,#0a6a5c);--b:var(--bad,#b3261e);font-family:system-ui,-apple-system,'Segoe UI',sans-serif}\
@media (prefers-color-scheme:dark){.sw-graph{--i:var(--ink,#e6eae8);--m:var(--muted,#a3adaa);--s:var(--surface,#1a1f1e);\
--l:var(--line-strong,#6b7673);--a:var(--accent,#5cc7b2);--b:var(--bad,#ff8a7d)}}\
.sw-graph .back,.sw-graph .box{fill:var(--s)}.sw-graph .box{stroke:var(--l)}\
.sw-graph .edge{stroke:var(--l)}.sw-graph .port{fill:var(--m);stroke:var(--s)}\
.sw-graph .name{fill:var(--i)}.sw-graph .detail{fill:var(--m)}.sw-graph .variant{fill:var(--a)}\
.sw-graph .sign{stroke:var(--m)}.sw-graph .bar{fill:var(--a)}\
.sw-graph .executed .box{stroke:var(--a)}.sw-graph .executed .sign{stroke:var(--a)}\
.sw-graph .failed .box{stroke:var(--b)}.sw-graph .failed .sign{stroke:var(--b)}.sw-graph .failed .bar{fill:var(--b)}";

/// Where the drawing will be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A file of its own.
    File,
    /// An HTML page.
    Page,
}

pub(super) fn draw(graph: &Graph, place: Place) -> String {
    let detailed = graph.nodes.len() <= DETAILED;
    let lines = |node: &Node| {
        if detailed { 1 + usize::from(!node.detail.is_empty()) + usize::from(node.group.is_some()) } else { 1 }
    };
    let widths: Vec<f64> = graph.nodes.iter().map(|node| box_width(node, detailed)).collect();
    let height = 14.0 + LINE * graph.nodes.iter().map(lines).max().unwrap_or(1) as f64;
    let layout = layout(graph, &widths, height);
    let states = if detailed { graph.states() } else { Vec::new() };

    let inner =
        if states.is_empty() { layout.width } else { layout.width.max(LEGEND_COLUMN * states.len().min(3) as f64) };
    let per_row = ((inner / LEGEND_COLUMN) as usize).max(1);
    let legend_height = if states.is_empty() { 0.0 } else { 14.0 + 20.0 * states.len().div_ceil(per_row) as f64 };
    let (full_width, full_height) = (inner + 2.0 * MARGIN, layout.height + legend_height + 2.0 * MARGIN);
    let left = MARGIN + (inner - layout.width) / 2.0;

    let mut svg = format!(
        "<svg{} class=\"sw-graph\" role=\"img\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\"{}>\n\
         <title>{}</title>\n<style>{STYLE}</style>\n",
        if place == Place::File { " xmlns=\"http://www.w3.org/2000/svg\"" } else { "" },
        // In a page it shrinks with its column, but only as far as its names can be read.
        match place {
            Place::File => String::new(),
            Place::Page => format!(" style=\"max-width:{}px;min-width:{}px\"", px(full_width), px(full_width * 0.85)),
        },
        xml(&graph.summary()),
        w = px(full_width),
        h = px(full_height),
    );
    if place == Place::File {
        svg += "<rect class=\"back\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    }
    svg += &format!("<g transform=\"translate({} {})\">\n", px(left), px(MARGIN));
    draw_edges(&mut svg, graph, &layout, height, detailed);
    for ((node, &(x, y)), &width) in graph.nodes.iter().zip(&layout.nodes).zip(&widths) {
        draw_node(&mut svg, node, (x - width / 2.0, y, width, height), lines(node), detailed);
    }
    svg += "</g>\n";
    for (at, state) in states.into_iter().enumerate() {
        let x = MARGIN + (at % per_row) as f64 * LEGEND_COLUMN;
        let y = MARGIN + layout.height + 16.0 + (at / per_row) as f64 * 20.0;
        svg += &format!(
            "<g class=\"{0}\" transform=\"translate({1} {2})\">{3}\
             <text class=\"detail\" x=\"18\" y=\"10.5\" font-size=\"11.5\" fill=\"#59625f\">{0}</text></g>\n",
            state.name(),
            px(x),
            px(y),
            sign(state),
        );
    }
    svg + "</svg>\n"
}

fn box_width(node: &Node, detailed: bool) -> f64 {
    let label = width(&node.label) as f64 * LABEL_COLUMN;
    if !detailed {
        return (label + 2.0 * PADDING).clamp(NARROWEST, WIDEST);
    }
    let label = label + if node.state.is_some() { SIGN } else { 0.0 };
    let group = node.group.as_deref().map_or(0, width);
    let below = width(&node.detail).max(group) as f64 * DETAIL_COLUMN;
    (label.max(below) + 2.0 * PADDING).clamp(NARROWEST, WIDEST)
}

fn draw_node(svg: &mut String, node: &Node, (x, y, width, height): (f64, f64, f64, f64), lines: usize, detailed: bool) {
    let class = node.state.map_or("none", State::name);
    let (stroke, weight, dash) = match node.state {
        Some(State::Executed) => ("#0a6a5c", "1.5", ""),
        Some(State::Failed) => ("#b3261e", "2", ""),
        Some(State::Skipped | State::Cancelled | State::Pending) => ("#7d8885", "1.2", " stroke-dasharray=\"4 3\""),
        Some(State::Cached | State::Shared) | None => ("#7d8885", "1.2", ""),
    };
    *svg += &format!("<g class=\"{class}\" transform=\"translate({} {})\">", px(x), px(y));
    let (w, h) = (px(width), px(height));
    if detailed {
        let mut title = node.label.clone();
        for more in [node.detail.as_str(), node.group.as_deref().unwrap_or(""), node.state.map_or("", State::name)] {
            if !more.is_empty() {
                title = format!("{title}, {more}");
            }
        }
        *svg += &format!("<title>{}</title>", xml(&title));
    }
    if node.state == Some(State::Shared) {
        *svg += &format!(
            "<rect class=\"box\" x=\"3\" y=\"3\" width=\"{w}\" height=\"{h}\" rx=\"5\" fill=\"#ffffff\" \
             stroke=\"{stroke}\" stroke-width=\"{weight}\"/>"
        );
    }
    *svg += &format!(
        "<rect class=\"box\" width=\"{w}\" height=\"{h}\" rx=\"5\" fill=\"#ffffff\" stroke=\"{stroke}\" \
         stroke-width=\"{weight}\"{dash}/>"
    );
    if matches!(node.state, Some(State::Executed | State::Failed)) {
        *svg += &format!(
            "<path class=\"bar\" d=\"M5 0H4.5V{h}H5A5 5 0 0 1 0 {}V5A5 5 0 0 1 5 0Z\" fill=\"{stroke}\"/>",
            px(height - 5.0)
        );
    }
    let columns = |column: f64, less: f64| ((width - 2.0 * PADDING - less) / column + 0.01) as usize;
    let mut baseline = (height - LINE * lines as f64) / 2.0 + 12.0;
    let mut line = |class: &str, size: &str, extra: &str, fill: &str, text: String| {
        *svg += &format!(
            "<text class=\"{class}\" x=\"{PADDING}\" y=\"{}\" font-size=\"{size}\"{extra} fill=\"{fill}\">{}</text>",
            px(baseline),
            xml(&text)
        );
        baseline += LINE;
    };
    let sign_room = if detailed && node.state.is_some() { SIGN } else { 0.0 };
    line("name", "13", " font-weight=\"600\"", "#1b2220", cut(&node.label, columns(LABEL_COLUMN, sign_room)));
    if detailed {
        if !node.detail.is_empty() {
            line("detail", "11.5", "", "#59625f", cut(&node.detail, columns(DETAIL_COLUMN, 0.0)));
        }
        if let Some(group) = &node.group {
            line("variant", "11.5", "", "#0a6a5c", cut(group, columns(DETAIL_COLUMN, 0.0)));
        }
        if let Some(state) = node.state {
            *svg += &format!("<g transform=\"translate({} 8)\">{}</g>", px(width - 22.0), sign(state));
        }
    }
    *svg += "</g>\n";
}

/// A state's sign, 13 by 13: shape says what colour says.
fn sign(state: State) -> String {
    let (path, stroke) = match state {
        State::Executed => ("M2 7l3.2 3.2L11 3.5", "#0a6a5c"),
        State::Cached => ("M10.8 6.5a4.3 4.3 0 1 1-1.3-3.1M10.6 1.2V3.8H8", "#59625f"),
        State::Shared => ("M2 2h6.5v6.5H2zM4.5 11H11V4.5", "#59625f"),
        State::Failed => ("M2.5 2.5l8 8M10.5 2.5l-8 8", "#b3261e"),
        State::Skipped => ("M2.5 6.5h8", "#59625f"),
        State::Cancelled => ("M3 3h7v7H3z", "#59625f"),
        State::Pending => ("M6.5 2.5a4 4 0 1 1 0 8a4 4 0 1 1 0-8z", "#59625f"),
    };
    format!(
        "<path class=\"sign\" d=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1.7\" \
         stroke-linecap=\"round\" stroke-linejoin=\"round\"/>"
    )
}

fn draw_edges(svg: &mut String, graph: &Graph, layout: &Layout, height: f64, detailed: bool) {
    *svg += "<g fill=\"none\" stroke-width=\"1.3\" stroke-linejoin=\"round\">\n";
    for (edge, route) in graph.edges.iter().zip(&layout.edges) {
        let Some(route) = route else { continue };
        *svg += &format!("<path class=\"edge\" stroke=\"#7d8885\" d=\"{}\"", curve(route, height));
        if detailed {
            let label = edge.label.as_deref().map(|label| format!(": {label}")).unwrap_or_default();
            *svg += &format!("><title>{}</title></path>\n", xml(&format!("{} → {}{label}", edge.from, edge.to)));
        } else {
            *svg += "/>\n";
        }
    }
    *svg += "</g>\n";
    if !detailed {
        return;
    }
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    for (edge, route) in graph.edges.iter().zip(&layout.edges) {
        let (Some(label), Some(route)) = (edge.label.as_deref().filter(|label| !label.is_empty()), route) else {
            continue;
        };
        let label = cut(label, 18);
        let half = width(&label) as f64 * EDGE_COLUMN / 2.0;
        // A label that finds no room is left to the edge's title.
        let place = places(route, height).into_iter().find(|&(x, y)| {
            x - half >= 0.0
                && x + half <= layout.width
                && taken.iter().all(|&(ox, oy, other)| (x - ox).abs() >= half + other + 4.0 || (y - oy).abs() >= 12.0)
        });
        if let Some((x, y)) = place {
            taken.push((x, y, half));
            *svg += &format!(
                "<text class=\"port\" x=\"{}\" y=\"{}\" font-size=\"10.5\" text-anchor=\"middle\" fill=\"#59625f\" \
                 stroke=\"#ffffff\" stroke-width=\"4\" stroke-linejoin=\"round\" paint-order=\"stroke\">{}</text>\n",
                px(x),
                px(y + 3.5),
                xml(&label)
            );
        }
    }
}

/// The path of an edge: upright where it leaves, passes and arrives, with an arrowhead.
fn curve(route: &Route, height: f64) -> String {
    let mut path = format!("M{} {}", px(route.start.0), px(route.start.1));
    let mut from = route.start;
    let mut bend = |path: &mut String, to: (f64, f64)| {
        if (from.0 - to.0).abs() < 0.05 {
            *path += &format!("V{}", px(to.1));
        } else {
            let middle = px((from.1 + to.1) / 2.0);
            *path += &format!("C{} {middle} {} {middle} {} {}", px(from.0), px(to.0), px(to.0), px(to.1));
        }
        from = to;
    };
    for &(x, y) in &route.lanes {
        bend(&mut path, (x, y));
        bend(&mut path, (x, y + height));
    }
    let (x, y) = route.end;
    bend(&mut path, (x, y - 1.5));
    path + &format!("M{} {}L{} {}L{} {}", px(x - 3.5), px(y - 7.0), px(x), px(y - 1.5), px(x + 3.5), px(y - 7.0))
}

/// Where an edge's label may stand, best first: on its last bend, which is the one next to the stage it goes to.
fn places(route: &Route, height: f64) -> Vec<(f64, f64)> {
    let from = route.lanes.last().map_or(route.start, |&(x, y)| (x, y + height));
    let to = route.end;
    if to.1 - from.1 < 30.0 {
        return Vec::new();
    }
    [0.5, 0.38, 0.62, 0.3, 0.7]
        .into_iter()
        .map(|t: f64| {
            let u = 1.0 - t;
            let middle = (from.1 + to.1) / 2.0;
            let ends = (u * u * u, t * t * t);
            let (near, far) = (3.0 * u * u * t, 3.0 * u * t * t);
            ((ends.0 + near) * from.0 + (ends.1 + far) * to.0, ends.0 * from.1 + (near + far) * middle + ends.1 * to.1)
        })
        .collect()
}

/// A length to a tenth, as short as it can be.
fn px(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    let tenths = if tenths == 0.0 { 0.0 } else { tenths };
    format!("{tenths}")
}
