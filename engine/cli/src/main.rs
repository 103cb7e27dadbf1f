//! The `stagewright` command.

#[macro_use]
mod output;

mod args;
mod commands;
mod compare;
mod failure;
mod load;
mod log;
mod plugins;
mod progress;
mod registry;
mod report;
mod snapshot;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Worker) {
        return stagewright_host::serve();
    }
    log::start(cli.verbose);
    let json = cli.command.wants_json();
    let result = match cli.command {
        Command::Run(args) => commands::run::run(&args, &cli.global),
        Command::Plan(args) => commands::plan::run(&args, &cli.global),
        Command::Explain(args) => commands::explain::run(&args, &cli.global),
        Command::Graph(args) => commands::graph::run(&args, &cli.global),
        Command::Validate(args) => commands::validate::run(&args),
        Command::Schema(args) => commands::schema::run(&args),
        Command::Stages(args) => commands::stages::run(&args),
        Command::Get(args) => commands::get::run(&args, &cli.global),
        Command::Runs(args) => commands::runs::run(&args, &cli.global),
        Command::Compare(args) => commands::compare::run(&args, &cli.global),
        Command::Review(args) => commands::review::run(&args, &cli.global),
        Command::Store(args) => commands::store::run(&args, &cli.global),
        Command::Plugin(args) => commands::plugin::run(&args),
        Command::Init(args) => commands::init::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Worker => Ok(ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
