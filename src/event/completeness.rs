//! What an absent field of an object means, as a source's configuration says it.

use schemars::JsonSchema;
use serde::Deserialize;

/// What an absent field of an object means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletenessConfig {
    /// Absent means empty.
    #[default]
    Whole,
    /// Attributes hold operational values only; otherwise whole.
    OvOnly,
    /// Only these members of the object are sent; the others are unknown.
    Fields(Vec<String>),
    /// Several of these come and cannot be told apart: every object is read from Reltio.
    Mixed,
}
