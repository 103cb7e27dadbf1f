//! Differences with their intervals, below each other.

use super::axis::{length, nice, tick_texts, ticks};
use super::{Drawing, WIDTH};
use crate::number;
use crate::text::{cut, xml};
use crate::{Comparison, Goal, Row, Verdict};

/// How many variants are drawn; the rest is left to the table.
const ROWS: usize = 30;
const HEIGHT: f64 = 20.0;
const TOP: f64 = 18.0;
/// The room for the sign of the verdict.
const SIGN: f64 = 18.0;

/// A variant: its name, the difference, the interval and the verdict.
type Interval<'a> = (&'a str, f64, [f64; 2], Option<Verdict>);

/// A forest plot of a metric, best first; `None` where no difference has an interval. It shows relative differences where
/// every interval has one, else differences in the metric's own unit.
pub(crate) fn draw(comparison: &Comparison, row: &Row) -> Option<Drawing> {
    let tested = || row.cells.iter().filter(|cell| cell.interval.or(cell.relative_interval).is_some());
    let relative = tested().all(|cell| cell.relative.and(cell.relative_interval).is_some());
    let found = |at: usize| -> Option<Interval<'_>> {
        let cell = row.cells.get(at)?;
        let (middle, [low, high]) = if relative {
            (cell.relative? * 100.0, cell.relative_interval?.map(|end| end * 100.0))
        } else {
            (cell.difference?, cell.interval?)
        };
        let finite = [middle, low, high].iter().all(|number| super::axis::drawable(*number));
        finite.then_some((comparison.variants.get(at)?.as_str(), middle, [low, high], cell.verdict))
    };
    let mut intervals: Vec<Interval<'_>> = comparison.ranked(row).into_iter().filter_map(found).collect();
    if intervals.is_empty() {
        return None;
    }
    let more = intervals.len().saturating_sub(ROWS);
    intervals.truncate(ROWS);

    let ends = || intervals.iter().flat_map(|(_, middle, [low, high], _)| [*middle, *low, *high]);
    let (low, high, step) = nice(ends().fold(0.0, f64::min), ends().fold(0.0, f64::max), 5);
    let names: Vec<String> = intervals.iter().map(|(name, ..)| cut(name, 18)).collect();
    let left = names.iter().map(|name| length(name)).fold(0.0, f64::max) + 12.0;
    let right = WIDTH - SIGN - 6.0;
    let x_of = |value: f64| left + (value - low) / (high - low) * (right - left);
    let bottom = TOP + HEIGHT * intervals.len() as f64;

    let mut svg = String::new();
    let ticks = ticks(low, high, step);
    let mut free_from = f64::NEG_INFINITY;
    for (tick, text) in ticks.iter().zip(tick_texts(&ticks, step)) {
        let x = x_of(*tick);
        let class = if *tick == 0.0 { "zero" } else { "grid" };
        svg += &format!("<path class=\"{class}\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>");
        let text = if relative { format!("{text}\u{a0}%") } else { text };
        let half = length(&text) / 2.0;
        if x - half > free_from && x + half <= WIDTH {
            free_from = x + half + 5.0;
            svg += &format!(
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>\n",
                bottom + 15.0
            );
        }
    }
    let direction = match row.goal {
        Goal::Maximize => "better →",
        Goal::Minimize => "← better",
        Goal::Describe => "",
    };
    svg += &format!(
        "<text class=\"axis\" x=\"{:.1}\" y=\"11\" text-anchor=\"middle\">{direction}</text>\n",
        f64::midpoint(left, right)
    );
    for (at, (name, (full, middle, [low, high], verdict))) in names.iter().zip(&intervals).enumerate() {
        let y = TOP + HEIGHT * (at as f64 + 0.5);
        let (class, sign) = verdict.map_or(("", ""), |verdict| (verdict.class(), verdict.sign()));
        svg += &format!(
            "<g class=\"interval {class}\"><title>{}</title>\
             <rect class=\"ground\" x=\"0\" y=\"{:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\
             <text class=\"label\" x=\"0\" y=\"{:.1}\">{}</text>\
             <path class=\"whisker\" d=\"M{a:.1} {y:.1}H{b:.1}M{a:.1} {c:.1}V{d:.1}M{b:.1} {c:.1}V{d:.1}\"/>\
             <circle class=\"middle\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3.6\"/>\
             <text class=\"sign\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{sign}</text></g>\n",
            xml(&words(full, *middle, [*low, *high], *verdict, relative)),
            y - HEIGHT / 2.0,
            y + 4.0,
            xml(name),
            x_of(*middle),
            y + 4.0,
            a = x_of(*low),
            b = x_of(*high),
            c = y - 3.5,
            d = y + 3.5,
        );
    }
    let mut end = bottom + 22.0;
    if more > 0 {
        end += 16.0;
        svg += &format!("<text class=\"tick\" x=\"0\" y=\"{:.1}\">and {more} more in the table</text>\n", end - 5.0);
    }
    let title = format!("{}: differences with their intervals. The numbers are in the table above.", row.metric);
    let svg = format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {WIDTH} {end:.0}\"><title>{}</title>\n{svg}</svg>\n",
        xml(&title)
    );
    Some(Drawing { svg, width: WIDTH })
}

/// `honest: +5.43 % (−1.2 % to +12.1 %), no difference shown`.
fn words(name: &str, middle: f64, ends: [f64; 2], verdict: Option<Verdict>, relative: bool) -> String {
    let text = |value: f64| {
        if relative { number::relative(value / 100.0) } else { number::Scale::of([middle]).difference(value) }
    };
    let verdict = verdict.map(|verdict| format!(", {}", verdict.words())).unwrap_or_default();
    format!("{name}: {} ({} to {}){verdict}", text(middle), text(ends[0]), text(ends[1]))
}
