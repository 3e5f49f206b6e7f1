//! `goldwire topology`: what flows where.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{CliError, ConfigArg, print, print_json};
use crate::topology::Topology;

/// Print what flows where: sources, logs, sinks, their groups and rules.
///
/// Connects to nothing and needs no secret: a variable that is not set is printed as `${NAME}`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  goldwire topology\n  goldwire topology --json")]
pub(super) struct TopologyArgs {
    /// The configuration.
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TopologyArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let topology = Topology::of(&args.config.load_loosely()?.config);
    if args.json {
        print_json(out, &topology)?;
    } else {
        print(out, topology.describe())?;
    }
    Ok(ExitCode::SUCCESS)
}
