//! `goldwire sink`: hold a sink of the running process, and let it go on.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::StatusCode;

use super::{CliError, ConfigArg, print, running};

/// How long the running process may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause a sink of the running process, and let it go on.
///
/// A paused sink keeps its position; what comes in waits in the log, until that is full, and then
/// its `on_full` decides. It stays paused through restarts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  goldwire sink pause crm\n  goldwire sink resume crm")]
pub(super) struct SinkArgs {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Finish what is being sent, and send nothing more
    #[command(after_help = "Examples:\n  goldwire sink pause crm")]
    Pause {
        /// The sink
        name: String,
    },
    /// Go on; one that is halted or cannot be reached is tried at once
    #[command(after_help = "Examples:\n  goldwire sink resume crm")]
    Resume {
        /// The sink
        name: String,
    },
}

pub(super) async fn run(args: SinkArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let (name, verb) = match &args.verb {
        Verb::Pause { name } => (name, "pause"),
        Verb::Resume { name } => (name, "resume"),
    };
    let config = args.config.load()?;
    if !config.sinks.contains_key(name) {
        let known: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
        let known = known.join(", ");
        return Err(CliError::Usage(format!(
            "{name:?}: there is no such sink; known: {known}"
        )));
    }
    let (client, base) = running::client(&config.admin).map_err(CliError::Usage)?;
    let client = client.timeout(PATIENCE).build();
    let client = client.map_err(|_| CliError::Internal("no HTTP client can be made".to_owned()))?;
    let request = client.post(format!("{base}/sinks/{name}/{verb}"));
    let request = match &config.admin.token {
        Some(token) => request.bearer_auth(token.reveal()),
        None => request,
    };
    let address = config.admin.address;
    let gone = |_| {
        CliError::Unavailable(format!(
            "admin.address {address}: no answer; is `goldwire run` up?"
        ))
    };
    let answer = request.send().await.map_err(gone)?;
    let code = answer.status();
    let text = answer.text().await.map_err(gone)?;
    if code == StatusCode::OK {
        return print(out, text).map(|()| ExitCode::SUCCESS);
    }
    Err(CliError::Unavailable(text.trim_end().to_owned()))
}
