//! Points alone.

use super::axis::{Across, BOTTOM, RIGHT, Upward, bounds, label_across};
use super::{Chart, Drawing, POINTS, Places, WIDTH, group, height, marker, titled};
use crate::number;

/// Beyond this many points of a series they are dots instead of markers.
const MARKED: usize = 60;

pub(super) fn draw(chart: Chart<'_>) -> Drawing {
    let places = Places::of(chart);
    let longest = chart.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    // Every so many-th of all series alike, so that they keep their proportions.
    let step = longest.div_ceil(POINTS).max(1);
    let clouds: Vec<Vec<(f64, f64)>> = chart
        .series
        .iter()
        .map(|series| {
            let points = series.points.iter().step_by(step);
            points.filter_map(|point| Some((places.at(&point.x)?, height(point)?))).collect()
        })
        .collect();
    let Some((left, right, low, high)) = bounds(clouds.iter().flatten().copied()) else { return chart.nothing() };
    let up = Upward::new(low, high);
    let across = Across::new(left, right, up.left, RIGHT);
    let mut svg = up.svg(chart, RIGHT) + &across.svg(&places, false) + &label_across(chart, RIGHT, BOTTOM + 33.0);
    for (index, (points, series)) in clouds.iter().zip(&chart.series).enumerate() {
        let drawn = points.iter().map(|(x, y)| (across.at(*x), up.at(*y)));
        svg += &group(index);
        if points.len() <= MARKED {
            svg.extend(points.iter().zip(drawn).map(|(point, (x, y))| {
                marker(index, x, y, &chart.words(series, &places.text(point.0), &number::number(point.1)))
            }));
        } else {
            let dots: String = drawn.map(|(x, y)| format!("M{x:.1} {y:.1}h0")).collect();
            svg += &format!("<path class=\"dots\" d=\"{dots}\">{}</path>", titled(&series.name));
        }
        svg += "</g>\n";
    }
    let mut bottom = BOTTOM + 38.0;
    if step > 1 {
        bottom += 16.0;
        svg +=
            &format!("<text class=\"tick\" x=\"0\" y=\"{:.1}\">One point in {step} is drawn.</text>\n", bottom - 5.0);
    }
    chart.framed(WIDTH, bottom, &svg)
}
