//! Which letters are meant.

use serde::{Deserialize, Serialize};

use super::{DeadLetter, LetterName, stored_sink};
use crate::time::Millis;

/// Which letters are meant: all that match every part that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// These letters alone, as `SINK/ID:ROUND`.
    pub names: Vec<String>,
    /// Of this sink; `ingest` for ingest's own.
    pub sink: Option<String>,
    /// With this reason: `rejected`, `exhausted`, `undecodable`, …
    pub reason: Option<String>,
    /// With this code of the target or the decoder.
    pub code: Option<String>,
    /// About this subject: `entities/…`.
    pub subject: Option<String>,
    /// Last attempted at or after this time, ms.
    pub from: Option<Millis>,
    /// Last attempted before this time, ms.
    pub until: Option<Millis>,
}

impl Filter {
    /// Whether it says nothing, and so means every letter.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `letter` is meant.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let named = || {
            let name = LetterName::of(letter).to_string();
            self.names.is_empty() || self.names.contains(&name)
        };
        self.sink_stored().is_none_or(|sink| sink == letter.sink)
            && is(&self.reason, &letter.reason)
            && is(&self.code, &letter.code)
            && is(&self.subject, &letter.subject)
            && self.from.is_none_or(|from| letter.last_time >= from)
            && self.until.is_none_or(|until| letter.last_time < until)
            && named()
    }

    /// The sink as letters have it.
    pub(super) fn sink_stored(&self) -> Option<&str> {
        self.sink.as_deref().map(stored_sink)
    }
}
