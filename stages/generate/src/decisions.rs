//! What people decided about messages: a CSV file, and how it goes with the messages.

use std::collections::{BTreeMap, BTreeSet};

use stagewright_contract::{StageError, Table};
use stagewright_frame::{column, nearest, to_frame};

use crate::csv;

/// What was decided about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent as it is.
    Approve,
    /// It may not be sent.
    Reject,
    /// It may be sent with another subject or text.
    Edit,
}

impl Verdict {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Edit => "edit",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "approve" | "approved" => Some(Self::Approve),
            "reject" | "rejected" => Some(Self::Reject),
            "edit" | "edited" => Some(Self::Edit),
            _ => None,
        }
    }
}

/// A decision about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The message: the `message_id` of `generate.messages`.
    pub message_id: String,
    /// What was decided.
    pub verdict: Verdict,
    /// The subject after an edit; `None` when it stays.
    pub subject: Option<String>,
    /// The text after an edit; `None` when it stays.
    pub text: Option<String>,
    /// Who decided.
    pub reviewer: String,
    /// Why.
    pub note: String,
    /// On which line of its file it stands.
    pub line: usize,
}

/// A message that is reviewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its identifier.
    pub id: String,
    /// The user, as text.
    pub user: String,
    /// Its subject, if it has one.
    pub subject: Option<String>,
    /// Its text.
    pub text: String,
}

/// The columns of a file of decisions.
const COLUMNS: [&str; 6] = ["message_id", "decision", "subject", "text", "reviewer", "note"];

/// The messages of a table, such as `table` of `generate.messages`: its columns `message_id`, `subject` (optional) and
/// `text`, and its first column as the user.
///
/// # Errors
/// When a column is missing or is no text, or an identifier is missing or comes twice.
pub fn messages(table: &Table) -> Result<Vec<Message>, StageError> {
    let frame = to_frame(table)?;
    let texts = |name: &str| -> Result<Vec<Option<String>>, StageError> {
        let column = column(&frame, name)?;
        let texts = column.str().map_err(|_| {
            StageError::data(format!("column `{name}` is {}, text is needed", column.dtype()))
                .with_help("connect `table` of a stage `generate.messages`")
        })?;
        Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
    };
    let ids = texts("message_id")?;
    let bodies = texts("text")?;
    let has_subject = table.names().any(|name| name == "subject");
    let subjects = if has_subject { texts("subject")? } else { vec![None; ids.len()] };
    let users = stagewright_frame::head(table, table.rows())?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::with_capacity(ids.len());
    for (((id, text), subject), user) in ids.into_iter().zip(bodies).zip(subjects).zip(users) {
        let (Some(id), Some(text)) = (id, text) else {
            return Err(StageError::data("a message has no `message_id` or no `text`"));
        };
        if !seen.insert(id.clone()) {
            return Err(StageError::data(format!("the message `{id}` is there twice"))
                .with_help("leave repeated rows out with `clean.drop_duplicates`"));
        }
        let user = user.into_iter().next().flatten().unwrap_or_default();
        found.push(Message { id, user, subject, text });
    }
    Ok(found)
}

