//! goldwire keeps CRMs and analytics in step with the golden records of a Reltio MDM tenant.
//!
//! It loses nothing, applies nothing twice, never lets an old version overwrite a newer one, and
//! commits a position only after the sink's write succeeded. The guarantees are G1 to G10 in
//! `docs/guarantees.md`; the lines that keep one and the tests that prove one quote its number.
//!
//! # Layout, in the order in which a record flows
//!
//! ```text
//! source, webhook ─► decode ─► ingest ─► log ─► engine ─► sink
//!                                 │              │
//!                              reltio          store, dead_letter
//! ```

// What everything speaks of.
mod backoff;
mod dir_lock;
pub mod event;
pub mod mutation;
pub mod time;

// From the outside to the event log.
pub mod decode;
pub mod ingest;
pub mod log;
pub mod reltio;
pub mod schema_registry;
pub mod source;
pub mod webhook;

// From the event log to the sinks.
pub mod changelog;
pub mod dead_letter;
pub mod engine;
pub mod refresh;
pub mod sink;
pub mod store;

// Around it.
pub mod admin;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
mod http;
pub mod kafka;
mod listener;
mod oauth;
pub mod pace;
mod progress;
pub mod runtime;
mod serving;
pub mod telemetry;
pub mod tls;
pub mod topology;
