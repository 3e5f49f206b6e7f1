//! Spans: how long the steps of the work take. `GOLDWIRE_LOG=info,goldwire::spans=debug` writes a
//! line for each when it ends, with the time that it was busy and the time that it waited.
//!
//! Guarantee (G10): counts and names from the configuration, never a key or a payload. They cost a
//! check of a flag for each batch while no one asks for them.

use tracing::{Span, debug_span};

/// What their lines are filtered by.
const TARGET: &str = "goldwire::spans";

/// Records go to their lanes or into writes, after the look-up of what the sink has of them.
pub(crate) fn batch(sink: &str, partition: u16, records: usize) -> Span {
    debug_span!(target: TARGET, "batch", sink, partition, records)
}

/// The store is asked for what the sink has of so many subjects or changes.
pub(crate) fn lookup(sink: &str, partition: u16, keys: usize) -> Span {
    debug_span!(target: TARGET, "lookup", sink, partition, keys)
}

/// A batch is at the sink.
pub(crate) fn write(sink: &str, writes: usize) -> Span {
    debug_span!(target: TARGET, "write", sink, writes)
}

/// What was acknowledged becomes durable, with the position up to which everything is done.
pub(crate) fn commit(sink: &str, partition: u16, entries: usize, position: u64) -> Span {
    debug_span!(target: TARGET, "commit", sink, partition, entries, position)
}

/// Reltio's API is asked, waits for its quota and further tries included. `by` is `uri` or
/// `crosswalk`.
pub(crate) fn read(by: &'static str) -> Span {
    debug_span!(target: TARGET, "read", by)
}
