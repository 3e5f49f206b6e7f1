//! Allocations and CPU time of a piece of work, each event's share.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::time::Instant;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// User and system time of the process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// The head of the lines that follow.
pub(crate) fn head() {
    println!("{:<46} allocs  CPU µs   events/s", "");
}

/// Prints a line for the work of so many events.
pub(crate) fn measured(name: &str, events: usize, work: impl FnOnce()) {
    let (region, before, began) = (Region::new(COUNTED), cpu(), Instant::now());
    work();
    let (counted, seconds, wall) = (region.change(), cpu() - before, began.elapsed());
    let events = f64::from(u32::try_from(events).unwrap());
    let calls = counted.allocations + counted.reallocations;
    let calls = f64::from(u32::try_from(calls).unwrap()) / events;
    let micros = seconds * 1e6 / events;
    let rate = events / wall.as_secs_f64();
    println!("{name:<46} {calls:>6.2} {micros:>6.2} {rate:>10.0}");
}
