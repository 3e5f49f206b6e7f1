//! `goldwire replay`: delivers what the event log holds once more.
//!
//! Guarantee: nothing is changed before a person, or `--yes`, agreed to what was printed.

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::dlq::time;
use super::{CliError, ConfigArg, print};
use crate::config::Loose;
use crate::progress::Progress;
use crate::runtime::replay::{Found, Replay, Wanted};
use crate::runtime::{Files, StartError};
use crate::time::{Clock as _, SystemClock};
use crate::topology::Config;

/// Deliver what the event log holds once more.
///
/// For a target that was set back to an earlier state, or that lost something. Without `--rewind`
/// each entity that changed since then is asked once more, and its newest state asserted: for a CRM,
/// and wherever only the newest state counts. With it the sink forgets what it has of them, and all
/// of their records since then are delivered in their order: for a warehouse, whose history has every
/// change. Stop `goldwire run` first, with the Kafka log all instances of the sink.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  goldwire replay --sink crm --from 2h\n  \
    goldwire replay --sink warehouse --from 2026-03-01T02:00:00Z --rewind\n  \
    goldwire replay --sink crm --from 1d --subject entities/1Ks8W\n\n\
    The log holds what every sink has passed for `log.keep`; what is older is gone from it.\n\
    Choose a time before the target's copy was made: what was received then may have been on its way.")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// To this sink
    #[arg(long)]
    sink: String,
    /// What was received since: `2026-03-01T00:00:00Z`, or `2h` for two hours ago
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Only this entity or relation, by its URI: `entities/1Ks8W`
    #[arg(long, value_name = "URI", conflicts_with = "type")]
    subject: Option<String>,
    /// Only entities or relations of this type: `Individual`
    #[arg(long)]
    r#type: Option<String>,
    /// Forget what the sink has of them, and deliver every record since then
    #[arg(long)]
    rewind: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: ReplayArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let loaded = args.config.load_loosely()?;
    let wanted = wanted(&args, &loaded.config)?;
    let replay = open(&args.config, &loaded, &args.sink).await?;
    let progress = Progress::new();
    let read = |records: u64| progress.show(&format!("{records} records looked at"));
    let found = replay
        .look(&wanted, &read)
        .await
        .map_err(|error| unavailable(&error))?;
    progress.clear();
    print(out, plan(&args, &wanted, &found))?;
    let subjects: usize = found.iter().map(|of| of.subjects.len()).sum();
    if subjects == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !agreed(&args.sink)? {
        print(out, "Nothing was changed.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = |done: u64| progress.show(&format!("{done} of {subjects} entities and relations"));
    let done = if args.rewind {
        replay.rewind(&wanted, &found, &shown).await
    } else {
        replay.ask(&wanted, &found, &shown).await
    };
    progress.clear();
    done.map_err(|error| unavailable(&error))?;
    print(
        out,
        "Done. They are delivered when `goldwire run` goes on.\n",
    )?;
    Ok(ExitCode::SUCCESS)
}

fn wanted(args: &ReplayArgs, config: &Config) -> Result<Wanted, CliError> {
    if !config.sinks.contains_key(&args.sink) {
        let known = config.sinks.keys().cloned().collect::<Vec<_>>().join(", ");
        let why = format!(
            "--sink {:?}: there is no such sink; known: {known}",
            args.sink
        );
        return Err(CliError::Usage(why));
    }
    Ok(Wanted {
        sink: args.sink.clone(),
        from: time("--from", &args.from, SystemClock.now())?,
        subject: args.subject.clone(),
        object_type: args.r#type.clone(),
    })
}

/// Opens the log and what is kept of the sink.
async fn open(file: &ConfigArg, loaded: &Loose<Config>, sink: &str) -> Result<Replay, CliError> {
    for path in ["data_dir", "store", "log", "inbox"] {
        loaded.need(path).map_err(|error| file.wrong(error))?;
    }
    let config = &loaded.config;
    if !Files::are_in(&config.data_dir) {
        let dir = config.data_dir.display();
        return Err(CliError::Unavailable(format!(
            "data_dir {dir}: nothing was ever delivered from here; correct the path"
        )));
    }
    let opened = Replay::open(config, sink, Arc::new(SystemClock)).await;
    opened.map_err(|error| {
        CliError::Unavailable(format!("{error}; stop `goldwire run` while this runs"))
    })
}

/// What will be touched.
fn plan(args: &ReplayArgs, wanted: &Wanted, found: &[Found]) -> String {
    let since = jiff::Timestamp::from_millisecond(wanted.from);
    let since = since.map_or_else(|_| args.from.clone(), |at| at.to_string());
    let records: u64 = found.iter().map(|of| of.records).sum();
    let subjects: usize = found.iter().map(|of| of.subjects.len()).sum();
    let mut lines = vec![format!(
        "Sink {}: {records} records since {since}, about {subjects} entities and relations.",
        args.sink,
    )];
    let gone = found.iter().filter_map(|of| of.oldest);
    if let Some(oldest) = gone.max().filter(|oldest| *oldest > wanted.from) {
        let oldest = jiff::Timestamp::from_millisecond(oldest);
        let oldest = oldest.map_or_else(|_| "then".to_owned(), |at| at.to_string());
        lines.push(format!(
            "The log holds nothing from before {oldest}: what changed earlier is not delivered again."
        ));
    }
    if subjects > 0 && args.rewind {
        let partitions = found.iter().enumerate();
        lines.extend(partitions.filter_map(|(partition, of)| {
            let (first, position, subjects) = (of.first?, of.position, of.subjects.len());
            Some(format!(
                "  partition {partition}: from {position} back to {first}, {subjects} forgotten"
            ))
        }));
    } else if subjects > 0 {
        lines
            .push("Each is asked once more, and its newest state asserted at the sink.".to_owned());
    }
    lines.join("\n") + "\n"
}

/// Asks whoever is there.
fn agreed(sink: &str) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        let why = "there is no terminal to confirm on; run it in a terminal, or with --yes";
        return Err(CliError::Usage(why.to_owned()));
    }
    // There is nowhere to ask if the standard error is closed: then no one agrees.
    write!(io::stderr(), "Type the sink's name to go on: ").ok();
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| CliError::Unavailable(format!("the answer cannot be read: {error}")))?;
    Ok(line.trim() == sink)
}

fn unavailable(error: &StartError) -> CliError {
    CliError::Unavailable(error.to_string())
}
