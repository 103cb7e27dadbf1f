//! Bars that stand, where their places are numbers or ranges in ascending order: a histogram shows its shape.

use stagewright_contract::X;

use super::axis::{BOTTOM, RIGHT, Upward, label_across, length, texts_below};
use super::{Chart, Drawing, WIDTH, group, height, place_text, titled};
use crate::number;
use crate::text::{cut, xml};

/// More columns than this would be thinner than a line.
const COLUMNS: usize = 240;
/// How far apart texts stand that lean.
const LEANING: f64 = 17.0;
/// The sine of 45 degrees.
const LEAN: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// The drawing; `None` if bars that lie are better.
pub(super) fn draw(chart: Chart<'_>) -> Option<Drawing> {
    let places = chart.places();
    if places.len() < 2 || places.len() * chart.series.len() > COLUMNS || !ascend(&places) {
        return None;
    }
    let heights = || chart.0.series.iter().flat_map(|series| &series.points).filter_map(height);
    heights().next()?;
    let mut up = Upward::new(heights().fold(0.0, f64::min), heights().fold(0.0, f64::max));
    let texts: Vec<String> = places.iter().map(|place| cut(&place_text(place), 16)).collect();
    let wide = texts.iter().map(|text| length(text)).fold(0.0, f64::max);
    let numbers = places.iter().all(|place| match place {
        X::Number(_) => true,
        X::Name(name) => name.parse::<f64>().is_ok(),
    });
    let leaning = !numbers && wide + 6.0 > (RIGHT - up.left) / places.len() as f64;
    // A text that leans ends below its column and begins left of it.
    if leaning {
        up.left = up.left.max(texts.first().map_or(0.0, |text| length(text)) * LEAN - 4.0);
    }
    let left = up.left;
    let slot = (RIGHT - left) / places.len() as f64;
    let middle = |at: usize| left + slot * (at as f64 + 0.5);

    let mut svg = up.svg(chart, RIGHT);
    let thick = slot * 0.84 / chart.series.len() as f64;
    // The edge of a thin column would be all of it.
    let edge = if thick < 4.0 { " stroke-width=\"0.3\"" } else { "" };
    let scale = number::Scale::of(heights());
    let valued = chart.series.len() == 1 && heights().all(|y| length(&scale.number(y)) < slot);
    for (index, series) in chart.series.iter().enumerate() {
        svg += &group(index);
        for (at, place) in places.iter().enumerate() {
            let Some(y) = series.points.iter().find(|point| point.x == **place).and_then(height) else { continue };
            let x = middle(at) - slot * 0.42 + thick * index as f64;
            let (top, bottom) = (up.at(y.max(0.0)), up.at(y.min(0.0)));
            if y != 0.0 {
                let words = chart.words(series, &place_text(place), &scale.number(y));
                svg += &format!(
                    "<rect class=\"bar\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{thick:.1}\" height=\"{:.1}\"{edge}>{}</rect>",
                    (bottom - top).max(0.5),
                    titled(&words),
                );
            }
            if valued {
                svg += &format!(
                    "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    middle(at),
                    if y < 0.0 { bottom + 11.0 } else { top - 4.0 },
                    scale.number(y)
                );
            }
        }
        svg += "</g>\n";
    }
    svg += &format!("<path class=\"zero\" d=\"M{left:.1} {y:.1}H{RIGHT:.1}\"/>\n", y = up.at(0.0));

    let mut bottom = BOTTOM + 38.0;
    if leaning {
        let every = (LEANING / slot).ceil().max(1.0) as usize;
        for (at, text) in texts.iter().enumerate().step_by(every) {
            let (x, y) = (middle(at) + 4.0, BOTTOM + 13.0);
            svg += &format!(
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" \
                 transform=\"rotate(-45 {x:.1} {y:.1})\">{}</text>\n",
                xml(text)
            );
        }
        bottom += wide * LEAN;
    } else {
        svg += &texts_below(texts.into_iter().enumerate().map(|(at, text)| (middle(at), text)));
    }
    svg += &label_across(chart, RIGHT, bottom - 5.0);
    Some(chart.framed(WIDTH, bottom, &svg))
}

/// Whether all places are numbers, or names that begin with a number such as `(9, 20]` and `20–30`, and these ascend.
fn ascend(places: &[&X]) -> bool {
    let starts: Option<Vec<f64>> = places
        .iter()
        .map(|place| match place {
            X::Number(number) => Some(*number),
            X::Name(name) => start(name),
        })
        .collect();
    starts.is_some_and(|starts| starts.is_sorted_by(|a, b| a < b))
}

/// The number that a range begins with.
fn start(name: &str) -> Option<f64> {
    let name = name.trim_start_matches(['(', '[', ' ']).replace('−', "-");
    let inside = |(at, c): (usize, char)| {
        c.is_ascii_digit() || matches!(c, '.' | 'e') && at > 0 || c == '-' && (at == 0 || name[..at].ends_with('e'))
    };
    let end = name.char_indices().find(|at| !inside(*at)).map_or(name.len(), |(at, _)| at);
    // A word or an identifier that begins with digits is no range.
    if name[end..].starts_with(char::is_alphabetic) {
        return None;
    }
    name.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_numbers_in_order_stand() {
        for (names, stand) in [
            (&["(0, 9]", "(9, 20]", "(20, 30]"][..], true),
            (&["[-1.5, 0]", "(0, 1e3]", "(1e3, 1e20]"], true),
            (&["0.00–0.05", "0.05–0.10"], true),
            (&["20–30", "under 20"], false),
            (&["2", "1"], false),
            (&["3M", "7Up"], false),
            (&["Jeans", "Swim"], false),
            (&["-", ""], false),
        ] {
            let names: Vec<X> = names.iter().map(|name| (*name).into()).collect();
            assert_eq!(ascend(&names.iter().collect::<Vec<_>>()), stand, "{names:?}");
        }
    }
}
