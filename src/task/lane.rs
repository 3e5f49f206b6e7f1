//! A lane: everything under way for one subject at one sink. One thing at a time.
//!
//! Guarantee (G4): a lane's register moves only as the fence and the rules for reads say. The
//! functions here are pure; the task does the waiting, reading and delivering.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::fence::{Fenced, fence};
use super::rows::Row;
use crate::event::{Completeness, EventRecord, State, SubjectState};
use crate::ledger::Register;
use crate::sink::{Change, Current};
use crate::time::Millis;

/// The clock rules of one tenant, ms.
#[derive(Debug, Clone, Copy)]
pub struct ClockRules {
    /// A read this long after a change is sure to see it.
    pub settle: Millis,
    /// How far apart the clocks of Reltio's nodes may be.
    pub skew: Millis,
    /// Added to an answer's `Date`: skew, plus the second that the header rounds away.
    pub margin: Millis,
}

impl ClockRules {
    /// The rules that follow from `settle` and `skew`.
    pub fn new(settle: Millis, skew: Millis) -> Self {
        Self {
            settle,
            skew,
            margin: skew.saturating_add(1000),
        }
    }
}

/// A record on its lane.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) offset: u64,
    pub(crate) record: Arc<EventRecord>,
    /// The row that it becomes, at a sink that keeps ids.
    pub(crate) row: Option<Row>,
    /// Read again after an unclean stop: an earlier send may still land.
    pub(crate) suspect: bool,
    /// It was alone in flight at so many unclean stops that it is not tried again.
    pub(crate) kills: bool,
}

/// The newest state asserted at the sink, kept while it has to be asserted once more.
#[derive(Debug, Clone)]
pub(crate) struct Asserted {
    pub(crate) current: Current,
    pub(crate) record: Arc<EventRecord>,
}

impl Asserted {
    /// About how many bytes it holds.
    pub(crate) fn weight(&self) -> usize {
        let object = match &self.current.state {
            SubjectState::Alive(object) => object.weight(),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => 0,
        };
        self.record.payload.len().saturating_add(object)
    }
}

/// A lane whose sink may still do something late.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    /// From this time on an assertion settles it. What is on its way to the sink knows nothing of
    /// a host's clock that was set, so this is none that can be.
    pub(crate) due: Instant,
    /// Offsets that stay in flight until then.
    pub(crate) offsets: Vec<u64>,
    /// Dead letters that are closed with the register, then.
    pub(crate) closes: Vec<String>,
}

/// Everything under way for one subject.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) queue: VecDeque<Pending>,
    pub(crate) register: Option<Register>,
    pub(crate) busy: bool,
    pub(crate) unsettled: Option<Unsettled>,
    /// When a timer will look at the unsettled lane again.
    pub(crate) looks_at: Option<Instant>,
    pub(crate) asserted: Option<Asserted>,
}

impl Unsettled {
    pub(crate) fn until(due: Instant) -> Self {
        Self {
            due,
            offsets: Vec::new(),
            closes: Vec::new(),
        }
    }
}

impl Lane {
    /// Keeps what was asserted in place of what was before; `held` counts the bytes of all lanes.
    pub(crate) fn assert(&mut self, asserted: Option<Asserted>, held: &mut usize) {
        let weight = |of: &Option<Asserted>| of.as_ref().map_or(0, Asserted::weight);
        *held = held.saturating_sub(weight(&self.asserted));
        *held = held.saturating_add(weight(&asserted));
        self.asserted = asserted;
    }

    /// The newest time known of the subject.
    pub(crate) fn newest(&self) -> Millis {
        self.register.as_ref().map_or(0, |register| register.newest)
    }

    /// What the head of the queue means.
    pub(crate) fn fence(&self, record: &EventRecord, rules: ClockRules) -> Fenced {
        if record.ask {
            return Fenced::Ask;
        }
        fence(
            self.register.as_ref(),
            record.clocks(),
            lacks(record),
            rules.skew,
        )
    }

    /// When Reltio may be read to answer the head of the queue: `settle` after the newest time
    /// known of the subject, and after what the last read may have seen.
    pub(crate) fn read_at(&self, rules: ClockRules) -> Millis {
        let since = self.register.as_ref().map_or(0, |register| register.since);
        let head = self
            .queue
            .front()
            .map_or(0, |pending| pending.record.known_time());
        head.max(self.newest())
            .max(since)
            .saturating_add(rules.settle)
    }

    /// Takes what a read made at `now` answers: everything on the lane that `settle` has passed
    /// for. The head is always among it.
    pub(crate) fn take_answered(&mut self, now: Millis, rules: ClockRules) -> Vec<Pending> {
        let mut answered = Vec::new();
        while let Some(pending) = self.queue.front() {
            let covered = pending.record.known_time().saturating_add(rules.settle) <= now;
            if !covered && !answered.is_empty() {
                break;
            }
            answered.extend(self.queue.pop_front());
        }
        answered
    }
}

/// What a record does not tell of its subject, as in [`Register::lacks`].
fn lacks(record: &EventRecord) -> u32 {
    match record.completeness() {
        Completeness::Whole => 0,
        Completeness::OvOnly => 1,
        Completeness::Fields => 2,
    }
}

