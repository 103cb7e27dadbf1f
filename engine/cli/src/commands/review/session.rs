//! One message after the other, in the terminal.

use std::fs;
use std::process::{Command, ExitCode};

use console::{Term, style};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Input, Select};
use stagewright_generate::decisions::{Decision, Message, Verdict, merge};

use super::Desk;
use crate::failure::Failure;
use crate::terminal::colour_err;

const CHOICES: [&str; 5] = ["approve", "edit", "reject", "skip", "quit"];

/// Asks for a decision about every pending message. Each is written down before the next message is shown.
pub(super) fn hold(desk: &Desk, reviewer: String) -> Result<ExitCode, Failure> {
    let terminal = Term::stderr();
    let mut decided = desk.decisions()?;
    let pending: Vec<Message> = desk.pending(&decided).into_iter().cloned().collect();
    let theme: &dyn Theme = if colour_err() { &ColorfulTheme::default() } else { &SimpleTheme };
    for (at, message) in pending.iter().enumerate() {
        show(&terminal, message, at + 1, pending.len())?;
        let chosen = Select::with_theme(theme)
            .with_prompt("Decision")
            .items(CHOICES)
            .default(0)
            .interact_on_opt(&terminal)
            .map_err(|error| lost(&error))?;
        let decision = |verdict, text: Option<String>, note: String| Decision {
            message_id: message.id.clone(),
            verdict,
            subject: None,
            text,
            reviewer: reviewer.clone(),
            note,
            line: 0,
        };
        let made = match chosen.and_then(|index| CHOICES.get(index).copied()) {
            Some("approve") => decision(Verdict::Approve, None, String::new()),
            Some("edit") => match edit(&message.text)? {
                Some(text) => decision(Verdict::Edit, Some(text), String::new()),
                None => {
                    say(&terminal, "nothing was changed: the message stays pending")?;
                    continue;
                }
            },
            Some("reject") => {
                let note: String = Input::with_theme(theme)
                    .with_prompt("Why (may be empty)")
                    .allow_empty(true)
                    .interact_text_on(&terminal)
                    .map_err(|error| lost(&error))?;
                decision(Verdict::Reject, None, note)
            }
            Some("skip") => continue,
            // Escape is as good as `quit`.
            _ => break,
        };
        // Somebody else may have decided meanwhile.
        (decided, _) = merge(desk.decisions()?, vec![made]);
        desk.write(&decided)?;
    }
    desk.close(&decided);
    Ok(ExitCode::SUCCESS)
}

fn show(terminal: &Term, message: &Message, at: usize, of: usize) -> Result<(), Failure> {
    let heading = format!("\n── message {at} of {of}, user {} ", message.user);
    say(terminal, &style(heading).for_stderr().bold().to_string())?;
    if let Some(subject) = &message.subject {
        say(terminal, &format!("Subject: {}\n", printable(subject)))?;
    }
    say(terminal, &format!("{}\n", printable(&message.text)))
}

/// The text without control characters, which could do anything to a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Opens the text in the person's editor; nothing when it comes back as it was, or empty.
fn edit(text: &str) -> Result<Option<String>, Failure> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty());
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::environment(format!("{what}: {error}")).with_help("set EDITOR to the command of an editor")
    };
    let file = tempfile::Builder::new().prefix("message-").suffix(".txt").tempfile();
    let file = file.map_err(|error| failed("cannot write the text for the editor", &error))?;
    fs::write(file.path(), text).map_err(|error| failed("cannot write the text for the editor", &error))?;
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program)
        .args(words)
        .arg(file.path())
        .status()
        .map_err(|error| failed(&format!("cannot start the editor `{editor}`"), &error))?;
    if !status.success() {
        return Ok(None);
    }
    let edited = fs::read_to_string(file.path()).map_err(|error| failed("cannot read the text again", &error))?;
    let edited = edited.trim_end().to_owned();
    Ok((!edited.is_empty() && edited != text.trim_end()).then_some(edited))
}

fn say(terminal: &Term, text: &str) -> Result<(), Failure> {
    terminal.write_line(text).map_err(|error| lost(&error))
}

fn lost(error: &dyn std::fmt::Display) -> Failure {
    Failure::environment(format!("the terminal is gone: {error}"))
}
