//! `loadtest run`: a scenario against a system, and a verdict.
//!
//! Guarantee: every event that the system accepted is accounted for at every sink, one by one, and
//! every latency counts from the time at which the event was due.

mod console;
mod dead_letters;
mod ledger;
mod load;
mod machine;
mod objectives;
mod replay;
mod report;
mod run_once;
mod sample;
mod scenario;
mod send;
mod sinks;
mod steps;
mod system;
mod tally;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueHint};

use objectives::Objectives;
use replay::Replay;
use report::Report;
use scenario::Scenario;
use sinks::Plant;
use system::GivenArgs;

use crate::Failed;
use crate::throughput::event::TENANT;

/// Sends what a scenario says, accounts for every event at every sink, and judges.
///
/// Without --bootstrap or --webhook a goldwire of its own is measured, between embedded brokers and
/// a folder. Ends with 0 if every objective was met, with 1 if one was missed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  loadtest run steady\n  loadtest run ramp --seconds 60 --delivered-p99-ms 500 --out report\n  \
    loadtest run steady --bootstrap 127.0.0.1:9092 --topic reltio --sink-topic crm --group my-consumer\n  \
    loadtest run mine.yaml --objectives targets.yaml"
)]
pub(crate) struct RunArgs {
    /// A scenario that `loadtest scenarios` lists, or a file that ends with .yaml
    #[arg(value_hint = ValueHint::FilePath)]
    scenario: String,
    /// How long events are sent, seconds; the scenario's own time without it
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Times the scenario's rate
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    times: f64,
    /// What all load follows from: the same seed is the same load
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Send the captured events of this file, one JSON object a line, in place of a made load
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    replay: Option<PathBuf>,
    /// Times the speed at which they were captured
    #[arg(long, value_name = "FACTOR", requires = "replay", value_parser = factor)]
    replay_speed: Option<f64>,
    /// A YAML file with other objectives; those of the scenario without it
    #[arg(long, value_name = "FILE")]
    objectives: Option<PathBuf>,
    /// Another objective for the latency from the scheduled time to the slowest sink, ms, p99
    #[arg(long, value_name = "MS")]
    delivered_p99_ms: Option<f64>,
    /// Judge only whether every event is accounted for, no speed
    #[arg(long, conflicts_with_all = ["objectives", "delivered_p99_ms"])]
    accounting_only: bool,
    /// Write report.json and report.html into this directory
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// The goldwire to measure; without it the one beside this program, which Cargo builds if it runs
    /// this program
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["bootstrap", "webhook"])]
    goldwire: Option<PathBuf>,
    /// Plant a mistake at the first sink, to see that the judge finds it
    #[arg(long, value_enum)]
    plant: Option<Plant>,
    #[command(flatten)]
    given: GivenArgs,
}

/// Lists the scenarios, or prints one, to change it.
#[derive(Debug, Args)]
pub(crate) struct ScenariosArgs {
    /// One of them: prints its YAML
    name: Option<String>,
}

/// Compares two reports.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// A report.json, or a directory that has one
    before: PathBuf,
    /// Another
    after: PathBuf,
}

/// Runs a scenario, shows what was measured, and tells whether every objective was met.
///
/// # Errors
/// What kept it from being measured.
pub(crate) async fn run(args: &RunArgs) -> Result<bool, Failed> {
    let mut scenario = Scenario::find(&args.scenario)?;
    if let Some(path) = &args.objectives {
        scenario.objectives = Objectives::read(path)?;
    }
    if let Some(bound) = args.delivered_p99_ms {
        scenario.objectives.delivered_p99_ms = Some(bound);
    }
    if args.accounting_only {
        scenario.objectives = Objectives::none();
        scenario.never_stop();
    }
    scenario.adapt(args.seconds, args.times)?;
    let replay = args.replay.as_deref().map(Replay::read).transpose()?;
    if let Some(replay) = &replay {
        replay.fit(&mut scenario, args.seconds, args.replay_speed, args.times)?;
        if !args.given.is_given() {
            replay.check_tenant(TENANT)?;
        }
    }
    if let Some(dir) = &args.out {
        // Found out before the run, not after it.
        fs::create_dir_all(dir).map_err(|error| format!("--out {}: {error}", dir.display()))?;
    }
    let report = run_once::run(&scenario, args, replay).await?;
    writeln!(io::stdout(), "{}", report::summary(&report))?;
    if let Some(dir) = &args.out {
        report::write(&report, dir)?;
        writeln!(
            io::stdout(),
            "written: {0}/report.html, {0}/report.json",
            dir.display()
        )?;
    }
    Ok(report.passed())
}

/// A number above 0.
fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok();
    let factor = factor.filter(|factor| (0.001..=1000.0).contains(factor));
    factor.ok_or_else(|| "give a number from 0.001 to 1000".to_owned())
}

/// Prints the scenarios, or the text of one.
///
/// # Errors
/// If there is none of that name.
pub(crate) fn scenarios(args: &ScenariosArgs) -> Result<(), Failed> {
    let mut out = io::stdout();
    let Some(name) = &args.name else {
        for scenario in Scenario::shipped() {
            let scenario = scenario?;
            writeln!(
                out,
                "{:<12} {:>3} s  {}",
                scenario.name, scenario.seconds, scenario.about
            )?;
        }
        return Ok(());
    };
    // Tells those that there are.
    let text = Scenario::text(name).map_or_else(|| Scenario::find(name).map(|_| ""), Ok)?;
    write!(out, "{text}")?;
    Ok(())
}

/// Prints two reports beside each other.
///
/// # Errors
/// If one cannot be read.
pub(crate) fn compare(args: &CompareArgs) -> Result<(), Failed> {
    let read = |path: &PathBuf| -> Result<Report, Failed> { report::read(path) };
    let told = report::compare(&read(&args.before)?, &read(&args.after)?);
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}
