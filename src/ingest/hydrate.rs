//! Hydration: what an event does not carry is read from Reltio, once, before the log.
//!
//! Guarantee (G4): a read is made no earlier than `settle` after the newest time known of the
//! change, so its answer is not older than the change. Both are times of Reltio's clock: an answer
//! whose own date is too early is not taken.

use std::sync::Arc;

use super::memory::Held;
use super::reads::SharedReads;
use crate::engine::{ClockRules, state_of};
use crate::event::{Completeness, Content, EventRecord, Kind, State, SubjectState};
use crate::reltio::{Answer, RecordReader, until_answered};
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock, as_millis, until};

/// Reads of one subject are at least this far apart, ms; a record waits `settle` and at most this.
const SLOT: Millis = 250;

/// Reads for records that do not say what their subject is.
#[derive(Debug, Clone)]
pub(super) struct Hydrator {
    pub(super) reltio: Arc<dyn RecordReader>,
    pub(super) rules: ClockRules,
    pub(super) clock: SharedClock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reads: Arc<SharedReads>,
}

impl Hydrator {
    /// Completes `record` with what Reltio answers; the code, if it will not for this subject.
    pub(super) async fn hydrate(
        &self,
        record: &mut EventRecord,
        held: &mut Held,
    ) -> Result<(), String> {
        let (now, settle) = (self.clock.now(), self.rules.settle);
        let settled = record.known_time().saturating_add(settle);
        // Whatever the clocks say: the change had happened when its record came here.
        let longest = now.saturating_add(settle);
        let mut answer = self
            .read(&record.subject, settled.min(longest), held)
            .await?;
        if let Some(wait) = answer.too_early(settled, settle) {
            let later = self.clock.now().saturating_add(as_millis(wait));
            answer = self.read(&record.subject, later, held).await?;
        }
        record.read_time = Some(answer.date);
        let state = state_of(&answer);
        record.ended = state.is_ended(answer.date);
        fill(record, &state);
        held.came(record.payload.len());
        Ok(())
    }

    /// The answer of a read that begins at `due` or later, by this host's clock.
    async fn read(&self, uri: &str, due: Millis, held: &mut Held) -> Result<Answer, String> {
        let due = slot(due);
        tokio::time::sleep(until(self.clock.now(), due)).await;
        held.may_read().await;
        until_answered(uri, || self.reads.read(self, uri, due)).await
    }
}

/// The end of the slot that `due` falls into, so that neighbours share a read.
fn slot(due: Millis) -> Millis {
    due.saturating_add(SLOT - 1) / SLOT * SLOT
}

/// Puts what was read into the record. A removal stands as such; who lost a merge and is not
/// there any more is dead, cause unknown: what else happened before the read, nothing tells.
fn fill(record: &mut EventRecord, state: &SubjectState) {
    record.set_content(Content::None);
    record.payload.clear();
    (record.object_at, record.object_length) = (0, 0);
    match (state, record.kind()) {
        (SubjectState::Alive(object), _) => {
            record.set_state(State::Alive);
            record.set_content(Content::Object);
            record.payload = object.text().clone();
            record.set_completeness(Completeness::Whole);
            if let Some(name) = object.object_type() {
                name.clone_into(&mut record.object_type);
            }
        }
        (SubjectState::Absorbed { by }, kind) => {
            record.set_state(State::Absorbed);
            record.absorbed_by.clone_from(by);
            if kind == Kind::Merged {
                record.set_kind(Kind::Absorbed);
            }
        }
        (_, Kind::Removed) => record.set_state(State::Removed),
        (_, Kind::Erased) => record.set_state(State::Erased),
        (dead, _) => record.set_state(dead.tag()),
    }
}
