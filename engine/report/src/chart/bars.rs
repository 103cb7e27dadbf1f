//! Bars that lie, so that their names can be read.

use super::axis::length;
use super::{Chart, Drawing, WIDTH, group, height, place_text, titled};
use crate::number;
use crate::text::{cut, xml};

/// How many groups of bars, and how many bars, are drawn; the rest is left to the table.
const GROUPS: usize = 30;
const BARS: usize = 90;
/// How thick a bar is.
const THICK: f64 = 13.0;

pub(super) fn draw(chart: Chart<'_>) -> Drawing {
    let places = chart.places();
    let heights = || chart.0.series.iter().flat_map(|series| &series.points).filter_map(height);
    if heights().next().is_none() {
        return chart.nothing();
    }
    let low = heights().fold(0.0, f64::min);
    let high = heights().fold(0.0, f64::max);
    let most = (BARS / chart.series.len().max(1)).clamp(1, GROUPS);
    let shown = places.get(..places.len().min(most)).unwrap_or(&places);
    let scale = number::Scale::of(heights());
    let names: Vec<String> = shown.iter().map(|place| cut(&place_text(place), 22)).collect();
    let name_room = names.iter().map(|name| length(name)).fold(0.0, f64::max) + 10.0;
    let value_room = heights().map(|y| length(&scale.number(y))).fold(0.0, f64::max) + 8.0;
    let plot = (WIDTH - name_room - value_room).max(60.0);
    let x_of = |y: f64| name_room + if high > low { (y - low) / (high - low) * plot } else { 0.0 };

    let mut bottom = 24.0;
    let mut svg = format!(
        "<text class=\"axis\" x=\"0\" y=\"11\">{}</text><text class=\"axis\" x=\"{WIDTH}\" y=\"11\" \
         text-anchor=\"end\">{}</text>\n",
        xml(&cut(&chart.x_label, 24)),
        xml(&cut(&chart.y_label, 30))
    );
    for (place, name) in shown.iter().zip(&names) {
        svg += &format!("<text class=\"label\" x=\"0\" y=\"{:.1}\">{}</text>", bottom + 10.5, xml(name));
        let top = bottom;
        for (index, series) in chart.series.iter().enumerate() {
            let Some(y) = series.points.iter().find(|point| point.x == **place).and_then(height) else {
                continue;
            };
            // No room is kept for a bar that is not there: series may share the places out among them.
            let y_top = bottom;
            bottom += THICK + 2.0;
            let (from, to) = (x_of(y.min(0.0)), x_of(y.max(0.0)));
            svg += &group(index);
            if y != 0.0 {
                let words = chart.words(series, &place_text(place), &scale.number(y));
                svg += &format!(
                    "<rect class=\"bar\" x=\"{from:.1}\" y=\"{y_top:.1}\" width=\"{:.1}\" height=\"{THICK}\" \
                     rx=\"1.5\">{}</rect>",
                    (to - from).max(1.0),
                    titled(&words),
                );
            }
            svg += &format!(
                "<text class=\"tick\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text></g>",
                y_top + 10.5,
                scale.number(y)
            );
        }
        bottom = bottom.max(top + THICK + 2.0) + 8.0;
        svg.push('\n');
    }
    if low < 0.0 {
        svg += &format!("<path class=\"zero\" d=\"M{:.1} 20V{bottom:.1}\"/>\n", x_of(0.0));
    }
    let more = places.len() - shown.len();
    if more > 0 {
        svg += &format!(
            "<text class=\"tick\" x=\"0\" y=\"{:.1}\">and {} more in the table</text>\n",
            bottom + 10.0,
            number::count(more as u64)
        );
        bottom += 18.0;
    }
    chart.framed(WIDTH, bottom, &svg)
}
