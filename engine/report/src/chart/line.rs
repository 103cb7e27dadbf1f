//! Points joined by lines.

use stagewright_contract::Series;

use super::axis::{Across, BOTTOM, RIGHT, Upward, bounds, label_across};
use super::{Chart, Drawing, POINTS, Places, WIDTH, group, height, marker, titled};
use crate::number;

/// Beyond this many points a curve has no markers.
const MARKED: usize = 40;

pub(super) fn draw(chart: Chart<'_>) -> Drawing {
    let places = Places::of(chart);
    let curves: Vec<Vec<(f64, Option<f64>)>> =
        chart.series.iter().map(|series| thin(ascending(series, &places))).collect();
    let defined = curves.iter().flatten().filter_map(|(x, y)| Some((*x, (*y)?)));
    let Some((left, right, low, high)) = bounds(defined) else { return chart.nothing() };
    let up = Upward::new(if low > 0.0 && low < 0.5 * high { 0.0 } else { low }, high);
    let across = Across::new(left, right, up.left, RIGHT);
    let mut svg = up.svg(chart, RIGHT) + &across.svg(&places, true) + &label_across(chart, RIGHT, BOTTOM + 33.0);
    for (index, (points, series)) in curves.iter().zip(&chart.series).enumerate() {
        let at = |(x, y): &(f64, Option<f64>)| Some((across.at(*x), up.at((*y)?)));
        let line = path(&points.iter().map(at).collect::<Vec<_>>());
        svg += &format!("{}<path class=\"curve\" d=\"{line}\">{}</path>", group(index), titled(&series.name));
        if points.len() <= MARKED {
            svg.extend(points.iter().filter_map(|point| {
                let (x, y) = at(point)?;
                Some(marker(index, x, y, &chart.words(series, &places.text(point.0), &number::number(point.1?))))
            }));
        }
        svg += "</g>\n";
    }
    chart.framed(WIDTH, BOTTOM + 38.0, &svg)
}

/// A line through points, broken where one is undefined. A point by itself is a dot.
fn path(points: &[Option<(f64, f64)>]) -> String {
    let mut path = String::new();
    for run in points.split(Option::is_none) {
        for (at, (x, y)) in run.iter().flatten().enumerate() {
            path += &format!("{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
        }
        if run.len() == 1 {
            path += "h0";
        }
    }
    path
}

/// The points from left to right. Those above each other stay in the order given, which is up or down a step.
fn ascending(series: &Series, places: &Places<'_>) -> Vec<(f64, Option<f64>)> {
    let mut points: Vec<(f64, Option<f64>)> =
        series.points.iter().filter_map(|point| Some((places.at(&point.x)?, height(point)))).collect();
    if points.is_sorted_by(|a, b| a.0 >= b.0) {
        points.reverse();
    } else {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    points
}

/// Fewer points that look the same: of each part of a curve its first and last point, its lowest and highest, and a
/// gap if it has one.
fn thin(points: Vec<(f64, Option<f64>)>) -> Vec<(f64, Option<f64>)> {
    if points.len() <= POINTS {
        return points;
    }
    let part = points.len().div_ceil(POINTS / 5);
    let mut kept = Vec::with_capacity(POINTS);
    for part in points.chunks(part) {
        let defined = || part.iter().enumerate().filter_map(|(at, (_, y))| Some((at, (*y)?)));
        let mut these = vec![0, part.len() - 1];
        these.extend(defined().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at));
        these.extend(defined().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at));
        these.extend(part.iter().position(|(_, y)| y.is_none()));
        these.sort_unstable();
        these.dedup();
        kept.extend(these.into_iter().filter_map(|at| part.get(at)).copied());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_ends_its_spike_and_its_gap() {
        let mut points: Vec<(f64, Option<f64>)> = (0..100_000).map(|at| (f64::from(at), Some(0.5))).collect();
        points[33_333].1 = Some(9.0);
        points[44_444].1 = Some(-9.0);
        points[55_555].1 = None;
        let thinned = thin(points.clone());
        assert!(thinned.len() <= POINTS, "{}", thinned.len());
        for at in [0, 33_333, 44_444, 55_555, 99_999] {
            assert!(thinned.contains(&points[at]), "{at}");
        }
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thin(points[..500].to_vec()), points[..500]);
    }
}
