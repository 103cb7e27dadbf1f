//! The end of what a process printed.

use std::collections::VecDeque;
use std::io::{PipeReader, Read};
use std::sync::{Mutex, PoisonError};

/// How much of what a process prints is kept.
const KEPT: usize = 16 << 10;

/// The end of what a process printed.
#[derive(Default)]
pub(super) struct Log(Mutex<VecDeque<u8>>);

impl Log {
    pub(super) fn fill(&self, mut reader: PipeReader) {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut bytes) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&bytes[..read]);
            let over = kept.len().saturating_sub(KEPT);
            kept.drain(..over);
        }
    }

    pub(super) fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    pub(super) fn take(&self) -> String {
        let kept = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&Vec::from(kept)).into_owned()
    }

    pub(super) fn last_lines(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let clean = |line: &str| -> String {
            let printable = line.chars().map(|c| if c.is_control() { ' ' } else { c });
            printable.take(200).collect::<String>().trim_end().to_owned()
        };
        let lines: Vec<String> = text.lines().map(clean).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].to_vec()
    }
}
