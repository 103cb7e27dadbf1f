//! Variants side by side.

use serde::{Deserialize, Serialize};

use crate::number::{self, Scale, plain};
use crate::table::{Column, Style, Text, TextTable};
use crate::text::{clean, wrap};

/// The metrics of several variants, which speak of the same test units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What it is about, where a report holds several.
    pub title: Option<String>,
    /// The variant that differences are taken from.
    pub baseline: String,
    /// The variants, the baseline among them.
    pub variants: Vec<String>,
    /// A row for each metric.
    pub rows: Vec<Row>,
    /// What was averaged over, such as `user`.
    pub unit: Option<String>,
    /// How many units.
    pub units: Option<u64>,
    /// What can be said about each variant but the baseline; the reader's answer.
    #[serde(default)]
    pub conclusions: Vec<Conclusion>,
    /// The level of the intervals, such as 0.95; `None` where nothing was tested.
    #[serde(default)]
    pub level: Option<f64>,
    /// How p-values were corrected for the number of tests, in words: `Holm over 6 tests`.
    #[serde(default)]
    pub correction: Option<String>,
}

/// What the tests say about one variant or one of its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It differs from the baseline, for the better.
    Better,
    /// It differs from the baseline, for the worse.
    Worse,
    /// A difference large enough to matter would probably have been seen, and was not.
    NoDifferenceShown,
    /// There are too few units to see a difference that matters.
    Underpowered,
    /// The two cannot be compared.
    Invalid,
}

impl Verdict {
    /// The verdict in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "no difference shown",
            Self::Underpowered => "underpowered",
            Self::Invalid => "invalid",
        }
    }
}

/// One variant's verdict over all metrics, as a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// The variant.
    pub variant: String,
    /// What holds for it.
    pub verdict: Verdict,
    /// One sentence: on which metrics, by how much, with which interval.
    pub text: String,
}

/// One metric of every variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The metric's name, such as `ndcg@10`.
    pub metric: String,
    /// Which way is better.
    pub goal: Goal,
    /// Whether it only must not get worse.
    #[serde(default)]
    pub guardrail: bool,
    /// A cell for each variant, in their order.
    pub cells: Vec<Cell>,
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Larger is better.
    Maximize,
    /// Smaller is better.
    Minimize,
    /// Neither.
    Describe,
}

/// One metric of one variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The value; `None` where it is undefined.
    pub value: Option<f64>,
    /// The value less the baseline's; `None` where the two cannot be compared.
    pub difference: Option<f64>,
    /// The difference as a fraction of the baseline's value: 0.05 is 5 % more.
    pub relative: Option<f64>,
    /// What a reader has to know, such as `not comparable: other test users`.
    pub note: Option<String>,
    /// The confidence interval of the difference.
    #[serde(default)]
    pub interval: Option<[f64; 2]>,
    /// The confidence interval of the relative difference.
    #[serde(default)]
    pub relative_interval: Option<[f64; 2]>,
    /// The p-value of no difference.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// The p-value after the correction for several tests.
    #[serde(default)]
    pub p_adjusted: Option<f64>,
    /// What the test says; `None` for the baseline and where nothing was tested.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// How it was tested, in words: `paired bootstrap (BCa) over 2,017 users`.
    #[serde(default)]
    pub method: Option<String>,
}

impl Comparison {
    /// For each cell of a row, whether its value is the best. None is where fewer than two can be compared, where all
    /// are equal, and where the metric only describes.
    ///
    /// A cell with a note and no difference is one that cannot be compared.
    pub fn best(&self, row: &Row) -> Vec<bool> {
        let values: Vec<Option<f64>> = row
            .cells
            .iter()
            .zip(&self.variants)
            .map(|(cell, variant)| {
                let comparable = cell.note.is_none() || cell.difference.is_some() || *variant == self.baseline;
                cell.value.filter(|value| comparable && value.is_finite())
            })
            .collect();
        let present = || values.iter().flatten().copied();
        let best = match row.goal {
            Goal::Maximize => present().reduce(f64::max),
            Goal::Minimize => present().reduce(f64::min),
            Goal::Describe => None,
        };
        let best = best.filter(|&best| present().any(|value| value != best));
        values.into_iter().map(|value| value.is_some() && value == best).collect()
    }

    /// `over 1 234 users`, where that is known.
    pub(crate) fn over(&self) -> Option<String> {
        let unit = self.unit.as_deref()?;
        Some(match self.units {
            Some(units) => format!("over {} {}{}", number::count(units), unit, if units == 1 { "" } else { "s" }),
            None => format!("over {unit}s"),
        })
    }
}

