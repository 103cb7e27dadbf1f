//! Names of products in texts.

use polars::datatypes::{InitHashMaps, PlHashMap};

use crate::checks::whole_words;

/// Many names, found in a text by their first words: made in a moment however many there are.
#[derive(Default)]
pub(crate) struct Names {
    by_word: PlHashMap<String, Vec<Name>>,
}

/// A name in lower case. Names with the same first word are in the order of what begins with that word, so that the
/// longest that a text goes on with is found by halving.
#[derive(PartialEq, Eq)]
struct Name {
    name: String,
    /// Where the first word begins: before it are signs.
    first: usize,
}

impl Name {
    /// The name from its first word on.
    fn words_on(&self) -> &[u8] {
        self.name.as_bytes().get(self.first..).unwrap_or_default()
    }
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
        let mut by_word: PlHashMap<String, Vec<Name>> = PlHashMap::new();
        for name in names.map(|name| name.to_lowercase()) {
            let first = words(&name).next().map(|(at, word)| (at, word.to_owned()));
            if let Some((first, word)) = first {
                by_word.entry(word).or_default().push(Name { name, first });
            }
        }
        for names in by_word.values_mut() {
            names.sort_unstable_by(|a, b| {
                a.words_on().cmp(b.words_on()).then_with(|| (a.first, &a.name).cmp(&(b.first, &b.name)))
            });
            names.dedup();
        }
        Self { by_word }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_word.is_empty()
    }

    /// The names that stand in a lower-case text as whole words, from left to right; of those that begin at one place
    /// the longest.
    pub(crate) fn find(&self, text: &str) -> Vec<Found<'_>> {
        let found = |(at, word)| longest(text, at, self.by_word.get(word)?);
        words(text).filter_map(found).collect()
    }
}

/// The longest of the names whose first word, which they share, stands at that place in the text.
fn longest<'a>(text: &str, at: usize, mut names: &'a [Name]) -> Option<Found<'a>> {
    let mut rest = text.as_bytes().get(at..)?;
    loop {
        // Every name that the rest begins with comes before the rest, and so does whatever goes on longer with it.
        let (last, before) = names.get(..names.partition_point(|name| name.words_on() <= rest))?.split_last()?;
        let wanted = last.words_on();
        if rest.starts_with(wanted)
            && let Some(start) = at.checked_sub(last.first)
            && let end = at + wanted.len()
            && text.get(start..end) == Some(&last.name)
            && whole_words(text, start, end)
        {
            return Some(Found { start, end, name: &last.name });
        }
        // A shorter one is part of what both share.
        let shared = rest.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        (rest, names) = (rest.get(..shared)?, before);
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

    #[test]
    fn names_are_found_however_many_begin_alike() {
        let names: Vec<String> =
            (0..300).map(|n| format!("Olive {}", "oil ".repeat(n % 17) + &n.to_string())).collect();
        let all = Names::of(names.iter().chain([&"olive".to_owned(), &"* olive".to_owned()]));
        for name in names.iter().map(|name| name.to_lowercase()) {
            assert_eq!(all.find(&format!("an {name}."))[0].name, name);
            let start = name.trim_end_matches(|c: char| c.is_ascii_digit());
            assert_eq!(all.find(&format!("an {start}x"))[0].name, "olive");
        }
        assert_eq!(all.find("* olive oil 1000")[0].name, "* olive");
    }
}
