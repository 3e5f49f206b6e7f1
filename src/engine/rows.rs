//! Rows at a sink without unique keys: ids are kept here, since the target cannot refuse a copy.
//!
//! Such a sink has no current table, so there is nothing for the fence to decide and nothing to ask
//! Reltio for: a change is a row, or the sink has it already.
//!
//! Guarantee (G3, G5): an id is noted after the sink acknowledged its row, and becomes durable with
//! the position. It is looked up in the store, in what was acknowledged since the last commit, and
//! in the records that wait on the lane; what was read from the store may be older than both.

use std::collections::HashMap;

use super::outcome::Outcome;
use super::task::SinkTask;
use super::work::Work;
use crate::event::{ChangeId, Record};
use crate::store::ids::Noted;

/// The row that a record becomes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    id: ChangeId,
    /// What is known of it, if the sink has it.
    noted: Option<Noted>,
}

impl Row {
    /// The row of a record that the sink does not have; nothing if it lacks a clock, or only asks.
    pub(super) fn unknown(record: &Record) -> Option<Self> {
        let id = change_id(record)?;
        Some(Self { id, noted: None })
    }

    /// Whether the sink has it. One that was read afterwards gives way to a payload, which comes
    /// after it: readers take the last.
    pub(crate) fn is_there(self, observed: bool) -> bool {
        self.noted.is_some_and(|noted| observed || !noted.observed)
    }

    /// Whether it is of the same change.
    pub(crate) fn is_same(self, other: Self) -> bool {
        self.id == other.id
    }
}

/// The change that a record brings; nothing if it lacks a clock, or only asks.
pub(super) fn change_id(record: &Record) -> Option<ChangeId> {
    let (version, commit_time) = record.clocks().both().filter(|_| !record.asks())?;
    Some(ChangeId::of(&record.subject_key(), version, commit_time))
}

impl SinkTask {
    /// The row of a record that goes to its lane; `stored` is what the store had.
    pub(super) fn row(&self, record: &Record, stored: &HashMap<ChangeId, Noted>) -> Option<Row> {
        if !self.profile.rules.keeps_ids {
            return None;
        }
        let id = change_id(record)?;
        let noted = self.commits.id(&id).or_else(|| stored.get(&id).copied());
        Some(Row { id, noted })
    }

    /// The sink acknowledged the rows of a write.
    pub(super) fn note_rows(&mut self, work: &Work) {
        if !self.profile.rules.keeps_ids {
            return;
        }
        let now = self.context.deliverer.clock.now();
        for pending in &work.records {
            let Some(row) = pending.row.filter(|_| pending.outcome == Outcome::Row) else {
                continue;
            };
            let noted = Noted {
                time: row.noted.map_or(now, |noted| noted.time),
                observed: pending.record.read_time().is_some(),
            };
            self.commits.put_id(row.id, noted);
            let Some(lane) = self.lanes.by_subject.get_mut(&work.subject) else {
                continue;
            };
            let waiting = lane.queue.iter_mut().filter_map(|it| it.row.as_mut());
            for copy in waiting.filter(|copy| copy.id == row.id) {
                copy.noted = Some(noted);
            }
        }
    }
}
