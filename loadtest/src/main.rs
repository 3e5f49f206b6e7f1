//! Load generator, oracle and judge for goldwire.
//!
//! Its purpose is the one measurement that no neighbour publishes: deduplicated and acknowledged
//! events a second, end to end, with p50, p99 and resident memory, under a stated crash schedule.
//! It holds an outage (`loadtest outage`), and the parts of `tests/real/run throughput`: a producer,
//! a program to compare with, and a judge. Other figures come from `cargo bench`, see
//! `docs/performance.md`.

mod crm;
mod instance;
mod outage;
mod run;
mod sender;
mod throughput;
mod usage;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// Why a measurement could not be made, or what it found.
type Failed = Box<dyn Error + Send + Sync>;

/// Loads a goldwire of its own, on loopback alone, and judges what it sees.
#[derive(Debug, Parser)]
#[command(name = "loadtest", arg_required_else_help = true)]
enum Workload {
    Run(Box<run::RunArgs>),
    Scenarios(run::ScenariosArgs),
    Compare(run::CompareArgs),
    /// One sink is away while webhooks come as fast as they are answered.
    Outage(outage::OutageArgs),
    /// Writes events of a Reltio tenant to a topic.
    Fill(throughput::FillArgs),
    /// Consumes, drops old versions, produces: the same effect without durability.
    Bare(throughput::BareArgs),
    /// The same by way of a topic between, as goldwire with a log in Kafka does it.
    Hops(throughput::HopsArgs),
    Crm(crm::CrmArgs),
    /// Compares a target with the events that were sent.
    Account(throughput::AccountArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Workload::parse() {
        Workload::Run(args) => run::run(&args).await,
        Workload::Scenarios(args) => passed(run::scenarios(&args)),
        Workload::Compare(args) => passed(run::compare(&args)),
        Workload::Outage(args) => passed(outage::run(&args).await),
        Workload::Fill(args) => passed(throughput::fill(&args)),
        Workload::Bare(args) => passed(throughput::bare(&args)),
        Workload::Hops(args) => passed(throughput::hops(&args)),
        Workload::Crm(args) => passed(crm::run(&args).await),
        Workload::Account(args) => passed(throughput::account(&args)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            // Where stderr is closed no one reads it.
            drop(writeln!(std::io::stderr(), "loadtest: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// What has no verdict of its own passed if it did not fail.
fn passed(done: Result<(), Failed>) -> Result<bool, Failed> {
    done.map(|()| true)
}
