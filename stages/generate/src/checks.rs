//! What every text is checked for before anybody may send it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use memchr::memmem;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::ParamError;

use crate::names::{Found, Names};

/// What every text is checked for. A text that fails is written again, up to `regenerate` times, and then quarantined
/// with the reasons.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Checks {
    /// Claims that must not be made: phrases (whole words, upper and lower case alike), or regular expressions between
    /// slashes (`/100 ?%/`). The list replaces the built-in one; an empty list switches the check off.
    banned: Vec<String>,
    /// Claims that must not be made, besides `banned`.
    also_banned: Vec<String>,
    /// Phrases of false urgency (`last chance`, `act now`), as in `banned`. An empty list allows them.
    urgency: Vec<String>,
    /// Whether a text fails that holds an e-mail address, a telephone number, a card or account number, or the value of
    /// a personal column of the `users` input.
    personal_data: bool,
    /// Whether a text fails in which a placeholder is left: `{{ name }}`, `[Name]`, `<name>`, or `%%name%%` that is
    /// not among `merge_fields`.
    placeholders: bool,
    /// The shortest text, in characters.
    min_chars: usize,
    /// The longest text, in characters.
    max_chars: usize,
    /// The shortest text, in words.
    min_words: usize,
    /// The longest text, in words.
    max_words: usize,
    /// The language of the text: a code of ISO 639-3, such as `eng`; null switches the check off. Texts whose language
    /// cannot be told reliably pass.
    language: Option<String>,
    /// Whether a text fails that names a product of the `products` input that is not among the user's recommendations
    /// and not part of their reasons.
    other_products: bool,
    /// Names of products with fewer characters than this are not looked for: they are common words.
    other_products_min_chars: usize,
    /// Whether a text fails that was cut off at `max_tokens`.
    complete: bool,
}

const BANNED: &[&str] = &[
    "guaranteed",
    "guarantee",
    "risk-free",
    "risk free",
    "no risk",
    "100% free",
    "100 % free",
    "completely free",
    "free of charge",
    "free gift",
    "free shipping",
    "money back",
    "money-back",
    "cure",
    "cures",
    "miracle",
    "clinically proven",
    "scientifically proven",
    "doctor recommended",
    "best price",
    "lowest price",
    "cheapest",
    "no side effects",
    "you have won",
    "you've won",
    "winner",
    r"/\b\d{1,3} ?(%|percent) (off|discount)/",
    r"/\bdiscount code\b/",
];

const URGENCY: &[&str] = &[
    "only today",
    "today only",
    "last chance",
    "act now",
    "act fast",
    "hurry",
    "don't wait",
    "do not wait",
    "don't miss out",
    "do not miss out",
    "before it's too late",
    "while supplies last",
    "while stocks last",
    "limited time",
    "limited-time",
    "for a short time",
    "selling fast",
    "almost gone",
    "final hours",
    "ends soon",
    "ends today",
    "ends tonight",
    "urgent",
    "immediately",
    r"/\bexpir(es|ing|e)\b/",
    r"/\bonly \d+ (left|remaining)\b/",
];

/// Texts too short for a language to be told from.
const LANGUAGE_MIN_CHARS: usize = 80;

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            banned: owned(BANNED),
            also_banned: Vec::new(),
            urgency: owned(URGENCY),
            personal_data: true,
            placeholders: true,
            min_chars: 20,
            max_chars: 2000,
            min_words: 5,
            max_words: 300,
            language: Some("eng".to_owned()),
            other_products: true,
            other_products_min_chars: 10,
            complete: true,
        }
    }
}

impl Checks {
    /// See [`stagewright_contract::Stage::check`].
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        for (name, list) in [("banned", &self.banned), ("also_banned", &self.also_banned), ("urgency", &self.urgency)] {
            for (index, phrase) in list.iter().enumerate() {
                if let Err(message) = check_phrase(phrase) {
                    return Err(ParamError::new(format!("checks/{name}/{index}"), message));
                }
            }
        }
        if self.min_chars > self.max_chars {
            return Err(ParamError::new("checks/max_chars", "the longest text is shorter than `min_chars`"));
        }
        if self.min_words > self.max_words {
            return Err(ParamError::new("checks/max_words", "the longest text is shorter than `min_words`"));
        }
        if let Some(code) = &self.language
            && whatlang::Lang::from_code(code).is_none()
        {
            let message = format!("`{code}` is not the code of a language that can be told");
            return Err(ParamError::new("checks/language", message)
                .with_help("use the three letters of ISO 639-3, such as `eng`, `deu`, `fra` or `spa`"));
        }
        Ok(())
    }
}

