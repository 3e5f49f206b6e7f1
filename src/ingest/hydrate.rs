//! Hydration: what an event does not carry is read from Reltio, once, before the log.
//!
//! Guarantee (G4): a read is made no earlier than `settle` after the newest time known of the
//! change, so its answer is not older than the change.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Content, EventRecord, Kind, State, SubjectState};
use crate::reltio::{Golden, ReltioError};
use crate::task::{ClockRules, found_label, state_of};
use crate::telemetry::Metrics;
use crate::time::{SharedClock, until};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Reads for records that do not say what their subject is.
#[derive(Debug, Clone)]
pub(super) struct Hydrator {
    pub(super) golden: Arc<dyn Golden>,
    pub(super) rules: ClockRules,
    pub(super) clock: SharedClock,
    pub(super) metrics: Arc<Metrics>,
}

impl Hydrator {
    /// Completes `record` with what Reltio answers; the code, if it will not for this subject.
    pub(super) async fn hydrate(&self, record: &mut EventRecord) -> Result<(), String> {
        let due = record.known_time().saturating_add(self.rules.settle);
        tokio::time::sleep(until(self.clock.now(), due)).await;
        let mut wait = FIRST_WAIT;
        loop {
            match self.golden.read(&record.subject).await {
                Ok(answer) => {
                    self.metrics.read("hydrate", found_label(&answer.found));
                    record.read_time = Some(answer.date);
                    fill(record, &state_of(&answer));
                    return Ok(());
                }
                Err(ReltioError::Rejected { code }) => {
                    self.metrics.read("hydrate", "failed");
                    return Err(code);
                }
                Err(error @ ReltioError::Unavailable { .. }) => {
                    self.metrics.read("hydrate", "failed");
                    tracing::warn!("{error}; will be read again");
                }
                Err(error @ ReltioError::Refused { .. }) => {
                    self.metrics.read("hydrate", "failed");
                    tracing::error!("{error}; will be read again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }
}

fn fill(record: &mut EventRecord, state: &SubjectState) {
    record.set_state(state.tag());
    match state {
        SubjectState::Alive(object) => {
            record.set_content(Content::Object);
            record.payload = object.json().to_string().into();
            if let Some(name) = object.object_type() {
                name.clone_into(&mut record.object_type);
            }
        }
        SubjectState::Absorbed { by } => {
            record.set_content(Content::None);
            record.payload.clear();
            record.absorbed_by.clone_from(by);
        }
        SubjectState::Removed | SubjectState::Erased | SubjectState::Gone => {
            // A removal that only needed its type keeps what it says.
            if matches!(record.kind(), Kind::Removed) {
                record.set_state(State::Removed);
            } else if matches!(record.kind(), Kind::Erased) {
                record.set_state(State::Erased);
            }
            record.set_content(Content::None);
            record.payload.clear();
        }
    }
}
