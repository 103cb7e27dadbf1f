//! A comparison as test results, so that whatever shows those shows it, and can fail on it.

use maud::{PreEscaped, html};

use super::{Comparison, Line, Row, Verdict, interval_title, lines, p_title};
use crate::number::plain;
use crate::text::clean;

/// A comparison as a JUnit test suite: a test case for each variant but the baseline and each metric. It fails where the
/// verdict is invalid, and where a guardrail is worse; it is skipped where there are too few units, and where nothing was
/// tested.
pub fn comparison_junit(comparison: &Comparison) -> String {
    let suite = comparison.title.as_deref().unwrap_or("comparison");
    let cases: Vec<(&Row, Line<'_>, Outcome)> = comparison
        .rows
        .iter()
        .flat_map(|row| lines(comparison, row).0.into_iter().map(move |line| (row, line)))
        .filter(|(_, line)| !line.baseline)
        .map(|(row, line)| {
            let outcome = outcome(row, &line);
            (row, line, outcome)
        })
        .collect();
    let count = |wanted| cases.iter().filter(|(.., outcome)| *outcome == wanted).count();
    let suites = html! {
        testsuites {
            testsuite
                name=(clean(suite))
                tests=(cases.len())
                failures=(count(Outcome::Failed))
                errors="0"
                skipped=(count(Outcome::Skipped))
            {
                @for (row, line, outcome) in &cases {
                    (PreEscaped("\n"))
                    @let said = said(comparison, row, line);
                    testcase classname=(clean(&row.metric)) name=(clean(line.variant)) {
                        @match outcome {
                            Outcome::Failed => failure type=(line.verdict.map_or("", Verdict::words)) message=(said) {},
                            Outcome::Skipped => skipped message=(said) {},
                            Outcome::Passed => system-out { (said) },
                        }
                    }
                }
                (PreEscaped("\n"))
            }
        }
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", suites.into_string())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

fn outcome(row: &Row, line: &Line<'_>) -> Outcome {
    match line.verdict {
        Some(Verdict::Invalid) => Outcome::Failed,
        Some(Verdict::Worse) if row.guardrail => Outcome::Failed,
        Some(Verdict::Underpowered) | None => Outcome::Skipped,
        Some(Verdict::Better | Verdict::Worse | Verdict::NoDifferenceShown) => Outcome::Passed,
    }
}

/// The whole line of the table in words.
fn said(comparison: &Comparison, row: &Row, line: &Line<'_>) -> String {
    let mut parts = vec![line.verdict.map_or("not tested", Verdict::words).to_owned()];
    if row.guardrail {
        parts.push("a guardrail".to_owned());
    }
    parts.push(format!("value {}", line.value));
    if !line.lift.is_empty() {
        parts.push(format!("{} from {}", line.lift, comparison.baseline));
    } else if !line.difference.is_empty() {
        parts.push(format!("{} from {}", line.difference, comparison.baseline));
    }
    if !line.interval.is_empty() {
        parts.push(format!("{} {}", interval_title(comparison), line.interval));
    }
    if let Some(title) = p_title(comparison).filter(|_| !line.p.is_empty()) {
        parts.push(format!("{title} {}", line.p));
    }
    parts.extend(line.note.map(str::to_owned));
    clean(&plain(&parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::super::tests::{comparison, tested};
    use super::*;

    #[test]
    fn a_guardrail_that_is_worse_fails_and_too_few_units_skip() {
        assert_eq!(comparison_junit(&tested()), "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites><testsuite name=\"comparison\" tests=\"4\" failures=\"2\" errors=\"0\" skipped=\"0\">
<testcase classname=\"ndcg@10\" name=\"honest\"><system-out>no difference shown, value 0.1301, +5.43 % from as-published, 95 % interval -1.22 % to +12.1 %, p adj. 0.220</system-out></testcase>
<testcase classname=\"ndcg@10\" name=\"popular\"><system-out>worse, value 0.0900, -27.1 % from as-published, 95 % interval -33.3 % to -20.8 %, p adj. &lt;0.001</system-out></testcase>
<testcase classname=\"log_loss\" name=\"popular\"><failure type=\"worse\" message=\"worse, a guardrail, value 0.6600, +8.20 % from as-published, 95 % interval +1.64 % to +14.8 %, p adj. 0.028\"></failure></testcase>
<testcase classname=\"log_loss\" name=\"honest\"><failure type=\"invalid\" message=\"invalid, a guardrail, value 0.5000, not comparable: other test users\"></failure></testcase>
</testsuite></testsuites>
");
    }

    #[test]
    fn what_was_not_tested_is_skipped() {
        let xml = comparison_junit(&comparison());
        assert!(xml.contains("tests=\"6\" failures=\"0\" errors=\"0\" skipped=\"6\""), "{xml}");
    }

    #[test]
    fn names_are_only_text() {
        let mut comparison = tested();
        let evil = "a\"<b>&\u{1b}\u{0}'";
        comparison.variants[1] = evil.to_owned();
        comparison.rows[0].metric = evil.to_owned();
        comparison.rows[0].cells[1] = Cell { note: Some(evil.to_owned()), ..Cell::default() };
        let xml = comparison_junit(&comparison);
        assert!(!xml.contains("<b>") && !xml.contains('\u{1b}') && !xml.contains('\u{0}'), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), xml.matches("</testcase>").count());
    }
}
