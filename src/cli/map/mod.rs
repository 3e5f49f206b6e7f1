//! `goldwire map`: what each sink would do with an event, without doing it.
//!
//! Guarantee: nothing is connected, opened or written, and no secret is needed. Decoding, filters,
//! fence and mapping are those of `goldwire run`, for a subject that no sink knows yet.

mod input;
mod rehearse;
mod report;

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;

use super::{CliError, ConfigArg, print, print_json};
use rehearse::Stage;

/// Print what each sink would do with an event, and touch nothing.
///
/// Decodes it, applies filters and fence as if nothing were known of its subject, and prints every
/// record, row or line with where each value comes from. Connects to nothing and needs no secret.
/// Ends with 1 if something would be a dead letter.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  goldwire map --event event.json\n  \
    goldwire map --event event.json --sink crm --json\n  \
    goldwire dlq show ingest/0f8a…:0 --payload | goldwire map --event - --header tenantId=acme\n\n\
    The file holds one event as it was received, one a line, or {\"headers\": {…}, \"body\": {…}}: \
    Reltio tells tenantId, eventType, sourceObjectUri, objectVersion and commitTime in headers.")]
pub(super) struct MapArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The file with the event; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Only what this sink would do
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// The source that receives it: its filters, `completeness` and `max_body` count. Without this
    /// the first one of the configuration
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A header that it comes with, beside those in the file; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// As JSON: one document, with every value in full
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &MapArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let loaded = args.config.load_loosely()?;
    // Events of other tenants are refused.
    let needed = loaded.need("tenant");
    needed.map_err(|error| args.config.wrong(error))?;
    let headers = args.headers.iter().map(|text| header(text));
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    let stage = Stage::new(&loaded.config, args.source.as_deref(), args.sink.as_deref())?;
    let file = read(&args.event)?;
    let events = input::events(&file).into_iter().map(|mut event| {
        event.headers.extend(headers.iter().cloned());
        stage.play(event)
    });
    let events: Vec<_> = events.collect();
    if args.json {
        print_json(out, &events)?;
    } else {
        print(out, report::text(&events))?;
    }
    if events.iter().any(report::Event::fails) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn header(text: &str) -> Result<(String, String), CliError> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        CliError::Usage(format!(
            "--header {text:?}: write NAME=VALUE, such as tenantId=acme"
        ))
    })?;
    Ok((name.trim().to_ascii_lowercase(), value.to_owned()))
}

fn read(path: &Path) -> Result<Bytes, CliError> {
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map(Bytes::from).map_err(|error| {
        CliError::Usage(format!(
            "--event {}: {error}; name a file, or - for the standard input",
            path.display()
        ))
    })
}
