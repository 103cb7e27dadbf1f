//! A comparison in GitHub's Markdown, for a comment on a change.

use super::{Comparison, Goal, Line, Row, interval_title, lines, p_title};
use crate::number::plain;
use crate::text::clean;

/// A comparison in GitHub's Markdown: a sentence for each conclusion, then a table with a row for each metric and variant,
/// the best first. With many variants all but the best and the baseline are folded away. Names and texts are escaped: they
/// are shown as they are and mean nothing to Markdown.
pub fn comparison_markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    if let Some(title) = &comparison.title {
        out += &format!("### {}\n\n", escape(title));
    }
    for conclusion in comparison.ranked_conclusions() {
        out += &format!("- {} {}\n", conclusion.verdict.sign(), prose(&conclusion.text));
    }
    if !comparison.conclusions.is_empty() {
        out.push('\n');
    }
    let tested = comparison.tested();
    let mut folded = Vec::new();
    let head = head(comparison, tested);
    out += &head;
    for row in &comparison.rows {
        let (lines, first) = lines(comparison, row);
        let (shown, rest) = lines.split_at(first.min(lines.len()));
        out.extend(shown.iter().map(|line| table_row(comparison, row, line, tested)));
        folded.extend(rest.iter().map(|line| table_row(comparison, row, line, tested)));
    }
    if !folded.is_empty() {
        out += &format!(
            "\n<details><summary>The other variants ({} rows)</summary>\n\n{head}{}\n</details>\n",
            folded.len(),
            folded.concat()
        );
    }
    out += &format!("\n{}\n", foot(comparison, tested).join(" "));
    out
}

fn head(comparison: &Comparison, tested: bool) -> String {
    let mut columns = vec![("metric".to_owned(), "---"), ("variant".to_owned(), "---")];
    columns.extend(["value", "difference", "lift"].map(|title| (title.to_owned(), "---:")));
    if tested {
        columns.push((plain(&interval_title(comparison)), "---:"));
        columns.extend(p_title(comparison).map(|title| (title.to_owned(), "---:")));
    }
    columns.push(((if tested { "verdict" } else { "note" }).to_owned(), "---"));
    let titles: Vec<&str> = columns.iter().map(|(title, _)| title.as_str()).collect();
    let rules: Vec<&str> = columns.iter().map(|(_, rule)| *rule).collect();
    format!("| {} |\n| {} |\n", titles.join(" | "), rules.join(" | "))
}

fn table_row(comparison: &Comparison, row: &Row, line: &Line<'_>, tested: bool) -> String {
    let direction = match row.goal {
        Goal::Maximize => " ↑",
        Goal::Minimize => " ↓",
        Goal::Describe => "",
    };
    let guardrail = if row.guardrail { " (guardrail)" } else { "" };
    let value = if line.best { format!("**{}**", plain(&line.value)) } else { plain(&line.value) };
    let mut cells = vec![format!("{}{direction}{guardrail}", escape(&row.metric)), escape(line.variant), value];
    cells.extend([&line.difference, &line.lift].map(|number| plain(number)));
    if tested {
        cells.push(plain(&line.interval));
        cells.extend(p_title(comparison).map(|_| escape(&line.p)));
    }
    let note = line.note.map(prose).unwrap_or_default();
    let verdict = line.verdict_text();
    cells.push(if note.is_empty() || verdict.is_empty() { verdict + &note } else { format!("{verdict}: {note}") });
    format!("| {} |\n", cells.join(" | "))
}

fn foot(comparison: &Comparison, tested: bool) -> Vec<String> {
    let mut foot = vec![format!("Differences are from {}", escape(&comparison.baseline))];
    let end = if tested { "." } else { " and not tested for significance." };
    if let Some(first) = foot.first_mut() {
        first.push_str(end);
    }
    foot.extend(comparison.correction.as_deref().map(|correction| format!("Correction: {}.", escape(correction))));
    foot.extend(comparison.over().map(|over| format!("Metrics are averages {}.", escape(&plain(&over)))));
    if comparison.rows.iter().any(|row| row.goal != Goal::Describe) {
        foot.push("↑ higher is better, ↓ lower is better; the best value of a metric is bold.".to_owned());
    }
    foot
}

