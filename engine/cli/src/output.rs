//! Standard output and standard error. `print!`, `println!` and `eprintln!` of this program take the place of the standard
//! library's, which panic when nobody reads what they print, as in `stagewright schema | head -1`.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use crate::failure::ENVIRONMENT;

/// Prints to standard output.
macro_rules! print {
    ($($text:tt)*) => { $crate::output::out(format_args!($($text)*)) };
}

/// Prints to standard output, and ends the line.
macro_rules! println {
    () => { $crate::output::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::out_line(format_args!($($text)*)) };
}

/// Prints to standard error, and ends the line. What nobody reads is no reason to stop.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::error_line(format_args!($($text)*)) };
}

/// Prints to standard output.
pub(crate) fn out(text: fmt::Arguments<'_>) {
    written(io::stdout().lock().write_fmt(text));
}

/// Prints to standard output, and ends the line.
pub(crate) fn out_line(text: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    written(stdout.write_fmt(text).and_then(|()| stdout.write_all(b"\n")));
}

/// Prints to standard error, and ends the line.
pub(crate) fn error_line(text: fmt::Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_fmt(text).and_then(|()| stderr.write_all(b"\n"));
}

/// Goes on only if standard output could be written. Where its reader is gone, the program ends as other programs do
/// then, quietly and by SIGPIPE.
pub(crate) fn written(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => stagewright_host::end_by_sigpipe(),
        Err(error) => {
            eprintln!("error: standard output cannot be written: {error}");
            std::process::exit(i32::from(ENVIRONMENT));
        }
    }
}
