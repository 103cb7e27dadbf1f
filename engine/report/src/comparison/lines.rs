//! The table with a row for each metric and variant: what stands in it, whatever it is written in.

use super::{BEST, Comparison, FEW, Row, Verdict};
use crate::number::{self, NONE};

/// One variant's part of a metric, as it is read.
pub(crate) struct Line<'a> {
    pub(crate) variant: &'a str,
    pub(crate) baseline: bool,
    /// Whether it has the best value of all that can be compared.
    pub(crate) best: bool,
    pub(crate) value: String,
    pub(crate) difference: String,
    pub(crate) lift: String,
    /// The interval of the lift or, where the baseline is zero, of the difference.
    pub(crate) interval: String,
    /// The p-value: the corrected one, if there is one.
    pub(crate) p: String,
    /// The p-value as it was before the correction.
    pub(crate) p_raw: Option<String>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) note: Option<&'a str>,
    /// What it is sorted by: value, difference, lift and p-value.
    pub(crate) numbers: [Option<f64>; 4],
}

impl Line<'_> {
    /// The verdict with its sign, or why there is none.
    pub(crate) fn verdict_text(&self) -> String {
        match self.verdict {
            Some(verdict) => format!("{} {}", verdict.sign(), verdict.words()),
            None if self.baseline => "baseline".to_owned(),
            None => String::new(),
        }
    }
}

/// The lines of a metric, best first, and how many of them stand in the first table: all, unless there are many variants.
/// Then the best come first, and the baseline after them if it is none of them.
pub(crate) fn lines<'a>(comparison: &'a Comparison, row: &'a Row) -> (Vec<Line<'a>>, usize) {
    let mut order = comparison.ranked(row);
    let mut first = order.len();
    if first > FEW {
        first = BEST;
        let baseline = order.iter().position(|at| comparison.variants.get(*at) == Some(&comparison.baseline));
        if let Some(baseline) = baseline.filter(|baseline| *baseline >= BEST) {
            let at = order.remove(baseline);
            order.insert(BEST, at);
            first += 1;
        }
    }
    let best = comparison.best(row);
    let lines = order.into_iter().filter_map(|at| {
        let variant = comparison.variants.get(at)?;
        Some(line(comparison, row, at, variant, best.get(at).copied().unwrap_or(false)))
    });
    (lines.collect(), first)
}

fn line<'a>(comparison: &Comparison, row: &'a Row, at: usize, variant: &'a str, best: bool) -> Line<'a> {
    let scale = row.scale();
    let cell = row.cells.get(at);
    let of = |value: Option<f64>, text: &dyn Fn(f64) -> String| value.map(text).unwrap_or_default();
    let value = cell.and_then(|cell| cell.value);
    let difference = cell.and_then(|cell| cell.difference);
    let relative = cell.and_then(|cell| cell.relative);
    let p = cell.and_then(|cell| cell.p_adjusted.or(cell.p_value));
    let interval = cell.map_or_else(String::new, |cell| match (cell.relative_interval, cell.interval) {
        (Some([low, high]), _) => format!("{} to {}", number::relative(low), number::relative(high)),
        (None, Some([low, high])) => format!("{} to {}", scale.difference(low), scale.difference(high)),
        (None, None) => String::new(),
    });
    Line {
        variant,
        baseline: variant == comparison.baseline,
        best,
        value: value.map_or_else(|| NONE.to_owned(), |value| scale.number(value)),
        difference: of(difference, &|difference| scale.difference(difference)),
        lift: of(relative, &number::relative),
        interval,
        p: of(p, &number::p_value),
        p_raw: cell.and_then(|cell| cell.p_value.filter(|_| cell.p_adjusted.is_some())).map(number::p_value),
        verdict: cell.and_then(|cell| cell.verdict),
        note: cell.and_then(|cell| cell.note.as_deref()),
        numbers: [value, difference, relative, p],
    }
}

/// `95 % interval`.
pub(crate) fn interval_title(comparison: &Comparison) -> String {
    match comparison.level {
        Some(level) => format!("{}\u{a0}% interval", number::number(level * 100.0)),
        None => "interval".to_owned(),
    }
}

/// `p`, or `p adj.` where p-values were corrected for the number of tests; `None` where there are none.
pub(crate) fn p_title(comparison: &Comparison) -> Option<&'static str> {
    let cells = || comparison.rows.iter().flat_map(|row| &row.cells);
    let any = cells().any(|cell| cell.p_value.or(cell.p_adjusted).is_some());
    any.then(|| if cells().any(|cell| cell.p_adjusted.is_some()) { "p adj." } else { "p" })
}
