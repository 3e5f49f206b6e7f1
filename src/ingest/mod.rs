//! Ingest: from a source's records to the event log.
//!
//! Guarantee (G1): a source's position is committed only after every record below it is durable in
//! the event log or in dead letters. What cannot be decoded is kept with its original bytes.
//!
//! The unit of work is a batch of one partition of the source. Its records are decoded in a plain
//! loop and appended together, one append for each partition of the log; only a record that needs
//! a read of Reltio, or a schema that was never seen, goes by itself.

mod append;
mod body;
mod commits;
mod hydrate;
mod letter;
mod memory;
mod pack;
mod positions;
mod process;
mod reads;
mod task;

pub use process::{Fate, IngestContext, SourceRules};
pub use reads::SharedReads;
pub use task::{IngestSettings, IngestStatus, IngestTask};
