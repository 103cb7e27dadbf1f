//! Values as Marketing Cloud takes them: in words that do not show them where they do not fit.

use jiff::civil;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

use crate::cells::Cell;

pub(crate) fn text(cell: Cell<'_>) -> Result<String, String> {
    Ok(match cell {
        Cell::Null => String::new(),
        Cell::Text(text) if text.contains('\0') => return Err("a text with a zero byte".to_owned()),
        Cell::Text(text) => text.to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Float(number) if number.is_finite() => number.to_string(),
        Cell::Float(_) => return Err("no finite number".to_owned()),
        Cell::Flag(_) => boolean(cell)?,
        Cell::Date(_) | Cell::Time { .. } => date(cell)?,
    })
}

pub(crate) fn number(cell: Cell<'_>) -> Result<String, String> {
    let whole = match cell {
        Cell::Null => return Ok(String::new()),
        Cell::Integer(number) => Some(number),
        Cell::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i128),
        Cell::Text(text) if text.trim().is_empty() => return Ok(String::new()),
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let whole = whole.ok_or("no whole number")?;
    i32::try_from(whole).map(|number| number.to_string()).map_err(|_| "a number beyond 32 bits".to_owned())
}

pub(crate) fn decimal(cell: Cell<'_>, digits: u32, scale: u32) -> Result<String, String> {
    let scale = scale as usize;
    let text = match cell {
        Cell::Null => return Ok(String::new()),
        Cell::Integer(number) => format!("{number}"),
        Cell::Float(number) if number.is_finite() => format!("{number:.scale$}"),
        Cell::Text(text) if text.trim().is_empty() => return Ok(String::new()),
        Cell::Text(text) => text.trim().to_owned(),
        _ => return Err("no number".to_owned()),
    };
    let bare = text.strip_prefix('-').unwrap_or(&text);
    let (whole, part) = bare.split_once('.').unwrap_or((bare, ""));
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
        return Err("no number".to_owned());
    }
    let whole = whole.trim_start_matches('0');
    if part.len() > scale || whole.len() + scale > digits as usize {
        return Err(format!("a number that does not fit into {digits} digits, {scale} of them after the point"));
    }
    Ok(text)
}

/// As both the import and the REST interface take it.
const DATE: &str = "%Y-%m-%d %H:%M:%S";

pub(crate) fn date(cell: Cell<'_>) -> Result<String, String> {
    let wrong = || "no date that can be written".to_owned();
    let when = match cell {
        Cell::Null => return Ok(String::new()),
        Cell::Text(text) if text.trim().is_empty() => return Ok(String::new()),
        Cell::Text(text) => {
            let text = text.trim();
            match text.parse::<Timestamp>() {
                Ok(instant) => on_their_clock(instant),
                Err(_) => text
                    .parse::<civil::DateTime>()
                    .or_else(|_| text.parse::<civil::Date>().map(|date| date.at(0, 0, 0, 0)))
                    .map_err(|_| "no date: write it as 2026-11-25 or 2026-11-25T14:30:00".to_owned())?,
            }
        }
        Cell::Date(days) => civil::date(1970, 1, 1).checked_add(days.days()).map_err(|_| wrong())?.at(0, 0, 0, 0),
        Cell::Time { micros, zoned } => {
            let instant = Timestamp::from_microsecond(micros).map_err(|_| wrong())?;
            if zoned { on_their_clock(instant) } else { Offset::UTC.to_datetime(instant) }
        }
        _ => return Err("no date".to_owned()),
    };
    if !(1753..=9999).contains(&when.year()) {
        return Err(wrong());
    }
    Ok(when.strftime(DATE).to_string())
}

/// What the clock of Marketing Cloud shows: Central Standard Time, all year round.
fn on_their_clock(instant: Timestamp) -> civil::DateTime {
    their_offset().to_datetime(instant)
}

/// UTC-6, without daylight saving.
pub(crate) fn their_offset() -> Offset {
    Offset::constant(-6)
}

pub(crate) fn boolean(cell: Cell<'_>) -> Result<String, String> {
    let flag = match cell {
        Cell::Null => return Ok(String::new()),
        Cell::Flag(flag) => Some(flag),
        Cell::Integer(0) => Some(false),
        Cell::Integer(1) => Some(true),
        Cell::Text(text) => match text.trim().to_lowercase().as_str() {
            "" => return Ok(String::new()),
            "true" | "yes" | "y" | "1" => Some(true),
            "false" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    let flag = flag.ok_or("neither true nor false")?;
    Ok(if flag { "True" } else { "False" }.to_owned())
}
