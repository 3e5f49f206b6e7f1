//! Configuration: from YAML as written to settings as meant, with every problem at once.
//!
//! Nothing is bound, opened or connected before the whole configuration is valid.

mod problem;
mod values;

pub use problem::{Problem, Problems};
pub use values::{ByteSize, Period, RawSecret, Secret};
