//! Every instrument, attribute and unit, named once. No personal datum is an attribute (G10).

mod metrics;

pub use metrics::Metrics;
