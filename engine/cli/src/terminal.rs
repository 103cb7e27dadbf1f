//! What the terminal can do.

use std::io::{self, IsTerminal};

/// Whether standard output is a terminal that shows colours.
pub(crate) fn colour_out() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Whether standard error is a terminal that shows colours.
pub(crate) fn colour_err() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// How many columns there are to write in: those of the terminal, or enough for a table where output is piped.
pub(crate) fn width() -> usize {
    if io::stdout().is_terminal() {
        usize::from(console::Term::stdout().size().1).max(40)
    } else {
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(120)
    }
}
