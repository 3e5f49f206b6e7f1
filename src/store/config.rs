//! Which engine keeps the store.

use schemars::JsonSchema;
use serde::Deserialize;

/// The engine of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Pages in place; the quickest while all registers fit into memory.
    #[default]
    Sled,
    /// Sorted tables, merged; less memory and disk a subject, and quick to open at any size.
    Fjall,
}

impl Engine {
    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Fjall => "fjall",
        }
    }
}
