//! The words of a command, and the placeholders in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command as a workflow writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum CommandLine {
    /// One text, split into words as a shell would, with quotes and backslashes; nothing else is special.
    Line(#[schemars(length(min = 1))] String),
    /// The words.
    Words(#[schemars(length(min = 1))] Vec<Word>),
}

/// A word of a command, or the value of a variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Word {
    /// Text.
    Text(String),
    /// An integer.
    Whole(i64),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
}

impl Word {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

impl CommandLine {
    /// The words.
    ///
    /// # Errors
    /// When a quote is not closed, or there is no word.
    pub(crate) fn words(&self) -> Result<Vec<String>, String> {
        let words = match self {
            Self::Line(line) => shell_words::split(line)
                .map_err(|_| "the command has a quote that is not closed, or ends with a backslash".to_owned())?,
            Self::Words(words) => words.iter().map(Word::text).collect(),
        };
        if words.first().is_none_or(String::is_empty) {
            return Err("the command names no program".to_owned());
        }
        Ok(words)
    }
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text as it is.
    Text(&'a str),
    /// What stands between the braces of a placeholder.
    Placeholder(&'a str),
}

/// Takes a word apart. A placeholder is a name between braces, such as `{inputs.customers}`; `{{name}}` is the text
/// `{name}`, and any other brace is itself.
pub(crate) fn pieces(word: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut text = 0;
    let mut at = 0;
    while let Some(found) = word[at..].find('{') {
        let open = at + found;
        let Some(name) = named(&word[open + 1..]) else {
            // `{{name}}` loses its outer braces.
            match word[open + 1..].strip_prefix('{').and_then(named) {
                Some(name) if word[open + 2 + name.len()..].starts_with("}}") => {
                    out.push(Piece::Text(&word[text..open]));
                    out.push(Piece::Text(&word[open + 1..open + 3 + name.len()]));
                    text = open + 4 + name.len();
                    at = text;
                }
                _ => at = open + 1,
            }
            continue;
        };
        out.push(Piece::Text(&word[text..open]));
        out.push(Piece::Placeholder(name));
        text = open + 2 + name.len();
        at = text;
    }
    out.push(Piece::Text(&word[text..]));
    out.retain(|piece| *piece != Piece::Text(""));
    out
}

/// The name before a closing brace: letters, digits, `_` and `-`, with dots between.
fn named(text: &str) -> Option<&str> {
    let name = &text[..text.find('}')?];
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    name.split('.').all(part).then_some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Vec<String> {
        CommandLine::Line(text.to_owned()).words().unwrap()
    }

    #[test]
    fn a_line_is_split_as_a_shell_splits_it() {
        assert_eq!(line("python a.py 'one word' --k=3"), ["python", "a.py", "one word", "--k=3"]);
        assert_eq!(line(r#"sh -c "echo \"$HOME\" | wc""#), ["sh", "-c", "echo \"$HOME\" | wc"]);
        // What a shell would do besides is not done.
        assert_eq!(line("echo * $HOME ~ > file"), ["echo", "*", "$HOME", "~", ">", "file"]);
    }

    #[test]
    fn words_may_be_numbers() {
        let words: CommandLine = serde_json::from_str(r#"["head", "-n", 3, 0.5, true]"#).unwrap();
        assert_eq!(words.words().unwrap(), ["head", "-n", "3", "0.5", "true"]);
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for text in ["", "   ", "'open", "''"] {
            assert!(CommandLine::Line(text.to_owned()).words().is_err(), "{text}");
        }
        assert!(CommandLine::Words(Vec::new()).words().is_err());
    }

    #[test]
    fn placeholders_are_names_between_braces() {
        use Piece::{Placeholder, Text};
        assert_eq!(pieces("{params}"), [Placeholder("params")]);
        assert_eq!(pieces("--in={inputs.a}!"), [Text("--in="), Placeholder("inputs.a"), Text("!")]);
        assert_eq!(pieces("{a}{b.c-d}"), [Placeholder("a"), Placeholder("b.c-d")]);
        // Programs of awk, JSON and shell are texts.
        for text in ["{ print $1 }", r#"{"a":1}"#, "${HOME}x{", "{}", "{a..b}", "{1}", "}"] {
            let expected: Vec<Piece<'_>> =
                if text == "${HOME}x{" { vec![Text("$"), Placeholder("HOME"), Text("x{")] } else { vec![Text(text)] };
            assert_eq!(pieces(text), expected, "{text}");
        }
        assert_eq!(pieces("a{{params}}b"), [Text("a"), Text("{params}"), Text("b")]);
        assert_eq!(pieces("{{params}"), [Text("{"), Placeholder("params")]);
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec(".{1,12}", 1..6)) {
            prop_assert_eq!(CommandLine::Line(shell_words::join(&words)).words().unwrap(), words);
        }

        #[test]
        fn no_text_breaks_the_parsers(text in ".{0,40}") {
            let _ = CommandLine::Line(text.clone()).words();
            // Nothing is lost but the braces.
            let kept: usize = pieces(&text).iter().map(|piece| match piece {
                Piece::Text(text) => text.len(),
                Piece::Placeholder(name) => name.len() + 2,
            }).sum();
            prop_assert!(kept <= text.len());
        }

        #[test]
        fn a_placeholder_is_found_anywhere(
            before in "[^{}]{0,8}", name in "[a-z_][a-z0-9_-]{0,5}(\\.[a-z_][a-z0-9_-]{0,5})?", after in "[^{}]{0,8}",
        ) {
            let word = format!("{before}{{{name}}}{after}");
            let mut expected =
                vec![Piece::Text(before.as_str()), Piece::Placeholder(name.as_str()), Piece::Text(after.as_str())];
            expected.retain(|piece| *piece != Piece::Text(""));
            prop_assert_eq!(pieces(&word), expected);
            let escaped = format!("{before}{{{{{name}}}}}{after}");
            let text: String = pieces(&escaped).iter().map(|piece| match piece {
                Piece::Text(text) | Piece::Placeholder(text) => *text,
            }).collect();
            prop_assert_eq!(text, format!("{before}{{{name}}}{after}"));
        }
    }
}