/// A sentence in which names stand in backticks, which is how Markdown has them too.
fn prose(text: &str) -> String {
    let text = clean(text);
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(&text);
    }
    let part = |(at, part): (usize, &&str)| {
        if at % 2 == 1 { format!("`{}`", part.replace('|', "\\|")) } else { escape(part) }
    };
    parts.iter().enumerate().map(part).collect()
}

/// The text with a backslash before whatever could mean something to Markdown or HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        if "\\`*_{}[]<>#!|~&$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comparison, sweep, tested};
    use super::*;

    #[test]
    fn conclusions_come_first_and_the_best_leads_its_metric() {
        assert_eq!(comparison_markdown(&tested()), "\
- ✗ `popular` is 27.1 % lower on `ndcg@10`, and 8.20 % higher on the guardrail `log_loss`.
- = `honest` differs on `ndcg@10` by +5.43 % (95 % interval −1.22 % to +12.1 %).

| metric | variant | value | difference | lift | 95 % interval | p adj. | verdict |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
| ndcg@10 ↑ | honest | **0.1301** | +0.0067 | +5.43 % | -1.22 % to +12.1 % | 0.220 | = no difference shown |
| ndcg@10 ↑ | as-published | 0.1234 |  |  |  |  | baseline |
| ndcg@10 ↑ | popular | 0.0900 | -0.0334 | -27.1 % | -33.3 % to -20.8 % | \\<0.001 | ✗ worse |
| log\\_loss ↓ (guardrail) | as-published | **0.6100** |  |  |  |  | baseline |
| log\\_loss ↓ (guardrail) | popular | 0.6600 | +0.0500 | +8.20 % | +1.64 % to +14.8 % | 0.028 | ✗ worse |
| log\\_loss ↓ (guardrail) | honest | 0.5000 |  |  |  |  | ! invalid: not comparable: other test users |

Differences are from as-published. Correction: Holm over 4 tests. Metrics are averages over 3,677 users. ↑ higher is better, ↓ lower is better; the best value of a metric is bold.
");
    }

    #[test]
    fn what_was_not_tested_says_so() {
        assert_eq!(comparison_markdown(&comparison()), "\
| metric | variant | value | difference | lift | note |
| --- | --- | ---: | ---: | ---: | --- |
| ndcg@10 ↑ | honest | **0.1301** | +0.0067 | +5.43 % |  |
| ndcg@10 ↑ | as-published | 0.1234 |  |  | baseline |
| ndcg@10 ↑ | popular | 0.0900 | -0.0334 | -27.1 % |  |
| log\\_loss ↓ | as-published | **0.6100** |  |  | baseline |
| log\\_loss ↓ | popular | 0.6600 | +0.0500 | +8.20 % |  |
| log\\_loss ↓ | honest | 0.5000 |  |  | not comparable: other test users |
| users | as-published | 3,677 |  |  | baseline |
| users | honest | 3,677 | ±0 | ±0 % |  |
| users | popular | – |  |  |  |

Differences are from as-published and not tested for significance. Metrics are averages over 3,677 users. ↑ higher is better, ↓ lower is better; the best value of a metric is bold.
");
    }

    #[test]
    fn of_many_variants_all_but_the_best_are_folded() {
        let text = comparison_markdown(&sweep());
        let (shown, folded) = text.split_once("<details>").unwrap_or_default();
        assert_eq!(shown.matches("\n| ndcg").count(), 6, "the five best and the baseline: {shown}");
        assert_eq!(folded.matches("\n| ndcg").count(), 18);
        assert!(shown.contains("| base |"), "{shown}");
    }

    #[test]
    fn names_mean_nothing_to_markdown() {
        let mut comparison = tested();
        let evil = "a|b `c` <img> [x](y) *z*\n# h";
        comparison.variants[1] = evil.to_owned();
        comparison.conclusions[0].text = evil.to_owned();
        comparison.conclusions[0].variant = evil.to_owned();
        comparison.rows[0].metric = evil.to_owned();
        comparison.rows[0].cells[1].note = Some(evil.to_owned());
        let text = comparison_markdown(&comparison);
        assert!(!text.contains("\n#") && !text.contains(" <img>") && !text.contains(" *z*"), "{text}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(rows.iter().all(|row| columns(row) == 9), "{text}");
    }
}
