//! What the tests say, before all else.

use maud::{Markup, html};

use super::{Variants, prose};
use crate::comparison::FEW;
use crate::{Comparison, Conclusion, Report, Verdict};

/// A sentence for each variant of each comparison; of many variants the ones that differ come first and the rest is folded.
pub(super) fn verdicts(report: &Report) -> Markup {
    let variants = Variants::of(report);
    let titled = report.comparisons.iter().filter(|comparison| !comparison.conclusions.is_empty()).count() > 1;
    html! {
        @for comparison in report.comparisons.iter().filter(|comparison| !comparison.conclusions.is_empty()) {
            @if titled { @if let Some(title) = &comparison.title { h3 { (title) } } }
            (conclusions(comparison, &variants))
        }
    }
}

fn conclusions(comparison: &Comparison, variants: &Variants<'_>) -> Markup {
    let ranked = comparison.ranked_conclusions();
    let differ = ranked.iter().filter(|conclusion| matches!(conclusion.verdict, Verdict::Better | Verdict::Worse));
    let first = if ranked.len() > FEW { differ.count().clamp(1, FEW) } else { ranked.len() };
    let (shown, rest) = ranked.split_at(first);
    let list = |conclusions: &[&Conclusion]| {
        html! {
            ul.verdicts {
                @for conclusion in conclusions {
                    li.(conclusion.verdict.class()) data-v=[variants.at(&conclusion.variant)] {
                        span.sign aria-hidden="true" { (conclusion.verdict.sign()) }
                        p {
                            strong.word { (conclusion.verdict.words()) } ": "
                            (prose(&conclusion.text))
                        }
                    }
                }
            }
        }
    };
    html! {
        (list(shown))
        @if !rest.is_empty() {
            details { summary { (rest.len()) " more variants" } (list(rest)) }
        }
    }
}

/// A verdict with its sign.
pub(super) fn badge(verdict: Verdict) -> Markup {
    html! {
        span.verdict.(verdict.class()) { span.sign aria-hidden="true" { (verdict.sign()) } " " (verdict.words()) }
    }
}
