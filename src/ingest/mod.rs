//! Ingest: from a source's records to the event log.
//!
//! Guarantee (G1): a source's position is committed only after every record below it is durable in
//! the event log or in dead letters. What cannot be decoded is kept with its original bytes.

pub mod filter;
mod hydrate;
mod memory;
mod process;
mod reads;
mod task;

pub use process::{IngestContext, SourceRules};
pub use reads::SharedReads;
pub use task::{IngestSettings, IngestStatus, IngestTask};
