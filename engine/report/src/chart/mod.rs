//! Figures as inline SVG: one file for each kind, and what they have in common.

mod axis;
mod bars;
mod columns;
mod dendrogram;
pub(crate) mod forest;
mod heatmap;
mod line;
mod scatter;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use stagewright_contract::{Figure, FigureKind, Point, Series, X};

use crate::number;
use crate::text::xml;
use axis::drawable;

/// Made for a phone's width; on a wider page they stand side by side.
pub(crate) const WIDTH: f64 = 360.0;
/// What needs more room than that gets up to this, and scrolls on a phone.
const WIDEST: f64 = 720.0;
/// How wide a character is, about.
const COLUMN: f64 = 6.1;
/// How many points of a series are drawn: more could not be told apart.
const POINTS: usize = 500;
/// How many series look different.
pub(crate) const LOOKS: usize = 6;

/// A figure as it is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Chart<'a>(pub(crate) &'a Figure);

/// An SVG element of an HTML page whose style gives it colours.
pub(crate) struct Drawing {
    pub(crate) svg: String,
    /// How wide it is, in pixels of the size at which its text is read.
    pub(crate) width: f64,
}

impl Deref for Chart<'_> {
    type Target = Figure;

    fn deref(&self) -> &Figure {
        self.0
    }
}

/// What tells a place from others.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Number(u64),
    Name(&'a str),
}

fn key(place: &X) -> Key<'_> {
    match place {
        X::Number(number) => Key::Number(number.to_bits()),
        X::Name(name) => Key::Name(name),
    }
}

/// A place as it is read on an axis and in a table.
pub(crate) fn place_text(place: &X) -> String {
    match place {
        X::Number(number) => number::number(*number),
        X::Name(name) => name.clone(),
    }
}

/// How high a point is, where that can be drawn.
fn height(point: &Point) -> Option<f64> {
    point.y.filter(|y| drawable(*y))
}

impl<'a> Chart<'a> {
    /// Every place on the axis that runs across, once: names in the order of their first mention, and so are numbers,
    /// but for those of curves and points, which ascend.
    pub(crate) fn places(&self) -> Vec<&'a X> {
        let mut seen = HashSet::new();
        let points = self.0.series.iter().flat_map(|series| &series.points);
        let mut places: Vec<&'a X> = points.map(|point| &point.x).filter(|x| seen.insert(key(x))).collect();
        if matches!(self.kind, FigureKind::Line | FigureKind::Scatter) {
            places.sort_by(|a, b| match (a, b) {
                (X::Number(a), X::Number(b)) => a.total_cmp(b),
                _ => std::cmp::Ordering::Equal,
            });
        }
        places
    }

    /// Whether some series has several points at one place, so that a table of places cannot hold them.
    pub(crate) fn repeats(&self) -> bool {
        self.series.iter().any(|series| {
            let mut seen = HashSet::new();
            !series.points.iter().all(|point| seen.insert(key(&point.x)))
        })
    }

    /// What its looks mean: a number and the name of what looks like that. Nothing where there is nothing to tell
    /// apart.
    pub(crate) fn legend(&self) -> Vec<(usize, &'a str)> {
        match self.kind {
            FigureKind::Heatmap => Vec::new(),
            FigureKind::Dendrogram => dendrogram::groups(self.0).into_iter().enumerate().collect(),
            _ if self.series.len() < 2 => Vec::new(),
            _ => self.0.series.iter().map(|series| series.name.as_str()).enumerate().collect(),
        }
    }

    /// A point in words: the series where there are several, the place and the value.
    fn words(&self, series: &Series, place: &str, value: &str) -> String {
        if self.series.len() < 2 || series.name.is_empty() {
            format!("{place}: {value}")
        } else {
            format!("{}, {place}: {value}", series.name)
        }
    }

    /// The drawing.
    pub(crate) fn draw(&self) -> Drawing {
        match self.kind {
            FigureKind::Line => line::draw(*self),
            FigureKind::Scatter => scatter::draw(*self),
            FigureKind::Bar => match columns::draw(*self) {
                Some(drawing) => drawing,
                None => bars::draw(*self),
            },
            FigureKind::Heatmap => heatmap::draw(*self),
            FigureKind::Dendrogram => dendrogram::draw(*self),
        }
    }

    /// Puts what is drawn into an element with a title for those who cannot see it.
    fn framed(&self, width: f64, height: f64, content: &str) -> Drawing {
        let numbers = if self.kind == FigureKind::Dendrogram { "" } else { " The numbers are in the table below." };
        let title = format!("{}: {} by {}.{numbers}", self.title, self.y_label, self.x_label);
        // The others grow and shrink a little with the page; a wide one must not shrink below what can be read.
        let style = if width > WIDTH {
            format!(" style=\"min-width:{width:.0}px;max-width:{width:.0}px\"")
        } else {
            String::new()
        };
        let svg = format!(
            "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {width:.0} {height:.0}\"{style}><title>{}</title>\n\
             {content}</svg>\n",
            xml(&title),
        );
        Drawing { svg, width }
    }

    fn nothing(&self) -> Drawing {
        self.framed(WIDTH, 40.0, "<text class=\"tick\" x=\"0\" y=\"24\">Nothing to draw: no value is defined.</text>\n")
    }
}

