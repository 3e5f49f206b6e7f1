//! `goldwire check`: every mistake at once, before anything is bound.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CliError, ConfigArg, absolute, print, running, wiring};
use crate::runtime::Files;
use crate::topology::{Config, Topology, counted};

/// The answer to a liveness question is short and local.
const PATIENCE: Duration = Duration::from_secs(3);

/// Find every mistake in the configuration.
///
/// Prints one line a problem to the standard error: path, value (never a secret), remedy. Without
/// one it says which file was read and where everything goes. Nothing is made or changed.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire check\n  goldwire check --connect\n  \
    goldwire check --live         ask the running process; a container's health check"
)]
pub(super) struct CheckArgs {
    /// The configuration.
    #[command(flatten)]
    config: ConfigArg,
    /// Also ask the real systems: Reltio's API; fields, rights and ids of every sink; every topic
    /// and schema registry. What `run` makes by itself, directories and tables, does not have to be
    /// there
    #[arg(long)]
    connect: bool,
    /// Also ask the process that runs with this configuration whether it is alive
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(args: CheckArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let mut problems = Vec::new();
    // A health check is asked every few seconds, and not what this machine's next start would do.
    let config = if args.live && !args.connect {
        let loaded = args.config.load_loosely()?;
        let needed = loaded.need("admin.address");
        needed.map_err(|error| args.config.wrong(error))?;
        loaded.config
    } else {
        let config = args.config.load_to_serve()?;
        let made = wiring::make(&config)?;
        problems.extend(Files::unfit(&config));
        if args.connect {
            problems.extend(made.probe(&config).await?);
        }
        config
    };
    if args.live {
        problems.extend(live(&config).await.err());
    }
    if problems.is_empty() {
        print(out, places(&args.config, &config))?;
        return Ok(ExitCode::SUCCESS);
    }
    let many = counted(problems.len(), "problem");
    let file = absolute(&args.config.config);
    let problems = problems.join("\n");
    print(
        &mut std::io::stderr(),
        format!("{problems}\n{many} with {file}\n"),
    )?;
    Ok(ExitCode::FAILURE)
}

/// What was read, and where everything goes.
fn places(file: &ConfigArg, config: &Config) -> String {
    let sources = counted(config.sources.len(), "source");
    let sinks = counted(config.sinks.len(), "sink");
    let mut text = format!("ok: {sources}, {sinks}\n");
    let mut line = |what: &str, place: &str| {
        // Writing to a string does not fail.
        writeln!(text, "  {what}: {place}").ok();
    };
    line("configuration", &absolute(&file.config));
    let data = absolute(&config.data_dir);
    if config.data_dir.exists() {
        line("data_dir", &data);
    } else {
        line("data_dir", &format!("{data}, which `goldwire run` makes"));
    }
    let topology = Topology::of(config);
    for sink in topology.sinks {
        line(&format!("sink {}", sink.name), &sink.target);
    }
    for refresh in topology.refreshes {
        line(&format!("refresh {}", refresh.name), &refresh.target);
    }
    text
}

/// `GET /livez`, which needs no token.
async fn live(config: &Config) -> Result<(), String> {
    let address = config.admin.address;
    let (client, base) = running::client(&config.admin)?;
    let client = client.timeout(PATIENCE).build();
    let client = client.map_err(|_| "no HTTP client can be made".to_owned())?;
    match client.get(format!("{base}/livez")).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => {
            let parts = answer.text().await.unwrap_or_default();
            Err(format!("admin.address {address}: not alive: {parts}"))
        }
        Err(_) => Err(format!(
            "admin.address {address}: no answer; is `goldwire run` up?"
        )),
    }
}
