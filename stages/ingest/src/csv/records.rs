//! Where the records and fields of a CSV text are.

use std::borrow::Cow;

/// The well-formed records of a text, each with the same number of fields.
#[derive(Default)]
pub(super) struct Records {
    /// Fields per record.
    fields: usize,
    /// Where each record begins.
    starts: Vec<usize>,
    /// Where each field ends, relative to the beginning of its record.
    ends: Vec<u32>,
}

/// A record that is not well formed.
pub(super) struct BadRecord {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends, without the line end.
    pub(super) end: usize,
    /// Where in it the problem is.
    pub(super) at: usize,
    /// The problem.
    pub(super) problem: Problem,
}

/// What can be wrong with a record, and with which of its fields (counted from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It has this many fields.
    FieldCount(usize),
    /// A quote opens the field and nothing closes it.
    UnclosedQuote(usize),
    /// There is text between the closing quote and the end of the field.
    AfterQuote(usize),
    /// The field holds bytes that are not UTF-8.
    Encoding(usize),
    /// It is longer than four gibibytes.
    TooLong,
}

/// One record as it was read.
struct Scanned {
    /// Where it ends, without the line end.
    end: usize,
    /// Where the next one begins.
    next: usize,
    /// What is wrong with it, and where.
    problem: Option<(usize, Problem)>,
}

impl Records {
    /// Finds the records of `text` from `from` on. `invalid` holds the places, in order, of bytes that were not UTF-8.
    /// Records that are not well formed are returned beside, only the first one if `first_only`; reading resumes on
    /// the line after the problem, or after the one with the quote that is never closed.
    pub(super) fn find(
        text: &str,
        from: usize,
        separator: u8,
        fields: usize,
        invalid: &[usize],
        first_only: bool,
    ) -> (Self, Vec<BadRecord>) {
        let bytes = text.as_bytes();
        let mut records = Self { fields, ..Self::default() };
        let mut bad = Vec::new();
        let mut invalid = invalid.iter().copied().skip_while(|at| *at < from).peekable();
        let mut start = skip_empty_lines(bytes, from);
        // Once a quote has hung open to the very end, no record may span lines any more. Otherwise each line of such a
        // text could open another one, and reading would take quadratic time.
        let mut spans_lines = true;
        while start < bytes.len() {
            let before = records.ends.len();
            let reach = if spans_lines { bytes.len() } else { line_end(bytes, start).1 };
            let mut scanned = scan(bytes.get(..reach).unwrap_or(bytes), start, separator, &mut records.ends);
            spans_lines &= !matches!(scanned.problem, Some((_, Problem::UnclosedQuote(_))));
            let ends = records.ends.get(before..).unwrap_or_default();
            if scanned.problem.is_none() && ends.len() != fields {
                let at = if ends.len() > fields { place(ends, start, fields) } else { scanned.end };
                scanned.problem = Some((at, Problem::FieldCount(ends.len())));
            }
            if let Some(at) = invalid.next_if(|at| *at < scanned.next) {
                while invalid.next_if(|at| *at < scanned.next).is_some() {}
                let field = ends.iter().take_while(|end| start + (**end as usize) < at).count();
                scanned.problem = scanned.problem.or(Some((at, Problem::Encoding(field))));
            }
            match scanned.problem {
                None => records.starts.push(start),
                Some((at, problem)) => {
                    records.ends.truncate(before);
                    bad.push(BadRecord { start, end: scanned.end, at, problem });
                    if first_only {
                        break;
                    }
                }
            }
            start = skip_empty_lines(bytes, scanned.next);
        }
        (records, bad)
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where a record begins and where it ends, without the line end.
    pub(super) fn span(&self, record: usize) -> (usize, usize) {
        let start = self.starts.get(record).copied().unwrap_or_default();
        let end = self.ends.get(record * self.fields + self.fields - 1).copied().unwrap_or_default();
        (start, start + end as usize)
    }

    /// Where a field begins and where it ends, quotes included.
    pub(super) fn field(&self, record: usize, field: usize) -> (usize, usize) {
        let start = self.starts.get(record).copied().unwrap_or_default();
        let at = record * self.fields + field;
        let from = match field {
            0 => start,
            _ => start + self.ends.get(at - 1).map_or(0, |end| *end as usize + 1),
        };
        (from, start + self.ends.get(at).map_or(0, |end| *end as usize))
    }

    /// Drops records, given in order.
    pub(super) fn remove(&mut self, records: &[usize]) {
        let fields = self.fields.max(1);
        let (mut row, mut gone) = (0, records.iter().peekable());
        self.starts.retain(|_| {
            row += 1;
            gone.next_if(|record| **record == row - 1).is_none()
        });
        let (mut at, mut gone) = (0, records.iter().peekable());
        self.ends.retain(|_| {
            let record = at / fields;
            at += 1;
            while gone.next_if(|other| **other < record).is_some() {}
            gone.peek().is_none_or(|other| **other != record)
        });
    }
}

/// The fields of the first record, where the text after it begins, and what is wrong with it.
pub(super) fn first_record(text: &str, separator: u8, invalid: &[usize]) -> (Vec<String>, usize, Option<BadRecord>) {
    let bytes = text.as_bytes();
    let start = skip_empty_lines(bytes, 0);
    let mut ends = Vec::new();
    if start >= bytes.len() {
        return (Vec::new(), start, None);
    }
    let mut scanned = scan(bytes, start, separator, &mut ends);
    if let Some(at) = invalid.iter().find(|at| (start..scanned.next).contains(*at)) {
        let field = ends.iter().take_while(|end| start + (**end as usize) < *at).count();
        scanned.problem = scanned.problem.or(Some((*at, Problem::Encoding(field))));
    }
    let fields = (0..ends.len())
        .map(|field| {
            let end = start + ends.get(field).map_or(0, |end| *end as usize);
            unquoted(text.get(place(&ends, start, field)..end).unwrap_or_default()).into_owned()
        })
        .collect();
    let bad = scanned.problem.map(|(at, problem)| BadRecord { start, end: scanned.end, at, problem });
    (fields, scanned.next, bad)
}

/// The text of a field: without the quotes around it and with the doubled ones inside made single.
pub(super) fn unquoted(field: &str) -> Cow<'_, str> {
    match field.strip_prefix('"').and_then(|field| field.strip_suffix('"')) {
        None => Cow::Borrowed(field),
        Some(inner) if inner.contains('"') => Cow::Owned(inner.replace("\"\"", "\"")),
        Some(inner) => Cow::Borrowed(inner),
    }
}

