//! Load generator, oracle and judge for goldwire.
//!
//! Its purpose is the one measurement that no neighbour publishes: deduplicated and acknowledged
//! events a second, end to end, with p50, p99 and resident memory, under a stated crash schedule.
//! It holds no generator yet. Until it does, the figures that exist come from `cargo bench`, see
//! `docs/performance.md`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    writeln!(
        std::io::stdout(),
        "loadtest has no workload yet; `cargo bench` and `goldwire demo` measure what there is"
    )
}
