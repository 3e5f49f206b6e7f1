//! Subjects whose newest state has to be asserted once more: a write without an answer may still
//! land, or something may still be on its way to a record that was archived.
//!
//! Guarantee (G4): a subject is in the durable set from the commit that passes its record until
//! its newest state was asserted after everything late must have landed. Its offset does not wait
//! for that.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::work::{Purpose, Work};
use crate::event::{Record, Subject, SubjectState};
use crate::sink::Current;

/// So many second looks in a row may ask for another. Two lanes that each take what the other one
/// has would never end: one of them knows an old state, and its newer record is a dead letter.
const LOOKS: u32 = 5;
/// Subjects that may wait at the same time.
pub(crate) const MOST: usize = 10_000;

/// The newest state that was asserted.
#[derive(Debug, Clone)]
pub(crate) struct Asserted {
    pub(crate) current: Current,
    pub(crate) record: Option<Record>,
}

impl Asserted {
    /// About how many bytes it holds.
    fn weight(&self) -> usize {
        let object = match &self.current.state {
            SubjectState::Alive(object) => object.weight(),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => 0,
        };
        let record = self.record.as_ref();
        object.max(record.map_or(0, |record| record.bytes().len()))
    }
}

/// What one subject waits for.
#[derive(Debug, Clone)]
pub(crate) struct Reassertion {
    /// From this time on an assertion settles it. What is on its way to the sink knows nothing of
    /// a host's clock that was set, so this is a clock that cannot be.
    pub(crate) due: Instant,
    /// Nothing: Reltio is read when it is due.
    pub(crate) asserted: Option<Asserted>,
    /// Second looks that asked for another, in a row.
    looks: u32,
}

impl Reassertion {
    pub(crate) fn new(due: Instant) -> Self {
        Self {
            due,
            asserted: None,
            looks: 0,
        }
    }

    /// The sink wants another look after this write; tells whether there is one.
    pub(crate) fn looks_again(&mut self, after: &Work) -> bool {
        if after.purpose != Purpose::Reassert {
            self.looks = 0;
            return true;
        }
        self.looks += 1;
        if self.looks == LOOKS {
            tracing::warn!(
                subject = after.subject.uri(),
                "the sink's records of it are changed by others each time; see the dead letters of \
                 those that merged with it"
            );
        }
        self.looks < LOOKS
    }
}

/// When which subject is due, and what all of them hold.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    due: BTreeSet<(Instant, Subject)>,
    bytes: usize,
}

impl Schedule {
    /// How many subjects wait.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// Moves a subject's time.
    pub(crate) fn set(&mut self, subject: &Subject, before: Option<Instant>, due: Instant) {
        if let Some(before) = before {
            self.due.remove(&(before, subject.clone()));
        }
        self.due.insert((due, subject.clone()));
    }

    /// A subject waits no more.
    pub(crate) fn remove(&mut self, subject: &Subject, of: &Reassertion) {
        self.due.remove(&(of.due, subject.clone()));
        self.bytes = self.bytes.saturating_sub(weight(of));
    }

    /// Keeps what was asserted in place of what was before, if there is room.
    pub(crate) fn keep(&mut self, of: &mut Reassertion, asserted: Option<Asserted>, room: usize) {
        self.bytes = self.bytes.saturating_sub(weight(of));
        of.asserted = asserted.filter(|it| self.bytes + it.weight() <= room);
        self.bytes += weight(of);
    }

    /// The subjects that are due.
    pub(crate) fn due(&self, now: Instant) -> Vec<Subject> {
        let due = self.due.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, subject)| subject.clone()).collect()
    }
}

fn weight(of: &Reassertion) -> usize {
    of.asserted.as_ref().map_or(0, Asserted::weight)
}