/// Where a field begins.
fn place(ends: &[u32], start: usize, field: usize) -> usize {
    match field.checked_sub(1).and_then(|before| ends.get(before)) {
        Some(end) => start + *end as usize + 1,
        None => start,
    }
}

/// Reads one record and notes where its fields end.
fn scan(bytes: &[u8], start: usize, separator: u8, ends: &mut Vec<u32>) -> Scanned {
    let byte = |at: usize| bytes.get(at).copied();
    let first = ends.len();
    let mut at = start;
    loop {
        let field = ends.len() - first;
        let opening = at;
        let quoted = byte(at) == Some(b'"');
        if quoted {
            at += 1;
            loop {
                at += find(bytes, at, |byte| byte == b'"');
                match (byte(at), byte(at + 1)) {
                    (None, _) => {
                        // The rest of the text hangs on a quote that somebody forgot: only its line is given up.
                        let (end, next) = line_end(bytes, start);
                        return Scanned { end, next, problem: Some((opening, Problem::UnclosedQuote(field))) };
                    }
                    (_, Some(b'"')) => at += 2,
                    _ => break,
                }
            }
            at += 1;
        } else {
            at += find(bytes, at, |byte| byte == separator || byte == b'\n');
        }
        let more = byte(at) == Some(separator);
        let (end, next) = match (byte(at), byte(at + 1)) {
            _ if more => (at, at + 1),
            (Some(b'\r'), None) => (at, at + 1),
            (Some(b'\r'), Some(b'\n')) => (at, at + 2),
            // An unquoted field has run over the `\r` before it.
            (Some(b'\n') | None, _) if !quoted && at > opening && byte(at - 1) == Some(b'\r') => (at - 1, at + 1),
            (Some(b'\n') | None, _) => (at, at + 1),
            _ => {
                let (end, next) = line_end(bytes, at);
                return Scanned { end, next, problem: Some((at, Problem::AfterQuote(field))) };
            }
        };
        match u32::try_from(end - start) {
            Ok(end) => ends.push(end),
            Err(_) => {
                let (end, next) = line_end(bytes, at);
                return Scanned { end, next, problem: Some((opening, Problem::TooLong)) };
            }
        }
        if !more {
            return Scanned { end, next: next.min(bytes.len()), problem: None };
        }
        at = next;
    }
}

