//! Variants side by side.

mod junit;
mod lines;
mod markdown;
mod text;

use serde::{Deserialize, Serialize};

use crate::number::{self, Scale};

pub use junit::comparison_junit;
pub(crate) use lines::{Line, interval_title, lines, p_title};
pub use markdown::comparison_markdown;
pub use text::comparison_text;

/// Above this many variants, only so many of the best stand in the first table.
pub(crate) const FEW: usize = 8;
pub(crate) const BEST: usize = 5;

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
    /// All of them, in the order in which they matter.
    pub(crate) const ALL: [Self; 5] =
        [Self::Better, Self::Worse, Self::NoDifferenceShown, Self::Underpowered, Self::Invalid];

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

    /// A sign for it, which says what a colour would.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Better => "✓",
            Self::Worse => "✗",
            Self::NoDifferenceShown => "=",
            Self::Underpowered => "?",
            Self::Invalid => "!",
        }
    }

    /// Its name in the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "same",
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
    /// One sentence, which names the variant: on which metrics, by how much, with which interval.
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
    /// How it was tested, in words: `paired bootstrap (BCa)`.
    #[serde(default)]
    pub method: Option<String>,
    /// The smallest true difference, relative to the baseline, that would most probably have been shown.
    #[serde(default)]
    pub detectable: Option<f64>,
    /// How many units it would take to show the smallest difference that matters.
    #[serde(default)]
    pub needed: Option<u64>,
}

impl Comparison {
    /// For each cell of a row, whether its value is the best. None is where fewer than two can be compared, where all
    /// are equal, and where the metric only describes.
    pub fn best(&self, row: &Row) -> Vec<bool> {
        let values: Vec<Option<f64>> = row
            .cells
            .iter()
            .enumerate()
            .map(|(at, cell)| cell.value.filter(|value| self.comparable(at, cell) && value.is_finite()))
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

    /// Whether any difference was tested for significance.
    pub fn tested(&self) -> bool {
        let cells = || self.rows.iter().flat_map(|row| &row.cells);
        cells().any(|cell| cell.verdict.is_some() || cell.interval.is_some() || cell.relative_interval.is_some())
    }

    /// The conclusions in the order in which they matter: what is better, what is worse, what is not known; among equals
    /// the best by the first metric leads.
    pub(crate) fn ranked_conclusions(&self) -> Vec<&Conclusion> {
        let order = self.rows.first().map(|row| self.ranked(row)).unwrap_or_default();
        let rank = |name: &str| order.iter().position(|at| self.variants.get(*at).is_some_and(|known| known == name));
        let mut conclusions: Vec<&Conclusion> = self.conclusions.iter().collect();
        conclusions.sort_by_key(|conclusion| (conclusion.verdict as u8, rank(&conclusion.variant)));
        conclusions
    }

    /// The indices of the variants, the best of a metric first and those without a value or without comparison last;
    /// in their own order where the metric only describes.
    pub(crate) fn ranked(&self, row: &Row) -> Vec<usize> {
        let value = |at: usize| row.cells.get(at).filter(|cell| self.comparable(at, cell)).and_then(|cell| cell.value);
        let mut order: Vec<usize> = (0..self.variants.len()).collect();
        order.sort_by(|&a, &b| match (value(a), value(b), row.goal) {
            (Some(a), Some(b), Goal::Maximize) => b.total_cmp(&a),
            (Some(a), Some(b), Goal::Minimize) => a.total_cmp(&b),
            (Some(_), Some(_), Goal::Describe) => std::cmp::Ordering::Equal,
            (a, b, _) => b.is_some().cmp(&a.is_some()),
        });
        order
    }

    /// A cell with a note and no difference is one that cannot be compared.
    fn comparable(&self, at: usize, cell: &Cell) -> bool {
        let baseline = self.variants.get(at) == Some(&self.baseline);
        cell.note.is_none() && cell.verdict != Some(Verdict::Invalid) || cell.difference.is_some() || baseline
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

#[cfg(test)]
pub(crate) mod tests {
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

    /// Three variants, two of which cannot be compared on everything, and nothing tested.
    pub(crate) fn comparison() -> Comparison {
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

    /// The same, tested: a metric to decide by and a guardrail.
    pub(crate) fn tested() -> Comparison {
        let mut comparison = comparison();
        comparison.level = Some(0.95);
        comparison.correction = Some("Holm over 4 tests".to_owned());
        comparison.rows.truncate(2);
        comparison.rows[1].guardrail = true;
        let results = [
            (0, 1, Verdict::NoDifferenceShown, [-0.0015, 0.0149], 0.11, 0.22),
            (0, 2, Verdict::Worse, [-0.0411, -0.0257], 1e-7, 4e-7),
            (1, 2, Verdict::Worse, [0.01, 0.09], 0.014, 0.028),
        ];
        for (row, at, verdict, [low, high], p, adjusted) in results {
            let base = comparison.rows[row].cells[0].value.unwrap();
            let cell = &mut comparison.rows[row].cells[at];
            cell.verdict = Some(verdict);
            cell.interval = Some([low, high]);
            cell.relative_interval = Some([low / base, high / base]);
            cell.p_value = Some(p);
            cell.p_adjusted = Some(adjusted);
            cell.method = Some("paired bootstrap (BCa)".to_owned());
        }
        comparison.rows[1].cells[1].verdict = Some(Verdict::Invalid);
        comparison.conclusions = vec![
            Conclusion {
                variant: "honest".to_owned(),
                verdict: Verdict::NoDifferenceShown,
                text: "`honest` differs on `ndcg@10` by +5.43 % (95 % interval −1.22 % to +12.1 %).".to_owned(),
            },
            Conclusion {
                variant: "popular".to_owned(),
                verdict: Verdict::Worse,
                text: "`popular` is 27.1 % lower on `ndcg@10`, and 8.20 % higher on the guardrail `log_loss`."
                    .to_owned(),
            },
        ];
        comparison
    }

    /// A baseline and 23 variants, the later the better.
    pub(crate) fn sweep() -> Comparison {
        let variants: Vec<String> =
            (0..24).map(|at| if at == 0 { "base".to_owned() } else { format!("k={at}") }).collect();
        let cells = (0..24).map(|at| {
            let verdict = if at > 20 { Verdict::Better } else { Verdict::Underpowered };
            match at {
                0 => Cell { value: Some(0.1), ..Cell::default() },
                at => Cell {
                    verdict: Some(verdict),
                    relative_interval: Some([f64::from(at) * 0.01 - 0.2, f64::from(at) * 0.01 + 0.2]),
                    ..cell(0.1 + f64::from(at) * 0.001, 0.1)
                },
            }
        });
        let conclude = |(at, variant): (usize, &String)| Conclusion {
            variant: variant.clone(),
            verdict: if at > 20 { Verdict::Better } else { Verdict::Underpowered },
            text: format!("`{variant}` is {at} % higher on `ndcg@10`."),
        };
        let row = Row { metric: "ndcg@10".to_owned(), goal: Goal::Maximize, guardrail: false, cells: cells.collect() };
        Comparison {
            baseline: "base".to_owned(),
            conclusions: variants.iter().enumerate().skip(1).map(conclude).collect(),
            variants,
            rows: vec![row],
            level: Some(0.95),
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
}
