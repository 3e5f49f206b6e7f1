//! Log lines: structured, on the standard error, without personal data (G10).

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to the standard error. `filter` is what `RUST_LOG` would be:
/// `info`, `warn,goldwire::task=debug`; `info` without it. Call it once.
///
/// # Errors
/// If the filter cannot be read, or log lines go somewhere already.
pub fn init_logs(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter.unwrap_or("info")).map_err(|error| {
        format!("GOLDWIRE_LOG: {error}; write for example info,goldwire::task=debug")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let set = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| error.to_string())
}