/// Reads a file of decisions: the columns `message_id`, `decision` (`approve`, `reject` or `edit`), `subject`, `text`,
/// `reviewer` and `note`, of which the first two must be there; others are passed over. Rows without a decision are
/// pending and left out. `name` is the file's, for errors.
///
/// # Errors
/// The first row that is no decision, with its line.
pub fn read(name: &str, bytes: &[u8]) -> Result<Vec<Decision>, StageError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line =
            bytes.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1;
        StageError::data("the file is not UTF-8 here").at(format!("{name}:{line}")).with_help("save it as CSV UTF-8")
    })?;
    let records = csv::read(text).map_err(|line| {
        StageError::data("a field in quotes begins here and does not end").at(format!("{name}:{line}"))
    })?;
    let Some((header, rows)) = records.split_first() else { return Ok(Vec::new()) };
    let names: Vec<&str> = header.fields.iter().map(|field| field.trim()).collect();
    let place = |wanted: &str| names.iter().position(|found| *found == wanted);
    for wanted in ["message_id", "decision"] {
        if place(wanted).is_none() {
            let error = StageError::data(format!("there is no column `{wanted}`")).at(format!("{name}:1"));
            return Err(match nearest(wanted, names.iter().copied()) {
                Some(near) => error.with_help(format!("is it `{near}`?")),
                None => error.with_help(format!("the columns are: {}", names.join(", "))),
            });
        }
    }
    let places = COLUMNS.map(place);
    let mut decisions: Vec<Decision> = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for record in rows {
        let at = |error: StageError| error.at(format!("{name}:{}", record.line));
        if record.fields.len() != names.len() {
            return Err(at(StageError::data(format!(
                "the row has {} fields where the header has {}",
                record.fields.len(),
                names.len()
            ))));
        }
        let [message_id, decision, subject, text, reviewer, note] =
            places.map(|place| place.and_then(|place| record.fields.get(place)).map_or("", String::as_str));
        let message_id = message_id.trim();
        if decision.trim().is_empty() {
            continue;
        }
        let verdict = Verdict::parse(decision).ok_or_else(|| {
            let error = StageError::data(format!("`{}` is not a decision", decision.trim()));
            at(error.with_help("write `approve`, `reject` or `edit`, or nothing"))
        })?;
        if message_id.is_empty() {
            return Err(at(StageError::data("the decision is about no message: its `message_id` is empty")));
        }
        if let Some(before) = lines.insert(message_id.to_owned(), record.line) {
            return Err(at(StageError::data(format!("the message `{message_id}` is decided on line {before}, too"))
                .with_help("keep one of the two rows")));
        }
        let changed = |text: &str| Some(text.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty());
        decisions.push(Decision {
            message_id: message_id.to_owned(),
            verdict,
            subject: changed(subject),
            text: changed(text),
            reviewer: reviewer.trim().to_owned(),
            note: note.trim().to_owned(),
            line: record.line,
        });
    }
    Ok(decisions)
}

/// Holds a decision against its message: an edit has to change something, and other decisions must not.
///
/// # Errors
/// What does not fit, without its place.
pub fn fits(decision: &Decision, message: &Message) -> Result<(), StageError> {
    let is_other = |new: &Option<String>, old: Option<&str>| {
        new.as_deref().is_some_and(|new| new.trim() != old.unwrap_or_default().trim())
    };
    let subject = is_other(&decision.subject, message.subject.as_deref());
    let text = is_other(&decision.text, Some(&message.text));
    match decision.verdict {
        Verdict::Edit if decision.text.is_none() && decision.subject.is_none() => {
            Err(StageError::data("the decision is `edit`, but there is neither a text nor a subject")
                .with_help("write the new text into the column `text`"))
        }
        Verdict::Approve if subject || text => {
            let what = if text { "text" } else { "subject" };
            Err(StageError::data(format!("the decision is `approve`, but the {what} is not that of the message"))
                .with_help("write `edit` to approve it with this change"))
        }
        _ => Ok(()),
    }
}

/// The file of these decisions, sorted by message.
pub fn write(decisions: &[Decision]) -> String {
    let mut sorted: Vec<&Decision> = decisions.iter().collect();
    sorted.sort_by(|a, b| a.message_id.cmp(&b.message_id));
    let mut out = csv::line(COLUMNS);
    for Decision { message_id, verdict, subject, text, reviewer, note, line: _ } in sorted {
        let edit = |text: &Option<String>| match verdict {
            Verdict::Edit => text.clone().unwrap_or_default(),
            Verdict::Approve | Verdict::Reject => String::new(),
        };
        out += &csv::line([message_id, verdict.word(), &edit(subject), &edit(text), reviewer, note]);
    }
    out
}

/// The file to be filled in: a row for each of these messages, with an empty column `decision`.
pub fn form<'a>(messages: impl IntoIterator<Item = &'a Message>) -> String {
    let mut out = csv::line(["message_id", "user", "decision", "subject", "text", "reviewer", "note"]);
    for Message { id, user, subject, text } in messages {
        out += &csv::line([id, user, "", subject.as_deref().unwrap_or_default(), text, "", ""]);
    }
    out
}