/// Where the places of curves and points lie.
struct Places<'a> {
    list: Vec<&'a X>,
    /// Where names and numbers mix, or there are only names, the place in the list is what counts.
    listed: Option<HashMap<Key<'a>, usize>>,
}

impl<'a> Places<'a> {
    fn of(chart: Chart<'a>) -> Self {
        let list = chart.places();
        let listed = list
            .iter()
            .any(|place| matches!(place, X::Name(_)))
            .then(|| list.iter().enumerate().map(|(at, place)| (key(place), at)).collect());
        Self { list, listed }
    }

    /// What stands at a place on the axis.
    fn text(&self, at: f64) -> String {
        // `as` saturates, and the list is what bounds it.
        let listed = self.listed.as_ref().and_then(|_| self.list.get(at as usize));
        listed.map_or_else(|| number::number(at), |place| place_text(place))
    }

    fn at(&self, place: &X) -> Option<f64> {
        match (&self.listed, place) {
            (Some(listed), place) => listed.get(&key(place)).map(|at| *at as f64),
            (None, X::Number(number)) => Some(*number).filter(|number| drawable(*number)),
            (None, X::Name(_)) => None,
        }
    }
}

/// The sign of a series at a point: shape says what colour says. What it stands for is read where a pointer rests on it.
pub(crate) fn marker(series: usize, x: f64, y: f64, title: &str) -> String {
    let (tag, shape) = match series % LOOKS {
        0 => ("circle", format!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\"")),
        1 => ("path", format!("d=\"M{:.1} {:.1}h6.4v6.4h-6.4z\"", x - 3.2, y - 3.2)),
        2 => ("path", format!("d=\"M{x:.1} {:.1}l4.2 7.2h-8.4z\"", y - 4.6)),
        3 => ("path", format!("d=\"M{x:.1} {:.1}l4.4 4.4l-4.4 4.4l-4.4-4.4z\"", y - 4.4)),
        4 => ("path", format!("d=\"M{x:.1} {:.1}l-4.2-7.2h8.4z\"", y + 4.6)),
        _ => {
            ("path", format!("d=\"M{:.1} {:.1}h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z\"", x - 1.3, y - 4.0))
        }
    };
    format!("<{tag} class=\"marker\" {shape}>{}</{tag}>", titled(title))
}

/// What is read where a pointer rests on a part of a drawing.
fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", xml(title)) }
}

/// Opens the group of all that is drawn of a series, which its legend can hide.
fn group(series: usize) -> String {
    format!("<g class=\"s{}\" data-s=\"{series}\">", series % LOOKS)
}
