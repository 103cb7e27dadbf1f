//! Logs for whoever looks into what the program does; a person at work reads the progress instead.

use std::io;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: warnings, and more with each `-v`.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => {
            if std::env::var_os("STAGEWRIGHT_LOG").is_none() {
                return; // Building a filter takes longer than a small run.
            }
            "warn"
        }
        1 => "stagewright=info,stagewright_runtime=info,stagewright_store=info",
        2 => "stagewright=debug,stagewright_runtime=debug,stagewright_store=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("STAGEWRIGHT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A second start is impossible: this is called once, first thing.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).without_time();
    // Where standard error cannot be written, there is nowhere to say so.
    let _ = log.log_internal_errors(false).try_init();
}