impl Goal {
    /// The direction in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Maximize => "higher is better",
            Self::Minimize => "lower is better",
            Self::Describe => "",
        }
    }

    /// Whether a difference is for the better; `None` where it is neither.
    pub(crate) fn judge(self, difference: f64) -> Option<bool> {
        match self {
            _ if difference == 0.0 || !difference.is_finite() => None,
            Self::Maximize => Some(difference > 0.0),
            Self::Minimize => Some(difference < 0.0),
            Self::Describe => None,
        }
    }
}

impl Row {
    /// The scale that all values of the row share.
    pub(crate) fn scale(&self) -> Scale {
        Scale::of(self.cells.iter().filter_map(|cell| cell.value))
    }
}

/// A comparison for a terminal: one row for each metric where that fits, else one for each metric and variant.
pub fn comparison_text(comparison: &Comparison, width: usize, colour: bool) -> String {
    let mut notes = Vec::new();
    let side_by_side = side_by_side(comparison, &mut notes);
    let table = if side_by_side.natural_width() <= width {
        side_by_side
    } else {
        notes.clear();
        one_below_the_other(comparison, &mut notes)
    };
    let mut out = String::new();
    if let Some(title) = &comparison.title {
        out += &format!("{}\n\n", Style::Strong.paint(&clean(title), colour));
    }
    out += &table.render(width, colour);
    out.push('\n');
    let mut foot = Vec::new();
    if comparison.rows.iter().any(|row| comparison.best(row).contains(&true)) {
        foot.push("* best of its metric".to_owned());
    }
    for (at, note) in notes.iter().enumerate() {
        foot.push(format!("[{}] {note}", at + 1));
    }
    if comparison.variants.len() > 1 {
        foot.push(format!("differences are from `{}` and not tested for significance", comparison.baseline));
    }
    foot.extend(comparison.over().map(|over| format!("metrics are averages {}", plain(&over))));
    for line in foot.iter().flat_map(|line| wrap(&clean(line), width)) {
        out += &format!("{}\n", Style::Dim.paint(&line, colour));
    }
    out
}

fn side_by_side(comparison: &Comparison, notes: &mut Vec<String>) -> TextTable {
    let mut columns = vec![Column::left("metric"), Column::left("better")];
    for variant in &comparison.variants {
        columns.push(Column::right(format!("{variant} ")));
        if *variant != comparison.baseline {
            columns.extend([Column::right("diff"), Column::right("diff %")]);
        }
    }
    let mut table = TextTable::new(columns);
    for row in &comparison.rows {
        let mut cells = vec![Text::from(row.metric.as_str()), goal(row.goal)];
        for (at, variant) in comparison.variants.iter().enumerate() {
            let of_variant = cells_of(comparison, row, at, notes);
            cells.extend(of_variant.into_iter().take(if *variant == comparison.baseline { 1 } else { 3 }));
        }
        table.row(cells);
    }
    table
}

fn one_below_the_other(comparison: &Comparison, notes: &mut Vec<String>) -> TextTable {
    let mut table = TextTable::new([
        Column::left("metric"),
        Column::left("better"),
        Column::left("variant"),
        Column::right("value "),
        Column::right("diff"),
        Column::right("diff %"),
    ]);
    for row in &comparison.rows {
        for (at, variant) in comparison.variants.iter().enumerate() {
            let mut cells = match at {
                0 => vec![Text::from(row.metric.as_str()), goal(row.goal)],
                _ => vec![Text::default(), Text::default()],
            };
            cells.push(Text::from(variant.as_str()));
            cells.extend(cells_of(comparison, row, at, notes));
            table.row(cells);
        }
    }
    table
}

fn goal(goal: Goal) -> Text {
    let word = match goal {
        Goal::Maximize => "higher",
        Goal::Minimize => "lower",
        Goal::Describe => "",
    };
    Text::new(word, Style::Dim)
}

