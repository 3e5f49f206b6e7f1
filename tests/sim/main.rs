//! Deterministic simulation of one instance: inbox, ingest, log, tasks, store, sinks, dead letters
//! and redrive, over simulated disks, broker, Reltio and targets.
//!
//! What runs is [`goldwire::runtime::Instance::assemble`], webhooks included; only what is outside
//! the process is simulated. A seed is a run: time is paused, every await takes its drawn time, and
//! a crash drops the runtime wherever it stands.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a simulation fails loudly"
)]

mod book;
mod broker;
mod crm;
mod disk;
mod fault;
mod feed;
mod judge;
mod plan;
mod reltio;
mod row;
mod run;
mod script;
mod seeds;
mod sink;
mod target;
mod watch;
mod world;
mod writer;

use goldwire::mutation::Mutation;

use self::plan::Plan;

fn seed_of(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how a person asks for one seed or for many"
    )]
    std::env::var(name).ok()?.parse().ok()
}

/// Seeds run by default: they fit into an ordinary test run.
const SEEDS: u64 = 2000;

#[test]
fn every_seed_keeps_the_guarantees() {
    if let Some(seed) = seed_of("GOLDWIRE_SEED") {
        let outcome = run::run(&Plan::of(seed), true);
        println!("{}", outcome.trace.join("\n"));
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:?}",
            outcome.violations
        );
        return;
    }
    let seeds = seed_of("GOLDWIRE_SEEDS").unwrap_or(SEEDS);
    let report = seeds::run_all(seeds, None, || ());
    println!("{} seeds", report.seeds);
    seeds::print_hits(&report.hits);
    for (seed, violation) in &report.failed {
        println!("seed {seed} broke {}: {}", violation.oracle, violation.text);
    }
    if let Some((seed, violation)) = report.failed.into_iter().next() {
        let plan = seeds::reduce(seed, violation.oracle);
        let story = seeds::story(seed, &plan);
        panic!(
            "seed {seed} broke {}: {}\n{story}",
            violation.oracle, violation.text
        );
    }
    for fault in fault::Fault::all() {
        let (_, in_flight) = report.hits.0.get(&fault).copied().unwrap_or_default();
        assert!(
            in_flight > 0,
            "{fault:?} never hit while work was in flight: nothing is proved of it"
        );
    }
}

/// Rules taken out, and the oracle that must miss each: declared before it was tried.
const MUTATIONS: [(Mutation, &str); 22] = [
    (Mutation::PositionBeforeAppend, "G1"),
    (Mutation::AnsweredBeforeAppend, "G1"),
    (Mutation::HighestSeenCommitted, "G2"),
    (Mutation::LetterErrorIgnored, "G2"),
    (Mutation::CoalescedCompletedAlone, "G2"),
    (Mutation::AnyLetterSuperseded, "G2"),
    (Mutation::RegisterBeforeSink, "G3"),
    (Mutation::RedriveUnfenced, "G4"),
    (Mutation::SinceIgnored, "G4"),
    (Mutation::LateWriteIgnored, "G4"),
    (Mutation::DuplicateApplied, "G5"),
    (Mutation::LoserInheritsVersion, "G5"),
    (Mutation::GateShared, "G6"),
    (Mutation::PartialFailureAcknowledged, "G7"),
    (Mutation::BackPressureIgnored, "G8"),
    (Mutation::OneClockDecides, "G9"),
    (Mutation::ReadTooEarly, "G9"),
    (Mutation::SkewIgnored, "G9"),
    (Mutation::DeltaApplied, "G9"),
    (Mutation::DeadLivesAgain, "G9"),
    (Mutation::LateDeathIgnored, "G9"),
    (Mutation::OtherRoundClosed, "liveness"),
];

#[test]
fn each_rule_that_is_taken_out_is_missed_by_its_oracle() {
    let mut missed = Vec::new();
    println!("{:<28} {:<9} seeds to catch", "mutation", "oracle");
    for (mutation, oracle) in MUTATIONS {
        let report = seeds::run_all(SEEDS, Some(oracle), || {
            goldwire::mutation::set(Some(mutation));
        });
        let caught = report.failed.keys().next().map(|seed| seed + 1);
        let told = caught.map_or("not caught".to_owned(), |seeds| seeds.to_string());
        println!("{:<28} {oracle:<9} {told}", format!("{mutation:?}"));
        if caught.is_none() {
            missed.push(mutation);
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 0..200 {
        let first = run::run(&Plan::of(seed), true).trace;
        assert!(first.len() > 20);
        let second = run::run(&Plan::of(seed), true).trace;
        let differs = first
            .iter()
            .zip(&second)
            .find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
    }
}
