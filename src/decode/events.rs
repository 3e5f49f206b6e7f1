//! The records that decoding fills.
//!
//! Guarantee: used again for the next record, they hold nothing of the one before, and allocate
//! nothing that they have already.

use bytes::Bytes;

use crate::event::EventRecord;

/// Records kept between events; an event about more subjects than that is rare.
const KEPT: usize = 4;

/// The records of one event.
#[derive(Debug, Default)]
pub struct Events {
    records: Vec<EventRecord>,
    filled: usize,
}

impl Events {
    /// The records, in the order of the event.
    pub fn records(&self) -> &[EventRecord] {
        self.records.get(..self.filled).unwrap_or_default()
    }

    /// Gives the records away.
    pub fn take(&mut self) -> Vec<EventRecord> {
        self.records.truncate(self.filled);
        self.filled = 0;
        std::mem::take(&mut self.records)
    }

    /// Forgets the records, and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.records.truncate(KEPT);
        for record in self.records.iter_mut().take(self.filled) {
            empty(record);
        }
        self.filled = 0;
    }

    /// Adds what `fill` makes of an empty record.
    pub(super) fn add(&mut self, fill: impl FnOnce(&mut EventRecord)) {
        if let Some(record) = self.records.get_mut(self.filled) {
            fill(record);
        } else {
            let mut record = EventRecord::default();
            fill(&mut record);
            self.records.push(record);
        }
        self.filled = self.filled.saturating_add(1);
    }
}

/// Makes a record as good as new. A field that is added to the schema has to be added here.
fn empty(record: &mut EventRecord) {
    let EventRecord {
        id,
        tenant,
        subject,
        object_type,
        kind,
        state,
        version,
        commit_time,
        received_time,
        read_time,
        absorbed_by,
        related,
        sink,
        round,
        hops,
        targets,
        ask,
        completeness,
        fields,
        traceparent,
        origin,
        content,
        object_at,
        object_length,
        ended,
        late,
        payload,
    } = record;
    for text in [id, tenant, subject, object_type, sink, traceparent] {
        text.clear();
    }
    for list in [related, targets, fields] {
        list.clear();
    }
    for number in [kind, state, completeness, content] {
        *number = 0;
    }
    for number in [round, hops, object_at, object_length] {
        *number = 0;
    }
    for clock in [version, commit_time, read_time] {
        *clock = None;
    }
    *received_time = 0;
    *absorbed_by = None;
    (*ask, *late, *ended) = (false, false, false);
    // Cleared, it would keep its batch's memory.
    *payload = Bytes::new();
    if let Some(origin) = origin {
        for text in [
            &mut origin.source,
            &mut origin.topic,
            &mut origin.message_id,
        ] {
            text.clear();
        }
        (origin.partition, origin.offset) = (0, 0);
    }
}
