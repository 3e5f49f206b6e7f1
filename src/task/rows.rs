//! Rows at a sink without unique keys: ids are kept here, since the target cannot refuse a copy.
//!
//! Such a sink has no current table, so there is nothing for the fence to decide and nothing to ask
//! Reltio for: a change is a row, or the sink has it already.
//!
//! Guarantee (G3, G5): an id is noted after the sink acknowledged its row, and becomes durable with
//! the position. It is looked up in the store, in what was acknowledged since the last commit, and
//! in the records that wait on the lane; what was read from the store may be older than both.

use std::collections::{BTreeSet, HashMap};

use super::lane::Pending;
use super::sink_task::SinkTask;
use crate::event::{ChangeId, EventRecord, Kind, Subject};
use crate::ledger::ids::{self, Noted};
use crate::ledger::{Store, StoreError};

/// The row that a record becomes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    id: ChangeId,
    /// What is known of it, if the sink has it.
    noted: Option<Noted>,
}

impl Row {
    /// Whether the sink has it. One that was read afterwards gives way to a payload, which comes
    /// after it: readers take the last.
    fn is_there(self, observed: bool) -> bool {
        self.noted.is_some_and(|noted| observed || !noted.observed)
    }
}

/// The change that a record brings; nothing if it lacks a clock, or only asks.
pub(super) fn change_id(record: &EventRecord) -> Option<ChangeId> {
    let (version, commit_time) = record.clocks().both().filter(|_| !record.ask)?;
    Some(ChangeId::of(&record.subject_key(), version, commit_time))
}

/// What the ledger has of `changes`. Blocks on the disk.
pub(super) fn noted(
    store: &dyn Store,
    sink: &str,
    partition: u16,
    changes: &BTreeSet<ChangeId>,
) -> Result<HashMap<ChangeId, Noted>, StoreError> {
    let mut known = HashMap::new();
    for id in changes {
        if let Some(noted) = ids::get(store, sink, partition, id)? {
            known.insert(*id, noted);
        }
    }
    Ok(known)
}

impl SinkTask {
    /// Whether the sink has no unique keys.
    pub(super) fn keeps_ids(&self) -> bool {
        self.context.courier.sink.declares().dedupe.is_some()
    }

    /// The row of a record that goes to its lane; `stored` is what the ledger had.
    pub(super) fn row(
        &self,
        record: &EventRecord,
        stored: &HashMap<ChangeId, Noted>,
    ) -> Option<Row> {
        let id = change_id(record).filter(|_| self.keeps_ids())?;
        let noted = self.overlay.ids.get(&id).or_else(|| stored.get(&id));
        let noted = noted.copied();
        Some(Row { id, noted })
    }

    /// Sends the head's row, or ends the head without one. Tells whether the lane is busy, or done.
    pub(super) fn step_row(&mut self, subject: &Subject) -> bool {
        let queue = self.lanes.get(subject).map(|lane| &lane.queue);
        let Some(head) = queue.and_then(|queue| queue.front().cloned()) else {
            return true;
        };
        let outcome = match head.row {
            Some(row) if row.is_there(head.record.read_time.is_some()) => "duplicate",
            Some(_) => {
                self.keep_rows(subject);
                return true;
            }
            // What has to be erased is told to a person at least.
            None if head.record.kind() == Kind::Erased && !head.record.ask => {
                self.refuse_head(subject, "unreadable", "no_clocks");
                return true;
            }
            None => "no_row",
        };
        if let Some(lane) = self.lanes.get_mut(subject) {
            lane.queue.pop_front();
        }
        self.complete(head.offset, outcome);
        false
    }

    /// The sink acknowledged the rows of `records`.
    pub(super) fn note_rows(&mut self, subject: &Subject, records: &[Pending]) {
        let now = self.context.courier.clock.now();
        for pending in records {
            let Some(row) = pending.row else { continue };
            let noted = Noted {
                time: row.noted.map_or(now, |noted| noted.time),
                observed: pending.record.read_time.is_some(),
            };
            self.overlay.ids.put(row.id, noted);
            let Some(lane) = self.lanes.get_mut(subject) else {
                continue;
            };
            let waiting = lane.queue.iter_mut().filter_map(|it| it.row.as_mut());
            for copy in waiting.filter(|copy| copy.id == row.id) {
                copy.noted = Some(noted);
            }
        }
    }
}
