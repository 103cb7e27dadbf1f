//! Tracking extracts of a send that never was.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use rawzip::{CompressionMethod, ZipArchiveWriter};

use crate::trouble::mix;

/// How likely what is, for one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// That the message bounces.
    pub bounce: f64,
    /// That who got it opens it.
    pub open: f64,
    /// That who opened it clicks.
    pub click: f64,
    /// That who got it unsubscribes.
    pub unsubscribe: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { bounce: 0.02, open: 0.3, click: 0.2, unsubscribe: 0.005 }
    }
}

const COMMON: [&str; 10] = [
    "ClientID",
    "SendID",
    "SubscriberKey",
    "EmailAddress",
    "SubscriberID",
    "ListID",
    "EventDate",
    "EventType",
    "BatchID",
    "TriggeredSendExternalKey",
];

/// A zip archive with `Sent.csv`, `Opens.csv`, `Clicks.csv`, `Bounces.csv` and `Unsubs.csv` of a job, for these
/// subscriber keys, sent at an instant such as `2026-01-05T15:00:00Z`. Times in it are those of Marketing Cloud's
/// clock. As in real ones a person may open and click more than once, and a row in fifty stands there twice.
///
/// # Errors
/// When the instant is none, or memory runs out.
pub fn extract(
    people: impl IntoIterator<Item = (String, Rates)>,
    job: u64,
    sent_at: &str,
    seed: u64,
) -> Result<Vec<u8>, String> {
    let sent_at: Timestamp = sent_at.parse().map_err(|error: jiff::Error| error.to_string())?;
    let mut files: [(&str, Vec<Vec<String>>); 5] =
        [("Sent", vec![]), ("Opens", vec![]), ("Clicks", vec![]), ("Bounces", vec![]), ("Unsubs", vec![])];
    for (place, (key, rates)) in people.into_iter().enumerate() {
        let seed = mix(mix(seed, job), place as u64);
        let draw = |what: u64| (mix(seed, what) >> 11) as f64 / (1u64 << 53) as f64;
        let mut add = |file: usize, minutes: u64, kind: &str, more: &[&str]| {
            let row = row(&key, place, job, clock(sent_at, minutes), kind, more);
            if draw(100 + file as u64) < 0.02 {
                files[file].1.push(row.clone());
            }
            files[file].1.push(row);
        };
        add(0, 0, "Sent", &[]);
        if draw(1) < rates.bounce {
            add(3, 1, "Bounce", &["Hard bounce", "550", "User unknown"]);
            continue;
        }
        if draw(2) < rates.open {
            for again in 0..1 + mix(seed, 3) % 2 {
                add(1, 30 + 60 * again, "Open", &[]);
            }
            if draw(4) < rates.click {
                for again in 0..1 + mix(seed, 5) % 3 {
                    add(2, 31 + 60 * again, "Click", &["1", "1", "https://shop.example/", "offer"]);
                }
            }
        }
        if draw(6) < rates.unsubscribe {
            add(4, 45, "Unsubscribe", &[]);
        }
    }
    let mut packed = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut packed);
    for (name, rows) in files {
        let more: &[&str] = match name {
            "Clicks" => &["SendURLID", "URLID", "URL", "Alias"],
            "Bounces" => &["BounceCategory", "SMTPCode", "BounceReason"],
            _ => &[],
        };
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COMMON.iter().chain(more)).map_err(|error| error.to_string())?;
        for row in rows {
            writer.write_record(row).map_err(|error| error.to_string())?;
        }
        let bytes = writer.into_inner().map_err(|error| error.to_string())?;
        add_file(&mut archive, &format!("{name}.csv"), &bytes).map_err(|error| error.to_string())?;
    }
    archive.finish().map_err(|error| error.to_string())?;
    Ok(packed)
}

/// Packs a file into an archive.
///
/// # Errors
/// Those of the writer.
pub fn add_file(archive: &mut ZipArchiveWriter<impl Write>, name: &str, bytes: &[u8]) -> Result<(), rawzip::Error> {
    let (mut entry, config) = archive.new_file(name).compression_method(CompressionMethod::DEFLATE).start()?;
    let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
    writer.write_all(bytes)?;
    let (encoder, descriptor) = writer.finish()?;
    encoder.finish()?;
    entry.finish(descriptor)?;
    Ok(())
}

fn row(key: &str, place: usize, job: u64, when: String, kind: &str, more: &[&str]) -> Vec<String> {
    let mut row: Vec<String> =
        ["1000", &job.to_string(), key, "hidden@example.com", &place.to_string(), "7", &when, kind, "1", ""]
            .map(str::to_owned)
            .to_vec();
    row.extend(more.iter().map(|text| (*text).to_owned()));
    row
}

/// Central Standard Time, all year round, as an American writes it.
fn clock(sent_at: Timestamp, minutes: u64) -> String {
    let when = sent_at.checked_add(SignedDuration::from_mins(minutes as i64)).unwrap_or(sent_at);
    Offset::constant(-6).to_datetime(when).strftime("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}
