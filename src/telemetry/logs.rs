//! Log lines: structured, on the standard error, without personal data (G10).

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
/// `info`, `warn,goldwire::engine=debug`; `info` without it. Call it once.
///
/// # Errors
/// If the filter cannot be read, or log lines go somewhere already.
pub fn init_logs(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter.unwrap_or("info")).map_err(|error| {
        format!("GOLDWIRE_LOG: {error}; write for example info,goldwire::engine=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(std::io::stderr().is_terminal());
    let told = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(is_harmless));
    let set = match format {
        LogFormat::Text => told.with(lines).try_init(),
        LogFormat::Json => told.with(lines.json().flatten_event(true)).try_init(),
    };
    set.map_err(|error| error.to_string())
}

/// Whether a line holds nothing personal (G10), whatever `GOLDWIRE_LOG` asks for. Ours do not.
/// Libraries write headers and frames below `info`, and sqlx passes on at any level what a
/// PostgreSQL trigger says, which may quote the row.
fn is_harmless(line: &Metadata<'_>) -> bool {
    let of = |name: &str| {
        let rest = line.target().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let ours = of("goldwire") || of("librdkafka");
    ours || (*line.level() <= Level::INFO && !of("sqlx::postgres::notice"))
}
