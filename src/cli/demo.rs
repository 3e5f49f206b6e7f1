//! `goldwire demo`: the whole system against faithful servers of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::CliError;

/// Show it at work: a tenant, a CRM and a warehouse in this process, and a check of what they hold.
///
/// Needs no configuration and no network. Ends with 0 if every sink holds what the tenant says,
/// with 1 if not.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire demo\n  goldwire demo --events 20000 --rate 2000\n  \
    goldwire demo --sabotage lose      see that the check finds a lost write"
)]
pub struct DemoArgs {
    /// How many events happen
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub events: u64,
    /// How many a second
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub rate: u32,
    /// What happens, exactly: the same seed is the same history
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Keep the admin listener up there after the end, until Ctrl-C
    #[arg(long, value_name = "ADDRESS")]
    pub serve: Option<SocketAddr>,
    /// Work in this directory and leave it there, instead of in one that goes away
    #[arg(long, value_name = "DIRECTORY")]
    pub keep: Option<PathBuf>,
    /// Break a guarantee on purpose, to see that the check finds it
    #[arg(long, value_enum)]
    pub sabotage: Option<Sabotage>,
}

/// Which guarantee is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// Says that a write succeeded which was never made
    Lose,
    /// Makes a write twice
    Double,
    /// Writes an older version over a newer one
    Regress,
}

/// Runs it.
#[expect(clippy::unused_async, reason = "until it is built")]
pub(super) async fn run(_args: DemoArgs) -> Result<ExitCode, CliError> {
    Err(CliError::Internal(
        "`goldwire demo` is not built yet".to_owned(),
    ))
}
