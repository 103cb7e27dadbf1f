use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::{BooleanChunked, Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Source, Stage, StageContext, StageError, Table,
};
use stagewright_frame::{polars_error, to_frame, to_table};

use crate::checks::{Checker, Checks, Draft};
use crate::decisions::{self, Decision, Message, Verdict};
use crate::grammar::counted;

/// Let people decide about messages: what they approve goes on, as it is or edited.
///
/// The decisions are a CSV file with the columns `message_id`, `decision` (`approve`, `reject` or `edit`), `subject`
/// and `text` (after an edit; an empty one stays as it is), `reviewer` and `note`; it may not be there yet.
/// `stagewright review WORKFLOW STAGE` asks for decisions in the terminal and writes them down; `review export` writes a form for a
/// spreadsheet, and `review import` reads it back. The file is part of the stage's key, so that whatever follows is
/// computed again when a decision changes. A decision holds for a message of one user with one text: when the text is
/// written anew, it is pending again. What was edited has to pass the checks of its text; until it does, the message
/// is pending.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The file of decisions.
    #[serde(default = "file")]
    #[schemars(length(min = 1))]
    decisions: String,
    /// Fields that the delivery fills in, as in `generate.messages`.
    #[serde(default)]
    merge_fields: Vec<String>,
    /// What an edited text is checked for. Products are not known here, and not checked.
    #[serde(default)]
    checks: Checks,
}

fn file() -> String {
    "decisions.csv".to_owned()
}

/// Columns that the outputs have besides those of the messages.
const ADDED: [&str; 4] = ["decision", "reviewer", "note", "reasons"];

impl Stage for Review {
    const TYPE: &'static str = "generate.review";
    const EXAMPLE: &'static str = "\
inputs: { messages: messages.table }
with: { decisions: reviews/spring.csv, merge_fields: [first_name] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "messages",
                Kind::Table,
                "One row per message: `message_id`, `text`, perhaps `subject`, and others; the first column is shown \
                 as the user.",
            ),
            Port::output(
                "approved",
                Kind::Table,
                "The messages that may be sent, with the subject and text after an edit, `decision` (approve or edit), \
                 `reviewer` and `note` (null without one).",
            ),
            Port::output(
                "pending",
                Kind::Table,
                "The messages without a decision, and those whose edited text fails a check, with the `reasons` (else \
                 null).",
            ),
            Port::output("rejected", Kind::Table, "The messages that may not be sent, with `reviewer` and `note`."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`messages`, `approved` (edited ones included), `edited`, `rejected`, `pending`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.checks.check()
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new("decisions", self.decisions.clone()).optional()]
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let columns: BTreeSet<String> = inputs.get("messages").cloned().unwrap_or_default();
        ["approved", "pending", "rejected"].into_iter().map(|port| (port.to_owned(), columns.clone())).collect()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("messages")?;
        let messages = decisions::messages(&table)?;
        if let Some(taken) = table.names().find(|name| ADDED.contains(name)) {
            return Err(StageError::data(format!("`{taken}` is another column of the outputs"))
                .with_help("rename the column with `clean.rename`, or leave it out with `clean.select`"));
        }
        let mut decided: BTreeMap<String, (String, Decision)> = BTreeMap::new();
        for file in context.sources("decisions") {
            let bytes = std::fs::read(&file.path)
                .map_err(|error| StageError::environment(format!("cannot read `{}`: {error}", file.name)))?;
            for decision in decisions::read(&file.name, &bytes)? {
                decided.insert(decision.message_id.clone(), (file.name.clone(), decision));
            }
        }
        let checker =
            Checker::new(&self.checks, &self.merge_fields, &[]).map_err(|error| StageError::data(error.to_string()))?;

