//! Names of products in texts.

use std::collections::HashMap;

use crate::checks::whole_words;

/// Many names, found in a text by their first words: made in a moment however many there are.
#[derive(Default)]
pub(crate) struct Names {
    /// The lower-case names by their first word, each with the place where that word begins; the longest first.
    by_word: HashMap<String, Vec<(usize, String)>>,
}

/// A name in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The name, in lower case.
    pub(crate) name: &'a str,
}

impl Names {
    /// Those names; one without a letter or digit is none.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut by_word: HashMap<String, Vec<(usize, String)>> = HashMap::new();
        for name in names.map(|name| name.to_lowercase()) {
            let first = words(&name).next().map(|(at, word)| (at, word.to_owned()));
            if let Some((at, word)) = first {
                by_word.entry(word).or_default().push((at, name));
            }
        }
        for names in by_word.values_mut() {
            names.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.1.cmp(&b.1)));
            names.dedup();
        }
        Self { by_word }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_word.is_empty()
    }

    /// The names that stand in a lower-case text as whole words, from left to right; at one place the longest.
    pub(crate) fn find(&self, text: &str) -> Vec<Found<'_>> {
        let mut found: Vec<Found<'_>> = Vec::new();
        for (at, word) in words(text) {
            let stands = |(first, name): &&(usize, String)| {
                let start = at.checked_sub(*first);
                start.and_then(|start| text.get(start..)).is_some_and(|rest| rest.starts_with(name.as_str()))
                    && start.is_some_and(|start| whole_words(text, start, start + name.len()))
            };
            if let Some((first, name)) = self.by_word.get(word).and_then(|names| names.iter().find(stands)) {
                found.push(Found { start: at - first, end: at - first + name.len(), name });
            }
        }
        found
    }
}

/// Runs of letters and digits, with where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(|run| (run.as_ptr() as usize - text.as_ptr() as usize, run))
}

#[cfg(test)]
mod tests {
    use super::Names;

    fn found(text: &str) -> Vec<String> {
        let names = ["Tea", "Olive oil", "Olive oil extra", "(Pack of 2) Socks", "---", "Öl"].map(str::to_owned);
        Names::of(names.iter()).find(text).iter().map(|found| text[found.start..found.end].to_owned()).collect()
    }

    #[test]
    fn names_are_whole_words_and_the_longest_wins() {
        assert_eq!(found("olive oil, tea; olive oil extras"), ["olive oil", "tea", "olive oil"]);
        assert_eq!(found("our olive oil extra and (pack of 2) socks"), ["olive oil extra", "(pack of 2) socks"]);
        assert_eq!(found("steam, teas, öl"), ["öl"]);
        assert!(found("").is_empty() && found("--- tea-").len() == 1);
    }
}
