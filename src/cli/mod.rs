//! The command line: one file per verb.
//!
//! Guarantee: a wrong configuration ends with 64 before anything is bound, opened or connected;
//! errors go to the standard error, results to the standard output.

mod check;
#[cfg(feature = "demo")]
mod demo;
mod dlq;
mod error;
mod init;
mod log;
mod map;
mod replay;
mod run;
mod running;
mod schema;
pub mod sign;
mod sink;
mod topology;
mod wiring;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "demo")]
pub use demo::DemoArgs;
pub use error::CliError;
pub use run::RunArgs;

use crate::config::{self, LoadError, Loose};
use crate::dir_lock::make_private_from_now_on;
use crate::telemetry::{self, LogFormat};
use crate::topology::Config;

const CODES: &str = "\
Exit codes:
  0   done
  1   `check --connect`, `check --live`: something is not as it should be; `map`: something
      would be a dead letter
  64  the command line or the configuration is wrong; `dlq`: a letter that was named stays, or
      is not open
  69  something needed is not available: a directory in use, an address taken, a disk full
  70  a mistake in goldwire itself
  75  told to stop a second time: what was in flight is read again at the next start

Environment:
  GOLDWIRE_LOG  which log lines are written: info, warn,goldwire::engine=debug, …;
                info,goldwire::spans=debug adds how long each batch, look-up, write, commit
                and read of Reltio took

Examples:
  goldwire init                      write a starter goldwire.yaml, and say what comes next
  goldwire check                     find every mistake in it
  goldwire map --event event.json    see what each sink would do with an event
  goldwire run                       keep the sinks in step
  goldwire dlq list --sink crm       see what a sink refused";

/// Keeps CRMs and analytics in step with the golden records of a Reltio MDM tenant.
#[derive(Debug, Parser)]
#[command(name = "goldwire", version, after_help = CODES)]
struct Cli {
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    Check(check::CheckArgs),
    Topology(topology::TopologyArgs),
    Dlq(dlq::DlqArgs),
    Sink(sink::SinkArgs),
    Replay(replay::ReplayArgs),
    Log(log::LogArgs),
    Init(init::InitArgs),
    Webhook(wiring::WebhookArgs),
    Schema(schema::SchemaArgs),
    Map(map::MapArgs),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArg {
    /// The configuration file
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "goldwire.yaml",
        global = true
    )]
    pub config: PathBuf,
}

impl ConfigArg {
    /// Loads it.
    ///
    /// # Errors
    /// All of its problems, as [`CliError::Config`].
    pub fn load(&self) -> Result<Config, CliError> {
        load(&self.config)
    }

    /// Loads it for a process that serves: the files that one opens are looked at too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_to_serve(&self) -> Result<Config, CliError> {
        let loaded = crate::topology::load_to_serve(&self.config, &config::environment);
        loaded.map_err(|error| self.wrong(error))
    }

    /// Loads it for a command that connects to nothing: what is not set is asked for when it is
    /// needed.
    ///
    /// # Errors
    /// As [`Self::load`], where no text can stand for what is not set.
    pub fn load_loosely(&self) -> Result<Loose<Config>, CliError> {
        let loaded = crate::topology::load_loosely(&self.config, &config::environment);
        loaded.map_err(|error| self.wrong(error))
    }

    /// Problems of this file.
    fn wrong(&self, error: LoadError) -> CliError {
        CliError::Config(error, self.config.clone())
    }
}

fn load(path: &Path) -> Result<Config, CliError> {
    let loaded = crate::topology::load(path, &config::environment);
    loaded.map_err(|error| CliError::Config(error, path.to_owned()))
}

/// A path as it can be found from anywhere.
fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

/// Runs the program with these arguments, the first of which is its name.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and go to the standard output.
            let code = if error.use_stderr() { error::USAGE } else { 0 };
            return error
                .print()
                .map_or(ExitCode::from(error::INTERNAL), |()| ExitCode::from(code));
        }
    };
    match dispatch(cli).await {
        Ok(code) => code,
        Err(error) => {
            // There is nowhere left to complain if the standard error is closed.
            writeln!(std::io::stderr(), "{error}").ok();
            error.code()
        }
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, CliError> {
    let filter = config::environment("GOLDWIRE_LOG");
    let quiet = match cli.command {
        Command::Run(_) => "info",
        #[cfg(feature = "demo")]
        Command::Demo(_) => "info",
        Command::Check(_)
        | Command::Topology(_)
        | Command::Dlq(_)
        | Command::Sink(_)
        | Command::Replay(_)
        | Command::Log(_)
        | Command::Init(_)
        | Command::Webhook(_)
        | Command::Schema(_)
        | Command::Map(_) => "warn",
    };
    telemetry::init_logs(cli.log_format, Some(filter.as_deref().unwrap_or(quiet)))
        .map_err(CliError::Usage)?;
    if makes_files(&cli.command) {
        make_private_from_now_on();
    }
    let mut out = std::io::stdout();
    match cli.command {
        Command::Run(args) => run::run(args).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args).await,
        Command::Check(args) => check::run(args, &mut out).await,
        Command::Topology(args) => topology::run(&args, &mut out),
        Command::Dlq(args) => dlq::run(args, &mut out).await,
        Command::Sink(args) => sink::run(args, &mut out).await,
        Command::Log(args) => log::run(args, &mut out).await,
        Command::Replay(args) => replay::run(args, &mut out).await,
        Command::Init(args) => init::run(&args, &mut out),
        Command::Webhook(args) => wiring::webhook(&args, &mut out),
        Command::Schema(args) => schema::run(&args, &mut out),
        Command::Map(args) => map::run(&args, &mut out),
    }
}

/// Whether it makes what holds records. What `init` makes is for its user to share.
fn makes_files(command: &Command) -> bool {
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(_) => true,
        Command::Run(_) | Command::Dlq(_) | Command::Replay(_) | Command::Log(_) => true,
        Command::Check(_)
        | Command::Sink(_)
        | Command::Topology(_)
        | Command::Init(_)
        | Command::Map(_)
        | Command::Webhook(_)
        | Command::Schema(_) => false,
    }
}

/// Writes a result.
fn print(out: &mut impl Write, text: impl AsRef<[u8]>) -> Result<(), CliError> {
    out.write_all(text.as_ref())
        .and_then(|()| out.flush())
        .map_err(|error| CliError::Unavailable(format!("the output cannot be written: {error}")))
}

/// Writes a result as indented JSON.
fn print_json(out: &mut impl Write, value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::Internal(format!("no JSON: {error}")))?;
    print(out, format!("{text}\n"))
}
