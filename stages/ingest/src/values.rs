//! The types that a text can be read as, and what each of them looks like.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of a column, by Arrow's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValueType {
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int64,
    /// A finite number.
    Float64,
    /// Text.
    String,
    /// A day such as `2022-04-19`.
    Date32,
    /// An instant such as `2022-04-19 14:22:33+00:00`, kept in microseconds of UTC.
    Timestamp,
}

impl ValueType {
    /// What a value of this type is, to be read after "is not".
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Bool => "`true` or `false` (bool)",
            Self::Int64 => "a whole number of 64 bits (int64)",
            Self::Float64 => "a finite number (float64)",
            Self::String => "text (string)",
            Self::Date32 => "a date like `2022-04-19` (date32)",
            Self::Timestamp => "a timestamp like `2022-04-19 14:22:33+00:00`",
        }
    }
}

/// Who says that a text has a type. What is only guessed is read more strictly, so that no text is lost: `01234` is a
/// postal code and `+44…` a telephone number unless somebody declares that they are numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The workflow does.
    Declared,
    /// Nobody: the type is to be found.
    Inferred,
}

pub(crate) fn boolean(text: &str, reading: Reading) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        "1" if reading == Reading::Declared => Some(true),
        "0" if reading == Reading::Declared => Some(false),
        _ => None,
    }
}

pub(crate) fn int64(text: &str, reading: Reading) -> Option<i64> {
    if reading == Reading::Inferred && !plain(text) {
        return None;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

pub(crate) fn float64(text: &str, reading: Reading) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Rust also reads `inf`, `nan` and the like.
    if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    // A whole number that does not fit is more likely an identifier than a quantity: as a float it would lose digits.
    let whole = || digits.bytes().all(|byte| byte.is_ascii_digit());
    if reading == Reading::Inferred && (!plain(text) || (whole() && int64(text, reading).is_none())) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether a number is written without a plus sign and without leading zeros.
fn plain(text: &str) -> bool {
    !matches!(text.strip_prefix('-').unwrap_or(text).as_bytes(), [b'+', ..] | [b'0', b'0'..=b'9', ..])
}

/// Days since 1970-01-01.
pub(crate) fn date32(text: &str) -> Option<i32> {
    date(text.as_bytes())
}

/// Microseconds since 1970-01-01 00:00 UTC. A text without a zone is UTC; digits beyond the microsecond are cut off.
pub(crate) fn timestamp(text: &str, reading: Reading) -> Option<i64> {
    let (day, rest) = text.as_bytes().split_at_checked(10)?;
    let day = i64::from(date(day)?) * 86_400;
    if rest.is_empty() && reading == Reading::Declared {
        return Some(day * 1_000_000);
    }
    let [b' ' | b'T', h1, h2, b':', m1, m2, rest @ ..] = rest else { return None };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (number(&[*s1, *s2])?, rest),
        _ => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = match rest {
        [b'.', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    let offset = match rest {
        [] | [b'Z'] | [b'U', b'T', b'C'] | [b' ', b'U', b'T', b'C'] => 0,
        [b' ', zone @ ..] | zone => zone_offset(zone)?,
    };
    Some((day + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + micros)
}

/// Days since 1970-01-01 of a proleptic Gregorian date `YYYY-MM-DD`.
fn date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let (year, month, day) = (number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > days {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Microseconds from the digits after the point, and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    if !(1..=9).contains(&len) {
        return None;
    }
    let micros =
        (0..6).fold(0, |value, place| value * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0')));
    Some((micros, rest))
}

/// Seconds east of UTC of `+02:00`, `+0200` or `+02`.
fn zone_offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [sign, h1, h2] => (sign, [*h1, *h2], 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, [*h1, *h2], number(&[*m1, *m2])?),
        _ => return None,
    };
    let hours = number(&hours)?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Reading::{Declared, Inferred};
    use super::*;

    #[test]
    fn dates_and_timestamps() {
        // python: (datetime.date(2022, 4, 19) - datetime.date(1970, 1, 1)).days, and int(datetime.timestamp() * 1e6).
        assert_eq!(date32("2022-04-19"), Some(19101));
        assert_eq!(date32("1970-01-01"), Some(0));
        assert_eq!(date32("0001-01-01"), Some(-719_162));
        assert_eq!(date32("9999-12-31"), Some(2_932_896));
        assert_eq!(date32("2024-02-29"), Some(19782));
        for wrong in
            ["2023-02-29", "1900-02-29", "2022-13-01", "2022-00-10", "2022-4-19", "0000-01-01", "2022-04-19 ", ""]
        {
            assert_eq!(date32(wrong), None, "{wrong}");
        }
        let at = 1_650_378_153_000_000;
        for text in [
            "2022-04-19 14:22:33+00:00",
            "2022-04-19 14:22:33 UTC",
            "2022-04-19T14:22:33Z",
            "2022-04-19 14:22:33",
            "2022-04-19T16:22:33+02:00",
            "2022-04-19T16:22:33 +0200",
            "2022-04-19 09:22:33-05",
            "2022-04-19 14:22:33.000000+00:00",
        ] {
            assert_eq!(timestamp(text, Inferred), Some(at), "{text}");
        }
        assert_eq!(timestamp("2022-04-19 14:22:33.123456+00:00", Inferred), Some(at + 123_456));
        assert_eq!(timestamp("2022-04-19 14:22:33.5", Inferred), Some(at + 500_000));
        assert_eq!(timestamp("2022-04-19 14:22:33.123456789Z", Inferred), Some(at + 123_456));
        assert_eq!(timestamp("2022-04-19 14:22", Inferred), Some(at - 33_000_000));
        assert_eq!(timestamp("1969-12-31 23:59:59.999999", Inferred), Some(-1));
        assert_eq!(timestamp("2022-04-19", Declared), Some(1_650_326_400_000_000));
        assert_eq!(timestamp("2022-04-19", Inferred), None);
        for wrong in [
            "2022-04-19 24:00:00",
            "2022-04-19 14:22:60",
            "2022-04-19 14:22:33 ",
            "2022-04-19 14:22:33.",
            "2022-04-19 1:22",
            "ÄÄÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(timestamp(wrong, Declared), None, "{wrong}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(int64("-42", Inferred), Some(-42));
        assert_eq!(int64("0", Inferred), Some(0));
        assert_eq!(int64("9223372036854775807", Inferred), Some(i64::MAX));
        for text in ["01234", "-01", "+5", "9223372036854775808", "1.0", "", "-", " 1", "1_000"] {
            assert_eq!(int64(text, Inferred), None, "{text}");
        }
        assert_eq!(int64("01234", Declared), Some(1234));
        assert_eq!(int64("+5", Declared), Some(5));
        assert_eq!(float64("1e3", Inferred), Some(1000.0));
        assert_eq!(float64(".5", Inferred), Some(0.5));
        assert_eq!(float64("0.5", Inferred), Some(0.5));
        assert_eq!(float64("7", Inferred), Some(7.0));
        for text in ["nan", "inf", "-inf", "1e999", "01.5", "+1.5", "12345678901234567890", "", ".", "e5", "0x10"] {
            assert_eq!(float64(text, Inferred), None, "{text}");
        }
        assert_eq!(float64("12345678901234567890", Declared), Some(12_345_678_901_234_567_890.0));
        assert_eq!(float64("NaN", Declared), None);
    }

    #[test]
    fn booleans() {
        assert_eq!(boolean("True", Inferred), Some(true));
        assert_eq!(boolean("0", Inferred), None);
        assert_eq!(boolean("0", Declared), Some(false));
        assert_eq!(boolean("yes", Declared), None);
    }
}
