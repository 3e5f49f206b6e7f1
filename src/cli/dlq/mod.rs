//! `goldwire dlq`: what could not be delivered, and what to do with it.
//!
//! The data directory is opened if it is free; while `goldwire run` has it, its admin listener is
//! asked instead. Both ways do the same.

mod desk;
mod filter;
mod show;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::error::USAGE;
use super::{CliError, ConfigArg, print, print_json};
use crate::dead_letter::{Filter, INGEST, LetterName, Report, Work};
use crate::progress::Progress;
use crate::time::{Clock as _, SystemClock};

use desk::Desk;
pub(super) use filter::time;

use filter::FilterArgs;

/// Letters of one page of a list.
const PAGE: usize = 500;

/// List, show, redrive and discard dead letters.
///
/// Works on the data directory if no process has it open, which needs no secret; else asks the
/// process that has, at `admin.address`, with `admin.token` if there is one.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  goldwire dlq list --sink crm --reason rejected\n  \
    goldwire dlq show crm/0f8a…:0\n  goldwire dlq redrive --sink crm --dry-run\n  \
    goldwire dlq redrive --all\n  goldwire dlq discard crm/0f8a…:0\n\n\
    A redriven record passes the same version guard as any other: an old one overwrites nothing.\n\
    A letter that is named and is not open, or has to stay, ends the command with 64."
)]
pub(super) struct DlqArgs {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List open letters
    #[command(after_help = "Examples:\n  goldwire dlq list\n  \
        goldwire dlq list --sink crm --reason rejected --from 2h")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// So many at most
        #[arg(long, default_value_t = 100, value_name = "N")]
        max: usize,
        /// Those after this letter: SINK/ID:ROUND, as the last line of a list says
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
    /// Show one letter, without its record
    #[command(after_help = "Examples:\n  goldwire dlq show crm/0f8a…:0\n  \
        goldwire dlq show crm/0f8a…:0 --original > record")]
    Show {
        /// SINK/ID:ROUND, as `list` prints it
        name: String,
        /// Print what the source sent instead: the event, as JSON; it may hold personal data
        #[arg(long, conflicts_with = "original")]
        payload: bool,
        /// Print the kept bytes instead: a protobuf `EventRecord` with the payload in it
        #[arg(long)]
        original: bool,
    },
    /// Send letters through the system again
    #[command(
        after_help = "Examples:\n  goldwire dlq redrive --sink crm --dry-run\n  \
        goldwire dlq redrive --sink crm --max 100\n  goldwire dlq redrive --all"
    )]
    Redrive(WorkArgs),
    /// Close letters without another try
    #[command(after_help = "Examples:\n  goldwire dlq discard crm/0f8a…:0\n  \
        goldwire dlq discard --sink old --dry-run")]
    Discard(WorkArgs),
}

#[derive(Debug, Args)]
struct WorkArgs {
    /// These letters: SINK/ID:ROUND, as `list` prints them
    names: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Every letter
    #[arg(long)]
    all: bool,
    /// Change nothing, and report what would be done
    #[arg(long)]
    dry_run: bool,
    /// So many letters at most
    #[arg(long, value_name = "N")]
    max: Option<u64>,
}

impl WorkArgs {
    fn work(self) -> Result<Work, CliError> {
        let mut filter = self.filter.read(SystemClock.now())?;
        for name in &self.names {
            name.parse::<LetterName>().map_err(CliError::Usage)?;
        }
        filter.names = self.names;
        if filter.is_empty() != self.all {
            let why = "say which letters: names, a filter such as --sink, or --all by itself";
            return Err(CliError::Usage(why.to_owned()));
        }
        if self.all {
            // Never quite empty, so that the other side sees that everything is meant.
            filter.from = Some(0);
        }
        Ok(Work {
            filter,
            dry_run: self.dry_run,
            max: self.max,
            began: None,
        })
    }
}