/// A phrase as a regular expression: as it is between slashes, else its words with any spaces between them.
fn pattern(phrase: &str) -> Result<String, String> {
    if let Some(regex) = phrase.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        return Ok(regex.to_owned());
    }
    let words: Vec<String> = phrase.split_whitespace().map(regex::escape).collect();
    if words.is_empty() {
        return Err("the phrase is empty".to_owned());
    }
    // A phrase that begins or ends with a sign has no word boundary there.
    let edge = |c: Option<char>| if c.is_some_and(char::is_alphanumeric) { r"\b" } else { "" };
    let (start, end) = (edge(phrase.trim().chars().next()), edge(phrase.trim().chars().next_back()));
    Ok(format!("{start}{}{end}", words.join(r"\s+")))
}

/// Compiles an expression, or takes it from those of the process that are compiled: the same few come again and again.
fn compile(pattern: &str) -> Result<Regex, String> {
    static COMPILED: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let compiled = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = compiled().get(pattern) {
        return Ok(regex.clone());
    }
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(1 << 22)
        .build()
        .map_err(|error| last_line(&error.to_string()))?;
    compiled().insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

/// Checks one phrase of a list.
fn check_phrase(phrase: &str) -> Result<(), String> {
    let pattern = pattern(phrase)?;
    if phrase.starts_with('/') && !BANNED.contains(&phrase) && !URGENCY.contains(&phrase) {
        compile(&pattern).map_err(|error| format!("`{phrase}` is not a regular expression: {error}"))?;
    }
    Ok(())
}

/// All phrases of lists in one expression, which is much quicker than one after the other; `None` without any.
fn any_of(name: &str, phrases: impl Iterator<Item = String>) -> Result<Option<Regex>, ParamError> {
    let patterns: Vec<String> = phrases.filter_map(|phrase| pattern(&phrase).ok()).collect();
    if patterns.is_empty() {
        return Ok(None);
    }
    let any = format!("(?:{})", patterns.join(")|(?:"));
    compile(&any).map(Some).map_err(|error| ParamError::new(format!("checks/{name}"), error))
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// A text, and what may and must not stand in it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Draft<'a> {
    pub(crate) subject: Option<&'a str>,
    pub(crate) text: &'a str,
    /// Names and reasons of what is recommended.
    pub(crate) allowed: &'a [String],
    /// Columns and values that must not stand in the text.
    pub(crate) personal: &'a [(String, String)],
    /// Whether the text was cut off.
    pub(crate) cut_off: bool,
}

/// The checks, ready to be applied.
pub(crate) struct Checker {
    checks: Checks,
    banned: Option<Regex>,
    urgency: Option<Regex>,
    contacts: Vec<(&'static str, Regex)>,
    placeholder: Vec<Regex>,
    merge: Regex,
    merge_fields: Vec<String>,
    language: Option<whatlang::Lang>,
    catalogue: Names,
}

impl Checker {
    /// Prepares the checks; `catalogue` are the names of all products.
    ///
    /// # Errors
    /// As [`Checks::check`].
    pub(crate) fn new(checks: &Checks, merge_fields: &[String], catalogue: &[String]) -> Result<Self, ParamError> {
        checks.check()?;
        let fixed = |source: &str| compile(source).map_err(|error| ParamError::new("checks", error));
        let names = catalogue.iter().filter(|name| {
            // A name that is longer than a text cannot stand in one.
            let length = name.chars().count();
            checks.other_products && length >= checks.other_products_min_chars && length <= checks.max_chars
        });
        Ok(Self {
            banned: any_of("banned", checks.banned.iter().chain(&checks.also_banned).cloned())?,
            urgency: any_of("urgency", checks.urgency.iter().cloned())?,
            contacts: vec![
                ("an e-mail address", fixed(r"[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}")?),
                (
                    "a card or account number",
                    fixed(r"\b([0-9]{4}[ -]?){3}[0-9]{1,4}\b|(?-i:\b[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){3,7}\b)")?,
                ),
                (
                    "a telephone number",
                    fixed(
                        r"(?x) \+[0-9][0-9\ ().-]{7,}[0-9] | \([0-9]{3}\)\ ?[0-9]{3}[-.\ ]?[0-9]{4}\b
                        | \b[0-9]{3}[-.\ ][0-9]{3}[-.\ ][0-9]{4}\b
                        | \b0[0-9]{2,4}[-/.\ ][0-9]{3,4}[-.\ ]?[0-9]{3,5}\b | \b0[0-9]{9,10}\b",
                    )?,
                ),
            ],
            placeholder: vec![
                fixed(r"\{\{.*?\}\}|\{%.*?%\}|\{[A-Za-z_][A-Za-z0-9_ ]*\}")?,
                fixed(r"\[[^\]\d][^\]]{0,60}\]")?,
                fixed(r"</?[A-Za-z][^<>]{0,60}>")?,
                fixed(r"\b_{3,}\b|\bX{4,}\b|\blorem ipsum\b")?,
            ],
            merge: fixed(r"%%([^%\s]{1,60})%%")?,
            merge_fields: merge_fields.to_vec(),
            language: checks.language.as_deref().and_then(whatlang::Lang::from_code),
            catalogue: Names::of(names),
            checks: checks.clone(),
        })
    }

    /// Spares texts that are made to be in a language the look at which one they are in, which costs most of all.
    #[must_use]
    pub(crate) fn of_texts_in(mut self, language: whatlang::Lang) -> Self {
        self.language = self.language.filter(|wanted| *wanted != language);
        self
    }

    /// What is wrong with a text; nothing when it may be sent. Reasons quote no personal values.
    pub(crate) fn reasons(&self, draft: &Draft<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        self.length(draft.text, &mut reasons);
        // What is too long to be sent is not searched.
        if draft.text.chars().count() > self.checks.max_chars {
            return reasons;
        }
        let whole = match draft.subject {
            Some(subject) => format!("{subject}\n{}", draft.text),
            None => draft.text.to_owned(),
        };
        // Names of products are what they are: `Miracle Cream` is no claim.
        let claims = plain(&without(&whole, draft.allowed));
        for (what, patterns) in [("banned claim", &self.banned), ("false urgency", &self.urgency)] {
            let mut seen = Vec::new();
            for found in patterns.iter().flat_map(|pattern| pattern.find_iter(&claims)) {
                let found = found.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
                if !seen.contains(&found) {
                    reasons.push(format!("{what} `{found}`"));
                    seen.push(found);
                }
            }
        }
        if self.checks.personal_data {
            // Each of them holds one of these, and most texts none: an expression with word boundaries is slow.
            let may_be_one = claims.bytes().any(|byte| byte == b'@' || byte.is_ascii_digit());
            for (what, pattern) in self.contacts.iter().filter(|_| may_be_one) {
                if pattern.is_match(&claims) {
                    reasons.push((*what).to_owned());
                }
            }
            for (column, value) in draft.personal {
                if value.chars().count() >= 3 && holds_word(&claims, &plain(value)) {
                    reasons.push(format!("the value of the personal column `{column}`"));
                }
            }
        }
        if self.checks.placeholders {
            self.placeholders(&claims, &mut reasons);
        }
        if draft.cut_off && self.checks.complete {
            reasons.push("cut off at `max_tokens`".to_owned());
        }
        self.language(&claims, &mut reasons);
        self.other_products(&whole, draft.allowed, &mut reasons);
        reasons
    }

    fn placeholders(&self, text: &str, reasons: &mut Vec<String>) {
        for pattern in &self.placeholder {
            if let Some(found) = pattern.find(text) {
                reasons.push(format!("placeholder `{}`", found.as_str()));
            }
        }
        let strange = self.merge.captures_iter(text).find(|found| {
            found.get(1).is_some_and(|name| self.merge_fields.iter().all(|field| field != name.as_str()))
        });
        if let Some(found) = strange.and_then(|found| found.get(0)) {
            reasons.push(format!("placeholder `{}`, which is not among `merge_fields`", found.as_str()));
        }
    }

    fn length(&self, text: &str, reasons: &mut Vec<String>) {
        let Checks { min_chars, max_chars, min_words, max_words, .. } = self.checks;
        for (length, what, min, max) in [
            (text.chars().count(), "characters", min_chars, max_chars),
            (text.split_whitespace().count(), "words", min_words, max_words),
        ] {
            if length < min {
                reasons.push(format!("{length} {what}, at least {min} are needed"));
            }
            if length > max {
                reasons.push(format!("{length} {what}, at most {max} are allowed"));
            }
        }
    }

    fn language(&self, text: &str, reasons: &mut Vec<String>) {
        let Some(wanted) = self.language else { return };
        if text.chars().count() < LANGUAGE_MIN_CHARS {
            return;
        }
        if let Some(found) = whatlang::detect(text)
            && found.lang() != wanted
            && found.is_reliable()
        {
            reasons.push(format!("language `{}`, `{}` is needed", found.lang().code(), wanted.code()));
        }
    }

    fn other_products(&self, text: &str, allowed: &[String], reasons: &mut Vec<String>) {
        if self.catalogue.is_empty() {
            return;
        }
        let text = text.to_lowercase();
        let allowed: Vec<String> = allowed.iter().map(|name| name.to_lowercase()).collect();
        let mut found = self.catalogue.find(&text);
        found.retain(|found| allowed.iter().all(|name| name != found.name));
        if found.is_empty() {
            return;
        }
        // A reason such as `often bought with rice` names another product, and so may the text.
        let named: BTreeSet<&str> =
            allowed.iter().flat_map(|name| self.catalogue.find(name)).map(|found| found.name).collect();
        // Where what is allowed stands, the names of other products inside it mean nothing.
        let covered: Vec<(usize, usize)> = allowed
            .iter()
            .filter(|name| !name.is_empty())
            .flat_map(|name| text.match_indices(name.as_str()).map(|(at, found)| (at, at + found.len())))
            .collect();
        let strange = found.into_iter().find(|found| {
            let inside = covered.iter().any(|(start, end)| *start <= found.start && found.end <= *end);
            !inside && !named.contains(found.name)
        });
        if let Some(Found { name, .. }) = strange {
            reasons.push(format!("product `{name}` is not recommended to this user"));
        }
    }
}

/// The text with ASCII's signs for typographic ones, and without those that take no room: `don’t` is `don't`, and
/// nothing hides behind a soft hyphen. Letters stay. Expressions with word boundaries are much quicker on ASCII.
fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => None,
        '\u{2018}'..='\u{201b}' => Some('\''),
        '\u{201c}'..='\u{201f}' => Some('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        c if c.is_ascii() || c.is_alphanumeric() => Some(c),
        _ => Some(' '),
    };
    text.chars().filter_map(plain).collect()
}

/// The text without these parts of it, longest first, upper and lower case apart.
fn without<'a>(text: &'a str, parts: &[String]) -> Cow<'a, str> {
    let mut parts: Vec<&String> = parts.iter().filter(|part| part.chars().count() > 2).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut text = Cow::Borrowed(text);
    for part in parts {
        if memmem::find(text.as_bytes(), part.as_bytes()).is_some() {
            text = Cow::Owned(text.replace(part.as_str(), "it"));
        }
    }
    text
}

