//! `sfmc-stand-in`: the stand-in by itself, for a person.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use stagewright_sfmc_stand_in::{Options, StandIn};

/// A stand-in for Salesforce Marketing Cloud on this machine
#[derive(Parser)]
struct Args {
    /// The port
    #[arg(long, default_value_t = 8040)]
    port: u16,
    /// Definitions of data extensions: `data_extension.json` of a bundle
    #[arg(value_name = "FILE")]
    definitions: Vec<PathBuf>,
    /// The share of requests that go wrong, from 0 to 1
    #[arg(long, default_value_t = 0.0)]
    trouble: f64,
    /// What goes wrong depends on it
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How long a token holds, in seconds
    #[arg(long, default_value_t = 1079)]
    token_life: u64,
    /// The client id that it knows
    #[arg(long, default_value = "client")]
    client_id: String,
    /// The client secret that it knows
    #[arg(long, default_value = "secret")]
    client_secret: String,
}

fn main() -> ExitCode {
    match serve(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn serve(args: Args) -> Result<(), String> {
    let service = StandIn::start(Options {
        port: args.port,
        client_id: args.client_id,
        client_secret: args.client_secret,
        token_life: Duration::from_secs(args.token_life),
        trouble: args.trouble,
        seed: args.seed,
        ..Options::default()
    })?;
    for file in &args.definitions {
        let said = |error: String| format!("{}: {error}", file.display());
        let text = std::fs::read(file).map_err(|error| said(error.to_string()))?;
        service.define(&serde_json::from_slice(&text).map_err(|error| said(error.to_string()))?).map_err(said)?;
    }
    let url = service.url();
    println!("auth_url and rest_url: {url}\nwhat it has seen:      {url}/stand-in");
    loop {
        std::thread::park();
    }
}
