//! Mistakes in a workflow, each with its place, what was expected, and the nearest valid name.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::node::{Sources, Span};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where; `None` when no text is to blame (an empty file).
    pub span: Option<Span>,
    /// What was expected there: the text under the underline.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at a place.
    pub fn new(span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), label: label.into(), help: None }
    }

    /// A mistake that no text is to blame for.
    pub fn anywhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, label: String::new(), help: None }
    }

    /// The same mistake with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same mistake with the nearest of some valid names as advice, or with all of them where none is near.
    #[must_use]
    pub fn suggest<'a>(self, wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        match nearest(wanted, names.iter().copied()) {
            Some(near) => self.with_help(format!("did you mean `{near}`?")),
            None if names.is_empty() => self,
            None => {
                names.sort_unstable();
                let more = names.len().saturating_sub(12);
                names.truncate(12);
                let mut list = names.join(", ");
                if more > 0 {
                    list.push_str(&format!(" and {more} more"));
                }
                self.with_help(format!("valid names: {list}"))
            }
        }
    }

    /// One line for machines and logs: `file:line:column: message`.
    pub fn one_line(&self, sources: &Sources) -> String {
        let mut line = match self.span {
            Some(span) => format!("{}: {}", sources.locate(span), self.message),
            None => self.message.clone(),
        };
        if let Some(help) = &self.help {
            line.push_str(&format!(" ({help})"));
        }
        line
    }
}

/// The name that a person most likely meant, if one is near enough.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            // A name of which only the part after the dot was written counts as near: `kmeans` for `segment.kmeans`.
            let last = lower.rsplit('.').next().unwrap_or(&lower);
            let similarity = strsim::jaro_winkler(&wanted, &lower).max(strsim::jaro_winkler(&wanted, last) - 0.05);
            (similarity, name)
        })
        .filter(|(similarity, _)| *similarity >= 0.78)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name)
}

/// How many mistakes are kept: more than a person reads.
const KEPT: usize = 10_000;
/// How many names are compared for suggestions in all.
const MAX_COMPARED: usize = 200_000;

/// The mistakes found so far, without repeats: variants share most of their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    /// The places and messages of what was found. Labels and help may differ between variants.
    seen: HashSet<(Option<Span>, String)>,
    /// How many names were compared for suggestions.
    compared: usize,
    /// How many more there were than are kept.
    more: usize,
    unknown: BTreeSet<Span>,
}

impl Diagnostics {
    /// Adds a mistake unless the same one is known.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.found.len() == KEPT {
            self.more += 1;
        } else if self.seen.insert((diagnostic.span, diagnostic.message.clone())) {
            self.found.push(diagnostic);
        }
    }

    /// Adds a mistake with the nearest of many valid names, unless too many names were compared already: ten thousand
    /// mistakes with ten thousand names would take minutes.
    pub(crate) fn push_near<'a>(
        &mut self,
        diagnostic: Diagnostic,
        wanted: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) {
        if self.compared >= MAX_COMPARED || self.seen.contains(&(diagnostic.span, diagnostic.message.clone())) {
            return self.push(diagnostic);
        }
        let names: Vec<&str> = names.into_iter().collect();
        self.compared += names.len();
        self.push(diagnostic.suggest(wanted, names));
    }

    /// Adds mistakes found elsewhere.
    pub fn append(&mut self, others: Self) {
        self.more += others.more;
        others.found.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The number of mistakes.
    pub fn len(&self) -> usize {
        self.found.len() + self.more
    }

    /// Notes that the value at a place is not known, for a reason that was complained about.
    pub(crate) fn set_unknown(&mut self, span: Span) {
        self.unknown.insert(span);
    }

    /// Whether the value at a place is not known, so that nothing more is to be said about it.
    pub(crate) fn is_unknown(&self, span: Span) -> bool {
        self.unknown.contains(&span)
    }

    /// The mistakes in the order of their places.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| diagnostic.span);
        self.found
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.found {
            writeln!(f, "{}", diagnostic.message)?;
        }
        Ok(())
    }
}
