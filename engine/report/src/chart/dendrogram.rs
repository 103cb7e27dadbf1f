//! A tree of merges: each joint runs up from its left branch, across, and down to its right one.

use std::collections::BTreeSet;

use stagewright_contract::{Figure, Series, X};

use super::axis::{Across, BOTTOM, RIGHT, Upward, bounds, label_across, texts_below};
use super::{Chart, Drawing, LOOKS, WIDTH, drawable, height, titled};
use crate::number;

/// How many joints are drawn: the last ones, which are the highest.
const JOINTS: usize = 500;

/// The groups, whose number is that of their look.
pub(super) fn groups(figure: &Figure) -> Vec<&str> {
    let names = figure.series.iter().map(|series| series.name.as_str()).filter(|name| !name.is_empty());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) fn draw(chart: Chart<'_>) -> Drawing {
    let groups = groups(chart.0);
    let mut joints: Vec<(&str, Vec<(f64, f64)>)> =
        chart.0.series.iter().map(|series| (series.name.as_str(), corners(series))).collect();
    joints.retain(|(_, corners)| !corners.is_empty());
    let top = |corners: &[(f64, f64)]| corners.iter().fold(f64::NEG_INFINITY, |top, (_, y)| top.max(*y));
    joints.sort_by(|a, b| top(&b.1).total_cmp(&top(&a.1)));
    joints.truncate(JOINTS);
    let corners = joints.iter().flat_map(|(_, corners)| corners).copied();
    let Some((left, right, low, high)) = bounds(corners) else { return chart.nothing() };
    let up = Upward::new(low.min(0.0), high);
    let across = Across::new(left, right, up.left, RIGHT);

    let mut svg = up.svg(chart, RIGHT);
    for (name, corners) in &joints {
        let look = match groups.binary_search(name) {
            Ok(group) => format!("class=\"joint s{}\" data-s=\"{group}\"", group % LOOKS),
            Err(_) => "class=\"joint stem\"".to_owned(),
        };
        let merged = corners.iter().fold(0.0_f64, |top, (_, y)| top.max(*y));
        let title = titled(format!("{name} joined at {}", number::number(merged)).trim_start());
        let path: Vec<String> = corners.iter().map(|(x, y)| format!("{:.1} {:.1}", across.at(*x), up.at(*y))).collect();
        svg += &format!("<path {look} d=\"M{}\">{title}</path>\n", path.join("L"));
    }
    // A group's name stands below its branches.
    let mut names: Vec<(f64, String)> = groups
        .iter()
        .filter_map(|group| {
            let of_group = joints.iter().filter(|(name, _)| name == group).flat_map(|(_, corners)| corners).copied();
            let (left, right, ..) = bounds(of_group)?;
            Some((across.at(f64::midpoint(left, right)), (*group).to_owned()))
        })
        .collect();
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    svg += &texts_below(names.into_iter().map(|(x, name)| (x, crate::text::cut(&name, 16))));
    svg += &label_across(chart, RIGHT, BOTTOM + 33.0);
    chart.framed(WIDTH, BOTTOM + 38.0, &svg)
}

/// The points of a joint that have a place.
fn corners(joint: &Series) -> Vec<(f64, f64)> {
    let place = |x: &X| match x {
        X::Number(number) => Some(*number).filter(|number| drawable(*number)),
        X::Name(_) => None,
    };
    joint.points.iter().filter_map(|point| Some((place(&point.x)?, height(point)?))).collect()
}