/// The value, the difference and the relative difference of one variant.
fn cells_of(comparison: &Comparison, row: &Row, at: usize, notes: &mut Vec<String>) -> [Text; 3] {
    let Some(cell) = row.cells.get(at) else { return Default::default() };
    let best = comparison.best(row).get(at).copied().unwrap_or(false);
    let scale = row.scale();
    let value = plain(&cell.value.map_or_else(|| number::NONE.to_owned(), |value| scale.number(value)));
    let value = if best { Text::new(format!("{value}*"), Style::Strong) } else { Text::from(format!("{value} ")) };
    let style = match cell.difference.and_then(|difference| row.goal.judge(difference)) {
        Some(true) => Style::Good,
        Some(false) => Style::Bad,
        None => Style::Plain,
    };
    let mut difference = cell.difference.map(|difference| plain(&scale.difference(difference))).unwrap_or_default();
    if let Some(note) = &cell.note {
        let variant = comparison.variants.get(at).map_or("", String::as_str);
        let note = format!("{variant}: {note}");
        let known = notes.iter().position(|known| *known == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        difference = format!("{difference} [{}]", known + 1).trim_start().to_owned();
    }
    let relative = cell.relative.map(|relative| plain(&number::relative(relative))).unwrap_or_default();
    [value, Text::new(difference, style), Text::new(relative, style)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cell(value: f64, baseline: f64) -> Cell {
        Cell {
            value: Some(value),
            difference: Some(value - baseline),
            relative: (baseline != 0.0).then(|| (value - baseline) / baseline),
            ..Cell::default()
        }
    }

    fn comparison() -> Comparison {
        let alone = |value| Cell { value: Some(value), ..Cell::default() };
        Comparison {
            title: None,
            baseline: "as-published".to_owned(),
            variants: vec!["as-published".to_owned(), "honest".to_owned(), "popular".to_owned()],
            rows: vec![
                Row {
                    metric: "ndcg@10".to_owned(),
                    goal: Goal::Maximize,
                    guardrail: false,
                    cells: vec![alone(0.1234), cell(0.1301, 0.1234), cell(0.09, 0.1234)],
                },
                Row {
                    metric: "log_loss".to_owned(),
                    goal: Goal::Minimize,
                    guardrail: false,
                    cells: vec![
                        alone(0.61),
                        Cell {
                            value: Some(0.5),
                            note: Some("not comparable: other test users".to_owned()),
                            ..Cell::default()
                        },
                        cell(0.66, 0.61),
                    ],
                },
                Row {
                    metric: "users".to_owned(),
                    goal: Goal::Describe,
                    guardrail: false,
                    cells: vec![alone(3677.0), cell(3677.0, 3677.0), Cell::default()],
                },
            ],
            unit: Some("user".to_owned()),
            units: Some(3677),
            ..Comparison::default()
        }
    }

    #[test]
    fn the_best_is_among_what_can_be_compared() {
        let comparison = comparison();
        let best: Vec<Vec<bool>> = comparison.rows.iter().map(|row| comparison.best(row)).collect();
        assert_eq!(best, [[false, true, false], [true, false, false], [false, false, false]]);
    }

    #[test]
    fn equal_values_have_no_best_and_ties_share_it() {
        let mut comparison = comparison();
        comparison.rows[0].cells = vec![cell(0.5, 0.5), cell(0.5, 0.5), cell(0.5, 0.5)];
        assert_eq!(comparison.best(&comparison.rows[0]), [false; 3]);
        comparison.rows[0].cells[2] = cell(0.4, 0.5);
        assert_eq!(comparison.best(&comparison.rows[0]), [true, true, false]);
        comparison.rows[0].cells[2].value = Some(f64::NAN);
        assert_eq!(comparison.best(&comparison.rows[0]), [false; 3]);
    }

    #[test]
    fn wide_terminals_show_one_row_for_each_metric() {
        assert_eq!(
            comparison_text(&comparison(), 100, false),
            "\
metric    better  as-published   honest      diff   diff %  popular      diff   diff %
────────  ──────  ─────────────  ───────  ───────  ───────  ────────  ───────  ───────
ndcg@10   higher        0.1234   0.1301*  +0.0067  +5.43 %   0.0900   -0.0334  -27.1 %
log_loss  lower         0.6100*  0.5000       [1]            0.6600   +0.0500  +8.20 %
users                    3,677    3,677        ±0     ±0 %        –

* best of its metric
[1] honest: not comparable: other test users
differences are from `as-published` and not tested for significance
metrics are averages over 3,677 users
"
        );
    }

    #[test]
    fn narrow_terminals_show_one_row_for_each_metric_and_variant() {
        assert_eq!(
            comparison_text(&comparison(), 60, false),
            "\
metric    better  variant        value      diff   diff %
────────  ──────  ────────────  ───────  ───────  ───────
ndcg@10   higher  as-published  0.1234
                  honest        0.1301*  +0.0067  +5.43 %
                  popular       0.0900   -0.0334  -27.1 %
log_loss  lower   as-published  0.6100*
                  honest        0.5000       [1]
                  popular       0.6600   +0.0500  +8.20 %
users             as-published   3,677
                  honest         3,677        ±0     ±0 %
                  popular            –

* best of its metric
[1] honest: not comparable: other test users
differences are from `as-published` and not tested for
significance
metrics are averages over 3,677 users
"
        );
    }

    #[test]
    fn colour_only_adds_colour() {
        let coloured = comparison_text(&comparison(), 100, true);
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some(start) = rest.find('\u{1b}') {
            bare += &rest[..start];
            let end = rest[start..].find('m').unwrap() + start + 1;
            rest = &rest[end..];
        }
        bare += rest;
        assert_eq!(bare, comparison_text(&comparison(), 100, false));
        assert!(coloured.contains("\u{1b}[32m+0.0067"));
        assert!(coloured.contains("\u{1b}[31m+0.0500"), "a higher loss is worse");
    }
}
