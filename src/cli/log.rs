//! `goldwire log`: what is done with the event log as a whole.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{CliError, ConfigArg, print};
use crate::progress::Progress;
use crate::runtime::copy::{Copied, Copy};
use crate::time::SystemClock;

/// Move the event log.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  goldwire log copy --config goldwire.yaml")]
pub(super) struct LogArgs {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take the journal and the state in `data_dir` over to the Kafka of `log.kafka`
    ///
    /// Stop `goldwire run`, add `log.kafka` to the configuration with as many partitions as the
    /// journal has, and run this once. Then start goldwire with the same `data_dir`, and further
    /// instances with empty ones. Records, positions, what each sink has of every subject and dead
    /// letters are copied; the inbox stays in `data_dir`, and is drained from there.
    Copy,
}

pub(super) async fn run(args: LogArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let Verb::Copy = args.verb;
    let config = args.config.load()?;
    let unavailable = |error| CliError::Unavailable(format!("{error}"));
    let copy = Copy::open(&config, Arc::new(SystemClock)).await;
    let copy = copy.map_err(unavailable)?;
    let progress = Progress::new();
    let show = |copied: Copied| {
        let Copied {
            records,
            keys,
            letters,
        } = copied;
        progress.show(&format!(
            "{records} records, {keys} keys, {letters} dead letters"
        ));
    };
    let copied = copy.run(&show).await;
    progress.clear();
    let Copied {
        records,
        keys,
        letters,
    } = copied.map_err(unavailable)?;
    let text = format!(
        "{records} records, {keys} keys of the sinks' state and {letters} dead letters are in Kafka.\n\
         data_dir belongs to the Kafka log now; its folder `log` is not used any more.\n"
    );
    print(out, text)?;
    Ok(ExitCode::SUCCESS)
}
