//! `goldwire check`: every mistake at once, before anything is bound.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CliError, ConfigArg, print, wiring};
use crate::runtime::Files;
use crate::tls;
use crate::topology::Config;
use crate::topology::counted;

/// The answer to a liveness question is short and local.
const PATIENCE: Duration = Duration::from_secs(3);

/// Find every mistake in the configuration.
///
/// Prints one line a problem to the standard error: path, value (never a secret), remedy.
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
        args.config.load()?
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
        let sources = counted(config.sources.len(), "source");
        let sinks = counted(config.sinks.len(), "sink");
        print(out, format!("ok: {sources}, {sinks}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&mut std::io::stderr(), format!("{}\n", problems.join("\n")))?;
    Ok(ExitCode::FAILURE)
}

/// `GET /livez`, which needs no token.
async fn live(config: &Config) -> Result<(), String> {
    let address = config.admin.address;
    let url = format!("http://{}/livez", super::dlq::reachable(address));
    tls::use_ring();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build();
    let client = client.map_err(|_| "no HTTP client can be made".to_owned())?;
    match client.get(url).send().await {
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
