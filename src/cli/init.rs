//! `goldwire init`: a commented configuration to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CliError, print};

/// What is written: it passes `goldwire check` when its environment variables are set.
const STARTER: &str = include_str!("init.yaml");

/// Write a commented configuration to begin with.
///
/// It passes `goldwire check` when the environment variables that it names are set. A file that
/// exists is never overwritten.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  goldwire init\n  goldwire init --output - | less")]
pub(super) struct InitArgs {
    /// Where to; `-` is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "goldwire.yaml")]
    output: PathBuf,
}

pub(super) fn run(args: &InitArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    if args.output.as_os_str() == "-" {
        print(out, STARTER)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.output.display();
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.output);
    let mut file = made.map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            CliError::Usage(format!(
                "{path} exists and is left alone; give another --output"
            ))
        } else {
            CliError::Unavailable(format!("{path}: {error}"))
        }
    })?;
    print(&mut file, STARTER)?;
    print(
        out,
        format!("wrote {path}; set the variables it names, then run `goldwire check`\n"),
    )?;
    Ok(ExitCode::SUCCESS)
}
