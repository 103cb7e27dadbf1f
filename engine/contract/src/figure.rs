use serde::{Deserialize, Serialize};

use crate::StageError;

/// The artifact of a `figure` port: what it shows, and the numbers. It holds no personal data: whoever opens a report
/// sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it shows, in a few words.
    pub title: String,
    /// What runs across, with its unit if it has one.
    pub x_label: String,
    /// What is measured, with its unit if it has one.
    pub y_label: String,
    /// How it is drawn.
    pub kind: FigureKind,
    /// The curves, the bars beside each other, the clouds of points, the rows of a heatmap, or the joints of a tree.
    pub series: Vec<Series>,
}

/// How a figure is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FigureKind {
    /// Points joined by lines.
    Line,
    /// A bar for each point.
    Bar,
    /// Points alone.
    Scatter,
    /// A series is a row from the top, a point of it a cell: `x` names the column, `y` is the value. A colour scale
    /// about 0 where there are values below 0, one from 0 otherwise.
    Heatmap,
    /// A series is a joint of a tree, four points (place, height) long: up from the left branch, across, and down to
    /// the right one. Its name is that of a group, or empty above all groups.
    Dendrogram,
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What they belong to, such as a variant.
    pub name: String,
    /// The points.
    pub points: Vec<Point>,
}

/// A point of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Where.
    pub x: X,
    /// How much; `None` where it is undefined.
    pub y: Option<f64>,
}

/// A place on the axis that runs across.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum X {
    /// A number; curves place it to scale.
    Number(f64),
    /// A name; its place is that of its first mention.
    Name(String),
}

impl Figure {
    /// A figure without anything in it yet.
    pub fn new(
        kind: FigureKind,
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self { title: title.into(), x_label: x_label.into(), y_label: y_label.into(), kind, series: Vec::new() }
    }

    /// The same figure with one more series.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Checks that every number in it is finite; `None` is how a value is left undefined.
    ///
    /// # Errors
    /// A bug that names the figure.
    pub(crate) fn check(&self) -> Result<(), StageError> {
        let finite = |point: &Point| {
            point.y.is_none_or(f64::is_finite) && !matches!(point.x, X::Number(number) if !number.is_finite())
        };
        if self.series.iter().flat_map(|series| &series.points).all(finite) {
            return Ok(());
        }
        Err(StageError::bug(format!("figure `{}` holds a number that is not finite", self.title)))
    }
}

impl Series {
    /// A series of points (where, how much).
    pub fn new<T: Into<X>>(name: impl Into<String>, points: impl IntoIterator<Item = (T, f64)>) -> Self {
        let points = points.into_iter().map(|(x, y)| Point { x: x.into(), y: Some(y) }).collect();
        Self { name: name.into(), points }
    }
}

impl From<f64> for X {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for X {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for X {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}