/// How far it is from `at` to the first byte that `is` what is looked for, or to the end.
#[inline(always)]
fn find(bytes: &[u8], at: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|byte| is(*byte)).unwrap_or(rest.len())
}

/// Where the line around `at` ends, without and with its line end.
fn line_end(bytes: &[u8], at: usize) -> (usize, usize) {
    let newline = at + find(bytes, at, |byte| byte == b'\n');
    let end = if newline > at && bytes.get(newline - 1) == Some(&b'\r') { newline - 1 } else { newline };
    (end, (newline + 1).min(bytes.len()))
}

fn skip_empty_lines(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at += match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\n'), _) => 1,
            (Some(b'\r'), Some(b'\n')) => 2,
            (Some(b'\r'), None) => 1,
            _ => return at,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    type Bad = (String, usize, Problem);

    /// The well-formed records, and the problems with the text of the others.
    fn read(text: &str, fields: usize) -> (Vec<Vec<String>>, Vec<Bad>) {
        let (records, bad) = Records::find(text, 0, b',', fields, &[], false);
        let good = (0..records.len())
            .map(|record| {
                (0..fields)
                    .map(|field| {
                        let (from, to) = records.field(record, field);
                        unquoted(&text[from..to]).into_owned()
                    })
                    .collect()
            })
            .collect();
        let bad = bad.into_iter().map(|bad| (text[bad.start..bad.end].to_owned(), bad.at, bad.problem)).collect();
        (good, bad)
    }

    #[test]
    fn line_ends_and_quotes() {
        for text in [
            "a,b\nc,d\n",
            "a,b\r\nc,d\r\n",
            "a,b\nc,d",
            "a,b\r\nc,d\r",
            "\n\na,b\n\r\n\nc,d\n\n",
            "\"a\",\"b\"\r\n\"c\",\"d\"",
        ] {
            assert_eq!(
                read(text, 2),
                (vec![vec!["a".into(), "b".into()], vec!["c".into(), "d".into()]], vec![]),
                "{text:?}"
            );
        }
        let (good, bad) = read("\"a\nb\",\"say \"\"hi\"\"\"\n5\" pipe,\n\"\",\"\"\"\"\n,\n", 2);
        assert_eq!(bad, vec![]);
        assert_eq!(good, [["a\nb", "say \"hi\""], ["5\" pipe", ""], ["", "\""], ["", ""]]);
        assert_eq!(read("", 2), (vec![], vec![]));
        assert_eq!(read("\n\r\n\r", 1), (vec![], vec![]));
    }

    #[test]
    fn bad_records_are_set_aside_and_reading_resumes() {
        let (good, bad) = read("a,b\nc\nd,e,f\n\"x\"y,z\ng,h\n", 2);
        assert_eq!(good, [["a", "b"], ["g", "h"]]);
        assert_eq!(
            bad,
            [
                ("c".into(), 5, Problem::FieldCount(1)),
                ("d,e,f".into(), 10, Problem::FieldCount(3)),
                ("\"x\"y,z".into(), 15, Problem::AfterQuote(0)),
            ]
        );
        let (good, bad) = read("a,b\nc,\"d\ne,f\n", 2);
        assert_eq!(good, [["a", "b"], ["e", "f"]]);
        assert_eq!(bad, [("c,\"d".into(), 6, Problem::UnclosedQuote(1))]);
    }

    #[test]
    fn removing_records() {
        let text = "a,b\nc,d\ne,f\ng,h\n";
        let (mut records, _) = Records::find(text, 0, b',', 2, &[], false);
        records.remove(&[0, 2]);
        assert_eq!(records.len(), 2);
        let (from, to) = records.span(1);
        assert_eq!(&text[from..to], "g,h");
        let (from, to) = records.field(0, 1);
        assert_eq!(&text[from..to], "d");
    }
}
