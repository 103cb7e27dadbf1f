//! What ends a command early, and how it is said.

use std::fmt;
use std::process::ExitCode;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceSpan, SpanContents,
};
use serde_json::json;
use stagewright_contract::{ErrorKind, StageError};
use stagewright_core::node::line_and_column;
use stagewright_core::{Diagnostic, Diagnostics, SourceText, Sources, Span};
use stagewright_store::StoreError;

use crate::terminal::colour_err;

/// A stage failed.
pub(crate) const STAGE_FAILED: u8 = 1;
/// The workflow or the command line is wrong.
pub(crate) const WRONG: u8 = 2;
/// The machine, a file or a service is at fault.
pub(crate) const ENVIRONMENT: u8 = 3;
/// A mistake of ours.
pub(crate) const BUG: u8 = 101;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// What ends a command early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Mistakes in the workflow.
    Workflow { mistakes: Vec<Diagnostic>, count: usize, sources: Sources },
    /// Anything else: an exit code, what happened, and what to do about it.
    Other { code: u8, message: String, help: Option<String> },
}

impl Failure {
    /// The command line asks for something that is not there.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Other { code: WRONG, message: message.into(), help: None }
    }

    /// The machine or a file is at fault.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::Other { code: ENVIRONMENT, message: message.into(), help: None }
    }

    /// The same failure with advice.
    pub(crate) fn with_help(mut self, advice: impl Into<String>) -> Self {
        if let Self::Other { help, .. } = &mut self {
            *help = Some(advice.into());
        }
        self
    }

    /// Something that is not there, with the nearest of what is.
    pub(crate) fn unknown<'a>(what: &str, wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let suggestion = Diagnostic::anywhere(format!("there is no {what} `{wanted}`")).suggest(wanted, names);
        Self::Other { code: WRONG, message: suggestion.message, help: suggestion.help }
    }

    pub(crate) fn of_diagnostics(diagnostics: Diagnostics, sources: &Sources) -> Self {
        let count = diagnostics.len();
        Self::Workflow { mistakes: diagnostics.sorted(), count, sources: sources.clone() }
    }

    /// Says what happened, on standard error and, for machines, as JSON on standard output.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        match self {
            Self::Workflow { mistakes: diagnostics, count, sources } => {
                if json {
                    let errors: Vec<_> =
                        diagnostics.iter().map(|diagnostic| diagnostic_json(diagnostic, &sources)).collect();
                    println!("{}", json!({ "status": "invalid", "errors": errors }));
                }
                let shown = diagnostics.len().min(50);
                for diagnostic in &diagnostics[..shown] {
                    eprintln!("{}", render(diagnostic, &sources));
                }
                if shown < count {
                    eprintln!("and {} more", count - shown);
                }
                eprintln!("{count} {} found, nothing was executed", if count == 1 { "mistake" } else { "mistakes" });
                ExitCode::from(WRONG)
            }
            Self::Other { code, message, help } => {
                if json {
                    println!("{}", json!({ "status": "error", "errors": [{ "message": message, "help": help }] }));
                }
                eprintln!("error: {message}");
                if let Some(help) = help {
                    eprintln!("help: {help}");
                }
                ExitCode::from(code)
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error.kind() {
            ErrorKind::Data => WRONG,
            ErrorKind::Bug => BUG,
            ErrorKind::Environment | ErrorKind::Cancelled => ENVIRONMENT,
        };
        Self::Other { code, message: error.to_string(), help: error.help() }
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        let code = match error.kind {
            ErrorKind::Data => STAGE_FAILED,
            ErrorKind::Bug => BUG,
            ErrorKind::Environment | ErrorKind::Cancelled => ENVIRONMENT,
        };
        Self::Other { code, message: error.to_string(), help: error.help }
    }
}

