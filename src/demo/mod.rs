//! The demonstration: a simulated tenant, a broker, a CRM, a warehouse, a lake and a cache around a real
//! goldwire, and a comparison of every sink with the truth in the end.
//!
//! Nothing is staged: the instance is the one that `goldwire run` starts, from a configuration
//! file, and the outside fails the way the real systems do. All of the outside, and the truth, are
//! `loadtest`'s, which knows nothing of goldwire's code. Here is only what plays it against an
//! instance in this process.

mod play;
mod report;
mod sabotage;

pub use play::{Demo, DemoSettings};
pub use sabotage::Sabotage;
