//! A comparison for a terminal.

use super::{BEST, Cell, Comparison, FEW, Goal, Line, Row, Verdict, interval_title, lines, p_title};
use crate::number::{self, plain};
use crate::table::{Column, Style, Text, TextTable};
use crate::text::{clean, wrap};

/// A comparison for a terminal. Where differences were tested: a sentence for each conclusion, then a row for each metric
/// and variant, the best first. Otherwise one row for each metric where that fits, else one for each metric and variant.
pub fn comparison_text(comparison: &Comparison, width: usize, colour: bool) -> String {
    let mut out = String::new();
    if let Some(title) = &comparison.title {
        out += &format!("{}\n\n", Style::Strong.paint(&clean(title), colour));
    }
    out += &conclusions(comparison, width, colour);
    let tested = comparison.tested();
    let mut notes = Vec::new();
    let tables: [fn(&Comparison, &mut Vec<String>) -> TextTable; 2] =
        if tested { [ranked, ranked_without_differences] } else { [side_by_side, one_below_the_other] };
    let mut table = tables[0](comparison, &mut notes);
    if table.natural_width() > width {
        notes.clear();
        table = tables[1](comparison, &mut notes);
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
    if tested {
        foot.push(tests(comparison));
        foot.extend(untested(comparison));
    } else if comparison.variants.len() > 1 {
        foot.push(format!("differences are from `{}` and not tested for significance", comparison.baseline));
    }
    foot.extend(comparison.over().map(|over| format!("metrics are averages {}", plain(&over))));
    for line in foot.iter().flat_map(|line| wrap(&clean(line), width)) {
        out += &format!("{}\n", Style::Dim.paint(&line, colour));
    }
    out
}

/// A sentence for each conclusion, with the sign of its verdict first; of many variants only what is told apart from the baseline,
/// and how many are not.
fn conclusions(comparison: &Comparison, width: usize, colour: bool) -> String {
    let ranked = comparison.ranked_conclusions();
    let many = ranked.len() > FEW;
    let (shown, rest) = ranked.split_at(if many { BEST.min(ranked.len()) } else { ranked.len() });
    let mut out = String::new();
    for conclusion in shown {
        let sign = conclusion.verdict.sign();
        for (at, line) in wrap(&format!("{sign} {}", clean(&conclusion.text)), width).into_iter().enumerate() {
            let painted = match line.strip_prefix(sign).filter(|_| at == 0) {
                Some(text) => format!("{}{text}", style(Some(conclusion.verdict)).paint(sign, colour)),
                None => line,
            };
            out += &format!("{painted}\n");
        }
    }
    if !rest.is_empty() {
        let count = |wanted| rest.iter().filter(|conclusion| conclusion.verdict == wanted).count();
        let parts: Vec<String> = Verdict::ALL
            .into_iter()
            .filter(|verdict| count(*verdict) > 0)
            .map(|verdict| format!("{} {}", count(verdict), verdict.words()))
            .collect();
        out += &format!("and {} more: {}\n", rest.len(), parts.join(", "));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// How differences were tested.
fn tests(comparison: &Comparison) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for method in comparison.rows.iter().flat_map(|row| &row.cells).filter_map(|cell| cell.method.as_deref()) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    let mut parts = vec![format!("differences are from `{}`", comparison.baseline)];
    if !methods.is_empty() {
        parts.push(format!("tested by {}", methods.join(" and ")));
    }
    if let Some(correction) = &comparison.correction {
        parts.push(format!("p-values corrected by {correction}"));
    }
    parts.join("; ")
}

/// The metrics that have a better way but nothing to test it by.
fn untested(comparison: &Comparison) -> Option<String> {
    let lacks = |cell: &Cell| cell.difference.is_some() && cell.verdict.is_none();
    let rows = comparison.rows.iter().filter(|row| row.goal != Goal::Describe && row.cells.iter().any(lacks));
    let names: Vec<&str> = rows.map(|row| row.metric.as_str()).collect();
    let unit = comparison.unit.as_deref().unwrap_or("unit");
    let why = format!("no mean over {unit}s; repeats with `seeds:` would tell");
    (!names.is_empty()).then(|| format!("not tested: {} ({why})", names.join(", ")))
}

fn ranked(comparison: &Comparison, notes: &mut Vec<String>) -> TextTable {
    ranked_table(comparison, notes, true)
}

fn ranked_without_differences(comparison: &Comparison, notes: &mut Vec<String>) -> TextTable {
    ranked_table(comparison, notes, false)
}

/// A row for each metric and variant, the best first. The difference says the same as the lift, and gives way to it.
fn ranked_table(comparison: &Comparison, notes: &mut Vec<String>, differences: bool) -> TextTable {
    let mut columns = vec![Column::left("metric, variant"), Column::right("value ")];
    columns.extend(differences.then(|| Column::right("diff")));
    columns.extend([Column::right("lift"), Column::right(plain(&interval_title(comparison)))]);
    let with_p = p_title(comparison);
    columns.extend(with_p.map(Column::right));
    columns.push(Column::left("verdict").wrapping());
    let width = columns.len();
    let mut table = TextTable::new(columns);
    for row in &comparison.rows {
        let mut head = vec![Text::new(&row.metric, Style::Strong), goal(row.goal)];
        head.resize(width - 1, Text::default());
        head.push(Text::new(if row.guardrail { "guardrail" } else { "" }, Style::Dim));
        table.row(head);
        let (lines, first) = lines(comparison, row);
        for line in lines.iter().take(first) {
            table.row(ranked_cells(line, notes, differences, with_p.is_some()));
        }
        if lines.len() > first {
            table.row([Text::new(format!("  … {} more", lines.len() - first), Style::Dim)]);
        }
    }
    table
}

fn ranked_cells(line: &Line<'_>, notes: &mut Vec<String>, differences: bool, with_p: bool) -> Vec<Text> {
    let style = style(line.verdict);
    let value = plain(&line.value);
    let value = if line.best { Text::new(format!("{value}*"), Style::Strong) } else { Text::from(format!("{value} ")) };
    let mut cells = vec![Text::from(format!("  {}", line.variant)), value];
    cells.extend(differences.then(|| Text::from(plain(&line.difference))));
    cells.extend([&line.lift, &line.interval].map(|text| Text::from(plain(text))));
    cells.extend(with_p.then(|| Text::from(line.p.as_str())));
    let mut verdict = line.verdict_text();
    if let Some(note) = line.note {
        verdict += &format!(" [{}]", noted(notes, format!("{}: {note}", line.variant)));
    }
    cells.push(Text::new(verdict.trim_start(), if line.baseline { Style::Dim } else { style }));
    cells
}

const fn style(verdict: Option<Verdict>) -> Style {
    match verdict {
        Some(Verdict::Better) => Style::Good,
        Some(Verdict::Worse | Verdict::Invalid) => Style::Bad,
        Some(Verdict::NoDifferenceShown | Verdict::Underpowered) | None => Style::Plain,
    }
}

/// The number of a note below the table.
fn noted(notes: &mut Vec<String>, note: String) -> usize {
    let known = notes.iter().position(|known| *known == note);
    known.unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    }) + 1
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
        let at = noted(notes, format!("{variant}: {note}"));
        difference = format!("{difference} [{at}]").trim_start().to_owned();
    }
    let relative = cell.relative.map(|relative| plain(&number::relative(relative))).unwrap_or_default();
    [value, Text::new(difference, style), Text::new(relative, style)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{comparison, sweep, tested};
    use super::*;

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

    #[test]
    fn what_was_tested_begins_with_the_verdict() {
        assert_eq!(
            comparison_text(&tested(), 120, false),
            "\
✗ `popular` is 27.1 % lower on `ndcg@10`, and 8.20 % higher on the guardrail `log_loss`.
= `honest` differs on `ndcg@10` by +5.43 % (95 % interval −1.22 % to +12.1 %).

metric, variant   value      diff     lift       95 % interval  p adj.  verdict
───────────────  ───────  ───────  ───────  ──────────────────  ──────  ─────────────────────
ndcg@10           higher
  honest         0.1301*  +0.0067  +5.43 %  -1.22 % to +12.1 %   0.220  = no difference shown
  as-published   0.1234                                                 baseline
  popular        0.0900   -0.0334  -27.1 %  -33.3 % to -20.8 %  <0.001  ✗ worse
log_loss           lower                                                guardrail
  as-published   0.6100*                                                baseline
  popular        0.6600   +0.0500  +8.20 %  +1.64 % to +14.8 %   0.028  ✗ worse
  honest         0.5000                                                 ! invalid [1]

* best of its metric
[1] honest: not comparable: other test users
differences are from `as-published`; tested by paired bootstrap (BCa); p-values corrected by Holm over 4 tests
metrics are averages over 3,677 users
"
        );
    }

    #[test]
    fn a_narrow_terminal_has_the_verdict_too() {
        assert_eq!(
            comparison_text(&tested(), 80, false),
            "\
✗ `popular` is 27.1 % lower on `ndcg@10`, and 8.20 % higher on the guardrail
`log_loss`.
= `honest` differs on `ndcg@10` by +5.43 % (95 % interval −1.22 % to +12.1 %).

metric, variant   value      lift       95 % interval  p adj.  verdict
───────────────  ───────  ───────  ──────────────────  ──────  ─────────────────
ndcg@10           higher
  honest         0.1301*  +5.43 %  -1.22 % to +12.1 %   0.220  = no difference
                                                               shown
  as-published   0.1234                                        baseline
  popular        0.0900   -27.1 %  -33.3 % to -20.8 %  <0.001  ✗ worse
log_loss           lower                                       guardrail
  as-published   0.6100*                                       baseline
  popular        0.6600   +8.20 %  +1.64 % to +14.8 %   0.028  ✗ worse
  honest         0.5000                                        ! invalid [1]

* best of its metric
[1] honest: not comparable: other test users
differences are from `as-published`; tested by paired bootstrap (BCa); p-values
corrected by Holm over 4 tests
metrics are averages over 3,677 users
"
        );
    }

    #[test]
    fn of_many_variants_the_best_and_the_baseline_are_shown() {
        assert_eq!(
            comparison_text(&sweep(), 100, false),
            "\
✓ `k=23` is 23 % higher on `ndcg@10`.
✓ `k=22` is 22 % higher on `ndcg@10`.
✓ `k=21` is 21 % higher on `ndcg@10`.
? `k=20` is 20 % higher on `ndcg@10`.
? `k=19` is 19 % higher on `ndcg@10`.
and 18 more: 18 underpowered

metric, variant   value      diff     lift       95 % interval  verdict
───────────────  ───────  ───────  ───────  ──────────────────  ──────────────
ndcg@10           higher
  k=23           0.1230*  +0.0230  +23.0 %  +3.00 % to +43.0 %  ✓ better
  k=22           0.1220   +0.0220  +22.0 %  +2.00 % to +42.0 %  ✓ better
  k=21           0.1210   +0.0210  +21.0 %  +1.00 % to +41.0 %  ✓ better
  k=20           0.1200   +0.0200  +20.0 %     ±0 % to +40.0 %  ? underpowered
  k=19           0.1190   +0.0190  +19.0 %  -1.00 % to +39.0 %  ? underpowered
  base           0.1000                                         baseline
  … 18 more

* best of its metric
differences are from `base`
"
        );
    }
}
