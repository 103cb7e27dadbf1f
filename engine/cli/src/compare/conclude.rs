//! What the tests come to, variant by variant, as a sentence.

use stagewright_report::number::{self, plain};
use stagewright_report::{Cell, Comparison, Conclusion, Verdict};

/// In which order a conclusion speaks of verdicts.
const ORDER: [Verdict; 5] =
    [Verdict::Better, Verdict::Worse, Verdict::Invalid, Verdict::Underpowered, Verdict::NoDifferenceShown];

/// A metric of one variant that was tested or could not be.
struct Said<'a> {
    metric: &'a str,
    guardrail: bool,
    verdict: Verdict,
    cell: &'a Cell,
}

/// A conclusion about each variant that has a verdict on any metric.
pub(crate) fn conclusions(comparison: &Comparison) -> Vec<Conclusion> {
    let about = |at: usize| -> Vec<Said<'_>> {
        let said = comparison.rows.iter().filter_map(|row| {
            let cell = row.cells.get(at)?;
            Some(Said { metric: &row.metric, guardrail: row.guardrail, verdict: cell.verdict?, cell })
        });
        said.collect()
    };
    let conclude = |(at, variant): (usize, &String)| {
        let said = about(at);
        let verdict = overall(&said)?;
        Some(Conclusion { variant: variant.clone(), verdict, text: sentence(comparison, variant, &said) })
    };
    comparison.variants.iter().enumerate().filter_map(conclude).collect()
}

/// One verdict of many: a guardrail that is worse makes the variant worse; better and worse at once is what the first
/// metric says; without either, what was not seen for want of units goes before what was not there.
fn overall(said: &[Said<'_>]) -> Option<Verdict> {
    let decides = || said.iter().filter(|said| !said.guardrail);
    let any = |verdict: Verdict| decides().any(|said| said.verdict == verdict);
    if said.iter().any(|said| said.guardrail && said.verdict == Verdict::Worse) {
        return Some(Verdict::Worse);
    }
    match (any(Verdict::Better), any(Verdict::Worse)) {
        (true, true) => decides().map(|said| said.verdict).find(|v| [Verdict::Better, Verdict::Worse].contains(v)),
        (true, false) => Some(Verdict::Better),
        (false, true) => Some(Verdict::Worse),
        (false, false) => [Verdict::Invalid, Verdict::Underpowered, Verdict::NoDifferenceShown]
            .into_iter()
            .find(|verdict| any(*verdict)),
    }
}

fn sentence(comparison: &Comparison, variant: &str, said: &[Said<'_>]) -> String {
    let baseline = &comparison.baseline;
    let mut parts = Vec::new();
    for verdict in ORDER {
        let of: Vec<&Said<'_>> = said.iter().filter(|said| said.verdict == verdict).collect();
        if of.is_empty() {
            continue;
        }
        let list = |detail: &dyn Fn(&Said<'_>) -> Option<String>| {
            let named = of.iter().map(|said| {
                let guard = if said.guardrail { "the guardrail " } else { "" };
                let detail = detail(said).map_or(String::new(), |detail| format!(" ({detail})"));
                format!("{guard}{}{detail}", said.metric)
            });
            named.collect::<Vec<_>>().join(", ")
        };
        parts.push(match verdict {
            Verdict::Better => format!("is better than `{baseline}` on {}", list(&|said| Some(lift(said.cell)))),
            Verdict::Worse => format!("is worse than `{baseline}` on {}", list(&|said| Some(lift(said.cell)))),
            Verdict::Invalid => invalid(&of, baseline),
            Verdict::Underpowered => format!("shows nothing for want of units on {}", list(&|said| missing(said.cell))),
            Verdict::NoDifferenceShown => format!("shows no difference on {}", list(&|_| None)),
        });
    }
    format!("`{variant}` {}", parts.join("; "))
}

/// The reasons why metrics cannot be compared, each once.
fn invalid(of: &[&Said<'_>], baseline: &str) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for said in of {
        let reason = said.cell.note.as_deref().unwrap_or("not tested");
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, metrics)) => metrics.push(said.metric),
            None => reasons.push((reason, vec![said.metric])),
        }
    }
    let part = |(reason, metrics): (&str, Vec<&str>)| {
        let reason = reason.strip_prefix("not comparable: ").unwrap_or(reason);
        format!("cannot be compared with `{baseline}` on {}: {reason}", metrics.join(", "))
    };
    reasons.into_iter().map(part).collect::<Vec<_>>().join("; ")
}

/// The relative difference with its interval, or the difference itself where the baseline is 0.
fn lift(cell: &Cell) -> String {
    let text = match (cell.relative, cell.relative_interval, cell.difference, cell.interval) {
        (Some(relative), Some([lower, upper]), ..) => {
            format!("{} [{}, {}]", number::relative(relative), number::relative(lower), number::relative(upper))
        }
        (_, _, Some(difference), Some([lower, upper])) => {
            format!("{} [{}, {}]", number::number(difference), number::number(lower), number::number(upper))
        }
        _ => String::new(),
    };
    plain(&text)
}

/// What would have been seen, and what it would take.
fn missing(cell: &Cell) -> Option<String> {
    let detectable = plain(&number::share(cell.detectable?));
    Some(match cell.needed {
        Some(needed) => format!("only {detectable} would be seen; it takes {}", plain(&number::count(needed))),
        None => format!("only {detectable} would be seen"),
    })
}
