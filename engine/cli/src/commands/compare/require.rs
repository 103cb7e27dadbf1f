//! Conditions on a comparison: `frequency better on scores.ndcg@10`.

use std::fmt;

use stagewright_core::diagnostic::nearest;
use stagewright_report::{Comparison, Verdict};

use crate::failure::Failure;

/// What is required of a variant and a metric.
pub(super) struct Condition {
    variant: String,
    negated: bool,
    verdict: Verdict,
    metric: String,
}

const WORDS: [(&str, Verdict); 2] = [("better", Verdict::Better), ("worse", Verdict::Worse)];

impl Condition {
    /// `VARIANT better on METRIC` or `VARIANT not worse on METRIC`.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (variant, negated, verdict, metric) = match words.as_slice() {
            [variant, verdict, "on", metric] => (variant, false, verdict, metric),
            [variant, "not", verdict, "on", metric] => (variant, true, verdict, metric),
            _ => return Err(malformed(text)),
        };
        let known = WORDS.iter().find(|(word, _)| word == verdict);
        let Some((_, verdict)) = known else { return Err(malformed(text)) };
        Ok(Self { variant: (*variant).to_owned(), negated, verdict: *verdict, metric: (*metric).to_owned() })
    }

    /// What was found instead, where the condition does not hold.
    pub(super) fn check(&self, comparisons: &[Comparison]) -> Result<Result<(), String>, Failure> {
        let of = |comparison: &Comparison| {
            let at = comparison.variants.iter().position(|variant| *variant == self.variant)?;
            let row = comparison.rows.iter().find(|row| row.metric == self.metric)?;
            row.cells.get(at).cloned()
        };
        let Some(cell) = comparisons.iter().find_map(of) else { return Err(self.unknown(comparisons)) };
        let Some(verdict) = cell.verdict else {
            let why = cell.note.unwrap_or_else(|| "it was not tested".to_owned());
            return Ok(Err(format!("no verdict: {why}")));
        };
        // What could not be compared fulfils nothing.
        let holds = verdict != Verdict::Invalid && (verdict == self.verdict) != self.negated;
        Ok(if holds { Ok(()) } else { Err(cell.note.unwrap_or_else(|| verdict.words().to_owned())) })
    }

    fn unknown(&self, comparisons: &[Comparison]) -> Failure {
        let variants: Vec<&str> =
            comparisons.iter().flat_map(|comparison| comparison.variants.iter().map(String::as_str)).collect();
        let metrics: Vec<&str> =
            comparisons.iter().flat_map(|comparison| comparison.rows.iter().map(|row| row.metric.as_str())).collect();
        let (kind, name, known) = if variants.contains(&self.variant.as_str()) {
            ("metric", &self.metric, metrics)
        } else {
            ("variant", &self.variant, variants)
        };
        let failure = Failure::usage(format!("the comparison has no {kind} `{name}`"));
        match nearest(name, known.iter().copied()) {
            Some(near) => failure.with_help(format!("did you mean `{near}`?")),
            None => failure.with_help(format!("it has {}", known.join(", "))),
        }
    }
}

fn malformed(text: &str) -> Failure {
    Failure::usage(format!("`{text}` is not a condition"))
        .with_help("write `VARIANT better on STAGE.METRIC` or `VARIANT not worse on STAGE.METRIC`")
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "not " } else { "" };
        write!(formatter, "`{}` {not}{} on {}", self.variant, self.verdict.words(), self.metric)
    }
}
