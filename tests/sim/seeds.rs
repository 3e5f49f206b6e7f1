//! Many seeds on all cores, and what a failing one is reduced to.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::fault::{Fault, Hits};
use super::plan::Plan;
use super::run::run;
use super::world::Violation;

/// How a seed becomes a plan.
pub(crate) type Planned = fn(u64) -> Plan;

/// Seeds run, faults met, and the seeds that failed, the lowest first.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) seeds: u64,
    pub(crate) hits: Hits,
    pub(crate) failed: BTreeMap<u64, Violation>,
}

/// Runs all seeds; with an `oracle`, until one breaks what that watches. `prepare` is called on each
/// thread before its first.
pub(crate) fn run_all(
    plan: Planned,
    seeds: u64,
    oracle: Option<&str>,
    prepare: impl Fn() + Sync,
) -> Report {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let report = Mutex::new(Report::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                prepare();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let outcome = run(&plan(seed), false);
                    let mut report = report.lock().unwrap();
                    report.seeds += 1;
                    report.hits.add(&outcome.hits);
                    let mut violations = outcome.violations.into_iter();
                    let wanted = |it: &Violation| oracle.is_none_or(|oracle| oracle == it.oracle);
                    if let Some(violation) = violations.find(wanted) {
                        stop.store(oracle.is_some(), Ordering::Relaxed);
                        report.failed.insert(seed, violation);
                    }
                }
            });
        }
    });
    report.into_inner().unwrap()
}

/// The smallest plan found that still breaks the same promise: fewer faults, sinks, crashes,
/// operations.
pub(crate) fn reduce(mut plan: Plan, oracle: &str) -> Plan {
    let fails = |plan: &Plan| {
        let violations = run(plan, false).violations;
        violations.iter().any(|it| it.oracle == oracle)
    };
    loop {
        let smaller = smaller(&plan).into_iter().find(fails);
        match smaller {
            Some(smaller) => plan = smaller,
            None => return plan,
        }
    }
}

fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        plans.push(smaller);
    };
    for index in 0..plan.chances.len() {
        with(&|plan| {
            plan.chances.remove(index);
        });
    }
    for index in 0..plan.windows.len() {
        with(&|plan| {
            plan.windows.remove(index);
        });
    }
    for index in 0..plan.ends.len() {
        with(&|plan| {
            plan.ends.remove(index);
        });
    }
    let acts = plan.cluster.as_ref().map_or(0, |it| it.acts.len());
    for index in 0..acts {
        with(&|plan| {
            plan.cluster.as_mut().unwrap().acts.remove(index);
        });
    }
    for index in 0..plan.sinks.len() {
        if plan.sinks.len() > 1 {
            with(&|plan| {
                plan.sinks.remove(index);
            });
        }
    }
    if plan.operations > 1 {
        with(&|plan| plan.operations -= 1);
    }
    if plan.relations > 0 {
        with(&|plan| plan.relations -= 1);
    }
    if plan.entities > 1 {
        with(&|plan| plan.entities -= 1);
    }
    if plan.partitions > 1 {
        with(&|plan| plan.partitions -= 1);
    }
    plans
}

/// The trace of a plan, and the command that prints it again.
pub(crate) fn story(seed: u64, test: &str, plan: &Plan) -> String {
    let outcome = run(plan, true);
    let trace = outcome.trace.join("\n");
    format!(
        "{trace}\n\nreduced to {plan:?}\n\
         the whole seed: GOLDWIRE_SEED={seed} cargo test --test sim {test} -- --nocapture"
    )
}

/// How often each fault hit, and how often while work was in flight.
pub(crate) fn print_hits(hits: &Hits, of: &[Fault]) {
    println!("{:<20} {:>9} {:>9}", "fault", "hit", "in flight");
    for fault in of {
        let (hit, busy) = hits.0.get(fault).copied().unwrap_or_default();
        println!("{:<20} {hit:>9} {busy:>9}", format!("{fault:?}"));
    }
}