pub(crate) fn whole_words(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|text| text.chars().next_back());
    let after = text.get(end..).and_then(|text| text.chars().next());
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

fn holds_word(text: &str, value: &str) -> bool {
    let (text, value) = (text.to_lowercase(), value.to_lowercase());
    text.match_indices(value.as_str()).any(|(at, found)| whole_words(&text, at, at + found.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    fn checker(checks: serde_json::Value) -> Checker {
        let checks: Checks = serde_json::from_value(checks).unwrap();
        let catalogue = owned(&["Olive oil", "Olive oil extra virgin", "Wholemeal bread", "Tea"]);
        Checker::new(&checks, &["first_name".to_owned()], &catalogue).unwrap()
    }

    fn reasons(text: &str) -> Vec<String> {
        let allowed = owned(&["Olive oil extra virgin", "Miracle Cure Balm"]);
        let personal = [("first_name".to_owned(), "Ada".to_owned()), ("age".to_owned(), "36".to_owned())];
        let draft = Draft { text, allowed: &allowed, personal: &personal, ..Draft::default() };
        checker(json!({ "min_chars": 0, "min_words": 0, "other_products_min_chars": 9 })).reasons(&draft)
    }

    #[test]
    fn a_good_text_passes() {
        let text = "Hello %%first_name%%, we think that you will like Olive oil extra virgin and the Miracle Cure \
                    Balm, since you have bought them 6 times since 2024-01-03. Tea goes well with it. Call it a day!";
        assert_eq!(reasons(text), [""; 0]);
    }

    #[test]
    fn claims_and_urgency() {
        assert_eq!(reasons("It is Guaranteed to work"), ["banned claim `Guaranteed`"]);
        assert_eq!(reasons("Secure your procured goods"), [""; 0]);
        assert_eq!(reasons("now 20% off"), ["banned claim `20% off`"]);
        assert_eq!(reasons("LAST\nchance!"), ["false urgency `LAST chance`"]);
        assert_eq!(
            reasons("The offer expires, only 3 left"),
            ["false urgency `expires`", "false urgency `only 3 left`"]
        );
        assert_eq!(reasons("A miracle"), ["banned claim `miracle`"]);
        // Whatever signs it is written with; letters with accents are letters.
        assert_eq!(reasons("It is risk\u{2011}free"), ["banned claim `risk-free`"]);
        assert_eq!(reasons("A mira\u{ad}cle\u{200b}"), ["banned claim `miracle`"]);
        assert_eq!(reasons("A miracl\u{e9} and \u{e9}miracle"), [""; 0]);
    }

    #[test]
    fn personal_data() {
        assert_eq!(reasons("Write to a.lovelace@example.co.uk"), ["an e-mail address"]);
        for number in ["+44 20 7946 0958", "(555) 123-4567", "555-123-4567", "020 7946 0958", "02079460958"] {
            assert_eq!(reasons(&format!("Call {number}")), ["a telephone number"], "{number}");
        }
        assert_eq!(reasons("Card 4111 1111 1111 1111"), ["a card or account number"]);
        assert_eq!(reasons("Dear ADA,"), ["the value of the personal column `first_name`"]);
        let named = [("last_name".to_owned(), "O\u{2019}Brien".to_owned())];
        let checker = Checker::new(&Checks::default(), &[], &[]).unwrap();
        let draft =
            Draft { text: "Dear O\u{2019}Brien, here is what we found for you", personal: &named, ..Draft::default() };
        assert_eq!(checker.reasons(&draft), ["the value of the personal column `last_name`"]);
        assert_eq!(reasons("Canada has 36 of them"), [""; 0], "short values and parts of words are not looked for");
        for harmless in ["order 12345678", "at 12.50 to 14.30", "2024-01-03 10:20", "5 for 100"] {
            assert_eq!(reasons(harmless), [""; 0], "{harmless}");
        }
    }

    #[test]
    fn placeholders() {
        for left in ["{{ name }}", "[Name]", "[Your Company]", "<name>", "{first_name}", "____"] {
            assert_eq!(reasons(&format!("Dear {left} there")), [format!("placeholder `{left}`")]);
        }
        assert_eq!(reasons("%%last_name%%"), ["placeholder `%%last_name%%`, which is not among `merge_fields`"]);
        assert_eq!(reasons("5 < 6 and 7 > 2 [1]"), [""; 0]);
    }

    #[test]
    fn lengths_and_cut_off_texts() {
        let draft = Draft { text: "Hello, you", cut_off: true, ..Draft::default() };
        let found = checker(json!({ "max_chars": 30 })).reasons(&draft);
        assert_eq!(
            found,
            ["10 characters, at least 20 are needed", "2 words, at least 5 are needed", "cut off at `max_tokens`"]
        );
        let long = "word ".repeat(301);
        let found = checker(json!({})).reasons(&Draft { text: long.trim(), ..Draft::default() });
        assert_eq!(found, ["301 words, at most 300 are allowed"]);
        assert_eq!(checker(json!({ "complete": false, "min_chars": 0, "min_words": 0 })).reasons(&draft), [""; 0]);
    }

    #[test]
    fn the_language_of_longer_texts() {
        let german = "Guten Tag, wir haben uns angesehen, was Ihnen gefällt, und möchten Ihnen heute einige Dinge \
                      empfehlen, die gut dazu passen könnten.";
        assert_eq!(reasons(german), ["language `deu`, `eng` is needed"]);
        assert_eq!(reasons("Guten Tag, wir empfehlen"), [""; 0], "too short to tell");
        let draft = Draft { text: german, ..Draft::default() };
        assert_eq!(checker(json!({ "language": null })).reasons(&draft), [""; 0]);
        assert_eq!(checker(json!({ "language": "deu" })).reasons(&draft), [""; 0]);
    }

    #[test]
    fn products_that_were_not_recommended() {
        assert_eq!(reasons("Try our wholemeal Bread"), ["product `wholemeal bread` is not recommended to this user"]);
        assert_eq!(reasons("Try the olive oil"), ["product `olive oil` is not recommended to this user"]);
        assert_eq!(reasons("Try the olive oil extra virgin"), [""; 0]);
        assert_eq!(reasons("Try wholemeal breadcrumbs"), [""; 0]);
        let draft = Draft { text: "Try our wholemeal bread with butter", ..Draft::default() };
        assert_eq!(checker(json!({ "other_products": false })).reasons(&draft), [""; 0]);
    }

    #[test]
    fn checks_are_checked() {
        let message = |checks: serde_json::Value| {
            serde_json::from_value::<Checks>(checks).unwrap().check().unwrap_err().to_string()
        };
        assert!(
            message(json!({ "banned": ["/(/"] })).starts_with("checks/banned/0: `/(/` is not a regular expression")
        );
        assert_eq!(message(json!({ "urgency": [" "] })), "checks/urgency/0: the phrase is empty");
        assert_eq!(
            message(json!({ "language": "english" })),
            "checks/language: `english` is not the code of a language that can be told"
        );
        assert_eq!(
            message(json!({ "max_words": 2 })),
            "checks/max_words: the longest text is shorter than `min_words`"
        );
    }
}