fn diagnostic_json(diagnostic: &Diagnostic, sources: &Sources) -> serde_json::Value {
    let place = diagnostic.span.and_then(|span| {
        let source = sources.get(span.source)?;
        let (line, column) = line_and_column(&source.text, span.start);
        Some((source.name.clone(), line, column))
    });
    json!({
        "file": place.as_ref().map(|(file, ..)| file),
        "line": place.as_ref().map(|(_, line, _)| line),
        "column": place.as_ref().map(|(.., column)| column),
        "message": diagnostic.message,
        "expected": diagnostic.label,
        "help": diagnostic.help,
    })
}

/// A diagnostic with the text it speaks of.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    excerpt: Option<Excerpt>,
}

/// The line that a diagnostic speaks of, with those around it, each cut to what a terminal can show.
#[derive(Debug)]
struct Excerpt {
    /// What to call the text.
    name: String,
    lines: String,
    /// The number of the first of these lines, from zero.
    first: usize,
    /// Where in them the underline is.
    underline: SourceSpan,
    /// Line and column of the place, from zero.
    place: (usize, usize),
}

/// How many characters of a line are shown.
const SHOWN: usize = 120;

impl Excerpt {
    fn of(source: &SourceText, span: Span) -> Self {
        let text = source.text.as_str();
        let (line, column) = line_and_column(text, span.start);
        let first = line.saturating_sub(2);
        let mut lines = String::new();
        let mut underline = (0, 1);
        for (number, content) in text.lines().enumerate().skip(first).take(line + 1 - first) {
            if number + 1 != line {
                let cut: String = content.chars().take(SHOWN).map(printable).collect();
                lines.push_str(&cut);
                lines.push_str(if content.chars().nth(SHOWN).is_some() { "…\n" } else { "\n" });
                continue;
            }
            // The window starts far enough before the place to show it.
            let skipped = if content.chars().count() > SHOWN { (column - 1).saturating_sub(SHOWN / 2) } else { 0 };
            if skipped > 0 {
                lines.push('…');
            }
            let window: String = content.chars().skip(skipped).take(SHOWN).map(printable).collect();
            let offset_of = |at: usize| window.char_indices().nth(at).map_or(window.len(), |(offset, _)| offset);
            let start = offset_of(column - 1 - skipped);
            // A mapping spans many lines: its first line is enough to find it.
            let marked = text.get(span.start..span.start + span.len).map_or(span.len, |marked| marked.chars().count());
            let end = offset_of(column - 1 - skipped + marked.max(1));
            underline = (lines.len() + start, (end - start).max(1));
            lines.push_str(&window);
            let ends_here = skipped + SHOWN >= content.chars().count();
            lines.push_str(if ends_here { "\n" } else { "…\n" });
        }
        if lines.len() < underline.0 + underline.1 {
            lines.push_str(" \n"); // The place is at the very end of the text.
            underline.0 = lines.len() - 2;
        }
        Self { name: source.name.clone(), lines, first, underline: underline.into(), place: (line - 1, column - 1) }
    }
}

impl miette::SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.lines.as_str().read_span(span, before, after)?;
        // Asked for the place alone, say where it is in the whole text; asked for lines, where these begin.
        let (line, column) = if before == 0 { self.place } else { (self.first + found.line(), found.column()) };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            found.data(),
            *found.span(),
            line,
            column,
            found.line_count(),
        )))
    }
}

/// What is shown for a character: control characters could do anything to a terminal.
fn printable(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let printed = |text: &str| text.chars().map(printable).collect::<String>();
    let diagnostic = &Diagnostic {
        message: printed(&diagnostic.message),
        span: diagnostic.span,
        label: printed(&diagnostic.label),
        help: diagnostic.help.as_deref().map(printed),
    };
    let theme = if colour_err() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let excerpt = diagnostic.span.and_then(|span| Some(Excerpt::of(sources.get(span.source)?, span)));
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_width(100);
    match handler.render_report(&mut out, &Shown { diagnostic, excerpt }) {
        Ok(()) => out,
        Err(_) => diagnostic.one_line(sources),
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.excerpt.as_ref()?.underline;
        let label = Some(self.diagnostic.label.clone()).filter(|label| !label.is_empty());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, place))))
    }
}
