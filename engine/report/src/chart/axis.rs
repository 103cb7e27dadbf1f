//! Axes: round bounds, ticks and their texts.

use super::{COLUMN, Chart, Places, WIDTH, place_text};
use crate::text::{cut, width, xml};

const PLOT_HEIGHT: f64 = 160.0;
/// Where a plot begins and ends; what is left of it depends on the texts there.
pub(super) const TOP: f64 = 26.0;
pub(super) const RIGHT: f64 = WIDTH - 12.0;
pub(super) const BOTTOM: f64 = TOP + PLOT_HEIGHT;
/// Up to so many numbers on the axis that runs across each have their text.
const EACH: usize = 12;

/// How wide a text is, about.
pub(super) fn length(text: &str) -> f64 {
    width(text) as f64 * COLUMN
}

/// The axis that runs up.
pub(super) struct Upward {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
    /// Where the plot begins, right of the texts.
    pub(super) left: f64,
}

impl Upward {
    /// Round bounds about a range.
    pub(super) fn new(low: f64, high: f64) -> Self {
        let (low, high, step) = nice(low, high, 4);
        let ticks = ticks(low, high, step);
        let texts = tick_texts(&ticks, step);
        let left = texts.iter().map(|text| length(text)).fold(0.0, f64::max) + 12.0;
        Self { low, high, ticks: ticks.into_iter().zip(texts).collect(), left }
    }

    pub(super) fn at(&self, y: f64) -> f64 {
        BOTTOM - (y - self.low) / (self.high - self.low) * PLOT_HEIGHT
    }

    /// The lines behind the plot, their texts, and above them what is measured.
    pub(super) fn svg(&self, chart: Chart<'_>, right: f64) -> String {
        let mut svg = format!("<text class=\"axis\" x=\"0\" y=\"11\">{}</text>\n", xml(&cut(&chart.y_label, 56)));
        for (tick, text) in &self.ticks {
            let (y, left) = (self.at(*tick), self.left);
            svg += &format!(
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{text}</text>\n",
                left - 6.0,
                y + 4.0,
            );
        }
        svg
    }
}

/// The axis that runs across.
pub(super) struct Across {
    low: f64,
    high: f64,
    left: f64,
    right: f64,
}

impl Across {
    pub(super) fn new(low: f64, high: f64, left: f64, right: f64) -> Self {
        Self { low, high, left: left + 8.0, right: right - 8.0 }
    }

    pub(super) fn at(&self, x: f64) -> f64 {
        if self.high > self.low {
            self.left + (x - self.low) / (self.high - self.low) * (self.right - self.left)
        } else {
            f64::midpoint(self.left, self.right)
        }
    }

    /// The ticks' texts below the plot.
    pub(super) fn svg(&self, places: &Places<'_>, each: bool) -> String {
        let of_places = || places.list.iter().filter_map(|place| Some((places.at(place)?, place_text(place))));
        let texts: Vec<(f64, String)> = if places.listed.is_some() {
            of_places().map(|(at, text)| (at, cut(&text, 12))).collect()
        } else if each && places.list.len() <= EACH {
            of_places().collect()
        } else {
            let (from, to, step) = nice(self.low, self.high, 6);
            let ticks = ticks(from, to, step);
            let texts = tick_texts(&ticks, step);
            ticks.into_iter().zip(texts).filter(|(tick, _)| (self.low..=self.high).contains(tick)).collect()
        };
        texts_below(texts.into_iter().map(|(at, text)| (self.at(at), text)))
    }
}

/// Texts under a plot, from left to right. One that would run into the one before is left out.
pub(super) fn texts_below(texts: impl IntoIterator<Item = (f64, String)>) -> String {
    let mut svg = String::new();
    let mut free_from = f64::NEG_INFINITY;
    for (x, text) in texts {
        let half = length(&text) / 2.0;
        let x = x.max(half).min(WIDTH - half);
        if x - half < free_from {
            continue;
        }
        free_from = x + half + 5.0;
        svg += &format!(
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            BOTTOM + 16.0,
            xml(&text)
        );
    }
    svg
}

/// What runs across, in the lower right corner.
pub(super) fn label_across(chart: Chart<'_>, right: f64, y: f64) -> String {
    let label = xml(&format!("{} →", cut(&chart.x_label, 54)));
    format!("<text class=\"axis\" x=\"{right:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>\n")
}

/// The smallest and the largest of the places and the heights.
pub(super) fn bounds(points: impl IntoIterator<Item = (f64, f64)>) -> Option<(f64, f64, f64, f64)> {
    points.into_iter().fold(None, |bounds, (x, y)| {
        let (left, right, low, high) = bounds.unwrap_or((x, x, y, y));
        Some((left.min(x), right.max(x), low.min(y), high.max(y)))
    })
}

/// Whether a number has a place on an axis: the length of an axis must be a number too.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() <= 1e300
}

/// Round bounds that enclose a range, and a step of 1, 2 or 5 times a power of ten.
pub(super) fn nice(low: f64, high: f64, steps: u32) -> (f64, f64, f64) {
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

pub(super) fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step).round();
    let number = ((high - low) / step).round();
    if !first.is_finite() || !(0.0..=50.0).contains(&number) {
        return vec![low, high];
    }
    (0..=number as u32).map(|at| (first + f64::from(at)) * step).collect()
}

/// The ticks' texts, all to the decimals that the step has.
pub(super) fn tick_texts(ticks: &[f64], step: f64) -> Vec<String> {
    let largest = ticks.iter().fold(0.0_f64, |largest, tick| largest.max(tick.abs()));
    let (unit, suffix) = match largest {
        large if !(1e-4..1e15).contains(&large) => {
            return ticks.iter().map(|tick| crate::number::number(*tick)).collect();
        }
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
