//! The small rules of English that templates need: lists, articles, plurals, numbers and reasons.

/// A list as English writes it, with the comma before the last `and` (the Oxford comma) from three on: `a`, `a and b`,
/// `a, b, and c`.
pub(crate) fn join_and(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

/// `a` or `an`, by how a text sounds at its beginning.
pub(crate) fn article(text: &str) -> &'static str {
    let word: String = text.chars().skip_while(|c| !c.is_alphanumeric()).take_while(|c| c.is_alphanumeric()).collect();
    let lower = word.to_lowercase();
    let digits: String = lower.chars().take_while(char::is_ascii_digit).collect();
    if !digits.is_empty() {
        return if digits.starts_with('8') || digits == "11" || digits == "18" { "an" } else { "a" };
    }
    // What is spelt letter by letter sounds like its first letter's name.
    let spelt = word.chars().count() == 1 || (word.len() <= 3 && word.chars().all(|c| c.is_ascii_uppercase()));
    if spelt {
        return if lower.starts_with(['a', 'e', 'f', 'h', 'i', 'l', 'm', 'n', 'o', 'r', 's', 'x']) {
            "an"
        } else {
            "a"
        };
    }
    const SILENT: &[&str] = &["hour", "honest", "honor", "honour", "heir"];
    const CONSONANT: &[&str] = &["uni", "use", "usu", "uti", "eu", "ewe", "one", "once", "ubi", "ura"];
    // `unimportant` begins with the vowel all the same.
    const VOWEL: &[&str] = &["unim", "unin", "unident"];
    let begins = |list: &[&str]| list.iter().any(|start| lower.starts_with(start));
    let vowel = lower.starts_with(['a', 'e', 'i', 'o', 'u', 'à', 'â', 'é', 'è', 'ê', 'ö', 'ü']);
    if begins(SILENT) || begins(VOWEL) || (vowel && !begins(CONSONANT)) { "an" } else { "a" }
}

/// A number below thirteen as a word, another in digits.
pub(crate) fn number(count: usize) -> String {
    const WORDS: [&str; 13] =
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    WORDS.get(count).map_or_else(|| count.to_string(), |word| (*word).to_owned())
}

/// The text with a capital at its beginning; the rest stays as it is.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The text as a sentence: a capital at its beginning and a full stop at its end, unless it ends as one already.
pub(crate) fn sentence(text: &str) -> String {
    let text = capital(text.trim());
    if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { text } else { format!("{text}.") }
}

/// A category in the middle of a sentence: `Tops & Tees` becomes `tops & tees`; words in capitals (`TV`) stay.
pub(crate) fn lower_words(text: &str) -> String {
    let lower = |word: &str| {
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        let capitals = word.chars().filter(|c| c.is_uppercase()).count();
        if letters > 1 && letters == capitals { word.to_owned() } else { word.to_lowercase() }
    };
    text.split(' ').map(lower).collect::<Vec<_>>().join(" ")
}

/// A price with its currency: a sign before the number, a code or a word behind it.
pub(crate) fn money(amount: f64, currency: &str) -> String {
    if currency.is_empty() {
        format!("{amount:.2}")
    } else if currency.chars().any(char::is_alphabetic) {
        format!("{amount:.2} {currency}")
    } else {
        format!("{currency}{amount:.2}")
    }
}

/// A recommender's reason as a clause about `this` that can be read to the customer: `bought 6 times, last 9 days ago`
/// becomes `you have bought this 6 times, most recently 9 days ago`, `often bought with rice` becomes `this is often
/// bought with rice`. A reason of another form is introduced and left as it is.
pub(crate) fn clause(reason: &str) -> String {
    let reason = reason.trim().trim_end_matches(['.', '!']);
    let lower = reason.to_lowercase();
    let after = |start: &str| reason.get(start.len()..).unwrap_or_default();
    let starts = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    if starts(&["because "]) {
        return format!("this was chosen {}", uncapital(reason));
    }
    if starts(&["bought together", "bought by", "bought with"]) {
        return format!("this is {}", uncapital(reason));
    }
    if starts(&["bought "]) {
        return format!("you have bought this {}", after("bought ").replace(", last ", ", most recently "));
    }
    if starts(&["you ", "your ", "it ", "this ", "people ", "customers ", "others ", "many ", "most ", "shoppers "]) {
        return uncapital(reason);
    }
    if starts(&["often ", "frequently ", "popular", "similar ", "liked ", "loved ", "new", "rated ", "well ", "on "]) {
        return format!("this is {}", uncapital(reason));
    }
    format!("our reason: {reason}")
}

fn uncapital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// A count with commas between the thousands.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and what is counted: `1 message`, `1,000 messages`.
pub(crate) fn counted(many: u64, what: &str) -> String {
    format!("{} {what}{}", count(many), if many == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_oxford_comma() {
        let join = |items: &[&str]| join_and(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        assert_eq!(join(&[]), "");
        assert_eq!(join(&["rice"]), "rice");
        assert_eq!(join(&["rice", "beans"]), "rice and beans");
        assert_eq!(join(&["rice", "beans", "salt & pepper"]), "rice, beans, and salt & pepper");
    }

    #[test]
    fn articles_follow_the_sound() {
        for (text, expected) in [
            ("apple", "an"),
            ("Banana", "a"),
            ("hour", "an"),
            ("house", "a"),
            ("unicorn", "a"),
            ("umbrella", "an"),
            ("unimportant detail", "an"),
            ("European plug", "a"),
            ("one-piece", "a"),
            ("onion", "an"),
            ("USB cable", "a"),
            ("LED lamp", "an"),
            ("8-pack", "an"),
            ("18 eggs", "an"),
            ("12 eggs", "a"),
            ("‘Oreo’ cookie", "an"),
            ("", "a"),
        ] {
            assert_eq!(article(text), expected, "{text}");
        }
    }

    #[test]
    fn reasons_are_spoken_to_the_customer() {
        for (reason, expected) in [
            ("bought 6 times, last 9 days ago", "you have bought this 6 times, most recently 9 days ago"),
            ("Often bought with Rice", "this is often bought with Rice"),
            ("bought together with Rice", "this is bought together with Rice"),
            ("because you bought Rice.", "this was chosen because you bought Rice"),
            ("Customers like you buy it", "customers like you buy it"),
            ("popular", "this is popular"),
            ("segment 2", "our reason: segment 2"),
        ] {
            assert_eq!(clause(reason), expected);
        }
    }

    #[test]
    fn words_numbers_and_prices() {
        assert_eq!((number(1).as_str(), number(12).as_str(), number(13).as_str()), ("one", "twelve", "13"));
        assert_eq!(sentence("it is new"), "It is new.");
        assert_eq!(sentence("Is it?"), "Is it?");
        assert_eq!(lower_words("Tops & Tees"), "tops & tees");
        assert_eq!(lower_words("TV Stands"), "TV stands");
        assert_eq!(
            (money(4.5, "£"), money(4.5, "EUR"), money(4.5, "")),
            ("£4.50".into(), "4.50 EUR".into(), "4.50".into())
        );
        assert_eq!((count(7), count(1000), count(1234567)), ("7".into(), "1,000".into(), "1,234,567".into()));
        assert_eq!((counted(1, "message"), counted(2000, "message")), ("1 message".into(), "2,000 messages".into()));
    }
}
