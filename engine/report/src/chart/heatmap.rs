//! A cell for each value, the stronger its colour, the farther from 0.

use std::collections::HashMap;

use super::axis::length;
use super::{Chart, Drawing, WIDEST, WIDTH, height, key, place_text};
use crate::number;
use crate::text::{cut, xml};

/// How many rows and columns are drawn.
pub(crate) const CELLS: usize = 60;
/// The least width of a cell without its value, and the height of one without and with it.
const NARROW: f64 = 14.0;
const LOW: f64 = 16.0;
const HIGH: f64 = 26.0;
/// The most width of a cell.
const BROAD: f64 = 140.0;
const TOP: f64 = 26.0;
/// The sine of 45 degrees.
const LEAN: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// The scale of colours: how many steps it shows, how wide each is.
const STEPS: u32 = 20;
const STEP: f64 = 4.0;

pub(super) fn draw(chart: Chart<'_>) -> Drawing {
    let places = chart.places();
    let columns = places.get(..places.len().min(CELLS)).unwrap_or(&places);
    let rows = chart.0.series.get(..chart.series.len().min(CELLS)).unwrap_or(&chart.0.series);
    let values: Vec<f64> = rows.iter().flat_map(|row| &row.points).filter_map(height).collect();
    if values.is_empty() {
        return chart.nothing();
    }
    let mut scale = Scale::of(&values);
    let row_names: Vec<String> = rows.iter().map(|row| cut(&row.name, 20)).collect();
    let column_names: Vec<String> = columns.iter().map(|place| cut(&place_text(place), 20)).collect();
    let longest = |texts: &[String]| texts.iter().map(|text| length(text)).fold(0.0, f64::max);

    // Values are printed if that leaves room for them; names lean if that is how they fit.
    let across = columns.len() as f64;
    let left = longest(&row_names) + 8.0;
    let longest_value =
        |scale: &Scale| values.iter().map(|value| length(&scale.text(*value))).fold(0.0, f64::max) + 8.0;
    scale.short = left + longest_value(&scale) * across > WIDTH;
    let printed = longest_value(&scale);
    let valued = left + printed * across <= WIDEST;
    let cell = ((WIDTH - left) / across).clamp(if valued { printed } else { NARROW }, BROAD);
    let leaning = longest(&column_names) + 6.0 > cell;
    let over = |(at, name): (usize, &String)| length(name) * LEAN - cell * (at as f64 + 0.5);
    let left = if leaning { column_names.iter().enumerate().map(over).fold(left, f64::max) } else { left };
    let high = if valued { HIGH } else { LOW };
    let right = left + cell * across;
    let full = right.max(WIDTH);
    let bottom = TOP + high * rows.len() as f64;

    // On a phone the scale is in sight before anybody scrolls.
    let mut svg = scale.svg(chart, WIDTH);
    for (row, (series, name)) in rows.iter().zip(&row_names).enumerate() {
        let y = TOP + high * row as f64;
        svg += &format!(
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + high / 2.0 + 4.0,
            xml(name)
        );
        let mut of_row = HashMap::new();
        for point in &series.points {
            of_row.entry(key(&point.x)).or_insert(point);
        }
        for (column, place) in columns.iter().enumerate() {
            let value = of_row.get(&key(place)).and_then(|point| height(point));
            let x = left + cell * column as f64;
            let full_text = value.map_or_else(|| number::NONE.to_owned(), number::number);
            svg += &format!(
                "<rect class=\"cell{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                value.map(|value| scale.colour(value)).unwrap_or_default(),
                cell - 1.0,
                high - 1.0,
                xml(&format!("{}, {}: {full_text}", series.name, place_text(place)))
            );
            if valued {
                svg += &format!(
                    "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    x + (cell - 1.0) / 2.0,
                    y + high / 2.0 + 3.5,
                    value.map_or_else(|| number::NONE.to_owned(), |value| scale.text(value))
                );
            }
        }
        svg.push('\n');
    }
    for (column, name) in column_names.iter().enumerate() {
        let x = left + cell * (column as f64 + 0.5);
        let (x, turn) = if leaning { (x + 4.0, "end") } else { (x, "middle") };
        let y = bottom + 13.0;
        svg += &format!("<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{turn}\"");
        if leaning {
            svg += &format!(" transform=\"rotate(-45 {x:.1} {y:.1})\"");
        }
        svg += &format!(">{}</text>\n", xml(name));
    }
    let mut end = bottom + if leaning { longest(&column_names) * LEAN + 14.0 } else { 20.0 };
    svg += &format!(
        "<text class=\"axis\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} →</text>\n",
        end + 12.0,
        xml(&cut(&chart.x_label, 54))
    );
    end += 18.0;
    if places.len() > columns.len() || chart.series.len() > rows.len() {
        svg += &format!(
            "<text class=\"tick\" x=\"0\" y=\"{:.1}\">The first {} of {} rows and {} of {} columns.</text>\n",
            end + 10.0,
            rows.len(),
            number::count(chart.series.len() as u64),
            columns.len(),
            number::count(places.len() as u64)
        );
        end += 16.0;
    }
    chart.framed(full, end, &svg)
}

