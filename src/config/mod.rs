//! Configuration: from YAML as written to settings as meant, with every problem at once.
//!
//! Knows no section: [`Root`] is what is loaded, and the sections are declared beside what they
//! configure. A file is read in this order: YAML, `${NAME}` and `{file: …}` replaced, the JSON
//! Schema of the root, then what only several keys together can violate.

mod comments;
mod load;
mod loose;
mod nearest;
mod path;
mod problem;
mod rules;
mod schema;
mod validate;
mod values;
mod variables;

pub use load::{LoadError, environment};
pub(crate) use load::{load, load_loosely, load_to_serve, parse, read_file};
pub use loose::Loose;
pub(crate) use nearest::nearest;
pub use problem::{Problem, Problems};
pub(crate) use rules::{At, Rules, address, bytes, one_kind};
pub(crate) use schema::schema;
pub(crate) use values::network;
pub use values::{ByteSize, Networks, Period, Secret};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// The root of a configuration.
pub(crate) trait Root: DeserializeOwned + JsonSchema {
    /// What only several keys together, or a value's meaning, can violate. Looks at the tree, so
    /// that it finds its problems while the schema still finds others.
    fn check(top: &At<'_>, rules: &mut Rules<'_>);
}
