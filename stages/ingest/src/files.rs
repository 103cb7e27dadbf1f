//! Reading text files, compressed or not.

use std::fs::File;
use std::io::{BufReader, Read};

use stagewright_contract::{SourceFile, StageError};

/// The text of a file, without a byte order mark.
pub(crate) struct Text {
    /// The file's name.
    pub(crate) name: String,
    /// What it says, with `?` for bytes that are not UTF-8.
    pub(crate) text: String,
    /// Where those are, in order.
    pub(crate) invalid: Vec<usize>,
}

/// Reads a file that may be compressed with gzip or Zstandard, which its first bytes tell.
pub(crate) fn read(source: &SourceFile) -> Result<Text, StageError> {
    let name = source.name.clone();
    let failed = |error: std::io::Error| StageError::environment(format!("`{name}` cannot be read: {error}"));
    let damaged = |format: &str, error: std::io::Error| {
        StageError::data(format!("`{name}` is not a whole {format} file: {error}"))
            .with_help("it may have been cut off; fetch it again")
    };
    let mut file = BufReader::new(File::open(&source.path).map_err(failed)?);
    let mut magic = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut magic).map_err(failed)?;
    let mut bytes = Vec::new();
    let whole = magic.as_slice().chain(file);
    match magic.as_slice() {
        [0x1f, 0x8b, ..] => {
            // The length of text that gzip packed is typically four times its own.
            bytes.reserve(usize::try_from(source.size).unwrap_or(0).saturating_mul(4).min(1 << 30));
            flate2::read::MultiGzDecoder::new(whole).read_to_end(&mut bytes).map_err(|error| damaged("gzip", error))?
        }
        [0x28, 0xb5, 0x2f, 0xfd] => zstd::stream::read::Decoder::new(whole)
            .and_then(|mut decoder| decoder.read_to_end(&mut bytes))
            .map_err(|error| damaged("Zstandard", error))?,
        _ => {
            bytes.reserve(usize::try_from(source.size).unwrap_or(0));
            let mut whole = whole;
            whole.read_to_end(&mut bytes).map_err(failed)?
        }
    };
    match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => drop(bytes.drain(..3)),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Err(StageError::data(format!("`{name}` is UTF-16 text, UTF-8 is needed"))
                .with_help(format!("convert it: `iconv -f UTF-16 -t UTF-8 {name}`")));
        }
        _ => {}
    }
    let mut invalid = Vec::new();
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => replace_invalid(error.into_bytes(), &mut invalid),
    };
    Ok(Text { name, text, invalid })
}

/// Puts `?` in place of each byte that is not UTF-8, so that every other byte stays where it is.
fn replace_invalid(bytes: Vec<u8>, invalid: &mut Vec<usize>) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            invalid.push(text.len());
            text.push('?');
        }
    }
    text
}

/// Runs `work` for `0..n` on as many threads as there are processors; the results are in order.
pub(crate) fn parallel<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(n);
    if threads <= 1 {
        return (0..n).map(work).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if index >= n {
                return done;
            }
            done.push((index, work(index)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A value as a message shows it: on one line and not long.
pub(crate) fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(40).flat_map(char::escape_debug).collect();
    if value.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
