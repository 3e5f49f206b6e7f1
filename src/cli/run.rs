//! `goldwire run`: keeps the sinks in step until it is told to stop.

use std::process::ExitCode;

use clap::Args;

use super::{CliError, ConfigArg};

/// Keep the sinks in step until SIGTERM or SIGINT, then drain and stop.
///
/// Sources stop first, then the inbox is drained, then the sinks. What is not finished within
/// `delivery.drain_timeout` is read again at the next start.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire run\n  goldwire run --config /etc/goldwire.yaml --log-format json"
)]
pub struct RunArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArg,
}

/// Runs it.
#[expect(clippy::unused_async, reason = "until it is built")]
pub(super) async fn run(args: RunArgs) -> Result<ExitCode, CliError> {
    args.config.load()?;
    Err(CliError::Internal(
        "`goldwire run` is not built yet".to_owned(),
    ))
}
