//! Small charts: curves, and bars that lie so that their names can be read.

use std::ops::Deref;

use stagewright_contract::{Figure, FigureKind, Point, X};

use crate::number;
use crate::text::{cut, width, xml};

/// Made for a phone's width; on a wider page they stand side by side.
const WIDTH: f64 = 360.0;
const PLOT_HEIGHT: f64 = 160.0;
const COLUMN: f64 = 6.1;
/// Beyond this many points a curve has no markers, and beyond this many bars the rest is left to the table.
const MARKED: usize = 40;
const BARS: usize = 30;
/// How many series look different.
pub(crate) const LOOKS: usize = 6;

/// A figure as it is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Chart<'a>(pub(crate) &'a Figure);

impl Deref for Chart<'_> {
    type Target = Figure;

    fn deref(&self) -> &Figure {
        self.0
    }
}

/// A place as it is read on an axis and in a table.
pub(crate) fn place_text(place: &X) -> String {
    match place {
        X::Number(number) => number::number(*number),
        X::Name(name) => name.clone(),
    }
}

fn height(point: &Point) -> Option<f64> {
    point.y.filter(|y| drawable(*y))
}

impl<'a> Chart<'a> {
    /// Every place on the axis that runs across, once: numbers ascending, names in the order of their first mention.
    pub(crate) fn places(&self) -> Vec<&'a X> {
        let mut places: Vec<&'a X> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for point in self.0.series.iter().flat_map(|series| &series.points) {
            let key = match &point.x {
                X::Number(number) => (Some(number.to_bits()), None),
                X::Name(name) => (None, Some(name.as_str())),
            };
            if seen.insert(key) {
                places.push(&point.x);
            }
        }
        if self.kind == FigureKind::Line {
            places.sort_by(|a, b| match (a, b) {
                (X::Number(a), X::Number(b)) => a.total_cmp(b),
                _ => std::cmp::Ordering::Equal,
            });
        }
        places
    }

    /// The drawing, as an element of an HTML page whose style gives it colours.
    pub(crate) fn svg(&self) -> String {
        match self.kind {
            FigureKind::Bar => self.bars(),
            _ => self.lines(),
        }
    }

    fn open(&self, height: f64) -> String {
        format!(
            "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {WIDTH} {height:.0}\"><title>{}</title>\n",
            xml(&format!("{}: {} by {}. The numbers are in the table below.", self.title, self.y_label, self.x_label)),
        )
    }

    fn lines(&self) -> String {
        let places = self.places();
        let names: Vec<&X> = places.iter().copied().filter(|x| matches!(x, X::Name(_))).collect();
        // Where names and numbers mix, or there are only names, the place in the list is what counts.
        let at = |x: &X| match x {
            X::Number(number) if names.is_empty() => drawable(*number).then_some(*number),
            _ => places.iter().position(|place| *place == x).map(|at| at as f64),
        };
        let points: Vec<Vec<Option<(f64, f64)>>> = self
            .series
            .iter()
            .map(|series| {
                let mut points: Vec<(Option<f64>, Option<f64>)> =
                    series.points.iter().map(|point| (at(&point.x), height(point))).collect();
                points.sort_by(|a, b| a.0.unwrap_or(f64::INFINITY).total_cmp(&b.0.unwrap_or(f64::INFINITY)));
                points.into_iter().map(|(x, y)| Some((x?, y?))).collect()
            })
            .collect();
        let all = || points.iter().flatten().flatten().copied();
        let Some(first) = all().next() else { return self.nothing() };
        let (mut left, mut right, mut low, mut high) = (first.0, first.0, first.1, first.1);
        for (x, y) in all() {
            (left, right, low, high) = (left.min(x), right.max(x), low.min(y), high.max(y));
        }
        if low > 0.0 && low < 0.5 * high {
            low = 0.0;
        }
        let (low, high, step) = nice(low, high, 4);
        let y_ticks = ticks(low, high, step);
        let y_texts = tick_texts(&y_ticks, step);
        let margin = y_texts.iter().map(|text| width(text)).max().unwrap_or(0) as f64 * COLUMN + 12.0;
        let (plot_left, plot_right, top) = (margin, WIDTH - 12.0, 26.0);
        let bottom = top + PLOT_HEIGHT;
        let x_of = |x: f64| {
            if right > left {
                plot_left + 8.0 + (x - left) / (right - left) * (plot_right - plot_left - 16.0)
            } else {
                (plot_left + plot_right) / 2.0
            }
        };
        let y_of = |y: f64| bottom - (y - low) / (high - low) * PLOT_HEIGHT;

        let mut svg = self.open(bottom + 38.0);
        svg += &format!("<text class=\"axis\" x=\"0\" y=\"11\">{}</text>\n", xml(&cut(&self.y_label, 56)));
        for (tick, text) in y_ticks.iter().zip(&y_texts) {
            svg += &format!(
                "<path class=\"grid\" d=\"M{plot_left:.1} {y:.1}H{plot_right:.1}\"/><text class=\"tick\" x=\"{:.1}\" \
                 y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n",
                plot_left - 6.0,
                y_of(*tick) + 4.0,
                y = y_of(*tick),
            );
        }
        let x_ticks: Vec<(f64, String)> = if names.is_empty() {
            if places.len() <= 12 {
                places.iter().filter_map(|place| Some((at(place)?, place_text(place)))).collect()
            } else {
                let (from, to, step) = nice(left, right, 6);
                let ticks = ticks(from, to, step);
                let texts = tick_texts(&ticks, step);
                ticks.into_iter().zip(texts).filter(|(tick, _)| (left..=right).contains(tick)).collect()
            }
        } else {
            places.iter().enumerate().map(|(at, place)| (at as f64, cut(&place_text(place), 12))).collect()
        };
        let mut free_from = f64::NEG_INFINITY;
        for (tick, text) in x_ticks {
            let half = width(&text) as f64 * COLUMN / 2.0;
            let x = x_of(tick).max(half).min(WIDTH - half);
            // A tick whose text would run into the one before stays without text.
            if x - half < free_from {
                continue;
            }
            free_from = x + half + 5.0;
            svg += &format!(
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                bottom + 16.0,
                xml(&text)
            );
        }
        svg += &format!(
            "<text class=\"axis\" x=\"{plot_right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            bottom + 33.0,
            xml(&format!("{} →", cut(&self.x_label, 54)))
        );
        for (index, points) in points.iter().enumerate() {
            let mut path = String::new();
            let mut pen_up = true;
            for point in points {
                match point {
                    Some((x, y)) => {
                        path += &format!("{}{:.1} {:.1}", if pen_up { "M" } else { "L" }, x_of(*x), y_of(*y));
                        pen_up = false;
                    }
                    None => pen_up = true,
                }
            }
            svg += &format!("<g class=\"s{}\"><path class=\"curve\" d=\"{path}\"/>", index % LOOKS);
            if points.len() <= MARKED {
                for (x, y) in points.iter().flatten() {
                    svg += &marker(index, x_of(*x), y_of(*y));
                }
            }
            svg += "</g>\n";
        }
        svg + "</svg>\n"
    }

    fn bars(&self) -> String {
        let places = self.places();
        let heights = || self.series.iter().flat_map(|series| &series.points).filter_map(height);
        if heights().next().is_none() {
            return self.nothing();
        }
        let low = heights().fold(0.0, f64::min);
        let high = heights().fold(0.0, f64::max);
        let shown = places.get(..places.len().min(BARS)).unwrap_or(&places);
        let scale = number::Scale::of(heights());
        let names: Vec<String> = shown.iter().map(|place| cut(&place_text(place), 22)).collect();
        let name_room = names.iter().map(|name| width(name)).max().unwrap_or(0) as f64 * COLUMN + 10.0;
        let value_room = heights().map(|y| width(&scale.number(y))).max().unwrap_or(0) as f64 * COLUMN + 8.0;
        let plot = (WIDTH - name_room - value_room).max(60.0);
        let x_of = |y: f64| name_room + if high > low { (y - low) / (high - low) * plot } else { 0.0 };

        let bar = 13.0;
        let group = self.series.len() as f64 * (bar + 2.0) + 8.0;
        let more = places.len() - shown.len();
        let mut svg = self.open(24.0 + group * shown.len() as f64 + if more > 0 { 18.0 } else { 0.0 });
        svg += &format!(
            "<text class=\"axis\" x=\"0\" y=\"11\">{}</text><text class=\"axis\" x=\"{WIDTH}\" y=\"11\" \
             text-anchor=\"end\">{}</text>\n",
            xml(&cut(&self.x_label, 24)),
            xml(&cut(&self.y_label, 30))
        );
        for (row, (place, name)) in shown.iter().zip(&names).enumerate() {
            let top = 24.0 + group * row as f64;
            svg += &format!("<text class=\"label\" x=\"0\" y=\"{:.1}\">{}</text>", top + 10.5, xml(name));
            for (index, series) in self.series.iter().enumerate() {
                let Some(y) = series.points.iter().find(|point| point.x == **place).and_then(height) else {
                    continue;
                };
                let y_top = top + index as f64 * (bar + 2.0);
                let (from, to) = (x_of(y.min(0.0)), x_of(y.max(0.0)));
                svg += &format!(
                    "<g class=\"s{}\"><rect class=\"bar\" x=\"{from:.1}\" y=\"{y_top:.1}\" width=\"{:.1}\" height=\"{bar}\" \
                     rx=\"1.5\"/></g><text class=\"tick\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    index % LOOKS,
                    (to - from).max(1.0),
                    y_top + 10.5,
                    scale.number(y)
                );
            }
            svg.push('\n');
        }
        if low < 0.0 {
            svg += &format!(
                "<path class=\"zero\" d=\"M{:.1} 20V{:.1}\"/>\n",
                x_of(0.0),
                20.0 + group * shown.len() as f64
            );
        }
        if more > 0 {
            svg += &format!(
                "<text class=\"tick\" x=\"0\" y=\"{:.1}\">and {} more in the table</text>\n",
                24.0 + group * shown.len() as f64 + 10.0,
                number::count(more as u64)
            );
        }
        svg + "</svg>\n"
    }

    fn nothing(&self) -> String {
        self.open(40.0) + "<text class=\"tick\" x=\"0\" y=\"24\">Nothing to draw: no value is defined.</text></svg>\n"
    }
}

