//! Deterministic simulation: inbox, ingest, log, tasks, store, sinks, dead letters and redrive, over
//! simulated disks, broker, Reltio and targets.
//!
//! What runs is [`goldwire::runtime::Instance::assemble`], webhooks included; only what is outside
//! the process is simulated. A seed is a run: time is paused and every await takes its drawn time.
//! There are two worlds: one instance on its disk, where a crash drops the runtime wherever it
//! stands, and several on a simulated Kafka cluster, of which each is killed, stopped and frozen
//! while the others go on. On its disk an instance may also have a sink whose rows land a piece at
//! a time: there every change must be in exactly one piece.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a simulation fails loudly"
)]

mod book;
mod broker;
mod crm;
mod disk;
mod fault;
mod feed;
mod host;
mod judge;
mod kafka;
mod log;
mod pieces;
mod plan;
mod reltio;
mod row;
mod run;
mod script;
mod seeds;
mod sink;
mod start;
mod target;
mod watch;
mod world;
mod writer;

use goldwire::mutation::Mutation;

use self::fault::Fault;
use self::plan::Plan;
use self::seeds::Planned;

fn seed_of(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how a person asks for one seed or for many"
    )]
    std::env::var(name).ok()?.parse().ok()
}

/// Seeds run by default: they fit into an ordinary test run.
const SEEDS: u64 = 2000;
/// The same for several instances, of which a seed takes twice as long.
const SEEDS_ON_KAFKA: u64 = 1000;

#[test]
fn every_seed_keeps_the_guarantees() {
    let test = "every_seed_keeps_the_guarantees";
    every_seed(Plan::of, SEEDS, test, &Fault::all().collect::<Vec<_>>());
}

#[test]
fn every_seed_on_kafka_keeps_the_guarantees() {
    let test = "every_seed_on_kafka";
    every_seed(Plan::on_kafka, SEEDS_ON_KAFKA, test, &Fault::KAFKA);
}

#[test]
fn every_seed_with_pieces_keeps_the_guarantees() {
    let test = "every_seed_with_pieces";
    let faults = [
        Fault::Crash,
        Fault::Stop,
        Fault::Timeout,
        Fault::AnswerLost,
        Fault::StoreLost,
        Fault::StoreStored,
    ];
    every_seed(Plan::in_pieces, SEEDS, test, &faults);
}

fn every_seed(plan: Planned, seeds: u64, test: &str, faults: &[Fault]) {
    if let Some(seed) = seed_of("GOLDWIRE_SEED") {
        let outcome = run::run(&plan(seed), true);
        println!("{}", outcome.trace.join("\n"));
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:?}",
            outcome.violations
        );
        return;
    }
    let seeds = seed_of("GOLDWIRE_SEEDS").unwrap_or(seeds);
    let report = seeds::run_all(plan, seeds, None, || ());
    println!("{} seeds", report.seeds);
    seeds::print_hits(&report.hits, faults);
    for (seed, violation) in &report.failed {
        println!("seed {seed} broke {}: {}", violation.oracle, violation.text);
    }
    if let Some((seed, violation)) = report.failed.into_iter().next() {
        let plan = seeds::reduce(plan(seed), violation.oracle);
        let story = seeds::story(seed, test, &plan);
        panic!(
            "seed {seed} broke {}: {}\n{story}",
            violation.oracle, violation.text
        );
    }
    for fault in faults {
        let (_, in_flight) = report.hits.0.get(fault).copied().unwrap_or_default();
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

/// Rules of several instances.
const ON_KAFKA: [(Mutation, &str); 6] = [
    (Mutation::QuotaNotDivided, "quota"),
    (Mutation::OffsetAfterRestore, "liveness"),
    (Mutation::EpochUnchecked, "G2"),
    (Mutation::RevokedInTransaction, "G2"),
    (Mutation::StoreAheadOfChangelog, "G3"),
    (Mutation::AbortedNotCarried, "G3"),
];

#[test]
fn each_rule_that_is_taken_out_is_missed_by_its_oracle() {
    each_rule(Plan::of, &MUTATIONS);
}

/// Rules of pieces.
const IN_PIECES: [(Mutation, &str); 1] = [(Mutation::PieceUnprepared, "G5")];

#[test]
fn each_rule_of_pieces_that_is_taken_out_is_missed_by_its_oracle() {
    each_rule(Plan::in_pieces, &IN_PIECES);
}

#[test]
fn each_rule_on_kafka_that_is_taken_out_is_missed_by_its_oracle() {
    each_rule(Plan::on_kafka, &ON_KAFKA);
}

fn each_rule(plan: Planned, mutations: &[(Mutation, &str)]) {
    let mut missed = Vec::new();
    println!("{:<28} {:<9} seeds to catch", "mutation", "oracle");
    for (mutation, oracle) in mutations {
        let report = seeds::run_all(plan, SEEDS, Some(oracle), || {
            goldwire::mutation::set(Some(*mutation));
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
    for seed in 0..100 {
        for plan in [Plan::of(seed), Plan::in_pieces(seed), Plan::on_kafka(seed)] {
            let first = run::run(&plan, true).trace;
            assert!(first.len() > 20);
            let second = run::run(&plan, true).trace;
            let differs = first
                .iter()
                .zip(&second)
                .find(|(first, second)| first != second);
            assert_eq!(differs, None, "seed {seed}");
        }
    }
}
