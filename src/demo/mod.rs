//! The demonstration: a simulated tenant, a broker, a CRM and a warehouse around a real goldwire,
//! and a comparison of every sink with the truth in the end.
//!
//! Nothing is staged: the instance is the one that `goldwire run` starts, from a configuration
//! file, and the outside fails the way the real systems do.

mod broker;
mod compare;
pub mod fake_reltio;
pub mod fake_salesforce;
mod feed;
mod outside;
mod play;
mod report;
mod sabotage;
pub mod tenant;

pub use compare::Difference;
pub use play::{Demo, DemoSettings};
pub use sabotage::Sabotage;