/// Decisions with newer ones on top, and how many were replaced.
pub fn merge(old: Vec<Decision>, new: Vec<Decision>) -> (Vec<Decision>, usize) {
    let mut all: BTreeMap<String, Decision> =
        old.into_iter().map(|decision| (decision.message_id.clone(), decision)).collect();
    let replaced = new.into_iter().filter(|new| all.insert(new.message_id.clone(), new.clone()).is_some()).count();
    (all.into_values().collect(), replaced)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn error(text: &str) -> String {
        let error = read("d.csv", text.as_bytes()).unwrap_err();
        format!("{error}; {}", error.help.as_deref().unwrap_or_default())
    }

    #[test]
    fn rows_are_decisions_or_errors_with_their_line() {
        let found =
            read("d.csv", b"message_id,user,decision,text,note\na,1,Approve,,\nb,2,,x,\nc,3,edit,\"Hi,\nyou\",why\n");
        let found = found.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].verdict, found[0].line), (Verdict::Approve, 2));
        assert_eq!((found[1].text.as_deref(), found[1].note.as_str()), (Some("Hi,\nyou"), "why"));
        assert_eq!(read("d.csv", b"").unwrap(), []);
        assert_eq!(
            error("message_id,decision\na,approve\n\nb,maybe\n"),
            "d.csv:4: `maybe` is not a decision; write `approve`, `reject` or `edit`, or nothing"
        );
        assert_eq!(
            error("message_id,decision\na,approve\na,reject\n"),
            "d.csv:3: the message `a` is decided on line 2, too; keep one of the two rows"
        );
        assert_eq!(error("message_id,decision\na\n"), "d.csv:2: the row has 1 fields where the header has 2; ");
        assert_eq!(error("message,decision\n"), "d.csv:1: there is no column `message_id`; is it `message`?");
        assert_eq!(
            error("message_id,decision\n,approve\n"),
            "d.csv:2: the decision is about no message: its `message_id` is empty; "
        );
        assert_eq!(error("message_id,decision\n\"a"), "d.csv:2: a field in quotes begins here and does not end; ");
        let error = read("d.csv", b"message_id,decision\n\xff").unwrap_err();
        assert_eq!(error.to_string(), "d.csv:2: the file is not UTF-8 here");
    }

    #[test]
    fn decisions_must_fit_their_message() {
        let message = Message { id: "a".into(), user: "1".into(), subject: None, text: "Hi, you".into() };
        let check = |decision: &str, text: &str| {
            let file = format!("message_id,decision,text\na,{decision},\"{text}\"\n");
            fits(&read("d.csv", file.as_bytes()).unwrap()[0], &message).map_err(|error| error.message)
        };
        assert_eq!(check("approve", "Hi, you"), Ok(()));
        assert_eq!(check("approve", ""), Ok(()));
        assert_eq!(check("reject", "anything"), Ok(()));
        assert_eq!(check("edit", "Hello, you"), Ok(()));
        assert_eq!(
            check("approve", "Hello, you").unwrap_err(),
            "the decision is `approve`, but the text is not that of the message"
        );
        assert_eq!(
            check("edit", " ").unwrap_err(),
            "the decision is `edit`, but there is neither a text nor a subject"
        );
    }

    #[test]
    fn newer_decisions_replace_older_ones_and_files_are_read_back() {
        let old = read("d.csv", b"message_id,decision,text\nb,approve,\na,edit,\"x, y\"\n").unwrap();
        let new = read("d.csv", b"message_id,decision\nb,reject\nc,approve\n").unwrap();
        let (all, replaced) = merge(old, new);
        assert_eq!(replaced, 1);
        let file = write(&all);
        assert_eq!(
            file,
            "message_id,decision,subject,text,reviewer,note\na,edit,,\"x, y\",,\nb,reject,,,,\nc,approve,,,,\n"
        );
        assert_eq!(write(&read("d.csv", file.as_bytes()).unwrap()), file);
    }
}
