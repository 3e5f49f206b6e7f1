//! What is asked about the health of the parts.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// Answers for every part of a running instance.
pub trait Health: Debug + Send + Sync {
    /// Whether everything that should move does. A restart helps if not.
    fn livez(&self) -> HealthReport;

    /// Whether work can be taken in: the inbox admits, and the webhook listener, if there is one,
    /// serves and has its appends acknowledged. The state of a sink says nothing here.
    fn readyz(&self) -> HealthReport;
}

/// The state of the parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthReport {
    /// Part by part.
    pub parts: Vec<Part>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which: `sink crm/3`, `source hook`, `inbox`.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What it does: `running`, `halted`, `no progress for 60 s`.
    pub state: String,
}

impl HealthReport {
    /// Whether every part is as it should be.
    pub fn ok(&self) -> bool {
        self.parts.iter().all(|part| part.ok)
    }

    /// Adds a part.
    pub fn add(&mut self, name: impl Into<String>, ok: bool, state: impl Into<String>) {
        self.parts.push(Part {
            name: name.into(),
            ok,
            state: state.into(),
        });
    }
}
