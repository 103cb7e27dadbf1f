//! Dates and times as text, as in ISO 8601: `2024-01-31`, `2024-01-31 09:30`, `2024-01-31T09:30:00.5+02:00`.

/// Microseconds per day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// Days since 1970-01-01 of the first and the last date that conversions give: 0001-01-01 and 9999-12-31. Beyond them
/// other programs, and the formatting of dates, give up.
pub(crate) const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// The microseconds from 1970-01-01 to a date, with or without a time and an offset from UTC; without one it is UTC.
/// `None` when the text is not of that form or no such moment exists.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    if year < 1 || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let date = days(year, month, day) * DAY;
    let moment = if rest.is_empty() { date } else { date + time(rest.strip_prefix(['T', 't', ' '])?)? };
    DAYS.contains(&moment.div_euclid(DAY)).then_some(moment)
}

fn time(text: &str) -> Option<i64> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
    let mut micros = 0;
    if let Some(seconds) = rest.strip_prefix(':') {
        let (second, after) = digits(seconds, 2)?;
        if second > 59 {
            return None;
        }
        micros = second * 1_000_000;
        rest = after;
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (kept, after) = (fraction.get(..length)?, fraction.get(length..)?);
            // What is finer than a microsecond is cut off.
            let six: String = kept.chars().chain("000000".chars()).take(6).collect();
            micros += if kept.is_empty() || length > 9 { return None } else { six.parse::<i64>().ok()? };
            rest = after;
        }
    }
    if hour > 23 || minute > 59 {
        return None;
    }
    Some((hour * 60 + minute) * 60_000_000 + micros - offset(rest.trim_start())? * 60_000_000)
}

/// Minutes east of UTC.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z" | "UTC" | "GMT") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, rest) = digits(rest, 2)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = if rest.is_empty() { (0, rest) } else { digits(rest, 2)? };
    (rest.is_empty() && hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// The number that the first `count` characters write, and what follows.
fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (head, tail) = (text.get(..count)?, text.get(count..)?);
    if !head.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((head.parse().ok()?, tail))
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // Expected values: python3 `datetime.fromisoformat(text).replace(tzinfo=utc).timestamp()` in microseconds.
    #[test]
    fn reads_what_iso_8601_writes() {
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("2024-02-29"), Some(1_709_164_800_000_000));
        assert_eq!(parse("2024-01-31 09:30"), Some(1_706_693_400_000_000));
        assert_eq!(parse("2024-01-31T09:30:00.5+02:00"), Some(1_706_686_200_500_000));
        assert_eq!(parse("2022-07-31 03:00:00+00:00"), parse("2022-07-31 03:00:00 UTC"));
        assert_eq!(parse("2022-07-31T03:00:00Z"), parse("2022-07-31 03:00:00"));
        assert_eq!(parse("1969-12-31 23:59:59.999999"), Some(-1));
        assert_eq!(parse("0001-01-01").map(|moment| moment / DAY), Some(*DAYS.start()));
        assert_eq!(parse("9999-12-31").map(|moment| moment / DAY), Some(*DAYS.end()));
    }

    #[test]
    fn refuses_what_is_no_moment() {
        for text in [
            "",
            "2024",
            "2024-1-31",
            "2023-02-29",
            "2024-13-01",
            "2024-01-32",
            "31/01/2024",
            "2024-01-31x",
            "0000-01-01",
            "2024-01-31 24:00",
            "2024-01-31 09:60",
            "2024-01-31 09:30:60",
            "2024-01-31 09:30:00.",
            "2024-01-31 09:30+2",
            "2024-01-31 09:30 CET",
            "0001-01-01 00:00+01:00",
            "20２4-01-01",
            "２024-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
