//! Moments: columns of dates or timestamps, and dates or timestamps in parameters, as microseconds since 1970.

use polars::prelude::{DataFrame, DataType, TimeUnit};
use stagewright_contract::{ParamError, StageError};
use stagewright_frame::{column, numbers, polars_error};

pub(crate) const DAY: i64 = 86_400_000_000;

/// The moments in a date or timestamp column; `None` where null. A date means its first instant.
///
/// # Errors
/// When there is no such column or it holds something else.
pub(crate) fn moments(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>, StageError> {
    let column = column(frame, name)?;
    let in_microseconds: fn(i64) -> i64 = match column.dtype() {
        DataType::Date => |days| days.saturating_mul(DAY),
        DataType::Datetime(TimeUnit::Nanoseconds, _) => |nanoseconds| nanoseconds.div_euclid(1_000),
        DataType::Datetime(TimeUnit::Microseconds, _) => |microseconds| microseconds,
        DataType::Datetime(TimeUnit::Milliseconds, _) => |milliseconds| milliseconds.saturating_mul(1_000),
        other => {
            return Err(StageError::data(format!("column `{name}` is {other}, a date or a timestamp is needed"))
                .with_help("cast it with `clean.cast`, or name another column"));
        }
    };
    let doing = |error| polars_error(&format!("reading column `{name}` as moments"), &error);
    let physical = column.to_physical_repr().cast(&DataType::Int64).map_err(doing)?;
    let values = physical.i64().map_err(doing)?;
    Ok(values.iter().map(|value| value.map(in_microseconds)).collect())
}

/// The values of a column of dates, timestamps or numbers as integers that sort as they do; `None` where null or NaN.
/// `param` is the parameter that names the column.
///
/// # Errors
/// When there is no such column or it holds something else.
pub(crate) fn instants(frame: &DataFrame, param: &str, name: &str) -> Result<Vec<Option<i64>>, StageError> {
    let dtype = column(frame, name)?.dtype();
    if is_moment(dtype) {
        return moments(frame, name);
    }
    if dtype.is_primitive_numeric() {
        return Ok(numbers(frame, name)?.into_iter().map(|number| number.map(ascending_bits)).collect());
    }
    Err(StageError::data(format!("column `{name}` is {dtype}, a date, a timestamp or a number is needed"))
        .with_help(format!("cast it with `clean.cast`, or name another column in `{param}`")))
}

pub(crate) fn is_moment(dtype: &DataType) -> bool {
    matches!(dtype, DataType::Date | DataType::Datetime(..))
}

/// An integer that sorts as the number does.
pub(crate) fn ascending_bits(number: f64) -> i64 {
    let number = if number == 0.0 { 0.0 } else { number };
    let bits = number.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// A date (`2024-01-31`) or a timestamp (`2024-01-31T18:00:00`, a space for the `T`, with or without seconds, fractions
/// of them and an offset such as `Z` or `+01:00`). Without an offset it is UTC, or local like the column.
///
/// # Errors
/// When the text of parameter `param` is neither.
pub(crate) fn parse_moment(param: &str, text: &str) -> Result<i64, ParamError> {
    parse(text).ok_or_else(|| {
        ParamError::new(param, format!("`{text}` is not a date or a timestamp"))
            .with_help("write it as `2024-01-31` or as `2024-01-31T18:00:00`")
    })
}

fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let days = parse_date(date)?;
    let time = if time.is_empty() { 0 } else { parse_time(time.strip_prefix(['T', 't', ' '])?)? };
    Some(days * DAY + time)
}

fn parse_date(text: &str) -> Option<i64> {
    let [year, month, day] = digits(text, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar: years begin in March, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn parse_time(text: &str) -> Option<i64> {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = match whole.len() {
        5 if fraction == "0" => digits(whole, ':', [2, 2]).map(|[hour, minute]| [hour, minute, 0])?,
        _ => digits(whole, ':', [2, 2, 2])?,
    };
    if hour > 23 || minute > 59 || second > 59 || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let fraction = number(&format!("{fraction:0<9}"))? / 1_000;
    let offset = match offset {
        "" | "Z" | "z" => 0,
        _ => {
            let (sign, offset) = offset.split_at(1);
            let [hours, minutes] = digits(offset, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == "-" { -1 } else { 1 }
        }
    };
    Some(((hour * 60 + minute - offset) * 60 + second) * 1_000_000 + fraction)
}

/// Numbers of just these lengths between separators.
fn digits<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for (out, length) in out.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        *out = number(part)?;
    }
    parts.next().is_none().then_some(out)
}

fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{ascending_bits, parse};

    #[test]
    fn bits_ascend_with_the_number() {
        let ascending = [f64::NEG_INFINITY, -1e300, -2.0, -1.0, -1e-300, 0.0, 1e-300, 1.0, 2.5, 1e300, f64::INFINITY];
        assert!(ascending.is_sorted_by_key(|number| ascending_bits(*number)));
        assert_eq!(ascending_bits(-0.0), ascending_bits(0.0));
    }

    #[test]
    fn moments_are_read_as_iso_8601() {
        // datetime.datetime(..., tzinfo=...).timestamp() * 1e6 of Python 3.
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-86_400_000_000)),
            ("2000-02-29", Some(951_782_400_000_000)),
            ("2024-01-31T18:05", Some(1_706_724_300_000_000)),
            ("2024-01-31 18:05:07", Some(1_706_724_307_000_000)),
            ("2024-01-31T18:05:07.25Z", Some(1_706_724_307_250_000)),
            ("2024-01-31T18:05:07+01:30", Some(1_706_718_907_000_000)),
            ("2024-01-31T18:05:07-01:30", Some(1_706_729_707_000_000)),
            ("0001-01-01", Some(-62_135_596_800_000_000)),
            ("9999-12-31T23:59:59.999999", Some(253_402_300_799_999_999)),
            ("2023-02-29", None),
            ("1900-02-29", None),
            ("2024-13-01", None),
            ("2024-00-01", None),
            ("2024-01-32", None),
            ("2024-1-1", None),
            ("2024-01-31T", None),
            ("2024-01-31T24:00", None),
            ("2024-01-31T10:00:00.", None),
            ("2024-01-31T10:00.5", None),
            ("2024-01-31T10:00:00+25:00", None),
            ("31 January", None),
            ("ééééééé", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
