//! Numbers as people read them.
//!
//! Thousands are parted by a narrow no-break space, a unit follows a no-break space and a minus is `−`; [`plain`] turns
//! that into what a terminal and a `grep` are happier with.

/// Between groups of three digits.
const THIN: char = '\u{202f}';
/// Between a number and its unit.
const UNIT: char = '\u{a0}';
const MINUS: &str = "−";
/// What stands for a number that there is none of.
pub const NONE: &str = "–";

/// A number to four significant digits: `0.04123`, `12.35`, `3 677`, `1.235e−5`. Whole numbers keep all their digits.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let value = if value == 0.0 { 0.0 } else { value };
    let text = if value.abs() >= 1e15 {
        format!("{value:.3e}")
    } else if value == value.trunc() || value.abs() >= 999.95 {
        group(&format!("{value:.0}"))
    } else if value.abs() < 1e-4 {
        format!("{value:.3e}")
    } else {
        format!("{value:.*}", decimals(value))
    };
    minus(&text)
}

/// A number of things: `983 854`.
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A number and the word that goes with it: `1 row`, `2 rows`.
pub fn counted(value: usize, one: &str) -> String {
    format!("{} {one}{}", count(u64::try_from(value).unwrap_or(u64::MAX)), if value == 1 { "" } else { "s" })
}

/// Numbers that are read together, and so have the same decimals: four significant digits of the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(Option<usize>);

impl Scale {
    /// The scale of some values. Whole, very large and very small numbers are each written by themselves.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut largest, mut whole) = (0.0_f64, true);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            largest = largest.max(value.abs());
            whole &= value == value.trunc();
        }
        Self((!whole && (1e-4..999.95).contains(&largest)).then(|| decimals(largest)))
    }

    /// A value.
    pub fn number(self, value: f64) -> String {
        match self.0.map(|decimals| format!("{value:.decimals$}")) {
            Some(text) if value == 0.0 || digits(&text) >= 2 => minus(&text),
            _ => number(value),
        }
    }

    /// A difference of two values, with its sign.
    pub fn difference(self, difference: f64) -> String {
        if !difference.is_finite() {
            return NONE.to_owned();
        }
        if difference == 0.0 {
            return "±0".to_owned();
        }
        match self.0.map(|decimals| format!("{difference:.decimals$}")) {
            Some(text) if digits(&text) >= 2 => signed(&text),
            Some(_) => signed(&significant(difference, 2)),
            None if difference < 0.0 => number(difference),
            None => format!("+{}", number(difference)),
        }
    }
}

/// A fraction of the baseline as a signed percentage: 0.054 is `+5.40 %`.
pub fn relative(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if !percent.is_finite() {
        return NONE.to_owned();
    }
    if percent == 0.0 {
        return format!("±0{UNIT}%");
    }
    let text = if percent.abs() >= 1e9 {
        format!("{percent:.1e}")
    } else if percent.abs() >= 99.95 {
        format!("{percent:.0}")
    } else if percent.abs() >= 9.995 {
        format!("{percent:.1}")
    } else if percent.abs() >= 0.005 {
        format!("{percent:.2}")
    } else {
        significant(percent, 1)
    };
    format!("{}{UNIT}%", signed(&text))
}

/// A p-value to three decimals: `0.012`, `<0.001`.
pub fn p_value(p: f64) -> String {
    match p {
        p if !p.is_finite() => NONE.to_owned(),
        p if p < 0.001 => "<0.001".to_owned(),
        p => format!("{p:.3}"),
    }
}

/// A share of a whole as a percentage: 0.123 is `12 %`.
pub fn share(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if !percent.is_finite() {
        NONE.to_owned()
    } else if percent > 0.0 && percent < 1.0 {
        format!("<1{UNIT}%")
    } else {
        format!("{percent:.0}{UNIT}%")
    }
}

/// A duration: `340 ms`, `1.2 s`, `2 min 5 s`, `3 h 12 min`.
pub fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_owned();
    }
    if seconds < 0.000_5 {
        return format!("<1{UNIT}ms");
    }
    if seconds < 0.999_5 {
        return format!("{:.0}{UNIT}ms", seconds * 1000.0);
    }
    if seconds < 59.95 {
        return format!("{seconds:.1}{UNIT}s");
    }
    // `as` saturates, which is what an absurd duration deserves.
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 {
        format!("{minutes}{UNIT}min {rest}{UNIT}s")
    } else {
        format!("{}{UNIT}h {minutes}{UNIT}min", count(hours))
    }
}

/// An amount of energy: `840 J`, `1.2 kJ`, `3.4 Wh` from an hour at one watt on.
pub fn energy(joules: f64) -> String {
    match joules {
        joules if !joules.is_finite() || joules < 0.0 => NONE.to_owned(),
        joules if joules < 1000.0 => format!("{joules:.0}{UNIT}J"),
        joules if joules < 3600.0 => format!("{:.1}{UNIT}kJ", joules / 1000.0),
        joules if joules < 3.6e6 => format!("{:.1}{UNIT}Wh", joules / 3600.0),
        joules => format!("{}{UNIT}kWh", number(joules / 3.6e6)),
    }
}