        let mut rows = Vec::with_capacity(messages.len());
        for message in &messages {
            let found = decided.remove(&message.id);
            if let Some((file, decision)) = &found {
                let at = |error: StageError| error.at(format!("{file}:{}", decision.line));
                decisions::fits(decision, message).map_err(at)?;
            }
            rows.push(Row::of(message, found.map(|(_, decision)| decision), &checker));
        }
        if !decided.is_empty() {
            context.warn(format!(
                "{} about messages that are not among these: passed over",
                counted(decided.len() as u64, "decision")
            ));
        }
        let failing = rows.iter().filter(|row| !row.reasons.is_empty()).count() as u64;
        if failing > 0 {
            context.warn(match failing {
                1 => "1 edited text fails a check and stays pending: see `reasons`".to_owned(),
                many => format!("{many} edited texts fail a check and stay pending: see `reasons`"),
            });
        }
        let frame = to_frame(&table)?;
        let count = |fate: Fate| rows.iter().filter(|row| row.fate == fate).count() as f64;
        let mut metrics = Metrics::new();
        metrics.insert("messages", Some(rows.len() as f64), Goal::Describe)?;
        metrics.insert("approved", Some(count(Fate::Approved)), Goal::Maximize)?;
        let edited = rows.iter().filter(|row| row.fate == Fate::Approved && row.verdict() == Some("edit")).count();
        metrics.insert("edited", Some(edited as f64), Goal::Minimize)?;
        metrics.insert("rejected", Some(count(Fate::Rejected)), Goal::Minimize)?;
        metrics.insert("pending", Some(count(Fate::Pending)), Goal::Describe)?;
        for (port, fate) in [("approved", Fate::Approved), ("pending", Fate::Pending), ("rejected", Fate::Rejected)] {
            let mut out = select(&frame, &rows, fate)?;
            out.mark_personal(table.personal());
            context.put(port, out)?;
        }
        context.put("metrics", metrics)
    }
}

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Approved,
    Pending,
    Rejected,
}

/// A message and what became of it.
struct Row {
    subject: Option<String>,
    text: String,
    decision: Option<Decision>,
    reasons: Vec<String>,
    fate: Fate,
}

impl Row {
    fn of(message: &Message, decision: Option<Decision>, checker: &Checker) -> Self {
        let mut row = Self {
            subject: message.subject.clone(),
            text: message.text.clone(),
            fate: match decision.as_ref().map(|decision| decision.verdict) {
                None => Fate::Pending,
                Some(Verdict::Reject) => Fate::Rejected,
                Some(Verdict::Approve | Verdict::Edit) => Fate::Approved,
            },
            decision,
            reasons: Vec::new(),
        };
        let Some(edit) = row.decision.as_ref().filter(|decision| decision.verdict == Verdict::Edit) else { return row };
        let subject = edit.subject.clone().or_else(|| message.subject.clone());
        let text = edit.text.clone().unwrap_or_else(|| message.text.clone());
        row.reasons = checker.reasons(&Draft { subject: subject.as_deref(), text: &text, ..Draft::default() });
        if row.reasons.is_empty() {
            (row.subject, row.text) = (subject, text);
        } else {
            row.fate = Fate::Pending;
        }
        row
    }

    fn verdict(&self) -> Option<&str> {
        self.decision.as_ref().map(|decision| decision.verdict.word())
    }
}

/// The rows of one fate, with the columns that go with it.
fn select(frame: &DataFrame, rows: &[Row], fate: Fate) -> Result<Table, StageError> {
    let failed = |error| polars_error("sorting the messages", &error);
    let wanted: BooleanChunked = rows.iter().map(|row| Some(row.fate == fate)).collect();
    let mut frame = frame.filter(&wanted).map_err(failed)?;
    let rows: Vec<&Row> = rows.iter().filter(|row| row.fate == fate).collect();
    let texts = |name: &str, of: &dyn Fn(&Row) -> Option<String>| {
        Column::new(name.into(), rows.iter().map(|row| of(row)).collect::<Vec<Option<String>>>())
    };
    let said = |of: fn(&Decision) -> &String| {
        move |row: &Row| row.decision.as_ref().map(of).filter(|text| !text.is_empty()).cloned()
    };
    let mut columns = Vec::new();
    if fate == Fate::Approved {
        columns.push(texts("text", &|row| Some(row.text.clone())));
        if frame.get_column_names().iter().any(|name| name.as_str() == "subject") {
            columns.push(texts("subject", &|row| row.subject.clone()));
        }
        columns.push(texts("decision", &|row| row.verdict().map(str::to_owned)));
    }
    if fate == Fate::Pending {
        columns.push(texts("reasons", &|row| (!row.reasons.is_empty()).then(|| row.reasons.join("; "))));
    } else {
        columns.push(texts("reviewer", &said(|decision| &decision.reviewer)));
        columns.push(texts("note", &said(|decision| &decision.note)));
    }
    for column in columns {
        frame.with_column(column).map_err(failed)?;
    }
    to_table(frame)
}
