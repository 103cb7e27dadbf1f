//! Plain-text tables for a terminal.
//!
//! ```
//! use stagewright_report::table::{Column, TextTable};
//!
//! let mut table = TextTable::new([Column::left("run"), Column::right("seconds")]);
//! table.row(["7f3a", "1.2"]);
//! assert_eq!(table.render(80, false), "run   seconds\n────  ───────\n7f3a      1.2\n");
//! ```

use crate::text::{clean, cut, width, wrap};

/// Between two columns.
const GAP: usize = 2;

/// Rows and columns of text.
#[derive(Clone, Debug, Default)]
pub struct TextTable {
    columns: Vec<Column>,
    rows: Vec<Vec<Text>>,
}

/// A column: its title, its side, and what happens to text that finds no room.
#[derive(Clone, Debug)]
pub struct Column {
    title: String,
    right: bool,
    wraps: bool,
}

/// What stands in a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    text: String,
    style: Style,
}

/// How a cell looks where colours are wanted; elsewhere all look the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Bold.
    Strong,
    /// Less than what is around it.
    Dim,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
}

impl Style {
    /// The text in this style.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Bad => "31",
        };
        if colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl Column {
    /// Text, flush left.
    pub fn left(title: impl AsRef<str>) -> Self {
        Self { title: clean(title.as_ref()), right: false, wraps: false }
    }

    /// Numbers, flush right.
    pub fn right(title: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::left(title) }
    }

    /// Breaks text into lines where it finds no room; without this it is cut with `…`.
    #[must_use]
    pub fn wrapping(mut self) -> Self {
        self.wraps = true;
        self
    }
}

impl Text {
    /// Text in a style.
    pub fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: clean(text.as_ref()), style }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text, Style::Plain)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text, Style::Plain)
    }
}

impl TextTable {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells are empty, surplus ones are left out.
    pub fn row<T: Into<Text>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut cells: Vec<Text> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), Text::default());
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How wide the table is when nothing is cut or wrapped.
    pub fn natural_width(&self) -> usize {
        self.natural_widths().iter().sum::<usize>() + GAP * self.columns.len().saturating_sub(1)
    }

    /// The table, made to fit into `width` columns: first what wraps gives way, then what is cut, numbers last.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let widths = self.fit(width);
        let mut out = String::new();
        let header: Vec<Vec<String>> =
            self.columns.iter().zip(&widths).map(|(column, &width)| vec![cut(&column.title, width)]).collect();
        self.line(&mut out, &widths, &header, &vec![Style::Strong; widths.len()], colour);
        let rule: Vec<Vec<String>> = widths.iter().map(|&width| vec!["─".repeat(width)]).collect();
        self.line(&mut out, &widths, &rule, &vec![Style::Dim; widths.len()], colour);
        for row in &self.rows {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&self.columns)
                .zip(&widths)
                .map(
                    |((cell, column), &width)| {
                        if column.wraps { wrap(&cell.text, width) } else { vec![cut(&cell.text, width)] }
                    },
                )
                .collect();
            let styles: Vec<Style> = row.iter().map(|cell| cell.style).collect();
            self.line(&mut out, &widths, &cells, &styles, colour);
        }
        out
    }

    /// Writes one row, which is as many lines as its highest cell.
    fn line(&self, out: &mut String, widths: &[usize], cells: &[Vec<String>], styles: &[Style], colour: bool) {
        for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = String::new();
            let mut pending = 0;
            for (((column, &room), cell), style) in self.columns.iter().zip(widths).zip(cells).zip(styles) {
                let text = cell.get(at).map_or("", String::as_str);
                let space = room.saturating_sub(width(text));
                if !text.is_empty() {
                    line += &" ".repeat(pending + if column.right { space } else { 0 });
                    line += &style.paint(text, colour);
                    pending = 0;
                }
                pending += GAP
                    + if text.is_empty() {
                        room
                    } else if column.right {
                        0
                    } else {
                        space
                    };
            }
            *out += line.trim_end();
            out.push('\n');
        }
    }

    fn natural_widths(&self) -> Vec<usize> {
        self.columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| width(&cell.text));
                cells.max().unwrap_or(0).max(width(&column.title))
            })
            .collect()
    }

    fn fit(&self, width: usize) -> Vec<usize> {
        let room = width.saturating_sub(GAP * self.columns.len().saturating_sub(1));
        let mut widths: Vec<usize> = self.natural_widths().into_iter().map(|natural| natural.min(width)).collect();
        type GivesWay = fn(&Column) -> bool;
        let order: [(GivesWay, usize); 3] = [(|column| column.wraps, 14), (|column| !column.right, 8), (|_| true, 3)];
        for (gives_way, least) in order {
            while widths.iter().sum::<usize>() > room {
                let widest = (0..widths.len())
                    .filter(|&at| gives_way(&self.columns[at]) && widths[at] > least)
                    .max_by_key(|&at| widths[at]);
                let Some(widest) = widest else { break };
                widths[widest] -= 1;
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> TextTable {
        let mut table =
            TextTable::new([Column::left("run"), Column::right("seconds"), Column::left("message").wrapping()]);
        table.row(["7f3a", "1.2", "done"]);
        table.row(["顧客-2", "12,345.0", "stage `kmeans` failed: column `age` has nulls"]);
        table
    }

    #[test]
    fn numbers_are_flush_right_and_wide_characters_count_twice() {
        assert_eq!(
            runs().render(80, false),
            "\
run      seconds  message
──────  ────────  ─────────────────────────────────────────────
7f3a         1.2  done
顧客-2  12,345.0  stage `kmeans` failed: column `age` has nulls
"
        );
    }

    #[test]
    fn text_wraps_before_anything_is_cut() {
        assert_eq!(
            runs().render(36, false),
            "\
run      seconds  message
──────  ────────  ──────────────────
7f3a         1.2  done
顧客-2  12,345.0  stage `kmeans`
                  failed: column
                  `age` has nulls
"
        );
        for width in [20, 24, 30] {
            let rendered = runs().render(width, false);
            assert!(rendered.lines().all(|line| super::width(line) <= width), "{width}:\n{rendered}");
        }
    }

    #[test]
    fn rows_may_be_short_long_or_hostile() {
        let mut table = TextTable::new([Column::left("a"), Column::left("b")]);
        table.row(["\u{1b}[31mred"]);
        table.row(["1", "2", "3"]);
        assert_eq!(table.render(80, false), "a         b\n────────  ─\n\u{fffd}[31mred\n1         2\n");
    }

    #[test]
    fn colour_does_not_change_the_alignment() {
        let mut table = TextTable::new([Column::right("n"), Column::left("what")]);
        table.row([Text::new("7", Style::Good), Text::from("x")]);
        assert_eq!(
            table.render(80, true),
            "\u{1b}[1mn\u{1b}[0m  \u{1b}[1mwhat\u{1b}[0m\n\u{1b}[2m─\u{1b}[0m  \u{1b}[2m────\u{1b}[0m\n\u{1b}[32m7\u{1b}[0m  x\n"
        );
    }
}