/// The sign of a series at a point: shape says what colour says.
pub(crate) fn marker(series: usize, x: f64, y: f64) -> String {
    match series % LOOKS {
        0 => format!("<circle class=\"marker\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\"/>"),
        1 => format!("<path class=\"marker\" d=\"M{:.1} {:.1}h6.4v6.4h-6.4z\"/>", x - 3.2, y - 3.2),
        2 => format!("<path class=\"marker\" d=\"M{x:.1} {:.1}l4.2 7.2h-8.4z\"/>", y - 4.6),
        3 => format!("<path class=\"marker\" d=\"M{x:.1} {:.1}l4.4 4.4l-4.4 4.4l-4.4-4.4z\"/>", y - 4.4),
        4 => format!("<path class=\"marker\" d=\"M{x:.1} {:.1}l-4.2-7.2h8.4z\"/>", y + 4.6),
        _ => format!(
            "<path class=\"marker\" d=\"M{:.1} {:.1}h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z\"/>",
            x - 1.3,
            y - 4.0
        ),
    }
}

/// Whether a number has a place on an axis: the length of an axis must be a number too.
fn drawable(value: f64) -> bool {
    value.abs() <= 1e300
}

/// Round bounds that enclose a range, and a step of 1, 2 or 5 times a power of ten.
fn nice(low: f64, high: f64, steps: u32) -> (f64, f64, f64) {
    // What differs only in its last digits is drawn as equal.
    let (low, high) = if high - low > 1e-9 * high.abs().max(low.abs()) {
        (low, high)
    } else {
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        (low - room, high + room)
    };
    let rough = (high / f64::from(steps) - low / f64::from(steps)).max(f64::MIN_POSITIVE * 1e16);
    // By way of text, because a logarithm may differ in its last digit between machines.
    let power = format!("{rough:e}").split_once('e').and_then(|(_, power)| power.parse::<i32>().ok()).unwrap_or(0);
    let unit = 10_f64.powi(power);
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| rough <= step * unit * 1.000_001).unwrap_or(10.0) * unit;
    let from = (low / step + 1e-9).floor() * step;
    (from, ((high / step - 1e-9).ceil() * step).max(from + step), step)
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step).round();
    let number = ((high - low) / step).round();
    if !first.is_finite() || !(0.0..=50.0).contains(&number) {
        return vec![low, high];
    }
    (0..=number as u32).map(|at| (first + f64::from(at)) * step).collect()
}

