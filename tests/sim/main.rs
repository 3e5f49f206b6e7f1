//! Deterministic simulation of one instance: inbox, ingest, log, tasks, ledger, sinks, dead letters
//! and redrive, over simulated disks, broker, Reltio and targets.
//!
//! What runs is [`goldwire::instance::Instance::assemble`], webhooks included; only what is outside
//! the process is simulated. A seed is a run: time is paused, every await takes its drawn time, and
//! a crash drops the runtime wherever it stands.

mod book;
mod broker;
mod disk;
mod fault;
mod feed;
mod judge;
mod plan;
mod reltio;
mod run;
mod script;
mod target;
mod world;

use self::plan::Plan;

fn seed_of(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how a person asks for one seed or for many"
    )]
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_the_guarantees() {
    if let Some(seed) = seed_of("GOLDWIRE_SEED") {
        let plan = Plan::of(seed);
        println!("{plan:#?}");
        let outcome = run::run(&plan, true);
        for line in outcome.trace {
            println!("{line}");
        }
        assert_eq!(outcome.violation, None);
        return;
    }
    let seeds = seed_of("GOLDWIRE_SEEDS").unwrap_or(100);
    let mut hits = fault::Hits::default();
    let mut bad = Vec::new();
    for seed in 0..seeds {
        let outcome = run::run(&Plan::of(seed), false);
        hits.add(&outcome.hits);
        if let Some(violation) = outcome.violation {
            println!("seed {seed}: {violation:?}");
            bad.push(seed);
        }
    }
    println!("{hits:#?}");
    assert!(bad.is_empty(), "{bad:?}");
}