/// The register after `record` was applied.
pub(crate) fn applied(
    register: Option<&Register>,
    record: &EventRecord,
    state: &SubjectState,
    rules: ClockRules,
) -> Register {
    let before = register.cloned().unwrap_or_default();
    let read = record
        .read_time
        .map_or(0, |read| read.saturating_add(rules.margin));
    Register {
        version: record.version,
        commit_time: record.commit_time,
        since: before.since.max(read),
        state: state.tag().into(),
        absorbed_by: survivor(state),
        stands_for: stands_for(record),
        newest: before.newest.max(record.known_time()),
        lacks: lacks(record),
        letters: Vec::new(),
        observed: record.read_time.is_some(),
    }
}

/// Up to which time of a change the content of `record` is sure to hold it.
pub(crate) fn covers(record: &EventRecord, rules: ClockRules) -> Millis {
    let read = record.read_time.unwrap_or_default();
    let known = record.known_time().saturating_sub(rules.skew);
    known.max(read.saturating_sub(rules.settle))
}

/// What a subject is that Reltio does not know any more: dead, cause unknown, since nothing tells
/// what else happened before the read. An erasure stands all the same, since only that takes the
/// content out of the sinks.
pub(crate) fn cause_of_death(
    register: Option<&Register>,
    records: &[Pending],
    answer: SubjectState,
) -> SubjectState {
    let known = register.is_some_and(|register| register.state() == State::Erased);
    let told = records
        .iter()
        .any(|pending| pending.record.state() == State::Erased);
    if answer == SubjectState::Gone && (known || told) {
        return SubjectState::Erased;
    }
    answer
}

fn survivor_of(state: &SubjectState) -> Option<String> {
    match state {
        SubjectState::Absorbed { by } => by.clone(),
        SubjectState::Alive(_)
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => None,
    }
}

/// A state together with what was known before: who absorbed the subject stays known where a
/// record only says that it was absorbed, as happens where there is no API to ask.
pub(crate) fn knowing(register: Option<&Register>, state: SubjectState) -> SubjectState {
    let known = register.filter(|register| register.state() == State::Absorbed);
    match (state, known) {
        (SubjectState::Absorbed { by: None }, Some(known)) => SubjectState::Absorbed {
            by: Some(known.absorbed_by.clone()).filter(|by| !by.is_empty()),
        },
        (state, _) => state,
    }
}

/// The register after a read, dated `date` by Reltio, answered `records`.
pub(crate) fn answered(
    register: Option<&Register>,
    records: &[Pending],
    state: &SubjectState,
    date: Millis,
    rules: ClockRules,
) -> Register {
    let mut after = register.cloned().unwrap_or_default();
    after.since = after.since.max(date.saturating_add(rules.margin));
    after.state = state.tag().into();
    after.absorbed_by = survivor(state);
    // Never below what the target's guard has seen, or it would refuse what was read as stale.
    after.stands_for = date.max(after.stands_for);
    after.lacks = 0;
    after.observed = true;
    after.letters = Vec::new();
    for pending in records {
        after.newest = after.newest.max(pending.record.known_time());
        if let Some((version, commit_time)) = pending.record.clocks().both()
            && after.commit_time.is_none_or(|known| commit_time > known)
        {
            after.version = Some(version);
            after.commit_time = Some(commit_time);
        }
    }
    after
}

/// The sink read Reltio itself and delivered an answer dated `date`: what that may have seen is
/// asked again, and nothing below it is ever sent, which the target's guard would refuse.
pub(crate) fn read_by_sink(register: &mut Register, date: Millis, rules: ClockRules) {
    register.since = register.since.max(date.saturating_add(rules.margin));
    register.stands_for = register.stands_for.max(date);
}

/// The register after `record` was applied because it arrived last: only without a Reltio API.
pub(crate) fn by_arrival(
    register: Option<&Register>,
    record: &EventRecord,
    state: &SubjectState,
    rules: ClockRules,
) -> Register {
    let mut after = applied(register, record, state, rules);
    let floor = register.map_or(0, |register| register.stands_for);
    after.stands_for = after.stands_for.max(floor);
    after
}

fn survivor(state: &SubjectState) -> String {
    survivor_of(state).unwrap_or_default()
}

/// The time that a record's content stands for.
pub(crate) fn stands_for(record: &EventRecord) -> Millis {
    record
        .read_time
        .unwrap_or_else(|| record.known_time())
        .max(1)
}

/// What a record says its subject is now.
pub(crate) fn current(record: &EventRecord, state: SubjectState, stands_for: Millis) -> Current {
    let partial = record.completeness() == Completeness::Fields && state.is_alive();
    Current {
        state,
        stands_for,
        version: record.version,
        fields: partial.then(|| record.fields.clone()),
    }
}

/// The row that a history sink keeps of a record; nothing if it does not carry both clocks.
pub(crate) fn change(record: &EventRecord) -> Option<Change> {
    let (version, commit_time) = record.clocks().both()?;
    Some(Change {
        id: record.id.clone(),
        kind: record.kind(),
        version,
        commit_time,
        received_time: record.received_time,
        state: record.subject_state()?,
        observed: record.read_time.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_absorbed_a_subject_stays_known_where_a_record_only_says_that_it_was_absorbed() {
        let absorbed = |by: &str| Register {
            state: State::Absorbed.into(),
            absorbed_by: by.to_owned(),
            ..Register::default()
        };
        let unknown = || SubjectState::Absorbed { by: None };
        let by_w = SubjectState::Absorbed {
            by: Some("entities/w".to_owned()),
        };
        assert_eq!(knowing(Some(&absorbed("entities/w")), unknown()), by_w);
        assert_eq!(knowing(Some(&absorbed("")), unknown()), unknown());
        assert_eq!(knowing(Some(&Register::default()), unknown()), unknown());
        assert_eq!(knowing(None, by_w.clone()), by_w);
    }
}