/// A size in bytes, decimal: `512 B`, `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes}{UNIT}B");
    }
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if size < 999.95 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    format!("{size:.1}{UNIT}{unit}")
}

/// The same number for a terminal: `983,854`, `-0.5 s`.
pub fn plain(number: &str) -> String {
    number
        .chars()
        .map(|c| match c {
            THIN => ',',
            UNIT => ' ',
            '−' => '-',
            c => c,
        })
        .collect()
}

/// How many decimals show four significant digits of a number below 1000.
fn decimals(value: f64) -> usize {
    // The exponent after rounding: 0.99996 to four digits is 1.000, not 1.0000.
    let rounded = format!("{value:.3e}");
    let exponent = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    if value == 0.0 { 4 } else { usize::try_from(3 - exponent).unwrap_or(0).min(12) }
}

/// A number to a few significant digits, without grouping.
fn significant(value: f64, digits: usize) -> String {
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    match rounded.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()) {
        Some(exponent) if (-6..0).contains(&exponent) => {
            format!("{value:.*}", digits - 1 + exponent.unsigned_abs() as usize)
        }
        _ => rounded,
    }
}

/// How many significant digits a text shows.
fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).skip_while(|&digit| digit == b'0').count()
}

fn signed(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("{MINUS}{}", minus(&group(rest))),
        None => format!("+{}", minus(&group(text))),
    }
}

fn minus(text: &str) -> String {
    text.replace('-', MINUS)
}

/// Parts the digits before the decimal point into threes.
fn group(text: &str) -> String {
    let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let end = text[start..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |length| start + length);
    let mut grouped = text[..start].to_owned();
    for (at, c) in text[start..end].chars().enumerate() {
        if at > 0 && (end - start - at) % 3 == 0 {
            grouped.push(THIN);
        }
        grouped.push(c);
    }
    grouped.push_str(&text[end..]);
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.041_234_9, "0.04123"),
            (0.4, "0.4000"),
            (0.999_96, "1.000"),
            (12.345_6, "12.35"),
            (999.94, "999.9"),
            (999.96, "1,000"),
            (1234.5, "1,234"),
            (983_854.0, "983,854"),
            (-3677.0, "-3,677"),
            (0.000_012_345, "1.234e-5"),
            (1.5e18, "1.500e18"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(plain(&number(value)), text, "{value}");
        }
    }

    #[test]
    fn numbers_read_together_have_the_same_decimals() {
        let scale = Scale::of([0.123_4, 0.09, f64::NAN]);
        assert_eq!(plain(&scale.number(0.09)), "0.0900");
        assert_eq!(plain(&scale.number(0.0)), "0.0000");
        assert_eq!(plain(&scale.number(0.000_123_45)), "0.0001234");
        assert_eq!(plain(&scale.difference(0.006_7)), "+0.0067");
        assert_eq!(plain(&scale.difference(-0.000_001_2)), "-0.0000012");
        assert_eq!(plain(&scale.difference(0.0)), "±0");
        assert_eq!(plain(&scale.difference(f64::NAN)), "–");

        let scale = Scale::of([3677.0, 2.0]);
        assert_eq!(plain(&scale.number(2.0)), "2");
        assert_eq!(plain(&scale.difference(-1250.0)), "-1,250");
        assert_eq!(plain(&Scale::of([]).difference(0.5)), "+0.5000");
        assert_eq!(plain(&Scale::of([1.0, 0.5]).number(1.0)), "1.000");
    }

    #[test]
    fn fractions_are_signed_percentages() {
        assert_eq!(plain(&relative(0.054)), "+5.40 %");
        assert_eq!(plain(&relative(-0.123)), "-12.3 %");
        assert_eq!(plain(&relative(12.5)), "+1,250 %");
        assert_eq!(plain(&relative(0.0)), "±0 %");
        assert_eq!(plain(&relative(0.000_000_1)), "+0.00001 %");
        assert_eq!(plain(&relative(f64::INFINITY)), "–");
        assert_eq!(plain(&share(0.126)), "13 %");
        assert_eq!(plain(&share(0.000_1)), "<1 %");
    }

    #[test]
    fn durations_sizes_and_counts_read_well() {
        for (value, text) in [
            (0.0, "<1 ms"),
            (0.34, "340 ms"),
            (0.999_9, "1.0 s"),
            (1.24, "1.2 s"),
            (59.97, "1 min 0 s"),
            (125.0, "2 min 5 s"),
            (11_520.0, "3 h 12 min"),
            (-1.0, "–"),
        ] {
            assert_eq!(plain(&seconds(value)), text);
        }
        assert_eq!(plain(&bytes(512)), "512 B");
        assert_eq!(plain(&bytes(999_990)), "1.0 MB");
        assert_eq!(plain(&bytes(u64::MAX)), "18.4 EB");
        assert_eq!(plain(&count(u64::MAX)), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "row"), "1 row");
    }
}
