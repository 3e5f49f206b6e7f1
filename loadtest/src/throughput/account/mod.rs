//! Whether every event is accounted for at a target: nothing lost, nothing invented, nothing old at
//! the end, every byte as it was sent.

mod history;
mod topic;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::LoadArgs;
use super::expected::Expected;
use crate::Failed;

/// Compares a target with the events that were sent.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    load: LoadArgs,
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// A topic, as a compacted one is read: the last record of a key counts.
    Topic {
        /// The broker, `host:port`.
        #[arg(long)]
        bootstrap: String,
        /// The topic.
        #[arg(long)]
        topic: String,
    },
    /// Directories of a `file` sink: every change is a line.
    Files {
        /// The directory.
        dir: PathBuf,
    },
    /// Rows of a warehouse as lines of text, subject, version and commit time with tabs between.
    Rows {
        /// A file with every row of the history.
        #[arg(long)]
        history: PathBuf,
        /// A file with every row of the current table.
        #[arg(long)]
        current: PathBuf,
    },
}

/// Compares, and prints what was counted as JSON; fails if an event is not accounted for.
pub(crate) fn run(args: &AccountArgs) -> Result<(), Failed> {
    let mut expected = Expected::of(&args.load);
    let counted = match &args.target {
        Target::Topic { bootstrap, topic } => topic::read(bootstrap, topic, &mut expected)?,
        Target::Files { dir } => history::read_files(dir, &mut expected)?,
        Target::Rows { history, current } => history::read_rows(history, current, &mut expected)?,
    };
    expected.judge()?;
    writeln!(std::io::stdout(), "{counted}")?;
    Ok(())
}