pub(super) async fn run(args: DlqArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let DlqArgs { verb, config, json } = args;
    match verb {
        Verb::List { filter, max, after } => {
            let filter = filter.read(SystemClock.now())?;
            let desk = desk(&config, &filter).await?;
            list(&desk, &filter, (after, max), json, out).await
        }
        Verb::Show {
            name,
            payload,
            original,
        } => {
            let name: LetterName = name.parse().map_err(CliError::Usage)?;
            let desk = Desk::open(&config, &config.load_loosely()?).await?;
            if payload {
                let payload = show::payload(&name, desk.original(&name).await?)?;
                return print(out, &payload).map(|()| ExitCode::SUCCESS);
            }
            if original {
                return print(out, &desk.original(&name).await?).map(|()| ExitCode::SUCCESS);
            }
            answer(out, json, &desk.show(&name).await?, show::letter)
        }
        Verb::Redrive(args) => {
            let work = args.work()?;
            let desk = desk(&config, &work.filter).await?;
            let progress = Progress::new();
            let most = desk.open_letters().await.unwrap_or_default();
            let show = |done: u64| progress.show(&format!("{done} of at most {most} letters"));
            let report = desk.redrive(&work, &show).await?;
            progress.clear();
            let verb = if work.dry_run {
                "would be redriven"
            } else {
                "redriven"
            };
            answer(out, json, &report, |report| show::report(report, verb))?;
            Ok(ended(&work, &report))
        }
        Verb::Discard(args) => {
            let work = args.work()?;
            let desk = desk(&config, &work.filter).await?;
            let progress = Progress::new();
            let most = desk.open_letters().await.unwrap_or_default();
            let show = |done: u64| progress.show(&format!("{done} of at most {most} letters"));
            let report = desk.discard(&work, &show).await?;
            progress.clear();
            let verb = if work.dry_run {
                "would be discarded"
            } else {
                "discarded"
            };
            answer(out, json, &report, |report| show::report(report, verb))?;
            Ok(ended(&work, &report))
        }
    }
}

/// The desk, unless `filter` names a sink that there is not and that left no letters: mistyped, it
/// would look as if all were well.
async fn desk(config: &ConfigArg, filter: &Filter) -> Result<Desk, CliError> {
    let loaded = config.load_loosely()?;
    let desk = Desk::open(config, &loaded).await?;
    let Some(sink) = filter.sink.as_deref() else {
        return Ok(desk);
    };
    let mut known: BTreeSet<String> = loaded.config.sinks.into_keys().collect();
    known.insert(INGEST.to_owned());
    if known.contains(sink) || desk.depth().await?.contains_key(sink) {
        return Ok(desk);
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(CliError::Usage(format!(
        "--sink {sink:?}: there is no such sink, and it has no letters; known: {known}"
    )))
}

/// Prints letters by pages, so that neither side holds them all; as JSON, a document a page.
async fn list(
    desk: &Desk,
    filter: &Filter,
    (mut after, max): (Option<String>, usize),
    json: bool,
    out: &mut impl Write,
) -> Result<ExitCode, CliError> {
    let mut left = max;
    loop {
        let listed = desk.list(filter, after.as_deref(), left.min(PAGE)).await?;
        left = left.saturating_sub(listed.letters.len());
        let last = left == 0 || listed.next.is_none();
        if json {
            print_json(out, &listed)?;
        } else {
            print(out, show::list(&listed, last))?;
        }
        if last {
            return Ok(ExitCode::SUCCESS);
        }
        after = listed.next;
    }
}

/// A letter that was named and stays is for a person to correct.
fn ended(work: &Work, report: &Report) -> ExitCode {
    if work.filter.names.is_empty() || report.skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(USAGE)
    }
}

fn answer<T: Serialize>(
    out: &mut impl Write,
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<ExitCode, CliError> {
    if json {
        print_json(out, value)?;
    } else {
        print(out, text(value))?;
    }
    Ok(ExitCode::SUCCESS)
}
