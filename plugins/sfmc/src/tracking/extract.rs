//! The events in a tracking extract.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use flate2::bufread::DeflateDecoder;
use jiff::civil::DateTime;
use rawzip::{CompressionMethod, ZipArchive};
use stagewright_plugin::StageError;

use crate::values::their_offset;

/// The most bytes of an unpacked file: beyond that, the archive is a trap.
const MOST: u64 = 16 << 30;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum What {
    Sent,
    Open,
    Click,
    Bounce,
    Unsubscribe,
}

impl What {
    /// By the name of the file in the archive.
    fn of(file: &str) -> Option<Self> {
        let name = file.rsplit(['/', '\\']).next()?.to_lowercase();
        Some(match name.strip_suffix(".csv")? {
            "sent" => Self::Sent,
            "opens" => Self::Open,
            "clicks" => Self::Click,
            "bounces" => Self::Bounce,
            "unsubs" => Self::Unsubscribe,
            _ => return None,
        })
    }
}

/// An event. Two that are equal are one that stands there twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) what: What,
    client: String,
    pub(super) job: u64,
    pub(super) key: String,
    /// Microseconds since 1970-01-01, UTC.
    pub(super) when: i64,
    batch: String,
}

/// Adds the events of an archive.
///
/// # Errors
/// When it is no archive, holds none of the files, or a row cannot be read.
pub(super) fn read(path: &Path, name: &str, events: &mut BTreeSet<Event>) -> Result<(), StageError> {
    let bytes =
        std::fs::read(path).map_err(|error| StageError::environment(format!("cannot read it: {error}")).at(name))?;
    let wrong = |error: rawzip::Error| StageError::data(format!("it is no whole zip archive: {error}")).at(name);
    let archive = ZipArchive::from_slice(&bytes).map_err(wrong)?;
    let mut entries = archive.entries();
    let mut names = Vec::new();
    let mut found = false;
    while let Some(entry) = entries.next_entry().map_err(wrong)? {
        let file = entry.file_path().try_normalize().map_err(wrong)?.as_ref().to_owned();
        let place = format!("{name}/{file}");
        if let Some(what) = What::of(&file) {
            if entry.uncompressed_size_hint() > MOST {
                return Err(StageError::data("it is too large").at(place));
            }
            let packed = archive.get_entry(entry.wayfinder()).map_err(wrong)?;
            match entry.compression_method() {
                CompressionMethod::STORE => {
                    rows(packed.verifying_reader(packed.data()).take(MOST), what, &place, events)?;
                }
                CompressionMethod::DEFLATE => {
                    let unpacked = DeflateDecoder::new(packed.data());
                    rows(packed.verifying_reader(unpacked).take(MOST), what, &place, events)?;
                }
                _ => return Err(StageError::data("it is packed by a method other than deflate").at(place)),
            }
            found = true;
        }
        names.push(file);
    }
    if found {
        return Ok(());
    }
    Err(StageError::data(
        "there is none of `Sent.csv`, `Opens.csv`, `Clicks.csv`, `Bounces.csv` and `Unsubs.csv` in it",
    )
    .at(name)
    .with_help(format!("there are: {}", names.join(", "))))
}

fn rows(reader: impl Read, what: What, place: &str, events: &mut BTreeSet<Event>) -> Result<(), StageError> {
    let mut reader = csv::ReaderBuilder::new().from_reader(reader);
    let wrong = |error: csv::Error| {
        let line = error.position().map(csv::Position::line);
        let at = line.map_or_else(|| place.to_owned(), |line| format!("{place}:{line}"));
        let message = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "it is not UTF-8",
            csv::ErrorKind::UnequalLengths { .. } => "the row has more or fewer values than the first line",
            _ => "it cannot be unpacked",
        };
        StageError::data(message).at(at)
    };
    let names: Vec<String> = reader
        .headers()
        .map_err(wrong)?
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').trim().to_lowercase())
        .collect();
    let find = |wanted: &str| names.iter().position(|name| *name == wanted.to_lowercase());
    let need = |wanted: &str| {
        find(wanted).ok_or_else(|| {
            StageError::data(format!("there is no column `{wanted}`"))
                .at(format!("{place}:1"))
                .with_help("extract with a header line and all columns")
        })
    };
    let (job, key, when) = (need("SendID")?, need("SubscriberKey")?, need("EventDate")?);
    let (client, batch) = (find("ClientID"), find("BatchID"));
    for record in reader.into_records() {
        let record = record.map_err(wrong)?;
        let line = record.position().map_or(0, csv::Position::line);
        let bad =
            |column: &str, what: &str| StageError::data(format!("`{column}` is {what}")).at(format!("{place}:{line}"));
        let value = |column: usize| record.get(column).unwrap_or_default().trim();
        let optional = |column: Option<usize>| column.map(value).unwrap_or_default().to_owned();
        events.insert(Event {
            what,
            client: optional(client),
            job: value(job).parse().map_err(|_| bad("SendID", "no whole number"))?,
            key: value(key).to_owned(),
            when: instant(value(when)).ok_or_else(|| bad("EventDate", "no date and time"))?,
            batch: optional(batch),
        });
    }
    Ok(())
}

/// A time on Marketing Cloud's clock, as an American or as ISO 8601 writes it.
fn instant(text: &str) -> Option<i64> {
    let american = ["%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M"];
    let local = text
        .parse::<DateTime>()
        .ok()
        .or_else(|| american.iter().find_map(|format| DateTime::strptime(format, text).ok()))?;
    Some(their_offset().to_timestamp(local).ok()?.as_microsecond())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// An hour from the same clock time in March to April is an hour in UTC, too: there is no daylight saving.
    #[test]
    fn their_clock_is_six_hours_behind_all_year_round() {
        let utc = |text: &str| jiff::Timestamp::from_microsecond(instant(text).unwrap()).unwrap().to_string();
        assert_eq!(utc("1/5/2026 9:00:00 AM"), "2026-01-05T15:00:00Z");
        assert_eq!(utc("7/5/2026 9:00:00 AM"), "2026-07-05T15:00:00Z");
        assert_eq!(utc("07/05/2026 12:00:01 AM"), "2026-07-05T06:00:01Z");
        assert_eq!(utc("12/31/2026 11:30:00 PM"), "2027-01-01T05:30:00Z");
        assert_eq!(utc("2026-03-08 02:30:00"), "2026-03-08T08:30:00Z");
        assert_eq!(utc("2026-03-08T02:30:00.250"), "2026-03-08T08:30:00.25Z");
        for wrong in ["", "yesterday", "13/1/2026 9:00:00 AM", "2026-02-30 00:00:00"] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn files_go_by_their_names() {
        assert_eq!(What::of("Opens.csv"), Some(What::Open));
        assert_eq!(What::of("extract/UNSUBS.CSV"), Some(What::Unsubscribe));
        assert_eq!((What::of("SendJobs.csv"), What::of("Opens.txt")), (None, None));
    }
}
