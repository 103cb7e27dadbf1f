//! Comma-separated values (RFC 4180), read with the line on which each record begins.

/// A record, and on which line of the file it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) line: usize,
    pub(crate) fields: Vec<String>,
}

/// The records of a file. A spreadsheet of a country where the comma is taken separates by `;`: the first line tells.
/// Empty lines are skipped.
///
/// # Errors
/// The line on which a quoted field begins that does not end.
pub(crate) fn read(text: &str) -> Result<Vec<Record>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().next().unwrap_or_default();
    let separator = if first.contains(';') && !first.contains(',') { ';' } else { ',' };
    let mut records = Vec::new();
    let mut record = Record { line: 1, fields: Vec::new() };
    let mut field = String::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    let mut end = |record: &mut Record, field: &mut String, next: usize| {
        record.fields.push(std::mem::take(field));
        let done = std::mem::replace(record, Record { line: next, fields: Vec::new() });
        if done.fields != [""] {
            records.push(done);
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '"' if field.is_empty() => {
                let began = line;
                loop {
                    match chars.next() {
                        None => return Err(began),
                        Some('"') if chars.next_if_eq(&'"').is_some() => field.push('"'),
                        Some('"') => break,
                        Some(inner) => {
                            line += usize::from(inner == '\n');
                            field.push(inner);
                        }
                    }
                }
            }
            c if c == separator => record.fields.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                line += 1;
                end(&mut record, &mut field, line);
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.fields.is_empty() {
        end(&mut record, &mut field, line);
    }
    Ok(records)
}

/// One record as text, with the line end.
pub(crate) fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |field: &str| {
        if field.contains(['"', ',', ';', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ') {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    let fields: Vec<String> = fields.into_iter().map(quoted).collect();
    format!("{}\n", fields.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        read(text).unwrap().into_iter().map(|record| (record.line, record.fields)).collect()
    }

    #[test]
    fn records_know_their_lines() {
        let found = fields("\u{feff}a,b\r\n\"x\r\ny\",\"say \"\"hi\"\"\"\n\n,\nlast,one");
        let expected: Vec<(usize, Vec<String>)> =
            [(1, ["a", "b"]), (2, ["x\r\ny", "say \"hi\""]), (5, ["", ""]), (6, ["last", "one"])]
                .map(|(line, fields)| (line, fields.map(str::to_owned).to_vec()))
                .into();
        assert_eq!(found, expected);
        assert_eq!(fields("a;b\n1,5;2").last().unwrap().1, ["1,5", "2"]);
        assert_eq!(read("a\n\"b\nc"), Err(2));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_written_is_read() {
        let all = ["", "plain", "a,b", "say \"hi\"", "two\nlines", " spaced ", "x;y"];
        assert_eq!(fields(&line(all))[0].1, all);
    }
}