/// The ticks' texts, all to the decimals that the step has.
fn tick_texts(ticks: &[f64], step: f64) -> Vec<String> {
    let largest = ticks.iter().fold(0.0_f64, |largest, tick| largest.max(tick.abs()));
    let (unit, suffix) = match largest {
        large if !(1e-4..1e15).contains(&large) => return ticks.iter().map(|tick| number::number(*tick)).collect(),
        large if large >= 1e6 => (1e6, "\u{a0}M"),
        large if large >= 1e4 => (1e3, "\u{a0}k"),
        _ => (1.0, ""),
    };
    let step = step / unit;
    let decimals = (0..8).find(|&decimals| {
        let scaled = step * 10_f64.powi(decimals);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
    });
    let decimals = usize::try_from(decimals.unwrap_or(4)).unwrap_or(0);
    ticks
        .iter()
        .map(|tick| {
            let tick = tick / unit;
            let tick = if tick.abs() < step / 1e3 { 0.0 } else { tick };
            let suffix = if tick == 0.0 { "" } else { suffix };
            format!("{}{suffix}", format!("{tick:.decimals$}").replace('-', "−"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use stagewright_contract::Series;

    use super::*;

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
            vec![f64::INFINITY, 1.0],
            vec![1.0, 1.0 + f64::EPSILON],
            vec![1e-320],
        ];
        for values in extremes {
            for kind in [FigureKind::Line, FigureKind::Bar] {
                let points = values.iter().map(|&y| (y, y));
                let figure = Figure {
                    title: "t".to_owned(),
                    x_label: "x".to_owned(),
                    y_label: "y".to_owned(),
                    kind,
                    series: vec![Series::new("s", points)],
                };
                let svg = Chart(&figure).svg();
                assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}: {svg}");
            }
        }
    }

    #[test]
    fn curves_run_by_number_and_break_where_a_value_is_undefined() {
        let point = |x: f64, y| Point { x: x.into(), y };
        let figure = Figure {
            title: "t".to_owned(),
            x_label: "k".to_owned(),
            y_label: "y".to_owned(),
            kind: FigureKind::Line,
            series: vec![Series {
                name: "s".to_owned(),
                points: vec![point(3.0, Some(1.0)), point(1.0, Some(2.0)), point(2.0, None), point(4.0, Some(2.0))],
            }],
        };
        let svg = Chart(&figure).svg();
        let curve = svg.lines().find(|line| line.contains("curve")).unwrap();
        assert_eq!(curve.matches('M').count(), 2, "{curve}");
        assert_eq!(curve.matches('L').count(), 1, "{curve}");
    }
}