/// How values are coloured and written.
struct Scale {
    /// The largest distance from 0.
    largest: f64,
    negative: bool,
    whole: bool,
    /// Whether whole numbers give up digits for room.
    short: bool,
}

impl Scale {
    fn of(values: &[f64]) -> Self {
        Self {
            largest: values.iter().fold(0.0, |largest, value| largest.max(value.abs())),
            negative: values.iter().any(|value| *value < 0.0),
            whole: values.iter().all(|value| value.trunc() == *value),
            short: false,
        }
    }

    /// The rest of a cell's class, and how strong its colour is.
    fn colour(&self, value: f64) -> String {
        let strength = if self.largest > 0.0 { (value.abs() / self.largest).min(1.0) } else { 0.0 };
        format!(" {}\" fill-opacity=\"{strength:.2}", if value < 0.0 { "below" } else { "above" })
    }

    /// A value short enough for a cell.
    fn text(&self, value: f64) -> String {
        if value == 0.0 && self.whole {
            return number::number(0.0);
        }
        let (unit, suffix) = match self.largest {
            _ if self.whole && !self.short => (1.0, ""),
            large if !(1e-2..1e9).contains(&large) => return number::number(value),
            large if large >= 1e6 => (1e6, "M"),
            large if large >= 1e5 => (1e3, "k"),
            _ => (1.0, ""),
        };
        if self.whole && suffix.is_empty() {
            return number::number(value);
        }
        let decimals = match self.largest / unit {
            large if large < 9.995 => 2,
            large if large < 99.95 => 1,
            _ => 0,
        };
        let text = format!("{:.decimals$}", value / unit);
        let text = if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { text } else { text.replace('-', "") };
        format!("{}{suffix}", text.replace('-', "−"))
    }

    /// What is measured, and what the colours mean.
    fn svg(&self, chart: Chart<'_>, right: f64) -> String {
        let (low, high) = (if self.negative { -self.largest } else { 0.0 }, self.largest);
        let (low_text, high_text) = (self.text(low), self.text(high));
        let from = right - length(&high_text) - 6.0 - f64::from(STEPS) * STEP;
        let label_room = ((from - length(&low_text) - 16.0) / super::COLUMN).max(8.0) as usize;
        let mut svg = format!(
            "<text class=\"axis\" x=\"0\" y=\"11\">{}</text><text class=\"tick\" x=\"{:.1}\" y=\"11\" \
             text-anchor=\"end\">{low_text}</text><text class=\"tick\" x=\"{right:.1}\" y=\"11\" \
             text-anchor=\"end\">{high_text}</text>\n",
            xml(&cut(&chart.y_label, label_room)),
            from - 5.0,
        );
        svg += "<g class=\"scale\">";
        for step in 0..STEPS {
            let part = (f64::from(step) + 0.5) / f64::from(STEPS);
            let value = low * (1.0 - part) + high * part;
            let colour = self.colour(value);
            let x = from + f64::from(step) * STEP;
            svg += &format!("<rect class=\"cell{colour}\" x=\"{x:.1}\" y=\"3\" width=\"{STEP}\" height=\"9\"/>");
        }
        svg + "</g>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::plain;

    #[test]
    fn values_are_short() {
        let texts = |values: &[f64]| -> Vec<String> {
            let scale = Scale { short: true, ..Scale::of(values) };
            values.iter().map(|value| plain(&scale.text(*value))).collect()
        };
        assert_eq!(texts(&[1.0, -0.123_456, -0.001]), ["1.00", "-0.12", "0.00"]);
        assert_eq!(texts(&[2927.0, 12.0]), ["2,927", "12"]);
        assert_eq!(texts(&[983_854.0, 1_200.0]), ["984k", "1k"]);
        assert_eq!(texts(&[12_345_678.0, 0.0]), ["12.3M", "0"]);
        assert_eq!(texts(&[55.55, 1.0]), ["55.5", "1.0"]);
        assert_eq!(texts(&[0.000_5]), ["0.0005000"]);
        assert_eq!(plain(&Scale::of(&[983_854.0]).text(983_854.0)), "983,854", "where it finds room");
    }

    #[test]
    fn colours_are_about_0_where_values_are_below_it() {
        let scale = Scale::of(&[-2.0, 1.0]);
        assert_eq!(scale.colour(-2.0), " below\" fill-opacity=\"1.00");
        assert_eq!(scale.colour(1.0), " above\" fill-opacity=\"0.50");
        assert_eq!(Scale::of(&[0.0]).colour(0.0), " above\" fill-opacity=\"0.00");
    }
}
